//! The only reader of this process's environment, and of files that contain one.

use std::{collections::BTreeMap, env, fs, path::Path};

use crate::error::Error;

/// Returns a variable of this process.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a command's own settings come from its environment")]
    env::var(name).ok()
}

/// Reads the variables in a file of lines `NAME='value'`, as `cargo run -- --env FILE` writes it.
pub fn file(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let text = fs::read_to_string(path).map_err(|reason| Error::File { path: path.to_owned(), reason })?;
    let line = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let unquoted = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        Some((name.to_owned(), unquoted.unwrap_or(value).to_owned()))
    };
    Ok(text.lines().filter_map(line).collect())
}
