//! The calls: parameters, cookies, requests, replies, envelopes, the pages that links in emails open, and the events
//! and results of the functions that other services invoke.

pub mod cookie;
pub mod envelope;
pub mod page;
pub mod parameter;
pub mod registration;
pub mod reply;
pub mod request;
pub mod service;
