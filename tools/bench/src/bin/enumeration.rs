//! Measures whether response times reveal who has an account (account enumeration). It sends each anonymous request
//! to destinations of members and to unknown destinations in turn, each destination once.
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
    /// How many times each request is compared
    #[arg(long, default_value_t = 300)]
    rounds: usize,
}

/// Rounds that are not counted, while processes start and caches fill.
const WARM_UP: usize = 20;

/// The pause before each request: longer than the 50 ms in which the stack polls the table's stream.
const PAUSE: Duration = Duration::from_millis(75);

/// The requests that need no session.
const REQUESTS: [&str; 3] = ["send-code", "send-mail", "verify-recovery-code, wrong"];

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
    let mut samples = REQUESTS.map(|_| Vec::new());
    for round in 0..WARM_UP + rounds {
        // Even numbers belong to members. The order alternates, because the second request finds warmer caches.
        let (member, unknown) = if round % 2 == 0 {
            let member = measure_all(&stack, &http, 2 * round).await?;
            (member, measure_all(&stack, &http, 2 * round + 1).await?)
        } else {
            let unknown = measure_all(&stack, &http, 2 * round + 1).await?;
            (measure_all(&stack, &http, 2 * round).await?, unknown)
        };
        if round >= WARM_UP {
            for (samples, pair) in samples.iter_mut().zip(member.into_iter().zip(unknown)) {
                samples.push(pair);
            }
        }
    }
    stack.shutdown().await;

    println!(
        "{:<28} {:>9} {:>9} {:>11} {:>22}",
        "medians in ms", "member", "unknown", "difference", "95 % confidence"
    );
    for (name, rounds) in REQUESTS.into_iter().zip(samples) {
        let (member, unknown) = rounds.iter().copied().unzip();
        let differences: Vec<f64> = rounds.iter().map(|(member, unknown)| member - unknown).collect();
        let (low, high) = interval(differences.clone());
        let verdict = if low <= 0.0 && 0.0 <= high { "indistinguishable" } else { "DISTINGUISHABLE" };
        let [member, unknown, difference] = [member, unknown, differences].map(median);
        println!(
            "{name:<28} {member:>9.3} {unknown:>9.3} {difference:>+11.4} {low:>+10.4} to {high:>+8.4}  {verdict}"
        );
    }
    Ok(())
}

fn destinations(number: usize) -> (String, String) {
    (format!("138{number:08}"), format!("member-{number}@example.com"))
}

/// Sends every request for one phone and one email address. Returns the milliseconds that each took.
async fn measure_all(stack: &Stack, http: &Client, number: usize) -> Result<[f64; 3], Box<dyn Error>> {
    let (url, (phone, email)) = (stack.url(), destinations(number));
    let request = http.get(format!("{url}/member/userservice/security")).query(&[("phone", phone)]);
    let (sms, sent) = measure(stack, request, 200).await?;
    let request = http.post(format!("{url}/web/userservice/security/sendMail"));
    let (mail, _) = measure(stack, request.json(&json!({ "email": email })), 200).await?;
    // Of a million codes one consists of zeros. Any other is compared with it and differs.
    let body = json!({ "verification": sent["verification"], "message": "000000" });
    let request = http.post(format!("{url}/web/userservice/security"));
    let (guess, _) = measure(stack, request.json(&body), 400).await?;
    Ok([sms, mail, guess])
}

async fn measure(
    stack: &Stack,
    request: RequestBuilder,
    expected: u16,
) -> Result<(f64, Value), Box<dyn Error>> {
    // The previous request triggers more work for a member. Wait until it is done and the processes are idle.
    stack.settled().await;
    tokio::time::sleep(PAUSE).await;
    let start = Instant::now();
    let response = request.send().await?;
    let status = response.status();
    let body = response.text().await?;
    let took = start.elapsed();
    if status != expected {
        return Err(format!("{status} {body}").into());
    }
    Ok((took.as_secs_f64() * 1e3, serde_json::from_str(&body)?))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the 95 % confidence interval of the median by order statistics: the medians that a sign test does not
/// reject (Conover, Practical Nonparametric Statistics, 3rd ed., 3.2). It assumes nothing about the distribution.
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
