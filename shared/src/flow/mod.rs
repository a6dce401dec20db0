//! Flows: the steps of a handler that need the store, the keys and the providers. Each file extends [`App`].
//!
//! [`App`]: crate::App

mod change;
mod credentials;
mod delivery;
mod idempotency;
mod session;
mod verification;
