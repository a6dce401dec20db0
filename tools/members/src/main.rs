//! `members`: the operator's command, from a first import to the rotation of keys.

mod actor;
mod audit_log;
mod commands;
mod environment;
mod error;
mod failures;
mod keys_secret;
mod output;
mod private_file;
mod progress;
mod scan;
mod table;
mod target;

use std::{io, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use commands::{
    audit, close, completions, export, import, keys, normalize, revoke, show, sign_session, unfreeze, unlock,
};
use error::Error;
use target::Target;

/// Manage the members of a deployment, their sessions, and its keys.
///
/// AWS credentials are found by the default chain: environment, profile, single sign-on, role. Every command that
/// reads or changes members leaves an audit record with the identity that ran it.
#[derive(Debug, Parser)]
#[command(name = "members", version)]
struct Cli {
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import members from another system
    Import(import::Arguments),
    /// Store phones and email addresses in their normal form; report those that two members have
    Normalize(normalize::Arguments),
    /// Show a member's data, without hashes
    Show(show::Arguments),
    /// Clear a member's failed password and code attempts
    Unlock(unlock::Arguments),
    /// Lift the freeze of a member who reported a change
    Unfreeze(unfreeze::Arguments),
    /// End the sessions of a member, or of all members
    Revoke(revoke::Arguments),
    /// Close a member, list the closed members, or close them again after a restore
    Close(close::Arguments),
    /// Sign a session of a member for a test
    SignSession(sign_session::Arguments),
    /// Print the audit records of a member or of a day
    Audit(audit::Arguments),
    /// Export all members as JSON lines that `import` can read
    Export(export::Arguments),
    /// Create, rotate, retire and list keys
    Keys(keys::Arguments),
    /// Print shell completions
    Completions(completions::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Cli::parse())).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader of standard output, such as `head`, has closed it.
        Err(Error::Output(reason)) if reason.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("error: {error}"));
            match error {
                // The shell's convention for SIGINT: 128 + 2.
                Error::Interrupted(_) => ExitCode::from(130),
                Error::Usage(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Runs the command. Returns whether it did everything that was requested.
async fn run(Cli { target, json, command }: Cli) -> Result<bool, Error> {
    match command {
        Command::Import(arguments) => return import::run(arguments, target.open().await?, json).await,
        Command::Normalize(arguments) => {
            return normalize::run(&target.open().await?, &arguments, json).await;
        }
        Command::Show(arguments) => show::run(&target.open().await?, arguments, json).await?,
        Command::Unlock(arguments) => unlock::run(&target.open().await?, arguments, json).await?,
        Command::Unfreeze(arguments) => unfreeze::run(&target.open().await?, arguments, json).await?,
        Command::Revoke(arguments) => revoke::run(&target.open().await?, arguments, json).await?,
        Command::Close(arguments) => close::run(&target.open().await?, arguments, json).await?,
        Command::SignSession(arguments) => sign_session::run(&target.open().await?, arguments, json).await?,
        Command::Audit(arguments) => audit::run(&target.open().await?, arguments, json).await?,
        Command::Export(arguments) => export::run(&target.open().await?, arguments).await?,
        Command::Keys(arguments) => keys::run(&target, arguments, json).await?,
        Command::Completions(arguments) => completions::run(&arguments, &mut Cli::command())?,
    }
    Ok(true)
}
