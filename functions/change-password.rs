//! PUT /member/userservice/security: changes the login password with the old one.

use shared::{
    App, Error, Field, MemberApi,
    Parameter::{NewPasswordFirst, NewPasswordSecond, OldPassword},
    Reply, Request,
    change::Change,
    serve,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate(&request).await?;
    let old_password = request.required(OldPassword)?;
    let new_password = request.required_twice(NewPasswordFirst, NewPasswordSecond)?;

    let member = app.changing_member(&session)?;
    let new_password = app.accept_password(new_password, &member.destinations())?;
    if new_password.is(old_password) {
        return Err(Error::NotValid(Field::NewPassword));
    }
    let verified = app.verify_password(&session, member, old_password).await?;

    let change = Change::password_changed(member, app.hash(&new_password)?, verified);
    let reply = Reply::created().with_session(app.renew_after(&session, &change)?);
    app.commit(change, &request, reply).await
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
