//! Retention, and what happens to packs.

use crate::scene::Scene;
use crate::set::Set;
use crate::state::{Moves, OLD_PACK, State};

/// Adds the steps of retention, of rot, and of whoever verifies.
pub(crate) fn steps(scene: &Scene, state: &State, moves: &mut Moves<'_>) {
    let store = &state.store;
    for point in (scene.dropped - state.dropped).iter() {
        let lives = (0..scene.sessions()).any(|root| {
            scene.point(root) == point && store.roots.has(root) && !store.is_fenced(root)
        });
        if lives {
            let mut state = *state;
            state.store.dead = store.dead.with(point);
            state.dropped = state.dropped.with(point);
            moves.add("retention", point, "puts a tombstone", state);
        }
    }
    if !scene.rot {
        return;
    }
    if store.lost.is_empty() && store.packs.has(OLD_PACK) {
        let mut state = *state;
        state.store.packs = store.packs.without(OLD_PACK);
        state.store.lost = Set::of(OLD_PACK);
        moves.add("rot", OLD_PACK, "takes a pack", state);
    }
    if store.quarantine.is_none() && !store.lost.is_empty() {
        let mut state = *state;
        state.store.quarantine = Some(store.lost);
        moves.add("verify", OLD_PACK, "puts a pack into quarantine", state);
    }
}
