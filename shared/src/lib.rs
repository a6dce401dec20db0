//! What every function of the account-security bundle shares: the contract's words as types, the
//! store, the senders, and [`serve`], which turns a handler into a Lambda function.
//!
//! ARCHITECTURE.md at the top of the repository is the map.

pub mod app;
pub mod audit;
mod aws;
pub mod clock;
pub mod code;
pub mod contact;
pub mod delivery;
pub mod envelope;
pub mod error;
mod flow;
pub mod grant;
pub mod idempotency;
pub mod keys;
pub mod lambda;
pub mod language;
pub mod message;
mod metrics;
pub mod notice;
pub mod page;
pub mod parameter;
pub mod password;
pub mod pay_password;
pub mod random;
pub mod reply;
pub mod request;
pub mod send;
pub mod session;
pub mod settings;
pub mod store;
pub mod token;
pub mod traffic;
pub mod verification;
pub mod web_origin;

pub use app::App;
pub use envelope::Envelope;
pub use error::Error;
pub use lambda::{serve, serve_notices};
pub use parameter::Parameter;
pub use reply::Reply;
pub use request::Request;

/// A text that must not be seen: redacted in `Debug`, wiped from memory when dropped.
pub use secrecy::{ExposeSecret, SecretString as Secret};
