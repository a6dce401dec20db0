//! `cargo run -p rehearsal`: deploys the template into an emulated cloud with the commands that deploy it
//! to AWS, and walks every flow of both documents over the deployed API.

#![expect(clippy::indexing_slicing, reason = "a field that JSON lacks reads as null")]

mod cloud;
mod deployment;
mod dynamodb;
mod emulator;
mod failure;
mod flows;
mod operator;
mod programs;
mod tools;

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use reqwest::Client;

use crate::{cloud::Cloud, emulator::Emulator, programs::Workshop};

/// Rehearses a deployment on this machine: no AWS, no Docker.
///
/// It installs its tools into target/tools/rehearsal with python3, and needs PyPI for that once. It says in one line
/// per flow what held. What its programs say is in target/rehearsal/*.log.
#[derive(Parser)]
struct Arguments {}

/// Why flows could not be walked; one line each.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Tools(#[from] tools::Error),
    #[error("{}: {reason}", path.display())]
    Folder { path: std::path::PathBuf, reason: io::Error },
    #[error(transparent)]
    Program(#[from] programs::Error),
    #[error(transparent)]
    Deployment(#[from] deployment::Error),
    #[error(transparent)]
    Emulator(#[from] emulator::Error),
    #[error("the deployed stack cannot be used: {0}")]
    Cloud(#[from] cloud::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

/// How many flows held.
struct Tally {
    held: usize,
    flows: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    Arguments::parse();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2).unwrap_or(package);
    let workshop = Workshop {
        root: root.to_owned(),
        folder: root.join("target/rehearsal"),
        tools: root.join("target/tools/rehearsal/bin"),
    };
    let rehearsed = tokio::select! {
        rehearsed = run(&workshop) => rehearsed,
        ended = local::end_of_work() => ended.map_err(Error::Signals).map(|()| false),
    };
    // What is left there is of use to nobody.
    let _ = fs::remove_dir_all(workshop.folder.join("tmp"));
    match rehearsed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether every flow held.
async fn run(workshop: &Workshop) -> Result<bool, Error> {
    let began = Instant::now();
    for folder in ["home", "tmp"].map(|name| workshop.folder.join(name)) {
        fs::create_dir_all(&folder).map_err(|reason| Error::Folder { path: folder, reason })?;
    }
    step("Tools", tools::install(workshop)).await?;
    step("sam build", deployment::build(workshop)).await?;
    step("cargo build of the operator's command", operator::build(workshop)).await?;
    let Tally { held, flows } = rehearse(workshop).await?;
    say(&format!("\n== {held} of {flows} flows held, after {}", seconds(began.elapsed())));
    Ok(held == flows)
}

/// Deploys what was built, and walks every flow.
async fn rehearse(workshop: &Workshop) -> Result<Tally, Error> {
    let http = Client::new();
    let emulator = Emulator::start(workshop, &http).await?;
    let deployment = step("sam deploy", deployment::deploy(workshop, &emulator.url)).await?;
    for kind in emulator.placeholders() {
        say(&format!("   not rehearsed: {kind}"));
    }
    let cloud = Cloud::new(workshop, &http, emulator, deployment).await?;
    step("Flows", walk(&cloud)).await
}

async fn walk(cloud: &Cloud) -> Result<Tally, Error> {
    let mut tally = Tally { held: 0, flows: 0 };
    for (promise, flow) in flows::all(cloud) {
        let began = Instant::now();
        let outcome = flow.await;
        let time = seconds(began.elapsed());
        match &outcome {
            Ok(None) => say(&format!("   held    {time:>7}  {promise}")),
            Ok(Some(note)) => say(&format!("   held    {time:>7}  {promise}: {note}")),
            Err(failure) => say(&format!("   FAILED  {time:>7}  {promise}: {failure}")),
        }
        tally.held += usize::from(outcome.is_ok());
        tally.flows += 1;
    }
    Ok(tally)
}

/// Work under a heading, and how long it took.
async fn step<T, E>(title: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    say(&format!("\n== {title}"));
    let began = Instant::now();
    let done = work.await;
    say(&format!("   {}", seconds(began.elapsed())));
    done
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f32())
}

fn say(line: &str) {
    // Nobody is left to read it where it fails.
    let _ = writeln!(io::stdout(), "{line}");
}
