//! `members completions`: shell completions.

use std::io::{self, Write};

use clap_complete::Shell;

use crate::error::Error;

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell to complete in
    shell: Shell,
}

/// Prints the completions.
pub fn run(arguments: &Arguments, command: &mut clap::Command) -> Result<(), Error> {
    // `generate` panics if it cannot write, as to a closed standard output.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "members", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}
