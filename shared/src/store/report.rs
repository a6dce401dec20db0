//! Changes that can be reported.

use super::{ItemKey, Store, number, transaction::Transaction, write};
use crate::{
    clock::Timestamp,
    domain::{
        proof::ValidReport,
        report::{LINK_TTL_SECONDS, ReportId, ReportableChange},
    },
    error::{Error, Field},
};
use aws_sdk_dynamodb::types::{Delete, Put};
use serde::{Deserialize, Serialize};

/// Item `report#<id>` / `report`.
#[derive(Serialize, Deserialize)]
struct ReportItem {
    #[serde(flatten)]
    change: ReportableChange,
    expires_at: Timestamp,
}

/// Condition: the change has not been reported by this link, and the link has not expired.
const STILL_VALID: &str = "attribute_exists(pk) AND expires_at > :now";

fn key(ReportId(id): ReportId) -> ItemKey {
    ItemKey::new(format!("report#{id}"), "report")
}

impl Store {
    /// Reads a change that can be reported.
    ///
    /// # Errors
    /// [`Error::NotValid`] if it does not exist, was reported, or has expired; [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn reportable_change(&self, id: ReportId) -> Result<ReportableChange, Error> {
        let item: Option<ReportItem> = self.get(key(id)).await?;
        item.filter(|item| item.expires_at > Timestamp::now())
            .map(|item| item.change)
            .ok_or(Error::NotValid(Field::Verification))
    }
}

impl Transaction {
    /// Stores a change that can be reported, and returns the id of its report.
    pub(super) fn store_report(&mut self, change: &ReportableChange) -> Result<ReportId, Error> {
        let (id, change) = (ReportId::draw()?, change.clone());
        let item = ReportItem { change, expires_at: Timestamp::now().plus(LINK_TTL_SECONDS) };
        self.put(Put::builder().set_item(Some(write(item, key(id))?)), None)?;
        Ok(id)
    }

    /// Consumes a report.
    pub(super) fn consume_report(&mut self, report: &ValidReport) -> Result<(), Error> {
        let delete = Delete::builder()
            .set_key(Some(key(report.id).into_item()))
            .condition_expression(STILL_VALID)
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.delete(delete, Some(Box::new(|_| Error::NotValid(Field::Verification))))
    }
}
