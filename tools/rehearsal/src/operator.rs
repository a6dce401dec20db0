//! The operator's command, on the deployed stack.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    deployment::STACK,
    failure::Failure,
    programs::{Error, Workshop},
};

/// Builds the command, as whoever develops it does.
pub async fn build(workshop: &Workshop) -> Result<(), Error> {
    let mut cargo = workshop.open("cargo");
    cargo.args(["build", "--package", "members", "--bin", "members"]);
    workshop.run(cargo, "members").await
}

/// Somebody who runs the command.
pub struct Operator {
    workshop: Workshop,
    cloud: String,
}

impl Operator {
    /// One whose cloud is at that address.
    pub fn new(workshop: &Workshop, cloud: &str) -> Self {
        Self { workshop: workshop.clone(), cloud: cloud.to_owned() }
    }

    /// Runs the command, and answers each line of what it says.
    pub async fn run(&self, arguments: &[&str]) -> Result<Vec<Value>, Failure> {
        let mut members = self.workshop.sealed(self.workshop.root.join("target/debug/members"), &self.cloud);
        members.args(["--stack", STACK, "--json"]);
        let wrong = |reason: &dyn std::fmt::Display| {
            Failure::Wrong(format!("members {}: {reason}", arguments.first().copied().unwrap_or_default()))
        };
        let ended = members.args(arguments).output().await.map_err(|reason| wrong(&reason))?;
        if !ended.status.success() {
            return Err(wrong(&String::from_utf8_lossy(&ended.stderr).trim()));
        }
        let told = String::from_utf8_lossy(&ended.stdout).into_owned();
        told.lines().map(|line| serde_json::from_str(line).map_err(|reason| wrong(&reason))).collect()
    }

    /// A file for it to read.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.workshop.folder.join("tmp").join(name);
        match std::fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(reason) => Err(Failure::Wrong(format!("{}: {reason}", path.display()))),
        }
    }
}
