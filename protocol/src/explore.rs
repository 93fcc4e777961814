//! Every state that can be reached, breadth first, and the shortest way to a broken promise.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash};

/// What is explored: a start, steps, and promises.
pub trait Model {
    /// Everything that is and everything that actors know.
    type State: Copy + Eq + Hash;
    /// What happens between two states.
    type Step: Copy;

    /// Where it begins.
    fn start(&self) -> Self::State;

    /// Adds every state that can follow, with what leads there.
    fn steps(&self, state: &Self::State, next: &mut Vec<(Self::Step, Self::State)>);

    /// The promise that is broken in a state, if any.
    fn broken(&self, state: &Self::State) -> Option<&'static str>;
}

/// How an exploration ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<S> {
    /// Every state was seen, and all promises hold in each.
    Safe {
        /// How many states there are.
        states: usize,
    },
    /// A promise is broken.
    Broken {
        /// Which.
        promise: &'static str,
        /// A shortest way there.
        trace: Vec<S>,
        /// States seen until then.
        states: usize,
    },
    /// There are more states than was allowed: nothing is proven.
    Unfinished {
        /// States seen.
        states: usize,
    },
}

/// Explores a model until the end, a broken promise, or `limit` states.
pub fn explore<M: Model>(model: &M, limit: usize) -> Outcome<M::Step> {
    let mut seen = Seen::<M>::default();
    seen.insert(model.start(), 0);
    let mut next = Vec::new();
    let mut at = 0;
    while at < seen.nodes.len() {
        let state = seen.nodes[at].state;
        if let Some(promise) = model.broken(&state) {
            return Outcome::Broken {
                promise,
                trace: seen.trace(model, at),
                states: seen.nodes.len(),
            };
        }
        if seen.nodes.len() > limit {
            let states = seen.nodes.len();
            return Outcome::Unfinished { states };
        }
        model.steps(&state, &mut next);
        for (_, state) in next.drain(..) {
            seen.insert(state, at);
        }
        at += 1;
    }
    Outcome::Safe {
        states: seen.nodes.len(),
    }
}

/// The states seen so far in the order they were found, each with the one it was first found from.
/// The step between them is not kept: memory is what limits the sets, and a trace is asked for once.
struct Seen<M: Model> {
    nodes: Vec<Node<M>>,
    /// Open addressing: 1 + the index of a node, or 0. Its length is a power of two.
    slots: Vec<u32>,
}

struct Node<M: Model> {
    state: M::State,
    from: u32,
}

impl<M: Model> Default for Seen<M> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            slots: vec![0; 1 << 12],
        }
    }
}

impl<M: Model> Seen<M> {
    fn insert(&mut self, state: M::State, from: usize) {
        if self.nodes.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mut slot = self.slot(&state);
        while let Some(index) = self.slots[slot].checked_sub(1) {
            if self.nodes[index as usize].state == state {
                return;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        let from = number(from);
        self.nodes.push(Node { state, from });
        self.slots[slot] = number(self.nodes.len());
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for index in 0..self.nodes.len() {
            let mut slot = self.slot(&self.nodes[index].state);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = number(index + 1);
        }
    }

    fn slot(&self, state: &M::State) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(state);
        (hash as usize) & (self.slots.len() - 1)
    }

    fn trace(&self, model: &M, mut at: usize) -> Vec<M::Step> {
        let mut trace = Vec::new();
        let mut next = Vec::new();
        while at > 0 {
            let from = self.nodes[at].from as usize;
            next.clear();
            model.steps(&self.nodes[from].state, &mut next);
            let here = next.iter().find(|(_, to)| *to == self.nodes[at].state);
            trace.extend(here.map(|(step, _)| *step));
            at = from;
        }
        trace.reverse();
        trace
    }
}

/// Indexes are kept in 32 bits; memory ends long before they do.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 states fit into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two counters that somebody raises one at a time; the promise is about their sum.
    struct Counters {
        forbidden: u8,
    }

    impl Model for Counters {
        type State = (u8, u8);
        type Step = char;

        fn start(&self) -> (u8, u8) {
            (0, 0)
        }

        fn steps(&self, &(a, b): &(u8, u8), next: &mut Vec<(char, (u8, u8))>) {
            if a < 9 {
                next.push(('a', (a + 1, b)));
            }
            if b < 9 {
                next.push(('b', (a, b + 1)));
            }
        }

        fn broken(&self, &(a, b): &(u8, u8)) -> Option<&'static str> {
            (a + b == self.forbidden).then_some("the sum")
        }
    }

    #[test]
    fn every_state_is_seen_once() {
        let safe = explore(&Counters { forbidden: 99 }, 1000);
        assert_eq!(safe, Outcome::Safe { states: 100 });
    }

    #[test]
    fn the_way_to_a_broken_promise_is_a_shortest_one() {
        let Outcome::Broken { promise, trace, .. } = explore(&Counters { forbidden: 4 }, 1000)
        else {
            panic!("not found");
        };
        assert_eq!((promise, trace.len()), ("the sum", 4));
    }

    #[test]
    fn a_limit_ends_it_without_a_proof() {
        let cut = explore(&Counters { forbidden: 99 }, 10);
        assert!(matches!(cut, Outcome::Unfinished { states } if states > 10));
    }
}
