//! Versions: what a collector reported, and what it knows the client to have.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::update::Item;
use crate::soap::Fault;
use crate::value::{MoRef, Value};

/// What was reported through one filter.
#[derive(Clone, Debug, Default)]
pub(super) struct Reported {
    /// The set properties of the objects inside.
    pub(super) objects: HashMap<MoRef, Vec<(String, Value)>>,
    /// Start objects that were told to be missing.
    pub(super) missing: HashSet<MoRef>,
}

/// What was reported, by filter.
pub(super) type State = HashMap<String, Arc<Reported>>;

/// The newest version sent and the one the client confirmed by using it. A client that
/// lost an answer asks with the older one again ("vSphere Web Services API" 1.14).
#[derive(Debug, Default)]
pub(super) struct Versions {
    last: u64,
    confirmed: Option<(String, State)>,
    sent: Option<Sent>,
}

#[derive(Debug)]
struct Sent {
    version: String,
    state: State,
    /// Of the same computation, not sent yet.
    rest: VecDeque<Item>,
}

/// How a call goes on.
#[derive(Debug)]
pub(super) enum Next {
    /// Compare the world with this.
    Compare(State),
    /// Send more of a computation that was cut.
    More,
}

impl Versions {
    /// Takes the version a client uses. `truncates` = the method knows truncated sets.
    pub(super) fn used(&mut self, version: &str, truncates: bool) -> Result<Next, Fault> {
        let unknown = || Fault::new("InvalidCollectorVersion", "");
        if version.is_empty() {
            self.sent = None;
            self.confirmed = Some((String::new(), State::new()));
        } else if let Some(sent) = self.sent.take_if(|sent| sent.version == version) {
            if !sent.rest.is_empty() {
                if !truncates {
                    return Err(unknown());
                }
                // The version is spent, and so is every one before.
                self.confirmed = None;
                self.sent = Some(Sent {
                    version: String::new(),
                    ..sent
                });
                return Ok(Next::More);
            }
            self.confirmed = Some((sent.version, sent.state));
        }
        match &self.confirmed {
            Some((confirmed, state)) if confirmed == version => {
                let state = state.clone();
                self.sent = None;
                Ok(Next::Compare(state))
            }
            _ => Err(unknown()),
        }
    }

    /// Keeps what a computation found, to be sent by [`Versions::send`].
    pub(super) fn found(&mut self, state: State, items: VecDeque<Item>) {
        self.sent = Some(Sent {
            version: String::new(),
            state,
            rest: items,
        });
    }

    /// The next items, at most `limit`, the version they carry, and whether more follow.
    pub(super) fn send(&mut self, limit: usize) -> Option<(String, Vec<Item>, bool)> {
        let sent = self.sent.as_mut()?;
        self.last += 1;
        sent.version = self.last.to_string();
        let count = sent.rest.len().min(limit);
        let items = sent.rest.drain(..count).collect();
        Some((sent.version.clone(), items, !sent.rest.is_empty()))
    }
}
