//! What whoever deploys does: `sam build`, and `sam deploy` of the environment `staging`.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::programs::{self, Workshop};

/// How long after a send the same destination may be sent to again: long enough to be refused within, and short
/// enough to wait for.
pub const RESEND_AFTER_SECONDS: u64 = 5;

/// What the links in mail begin with.
pub const MAIL_LINK_BASE_URL: &str = "https://rehearsal.example.com";

/// The stack's name.
pub const STACK: &str = "rehearsal";

/// Why nothing is deployed; one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command failed.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// Its answer cannot be read.
    #[error("the stack's outputs cannot be read: {0}")]
    Outputs(String),
    /// The template has no such output.
    #[error("the template has no output {0}")]
    NoOutput(&'static str),
}

/// A deployed stack, by its outputs.
pub struct Deployment(BTreeMap<String, String>);

impl Deployment {
    /// The value of an output.
    pub fn output(&self, name: &'static str) -> Result<&str, Error> {
        self.0.get(name).map(String::as_str).ok_or(Error::NoOutput(name))
    }

    /// The functions' deployed names by the logical ids' own, such as `SendCode`.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.strip_suffix("FunctionName")?, value.as_str())))
    }
}

/// Builds the functions, as they deploy, for the processor of this machine.
pub async fn build(workshop: &Workshop) -> Result<(), Error> {
    let mut sam = workshop.open(workshop.tools.join("sam"));
    sam.args(["build", "--config-env", "staging", "--parameter-overrides", &architecture()]);
    sam.arg("--build-dir").arg(workshop.folder.join("build"));
    Ok(workshop.run(sam, "build").await?)
}

/// Deploys what was built into the cloud at that address.
pub async fn deploy(workshop: &Workshop, cloud: &str) -> Result<Deployment, Error> {
    let mut sam = workshop.sealed(workshop.tools.join("sam"), cloud);
    sam.args(["deploy", "--config-env", "staging", "--stack-name", STACK])
        // It would look for it beside the template.
        .arg("--config-file")
        .arg(workshop.root.join("samconfig.toml"))
        .arg("--template-file")
        .arg(workshop.folder.join("build/template.yaml"))
        .args(["--parameter-overrides", &architecture()])
        .arg(format!("ResendAfterSeconds={RESEND_AFTER_SECONDS}"))
        .arg("MailFrom=no-reply@example.com")
        .arg(format!("MailLinkBaseUrl={MAIL_LINK_BASE_URL}"));
    workshop.run(sam, "deploy").await?;
    outputs(workshop, cloud, &workshop.tools.join("sam")).await
}

async fn outputs(workshop: &Workshop, cloud: &str, sam: &Path) -> Result<Deployment, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        output_key: String,
        output_value: String,
    }
    let unread = |reason: &dyn std::fmt::Display| Error::Outputs(reason.to_string());
    let mut sam = workshop.sealed(sam, cloud);
    sam.args(["list", "stack-outputs", "--stack-name", STACK, "--output", "json"]);
    let answer = sam.output().await.map_err(|reason| unread(&reason))?;
    let outputs: Vec<Output> = serde_json::from_slice(&answer.stdout).map_err(|reason| unread(&reason))?;
    Ok(Deployment(outputs.into_iter().map(|output| (output.output_key, output.output_value)).collect()))
}

fn architecture() -> String {
    let name = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    format!("Architecture={name}")
}
