//! The keys as their secret's JSON: each key by its id, and the id of the current one.

use serde_json::{Map, Value, json};
use shared::{ExposeSecret, Secret, keys::Keys, random};

use crate::error::Error;

const CURRENT: &str = "current";

/// The content of the keys' secret.
pub struct KeySet(Map<String, Value>);

impl KeySet {
    /// Parses a secret that the functions accept.
    pub fn parse(secret: &Secret) -> Result<Self, Error> {
        Keys::parse(secret.expose_secret())?;
        let object = serde_json::from_str(secret.expose_secret());
        object.map(Self).map_err(|_| Error::Keys(shared::keys::KeysError::Shape))
    }

    /// Returns a set of one new key, which is the current one.
    pub fn generate(id: &str) -> Result<Self, Error> {
        let mut keys = Self(Map::from_iter([(CURRENT.to_owned(), json!(id))]));
        keys.add(id)?;
        Ok(keys)
    }

    /// Returns the secret's text. Fails if the functions would not accept it.
    pub fn to_text(&self) -> Result<String, Error> {
        let text = serde_json::to_string(&self.0).map_err(Error::internal)?;
        Keys::parse(&text)?;
        Ok(text)
    }

    /// Returns the keys as the functions read them.
    pub fn keys(&self) -> Result<Keys, Error> {
        Ok(Keys::parse(&serde_json::to_string(&self.0).map_err(Error::internal)?)?)
    }

    /// Returns the id of the current key.
    pub fn current(&self) -> &str {
        self.0.get(CURRENT).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.0.keys().filter(|id| self.contains(id))
    }

    /// Whether there is a key with that id.
    pub fn contains(&self, id: &str) -> bool {
        id != CURRENT && self.0.get(id).is_some_and(Value::is_string)
    }

    /// Adds a new key.
    pub fn add(&mut self, id: &str) -> Result<(), Error> {
        if self.0.contains_key(id) {
            return Err(Error::Usage(format!("key {id:?} already exists; choose another id")));
        }
        self.0.insert(id.to_owned(), json!(generate_key()?));
        Ok(())
    }

    /// Makes a key the current one. Returns the id of the previous one.
    pub fn set_current(&mut self, id: &str) -> Result<String, Error> {
        self.require(id)?;
        let previous = self.0.insert(CURRENT.to_owned(), json!(id));
        Ok(previous.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Removes a key that is not the current one.
    pub fn remove(&mut self, id: &str) -> Result<(), Error> {
        self.require(id)?;
        if self.current() == id {
            return Err(Error::Usage(format!(
                "{id:?} is the current key; make another key current with `members keys rotate` first"
            )));
        }
        self.0.remove(id);
        Ok(())
    }

    fn require(&self, id: &str) -> Result<(), Error> {
        if self.contains(id) { Ok(()) } else { Err(Error::NotFound(format!("key {id:?} does not exist"))) }
    }
}

/// Returns 32 random bytes as hex digits.
fn generate_key() -> Result<String, Error> {
    let half = || random::bytes().map(u128::from_be_bytes).map_err(Error::internal);
    Ok(format!("{:032x}{:032x}", half()?, half()?))
}
