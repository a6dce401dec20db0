//! The documented calls: parameters, requests, replies, envelopes, and the pages that links in emails open.

pub mod envelope;
pub mod page;
pub mod parameter;
pub mod reply;
pub mod request;
