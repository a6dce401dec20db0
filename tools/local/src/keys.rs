//! The random keys of a stack. Each stack has its own.

use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::Path,
};

use serde_json::json;

use crate::{aws, private_file};

/// Generates a value for the setting `KEYS`: the id of the current key, and the key by its id as 64 hex digits.
#[must_use]
pub fn fresh() -> String {
    // Eight characters, the longest id that the functions accept.
    let id = format!("local-{:.2}", aws::random().simple().to_string());
    let key = format!("{}{}", aws::random().simple(), aws::random().simple());
    json!({ "current": id, id: key }).to_string()
}

/// Reads the keys from the file `path`. If it does not exist, creates it with [`fresh`] keys, readable only by its
/// owner.
///
/// # Errors
/// Fails if the file can neither be read nor created.
pub fn load_or_create(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let keys = fresh();
            private_file::create_new(path)?.write_all(keys.as_bytes())?;
            Ok(keys)
        }
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn fresh_keys_differ_and_name_the_current_key() {
        let keys: Value = serde_json::from_str(&fresh()).unwrap();
        assert_eq!(keys["current"].as_str().unwrap().len(), 8);
        let key = keys[keys["current"].as_str().unwrap()].as_str().unwrap();
        assert_eq!(key.len(), 64);
        assert!(key.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(fresh(), fresh());
    }

    #[test]
    fn stored_keys_are_readable_only_by_their_owner() {
        let path = std::env::temp_dir().join(format!("{}.keys", aws::random_id()));
        let keys = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap(), keys);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::remove_file(path).unwrap();
    }
}
