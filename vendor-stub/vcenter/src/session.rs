//! Sessions: who is logged in under which cookie, and what dies with a session.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lab::timestamp;

use crate::collector::{Collector, Pages};
use crate::history::History;
use crate::lease::Lease;
use crate::random;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};

/// Id of the property collector that every session has.
pub(crate) const COLLECTOR: &str = "propertyCollector";

/// How many tickets may be open; one more and all are void.
const MAX_TICKETS: usize = 100;

/// A view of a session.
#[derive(Clone, Debug)]
pub(crate) enum View {
    /// What is in a part of the inventory at the moment.
    Container {
        /// Where it begins.
        container: MoRef,
        /// The managed types it lists; empty = all.
        types: Vec<String>,
        /// Whether it goes below the first level.
        recursive: bool,
    },
    /// The objects a client put in.
    List(Vec<MoRef>),
}

impl View {
    /// The managed type of the view.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Container { .. } => "ContainerView",
            Self::List(_) => "ListView",
        }
    }
}

/// One login.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// `UserSession.key`; not the cookie.
    pub(crate) key: String,
    /// The user as the server spells it.
    pub(crate) user_name: String,
    /// The user as in the login.
    login: String,
    login_time: String,
    last_active_time: String,
    last_active_ms: u64,
    locale: String,
    user_agent: String,
    ip_address: String,
    calls: i32,
    /// Views by their id.
    pub(crate) views: HashMap<String, View>,
    /// Results still to be fetched.
    pub(crate) pages: Pages,
    /// Leases of disks by their id.
    pub(crate) leases: HashMap<String, Lease>,
    /// Collectors of past tasks by their id.
    pub(crate) histories: HashMap<String, History>,
    /// Property collectors by their id.
    pub(crate) collectors: HashMap<String, Arc<Collector>>,
}

/// Who calls, as far as HTTP tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// Address without port.
    pub(crate) ip_address: String,
    /// The header `User-Agent`.
    pub(crate) user_agent: String,
}

impl Session {
    /// The user as in the login.
    pub(crate) fn login(&self) -> &str {
        &self.login
    }

    /// The session as a data object.
    pub(crate) fn user_session(&self) -> DataObject {
        DataObject::new("UserSession")
            .text("key", &self.key)
            .text("userName", &self.user_name)
            .text("fullName", &self.user_name)
            .with("loginTime", Value::time(&self.login_time))
            .with("lastActiveTime", Value::time(&self.last_active_time))
            .text("locale", &self.locale)
            .text("messageLocale", &self.locale)
            .with("extensionSession", Value::boolean(false))
            .text("ipAddress", &self.ip_address)
            .text("userAgent", &self.user_agent)
            .with("callCount", Value::int(self.calls))
    }
}

/// All sessions, by cookie.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    live: Mutex<HashMap<String, Session>>,
    /// Logins by the tickets that were handed out to clone them.
    tickets: Mutex<HashMap<String, String>>,
}

impl Sessions {
    fn live(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session and returns its cookie.
    pub(crate) fn open(
        &self,
        user: &str,
        locale: &str,
        client: &Client,
        now_ms: u64,
    ) -> Result<(String, Session), Fault> {
        let cookie = random::hex(20)?;
        let now = timestamp();
        let session = Session {
            key: random::uuid()?,
            user_name: user_name(user),
            login: user.to_owned(),
            login_time: now.clone(),
            last_active_time: now,
            last_active_ms: now_ms,
            locale: locale.to_owned(),
            user_agent: client.user_agent.clone(),
            ip_address: client.ip_address.clone(),
            calls: 0,
            views: HashMap::new(),
            pages: Pages::default(),
            histories: HashMap::new(),
            leases: HashMap::new(),
            collectors: HashMap::from([(COLLECTOR.to_owned(), Arc::default())]),
        };
        self.live().insert(cookie.clone(), session.clone());
        Ok((cookie, session))
    }

    /// Drops sessions that were idle for `idle_ms` or longer and returns their cookies.
    pub(crate) fn expire(&self, now_ms: u64, idle_ms: u64) -> Vec<String> {
        let mut live = self.live();
        let idle = |session: &Session| now_ms.saturating_sub(session.last_active_ms) >= idle_ms;
        live.extract_if(|_, session| idle(session))
            .map(|(cookie, _)| cookie)
            .collect()
    }

    /// Marks the session of that cookie as active and returns its login. `None` = no such session.
    pub(crate) fn touch(&self, cookie: &str, now_ms: u64) -> Option<String> {
        let mut live = self.live();
        let session = live.get_mut(cookie)?;
        session.last_active_ms = now_ms;
        session.last_active_time = timestamp();
        session.calls = session.calls.saturating_add(1);
        Some(session.login.clone())
    }

    /// Keeps a session from idling out while a call of it waits; `false` = no such session.
    pub(crate) fn keep(&self, cookie: &str, now_ms: u64) -> bool {
        let mut live = self.live();
        let session = live.get_mut(cookie);
        session
            .map(|session| session.last_active_ms = now_ms)
            .is_some()
    }

    /// Works on the session of that cookie.
    pub(crate) fn with<R>(
        &self,
        cookie: Option<&str>,
        work: impl FnOnce(&mut Session) -> R,
    ) -> Option<R> {
        self.live().get_mut(cookie?).map(work)
    }

    /// A ticket that opens another session of the same user, once.
    pub(crate) fn clone_ticket(&self, cookie: &str) -> Result<Option<String>, Fault> {
        let Some(login) = self.with(Some(cookie), |session| session.login.clone()) else {
            return Ok(None);
        };
        let ticket = format!("cst-VCT-{}--tp-{}", random::uuid()?, random::hex(20)?);
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= MAX_TICKETS {
            tickets.clear();
        }
        tickets.insert(ticket.clone(), login);
        Ok(Some(ticket))
    }

    /// The login a ticket stands for. It is spent then.
    pub(crate) fn redeem(&self, ticket: &str) -> Option<String> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.remove(ticket)
    }

    /// Ends a session with all that hangs on it.
    pub(crate) fn end(&self, cookie: &str) {
        self.live().remove(cookie);
    }

    /// The file of a lease, and whether it is a disk.
    pub(crate) fn leased(&self, ticket: &str, name: &str, now_ms: u64) -> Option<(PathBuf, bool)> {
        let live = self.live();
        let mut leases = live.values().flat_map(|session| session.leases.values());
        leases.find_map(|lease| lease.file(ticket, name, now_ms))
    }

    /// The login of the session of that key.
    pub(crate) fn login_of(&self, key: &str) -> Option<String> {
        let live = self.live();
        let session = live.values().find(|session| session.key == key);
        session.map(|session| session.login.clone())
    }

    /// The cookie of the session of that key.
    pub(crate) fn cookie_of(&self, key: &str) -> Option<String> {
        let live = self.live();
        let mut all = live.iter();
        let (cookie, _) = all.find(|(_, session)| session.key == key)?;
        Some(cookie.clone())
    }

    /// All sessions, of which the caller's comes first. None without a session.
    pub(crate) fn list(&self, cookie: Option<&str>) -> Vec<DataObject> {
        let live = self.live();
        let Some((cookie, own)) = cookie.and_then(|cookie| live.get_key_value(cookie)) else {
            return Vec::new();
        };
        let others = live.iter().filter(|(other, _)| *other != cookie);
        let others = others.map(|(_, session)| session.user_session());
        std::iter::once(own.user_session()).chain(others).collect()
    }

    /// Whether a session of that key and user lives.
    pub(crate) fn is_active(&self, key: &str, user: &str) -> bool {
        self.live()
            .values()
            .any(|session| session.key == key && session.user_name.eq_ignore_ascii_case(user))
    }
}

/// `backup@vsphere.local` comes back as `VSPHERE.LOCAL\backup`.
fn user_name(login: &str) -> String {
    match login.split_once('@') {
        Some((user, domain)) => format!("{}\\{user}", domain.to_uppercase()),
        None => login.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_sessions_end_and_active_ones_do_not() {
        let sessions = Sessions::default();
        let client = Client::default();
        let (first, session) = sessions
            .open("backup@vsphere.local", "en", &client, 0)
            .unwrap();
        let (second, _) = sessions.open("root", "en", &client, 0).unwrap();
        assert_eq!(session.user_name, "VSPHERE.LOCAL\\backup");
        assert_eq!(session.user_session().disagreement(), None);
        assert_ne!(first, session.key);
        let login = Some("backup@vsphere.local".to_owned());
        assert_eq!(sessions.touch(&first, 900), login);
        assert!(sessions.expire(999, 1000).is_empty());
        assert_eq!(sessions.expire(1500, 1000), [second.as_str()]);
        assert_eq!(sessions.touch(&first, 1500), login);
        assert_eq!(sessions.touch(&second, 1500), None);
        assert!(sessions.is_active(&session.key, "vsphere.local\\backup"));
        sessions.end(&first);
        assert!(!sessions.is_active(&session.key, "VSPHERE.LOCAL\\backup"));
    }
}
