//! Retention, and what happens to packs and roots.

use crate::scene::Scene;
use crate::set::Set;
use crate::state::{Moves, OLD_PACK, State};

/// Adds the steps of retention, of rot, of damage to roots, of time, and of whoever verifies.
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
    if scene.loss {
        loss(scene, state, moves);
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

/// The root of one committed point is lost: it was there, and no fence of any kind.
fn loss(scene: &Scene, state: &State, moves: &mut Moves<'_>) {
    let store = &state.store;
    let may_be_lost = |root: &u8| {
        state.missing.is_empty() && !store.has_fence(*root) && !store.dead.has(scene.point(*root))
    };
    for root in store.roots.iter().filter(may_be_lost) {
        let mut state = *state;
        state.store.roots = store.roots.without(root);
        state.missing = Set::of(root);
        moves.add("damage", root, "takes a root", state);
    }
    if !state.missing.is_empty() && !state.late {
        let mut state = *state;
        state.late = true;
        moves.add("time", 0, "for a lost root is over", state);
    }
}
