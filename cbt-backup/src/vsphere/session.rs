//! The session: one cookie, and how often it was renewed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use super::client::read_timestamp;
use super::http::SESSION_COOKIE;
use super::property::Properties;
use super::xml::{Reader, Tag, XmlError};
use crate::secret::Secret;

/// A session as the server sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserSession {
    /// Its key in the server's list. It is not the cookie and no secret.
    pub key: String,
    /// The user as the server spells the name, which may be another way than at the login.
    pub user_name: String,
    /// The person's name, or the user's again.
    pub full_name: String,
    /// When it began.
    pub login_time: Option<Timestamp>,
}

impl UserSession {
    /// Reads a `UserSession`.
    pub(super) fn read(r: &mut Reader<'_>, tag: &Tag) -> Result<Self, XmlError> {
        let mut session = Self::default();
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "key" => session.key = r.text(tag)?,
                "userName" => session.user_name = r.text(tag)?,
                "fullName" => session.full_name = r.text(tag)?,
                "loginTime" => session.login_time = Some(read_timestamp(r, tag)?),
                _ => {}
            }
            Ok(())
        })?;
        if session.key.is_empty() {
            return Err(XmlError::Missing {
                element: "key",
                inside: "UserSession",
            });
        }
        Ok(session)
    }
}

/// What is read of the session manager.
#[derive(Debug, Default)]
pub(super) struct SessionProperties {
    pub(super) current: Option<UserSession>,
}

impl Properties for SessionProperties {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        if path == "currentSession" {
            self.current = Some(UserSession::read(r, value)?);
        }
        Ok(())
    }
}

/// What is shared by all clones of a client and changes over time.
pub(super) struct Session {
    state: Mutex<State>,
    /// Held while logging in, so that it happens once however many calls notice.
    pub(super) login: Arc<tokio::sync::Mutex<()>>,
}

struct State {
    cookie: Option<HeaderValue>,
    user: Option<UserSession>,
    generation: u64,
    is_closed: bool,
    is_refused: bool,
    last_used: Instant,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                cookie: None,
                user: None,
                generation: 0,
                is_closed: false,
                is_refused: false,
                last_used: Instant::now(),
            }),
            login: Arc::default(),
        }
    }

    /// The number of the login that calls made now rest on.
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// The cookie to send and the login it belongs to.
    pub(super) fn cookie(&self) -> (Option<HeaderValue>, u64) {
        let state = self.lock();
        (state.cookie.clone(), state.generation)
    }

    /// Takes the cookie of an answer, unless there was another login since its request.
    pub(super) fn renew(&self, cookie: Option<HeaderValue>, generation: u64) {
        let mut state = self.lock();
        // Also while the client is closed: a login under way has to be ended by its cookie.
        if cookie.is_some() && state.generation == generation {
            state.cookie = cookie;
        }
    }

    /// Forgets the session that is gone.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        state.cookie = None;
        state.user = None;
        state.generation += 1;
    }

    /// Notes a login that worked.
    pub(super) fn logged_in(&self, user: UserSession) {
        self.lock().user = Some(user);
    }

    /// Takes over the cookie of another session; nothing if it is none.
    pub(super) fn adopt(&self, cookie: &Secret) -> Option<()> {
        let value = cookie.expose().trim();
        let value = value.strip_prefix(SESSION_COOKIE).unwrap_or(value);
        if value.is_empty() || value.contains(';') {
            return None;
        }
        let pair = Zeroizing::new([SESSION_COOKIE, value].concat());
        let mut header = HeaderValue::from_str(&pair).ok()?;
        header.set_sensitive(true);
        self.lock().cookie = Some(header);
        Some(())
    }

    /// The cookie's value.
    pub(super) fn cookie_value(&self) -> Option<Secret> {
        let state = self.lock();
        let pair = state.cookie.as_ref()?.to_str().ok()?;
        let value = pair.strip_prefix(SESSION_COOKIE)?;
        Some(Secret::new(value.to_owned()))
    }

    /// `UserSession.key`, which is not the cookie.
    pub(super) fn key(&self) -> String {
        let state = self.lock();
        state
            .user
            .as_ref()
            .map_or_else(String::new, |user| user.key.clone())
    }

    /// Who is logged in.
    pub(super) fn user(&self) -> Option<UserSession> {
        self.lock().user.clone()
    }

    /// Notes that the password is wrong.
    pub(super) fn refused(&self) {
        self.lock().is_refused = true;
    }

    pub(super) fn is_refused(&self) -> bool {
        self.lock().is_refused
    }

    /// Notes that a call has ended now.
    pub(super) fn used(&self) {
        self.lock().last_used = Instant::now();
    }

    /// The time since then.
    pub(super) fn idle(&self) -> Duration {
        self.lock().last_used.elapsed()
    }

    /// Marks the end; true the first time.
    pub(super) fn close(&self) -> bool {
        let mut state = self.lock();
        !std::mem::replace(&mut state.is_closed, true)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment: a panic elsewhere leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Session")
            .field("generation", &state.generation)
            .field("is_closed", &state.is_closed)
            .finish_non_exhaustive()
    }
}
