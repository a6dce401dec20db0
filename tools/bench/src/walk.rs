//! A random walk against a reference: several members, strangers and an operator make random calls, and every response,
//! every message and the table must be what a small reference model requires. A failing walk shrinks to the steps that
//! it needs.
//!
//! The reference has the rules of the contract and shares no code with the functions. Walks are sequential. Time passes
//! by ageing every item of the table.

mod ask;
mod call;
mod reference;
mod rules;
mod step;
mod world;

pub use rules::settings;

use local::{Options, Stack};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::{cell::RefCell, collections::BTreeMap, error::Error, fmt::Write};
use world::World;

/// How often each call had each result.
pub type Coverage = BTreeMap<(String, String), usize>;

/// The walks of one run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed of the steps. The same seed makes the same walks.
    pub seed: u64,
    /// How many walks are made.
    pub walks: u32,
    /// The most steps of a walk.
    pub steps: usize,
}

/// A stack on which walks are made.
pub struct Walker {
    runtime: tokio::runtime::Runtime,
    world: World,
}

impl Walker {
    /// Starts a stack under these options and the [`settings`] of the walk.
    ///
    /// # Errors
    /// Fails if the stack does not start.
    pub fn start(options: Options) -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stack = runtime.block_on(Stack::start(Options { settings: settings(), ..options }))?;
        Ok(Self { runtime, world: World::new(stack) })
    }

    /// Makes the walks, and adds what they covered.
    ///
    /// # Errors
    /// Fails with the shortest failing walk that was found, its transcript and the difference.
    pub fn walk(&self, plan: Plan, coverage: &mut Coverage) -> Result<(), String> {
        let Plan { seed, walks, steps } = plan;
        let config = Config { cases: walks, failure_persistence: None, ..Config::default() };
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(seed.to_le_bytes()).for_each(|(byte, seed)| *byte = seed);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let covered = RefCell::new(Coverage::new());
        let result = TestRunner::new_with_rng(config, rng).run(&step::walks(steps), |walk| {
            let mut covered = covered.borrow_mut();
            self.runtime.block_on(self.world.run(&walk, &mut covered)).map_err(TestCaseError::fail)
        });
        for (key, count) in covered.into_inner() {
            *coverage.entry(key).or_default() += count;
        }
        match result {
            Ok(()) => Ok(()),
            Err(TestError::Fail(reason, walk)) => Err(format!("seed {seed}: {walk:#?}\n{reason}")),
            Err(TestError::Abort(reason)) => Err(format!("seed {seed}: {reason}")),
        }
    }

    /// Stops the stack.
    pub fn shutdown(self) {
        self.runtime.block_on(self.world.shutdown());
    }
}

/// Returns the number of requests and commands, and a line for each call and result.
#[must_use]
pub fn report(coverage: &Coverage) -> String {
    let mut report = format!("{} requests and commands\n", coverage.values().sum::<usize>());
    for ((call, result), count) in coverage {
        // Writing to a text does not fail.
        let _ = writeln!(report, "{count:>8}  {call}  {result}");
    }
    report
}
