//! Flows: the steps of a handler that need the store, the keys and the providers. Each file extends [`App`].
//!
//! [`App`]: crate::App

mod delivery;
mod idempotency;
mod verification;
