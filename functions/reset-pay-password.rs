//! PUT /member/userservice/security/resetPayPassword: the pay password unset, or set anew, by a code
//! that was sent to the member's own phone, or by the grant that it became.

use shared::{
    App, Envelope, Error, Field, Parameter, Reply, Request, audit::Action, clock::Timestamp,
    code::Purpose::ResetPayPassword, contact::Destination, grant::Grant, member::Member, serve,
    store::change::Change,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session(&request).await?;
    let phone = Destination::Phone(app.phone(request.required(Parameter::Phone)?)?);
    let member = session.member()?;
    let pay_password = request
        .optional(Parameter::PayPasswordFirst)
        .map(|typed| app.hash(&app.acceptable_pay_password(typed, member)?))
        .transpose()?;
    if !member.has(&phone) {
        return Err(Error::UserPhoneNotMatch);
    }
    cooled_off(app, member)?;

    let change = Change::of(member, Action::PayPasswordReset, &request)
        .pay_password(pay_password.as_ref())
        .clearing(app.pay_password_failures(member));
    let reply = Reply::changed().renewing(app.renewed(&session)?);
    if let Some(code) = request.optional(Parameter::Message) {
        let holder =
            app.holder(member, &phone, ResetPayPassword, request.optional(Parameter::Verification))?;
        let code = app.try_code(&phone, ResetPayPassword, holder, code).await?;
        return app.make(change.spending(&code), reply).await;
    }
    let grant = request.verification().and_then(Grant::parse).ok_or(Error::Missing(Field::Message))?;
    let grant = app.store.grant(&grant, ResetPayPassword, &phone).await?;
    if grant.member != member.id {
        return Err(Error::NotValid(Field::Verification));
    }
    app.make(change.spending_grant(&grant), reply.spending()).await
}

/// Whoever took a phone or a password over must not empty the account on the same day.
fn cooled_off(app: &App, member: &Member) -> Result<(), Error> {
    let until = member.cooling_since.map(|since| since.plus(app.settings.cooling_off_seconds));
    match until.map(|until| Timestamp::now().until(until)) {
        Some(retry_after @ 1..) => Err(Error::CoolingOff { retry_after }),
        _ => Ok(()),
    }
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
