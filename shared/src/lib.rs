//! What every function of the account-security bundle shares: the domain, the documented calls, the store, the
//! providers, the flows, and [`serve`], which turns a handler into a Lambda function.
//!
//! A module imports only from its own layer or one above it in this list. A test holds this.

// Base: depends on nothing of ours.
pub mod clock;
pub mod contact;
pub mod error;
pub mod language;
pub mod random;
pub mod settings;

// The subject of the bundle, without I/O, AWS or HTTP.
mod domain;

// The documented calls.
mod http;

// Metrics, and the clients of AWS.
mod aws;
mod metrics;

// One table.
pub mod store;

// SMS and email providers.
pub mod send;

// Settings, keys, store and providers as one value, built at start-up.
mod app;

// The steps of a handler, as methods of `App`.
mod flow;

// The only module that knows Lambda.
pub mod lambda;

pub use app::App;
pub use domain::{
    audit, change, code, counter, grant, keys, member, message, notice, password, pay_password, proof, sends,
    session, token, traffic,
};
pub use error::{Error, Field};
pub use http::{
    envelope::{self, Api, Format, MemberApi, PageApi, UserApi},
    page,
    parameter::{self, Parameter},
    reply::{self, Reply},
    request::{self, Request},
};
pub use lambda::{serve, serve_notices};

/// A text that must not be seen: redacted in `Debug`, wiped from memory when dropped.
pub use secrecy::{ExposeSecret, SecretString as Secret};
