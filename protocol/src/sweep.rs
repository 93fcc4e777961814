//! A sweep: list, condemn, wait or fence, mark again, delete, clean.
//!
//! Packs and announcements are listed in one step each. That hides nothing: what a sweep does about a
//! pack depends on that pack's key and on its session's key alone, so a listing that takes its time
//! does to one pack what a listing at the moment of that pack's key does. Roots, tombstones and fences
//! are looked at one by one, because a mark depends on several of them.

use crate::scene::Scene;
use crate::set::Set;
use crate::state::{Moves, State};
use crate::store::Store;
use crate::variant::Variant;

/// Where a sweep is in its work. Numbers are sessions, or points where tombstones are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum At {
    /// Lists packs.
    #[default]
    ListPacks,
    /// Lists announcements.
    ListOpen,
    /// First mark: looks for a root.
    Root(u8),
    /// First mark: looks for a tombstone.
    Dead(u8),
    /// First mark: looks for fences of a root.
    Fenced(u8),
    /// Looks for a lost root: whether a session is announced.
    MissedOpen(u8),
    /// Looks for a lost root: whether the root is there.
    MissedRoot(u8),
    /// Looks for a lost root: whether the session was fenced.
    MissedFence(u8),
    /// Looks for a lost root: whether a sweep has condemned its table, then for the table.
    MissedTable(u8),
    /// Publishes the list of condemned packs.
    Condemn,
    /// Looks whether a session is still open: it waits, or fences.
    Session(u8),
    /// Proposes a fence.
    Propose(u8),
    /// Looks for the root of the session it wants to fence.
    FindRoot(u8),
    /// Looks for the usage table of the session it wants to fence.
    FindTable(u8),
    /// Takes the proposal back, because the table is there.
    WithdrawAndHold(u8),
    /// Makes the fence final.
    Final(u8),
    /// Takes the proposal back.
    Withdraw(u8),
    /// Looks for other fences of a session that has its root.
    OtherFences(u8),
    /// Removes the announcement that a session left.
    RemoveOpen(u8),
    /// Second mark: looks for a root.
    RootAgain(u8),
    /// Second mark: looks for a tombstone.
    DeadAgain(u8),
    /// Second mark: looks for fences of a root.
    FencedAgain(u8),
    /// Looks for pins.
    Pins,
    /// Deletes condemned packs, one at a time.
    Delete,
    /// Deletes the list.
    Retract,
    /// Cleaning: looks at the fences of a session.
    CleanFenced(u8),
    /// Cleaning: looks for the tombstone of a root's point.
    CleanDead(u8),
    /// Cleaning: looks for pins of it.
    CleanPin(u8),
    /// Cleaning: deletes a root.
    CleanRoot(u8),
    /// Cleaning: looks for the root of a higher generation.
    CleanHigher,
    /// Cleaning: looks for fences of that generation.
    CleanHigherFence,
    /// Cleaning: deletes the old generation.
    CleanOld,
    /// Cleaning: deletes the tombstone of a point.
    CleanTombstone(u8),
    /// Cleaning: deletes the list of that other sweep when its packs are all gone.
    CleanList(u8),
    /// Is done.
    Done,
}

/// What a sweep knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sweep {
    /// The next step.
    pub at: At,
    /// The packs it found first, then those it condemned.
    pub packs: Set,
    /// Sessions that were announced when it listed them.
    pub open: Set,
    /// Roots it saw in the mark it makes.
    pub roots: Set,
    /// Points whose tombstones it saw in the mark it makes.
    pub dead: Set,
    /// Packs that are kept.
    pub kept: Set,
    /// Points that had a tombstone and no root in the first mark, nor, once it was made, a root in
    /// the second.
    pub rootless: Set,
}

/// Adds the steps of a sweep.
pub(crate) fn steps(scene: &Scene, state: &State, sweep: u8, moves: &mut Moves<'_>) {
    let index = usize::from(sweep);
    let me = &state.sweeps[index];
    let store = &state.store;
    let wrong = scene.variant;
    let mut go = |what: &'static str, change: &dyn Fn(&mut Store, &mut Sweep)| {
        let mut state = *state;
        let mut sweep_now = *me;
        change(&mut state.store, &mut sweep_now);
        state.sweeps[index] = sweep_now;
        moves.add("sweep", sweep, what, state);
    };
    // Where the fences of this sweep are.
    let key = if wrong == Variant::SharedFenceKey {
        0
    } else {
        index
    };
    match me.at {
        At::ListPacks => go("lists packs", &|store, me| {
            me.packs = store.packs;
            me.at = At::ListOpen;
        }),
        At::ListOpen => go("lists announcements", &|store, me| {
            me.open = store.open;
            me.at = At::Root(0);
        }),
        At::Root(root) => go("looks for a root", &|store, me| {
            look_for_root(store, me, root);
            me.at = next(scene, root).map_or(At::Dead(0), At::Root);
        }),
        At::Dead(point) => go("looks for a tombstone", &|store, me| {
            look_for_tombstone(store, me, point);
            me.at = next_point(scene, point).map_or(At::Fenced(0), At::Dead);
        }),
        At::Fenced(root) => go("looks for fences of a root", &|store, me| {
            mark(scene, store, me, root);
            me.at = next(scene, root).map_or(
                if scene.loss {
                    At::MissedOpen(0)
                } else {
                    At::Condemn
                },
                At::Fenced,
            );
        }),
        // Elsewhere no root is lost, and to hold more is always safe.
        At::MissedOpen(session) => {
            let ended = !store.open.has(session);
            go("misses a root: looks whether it is announced", &|_, me| {
                me.at = next_missed(scene, session, ended, At::MissedRoot);
            });
        }
        At::MissedRoot(session) => {
            let missed = !store.roots.has(session);
            go("misses a root: looks for it", &|_, me| {
                me.at = next_missed(scene, session, missed, At::MissedFence);
            });
        }
        At::MissedFence(session) => {
            let fenced = match wrong {
                Variant::ProposalHidesLoss => store.has_fence(session),
                _ => store.is_fenced(session),
            };
            go("misses a root: looks for fences", &|_, me| {
                me.at = next_missed(scene, session, !fenced, At::MissedTable);
            });
        }
        At::MissedTable(session) => {
            let mut lists = store.lists.iter().flatten();
            let held =
                store.tables.has(session) && !lists.any(|list| list.has(session)) && !state.late;
            go("misses a root: looks for the table", &|store, me| {
                if held {
                    me.kept = me.kept | store.refs[usize::from(session)];
                }
                me.at = next_missed(scene, session, false, At::MissedTable);
            });
        }
        At::Condemn => go("publishes its list", &|store, me| {
            let theirs: Set = me.packs.iter().filter(|pack| me.open.has(*pack)).collect();
            me.rootless = me.dead & rootless(scene, me.roots);
            me.packs = me.packs - me.kept - theirs;
            if wrong != Variant::NoList {
                store.lists[index] = Some(me.packs);
            }
            *me = Sweep {
                packs: me.packs,
                rootless: me.rootless,
                // The first mark is forgotten, except by who deletes by it.
                at: if wrong == Variant::NoWaiting || scene.sessions() == 1 {
                    At::RootAgain(0)
                } else {
                    At::Session(1)
                },
                ..Sweep::default()
            };
        }),
        At::Session(session) => {
            let after = next(scene, session).map_or(At::RootAgain(0), At::Session);
            if store.open.has(session) {
                // To wait is to take no step.
                go("takes a session for dead", &|store, me| {
                    me.at = At::Propose(session);
                    if wrong == Variant::TableBeforeProposal && store.tables.has(session) {
                        me.kept = me.kept | store.refs[usize::from(session)];
                        me.at = after;
                    }
                });
                // Who has its root takes over nothing more: there is nothing to wait for.
                if store.roots.has(session) {
                    go("finds a session's root", &|_, me| {
                        me.at = At::OtherFences(session);
                    });
                }
            } else {
                go("finds a session closed", &|_, me| me.at = after);
            }
        }
        At::Propose(session) => go("proposes a fence", &|store, me| {
            let fences = if wrong == Variant::OneStepFence {
                &mut store.fenced[key]
            } else {
                &mut store.proposed[key]
            };
            *fences = fences.with(session);
            me.at = At::FindRoot(session);
        }),
        At::FindRoot(session) => {
            let after = next(scene, session).map_or(At::RootAgain(0), At::Session);
            let there = store.roots.has(session);
            go("looks for the session's root", &|_, me| {
                me.at = match (there, wrong) {
                    (true, Variant::NeverWithdraw) => At::OtherFences(session),
                    (true, _) => At::Withdraw(session),
                    (false, Variant::NeverFinal | Variant::OneStepFence) => after,
                    (false, Variant::TableUnasked | Variant::TableBeforeProposal) => {
                        At::Final(session)
                    }
                    (false, _) => At::FindTable(session),
                };
            });
        }
        At::FindTable(session) => {
            let there = store.tables.has(session);
            if !there || !scene.loss || state.late {
                let what = if there {
                    "has held the packs of the table long enough"
                } else {
                    "finds no table"
                };
                go(what, &|_, me| me.at = At::Final(session));
            }
            // From now on it takes over nothing more: what it needs is known.
            if there && !state.late {
                go("finds the table, and holds its packs", &|store, me| {
                    let needs = store.refs[usize::from(session)];
                    me.kept = me.kept
                        | match wrong {
                            Variant::HoldsOwnPacks => Set::of(session),
                            _ => needs,
                        };
                    // Its root may come yet, and its point must then be as dead as it was.
                    if wrong != Variant::HoldForgetsTombstone {
                        me.rootless = Set::EMPTY;
                    }
                    me.at = At::WithdrawAndHold(session);
                });
            }
        }
        At::WithdrawAndHold(session) => go("withdraws its proposal and holds", &|store, me| {
            store.proposed[key] = store.proposed[key].without(session);
            me.at = next(scene, session).map_or(At::RootAgain(0), At::Session);
        }),
        At::Final(session) => go("makes the fence final", &|store, me| {
            store.fenced[key] = store.fenced[key].with(session);
            me.at = next(scene, session).map_or(At::RootAgain(0), At::Session);
        }),
        At::Withdraw(session) => go("withdraws its proposal", &|store, me| {
            let fences = if wrong == Variant::OneStepFence {
                &mut store.fenced[key]
            } else {
                &mut store.proposed[key]
            };
            *fences = fences.without(session);
            me.at = At::OtherFences(session);
        }),
        At::OtherFences(session) => {
            let after = next(scene, session).map_or(At::RootAgain(0), At::Session);
            let other = store.has_fence(session);
            go("looks for other fences", &|_, me| {
                me.at = if other {
                    after
                } else {
                    At::RemoveOpen(session)
                };
            });
        }
        At::RemoveOpen(session) => go("removes an announcement", &|store, me| {
            store.open = store.open.without(session);
            me.at = next(scene, session).map_or(At::RootAgain(0), At::Session);
        }),
        At::RootAgain(root) => go("looks for a root again", &|store, me| {
            look_for_root(store, me, root);
            me.at = next(scene, root).map_or(At::DeadAgain(0), At::RootAgain);
        }),
        At::DeadAgain(point) => go("looks for a tombstone again", &|store, me| {
            look_for_tombstone(store, me, point);
            me.at = next_point(scene, point).map_or(At::FencedAgain(0), At::DeadAgain);
        }),
        At::FencedAgain(root) => go("looks for fences of a root again", &|store, me| {
            mark(scene, store, me, root);
            me.at = match next(scene, root) {
                Some(next) => At::FencedAgain(next),
                None if wrong == Variant::NoPins => At::Delete,
                None => At::Pins,
            };
            if wrong == Variant::NoSecondMark {
                me.kept = Set::EMPTY;
            }
        }),
        At::Pins => go("looks for pins", &|store, me| {
            // What is pinned counts though it is dead.
            let pinned = |root: &u8| Some(scene.point(*root)) == store.pin;
            for root in me.roots.iter().filter(pinned) {
                if !store.is_fenced(root) {
                    me.kept = me.kept | store.refs[usize::from(root)];
                }
            }
            me.at = At::Delete;
        }),
        At::Delete => match (me.packs - me.kept).first() {
            Some(pack) => go("deletes a pack", &|store, me| {
                store.packs = store.packs.without(pack);
                store.tables = store.tables.without(pack);
                me.packs = me.packs.without(pack);
            }),
            None => go("has deleted the packs", &|_, me| me.at = At::Retract),
        },
        At::Retract => go("deletes its list", &|store, me| {
            store.lists[index] = None;
            if wrong != Variant::TombstoneByFirstLook {
                me.rootless = me.rootless & rootless(scene, me.roots);
            }
            *me = Sweep {
                rootless: me.rootless,
                at: At::CleanFenced(0),
                ..Sweep::default()
            };
        }),
        At::CleanFenced(session) => {
            if store.is_fenced(session) && wrong != Variant::OneStepFence {
                // A final fence stays, so nothing can come in between.
                go("removes what a fenced session left", &|store, me| {
                    store.roots = store.roots.without(session);
                    store.open = store.open.without(session);
                    me.at = after_root(scene, session);
                });
            } else {
                go("finds no final fence", &|_, me| {
                    me.at = At::CleanDead(session);
                });
            }
        }
        At::CleanDead(session) => {
            let dead = store.dead.has(scene.point(session));
            go("looks whether a root is of a dead point", &|_, me| {
                me.at = if dead {
                    At::CleanPin(session)
                } else {
                    after_root(scene, session)
                };
            });
        }
        At::CleanPin(session) => {
            let pinned = store.pin == Some(scene.point(session));
            go("looks whether it is pinned", &|_, me| {
                me.at = if pinned {
                    after_root(scene, session)
                } else {
                    At::CleanRoot(session)
                };
            });
        }
        At::CleanRoot(session) => {
            go("removes a dead root, past the bin", &|store, me| {
                store.roots = store.roots.without(session);
                me.at = after_root(scene, session);
            });
            go("leaves a dead root in the bin", &|_, me| {
                me.at = after_root(scene, session);
            });
        }
        At::CleanHigher => {
            let higher = scene.compactor().unwrap_or_default();
            let there = store.roots.has(higher);
            go("looks for a higher generation", &|_, me| {
                me.at = if there {
                    At::CleanHigherFence
                } else {
                    At::CleanTombstone(0)
                };
            });
        }
        At::CleanHigherFence => {
            let higher = scene.compactor().unwrap_or_default();
            let committed = match wrong {
                Variant::OldGenerationUntested => true,
                Variant::OldGenerationWhenClosed => !store.open.has(higher),
                _ => !store.has_fence(higher),
            };
            go("looks whether it is committed", &|_, me| {
                me.at = if committed {
                    At::CleanOld
                } else {
                    At::CleanTombstone(0)
                };
            });
        }
        At::CleanOld => go("removes an old generation", &|store, me| {
            store.roots = store.roots.without(0);
            me.at = At::CleanTombstone(0);
        }),
        At::CleanTombstone(point) => {
            let rootless = me.rootless.has(point);
            go("removes a tombstone without roots", &|store, me| {
                if rootless {
                    store.dead = store.dead.without(point);
                }
                me.at = match next_point(scene, point) {
                    Some(point) => At::CleanTombstone(point),
                    None => after_tombstones(scene, sweep, 0),
                };
                if !matches!(me.at, At::CleanTombstone(_)) {
                    me.rootless = Set::EMPTY;
                }
            });
        }
        At::CleanList(number) => go("looks at another sweep's list", &|store, me| {
            // Neither a list nor the packs it names can come back, so nothing comes in between.
            let other = usize::from(number);
            let gone = |list: Set| (list & store.packs).is_empty();
            if store.lists[other].is_some_and(|list| gone(list) || wrong == Variant::ListOfOthers) {
                store.lists[other] = None;
            }
            me.at = after_tombstones(scene, sweep, number + 1);
        }),
        At::Done => {}
    }
}

fn look_for_root(store: &Store, me: &mut Sweep, root: u8) {
    if store.roots.has(root) {
        me.roots = me.roots.with(root);
    }
}

fn look_for_tombstone(store: &Store, me: &mut Sweep, point: u8) {
    if store.dead.has(point) {
        me.dead = me.dead.with(point);
    }
}

/// Keeps the packs of a root that was seen and lives.
fn mark(scene: &Scene, store: &Store, me: &mut Sweep, root: u8) {
    let hidden = match scene.variant {
        Variant::MarkSkipsProposed => store.has_fence(root),
        _ => store.is_fenced(root),
    };
    if me.roots.has(root) && !me.dead.has(scene.point(root)) && !hidden {
        me.kept = me.kept | store.refs[usize::from(root)];
    }
}

/// What comes after a look for a lost root: the next look, or the next session.
fn next_missed(scene: &Scene, session: u8, go_on: bool, look: fn(u8) -> At) -> At {
    if go_on {
        look(session)
    } else {
        next(scene, session).map_or(At::Condemn, At::MissedOpen)
    }
}

/// The points of which no root was seen.
fn rootless(scene: &Scene, roots: Set) -> Set {
    let points = |roots: Set| -> Set { roots.iter().map(|root| scene.point(root)).collect() };
    points((0..scene.sessions()).collect()) - points(roots)
}

fn next(scene: &Scene, session: u8) -> Option<u8> {
    (session + 1 < scene.sessions()).then_some(session + 1)
}

/// Only points that can be dropped have tombstones.
fn next_point(scene: &Scene, point: u8) -> Option<u8> {
    (point + 1..8).find(|point| scene.dropped.has(*point))
}

/// What is cleaned after a root.
fn after_root(scene: &Scene, session: u8) -> At {
    match next(scene, session) {
        Some(session) => At::CleanFenced(session),
        None if scene.compactor().is_some() => At::CleanHigher,
        None => At::CleanTombstone(0),
    }
}

/// What is cleaned after the tombstones: the lists of the other sweeps from number `from` on.
fn after_tombstones(scene: &Scene, sweep: u8, from: u8) -> At {
    let other = (from..scene.sweeps).find(|other| *other != sweep);
    other.map_or(At::Done, At::CleanList)
}
