//! Account enumeration: an anonymous client cannot learn whether a phone or an email address has a member.

use crate::{
    bundle::{
        Bundle, Call, EMAIL, OTHER_EMAIL, OTHER_PHONE, PHONE, RECOVERY, Response, SEND_CODE, SEND_MAIL,
        VERIFY_MAIL, wrong_code,
    },
    proxy::{Proxy, STORE},
};
use reqwest::{Method, header::HeaderName};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A way to recover the password: the call that requests a code and the call that verifies it.
#[derive(Clone, Copy, Debug)]
enum RecoveryChannel {
    Sms,
    Mail,
}

impl RecoveryChannel {
    /// Returns a code that is compared like any other, and is correct once in a million or less.
    fn never_sent(self) -> &'static str {
        match self {
            Self::Sms => "000000",
            Self::Mail => "00000000",
        }
    }

    /// Returns the member's destination, and one of the same length that no member has.
    fn destinations(self) -> (&'static str, &'static str) {
        match self {
            Self::Sms => (PHONE, OTHER_PHONE),
            Self::Mail => (EMAIL, OTHER_EMAIL),
        }
    }

    /// Returns the key prefix of the send logs of its destinations.
    fn prefix(self) -> &'static str {
        match self {
            Self::Sms => "sent#phone#",
            Self::Mail => "sent#email#",
        }
    }

    fn request(self, bundle: &Bundle, destination: &str) -> Call {
        match self {
            Self::Sms => bundle.call(Method::GET, SEND_CODE).query(&[("phone", destination)]),
            Self::Mail => bundle.call(Method::POST, SEND_MAIL).query(&[("email", destination)]),
        }
    }

    async fn guess(self, bundle: &Bundle, sent: &Response, code: &str) -> Response {
        let (path, parameter) = match self {
            Self::Sms => (RECOVERY, "message"),
            Self::Mail => (VERIFY_MAIL, "code"),
        };
        let body = json!({ "verification": sent.verification(), parameter: code });
        bundle.call(Method::POST, path).json(&body).await
    }
}

/// Returns everything observable in a response, except random values and the seconds to wait.
fn observable(response: &Response) -> Value {
    let mut body = response.body.clone();
    if let Some(verification) = body["verification"].as_str() {
        body["verification"] = json!(verification.len());
    }
    if let Some(seconds) = body["retryAfter"].as_u64() {
        assert_eq!(response.headers["retry-after"], seconds.to_string());
        body["retryAfter"] = Value::Null;
        body["msg"] = Value::Null;
    }
    let names: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
    let cookies = response.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookies: Vec<_> = cookies.map(|cookie| (cookie.len(), cookie.split_once("; ").unwrap().1)).collect();
    json!({
        "status": response.status.as_u16(), "headers": names, "cookies": cookies, "body": body,
        "content-type": response.headers["content-type"].to_str().unwrap(),
    })
}

#[tokio::test]
async fn responses_are_identical_at_every_step() {
    for channel in [RecoveryChannel::Sms, RecoveryChannel::Mail] {
        let bundle = Bundle::start().await;
        bundle.member().await;
        let (known, unknown) = channel.destinations();
        let first = [
            channel.request(&bundle, known).send().await.ok(),
            channel.request(&bundle, unknown).send().await.ok(),
        ];
        assert_eq!(observable(&first[0]), observable(&first[1]), "{channel:?}");
        let again =
            [channel.request(&bundle, known).send().await, channel.request(&bundle, unknown).send().await];
        assert_eq!(again[0].refusal(), (429, "SEND_MESSAGE_FREQUENTLY"));
        assert_eq!(observable(&again[0]), observable(&again[1]), "{channel:?}");
        bundle.settled().await;
        let wrong = wrong_code(&bundle.code());
        for guess in 1..=6 {
            let responses = [
                channel.guess(&bundle, &first[0], wrong).await,
                channel.guess(&bundle, &first[1], wrong).await,
            ];
            let expected = if guess == 6 { (429, "TOO_MANY_ATTEMPTS") } else { (400, "{CODE}_NOT_VALID") };
            assert_eq!(responses[0].refusal(), expected, "{channel:?}, guess {guess}");
            assert_eq!(observable(&responses[0]), observable(&responses[1]), "{channel:?}, guess {guess}");
        }
        // Once more with another flow, now that both have failures of the day.
        bundle.age(channel.prefix(), 120).await;
        let second = [
            channel.request(&bundle, known).send().await.ok(),
            channel.request(&bundle, unknown).send().await.ok(),
        ];
        assert_eq!(observable(&second[0]), observable(&second[1]), "{channel:?}");
        bundle.settled().await;
        let wrong = wrong_code(&bundle.code());
        let responses = [
            channel.guess(&bundle, &second[0], wrong).await,
            channel.guess(&bundle, &second[1], wrong).await,
        ];
        assert_eq!(observable(&responses[0]), observable(&responses[1]), "{channel:?}");
        let responses =
            [channel.guess(&bundle, &first[0], wrong).await, channel.guess(&bundle, &first[1], wrong).await];
        assert_eq!(observable(&responses[0]), observable(&responses[1]), "{channel:?}, a replaced flow");
    }
}

#[tokio::test]
async fn code_expires_at_the_same_time_for_both() {
    for channel in [RecoveryChannel::Sms, RecoveryChannel::Mail] {
        let bundle = Bundle::start().await;
        bundle.member().await;
        let (known, unknown) = channel.destinations();
        let sent = [
            channel.request(&bundle, known).send().await.ok(),
            channel.request(&bundle, unknown).send().await.ok(),
        ];
        bundle.age("code#", 600).await;
        let code = bundle.code();
        let responses =
            [channel.guess(&bundle, &sent[0], &code).await, channel.guess(&bundle, &sent[1], &code).await];
        assert_eq!(responses[0].refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(observable(&responses[0]), observable(&responses[1]), "{channel:?}");
    }
}

#[tokio::test]
async fn guess_before_the_code_exists_is_a_failure() {
    for channel in [RecoveryChannel::Sms, RecoveryChannel::Mail] {
        let bundle = Bundle::start().await;
        bundle.member().await;
        let (known, unknown) = channel.destinations();
        for destination in [known, unknown] {
            let sent = channel.request(&bundle, destination).send().await.ok();
            let guessed = channel.guess(&bundle, &sent, channel.never_sent()).await;
            assert_eq!(
                (guessed.refusal(), &guessed.body["attemptsLeft"]),
                ((400, "{CODE}_NOT_VALID"), &json!(4))
            );
        }
        // The guess does not consume the member's code either.
        bundle.settled().await;
        assert_eq!(bundle.stack.messages().len(), 1, "{channel:?}");
    }
}

#[tokio::test]
async fn only_the_known_destination_gets_a_message() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    for channel in [RecoveryChannel::Sms, RecoveryChannel::Mail] {
        let (known, unknown) = channel.destinations();
        channel.request(&bundle, unknown).send().await.ok();
        channel.request(&bundle, known).send().await.ok();
    }
    bundle.settled().await;
    let mut recipients: Vec<_> = bundle.stack.messages().into_iter().map(|message| message.to).collect();
    recipients.sort();
    assert_eq!(recipients, ["+8613627140483", EMAIL]);
}

#[tokio::test]
async fn store_requests_are_identical_for_both() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    bundle.member().await;
    bundle.call(Method::GET, "/_local/health").send().await.ok();
    proxy.requests();
    for channel in [RecoveryChannel::Sms, RecoveryChannel::Mail] {
        let (known, unknown) = channel.destinations();
        let mut guesses = Vec::new();
        // The call ends with the transaction. The outbox makes the remaining requests later, when it looks up the
        // owner and reads that member.
        let call = vec!["GetItem", "TransactWriteItems"];
        let delivery = vec!["GetItem", "GetItem", "UpdateItem", "UpdateItem"];
        for (destination, queue) in [(known, delivery), (unknown, vec!["GetItem"])] {
            let sent = channel.request(&bundle, destination).send().await.ok();
            bundle.settled().await;
            assert_eq!(proxy.requests(), [call.clone(), queue].concat(), "{destination}");
            channel.guess(&bundle, &sent, channel.never_sent()).await;
            guesses.push(proxy.requests());
        }
        assert_eq!(guesses[0], ["UpdateItem"; 3]);
        assert_eq!(guesses[0], guesses[1], "{channel:?}");
    }
}

/// The comparison is coarse. It finds a hash or a send that occurs on only one side, on any machine.
#[tokio::test]
async fn response_time_is_the_same_for_both() {
    const ROUNDS: usize = 15;
    let bundle = Bundle::with(&[("SOURCE_SENDS_PER_HOUR", "1000")]).await;
    for channel in [RecoveryChannel::Sms, RecoveryChannel::Mail] {
        let destination = |number: usize| match channel {
            RecoveryChannel::Sms => format!("138001380{number:02}"),
            RecoveryChannel::Mail => format!("member-{number:02}@example.com"),
        };
        let mut took = [Vec::new(), Vec::new()];
        for number in 0..=ROUNDS {
            // Even numbers are known destinations.
            let new = match channel {
                RecoveryChannel::Sms => json!({ "phone": destination(2 * number) }),
                RecoveryChannel::Mail => json!({ "email": destination(2 * number) }),
            };
            bundle.member_with(new).await;
            for (side, took) in took.iter_mut().enumerate() {
                let call = channel.request(&bundle, &destination(2 * number + side));
                let start = Instant::now();
                call.send().await.ok();
                // The first call of each side starts a process.
                if number > 0 {
                    took.push(start.elapsed());
                }
                bundle.settled().await;
            }
        }
        let [known, unknown] = took.map(median);
        assert!(known < unknown * 2 && unknown < known * 2, "{channel:?}: {known:?} and {unknown:?}");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The identifiers of a member without a password, of a member with one, and of no member.
const LOG_INS: [&str; 3] = ["wu@example.com", "13627140483", "13900139000"];

async fn with_log_ins(bundle: &Bundle) {
    bundle.member().await;
    bundle.member_with(json!({ "email": LOG_INS[0] })).await;
}

async fn fail_to_log_in(bundle: &Bundle, identifier: &str) -> Value {
    let mut body = bundle.log_in(json!({ "identifier": identifier, "password": "wrong" })).await.body;
    assert!(body["requestId"].is_string(), "{body}");
    body["requestId"] = Value::Null;
    // The seconds to wait depend on when each was locked.
    if body["retryAfter"].as_u64().is_some_and(|seconds| (890..=900).contains(&seconds)) {
        (body["retryAfter"], body["message"]) = (json!("a lockout"), Value::Null);
    }
    body
}

#[tokio::test]
async fn failed_logins_are_identical_for_all() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    with_log_ins(&bundle).await;
    bundle.call(Method::GET, "/_local/health").send().await.ok();
    proxy.requests();
    for failure in 1..=11 {
        let mut seen = Vec::new();
        for identifier in LOG_INS {
            let body = fail_to_log_in(&bundle, identifier).await;
            let requests = proxy.take().into_iter().filter(|request| request.caller == "log-in");
            let operations: Vec<_> = requests.map(|request| request.operation).collect();
            assert!(!operations.is_empty(), "{identifier}");
            seen.push((body, operations));
        }
        let symbol = if failure == 11 { "TOO_MANY_ATTEMPTS" } else { "CREDENTIALS_NOT_VALID" };
        assert_eq!(seen[0].0["error"], symbol);
        assert!(seen.iter().all(|of_other| *of_other == seen[0]), "{failure}: {seen:?}");
    }
    // The outbox finds no one to record it for.
    bundle.settled().await;
    assert!(bundle.stack.messages().is_empty());
}

#[tokio::test]
async fn failed_login_takes_the_same_time_for_all() {
    const ROUNDS: usize = 9;
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "100")]).await;
    with_log_ins(&bundle).await;
    let mut took = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (identifier, took) in LOG_INS.iter().zip(&mut took) {
            let start = Instant::now();
            fail_to_log_in(&bundle, identifier).await;
            // The first call starts a process.
            if round > 0 {
                took.push(start.elapsed());
            }
        }
    }
    let took = took.map(median);
    let (shortest, longest) = (took.iter().min().unwrap(), took.iter().max().unwrap());
    assert!(*longest < *shortest * 2, "{took:?}");
}

#[tokio::test]
async fn requested_login_code_reveals_no_member() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    bundle.member().await;
    bundle.call(Method::GET, "/_local/health").send().await.ok();
    proxy.requests();
    for (known, unknown) in [(PHONE, OTHER_PHONE), (EMAIL, OTHER_EMAIL)] {
        let mut seen = Vec::new();
        for to in [known, unknown] {
            let mut of_this = Vec::new();
            for _ in 0..2 {
                let mut body = bundle.send_log_in_code("login", to).await.body;
                for random in ["verification", "requestId"] {
                    body[random] = json!(body[random].as_str().map(str::len));
                }
                if body["retryAfter"].is_u64() {
                    (body["retryAfter"], body["message"]) = (Value::Null, Value::Null);
                }
                of_this.push(body);
            }
            bundle.settled().await;
            let requests = proxy.take().into_iter();
            let requests = requests.filter(|request| request.caller == "send-log-in-code");
            let operations: Vec<_> = requests.map(|request| request.operation).collect();
            seen.push((of_this, operations));
        }
        assert_eq!(seen[0].1, ["GetItem", "TransactWriteItems", "GetItem", "TransactWriteItems"]);
        assert_eq!(seen[0], seen[1]);
    }
}

#[tokio::test]
async fn wrong_login_code_reveals_no_member() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    for (known, unknown, code) in [(PHONE, OTHER_PHONE, "000000"), (EMAIL, OTHER_EMAIL, "00000000")] {
        let mut seen = Vec::new();
        for to in [known, unknown] {
            let sent = bundle.send_log_in_code("login", to).await;
            bundle.settled().await;
            let event = json!({ "identifier": to, "code": code, "verification": sent.verification() });
            let mut bodies = Vec::new();
            for _ in 0..6 {
                let mut body = bundle.log_in(event.clone()).await.body;
                for varying in ["requestId", "retryAfter", "message"] {
                    body[varying] = Value::Null;
                }
                bodies.push(body);
            }
            seen.push(bodies);
        }
        assert_eq!(seen[0][5]["error"], "TOO_MANY_ATTEMPTS");
        assert_eq!(seen[0], seen[1]);
    }
}

#[tokio::test]
async fn binding_reveals_nothing_before_a_correct_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({})).await;
    bundle.member().await;
    for channel in [RecoveryChannel::Sms, RecoveryChannel::Mail] {
        let (taken, free) = channel.destinations();
        let mut responses = Vec::new();
        for destination in [taken, free] {
            let mut sent = channel.request(&bundle, destination).session(&member.token).send().await.ok();
            sent.body["token"] = json!(null);
            responses.push(sent);
        }
        assert_eq!(observable(&responses[0]), observable(&responses[1]), "{channel:?}");
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages().len(), 4);
}
