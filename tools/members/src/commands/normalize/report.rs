//! The result that `members normalize` prints.

use serde::Serialize;
use shared::{contact::Destination, member::MemberId};

use crate::{error::Error, output};

/// Members who have the same contact. None of them is changed.
#[derive(Serialize)]
pub struct Collision {
    /// The field that has the contact.
    field: &'static str,
    /// The members.
    members: Vec<MemberId>,
}

impl Collision {
    /// Returns the collision of these members.
    pub fn new(contact: &Destination, members: Vec<MemberId>) -> Self {
        Self { field: field(contact), members }
    }
}

/// A contact that nothing can be sent to. It is not changed.
#[derive(Clone, Serialize)]
pub struct Unreachable {
    /// The member.
    id: MemberId,
    /// The field that has the contact.
    field: &'static str,
    /// The problem.
    reason: &'static str,
}

impl Unreachable {
    /// Returns a contact with the problem that it has.
    pub fn new(id: MemberId, contact: &Destination, reason: &'static str) -> Self {
        Self { id, field: field(contact), reason }
    }
}

/// The result of a run. It contains no contacts.
#[derive(Serialize)]
pub struct Report {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The members that were read.
    pub members: u64,
    /// The members that were changed.
    pub normalized: u64,
    /// The contacts that several members have.
    pub collisions: Vec<Collision>,
    /// The contacts that nothing can be sent to.
    pub unreachable: Vec<Unreachable>,
}

impl Report {
    /// Whether no contact is left as it was.
    pub fn is_complete(&self) -> bool {
        self.collisions.is_empty() && self.unreachable.is_empty()
    }

    /// Prints the report.
    pub fn print(&self, json: bool) -> Result<(), Error> {
        if json {
            return output::json(self);
        }
        for Collision { field, members } in &self.collisions {
            let members: Vec<_> = members.iter().map(MemberId::to_string).collect();
            output::line(format_args!("{}: have the same {field}", members.join(", ")))?;
        }
        for Unreachable { id, field, reason } in &self.unreachable {
            output::line(format_args!("{id}: {field}: {reason}"))?;
        }
        let Self { members, normalized, collisions, unreachable, .. } = self;
        let (would, yes) = if self.dry_run { ("would be ", "; pass --yes to write") } else { ("", "") };
        let (collisions, unreachable) = (collisions.len(), unreachable.len());
        output::line(format_args!(
            "{members} members read, {normalized} {would}normalized, {collisions} collisions, \
             {unreachable} contacts that nothing can be sent to{yes}"
        ))
    }
}

fn field(contact: &Destination) -> &'static str {
    match contact {
        Destination::Phone(_) => "phone",
        Destination::Email(_) => "email",
    }
}
