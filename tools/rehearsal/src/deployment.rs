//! Deploys the template as a developer does: `sam build` and `sam deploy` of the environment `staging`.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::programs::{self, Tooling};

/// The resend cooldown of the deployed stack: long enough for a second send to be refused, short enough to wait for.
pub const RESEND_AFTER_SECONDS: u64 = 5;

/// The start of every link in an email.
pub const MAIL_LINK_BASE_URL: &str = "https://rehearsal.example.com";

/// The stack's name.
pub const STACK: &str = "rehearsal";

/// The template could not be deployed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command failed.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// The outputs of the stack could not be read.
    #[error("cannot read the stack's outputs: {0}")]
    Outputs(String),
    /// The template lacks an output.
    #[error("the template has no output {0}")]
    NoOutput(&'static str),
}

/// The outputs of the deployed stack, by name.
pub struct Deployment(BTreeMap<String, String>);

impl Deployment {
    /// Returns the value of an output.
    pub fn output(&self, name: &'static str) -> Result<&str, Error> {
        self.0.get(name).map(String::as_str).ok_or(Error::NoOutput(name))
    }

    /// Returns each function's logical id without its suffix, such as `SendCode`, and its deployed name.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.strip_suffix("FunctionName")?, value.as_str())))
    }
}

/// Builds the functions for the processor of this machine.
pub async fn build(tooling: &Tooling) -> Result<(), Error> {
    let mut sam = tooling.networked(tooling.bin.join("sam"));
    sam.args(["build", "--config-env", "staging", "--parameter-overrides", &architecture()]);
    sam.arg("--build-dir").arg(tooling.output.join("build"));
    Ok(tooling.run(sam, "build").await?)
}

/// Deploys the built functions into the cloud at the URL `cloud`.
pub async fn deploy(tooling: &Tooling, cloud: &str) -> Result<Deployment, Error> {
    let mut sam = tooling.isolated(tooling.bin.join("sam"), cloud);
    sam.args(["deploy", "--config-env", "staging", "--stack-name", STACK])
        // By default, SAM expects its configuration beside the built template.
        .arg("--config-file")
        .arg(tooling.root.join("samconfig.toml"))
        .arg("--template-file")
        .arg(tooling.output.join("build/template.yaml"))
        .args(["--parameter-overrides", &architecture()])
        .arg(format!("ResendAfterSeconds={RESEND_AFTER_SECONDS}"))
        .arg("MailFrom=no-reply@example.com")
        .arg(format!("MailLinkBaseUrl={MAIL_LINK_BASE_URL}"));
    tooling.run(sam, "deploy").await?;
    outputs(tooling, cloud, &tooling.bin.join("sam")).await
}

async fn outputs(tooling: &Tooling, cloud: &str, sam: &Path) -> Result<Deployment, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        output_key: String,
        output_value: String,
    }
    let unreadable = |reason: &dyn std::fmt::Display| Error::Outputs(reason.to_string());
    let mut sam = tooling.isolated(sam, cloud);
    sam.args(["list", "stack-outputs", "--stack-name", STACK, "--output", "json"]);
    let listed = sam.output().await.map_err(|reason| unreadable(&reason))?;
    let outputs: Vec<Output> =
        serde_json::from_slice(&listed.stdout).map_err(|reason| unreadable(&reason))?;
    Ok(Deployment(outputs.into_iter().map(|output| (output.output_key, output.output_value)).collect()))
}

fn architecture() -> String {
    let name = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    format!("Architecture={name}")
}
