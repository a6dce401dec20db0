//! The tools from PyPI: an emulated cloud, and what builds and deploys.

use std::fs;

use crate::programs::{Error as ProgramError, Workshop};

/// What is installed, under the repository's top.
const REQUIREMENTS: &str = ".ci/rehearsal.txt";

/// Why there are no tools; one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Python is not there, or comes without venv, as Debian has it.
    #[error("python3 with its venv module is needed (Debian: apt-get install python3-venv): {0}")]
    Python(#[source] ProgramError),
    /// PyPI is out of reach, or has them no more.
    #[error(transparent)]
    Install(#[from] ProgramError),
    /// The list of tools cannot be read, or kept.
    #[error("{REQUIREMENTS}: {0}")]
    Requirements(#[from] std::io::Error),
}

/// Installs the tools, where they are not as the list says. Answers whether it had to.
pub async fn install(workshop: &Workshop) -> Result<bool, Error> {
    let wanted = workshop.root.join(REQUIREMENTS);
    let folder = workshop.tools.parent().unwrap_or(&workshop.tools);
    let installed = folder.join("requirements.txt");
    let list = fs::read(&wanted)?;
    // What cannot be read was not installed.
    if fs::read(&installed).is_ok_and(|installed| installed == list) {
        return Ok(false);
    }
    let mut venv = workshop.open("python3");
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    workshop.run(venv, "tools").await.map_err(Error::Python)?;
    let mut pip = workshop.open(workshop.tools.join("pip"));
    pip.args(["install", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
    workshop.run(pip, "tools").await?;
    fs::write(installed, list)?;
    Ok(true)
}
