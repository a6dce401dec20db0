//! A write that knows itself again: an update that the SDK sends twice, since the first answer was lost,
//! neither counts twice nor fails on its own success.

use super::{Item, text};
use crate::{error::Error, random};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

/// The id of one write, the same whenever it is sent. Kept in the item as `last`, so that another write in
/// between hides it: then a try may count twice, never not at all.
pub(super) struct Operation(String);

/// It is another write that wrote the item last.
pub(super) const NOT_YET: &str = "(attribute_not_exists(#last) OR #last <> :operation)";
/// To be set by the update.
pub(super) const IS_LAST: &str = "#last = :operation";

impl Operation {
    pub(super) fn draw() -> Result<Self, Error> {
        Ok(Self(random::uuid()?.to_string()))
    }

    /// The update with the values that [`NOT_YET`] and [`IS_LAST`] name.
    pub(super) fn of(&self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        update
            .expression_attribute_names("#last", "last")
            .expression_attribute_values(":operation", text(&self.0))
    }

    /// Whether it was this one that wrote the item last.
    pub(super) fn wrote(&self, item: &Item) -> bool {
        item.get("last").and_then(|last| last.as_s().ok()) == Some(&self.0)
    }
}
