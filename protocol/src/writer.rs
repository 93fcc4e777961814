//! A writing session: announce, look at condemned packs, choose a parent, upload, commit, look for
//! fences, report, close.

use crate::scene::{Scene, Writing};
use crate::set::Set;
use crate::state::{Moves, State};
use crate::store::SWEEPS;
use crate::variant::Variant;

/// Where a session is in its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum At {
    /// Puts `open/<session>`.
    #[default]
    Announce,
    /// Reads the list of a sweep.
    ReadList(u8),
    /// Reads the list of the quarantine.
    ReadQuarantine,
    /// Puts `open/<session>`, which is too late.
    AnnounceLate,
    /// Looks for the root of a candidate for the parent, by its place in the list.
    FindParent(u8),
    /// Looks for the tombstone of that candidate.
    ParentDead(u8),
    /// Looks for a final fence of that candidate.
    ParentFenced(u8),
    /// Reads what it takes over, where it must.
    Copy,
    /// Puts its pack.
    Upload,
    /// Puts its usage table.
    Table,
    /// Puts its root.
    Commit,
    /// Looks for a final fence of a sweep.
    LookFinal(u8),
    /// Looks for a proposal of a sweep.
    LookProposed(u8),
    /// Deletes its root, which it must not.
    DeleteRoot,
    /// Looks for a partial root that its own makes useless, by its place in the list.
    FindPartial(u8),
    /// Drops the point of that root.
    DropPartial(u8),
    /// Deletes `open/<session>`.
    Close,
    /// Is done.
    Done,
}

/// What a session knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writer {
    /// The next step.
    pub at: At,
    /// Packs it must not take over.
    pub condemned: Set,
    /// Packs it takes over from its parent.
    pub taken: Set,
    /// The last look for fences met a proposal.
    pub saw_proposal: bool,
    /// The quarantine was there when it read the lists.
    pub knew_quarantine: bool,
}

/// Adds the steps of a session.
pub(crate) fn steps(scene: &Scene, state: &State, session: u8, moves: &mut Moves<'_>) {
    let Some(writing) = scene.writing(session) else {
        return;
    };
    let store = &state.store;
    let me = &state.writers[usize::from(session)];
    let mut go = |what: &'static str, change: &dyn Fn(&mut State, &mut Writer)| {
        let mut state = *state;
        let mut writer = *me;
        change(&mut state, &mut writer);
        state.writers[usize::from(session)] = writer;
        moves.add("writer", session, what, state);
    };
    let wrong = scene.variant;
    match me.at {
        At::Announce => {
            let after = match writing {
                Writing::Backup { after, .. } => *after,
                _ => None,
            };
            if after.is_some_and(|before| !state.success.has(before)) {
                return;
            }
            let goes_on = after.filter(|_| wrong == Variant::RowGoesOn);
            if let Some(before) = goes_on {
                go("puts open and goes on", &|state, me| {
                    state.store.open = state.store.open.with(session);
                    me.taken = state.store.refs[usize::from(before)];
                    me.at = At::Upload;
                });
            } else if wrong == Variant::AnnounceLate {
                go("begins", &|_, me| me.at = At::ReadList(0));
            } else {
                go("puts open", &|state, me| {
                    state.store.open = state.store.open.with(session);
                    me.at = At::ReadList(0);
                });
            }
        }
        At::ReadList(sweep) => go("reads a sweep's list", &|state, me| {
            me.condemned = me.condemned | state.store.lists[usize::from(sweep)].unwrap_or_default();
            me.at = if sweep + 1 < scene.sweeps {
                At::ReadList(sweep + 1)
            } else if scene.rot {
                At::ReadQuarantine
            } else {
                lists_read(wrong)
            };
        }),
        At::ReadQuarantine => go("reads the quarantine", &|state, me| {
            me.condemned = me.condemned | state.store.quarantine.unwrap_or_default();
            me.knew_quarantine = state.store.quarantine.is_some();
            me.at = lists_read(wrong);
        }),
        At::AnnounceLate => go("puts open", &|state, me| {
            state.store.open = state.store.open.with(session);
            me.at = At::FindParent(0);
        }),
        At::FindParent(place) => {
            let Some(parent) = candidate(writing, place) else {
                let next = match writing {
                    Writing::Backup { .. } => At::Upload,
                    // There is nothing to work on.
                    Writing::Compaction | Writing::Undelete => At::Close,
                };
                go("finds no parent", &|_, me| me.at = next);
                return;
            };
            let there = store.roots.has(parent);
            go("looks for a root", &|_, me| {
                me.at = match (there, writing) {
                    (false, _) => At::FindParent(place + 1),
                    // A point in the bin is what it is for.
                    (true, Writing::Undelete) => At::ParentFenced(place),
                    (true, _) => At::ParentDead(place),
                };
            });
        }
        At::ParentDead(place) => {
            let parent = candidate(writing, place).unwrap_or_default();
            let dead = store.dead.has(scene.point(parent));
            go("looks for a tombstone", &|_, me| {
                me.at = if dead {
                    At::FindParent(place + 1)
                } else {
                    At::ParentFenced(place)
                };
            });
        }
        At::ParentFenced(place) => {
            let parent = candidate(writing, place).unwrap_or_default();
            let fenced = store.is_fenced(parent);
            let taken = store.refs[usize::from(parent)];
            go("looks for a final fence of a root", &|_, me| {
                me.at = match (fenced, writing) {
                    (true, _) => At::FindParent(place + 1),
                    (false, Writing::Backup { .. }) => At::Upload,
                    (false, _) => At::Copy,
                };
                if !fenced {
                    // What is condemned is read from the source again, into the own pack.
                    me.taken = taken;
                    if *writing != Writing::Undelete && wrong != Variant::IgnoreCondemned {
                        me.taken = taken - me.condemned;
                    }
                }
            });
        }
        At::Copy => {
            // Compaction moves the first pack's blobs into its own and leaves the others; what it
            // reads must be there. Undelete refuses when anything is condemned or missing.
            let undelete = *writing == Writing::Undelete;
            let moved = store.refs[0].first().map_or(Set::EMPTY, Set::of);
            let (needed, left) = if undelete {
                (me.taken, me.taken)
            } else {
                (moved | (store.refs[0] - me.taken), me.taken - moved)
            };
            let possible =
                needed.is_in(store.packs) && (!undelete || (needed & me.condemned).is_empty());
            go("reads what it copies", &|_, me| {
                me.taken = left;
                me.at = if possible { At::Upload } else { At::Close };
            });
        }
        At::Upload => go("puts its pack", &|state, me| {
            state.store.packs = state.store.packs.with(session);
            me.at = At::Table;
        }),
        At::Table => go("puts its table", &|state, me| {
            // Its other pack may have gone meanwhile, when it was fenced.
            state.store.tables = state.store.tables.with(session);
            state.store.refs[usize::from(session)] = me.taken.with(session);
            me.at = At::Commit;
        }),
        At::Commit => go("puts its root", &|state, me| {
            state.store.roots = state.store.roots.with(session);
            me.at = At::LookFinal(0);
            if wrong == Variant::NoFenceCheck {
                state.success = state.success.with(session);
                me.at = At::Close;
            }
        }),
        At::LookFinal(sweep) => {
            let fenced = store.fenced[usize::from(sweep)].has(session);
            go("looks for a final fence", &|_, me| {
                me.at = match (fenced, wrong) {
                    (false, _) => At::LookProposed(sweep),
                    (true, Variant::FencedWriterDeletes) => At::DeleteRoot,
                    (true, _) => At::Close,
                };
            });
        }
        At::LookProposed(sweep) => {
            let proposed = store.proposed[usize::from(sweep)].has(session);
            let saw = me.saw_proposal || proposed;
            let last = usize::from(sweep) + 1 == SWEEPS || sweep + 1 == scene.sweeps;
            if !last {
                go("looks for a proposal", &|_, me| {
                    me.saw_proposal = saw;
                    me.at = At::LookFinal(sweep + 1);
                });
                return;
            }
            if !saw {
                go("finds no fence: success", &|state, me| {
                    state.success = state.success.with(session);
                    me.at = after_success(writing, 0);
                });
                return;
            }
            go("has seen a proposal and looks again", &|_, me| {
                me.saw_proposal = false;
                me.at = At::LookFinal(0);
            });
            go("has seen a proposal and gives up", &|_, me| {
                me.saw_proposal = false;
                me.at = if wrong == Variant::FencedWriterDeletes {
                    At::DeleteRoot
                } else {
                    At::Close
                };
            });
        }
        At::DeleteRoot => go("deletes its root", &|state, me| {
            state.store.roots = state.store.roots.without(session);
            me.at = At::Close;
        }),
        At::FindPartial(place) => {
            let there = finished(writing, place).is_some_and(|partial| store.roots.has(partial));
            go("looks for a partial root", &|_, me| {
                me.at = if there {
                    At::DropPartial(place)
                } else {
                    after_success(writing, place + 1)
                };
            });
        }
        At::DropPartial(place) => {
            let point = finished(writing, place).map_or(0, |partial| scene.point(partial));
            go("drops a partial root", &|state, me| {
                state.store.dead = state.store.dead.with(point);
                state.dropped = state.dropped.with(point);
                me.at = after_success(writing, place + 1);
            });
        }
        At::Close => go("deletes open", &|state, me| {
            state.store.open = state.store.open.without(session);
            // What it knew has no effect any more.
            *me = Writer {
                at: At::Done,
                knew_quarantine: me.knew_quarantine,
                ..Writer::default()
            };
        }),
        At::Done => {}
    }
}

fn lists_read(variant: Variant) -> At {
    if variant == Variant::AnnounceLate {
        At::AnnounceLate
    } else {
        At::FindParent(0)
    }
}

/// The session whose partial root is dropped at a place of the list.
fn finished(writing: &Writing, place: u8) -> Option<u8> {
    match writing {
        Writing::Backup { finishes, .. } => finishes.get(usize::from(place)).copied(),
        Writing::Compaction | Writing::Undelete => None,
    }
}

fn after_success(writing: &Writing, place: u8) -> At {
    finished(writing, place).map_or(At::Close, |_| At::FindPartial(place))
}

/// The session whose root is looked for at a place of the list.
fn candidate(writing: &Writing, place: u8) -> Option<u8> {
    match writing {
        Writing::Backup { parents, .. } => parents.get(usize::from(place)).copied(),
        Writing::Compaction | Writing::Undelete => (place == 0).then_some(0),
    }
}
