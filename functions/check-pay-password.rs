//! Invoked by a service that takes a payment: checks the member's pay password, and perhaps a code, for one order, and
//! issues a receipt.

use serde::Deserialize;
use shared::{
    App, Error, Field, Payer, Reply, Request, SecretText, ServiceApi,
    member::MemberId,
    receipt::Order,
    serve_service,
    service::{both_or_neither, one_of},
};
use std::process::ExitCode;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Check {
    session: Option<SecretText>,
    member: Option<MemberId>,
    pay_password: SecretText,
    order: Order,
    code: Option<SecretText>,
    verification: Option<SecretText>,
}

async fn handle(app: &'static App, check: Check, request: Request) -> Result<Reply<ServiceApi>, Error> {
    let Check { session, member, pay_password, order, code, verification } = check;
    let payer = one_of([("session", session.map(Payer::Session)), ("member", member.map(Payer::Member))])?;
    let second_element = both_or_neither(("code", code), ("verification", verification))?;
    let typed = pay_password.expose();
    if typed.trim().is_empty() {
        return Err(Error::Missing(Field::PayPassword));
    }

    let member = app.payer(&payer).await?;
    // The code first: a right pay password then always ends its row of failures.
    let code = match &second_element {
        Some((code, verification)) => {
            Some(app.verify_second_element(&member, code.expose(), verification.expose(), &request).await?)
        }
        None => None,
    };
    let verified = app.verify_pay_password(&member, typed, &request).await.map_err(of_pay_password)?;

    app.upgrade_pay_password(&member, typed, &verified).await;
    app.issue_receipt(&member, &order, verified, code, &request).await
}

/// Names a wrong pay password after the field of this function.
fn of_pay_password(error: Error) -> Error {
    match error {
        Error::OldPasswordNotValid { attempts_left } => Error::PayPasswordNotValid { attempts_left },
        other => other,
    }
}

fn main() -> ExitCode {
    serve_service(handle)
}
