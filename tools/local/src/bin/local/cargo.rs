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

/// Builds the binaries of these names in the workspace at `root` and returns their folder.
///
/// The debug build selects no package, like `cargo run`: cargo then gives the dependencies the same features and
/// compiles none of them twice. The names keep it from building the other programs of the workspace.
/// The release build selects the functions' package, as a deployment does.
pub fn build<'a>(
    root: &Path,
    binaries: impl IntoIterator<Item = &'a str>,
    release: bool,
) -> Result<PathBuf, Error> {
    let mut command = Command::new(cargo());
    command.current_dir(root).args(["build", "--message-format=json-render-diagnostics"]);
    for binary in binaries {
        command.args(["--bin", binary]);
    }
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
