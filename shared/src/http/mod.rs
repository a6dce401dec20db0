//! The documented calls: parameters, requests, replies, and the envelopes of both families.

pub mod envelope;
pub mod page;
pub mod parameter;
pub mod reply;
pub mod request;
