//! PUT /member/userservice/security: the login password changed by the old one.

use shared::{
    App, Envelope, Error, Field,
    Parameter::{NewPasswordFirst, NewPasswordSecond, OldPassword},
    Reply, Request,
    audit::Action,
    serve,
    store::change::Change,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session(&request).await?;
    let old_password = request.required(OldPassword)?;
    let new_password = request.required_twice(NewPasswordFirst, NewPasswordSecond)?;

    let member = session.member()?;
    let new_password = app.acceptable_password(new_password, Some(member))?;
    if new_password.is(old_password) {
        return Err(Error::NotValid(Field::NewPassword));
    }
    let right = app.check_password(&session, member, old_password).await?;

    let change = Change::of(member, Action::PasswordChanged, &request)
        .password(&app.hash(&new_password)?)
        .clearing(right.failures);
    let session = app.renew(&session, change.credential_version())?;
    app.make(change, Reply::changed().renewing(session)).await
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
