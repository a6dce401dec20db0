//! The subcommands, one file each.

pub mod audit;
pub mod close;
pub mod completions;
pub mod export;
pub mod import;
pub mod keys;
pub mod normalize;
pub mod revoke;
pub mod show;
pub mod sign_session;
pub mod unfreeze;
pub mod unlock;
