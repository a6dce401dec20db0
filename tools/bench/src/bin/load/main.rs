//! Drives the local stack with flows of many members at a rising rate, then reads the table past the functions:
//! whether every change that was answered is there, whole, and no other in part. docs/load.md tells more.
//!
//! `cargo run --release -p bench --bin load -- --seconds 60 --rate 20`

#![expect(clippy::indexing_slicing, reason = "a field that JSON lacks reads as null")]

mod check;
mod flow;

use bench::harness;
use clap::Parser;
use flow::{CODE_LIMIT, Member, Target};
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
    /// For how long flows begin
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// How many flows a second begin at the end; from none on, the rate rises evenly
    #[arg(long, default_value_t = 20)]
    rate: u32,
    /// How many flows may be under way at once; what would begin beyond them is left out
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// How many members there are
    #[arg(long, default_value_t = 150)]
    members: u32,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let stack =
        harness::start(&[("COOLING_OFF_SECONDS", "0"), ("CODE_TTL_SECONDS", "600")], flow::catch).await?;
    let target = Arc::new(Target { http: Client::new(), url: stack.url().to_owned() });
    let mut idle = VecDeque::new();
    for number in 0..arguments.members {
        idle.push_back(Member::create(&target, number).await?);
    }

    let (seconds, rate) = (f64::from(arguments.seconds), f64::from(arguments.rate));
    let (begun, mut under_way, mut begun_flows, mut left_out) = (Instant::now(), JoinSet::new(), 0, 0);
    for number in 0.. {
        // A rate that rises to r in T seconds has begun r·t²/2T flows after t.
        let at = (2.0 * seconds * f64::from(number) / rate).sqrt();
        if at > seconds {
            break;
        }
        time::sleep_until((begun + Duration::from_secs_f64(at)).into()).await;
        while let Some(member) = under_way.try_join_next() {
            idle.push_back(member?);
        }
        match idle.pop_front() {
            Some(member) if under_way.len() < arguments.in_flight => {
                under_way.spawn(member.flow(Arc::clone(&target), number));
                begun_flows += 1;
            }
            member => {
                idle.extend(member);
                left_out += 1;
            }
        }
    }
    let mut members: Vec<_> = idle.into();
    members.extend(under_way.join_all().await);
    stack.settled().await;

    println!("{begun_flows} flows begun, {left_out} left out because {} were under way", arguments.in_flight);
    report(&members, begun);
    for line in stack.log_lines().iter().take(10) {
        println!("{}: {}", line.function, line.text);
    }
    let items = check::scan(&stack, &target.http).await?;
    let sound = check::check(&members, &items, &Keys::parse(stack.keys())?)?;
    stack.shutdown().await;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what was answered, how often, and how soon.
fn report(members: &[Member], begun: Instant) {
    let answers = || members.iter().flat_map(|member| &member.answers);
    let mut refusals = BTreeMap::new();
    for answer in answers().filter(|answer| !answer.is_success()) {
        let symbol = answer.body["error"].as_str().or_else(|| answer.body["code"].as_str());
        *refusals.entry((answer.endpoint, answer.status, symbol.unwrap_or_default())).or_insert(0) += 1;
    }
    let mut by_second: BTreeMap<u64, u32> = BTreeMap::new();
    for change in answers().filter(|answer| answer.is_change()) {
        *by_second.entry((change.at - begun).as_secs()).or_default() += 1;
    }
    let in_five = |from: &u64| by_second.range(from..&(from + 5)).map(|(_, count)| count).sum::<u32>();
    let best = by_second.keys().map(in_five).max().unwrap_or_default();
    println!("{} changes answered, {} a second in the best five", by_second.values().sum::<u32>(), best / 5);
    for ((endpoint, status, symbol), count) in refusals {
        println!("{count:>6} × {endpoint} refused: {status} {symbol}");
    }
    let missed: usize = members.iter().map(|member| member.codes_missed).sum();
    println!("{missed:>6} × no code within {} s", CODE_LIMIT.as_secs());

    println!("{:<30} {:>7} {:>7} {:>7} {:>7}", "answered in ms", "calls", "p50", "p95", "p99");
    let mut latencies: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for answer in answers() {
        latencies.entry(answer.endpoint).or_default().push(answer.took);
    }
    for (endpoint, mut took) in latencies {
        took.sort();
        let [p50, p95, p99] = [50, 95, 99].map(|percent| {
            took.get(took.len() * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1e3
        });
        println!("{endpoint:<30} {:>7} {p50:>7.1} {p95:>7.1} {p99:>7.1}", took.len());
    }
}
