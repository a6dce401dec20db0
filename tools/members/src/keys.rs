//! `members keys`: the keys' secret, of a stack in Secrets Manager, of a local one in a file.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use futures_util::TryStreamExt;
use serde_json::{Map, Value, json};
use shared::{
    ExposeSecret, Secret,
    audit::Operation,
    keys::{Keys, MAX_ID_BYTES},
    member::Member,
    random,
};

use crate::{
    error::Error,
    output, private,
    scan::{self, Wanted},
    table::Table,
    target::Target,
};

/// What is done with the keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the first key
    Init,
    /// Add a key; with --use, let a key that was added and deployed be the current one
    Rotate {
        /// The key's id [default: drawn]
        #[arg(long, value_name = "ID", conflicts_with = "use_id")]
        id: Option<String>,
        /// Let this key be the current one
        #[arg(long = "use", value_name = "ID")]
        use_id: Option<String>,
    },
    /// Remove a key, and with it what hangs on it
    Retire {
        /// The key's id
        id: String,
        /// Remove it, though passwords hang on it
        #[arg(long)]
        yes: bool,
    },
    /// Count the passwords that hang on each key
    Used,
}

/// What is done, and where.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The file that has the keys of a local stack, `FILE.keys` of `cargo run -- --data FILE`
    #[arg(long, global = true, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Where the secret is.
enum Place<'a> {
    File(PathBuf),
    Secret(&'a Table),
}

impl Place<'_> {
    async fn read(&self) -> Result<Secret, Error> {
        match self {
            Self::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok(text.into()),
                Err(reason) => Err(file(path)(reason)),
            },
            Self::Secret(table) => table.secret().await,
        }
    }

    /// What holds no keys that the functions would take is not written.
    async fn write(&self, secret: &Map<String, Value>) -> Result<(), Error> {
        let text = serde_json::to_string(secret).map_err(Error::internal)?;
        Keys::parse(&text)?;
        match self {
            Self::File(path) => {
                let new = path.with_added_extension("new");
                write_new(&new, &text)?;
                fs::rename(&new, path).map_err(file(path))
            }
            Self::Secret(table) => {
                let put =
                    table.secrets().put_secret_value().secret_id(table.secret_id()?).secret_string(text);
                put.send().await.map(drop).map_err(Error::of_call("Secrets Manager"))
            }
        }
    }
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |reason| Error::File { path, reason }
}

fn write_new(path: &Path, text: &str) -> Result<(), Error> {
    private::new_file(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(file(path))
}

/// Does it.
pub async fn run(target: &Target, arguments: Arguments, json: bool) -> Result<(), Error> {
    let Arguments { command, file } = arguments;
    // A file of keys stands alone: there may be no table yet.
    let table = match (&file, &command) {
        (Some(_), _) if !target.is_named() => None,
        _ => Some(target.open().await?),
    };
    let place = match (file, &table) {
        (Some(path), _) => Place::File(path),
        (None, Some(table)) => Place::Secret(table),
        (None, None) => return Err(Error::Usage("say where the keys are".to_owned())),
    };
    match command {
        Command::Init => init(&place, table.as_ref(), json).await,
        Command::Rotate { use_id: Some(id), .. } => make_current(&place, table.as_ref(), &id, json).await,
        Command::Rotate { id, use_id: None } => add(&place, table.as_ref(), id, json).await,
        Command::Retire { id, yes } => retire(&place, table.as_ref(), &id, yes, json).await,
        Command::Used => used(&place, table.as_ref(), json).await,
    }
}

async fn record(table: Option<&Table>, operation: Operation) -> Result<(), Error> {
    match table {
        Some(table) => table.record(None, operation).await,
        None => Ok(()),
    }
}

async fn init(place: &Place<'_>, table: Option<&Table>, json: bool) -> Result<(), Error> {
    let mut secret = Map::new();
    secret.insert("current".to_owned(), json!("first"));
    secret.insert("first".to_owned(), json!(fresh()?));
    match place {
        Place::File(path) => {
            let text = serde_json::to_string(&secret).map_err(Error::internal)?;
            Keys::parse(&text)?;
            record(table, Operation::KeysMade).await?;
            write_new(path, &text)?;
        }
        Place::Secret(table) => match table.secret().await {
            Ok(_) => {
                return Err(Error::Usage("the secret has a value already; see `keys rotate`".to_owned()));
            }
            Err(Error::Aws { reason, .. }) if reason.starts_with("ResourceNotFoundException") => {
                record(Some(table), Operation::KeysMade).await?;
                place.write(&secret).await?;
            }
            Err(error) => return Err(error),
        },
    }
    told(json, &json!({ "current": "first" }), "there is a key `first`, and it is the current one")
}

async fn add(place: &Place<'_>, table: Option<&Table>, id: Option<String>, json: bool) -> Result<(), Error> {
    let mut secret = object(&place.read().await?)?;
    let id = match id {
        Some(id) => id,
        None => format!("k{}", random::digits(MAX_ID_BYTES - 1).map_err(Error::internal)?),
    };
    if secret.contains_key(&id) {
        return Err(Error::Usage(format!("there is a key {id:?} already")));
    }
    secret.insert(id.clone(), json!(fresh()?));
    record(table, Operation::KeyAdded).await?;
    place.write(&secret).await?;
    let steps = format!(
        "there is a key `{id}`, and it signs nothing yet\n\
         1. deploy with another Release, and wait until that is over: every function must know the key\n\
         2. members keys rotate --use {id}\n\
         3. deploy with another Release once more"
    );
    told(json, &json!({ "added": id }), &steps)
}

async fn make_current(place: &Place<'_>, table: Option<&Table>, id: &str, json: bool) -> Result<(), Error> {
    let mut secret = object(&place.read().await?)?;
    if !is_key(&secret, id) {
        return Err(Error::Absent(format!("there is no key {id:?}")));
    }
    let before = secret.insert("current".to_owned(), json!(id));
    record(table, Operation::KeyUsed).await?;
    place.write(&secret).await?;
    let before = before.as_ref().and_then(Value::as_str).unwrap_or_default();
    let steps = format!(
        "`{id}` is the current key once this is deployed with another Release\n\
         keep `{before}`: sessions hang on it for SessionTtlSeconds, passwords until they are changed\n\
         (members keys used); then: members keys retire {before}"
    );
    told(json, &json!({ "current": id, "before": before }), &steps)
}

async fn retire(
    place: &Place<'_>,
    table: Option<&Table>,
    id: &str,
    yes: bool,
    json: bool,
) -> Result<(), Error> {
    without(place, id).await?;
    if !yes {
        let Some(table) = table else {
            let told = "no table is named to see who uses it; --yes removes it all the same";
            return Err(Error::Unconfirmed(told.to_owned()));
        };
        let count = count(table).await?.remove(id).unwrap_or_default();
        if count > 0 {
            let told = format!(
                "{count} passwords hang on {id:?}: who has them would have to recover; --yes removes it"
            );
            return Err(Error::Unconfirmed(told));
        }
    }
    // Read anew after the count, which takes its time: another may have added a key meanwhile.
    let secret = without(place, id).await?;
    record(table, Operation::KeyRetired).await?;
    place.write(&secret).await?;
    let steps = format!("there is no key `{id}` any more once this is deployed with another Release");
    told(json, &json!({ "retired": id }), &steps)
}

/// The secret without that key, which must not be the current one.
async fn without(place: &Place<'_>, id: &str) -> Result<Map<String, Value>, Error> {
    let mut secret = object(&place.read().await?)?;
    if !is_key(&secret, id) {
        return Err(Error::Absent(format!("there is no key {id:?}")));
    }
    if secret.get("current").and_then(Value::as_str) == Some(id) {
        return Err(Error::Usage(format!("{id:?} is the current key; rotate first")));
    }
    secret.remove(id);
    Ok(secret)
}

async fn used(place: &Place<'_>, table: Option<&Table>, json: bool) -> Result<(), Error> {
    let Some(table) = table else { return Err(Error::Usage("say in which table".to_owned())) };
    record(Some(table), Operation::KeysCounted).await?;
    let secret = object(&place.read().await?)?;
    let current = secret.get("current").and_then(Value::as_str).unwrap_or_default();
    let mut counts = count(table).await?;
    for id in secret.keys().filter(|id| is_key(&secret, id)) {
        counts.entry(id.clone()).or_default();
    }
    if json {
        return output::json(&json!({ "current": current, "passwords": counts }));
    }
    for (id, count) in &counts {
        let state = match (id == current, is_key(&secret, id)) {
            (true, _) => ", current",
            (false, true) => "",
            (false, false) => ", and there is no such key: they are no passwords any more",
        };
        output::line(format_args!("{id}: {count} passwords{state}"))?;
    }
    Ok(())
}

/// How many hashes hang on each key.
async fn count(table: &Table) -> Result<BTreeMap<String, u64>, Error> {
    let wanted = Wanted::members();
    let mut counts = BTreeMap::new();
    let mut items = std::pin::pin!(scan::items(table, &wanted));
    while let Some(item) = items.try_next().await? {
        let member: Member = serde_dynamo::from_item(item).map_err(Error::internal)?;
        for hash in member.password.iter().chain(&member.pay_password) {
            if let Some(id) = hash.key_id() {
                *counts.entry(id).or_default() += 1;
            }
        }
    }
    Ok(counts)
}

fn object(secret: &Secret) -> Result<Map<String, Value>, Error> {
    Keys::parse(secret.expose_secret())?;
    serde_json::from_str(secret.expose_secret()).map_err(|_| Error::Keys(shared::keys::Fault::Shape))
}

fn is_key(secret: &Map<String, Value>, id: &str) -> bool {
    id != "current" && secret.get(id).is_some_and(Value::is_string)
}

/// The text of a new key: 64 hex digits.
fn fresh() -> Result<String, Error> {
    let half = || random::bytes().map(u128::from_be_bytes).map_err(Error::internal);
    Ok(format!("{:032x}{:032x}", half()?, half()?))
}

fn told(json: bool, value: &Value, text: &str) -> Result<(), Error> {
    if json {
        return output::json(value);
    }
    output::line(text)?;
    Ok(())
}
