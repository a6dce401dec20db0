//! PUT /web/userservice/security: replaces a forgotten login password with a grant. It does not start a session.

use shared::{
    App, Error, Field, MemberApi,
    Parameter::{Email, PasswordFirst, PasswordSecond, Phone},
    Reply, Request,
    change::Change,
    code::Purpose,
    grant::Grant,
    serve,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    app.authenticate_if_sent(&request).await?;
    let (destination, purpose) = match (request.optional(Phone), request.optional(Email)) {
        (Some(phone), _) => (app.phone(phone)?, Purpose::RecoverPassword),
        (None, Some(email)) => (app.email(email)?, Purpose::RecoverByMail),
        (None, None) => return Err(Error::Missing(Field::Phone)),
    };
    let password = request.required_twice(PasswordFirst, PasswordSecond)?;
    let verification = request.verification().ok_or(Error::Missing(Field::Verification))?;
    let grant = Grant::parse(verification).ok_or(Error::NotValid(Field::Verification))?;
    // Before the grant is used, because that counts an attempt.
    app.accept_password(password, &[])?;

    let grant = app.verify_grant(&grant, purpose, &destination).await?;
    let member = app.store.member(grant.basis.member).await?.ok_or(Error::UserNotFound)?;
    if !member.owns(&destination) {
        return Err(Error::NotValid(Field::Verification));
    }
    let password = app.accept_password(password, &member.destinations())?;

    let hash = app.hash_unlike_current(&password, &member, &grant)?;
    let change = Change::password_recovered(&member, hash, grant);
    app.commit(change, &request, Reply::created().without_verification()).await
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
