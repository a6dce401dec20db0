//! The specification: what a user relies on, through the real binaries over HTTP against an embedded
//! DynamoDB. A module a flow.

#![cfg(test)]

mod bundle;
mod change_password;
mod change_password_by_message;
mod events;
mod logs;
mod proxy;
mod requests;
mod store_requests;
mod wiring;
