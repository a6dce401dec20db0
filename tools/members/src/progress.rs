//! How far a command came, in a file, so that the same command goes on from there.

use std::{fs, io::ErrorKind, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// What an earlier run kept, if there is anything; it must be of the same work.
pub fn read<T: DeserializeOwned>(path: &Path, is_of_this: impl Fn(&T) -> bool) -> Result<Option<T>, Error> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|reason| Error::File { path: path.to_owned(), reason })?,
    };
    let kept = serde_json::from_slice(&text).ok().filter(is_of_this);
    kept.map(Some).ok_or_else(|| {
        let path = path.display();
        Error::Usage(format!(
            "{path} is of another file, table or command line than this; delete it to begin anew"
        ))
    })
}

/// Keeps it, wholly or not at all.
pub fn keep(path: &Path, progress: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec(progress).map_err(Error::internal)?;
    let new = path.with_added_extension("new");
    let kept = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    kept.map_err(|reason| Error::File { path: path.to_owned(), reason })
}

/// All is done.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|reason| Error::File { path: path.to_owned(), reason }),
    }
}
