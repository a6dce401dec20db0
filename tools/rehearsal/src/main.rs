//! `cargo run -p rehearsal`: deploys the template into an emulated cloud with the commands that deploy it to AWS, and
//! walks every flow through the deployed API.

#![expect(clippy::indexing_slicing, reason = "a field that JSON lacks reads as null")]

mod cloud;
mod deployment;
mod dynamodb;
mod emulator;
mod failure;
mod flows;
mod members;
mod programs;
mod tools;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use reqwest::Client;

use crate::{cloud::Cloud, emulator::Emulator, programs::Tooling};

/// Rehearses a deployment on this machine, without AWS and without Docker.
///
/// The first run installs tools from PyPI into target/tools/rehearsal with python3. The rehearsal prints one line per
/// flow. The output of its programs is in target/rehearsal/*.log.
#[derive(Parser)]
struct Arguments {}

/// The rehearsal ended before it walked every flow.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Tools(#[from] tools::Error),
    #[error("{}: {reason}", path.display())]
    Folder { path: PathBuf, reason: io::Error },
    #[error(transparent)]
    Program(#[from] programs::Error),
    #[error(transparent)]
    Deployment(#[from] deployment::Error),
    #[error(transparent)]
    Emulator(#[from] emulator::Error),
    #[error("cannot use the deployed stack: {0}")]
    Cloud(#[from] cloud::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

/// How many flows succeeded, and of how many.
struct FlowResult {
    succeeded: usize,
    total: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    Arguments::parse();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2).unwrap_or(package);
    let tooling = Tooling {
        root: root.to_owned(),
        output: root.join("target/rehearsal"),
        bin: root.join("target/tools/rehearsal/bin"),
    };
    let rehearsed = tokio::select! {
        rehearsed = run(&tooling) => rehearsed,
        ended = local::shutdown_signal() => ended.map_err(Error::Signals).map(|()| false),
    };
    // Only the logs are useful after the run.
    let _ = fs::remove_dir_all(tooling.output.join("tmp"));
    match rehearsed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_line(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every flow succeeded.
async fn run(tooling: &Tooling) -> Result<bool, Error> {
    let start = Instant::now();
    for folder in ["home", "tmp"].map(|name| tooling.output.join(name)) {
        fs::create_dir_all(&folder).map_err(|reason| Error::Folder { path: folder, reason })?;
    }
    step("Tools", tools::install(tooling)).await?;
    step("sam build", deployment::build(tooling)).await?;
    step("cargo build of the members command", members::build(tooling)).await?;
    let FlowResult { succeeded, total } = rehearse(tooling).await?;
    print_line(&format!("\n== {succeeded} of {total} flows succeeded, after {}", seconds(start.elapsed())));
    Ok(succeeded == total)
}

/// Deploys the built functions and walks every flow.
async fn rehearse(tooling: &Tooling) -> Result<FlowResult, Error> {
    let http = Client::new();
    let emulator = Emulator::start(tooling, &http).await?;
    let deployment = step("sam deploy", deployment::deploy(tooling, &emulator.url)).await?;
    for kind in emulator.placeholders() {
        print_line(&format!("   not rehearsed: {kind}"));
    }
    let cloud = Cloud::new(tooling, &http, emulator, deployment).await?;
    step("Flows", walk(&cloud)).await
}

async fn walk(cloud: &Cloud) -> Result<FlowResult, Error> {
    let mut result = FlowResult { succeeded: 0, total: 0 };
    for (title, flow) in flows::all(cloud) {
        let start = Instant::now();
        let outcome = flow.await;
        let time = seconds(start.elapsed());
        match &outcome {
            Ok(None) => print_line(&format!("   ok      {time:>7}  {title}")),
            Ok(Some(note)) => print_line(&format!("   ok      {time:>7}  {title}: {note}")),
            Err(failure) => print_line(&format!("   FAILED  {time:>7}  {title}: {failure}")),
        }
        result.succeeded += usize::from(outcome.is_ok());
        result.total += 1;
    }
    Ok(result)
}

/// Runs `work` under a heading and prints how long it took.
async fn step<T, E>(title: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    print_line(&format!("\n== {title}"));
    let start = Instant::now();
    let result = work.await;
    print_line(&format!("   {}", seconds(start.elapsed())));
    result
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f32())
}

fn print_line(line: &str) {
    // A closed stdout does not stop the rehearsal.
    let _ = writeln!(io::stdout(), "{line}");
}
