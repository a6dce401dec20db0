//! The library of the account-security functions: the domain, the documented calls, the store, the providers, the
//! flows, and [`serve`], which turns a handler into a Lambda function.
//!
//! A module imports only from its own layer or one above it in this list. A test checks it.

// Base: depends on no other layer.
pub mod clock;
pub mod contact;
pub mod error;
pub mod language;
pub mod random;
pub mod settings;
mod text;

// Members and their credentials, without I/O, AWS or HTTP.
mod domain;

// The documented calls.
mod http;

// Metrics and AWS clients.
mod aws;
mod metrics;

// The DynamoDB table.
pub mod store;

// SMS and email providers.
pub mod send;

// Settings, keys, store and providers as one value, built at start-up.
mod app;

// The steps of a handler, as methods of `App`.
mod flow;

// The only module that depends on the Lambda runtime.
pub mod lambda;

pub use app::{App, Authorizer};
pub use domain::{
    audit, basis, change, code, counter, grant, keys, member, message, notice, opaque_token, password,
    pay_password, proof, receipt, registration, report, sends, service_token, session, token, traffic,
};
pub use error::{Error, Field};
pub use http::{
    cookie,
    envelope::{self, Api, Family, Format, MemberApi, PageApi, UserApi},
    page::{self, ReportPage},
    parameter::{self, Parameter},
    registration::NewMember,
    reply::{self, Reply},
    request::{self, Request},
    service::{self, SecretText, ServiceApi},
};
pub use lambda::{Handler, serve, serve_authorizer, serve_notices, serve_service};

/// A secret text: redacted in `Debug`, and wiped from memory when it is dropped.
pub use secrecy::{ExposeSecret, SecretString as Secret};
