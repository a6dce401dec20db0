//! `cargo run`: builds the functions and serves them on this machine, without Docker and without AWS.

mod cargo;
mod terminal;

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use local::{KEYS_SECRET_ARN, Options, Stack, Unquotable, keys, newcomer};
use template::Template;

/// The phone of the first document's examples.
const DEMO_PHONE: &str = "13627140483";
const DEMO_PASSWORD: &str = "the-old-password";

/// Serves the account-security endpoints on 127.0.0.1.
///
/// An environment variable of the name of a setting overrides the setting.
#[derive(Parser)]
struct Arguments {
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Keep the database in FILE and the keys in FILE.keys, instead of in memory
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Write the functions' environment to FILE, for `cargo lambda watch --env-file FILE`
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,
    /// Build the functions with optimizations, as they deploy
    #[arg(long)]
    release: bool,
}

/// Why the stack is not there; one line each.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Cargo(#[from] cargo::Error),
    #[error(transparent)]
    Stack(#[from] local::Error),
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: io::Error },
    #[error(transparent)]
    Unquotable(#[from] Unquotable),
    #[error("the member to try the calls with: {0}")]
    Demo(#[source] shared::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Error> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2).unwrap_or(package);
    let path = root.join("template.yaml");
    let template =
        Template::load(&path).map_err(|reason| local::Error::Template { path: path.clone(), reason })?;
    let settings = settings(&template);
    let functions = template.functions.iter().map(|function| function.binary.as_str());
    let binaries = cargo::build(root, functions, arguments.release)?;
    let keys = match &arguments.data {
        Some(data) => kept_keys(data)?,
        None => keys::fresh(),
    };
    let options = Options {
        port: arguments.port,
        data: arguments.data,
        binaries,
        template: path,
        settings,
        keys,
        on_event: terminal::show,
    };
    let stack = Stack::start(options).await?;
    if let Some(path) = arguments.env {
        let file = stack.environment_file()?;
        fs::write(&path, file).map_err(|reason| Error::File { path, reason })?;
    }
    let demo = stack.demo(DEMO_PHONE, DEMO_PASSWORD).await.map_err(Error::Demo)?;
    terminal::print(&newcomer::welcome(stack.url(), &demo));
    local::end_of_work().await.map_err(Error::Signals)?;
    stack.shutdown().await;
    Ok(())
}

/// The settings that this process's environment overrides, among those that the template declares.
#[expect(clippy::disallowed_methods, reason = "the command line's own settings come from its environment")]
fn settings(template: &Template) -> BTreeMap<String, String> {
    template
        .variable_names()
        .into_iter()
        // The stack's keys are its own.
        .filter(|name| *name != KEYS_SECRET_ARN)
        .filter_map(|name| Some((name.to_owned(), env::var(name).ok()?)))
        .collect()
}

fn kept_keys(data: &Path) -> Result<String, Error> {
    let path = data.with_added_extension("keys");
    keys::kept(&path).map_err(|reason| Error::File { path, reason })
}
