//! Walks at random against the reference until the time is over or a response, a message or the table differs.
//!
//! `cargo run --release -p bench --bin walk -- --minutes 60 --seed 1`

use bench::{
    harness,
    walk::{self, Coverage, Plan, Walker},
};
use clap::Parser;
use std::{
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

#[derive(Parser)]
struct Arguments {
    /// How long new walks are started
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// The first seed; each batch of walks has the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many walks each seed makes
    #[arg(long, default_value_t = 50)]
    walks: u32,
    /// The most steps of a walk
    #[arg(long, default_value_t = 60)]
    steps: usize,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Arguments { minutes, seed: first, walks, steps } = Arguments::parse();
    let walker = Walker::start(harness::options()?)?;
    let (start, mut coverage, mut last) = (Instant::now(), Coverage::new(), Instant::now());
    for seed in first.. {
        if start.elapsed() >= Duration::from_mins(minutes) {
            println!("seeds {first} to {}: no difference in {}", seed - 1, walk::report(&coverage));
            break;
        }
        if let Err(failure) = walker.walk(Plan { seed, walks, steps }, &mut coverage) {
            println!("{failure}\nafter {}", walk::report(&coverage));
            walker.shutdown();
            return Ok(ExitCode::FAILURE);
        }
        if last.elapsed() >= Duration::from_mins(1) {
            last = Instant::now();
            println!(
                "{:>6} s, seed {seed}: {} requests",
                start.elapsed().as_secs(),
                coverage.values().sum::<usize>()
            );
        }
    }
    walker.shutdown();
    Ok(ExitCode::SUCCESS)
}
