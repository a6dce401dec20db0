//! Members, their credentials, and the codes, tokens and grants that authorize a change of them. Nothing here
//! performs I/O, or depends on AWS or HTTP.

pub mod audit;
pub mod basis;
pub mod change;
pub mod code;
pub mod counter;
pub mod device;
pub mod grant;
pub(crate) mod idempotency;
pub mod keys;
pub mod log_in;
pub mod member;
pub mod message;
pub mod notice;
pub mod opaque_token;
pub mod password;
pub mod pay_password;
pub mod proof;
pub mod receipt;
pub mod registration;
pub mod report;
pub mod sends;
pub mod service_token;
pub mod session;
pub mod token;
pub mod traffic;
pub mod user_agent;
