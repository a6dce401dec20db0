//! The worked examples of docs/members.md.
