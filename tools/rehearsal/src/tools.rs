//! Installs the tools that the rehearsal needs from PyPI: an emulated cloud, and SAM with cargo-lambda.

use std::fs;

use crate::programs::{Error as ProgramError, Tooling};

/// The pinned tools, relative to the top of the repository.
const REQUIREMENTS: &str = ".ci/rehearsal.txt";

/// The tools could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Python is missing, or lacks its venv module, as on Debian.
    #[error("python3 with its venv module is needed (Debian: apt-get install python3-venv): {0}")]
    Python(#[source] ProgramError),
    /// pip could not install them.
    #[error(transparent)]
    Install(#[from] ProgramError),
    /// The list of tools could not be read or copied.
    #[error("{REQUIREMENTS}: {0}")]
    Requirements(#[from] std::io::Error),
}

/// Installs the tools unless the installed ones match the list.
pub async fn install(tooling: &Tooling) -> Result<(), Error> {
    let required = tooling.root.join(REQUIREMENTS);
    let folder = tooling.bin.parent().unwrap_or(&tooling.bin);
    let installed = folder.join("requirements.txt");
    let list = fs::read(&required)?;
    // A missing copy means that the last installation did not complete.
    if fs::read(&installed).is_ok_and(|installed| installed == list) {
        return Ok(());
    }
    let mut venv = tooling.networked("python3");
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    tooling.run(venv, "tools").await.map_err(Error::Python)?;
    let mut pip = tooling.networked(tooling.bin.join("pip"));
    pip.args(["install", "--disable-pip-version-check", "--requirement"]).arg(&required);
    tooling.run(pip, "tools").await?;
    fs::write(installed, list)?;
    Ok(())
}
