//! Idempotent updates. If the SDK resends an update because the response was lost, it is applied once and still
//! succeeds.

use super::{Item, text};
use crate::{error::Error, random};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

/// The id of one update, the same each time the SDK sends it. The item stores the id of its last update as `last`.
/// Another update in between hides it, and then an attempt may count twice, but never not at all.
pub(super) struct WriteId(String);

/// Condition: this update has not been applied yet.
pub(super) const NOT_YET: &str = "(attribute_not_exists(#last) OR #last <> :operation)";
/// The assignment that records this update.
pub(super) const IS_LAST: &str = "#last = :operation";

impl WriteId {
    /// Draws a random id.
    ///
    /// # Errors
    /// [`Error::Internal`] without randomness.
    pub(super) fn draw() -> Result<Self, Error> {
        Ok(Self(random::uuid()?.to_string()))
    }

    /// Adds the values that [`NOT_YET`] and [`IS_LAST`] name to an update.
    pub(super) fn attach(&self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        update
            .expression_attribute_names("#last", "last")
            .expression_attribute_values(":operation", text(&self.0))
    }

    /// Whether this update was the last one of the item.
    pub(super) fn wrote(&self, item: &Item) -> bool {
        item.get("last").and_then(|last| last.as_s().ok()) == Some(&self.0)
    }
}
