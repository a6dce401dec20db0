//! Whether the time of an answer tells who has an account: what somebody who is not logged in can ask, about
//! destinations of members and destinations of nobody in turn, each asked once.
//!
//! `cargo run --release -p bench --bin enumeration -- --rounds 300`

#![expect(clippy::indexing_slicing, reason = "a field that JSON lacks reads as null")]

use bench::harness;
use clap::Parser;
use local::Stack;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::{
    error::Error,
    time::{Duration, Instant},
};

#[derive(Parser)]
struct Arguments {
    /// How often each call is compared
    #[arg(long, default_value_t = 300)]
    rounds: usize,
}

/// Rounds that are not counted, in which processes start and caches fill.
const WARM_UP: usize = 20;

/// The quiet before each call: longer than the 50 ms after which the stack looks for new records of the stream.
const QUIET: Duration = Duration::from_millis(75);

/// What is asked.
const WAYS: [&str; 3] = ["send-code", "send-mail", "verify-recovery-code, wrong"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { rounds } = Arguments::parse();
    let stack = harness::start(&[], |_| ()).await?;
    let http = Client::new();
    for round in 0..WARM_UP + rounds {
        let (phone, email) = destinations(2 * round);
        let member = json!({ "phone": phone, "email": email });
        let created = http.post(format!("{}/_local/members", stack.url())).json(&member);
        created.send().await?.error_for_status()?;
    }
    let mut ways = WAYS.map(|_| Vec::new());
    for round in 0..WARM_UP + rounds {
        // Even numbers have a member. Whoever is asked second finds another machine than the first.
        let (member, nobody) = if round % 2 == 0 {
            let member = ask(&stack, &http, 2 * round).await?;
            (member, ask(&stack, &http, 2 * round + 1).await?)
        } else {
            let nobody = ask(&stack, &http, 2 * round + 1).await?;
            (ask(&stack, &http, 2 * round).await?, nobody)
        };
        if round >= WARM_UP {
            for (way, took) in ways.iter_mut().zip(member.into_iter().zip(nobody)) {
                way.push(took);
            }
        }
    }
    stack.shutdown().await;

    println!(
        "{:<28} {:>9} {:>9} {:>11} {:>22}",
        "medians in ms", "member", "nobody", "difference", "95 % confidence"
    );
    for (name, rounds) in WAYS.into_iter().zip(ways) {
        let (member, nobody) = rounds.iter().copied().unzip();
        let differences: Vec<f64> = rounds.iter().map(|(member, nobody)| member - nobody).collect();
        let (low, high) = interval(differences.clone());
        let verdict = if low <= 0.0 && 0.0 <= high { "not told apart" } else { "TOLD APART" };
        let [member, nobody, difference] = [member, nobody, differences].map(median);
        println!(
            "{name:<28} {member:>9.3} {nobody:>9.3} {difference:>+11.4} {low:>+10.4} to {high:>+8.4}  {verdict}"
        );
    }
    Ok(())
}

fn destinations(number: usize) -> (String, String) {
    (format!("138{number:08}"), format!("member-{number}@example.com"))
}

/// Asks in every way about one phone and one mail address: the milliseconds that each took.
async fn ask(stack: &Stack, http: &Client, number: usize) -> Result<[f64; 3], Box<dyn Error>> {
    let (url, (phone, email)) = (stack.url(), destinations(number));
    let request = http.get(format!("{url}/member/userservice/security")).query(&[("phone", phone)]);
    let (sms, sent) = measure(stack, request, 200).await?;
    let request = http.post(format!("{url}/web/userservice/security/sendMail"));
    let (mail, _) = measure(stack, request.json(&json!({ "email": email })), 200).await?;
    // A digit too many is never right, and is compared as any other code.
    let body = json!({ "verification": sent["verification"], "message": "0000000" });
    let request = http.post(format!("{url}/web/userservice/security"));
    let (guess, _) = measure(stack, request.json(&body), 400).await?;
    Ok([sms, mail, guess])
}

async fn measure(
    stack: &Stack,
    request: RequestBuilder,
    expected: u16,
) -> Result<(f64, Value), Box<dyn Error>> {
    // What the call before has set off, which is more for a member, is over, and its process idle.
    stack.settled().await;
    tokio::time::sleep(QUIET).await;
    let begun = Instant::now();
    let answer = request.send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    let took = begun.elapsed();
    if status != expected {
        return Err(format!("{status} {body}").into());
    }
    Ok((took.as_secs_f64() * 1e3, serde_json::from_str(&body)?))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The 95 % confidence interval of the median, by order statistics: the medians that a sign test would not
/// refute (Conover, Practical Nonparametric Statistics, 3rd ed., 3.2). It asks nothing of the distribution.
fn interval(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a count of rounds is exact in a double")]
    let count = values.len() as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative for 8 rounds or more"
    )]
    let outside = ((count - 1.96 * count.sqrt()) / 2.0).floor() as usize;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(outside.saturating_sub(1)), at(values.len().saturating_sub(outside)))
}
