//! `cargo run -p rehearsal`: deploys the template into an emulated cloud with the commands that deploy it
//! to AWS, and walks every flow of both documents over the deployed API; then once more with moto as the store.

#![expect(clippy::indexing_slicing, reason = "a field that JSON lacks reads as null")]

mod cloud;
mod deployment;
mod dynamodb;
mod emulator;
mod failure;
mod flows;
mod moto;
mod operator;
mod programs;
mod tools;

use std::{
    convert::Infallible,
    fs,
    future::pending,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use reqwest::Client;
use template::Template;

use crate::{cloud::Cloud, emulator::Emulator, failure::Failure, moto::Moto, programs::Workshop};

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
    #[error("template.yaml: {0}")]
    Template(#[from] template::Error),
    #[error(transparent)]
    Program(#[from] programs::Error),
    #[error(transparent)]
    Deployment(#[from] deployment::Error),
    #[error(transparent)]
    Emulator(#[from] emulator::Error),
    #[error(transparent)]
    Moto(#[from] moto::Error),
    #[error("the deployed stack cannot be used: {0}")]
    Cloud(#[from] cloud::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

/// Where the table is.
#[derive(Clone, Copy)]
enum Store {
    /// In the emulated cloud, as deployed.
    MiniStack,
    /// In moto, under the same name and schema.
    Moto,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::MiniStack => "MiniStack",
            Self::Moto => "moto",
        }
    }
}

/// A flow and how it went.
struct Walked {
    promise: &'static str,
    failure: Option<Failure>,
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
    let deployed = rehearse(workshop, Store::MiniStack).await?;
    let beside = rehearse(workshop, Store::Moto).await?;

    say(&format!("\n== Every flow, after {}", seconds(began.elapsed())));
    let mark = |walked: &Walked| if walked.failure.is_none() { "held" } else { "FAILED" };
    say(&format!("{:<12}{:<12}", Store::MiniStack.name(), Store::Moto.name()));
    for (first, second) in deployed.iter().zip(&beside) {
        say(&format!("{:<12}{:<12}{}", mark(first), mark(second), first.promise));
    }
    Ok(deployed.iter().chain(&beside).all(|walked| walked.failure.is_none()))
}

/// Deploys what was built, and walks every flow.
async fn rehearse(workshop: &Workshop, store: Store) -> Result<Vec<Walked>, Error> {
    let http = Client::new();
    let moto = match store {
        Store::MiniStack => None,
        Store::Moto => Some(Moto::start(workshop, &http).await?),
    };
    let apart = moto.as_ref().map(|moto| moto.url.as_str());
    let emulator = Emulator::start(workshop, &http, apart).await?;
    let title = format!("sam deploy, table in {}", store.name());
    let deployment = step(&title, deployment::deploy(workshop, &emulator.url)).await?;
    for kind in emulator.placeholders() {
        say(&format!("   not rehearsed: {kind}"));
    }
    let store_url = apart.unwrap_or(&emulator.url).to_owned();
    let cloud = Cloud::new(workshop, &http, emulator, deployment, &store_url).await?;
    if moto.is_some() {
        let template = Template::load(&workshop.root.join("template.yaml"))?;
        moto::create(&cloud.table, &template).await?;
    }
    let stream = async {
        if moto.is_none() {
            return pending::<Result<Infallible, Error>>().await;
        }
        let function = cloud.deployment.output("DeliverNoticesFunctionName")?;
        Ok(moto::deliver(cloud.table.clone(), cloud.invocations(function)).await?)
    };
    let title = format!("Flows, table in {}", store.name());
    tokio::select! {
        walked = step(&title, walk(&cloud)) => walked,
        Err(error) = stream => Err(error),
    }
}

async fn walk(cloud: &Cloud) -> Result<Vec<Walked>, Error> {
    let mut walked = Vec::new();
    for (promise, flow) in flows::all(cloud) {
        let began = Instant::now();
        let outcome = flow.await;
        let time = seconds(began.elapsed());
        match &outcome {
            Ok(None) => say(&format!("   held    {time:>7}  {promise}")),
            Ok(Some(note)) => say(&format!("   held    {time:>7}  {promise}: {note}")),
            Err(failure) => say(&format!("   FAILED  {time:>7}  {promise}: {failure}")),
        }
        walked.push(Walked { promise, failure: outcome.err() });
    }
    Ok(walked)
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
