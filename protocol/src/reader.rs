//! A reader: pin, look for the tombstone, find the root, read.

use crate::scene::Scene;
use crate::state::{Moves, State};

/// Where a reader is in its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum At {
    /// Puts `open/<session>` with the point in it.
    #[default]
    Pin,
    /// Looks for the tombstone.
    Tombstone,
    /// Looks for the root of a session, the last first: a higher generation is a later session.
    FindRoot(u8),
    /// Looks for a final fence of the root it found.
    Fenced(u8),
    /// Reads. All packs of a root of its point must be there.
    Reading,
    /// Deletes its announcement.
    Unpin,
    /// Is done.
    Done,
}

/// Adds the steps of the reader.
pub(crate) fn steps(scene: &Scene, state: &State, moves: &mut Moves<'_>) {
    let Some(point) = scene.reader else {
        return;
    };
    let store = &state.store;
    let mut go = |what: &'static str, at: At, pin: Option<u8>| {
        let mut state = *state;
        state.reader = at;
        state.store.pin = pin;
        moves.add("reader", point, what, state);
    };
    let last = scene.sessions() - 1;
    // The next session whose root could be of the point.
    let next = |session: u8| (0..session).rev().find(|one| scene.point(*one) == point);
    let or_give_up = |session: Option<u8>| session.map_or(At::Unpin, At::FindRoot);
    match state.reader {
        At::Pin => go("pins", At::Tombstone, Some(point)),
        At::Tombstone if store.dead.has(point) => {
            go("finds a tombstone", At::Unpin, store.pin);
        }
        At::Tombstone => go("finds no tombstone", or_give_up(next(last + 1)), store.pin),
        At::FindRoot(session) if store.roots.has(session) => {
            go("finds a root", At::Fenced(session), store.pin);
        }
        At::FindRoot(session) => go("finds no root", or_give_up(next(session)), store.pin),
        At::Fenced(session) if store.is_fenced(session) => {
            go("finds it fenced", or_give_up(next(session)), store.pin);
        }
        At::Fenced(_) => go("begins to read", At::Reading, store.pin),
        At::Reading => go("has read", At::Unpin, store.pin),
        At::Unpin => go("unpins", At::Done, None),
        At::Done => {}
    }
}
