//! One process of the fleet.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use super::ground::Ground;
use crate::repo::tests::killed::{Dice, tell};
use crate::repo::{Error, PointId, SessionId};

/// What a process does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Backs this VM up.
    Writer(u64),
    /// Sweeps and compacts.
    Sweeper,
    /// Drops points and takes some back.
    Keeper,
    /// Reads points, pinned.
    Pinned,
    /// Reads points as one who cannot announce himself.
    Unpinned,
}

impl Role {
    pub(super) fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("writer", vm)) => Self::Writer(vm.parse().unwrap()),
            None if text == "sweeper" => Self::Sweeper,
            None if text == "keeper" => Self::Keeper,
            None if text == "pinned" => Self::Pinned,
            None if text == "unpinned" => Self::Unpinned,
            _ => panic!("no such role: {text}"),
        }
    }

    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Pinned | Self::Unpinned)
    }

    /// Whether a process of it may be stopped for a while. A pin does not outlast that: to a sweep the
    /// reader is dead.
    pub(super) fn may_pause(self) -> bool {
        self != Self::Pinned
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Writer(vm) => write!(f, "writer {vm}"),
            Self::Sweeper => f.write_str("sweeper"),
            Self::Keeper => f.write_str("keeper"),
            Self::Pinned => f.write_str("pinned"),
            Self::Unpinned => f.write_str("unpinned"),
        }
    }
}

pub(super) struct Worker {
    pub(super) ground: Ground,
    pub(super) dice: Dice,
}

impl Worker {
    pub(super) fn new(ground: Ground, dice: Dice) -> Self {
        Self { ground, dice }
    }

    /// Works, and never ends.
    pub(super) fn work(mut self, role: Role) {
        tell("begun");
        loop {
            match role {
                Role::Writer(vm) => self.write(vm),
                Role::Sweeper => self.tidy(),
                Role::Keeper => self.keep(),
                Role::Pinned => self.read_pinned(),
                Role::Unpinned => self.read_unpinned(),
            }
        }
    }

    /// Takes its time, as work on a real disk does.
    pub(super) fn dawdle(&mut self, most_ms: u64) {
        std::thread::sleep(Duration::from_millis(self.dice.throw(most_ms)));
    }

    /// Sessions that a sweep has fenced for good.
    pub(super) fn fenced(&self) -> HashSet<SessionId> {
        let fenced = self.ground.site.repo.fenced_sessions();
        self.ground.site.runtime.block_on(fenced).unwrap()
    }

    pub(super) fn lives(&self, point: PointId) -> bool {
        self.ground
            .points()
            .iter()
            .any(|living| living.id() == point)
    }
}

/// Tells that something happened which must not, and ends.
pub(super) fn accuse(what: &str, error: &Error) -> ! {
    panic!("{what}: {error}: {error:?}");
}
