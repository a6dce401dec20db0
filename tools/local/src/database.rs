//! The embedded DynamoDB with the template's table.

use std::{io, path::Path, pin::pin, time::Duration};

use dynoxide::{
    Database,
    actions::{
        create_table::CreateTableRequest,
        update_time_to_live::{TimeToLiveSpecification, UpdateTimeToLiveRequest},
    },
    errors::DynoxideError,
    server::serve_with_shutdown,
};
use rusqlite::Connection;
use serde_json::Value;
use template::Table;
use tokio::{net::TcpListener, task::spawn_blocking, time::interval};

use crate::{aws::random_id, private_file, stream};

/// How often expired items are removed. AWS removes them within days.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// An index over the stream's records. Without it each write scans the stream for the last sequence number, and each
/// read sorts the stream.
const STREAM_INDEX: &str = "CREATE INDEX IF NOT EXISTS stream_sequence
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path is not UTF-8.
    #[error("the path is not UTF-8")]
    Path,
    /// The file cannot be created, or its path is a symbolic link.
    #[error("cannot create it: {0}")]
    File(#[source] io::Error),
    /// The file cannot be opened, or is not a database.
    #[error("cannot open it: {0}")]
    Open(#[source] DynoxideError),
    /// The properties of the template's table are not a valid `CreateTable` request.
    #[error("the template's table is invalid: {0}")]
    Schema(#[from] serde_json::Error),
    /// The table cannot be created or inspected.
    #[error("cannot create the template's table: {0}")]
    Create(#[from] DynoxideError),
    /// The stream's records cannot be indexed.
    #[error("cannot index the table's stream: {0}")]
    Index(#[from] rusqlite::Error),
    /// The table's stream cannot be read.
    #[error(transparent)]
    Stream(#[from] stream::Error),
}

/// Opens the database in the file `data`, or in memory, and creates `table` as `name` if it does not exist.
pub(crate) fn open(data: Option<&Path>, table: &Table, name: &str) -> Result<Database, Error> {
    let path = match data {
        Some(path) => {
            // SQLite would create it for all to read. Its other files get the permissions of this one.
            private_file::create_or_restrict(path).map_err(Error::File)?;
            path.to_str().ok_or(Error::Path)?.to_owned()
        }
        None => format!("file:/{}?vfs=memdb", random_id()),
    };
    let database = Database::new(&path).map_err(Error::Open)?;
    if database.get_table_metadata(name)?.is_none() {
        create(&database, table, name)?;
    }
    Connection::open(&path)?.execute_batch(STREAM_INDEX)?;
    Ok(database)
}

fn create(database: &Database, table: &Table, name: &str) -> Result<(), Error> {
    let mut request = table.schema.clone();
    request.insert("TableName".to_owned(), Value::from(name));
    let request: CreateTableRequest = serde_json::from_value(Value::Object(request))?;
    database.create_table(request)?;
    if let Some(attribute_name) = table.ttl_attribute.clone() {
        database.update_time_to_live(UpdateTimeToLiveRequest {
            table_name: name.to_owned(),
            time_to_live_specification: TimeToLiveSpecification { attribute_name, enabled: true },
        })?;
    }
    Ok(())
}

/// Serves the database until `closed` completes.
pub(crate) async fn serve(
    listener: TcpListener,
    database: Database,
    closed: impl Future<Output = ()> + Send + 'static,
) {
    // Like axum's servers, it never returns an error.
    let _ = serve_with_shutdown(listener, database, closed).await;
}

/// Removes expired items periodically until `closed` completes.
pub(crate) async fn sweep(database: Database, closed: impl Future<Output = ()>) {
    let mut interval = interval(SWEEP_INTERVAL);
    let mut closed = pin!(closed);
    loop {
        tokio::select! {
            () = &mut closed => return,
            _ = interval.tick() => {}
        }
        let database = database.clone();
        // The next sweep makes up for one that failed.
        let _ = spawn_blocking(move || database.sweep_ttl()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table() -> Table {
        let schema = json!({
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
        });
        Table {
            logical_id: "Table".to_owned(),
            name: "Table".to_owned(),
            schema: schema.as_object().unwrap().clone(),
            ttl_attribute: Some("expires_at".to_owned()),
        }
    }

    fn put(database: &Database, pk: &str, expires_at: i64) {
        let item = json!({"pk": {"S": pk}, "expires_at": {"N": expires_at.to_string()}});
        let request = json!({"TableName": "accounts", "Item": item});
        database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    fn count(database: &Database) -> usize {
        database.scan(serde_json::from_value(json!({"TableName": "accounts"})).unwrap()).unwrap().count
    }

    #[test]
    fn reopened_file_contains_the_items() {
        let path = std::env::temp_dir().join(crate::aws::random_id());
        let database = open(Some(&path), &table(), "accounts").unwrap();
        put(&database, "a", 4_000_000_000);
        drop(database);
        assert_eq!(count(&open(Some(&path), &table(), "accounts").unwrap()), 1);
        std::fs::remove_file(path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn file_is_readable_only_by_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(crate::aws::random_id());
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        drop(open(Some(&path), &table(), "accounts").unwrap());
        assert_eq!(mode(), 0o600);
        // An earlier version created the file for all to read.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        drop(open(Some(&path), &table(), "accounts").unwrap());
        assert_eq!(mode(), 0o600);
        std::fs::remove_file(path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_link_is_not_followed() {
        let folder = std::env::temp_dir().join(crate::aws::random_id());
        std::fs::create_dir(&folder).unwrap();
        let (link, target) = (folder.join("link"), folder.join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(open(Some(&link), &table(), "accounts").is_err());
        assert!(!target.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn sweep_removes_only_expired_items() {
        let database = open(None, &table(), "accounts").unwrap();
        put(&database, "expired", 1_700_000_000);
        put(&database, "valid", 4_000_000_000);
        assert_eq!(database.sweep_ttl().unwrap(), 1);
        assert_eq!(count(&database), 1);
    }

    #[test]
    fn opening_a_file_without_a_database_fails() {
        let path = std::env::temp_dir().join(crate::aws::random_id());
        std::fs::write(&path, "text ".repeat(1_000)).unwrap();
        let error = open(Some(&path), &table(), "accounts").err().unwrap().to_string();
        assert!(error.starts_with("cannot open it: ") && !error.contains('\n'), "{error}");
        std::fs::remove_file(path).unwrap();
    }
}
