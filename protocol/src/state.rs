//! Everything that is: the store, what each actor knows, and what the world remembers.

use std::fmt;

use crate::explore::Model;
use crate::reader;
use crate::retention;
use crate::scene::Scene;
use crate::set::Set;
use crate::store::{SESSIONS, SWEEPS, Store};
use crate::sweep::{self, Sweep};
use crate::variant::Variant;
use crate::writer::{self, Writer};

/// The older of the two packs that the point of the past needs. The other has its session's number.
pub const OLD_PACK: u8 = 7;

/// A state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The objects.
    pub store: Store,
    /// Writing sessions; the first place is not used.
    pub writers: [Writer; SESSIONS],
    /// Sweeps.
    pub sweeps: [Sweep; SWEEPS],
    /// The reader.
    pub reader: reader::At,
    /// Sessions that have reported success. The one of the past has.
    pub success: Set,
    /// Points that retention has dropped.
    pub dropped: Set,
    /// Roots of committed points that were lost.
    pub missing: Set,
    /// The time for which what they need is held is over.
    pub late: bool,
}

/// One step of one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What sort of actor.
    pub actor: &'static str,
    /// Its number.
    pub number: u8,
    /// What it does.
    pub what: &'static str,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.actor, self.number, self.what)
    }
}

/// Where the steps that can follow are put.
pub(crate) struct Moves<'a>(&'a mut Vec<(Step, State)>);

impl Moves<'_> {
    pub(crate) fn add(&mut self, actor: &'static str, number: u8, what: &'static str, to: State) {
        let step = Step {
            actor,
            number,
            what,
        };
        self.0.push((step, to));
    }
}

impl Model for Scene {
    type State = State;
    type Step = Step;

    fn start(&self) -> State {
        let packs = Set::of(0).with(OLD_PACK);
        let mut refs = [Set::EMPTY; SESSIONS];
        refs[0] = packs;
        State {
            store: Store {
                packs,
                tables: Set::of(0),
                refs,
                roots: Set::of(0),
                ..Store::default()
            },
            writers: [Writer::default(); SESSIONS],
            sweeps: [Sweep::default(); SWEEPS],
            reader: reader::At::default(),
            success: Set::of(0),
            dropped: Set::EMPTY,
            missing: Set::EMPTY,
            late: false,
        }
    }

    fn steps(&self, state: &State, next: &mut Vec<(Step, State)>) {
        let mut moves = Moves(next);
        for session in 1..self.sessions() {
            writer::steps(self, state, session, &mut moves);
        }
        for sweep in 0..self.sweeps {
            sweep::steps(self, state, sweep, &mut moves);
        }
        reader::steps(self, state, &mut moves);
        retention::steps(self, state, &mut moves);
    }

    fn broken(&self, state: &State) -> Option<&'static str> {
        let store = &state.store;
        let living: Set = (0..self.sessions())
            .filter(|root| store.roots.has(*root))
            .filter(|root| !store.dead.has(self.point(*root)) && !store.is_fenced(*root))
            .collect();
        if !living.iter().all(|root| store.is_whole(root)) {
            return Some("a living root finds all its packs");
        }
        let lives = |point: u8| living.iter().any(|root| self.point(root) == point);
        for session in state.success.iter() {
            let point = self.point(session);
            if !state.dropped.has(point) && !state.missing.has(session) && !lives(point) {
                return Some("a point that was reported lives until retention drops it");
            }
            let knew = state.writers[usize::from(session)].knew_quarantine;
            let refs = store.refs[usize::from(session)];
            let whole = refs.is_in(store.packs);
            let lost_since = store.lost - store.quarantine.unwrap_or_default();
            if knew && lives(point) && !whole && (refs & lost_since).is_empty() {
                return Some("a backup that knew the quarantine heals");
            }
        }
        for session in state.missing.iter().filter(|_| !state.late) {
            let there = store.packs.has(session) && store.tables.has(session);
            let comes_back = there && !store.is_fenced(session);
            if !state.dropped.has(self.point(session)) && !comes_back {
                return Some("a lost root can be brought back until its time is over");
            }
        }
        for point in (state.dropped - store.dead).iter() {
            if lives(point) {
                return Some("a point that was dropped stays so");
            }
        }
        if let (reader::At::Reading, Some(point)) = (state.reader, self.reader) {
            let readable = |root: u8| {
                self.point(root) == point
                    && store.roots.has(root)
                    && !store.is_fenced(root)
                    && store.is_whole(root)
            };
            if !(0..self.sessions()).any(readable) {
                return Some("a reader loses nothing while it reads");
            }
        }
        // Harmless by itself, so it does not count where real damage is looked for.
        let tidy = matches!(self.variant, Variant::Right | Variant::NeverWithdraw);
        for sweep in (0..self.sweeps).filter(|_| tidy) {
            let index = usize::from(sweep);
            let own = store.proposed[index] - store.fenced[index];
            if state.sweeps[index].at == sweep::At::Done && !own.is_empty() {
                return Some("a sweep that ended leaves no proposal undecided");
            }
        }
        None
    }
}
