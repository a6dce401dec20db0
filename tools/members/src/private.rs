//! Files with hashes or keys: for their owner alone.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

/// To write one.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// One that must not be there yet.
pub fn new_file(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
}
