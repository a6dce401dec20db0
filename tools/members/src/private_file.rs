//! Files that contain hashes, contacts or keys. Only their owner can read them, and no symbolic link is followed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

/// Creates a file. Fails if the path exists, even as a symbolic link without a target.
pub fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Opens an existing file for writing. Fails if the path is not a file.
pub fn open(path: &Path) -> io::Result<File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    OpenOptions::new().write(true).open(path)
}

/// Removes a file or a symbolic link, if the path exists.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Creates a file, or replaces it atomically.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    // An interrupted replacement leaves it behind.
    remove(&new)?;
    create_new(&new)?.write_all(text)?;
    fs::rename(new, path)
}
