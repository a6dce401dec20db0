//! Drives the local stack with the flows of many members at a rising rate, then reads the table directly and checks
//! that it contains every successful change in full, and no part of any other. See docs/load.md.
//!
//! `cargo run --release -p bench --bin load -- --seconds 60 --rate 20`

#![expect(clippy::indexing_slicing, reason = "a field that JSON lacks reads as null")]

mod check;
mod member;

use bench::harness;
use clap::Parser;
use local::table::Table;
use member::{CODE_LIMIT, SimulatedMember, Target};
use reqwest::Client;
use shared::keys::Keys;
use std::{
    collections::{BTreeMap, VecDeque},
    error::Error,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time};

#[derive(Parser)]
struct Arguments {
    /// How long new flows are started
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// How many flows per second are started at the end; the rate rises evenly from zero
    #[arg(long, default_value_t = 20)]
    rate: u32,
    /// How many flows may run at once; flows beyond this are skipped
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// How many members are simulated
    #[arg(long, default_value_t = 150)]
    members: u32,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let settings = [("COOLING_OFF_SECONDS", "0"), ("CODE_TTL_SECONDS", "600"), ("CHANGES_PER_HOUR", "100")];
    let stack = harness::start(&settings, member::record_message).await?;
    let target = Arc::new(Target { http: Client::new(), url: stack.url().to_owned() });
    let mut idle = VecDeque::new();
    for number in 0..arguments.members {
        idle.push_back(SimulatedMember::create(&target, number).await?);
    }

    let (seconds, rate) = (f64::from(arguments.seconds), f64::from(arguments.rate));
    let (start, mut running, mut started, mut skipped) = (Instant::now(), JoinSet::new(), 0, 0);
    for number in 0.. {
        // At a rate that rises to r within T seconds, r·t²/2T flows are started by the time t.
        let at = (2.0 * seconds * f64::from(number) / rate).sqrt();
        if at > seconds {
            break;
        }
        time::sleep_until((start + Duration::from_secs_f64(at)).into()).await;
        while let Some(member) = running.try_join_next() {
            idle.push_back(member?);
        }
        match idle.pop_front() {
            Some(member) if running.len() < arguments.in_flight => {
                running.spawn(member.flow(Arc::clone(&target), number));
                started += 1;
            }
            member => {
                idle.extend(member);
                skipped += 1;
            }
        }
    }
    let mut members: Vec<_> = idle.into();
    members.extend(running.join_all().await);
    stack.settled().await;

    println!("{started} flows started, {skipped} skipped because {} were running", arguments.in_flight);
    report(&members, start);
    for line in stack.log_lines().iter().take(10) {
        println!("{}: {}", line.function, line.text);
    }
    let items = Table::of(&stack).items().await?;
    let consistent = check::check(&members, &items, &Keys::parse(stack.keys())?)?;
    stack.shutdown().await;
    Ok(if consistent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints how many changes succeeded, which requests were refused, and the latencies.
fn report(members: &[SimulatedMember], start: Instant) {
    let responses = || members.iter().flat_map(|member| &member.responses);
    let mut refusals = BTreeMap::new();
    for response in responses().filter(|response| !response.is_success()) {
        let symbol = response.body["error"].as_str().or_else(|| response.body["code"].as_str());
        *refusals.entry((response.endpoint, response.status, symbol.unwrap_or_default())).or_insert(0) += 1;
    }
    let mut by_second: BTreeMap<u64, u32> = BTreeMap::new();
    for change in responses().filter(|response| response.is_change()) {
        *by_second.entry((change.at - start).as_secs()).or_default() += 1;
    }
    let in_five = |from: &u64| by_second.range(from..&(from + 5)).map(|(_, count)| count).sum::<u32>();
    let best = by_second.keys().map(in_five).max().unwrap_or_default();
    println!(
        "{} changes succeeded, {} per second in the best five seconds",
        by_second.values().sum::<u32>(),
        best / 5
    );
    for ((endpoint, status, symbol), count) in refusals {
        println!("{count:>6} × {endpoint} refused: {status} {symbol}");
    }
    let missed: usize = members.iter().map(|member| member.codes_missed).sum();
    println!("{missed:>6} × no code within {} s", CODE_LIMIT.as_secs());

    println!("{:<30} {:>7} {:>7} {:>7} {:>7}", "response time in ms", "calls", "p50", "p95", "p99");
    let mut latencies: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for response in responses() {
        latencies.entry(response.endpoint).or_default().push(response.time);
    }
    for (endpoint, mut times) in latencies {
        times.sort();
        let [p50, p95, p99] = [50, 95, 99].map(|percent| {
            times.get(times.len() * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1e3
        });
        println!("{endpoint:<30} {:>7} {p50:>7.1} {p95:>7.1} {p99:>7.1}", times.len());
    }
}
