//! The basis of a code or grant: the state of the member that it was issued on. Authority ends with its cause, so it is
//! consumed only while the member is still in that state.

use super::member::{Member, MemberId};
use crate::contact::Destination;

/// The state of a member that a code or grant was issued on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The member.
    pub member: MemberId,
    /// The member's credential version. A changed or recovered password and revoked sessions raise it.
    pub credential_version: u64,
    /// The phone or email address that a bind would replace.
    pub replaces: Option<Destination>,
}

impl Basis {
    /// Returns the basis of a code for a destination, for the member as read.
    #[must_use]
    pub fn new(member: &Member, destination: &Destination) -> Self {
        let replaces = member.replaced_by(destination);
        Self { member: member.id, credential_version: member.credential_version, replaces }
    }

    /// Whether the member is still in the state that a code for a destination was issued on.
    #[must_use]
    pub fn holds(&self, member: &Member, destination: &Destination) -> bool {
        *self == Self::new(member, destination)
    }
}
