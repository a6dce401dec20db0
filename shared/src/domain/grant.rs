//! Grants. A verified code is exchanged for a grant if the change follows in a later call.

use super::opaque_token::OpaqueToken;

/// A grant. A `verification` that does not parse as one is a token.
pub type Grant = OpaqueToken;
