//! The documented calls: parameters, cookies, requests, replies, envelopes, and the pages that links in emails open.

pub mod cookie;
pub mod envelope;
pub mod page;
pub mod parameter;
pub mod reply;
pub mod request;
