//! What an operator relies on: the real command, against the local stack with its real functions.

#![cfg(test)]

mod examples;
mod import;
mod keys;
mod members;
mod operator;
