//! POST /v1/user/changePasswordByMessage: the login password changed by the code that was sent.

use shared::{
    App, Envelope, Error,
    Parameter::{Code, NewPassword, OldPassword, PhoneInfo},
    Reply, Request,
    audit::Action,
    code::{Holder, Purpose},
    serve,
    store::change::Change,
    token::Token,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session(&request).await?;
    let new_password = request.required(NewPassword)?;
    let phone_info = request.required(PhoneInfo)?;
    let code = request.required(Code)?;

    let phone = Token::open_phone_info(&app.keys, phone_info, Purpose::ChangePassword)?.destination;
    let new_password = app.acceptable_password(new_password, session.member().ok())?;
    let member = session.member()?;
    if !member.has(&phone) {
        return Err(Error::UserPhoneNotMatch);
    }
    let mut change = Change::of(member, Action::PasswordChangedByMessage, &request);
    if let Some(old_password) = request.optional(OldPassword) {
        change = change.clearing(app.check_password(&session, member, old_password).await?.failures);
    }
    let code = app.try_code(&phone, Purpose::ChangePassword, Holder::Member(member.id), code).await?;

    let change = change.password(&app.hash(&new_password)?).spending(&code);
    let session = app.renew(&session, change.credential_version())?;
    app.make(change, Reply::result(true).renewing(session)).await
}

fn main() -> ExitCode {
    serve(Envelope::User, handle)
}
