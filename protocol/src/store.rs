//! What is in the store. Each change of it is one step, and so is each look at one key.
//!
//! Sessions, points, packs and sweeps are small numbers. A session has one pack of its own number and
//! at most one root, which is what the order of its steps allows. Session 0 is of the past: it made
//! point 0, and its root and pack are there from the start.

use crate::set::Set;

/// Sessions there can be.
pub const SESSIONS: usize = 4;
/// Sweeps there can be.
pub const SWEEPS: usize = 3;

/// The objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// `open/<session>` of writers.
    pub open: Set,
    /// `open/<session>` of the reader, with the point it pins.
    pub pin: Option<u8>,
    /// `pack/<session>/…`.
    pub packs: Set,
    /// The last of `pack/<session>/n…`: the usage table, which says what the root will need. It goes with
    /// the session's other pack.
    pub tables: Set,
    /// `point/<vm>/<point>/<generation>-<session>`.
    pub roots: Set,
    /// The packs that each table and its root name. They never change.
    pub refs: [Set; SESSIONS],
    /// `dead/<point>`.
    pub dead: Set,
    /// `fence/<session>/<sweep>.p`: the sessions, by sweep.
    pub proposed: [Set; SWEEPS],
    /// `fence/<session>/<sweep>.f`: the sessions, by sweep.
    pub fenced: [Set; SWEEPS],
    /// `sweep/<sweep>`: condemned packs.
    pub lists: [Option<Set>; SWEEPS],
    /// `sweep/q-<id>`: packs known lost.
    pub quarantine: Option<Set>,
    /// Packs that rot took. Nobody knows until somebody verifies.
    pub lost: Set,
}

impl Store {
    /// Whether a session has a final fence.
    pub fn is_fenced(&self, session: u8) -> bool {
        self.fenced.iter().any(|fenced| fenced.has(session))
    }

    /// Whether there is a fence of any kind.
    pub fn has_fence(&self, session: u8) -> bool {
        self.is_fenced(session) || self.proposed.iter().any(|proposed| proposed.has(session))
    }

    /// Whether all packs of a root are there, but for those that rot took.
    pub fn is_whole(&self, root: u8) -> bool {
        self.refs[usize::from(root)].is_in(self.packs | self.lost)
    }
}
