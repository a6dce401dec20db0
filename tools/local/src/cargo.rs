//! Builds the functions with cargo.

use std::{
    env,
    ffi::OsString,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

/// Why the functions could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Cargo cannot be started, or its output cannot be read.
    #[error("cannot run cargo: {0}")]
    Cargo(#[from] io::Error),
    /// Cargo printed compiler errors.
    #[error("the functions do not compile; see the errors above")]
    Build,
    /// Cargo reported no executable.
    #[error("cargo built no binaries")]
    Nothing,
}

/// A line that cargo prints with `--message-format=json`.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

/// Builds `binaries` in the workspace at `root` and returns the folder that contains them.
///
/// The debug build selects no package, like `cargo run`. Cargo then enables the same features of the dependencies
/// and compiles each of them once. Naming the binaries excludes the other programs of the workspace. The release
/// build selects the package of the functions, as a deployment does.
///
/// # Errors
/// See [`Error`].
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
            // Messages about libraries and warnings have no executable.
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

/// Returns the cargo that runs this program, or the first one on the search path.
#[expect(clippy::disallowed_methods, reason = "cargo sets its own path in the environment")]
fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
