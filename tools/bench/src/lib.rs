//! Shared by the programs that measure: each is a binary of this package, as `cargo run -p bench --bin startup`.

pub mod harness;
pub mod walk;
