//! What every batch of an import uses.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use shared::{keys::Keys, member::MemberId, password::Memory};

use super::{
    existing::Existing,
    field_error::FieldError,
    format::Format,
    hash_pool::HashPool,
    lines::Line,
    record::{ImportedMember, Rules},
};
use crate::table::MemberTable;

/// What every batch of an import uses.
pub struct Context {
    /// The table to import into.
    pub table: MemberTable,
    /// The functions' keys, for wrapping hashes.
    pub keys: Keys,
    /// The rules for fields.
    pub rules: Rules,
    /// The file's format.
    pub format: Format,
    /// The handling of members who exist.
    pub existing: Existing,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// The threads that hash.
    pub hash_pool: HashPool,
    /// The ids of the lines so far. Of two lines with one id, the second would count as a member who exists.
    pub ids: Mutex<HashSet<MemberId>>,
}

impl Context {
    /// Parses a line. May take a hash.
    pub fn parse(&self, line: &Line, memory: &mut Memory) -> Result<ImportedMember, FieldError> {
        let imported = ImportedMember::parse(self.format.fields(line)?, &self.rules, &self.keys, memory)?;
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.insert(imported.member.id) {
            Ok(imported)
        } else {
            Err(FieldError::new("id", "occurs on another line"))
        }
    }
}
