//! `members keys`: the functions' keys, in Secrets Manager or in the file of a local stack.

mod discovery;
mod init;
mod jwks;
mod key_set;
mod list;
mod retire;
mod rotate;
mod storage;
mod usage;

use std::path::PathBuf;

use crate::{error::Error, target::Target};
use storage::KeyStorage;

/// A subcommand.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create the first key
    Init,
    /// Add a key, or make a key that was added and deployed the current one
    Rotate(rotate::Arguments),
    /// Remove a key; whatever was signed or hashed under it becomes invalid
    Retire(retire::Arguments),
    /// List the keys, and how many password hashes use each
    List,
    /// Print the public keys of service tokens (JWKS), to publish
    Jwks,
    /// Print the discovery document of service tokens, to publish
    Discovery(discovery::Arguments),
}

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The file that contains the keys of a local stack: `FILE.keys` of `cargo run -- --data FILE`
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
        (None, None) => {
            return Err(Error::Usage(
                "the keys are not named; pass --file FILE, --stack NAME or --table NAME".to_owned(),
            ));
        }
    };
    match command {
        Command::Init => init::run(&storage, table, json).await,
        Command::Rotate(arguments) => rotate::run(&storage, table, arguments, json).await,
        Command::Retire(arguments) => retire::run(&storage, table, arguments, json).await,
        Command::List => list::run(&storage, table, json).await,
        Command::Jwks => jwks::run(&storage).await,
        Command::Discovery(arguments) => discovery::run(&storage, table, arguments).await,
    }
}
