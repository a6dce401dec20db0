//! `members`: what an operator does with members, from a first import to the rotation of keys.

mod actor;
mod environment;
mod error;
mod export;
mod import;
mod keys;
mod output;
mod private;
mod progress;
mod revoke;
mod scan;
mod session;
mod show;
mod table;
mod target;
mod trail;
mod unlock;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

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
    Show {
        /// Id, phone or mail address
        who: String,
    },
    /// Forget a member's wrong tries of passwords and codes
    Unlock {
        /// Id, phone or mail address
        who: String,
    },
    /// End the sessions of a member, or of everybody
    Revoke(revoke::Arguments),
    /// Sign a session of a member, for a test
    Session {
        /// Id, phone or mail address
        who: String,
        /// Sign it though the table is marked as production
        #[arg(long)]
        yes: bool,
    },
    /// Print what was done, to a member or on a day
    Audit(trail::Arguments),
    /// Write all members as JSON lines, as `import` reads them
    Export(export::Arguments),
    /// Make, rotate, retire and count keys
    Keys(keys::Arguments),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Arguments::parse())).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever read the output has enough of it.
        Err(Error::Output(reason)) if reason.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("error: {error}"));
            match error {
                // As a shell has it for SIGINT.
                Error::Interrupted(_) => ExitCode::from(130),
                Error::Usage(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Whether all that was asked for was done.
async fn run(Arguments { target, json, command }: Arguments) -> Result<bool, Error> {
    match command {
        Command::Import(arguments) => return import::run(arguments, target.open().await?, json).await,
        Command::Show { who } => show::run(&target.open().await?, &who, json).await?,
        Command::Unlock { who } => unlock::run(&target.open().await?, &who, json).await?,
        Command::Revoke(arguments) => revoke::run(&target.open().await?, arguments, json).await?,
        Command::Session { who, yes } => session::run(&target.open().await?, &who, yes, json).await?,
        Command::Audit(arguments) => trail::run(&target.open().await?, arguments, json).await?,
        Command::Export(arguments) => export::run(&target.open().await?, arguments).await?,
        Command::Keys(arguments) => keys::run(&target, arguments, json).await?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "members", &mut script);
            io::stdout().write_all(&script)?;
        }
    }
    Ok(true)
}
