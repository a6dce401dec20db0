//! POST /v1/user/sendChangePasswordMessage: a code to the member's own phone, to change the login password.

use shared::{
    App, Envelope, Error, Field, Reply, Request, code::Purpose, contact::Destination, serve, token::Token,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session(&request).await?;
    let member = session.member()?;
    let phone = member.phone.clone().map(Destination::Phone).ok_or(Error::Missing(Field::Phone))?;
    let sent = app.send_code(member.id, &phone, Purpose::ChangePassword, &request).await?;
    let phone_info = Token { destination: phone, purpose: Purpose::ChangePassword, flow: None };
    Ok(Reply::result(phone_info.sign(&app.keys)?)
        .sending(&sent)
        .renewing(app.renew(&session, member.credential_version)?))
}

fn main() -> ExitCode {
    serve(Envelope::User, handle)
}
