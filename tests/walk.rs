//! A short random walk against the reference. `cargo run --release -p bench --bin walk` makes long ones.

use crate::bundle;
use bench::walk::{self, Coverage, Plan, Walker};
use std::collections::BTreeSet;

/// The seed is fixed, so that a failure is reproducible.
const PLAN: Plan = Plan { seed: 9, walks: 24, steps: 50 };

/// How many calls must succeed at least once, so that the walks do not agree only about refusals: all of them. A change of
/// the steps changes every walk, and then another seed may be necessary.
const SUCCEEDING: usize = 20;

#[test]
fn random_walk_agrees_with_the_reference() {
    let walker = Walker::start(bundle::options(&[])).unwrap();
    let mut coverage = Coverage::new();
    let result = walker.walk(PLAN, &mut coverage);
    walker.shutdown();
    println!("{}", walk::report(&coverage));
    if let Err(difference) = result {
        panic!("{difference}");
    }
    let succeeded: BTreeSet<_> =
        coverage.keys().filter(|(_, result)| result == "OK").map(|(call, _)| call).collect();
    assert!(succeeded.len() >= SUCCEEDING, "only {succeeded:?} succeeded");
}
