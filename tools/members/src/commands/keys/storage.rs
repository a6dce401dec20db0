//! Where the keys are stored.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use shared::Secret;

use super::key_set::KeySet;
use crate::{error::Error, keys_secret::KeysSecret, private_file};

/// Where the keys are stored.
pub enum KeyStorage<'a> {
    /// In the file of a local stack.
    File(PathBuf),
    /// In a deployment's secret.
    Secret(&'a KeysSecret),
}

impl KeyStorage<'_> {
    /// Reads the keys.
    pub async fn read(&self) -> Result<KeySet, Error> {
        let text: Secret = match self {
            Self::File(path) => fs::read_to_string(path).map_err(file_error(path))?.into(),
            Self::Secret(secret) => secret.read().await?,
        };
        KeySet::parse(&text)
    }

    /// Replaces the keys. A file is replaced atomically.
    pub async fn write(&self, keys: &KeySet) -> Result<(), Error> {
        let text = keys.to_text()?;
        match self {
            Self::File(path) => {
                let new = path.with_added_extension("new");
                create_file(&new, &text)?;
                fs::rename(&new, path).map_err(file_error(path))
            }
            Self::Secret(secret) => secret.write(text).await,
        }
    }
}

/// Creates a file with that text. Fails if the file exists.
pub fn create_file(path: &Path, text: &str) -> Result<(), Error> {
    let created = private_file::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    created.map_err(file_error(path))
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |reason| Error::File { path, reason }
}
