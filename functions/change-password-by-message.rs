//! POST /v1/user/changePasswordByMessage: the login password changed by the code that was sent.

use shared::{
    App, Envelope, Error,
    Parameter::{Code, NewPassword, OldPassword, PhoneInfo},
    Reply, Request,
    audit::Action::PasswordChangedByMessage,
    code::Purpose,
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

    let token = Token::open(&app.keys, phone_info, Purpose::ChangePassword)?;
    let new_password = app.acceptable_password(new_password, session.member().ok())?;
    let member = session.member()?;
    let phone = member.phone.as_ref().filter(|phone| token.is_of(phone)).ok_or(Error::UserPhoneNotMatch)?;
    if let Some(old_password) = request.optional(OldPassword) {
        app.check_password(&session, member, old_password).await?;
    }
    let code = app.try_code(member, phone, Purpose::ChangePassword, code).await?;

    let new_password = app.passwords.hash(&app.keys, &new_password)?;
    let change = Change::password(member, new_password, PasswordChangedByMessage, &request).spending(&code);
    app.store.make(&change).await?;
    Ok(Reply::result(true).renewing(app.renew(&session, change.credential_version())?))
}

fn main() -> ExitCode {
    serve(Envelope::User, handle)
}
