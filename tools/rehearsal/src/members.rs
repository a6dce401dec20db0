//! The `members` command, run against the deployed stack.

use std::{fmt::Display, path::PathBuf};

use serde_json::Value;

use crate::{
    deployment::STACK,
    failure::Failure,
    programs::{Error, Tooling},
};

/// Builds the command.
pub async fn build(tooling: &Tooling) -> Result<(), Error> {
    let mut cargo = tooling.networked("cargo");
    cargo.args(["build", "--bin", "members"]);
    tooling.run(cargo, "members").await
}

/// The built command with the cloud that it connects to.
pub struct MembersCommand {
    tooling: Tooling,
    cloud: String,
}

impl MembersCommand {
    /// Returns the command for the cloud at the URL `cloud`.
    pub fn new(tooling: &Tooling, cloud: &str) -> Self {
        Self { tooling: tooling.clone(), cloud: cloud.to_owned() }
    }

    /// Runs the command and returns each line of its output.
    pub async fn run(&self, arguments: &[&str]) -> Result<Vec<Value>, Failure> {
        let mut members = self.tooling.isolated(self.tooling.root.join("target/debug/members"), &self.cloud);
        members.args(["--stack", STACK, "--json"]).args(arguments);
        let failed = |reason: &dyn Display| {
            let subcommand = arguments.first().copied().unwrap_or_default();
            Failure::Wrong(format!("members {subcommand}: {reason}"))
        };
        let output = members.output().await.map_err(|reason| failed(&reason))?;
        if !output.status.success() {
            return Err(failed(&String::from_utf8_lossy(&output.stderr).trim()));
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        stdout.lines().map(|line| serde_json::from_str(line).map_err(|reason| failed(&reason))).collect()
    }

    /// Writes an input file for the command and returns its path.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.tooling.output.join("tmp").join(name);
        match std::fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(reason) => Err(Failure::Wrong(format!("{}: {reason}", path.display()))),
        }
    }
}
