//! POST /v1/user/sendChangePasswordMessage: a code to the member's own phone, to change the login password.

use shared::{App, Envelope, Error, Reply, Request, code::Purpose, parameter::Field, serve, token::Token};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session(&request).await?;
    let member = session.member()?;
    let phone = member.phone.as_ref().ok_or(Error::Missing(Field::Phone))?;
    let phone_info = Token::of_phone(phone, Purpose::ChangePassword)?.sign(&app.keys);
    let sent = app.send_code(member.id, phone, Purpose::ChangePassword, request.language).await?;
    Ok(Reply::result(phone_info).sending(sent).renewing(app.renew(&session, member.credential_version)?))
}

fn main() -> ExitCode {
    serve(Envelope::User, handle)
}
