//! PUT /member/userservice/security: the login password changed by the old one.

use shared::{
    App, Envelope, Error,
    Parameter::{NewPasswordFirst, NewPasswordSecond, OldPassword},
    Reply, Request,
    audit::Action::PasswordChanged,
    parameter::Field,
    serve,
    store::change::Change,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session(&request).await?;
    let old_password = request.required(OldPassword)?;
    let new_password = request.required(NewPasswordFirst)?;
    if request.optional(NewPasswordSecond).is_some_and(|second| second != new_password) {
        return Err(Error::NotValid(Field::NewPassword));
    }

    let member = session.member()?;
    let acceptable = app.acceptable_password(new_password, Some(member))?;
    let failures = app.check_password(&session, member, old_password).await?;
    if acceptable.is(old_password) {
        return Err(Error::NotValid(Field::NewPassword));
    }

    let new_password = app.passwords.hash(&app.keys, &acceptable)?;
    let change = Change::password(member, new_password, PasswordChanged, &request).clearing(&failures);
    app.store.make(&change).await?;
    Ok(Reply::changed().renewing(app.renew(&session, change.credential_version())?))
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
