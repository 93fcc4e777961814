//! The session: one cookie, and how often it was renewed.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::header::HeaderValue;

/// What is shared by all clones of a client and changes over time.
pub(super) struct Session {
    state: Mutex<State>,
    /// Held while logging in, so that it happens once however many calls notice.
    pub(super) login: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    cookie: Option<HeaderValue>,
    key: String,
    generation: u64,
    is_closed: bool,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
            login: tokio::sync::Mutex::new(()),
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
        if cookie.is_some() && state.generation == generation && !state.is_closed {
            state.cookie = cookie;
        }
    }

    /// Forgets the session that is gone.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        state.cookie = None;
        state.key.clear();
        state.generation += 1;
    }

    /// Notes a login that worked.
    pub(super) fn logged_in(&self, key: String) {
        self.lock().key = key;
    }

    /// `UserSession.key`, which is not the cookie.
    pub(super) fn key(&self) -> String {
        self.lock().key.clone()
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
