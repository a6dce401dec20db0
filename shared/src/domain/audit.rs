//! The actions that the audit trail records, and the origin of the request behind each.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// A change of a member's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The login password was changed with the old one.
    PasswordChanged,
    /// The login password was changed with a code sent to the member's phone.
    PasswordChangedByMessage,
    /// A forgotten login password was replaced.
    PasswordRecovered,
    /// A first phone was bound, or the same phone again.
    PhoneBound,
    /// A phone replaced another.
    PhoneReplaced,
    /// A first email address was bound, or the same address again.
    EmailBound,
    /// An email address replaced another.
    EmailReplaced,
    /// The pay password was set for the first time.
    PayPasswordSet,
    /// The pay password was changed with the old one.
    PayPasswordChanged,
    /// The pay password was removed or replaced with a code sent to the member's phone.
    PayPasswordReset,
    /// The member reported a change that another person made.
    ChangeReported,
    /// The member was closed, by themselves or by an operator.
    Closed,
}

impl Action {
    /// Every action, so that tests can check the completeness of tables.
    pub const ALL: [Self; 12] = [
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
        Self::ChangeReported,
        Self::Closed,
    ];
}

/// A use of a member's credentials by another service, or the lockout that failed uses cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// The member logged in.
    LoggedIn,
    /// Too many failed logins locked the password of the member's phone or email address.
    LogInLocked,
    /// The member was created with a phone or an email address that a code proved.
    MemberCreated,
    /// The member was created with a phone or an email address that the calling service vouched for.
    MemberVouchedFor,
    /// The pay password confirmed an order.
    PayPasswordChecked,
    /// Too many wrong pay passwords locked the pay password.
    PayPasswordLocked,
}

/// A command of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminAction {
    /// Members were imported from another system.
    Imported,
    /// A member was updated from another system's data.
    Updated,
    /// The phone and the email address of one member, or of all members, were stored in their normal form.
    Normalized,
    /// A member was displayed.
    Shown,
    /// A member's failed attempts were cleared.
    Unlocked,
    /// The freeze of a member's changes was lifted.
    Unfrozen,
    /// The sessions of one member, or of all members, were ended.
    Revoked,
    /// A session was signed for a member.
    SessionSigned,
    /// An audit trail was read.
    AuditRead,
    /// All members were written to a file.
    Exported,
    /// The closed members were written to a file.
    ClosingsListed,
    /// The closings in a file were repeated after a restore.
    ClosingsReplayed,
    /// The first keys were generated.
    KeysMade,
    /// A key was added.
    KeyAdded,
    /// Another key became the current one.
    KeyUsed,
    /// A key was removed.
    KeyRetired,
    /// The password hashes under each key were counted.
    KeysCounted,
}

/// The event of an audit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AuditEvent {
    /// A change of the member's credentials.
    Change(Action),
    /// A use of the member's credentials.
    Use(Use),
    /// A command of an operator.
    AdminAction(AdminAction),
}

impl From<Action> for AuditEvent {
    fn from(action: Action) -> Self {
        Self::Change(action)
    }
}

impl From<Use> for AuditEvent {
    fn from(used: Use) -> Self {
        Self::Use(used)
    }
}

impl From<AdminAction> for AuditEvent {
    fn from(action: AdminAction) -> Self {
        Self::AdminAction(action)
    }
}

impl fmt::Display for AuditEvent {
    /// Writes the stored name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(action) => action.serialize(f),
            Self::Use(used) => used.serialize(f),
            Self::AdminAction(action) => action.serialize(f),
        }
    }
}

impl fmt::Display for Action {
    /// Writes the stored name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The origin of a request, for audit records and notices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The id of the request in the log.
    pub request_id: String,
    /// The caller's IP address as the gateway reports it, or as the trusted proxies do. Notices contain it, so it is
    /// never another text.
    pub source_ip: Option<String>,
    /// The caller's `User-Agent`, truncated to [`MAX_USER_AGENT_CHARACTERS`].
    pub user_agent: Option<String>,
}

impl Origin {
    /// Returns the source that the rate limits count by: the IPv4 address, or the /64 network of an IPv6 address,
    /// which belongs to one subscriber (RFC 6177, 2). Callers without an address share one count.
    #[must_use]
    pub fn source(&self) -> String {
        match self.address() {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let network = address.to_bits() & (u128::MAX << 64);
                format!("{}/64", Ipv6Addr::from_bits(network))
            }
            None => "unknown".to_owned(),
        }
    }

    /// Returns the source address for the member, who recognizes it: without the last byte of an IPv4 address, and the
    /// first 48 bits of an IPv6 address, which an organization or a household has (RFC 6177, 2).
    #[must_use]
    pub fn masked_source_ip(&self) -> Option<String> {
        Some(match self.address()? {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.*")
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:*")
            }
        })
    }

    /// Returns the source address. A load balancer can add the port.
    fn address(&self) -> Option<IpAddr> {
        let text = self.source_ip.as_deref()?;
        let address = text.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
        address.ok().map(|address: IpAddr| address.to_canonical())
    }
}

/// The longest stored `User-Agent`, in characters: enough for that of any browser.
pub const MAX_USER_AGENT_CHARACTERS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_displays_as_it_is_stored() {
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.to_string());
        }
    }

    #[test]
    fn source_is_ipv4_address_or_ipv6_network() {
        for (reported, source, masked) in [
            (Some("203.0.113.9"), "203.0.113.9", Some("203.0.113.*")),
            (Some("203.0.113.9:4711"), "203.0.113.9", Some("203.0.113.*")),
            (Some("::ffff:203.0.113.9"), "203.0.113.9", Some("203.0.113.*")),
            (Some("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64", Some("2001:db8:1:*")),
            (Some("[2001:db8:1:2::7]:4711"), "2001:db8:1:2::/64", Some("2001:db8:1:*")),
            (Some("somewhere"), "unknown", None),
            (None, "unknown", None),
        ] {
            let source_ip = reported.map(str::to_owned);
            let origin = Origin { request_id: String::new(), source_ip, user_agent: None };
            assert_eq!(origin.source(), source);
            assert_eq!(origin.masked_source_ip().as_deref(), masked);
        }
    }
}
