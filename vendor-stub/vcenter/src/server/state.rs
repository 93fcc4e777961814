//! What all requests share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lab::{Catalog, Fault as Ordered, Lab};
use serde_json::{Value as Json, json};

use crate::Options;
use crate::changes::Changes;
use crate::clock::Clock;
use crate::schema::Version;
use crate::session::Sessions;
use crate::soap::{Dialect, Fault};
use crate::task::Tasks;
use crate::ticket::Tickets;
use crate::world::lab_fault;

/// Lab, sessions and tasks of one server.
#[derive(Debug)]
pub(crate) struct State {
    /// The lab served.
    pub(crate) lab: Lab,
    /// What of it is kept in memory.
    pub(crate) catalog: Catalog,
    /// The settings.
    pub(crate) options: Options,
    /// The server's time.
    pub(crate) clock: Arc<Clock>,
    /// Who is logged in.
    pub(crate) sessions: Sessions,
    /// What runs.
    pub(crate) tasks: Tasks,
    /// Tickets for requests without a session.
    pub(crate) service_tickets: Tickets,
    idle_ms: u64,
    /// Held while the lab is told of a session, so that no late word revives one that ended.
    telling: Mutex<()>,
}

impl State {
    /// The state of a new server. `idle_secs` = 0 means that sessions never idle out.
    pub(crate) fn new(
        lab: Lab,
        options: Options,
        clock: Arc<Clock>,
        tasks: Tasks,
        idle_secs: u64,
    ) -> Self {
        Self {
            catalog: lab.catalog(),
            lab,
            options,
            clock,
            sessions: Sessions::default(),
            tasks,
            service_tickets: Tickets::default(),
            telling: Mutex::new(()),
            idle_ms: match idle_secs {
                0 => u64::MAX,
                secs => secs.saturating_mul(1000),
            },
        }
    }

    /// Marks the session of that cookie as active; `false` when there is none.
    pub(crate) fn touch(&self, cookie: &str) -> bool {
        self.expire_sessions();
        let Some(login) = self.sessions.touch(cookie, self.clock.now_ms()) else {
            return false;
        };
        self.publish_session(cookie, &login);
        true
    }

    /// The manner of answering a request with that `SOAPAction`.
    pub(crate) fn dialect(&self, action: Option<&str>) -> Result<Dialect, Fault> {
        let site = self.catalog.site().map_err(|error| lab_fault(&error))?;
        Ok(Dialect {
            version: Version::asked(action, &site.api_version),
            bare_host: self.options.bare_host || site.bare_host,
            form: self.options.form.clone(),
        })
    }

    /// What tells waiting calls that something changed in this process.
    pub(crate) fn changes(&self) -> &Changes {
        self.tasks.changes()
    }

    /// Keeps a session from idling out while a call of it waits; `false` = it ended.
    pub(crate) fn keep(&self, cookie: &str) -> bool {
        self.expire_sessions();
        self.sessions.keep(cookie, self.clock.now_ms())
    }

    /// Tells the lab that a session lives, so that the library accepts its cookie.
    pub(crate) fn publish_session(&self, cookie: &str, login: &str) {
        let _telling = self.telling();
        if self.sessions.with(Some(cookie), |_| ()).is_none() {
            return; // It ended meanwhile.
        }
        let idle_ms = (self.idle_ms != u64::MAX).then_some(self.idle_ms);
        told(self.lab.publish_session(cookie, login, idle_ms));
    }

    fn telling(&self) -> MutexGuard<'_, ()> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session of that cookie, here and for the library.
    pub(crate) fn end_session(&self, cookie: &str) {
        let _telling = self.telling();
        self.sessions.end(cookie);
        self.changes().tell();
        told(self.lab.end_session(cookie));
    }

    /// Ends the sessions that idled out.
    pub(crate) fn expire_sessions(&self) {
        let _telling = self.telling();
        for cookie in self.sessions.expire(self.clock.now_ms(), self.idle_ms) {
            told(self.lab.end_session(&cookie));
        }
    }

    /// Counts a call and returns the fault a test ordered for it.
    pub(crate) fn ordered_fault(&self, method: &str) -> Result<Option<Ordered>, Fault> {
        let next = self.lab.faults().next(method);
        next.map_err(|error| lab_fault(&error))
    }

    /// Writes one line to the journal of the lab.
    pub(crate) fn record(&self, method: &str, args: Json, result: Result<(), &Fault>) {
        let result = match result {
            Ok(()) => json!("ok"),
            Err(fault) => json!(fault.type_name()),
        };
        let journal = self.lab.journal();
        if let Err(error) = journal.record("vcenter", method, args, result) {
            tracing::warn!(%error, method, "journal not written");
        }
    }
}

/// A session that the library is not told of is still one here.
fn told(result: Result<(), lab::Error>) {
    if let Err(error) = result {
        tracing::warn!(%error, "session not told to the lab");
    }
}
