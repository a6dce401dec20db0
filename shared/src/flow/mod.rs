//! Flows: the operations of handlers that need the store, the keys or the providers. Each file is an `impl` of
//! [`App`].
//!
//! [`App`]: crate::App

mod authorization;
mod change;
mod credentials;
mod delivery;
mod idempotency;
mod log_in;
pub(crate) mod receipt;
mod registration;
mod report;
mod session;
pub(crate) mod status;
mod verification;
