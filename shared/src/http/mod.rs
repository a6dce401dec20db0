//! The documented calls: parameters, requests, replies, envelopes, and the pages of `verify-mail`.

pub mod envelope;
pub mod page;
pub mod parameter;
pub mod reply;
pub mod request;
