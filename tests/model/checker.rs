//! An exhaustive checker. It visits every state that a model can reach, breadth first, so that a trace is a shortest
//! one.
//!
//! The crate `stateright` does the same, but always links a web server, and 20 crates in all for the tests. It also
//! identifies a state by a hash of 64 bits, and a state that collides with another is not visited.

use std::{
    collections::HashSet,
    fmt::{self, Debug},
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// An event of a step: the violation of a property, or a milestone that the model must reach.
pub trait Event: Copy + Debug {
    /// Returns the number of the event among the events of its model, which are at most 32.
    fn number(self) -> u32;
}

/// Returns the bits of events.
pub fn bits<E: Event>(events: &[E]) -> u32 {
    events.iter().fold(0, |bits, event| bits | 1 << event.number())
}

/// A model with finitely many states.
pub trait Model {
    /// A state. Two states with the same key are the same.
    type State: Copy;
    /// The identity of a state.
    type Key: Eq + Hash;
    /// The cause of a step.
    type Action: Copy + Debug;
    /// An event of a step.
    type Event: Event;

    /// Returns the states to start from.
    fn initial(&self) -> Vec<Self::State>;
    /// Returns the key of a state.
    fn key(&self, state: &Self::State) -> Self::Key;
    /// Returns every step that is possible in a state.
    fn steps(&self, state: &Self::State) -> Vec<Step<Self::State, Self::Action>>;
}

/// A step to another state.
pub struct Step<S, A> {
    pub action: A,
    pub state: S,
    /// The events of the step, a bit for each.
    pub events: u32,
}

/// The result of a check.
pub struct Outcome<M: Model> {
    /// How many states were visited.
    pub states: usize,
    /// How many steps lead from these states.
    pub steps: usize,
    /// The events of all steps.
    pub events: u32,
    /// The shortest way to an event that stopped the check.
    pub trace: Option<Trace<M::Action>>,
}

impl<M: Model> Outcome<M> {
    /// Returns whether a step had an event.
    pub fn has(&self, event: M::Event) -> bool {
        self.events & bits(&[event]) != 0
    }
}

/// The actions that lead to an event.
pub struct Trace<A>(pub Vec<A>);

impl<A: Debug> Debug for Trace<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(step, action)| write!(f, "\n  {}. {action:?}", step + 1))
    }
}

/// Each visited state, with the number of the state and of its step that first led there.
type Visited<M> = Vec<(<M as Model>::State, Option<(usize, usize)>)>;

/// Visits the states of a model until one of the events in `stop` happens.
pub fn check<M: Model>(model: &M, stop: &[M::Event]) -> Outcome<M> {
    let stop = bits(stop);
    let mut seen: HashSet<M::Key, BuildHasherDefault<KeyHasher>> = HashSet::default();
    let mut visited: Visited<M> = Vec::new();
    for state in model.initial() {
        if seen.insert(model.key(&state)) {
            visited.push((state, None));
        }
    }
    let (mut current, mut steps, mut events) = (0, 0, 0);
    while current < visited.len() {
        for (number, step) in model.steps(&visited[current].0).into_iter().enumerate() {
            steps += 1;
            events |= step.events;
            if step.events & stop != 0 {
                let trace = Some(trace(model, &visited, (current, number)));
                return Outcome { states: visited.len(), steps, events, trace };
            }
            if seen.insert(model.key(&step.state)) {
                visited.push((step.state, Some((current, number))));
            }
        }
        current += 1;
    }
    Outcome { states: visited.len(), steps, events, trace: None }
}

/// Checks that no step is one of the violations, and that the model is not vacuous: it has at least as many states as
/// expected, and reaches the milestones.
pub fn assert_holds<M: Model + Debug>(
    model: &M,
    violations: &[M::Event],
    min_states: usize,
    milestones: &[M::Event],
) -> Outcome<M> {
    let outcome = check(model, violations);
    println!("{} unique states and {} steps: {model:?}", outcome.states, outcome.steps);
    assert!(outcome.trace.is_none(), "{:?}", outcome.trace);
    assert!(outcome.states >= min_states, "the model has become smaller: {} states", outcome.states);
    for milestone in milestones {
        assert!(outcome.has(*milestone), "no step is {milestone:?}");
    }
    outcome
}

/// Returns the shortest way to a violation in a model that lacks a rule.
pub fn violation<M: Model + Debug>(model: &M, expected: M::Event) -> Vec<M::Action> {
    let outcome = check(model, &[expected]);
    println!("{expected:?} among {} unique states: {:?}", outcome.states, outcome.trace);
    outcome.trace.unwrap_or_else(|| panic!("no step is {expected:?} in {model:?}")).0
}

/// Returns the actions that lead to a step and the step's own.
fn trace<M: Model>(model: &M, visited: &Visited<M>, step: (usize, usize)) -> Trace<M::Action> {
    let mut actions = Vec::new();
    let mut came_from = Some(step);
    while let Some((state, number)) = came_from {
        actions.push(model.steps(&visited[state].0)[number].action);
        came_from = visited[state].1;
    }
    actions.reverse();
    Trace(actions)
}

/// A fast hash of a key. The set compares whole keys.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u128(u128::from(u64::from_le_bytes(word)) << 64 | u128::from(self.0));
        }
    }

    fn write_u128(&mut self, key: u128) {
        // The odd constant is 2^128 divided by the golden ratio: the upper half depends on every bit.
        let product = key.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        self.0 =
            u64::try_from(product >> 64).unwrap() ^ u64::try_from(product & u128::from(u64::MAX)).unwrap();
    }
}
