//! Files that contain hashes, contacts or keys. Only their owner can read them.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

/// Returns options for writing a file. Only its owner can read a file that they create.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a file. Fails if it exists.
pub fn create_new(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
}
