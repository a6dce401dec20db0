//! Why a flow did not hold.

use std::time::Duration;

use crate::{deployment, dynamodb};

/// How long a message may take: what waits for the stream comes within seconds.
pub const MESSAGE_LIMIT: Duration = Duration::from_secs(30);

/// Why a flow did not hold; one line each. None of them shows a code, a session, a phone or an address.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody answers.
    #[error("{call}: {reason}")]
    Unreachable { call: String, reason: reqwest::Error },
    /// The answer is another one.
    #[error("{call} answered {answered} instead of {wanted}")]
    Answer { call: String, answered: String, wanted: String },
    /// No message came.
    #[error("no {0} came within {limit} s", limit = MESSAGE_LIMIT.as_secs())]
    NoMessage(&'static str),
    /// Something else is not as it should be.
    #[error("{0}")]
    Wrong(String),
    /// The table cannot be read.
    #[error(transparent)]
    Table(#[from] dynamodb::Error),
    /// The product's own library cannot read or write it.
    #[error("the store: {0}")]
    Store(#[from] shared::Error),
    /// The stack lacks something.
    #[error(transparent)]
    Deployment(#[from] deployment::Error),
}
