//! `members keys`: the functions' keys, in Secrets Manager or in the file of a local stack.

mod init;
mod key_set;
mod list;
mod retire;
mod rotate;
mod storage;
mod usage;

use std::path::PathBuf;

use crate::{error::Error, target::Target};
use storage::KeyStorage;

/// What is done with the keys.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the first key
    Init,
    /// Add a key; with --use, let a key that was added and deployed be the current one
    Rotate(rotate::Arguments),
    /// Remove a key, and with it what hangs on it
    Retire(retire::Arguments),
    /// Count the passwords that hang on each key
    List,
}

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The file that has the keys of a local stack, `FILE.keys` of `cargo run -- --data FILE`
    #[arg(long, global = true, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Runs a subcommand.
pub async fn run(target: &Target, Arguments { command, file }: Arguments, json: bool) -> Result<(), Error> {
    // `--file` needs no table: the local stack may not have run yet.
    let table = match file {
        Some(_) if !target.is_named() => None,
        _ => Some(target.open().await?),
    };
    let table = table.as_ref();
    let storage = match (file, table) {
        (Some(path), _) => KeyStorage::File(path),
        (None, Some(table)) => KeyStorage::Secret(&table.keys_secret),
        (None, None) => return Err(Error::Usage("say where the keys are".to_owned())),
    };
    match command {
        Command::Init => init::run(&storage, table, json).await,
        Command::Rotate(arguments) => rotate::run(&storage, table, arguments, json).await,
        Command::Retire(arguments) => retire::run(&storage, table, arguments, json).await,
        Command::List => list::run(&storage, table, json).await,
    }
}
