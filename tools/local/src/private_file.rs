//! Files that contain keys or the database. Only their owner can read them, and no symbolic link is followed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

/// Creates a file that only its owner can read.
///
/// # Errors
/// Fails if the path exists, even as a symbolic link without a target.
pub fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates an empty file if the path does not exist. Otherwise restricts the file to its owner.
///
/// # Errors
/// Fails if the path exists and is not a file, such as a symbolic link.
pub fn create_or_restrict(path: &Path) -> io::Result<()> {
    match create_new(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => restrict(path),
        created => created.map(drop),
    }
}

/// Lets only its owner read a file.
fn restrict(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

/// Creates a file with this text, or replaces it atomically.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    // An interrupted replacement leaves it behind.
    match fs::remove_file(&new) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed?,
    }
    create_new(&new)?.write_all(text)?;
    fs::rename(new, path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn replaced_file_is_private_and_follows_no_link() {
        let folder = std::env::temp_dir().join(crate::aws::random_id());
        fs::create_dir(&folder).unwrap();
        let (path, victim) = (folder.join("file"), folder.join("victim"));
        fs::write(&victim, "untouched").unwrap();
        for link in [path.clone(), path.with_added_extension("new")] {
            symlink(&victim, link).unwrap();
        }
        replace(&path, b"first").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&path, b"second").unwrap();
        let file = fs::symlink_metadata(&path).unwrap();
        assert!(file.is_file(), "{file:?}");
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        fs::remove_dir_all(folder).unwrap();
    }
}
