//! Receipts: issuing one for an order that was confirmed, and spending it.

use crate::{
    app::App,
    clock::Timestamp,
    contact::Destination,
    domain::{
        code::Purpose,
        member::{Member, MemberId},
        opaque_token::OpaqueToken,
        proof::{IssuedProof, VerifiedCode, VerifiedPayPassword},
        receipt::{Element, Order, RECEIPT_TTL_SECONDS, Receipt},
    },
    error::{Error, Field},
    http::{
        reply::Reply,
        request::Request,
        service::{SecretText, ServiceApi},
    },
    store::receipt::{Check, Spent},
};
use serde::Serialize;
use std::iter;

/// The purposes of a code that is a second element: to log in, which a service requests, and to reset the pay password,
/// which the app requests as `purpose=pay`.
const SECOND_ELEMENTS: [Purpose; 2] = [Purpose::LogIn, Purpose::ResetPayPassword];

/// Who pays, as a service names them.
#[derive(Clone, Debug)]
pub enum Payer {
    /// The member of this session. An ended session is refused.
    Session(SecretText),
    /// This member, whom the service authenticated itself.
    Member(MemberId),
}

/// The success of a check.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IssuedReceipt<'a> {
    receipt: &'a str,
    expires_in: u64,
    elements: &'a [Element],
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling_until: Option<Timestamp>,
}

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
    /// Returns the member who pays, as a service names them.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] if the session is invalid, [`Error::UserNotFound`] if the member does not exist,
    /// [`Error::AccountFrozen`] if the member reported a change, [`Error::PayPasswordNotSet`].
    pub async fn payer(&self, payer: &Payer) -> Result<Member, Error> {
        let member = match payer {
            Payer::Session(session) => self.authenticate_token(session.expose()).await?.member,
            Payer::Member(id) => self.store.member(*id).await?,
        };
        let member = member.ok_or(Error::UserNotFound)?;
        member.require_not_frozen()?;
        member.require_pay_password()?;
        Ok(member)
    }

    /// Verifies the second element: a code that was sent to the member's own phone.
    ///
    /// # Errors
    /// [`Error::NotValid`] if `verification` is not of such a code or the code is malformed, [`Error::CoolingOff`] if the
    /// phone is immature, and the errors of [`App::verify_code`].
    pub async fn verify_second_element(
        &self,
        member: &Member,
        code: &str,
        verification: &str,
        request: &Request,
    ) -> Result<VerifiedCode, Error> {
        let phone =
            member.phone.clone().map(Destination::Phone).ok_or(Error::NotValid(Field::Verification))?;
        let (purpose, holder) = self.code_in_flow(member, &phone, &SECOND_ELEMENTS, verification)?;
        self.change_rules().require_mature(member, &phone)?;
        let code = self.code(code, &phone)?;
        let verified = self.verify_code(&phone, purpose, holder, &code, request).await?;
        verified.require_basis(member)?;
        Ok(verified)
    }

    /// Issues a receipt for an order that the member confirmed with the pay password, and perhaps with a code.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] if another request consumed the code; [`Error::InvalidToken`], [`Error::AccountFrozen`] or
    /// [`Error::UserNotFound`] if the member was changed since the check; [`Error::TooManyAttempts`] if checks of the
    /// member contend; [`Error::Busy`], [`Error::Internal`].
    pub async fn issue_receipt(
        &self,
        member: &Member,
        order: &Order,
        pay_password: VerifiedPayPassword,
        code: Option<VerifiedCode>,
        request: &Request,
    ) -> Result<Reply<ServiceApi>, Error> {
        let elements: Vec<_> =
            iter::once(Element::PayPassword).chain(code.as_ref().map(|_| Element::Sms)).collect();
        let token = OpaqueToken::draw()?;
        let reply = Reply::service(&IssuedReceipt {
            receipt: token.expose(),
            expires_in: RECEIPT_TTL_SECONDS,
            elements: &elements,
            cooling_until: self.change_rules().cooling_off_until(member),
        })?;
        let sealed = self.seal(request, &reply)?;
        let receipt = Receipt::new(member.id, elements.clone(), order, &self.keys);
        let check = Check {
            member,
            failures: &pay_password.failures,
            code: code.as_ref(),
            reference: order.reference_mac(&self.keys),
        };
        self.store.issue_receipt(&token, &receipt, &check, &request.origin, sealed.as_ref()).await?;
        if let Some(code) = &code {
            self.record_verified(code).await;
        }
        Ok(reply)
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
