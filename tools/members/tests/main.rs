//! The real command, against the local stack with its real functions.

#![cfg(test)]

mod audit;
mod close;
mod command_line;
mod examples;
mod export;
mod import;
mod import_input;
mod keys;
mod normalize;
mod operator;
mod revoke;
mod sign_session;
mod unfreeze;
mod unlock;
