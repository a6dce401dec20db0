//! Receipts: issuing one for an order that was confirmed, and spending it.

use crate::{
    app::App,
    clock::Timestamp,
    domain::{
        member::MemberId,
        opaque_token::OpaqueToken,
        receipt::{Element, Order, Receipt},
    },
    error::Error,
    http::{reply::Reply, request::Request, service::ServiceApi},
    store::receipt::Spent,
};
use serde::Serialize;

/// The success of spending a receipt.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpentReceipt<'a> {
    member: MemberId,
    elements: &'a [Element],
    checked_at: Timestamp,
    spent_at: Timestamp,
    /// Whether this call spent it, and not an earlier one for the same order.
    first: bool,
}

impl App {
    /// Issues a receipt for an order that these elements of the member confirmed, and returns its token.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn issue_receipt(
        &self,
        member: MemberId,
        elements: Vec<Element>,
        order: &Order,
    ) -> Result<OpaqueToken, Error> {
        let token = OpaqueToken::draw()?;
        self.store.put_receipt(&token, &Receipt::new(member, elements, order, &self.keys)).await?;
        Ok(token)
    }

    /// Spends a receipt for an order, or returns that it was spent for the same order before.
    ///
    /// # Errors
    /// [`Error::ReceiptNotValid`] if it is unknown, expired, or for another order, or if its member was closed before it was
    /// spent; [`Error::Busy`], [`Error::Internal`].
    pub async fn spend_receipt(
        &self,
        token: &str,
        order: &Order,
        request: &Request,
    ) -> Result<Reply<ServiceApi>, Error> {
        let token = OpaqueToken::parse(token).ok_or(Error::ReceiptNotValid)?;
        let mut is_repeated = false;
        loop {
            let receipt = self.store.receipt(&token).await?.ok_or(Error::ReceiptNotValid)?;
            if !order.matches(&self.keys, &receipt.order) {
                return Err(Error::ReceiptNotValid);
            }
            if let Some(spent_at) = receipt.spent_at {
                return reply(&receipt, spent_at, false);
            }
            let now = Timestamp::now();
            if receipt.valid_until <= now {
                return Err(Error::ReceiptNotValid);
            }
            let reply = reply(&receipt, now, true)?;
            let sealed = self.seal(request, &reply)?;
            match self.store.spend_receipt(&token, receipt.member, now, sealed.as_ref()).await {
                Ok(()) => return Ok(reply),
                // The next read returns what the other call wrote.
                Err(Error::Busy(cause)) if cause.is::<Spent>() && !is_repeated => is_repeated = true,
                Err(error) => return Err(error),
            }
        }
    }
}

fn reply(receipt: &Receipt, spent_at: Timestamp, first: bool) -> Result<Reply<ServiceApi>, Error> {
    let Receipt { member, elements, checked_at, .. } = receipt;
    Reply::service(&SpentReceipt { member: *member, elements, checked_at: *checked_at, spent_at, first })
}
