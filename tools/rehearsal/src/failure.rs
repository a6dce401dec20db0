//! The reasons for which a flow fails.

use std::time::Duration;

use crate::{deployment, dynamodb};

/// How long a message may take. The ones that are sent from the table's stream arrive within seconds.
pub const MESSAGE_LIMIT: Duration = Duration::from_secs(30);

/// A flow failed. No variant shows a code, a session, a phone or an email address.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The request got no response.
    #[error("{call}: {reason}")]
    Unreachable { call: String, reason: reqwest::Error },
    /// The response is not the expected one.
    #[error("{call} returned {returned} instead of {expected}")]
    Response { call: String, returned: String, expected: String },
    /// No message arrived in time.
    #[error("no {0} arrived within {limit} s", limit = MESSAGE_LIMIT.as_secs())]
    NoMessage(&'static str),
    /// Something other than a response is wrong.
    #[error("{0}")]
    Wrong(String),
    /// The table could not be read.
    #[error(transparent)]
    Table(#[from] dynamodb::Error),
    /// The product's library could not read or write the table.
    #[error("the store: {0}")]
    Store(#[from] shared::Error),
    /// The deployed stack lacks an output.
    #[error(transparent)]
    Deployment(#[from] deployment::Error),
}
