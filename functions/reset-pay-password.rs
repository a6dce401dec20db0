//! PUT /member/userservice/security/resetPayPassword: removes or replaces the pay password with a code sent to the
//! member's own phone, or with the grant for that code.

use shared::{
    App, Error, Field, MemberApi, Parameter, Reply, Request,
    change::Change,
    code::Purpose::ResetPayPassword,
    contact::Destination,
    grant::Grant,
    member::Member,
    proof::Possession::{self, ByCode, ByGrant},
    serve,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate(&request).await?;
    let phone = app.phone(request.required(Parameter::Phone)?)?;
    let member = app.changing_member(&session)?;
    let pay_password = match request.optional(Parameter::PayPasswordFirst) {
        Some(typed) => Some(app.accept_pay_password(typed, member)?),
        None => None,
    };
    member.require_own(&phone)?;
    app.change_rules().require_pay_reset_allowed(member, &phone)?;
    let possession = possession(app, &request, member, &phone).await?;

    let mut reply = Reply::created().with_session(app.renew(&session)?);
    if let ByGrant(_) = possession {
        reply = reply.without_verification();
    }
    let hash = |password| app.hash_pay_password_unlike_current(password, member, &possession);
    let pay_password = pay_password.as_ref().map(hash).transpose()?;
    let failures = app.pay_password_failures(member);
    let change = Change::pay_password_reset(member, pay_password, possession, failures);
    app.commit(change, &request, reply).await
}

/// Verifies the code or, without one, the grant.
async fn possession(
    app: &App,
    request: &Request,
    member: &Member,
    phone: &Destination,
) -> Result<Possession, Error> {
    if let Some(code) = request.optional(Parameter::Message) {
        let code = app.code(code, phone)?;
        let verification = request.optional(Parameter::Verification);
        let holder = app.code_holder(member, phone, ResetPayPassword, verification)?;
        return app.verify_code(phone, ResetPayPassword, holder, &code, request).await.map(ByCode);
    }
    let grant = request.verification().and_then(Grant::parse).ok_or(Error::Missing(Field::Message))?;
    let grant = app.verify_grant(&grant, ResetPayPassword, phone).await?;
    if grant.basis.member == member.id {
        Ok(ByGrant(grant))
    } else {
        Err(Error::NotValid(Field::Verification))
    }
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
