//! Progress files, from which an interrupted command resumes.

use std::{fs, io::ErrorKind, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use crate::{error::Error, private_file};

/// Reads the progress of an interrupted run. Returns `None` if there is no such file, and fails unless `is_same_run`
/// confirms that the run did the same work.
pub fn read<T: DeserializeOwned>(path: &Path, is_same_run: impl Fn(&T) -> bool) -> Result<Option<T>, Error> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|reason| Error::File { path: path.to_owned(), reason })?,
    };
    let progress = serde_json::from_slice(&text).ok().filter(is_same_run);
    progress.map(Some).ok_or_else(|| {
        let path = path.display();
        Error::Usage(format!(
            "{path} belongs to a different file, table or set of options; delete it to start over"
        ))
    })
}

/// Replaces the progress file atomically.
pub fn write(path: &Path, progress: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec(progress).map_err(Error::internal)?;
    private_file::replace(path, &text).map_err(|reason| Error::File { path: path.to_owned(), reason })
}

/// Removes the progress file of a completed run.
pub fn remove(path: &Path) -> Result<(), Error> {
    private_file::remove(path).map_err(|reason| Error::File { path: path.to_owned(), reason })
}
