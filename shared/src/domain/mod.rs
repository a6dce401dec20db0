//! The subject of the bundle: members, their credentials, and the codes, tokens and grants that prove who they are.
//!
//! No I/O, no AWS, no HTTP.

pub mod audit;
pub mod change;
pub mod code;
pub mod counter;
pub mod grant;
pub(crate) mod idempotency;
pub mod keys;
pub mod member;
pub mod message;
pub mod notice;
pub mod password;
pub mod pay_password;
pub mod proof;
pub mod sends;
pub mod session;
pub mod token;
pub mod traffic;
