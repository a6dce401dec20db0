//! What leaves the bundle for a person.

pub mod sms;
