//! `members`: what an operator does with members, from a first import to the rotation of keys.

mod actor;
mod attribute;
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
mod transaction;

use std::{io, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use commands::{audit, completions, export, import, keys, revoke, show, sign_session, unlock};
use error::Error;
use target::Target;

/// What an operator does with members.
///
/// Credentials of AWS come from the ordinary places: environment, profile, single sign-on, role. What a command
/// does to members, or reads of them, is recorded with who ran it.
#[derive(Debug, Parser)]
#[command(name = "members", version)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring members along from another system
    Import(import::Arguments),
    /// Show what is kept of a member, but no hash
    Show(show::Arguments),
    /// Forget a member's wrong tries of passwords and codes
    Unlock(unlock::Arguments),
    /// End the sessions of a member, or of everybody
    Revoke(revoke::Arguments),
    /// Sign a session of a member, for a test
    SignSession(sign_session::Arguments),
    /// Print what was done, to a member or on a day
    Audit(audit::Arguments),
    /// Write all members as JSON lines, as `import` reads them
    Export(export::Arguments),
    /// Make, rotate, retire and count keys
    Keys(keys::Arguments),
    /// Print completions for a shell
    Completions(completions::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Arguments::parse())).await {
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
async fn run(Arguments { target, json, command }: Arguments) -> Result<bool, Error> {
    match command {
        Command::Import(arguments) => return import::run(arguments, target.open().await?, json).await,
        Command::Show(arguments) => show::run(&target.open().await?, arguments, json).await?,
        Command::Unlock(arguments) => unlock::run(&target.open().await?, arguments, json).await?,
        Command::Revoke(arguments) => revoke::run(&target.open().await?, arguments, json).await?,
        Command::SignSession(arguments) => sign_session::run(&target.open().await?, arguments, json).await?,
        Command::Audit(arguments) => audit::run(&target.open().await?, arguments, json).await?,
        Command::Export(arguments) => export::run(&target.open().await?, arguments).await?,
        Command::Keys(arguments) => keys::run(&target, arguments, json).await?,
        Command::Completions(arguments) => completions::run(&arguments, &mut Arguments::command())?,
    }
    Ok(true)
}
