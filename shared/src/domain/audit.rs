//! The audit trail's words: what was done.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The login password was changed by the old one.
    PasswordChanged,
    /// The login password was changed by a code sent to the member's phone.
    PasswordChangedByMessage,
    /// A forgotten login password was replaced.
    PasswordRecovered,
    /// A phone was bound where there was none, or the same once more.
    PhoneBound,
    /// A phone was bound in the place of another.
    PhoneReplaced,
    /// A mail address was bound where there was none, or the same once more.
    EmailBound,
    /// A mail address was bound in the place of another.
    EmailReplaced,
    /// The pay password was set for the first time.
    PayPasswordSet,
    /// The pay password was changed by the old one.
    PayPasswordChanged,
    /// The pay password was unset or replaced by a code sent to the member's phone.
    PayPasswordReset,
}

impl Action {
    /// Every action, for the tables that must be whole.
    pub const ALL: [Self; 10] = [
        Self::PasswordChanged,
        Self::PasswordChangedByMessage,
        Self::PasswordRecovered,
        Self::PhoneBound,
        Self::PhoneReplaced,
        Self::EmailBound,
        Self::EmailReplaced,
        Self::PayPasswordSet,
        Self::PayPasswordChanged,
        Self::PayPasswordReset,
    ];
}

/// What an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminAction {
    /// Members were brought along from another system.
    Imported,
    /// A member was written over by what another system has of them.
    Updated,
    /// A member was looked at.
    Shown,
    /// The wrong tries of a member were forgotten.
    Unlocked,
    /// A member's sessions were ended, or everybody's.
    Revoked,
    /// A session of a member was signed.
    SessionSigned,
    /// A trail was read.
    AuditRead,
    /// All members were written to a file.
    Exported,
    /// The first keys were made.
    KeysMade,
    /// A key was added.
    KeyAdded,
    /// Another key became the current one.
    KeyUsed,
    /// A key was removed.
    KeyRetired,
    /// The hashes of each key were counted.
    KeysCounted,
}

/// What a record tells: the change of a member's own, or what an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AuditEvent {
    /// A change of the member's own.
    Change(Action),
    /// What an operator did.
    AdminAction(AdminAction),
}

impl fmt::Display for AuditEvent {
    /// Its name as it is stored.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(action) => action.serialize(f),
            Self::AdminAction(operation) => operation.serialize(f),
        }
    }
}

impl fmt::Display for Action {
    /// Its name as it is stored.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Where a request came from: what an audit record and a notice say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The id under which the log knows the request.
    pub request_id: String,
    /// The caller's address by the gateway's own word, never by a header that the caller wrote.
    pub source_ip: Option<String>,
    /// The caller's `User-Agent`, cut to [`MAX_USER_AGENT_CHARACTERS`].
    pub user_agent: Option<String>,
}

impl Origin {
    /// The caller's address, as the limits of sending hold it to account. Of IPv6 it is the network of 64
    /// bits, all of which one subscriber has (RFC 6177, 2); whoever has no address shares one count.
    #[must_use]
    pub fn source(&self) -> String {
        let said = self.source_ip.as_deref().unwrap_or_default();
        let address = said.parse().or_else(|_| said.parse().map(|address: SocketAddr| address.ip()));
        match address.map(|address: IpAddr| address.to_canonical()) {
            Ok(IpAddr::V4(address)) => address.to_string(),
            Ok(IpAddr::V6(address)) => {
                let network = address.to_bits() & (u128::MAX << 64);
                format!("{}/64", Ipv6Addr::from_bits(network))
            }
            Err(_) => "unknown".to_owned(),
        }
    }
}

/// How much of a `User-Agent` is kept: enough for every browser's.
pub const MAX_USER_AGENT_CHARACTERS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_reads_as_it_is_stored() {
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.to_string());
        }
    }

    #[test]
    fn a_source_is_an_address_or_the_network_that_one_subscriber_has() {
        for (said, source) in [
            (Some("203.0.113.9"), "203.0.113.9"),
            (Some("203.0.113.9:4711"), "203.0.113.9"),
            (Some("::ffff:203.0.113.9"), "203.0.113.9"),
            (Some("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64"),
            (Some("[2001:db8:1:2::7]:4711"), "2001:db8:1:2::/64"),
            (Some("somewhere"), "unknown"),
            (None, "unknown"),
        ] {
            let source_ip = said.map(str::to_owned);
            let origin = Origin { request_id: String::new(), source_ip, user_agent: None };
            assert_eq!(origin.source(), source);
        }
    }
}
