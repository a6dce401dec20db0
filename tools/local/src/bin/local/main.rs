//! Builds the functions and serves them on this machine. `cargo run` starts it.

mod terminal;

use std::{
    collections::BTreeMap,
    env, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use local::{KEYS_SECRET_ARN, Options, Stack, UnquotableValue, cargo, keys, private_file, welcome};
use template::Template;

/// The phone number in the examples of the first document.
const DEMO_PHONE: &str = "13627140483";
const DEMO_PASSWORD: &str = "the-old-password";

/// Serves the account-security endpoints on 127.0.0.1.
///
/// An environment variable overrides the setting of its name.
#[derive(Parser)]
struct Arguments {
    /// Port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Store the database in FILE and the keys in FILE.keys instead of in memory
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Write the functions' environment to FILE, for `cargo lambda watch --env-file FILE`
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,
    /// Build the functions with optimizations, as for a deployment
    #[arg(long)]
    release: bool,
}

/// Why the stack cannot run. Each message is one line.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Cargo(#[from] cargo::Error),
    #[error(transparent)]
    Stack(#[from] local::Error),
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: io::Error },
    #[error(transparent)]
    UnquotableValue(#[from] UnquotableValue),
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
        Some(data) => stored_keys(data)?,
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
    let stack = Stack::open(options).await?;
    let demo = stack.demo_member(DEMO_PHONE, DEMO_PASSWORD).await;
    let stack = stack.serve();
    if let Some(path) = arguments.env {
        let file = stack.environment_file()?;
        private_file::replace(&path, file.as_bytes()).map_err(|reason| Error::File { path, reason })?;
    }
    terminal::print(&welcome::welcome(stack.url(), &demo));
    local::shutdown_signal().await.map_err(Error::Signals)?;
    stack.shutdown().await;
    Ok(())
}

/// Returns the settings of the template that are overridden by environment variables of this process.
#[expect(clippy::disallowed_methods, reason = "the environment of `cargo run` overrides settings")]
fn settings(template: &Template) -> BTreeMap<String, String> {
    template
        .variable_names()
        .into_iter()
        // The stack passes its own keys in `KEYS`.
        .filter(|name| *name != KEYS_SECRET_ARN)
        .filter_map(|name| Some((name.to_owned(), env::var(name).ok()?)))
        .collect()
}

fn stored_keys(data: &Path) -> Result<String, Error> {
    let path = data.with_added_extension("keys");
    keys::load_or_create(&path).map_err(|reason| Error::File { path, reason })
}
