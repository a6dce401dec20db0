//! Builds the functions.

use std::{
    env,
    ffi::OsString,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

/// Why there are no binaries.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Cargo cannot be started or heard.
    #[error("cargo cannot be run: {0}")]
    Cargo(#[from] io::Error),
    /// Cargo has said why.
    #[error("the functions do not build, see above")]
    Build,
    /// The workspace has no binary.
    #[error("cargo built no binary")]
    Nothing,
}

/// A line of cargo's `--message-format=json`.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

/// Builds every binary of the workspace in `root` and returns their folder.
///
/// The debug build takes the same packages as `cargo run`, so that nothing is compiled twice for other features.
/// The release build takes the functions alone, as they deploy.
pub fn build(root: &Path, release: bool) -> Result<PathBuf, Error> {
    let mut command = Command::new(cargo());
    command.current_dir(root).args(["build", "--bins", "--message-format=json-render-diagnostics"]);
    if release {
        command.args(["--release", "--package", "functions"]);
    }
    let mut cargo = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut folder = None;
    if let Some(output) = cargo.stdout.take() {
        for line in BufReader::new(output).lines() {
            // Other kinds of messages have no executable.
            if let Ok(Message { executable: Some(executable) }) = serde_json::from_str(&line?) {
                folder = executable.parent().map(Path::to_owned);
            }
        }
    }
    if !cargo.wait()?.success() {
        return Err(Error::Build);
    }
    folder.ok_or(Error::Nothing)
}

/// The cargo that runs this program, or else the first one on the path.
#[expect(clippy::disallowed_methods, reason = "cargo says in the environment where it is")]
fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
