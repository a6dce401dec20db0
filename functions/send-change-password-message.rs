//! POST /v1/user/sendChangePasswordMessage: sends a code to the member's own phone, for a change of the login
//! password.

use shared::{
    App, Error, Field, Reply, Request, UserApi, code::Purpose, contact::Destination, serve, token::Token,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<UserApi>, Error> {
    let session = app.authenticate(&request).await?;
    let member = session.member()?;
    let phone = member.phone.clone().map(Destination::Phone).ok_or(Error::Missing(Field::Phone))?;
    app.change_rules().require_mature(member, &phone)?;
    let sent = app.send_code(member, &phone, Purpose::ChangePassword, None, &request).await?;
    let phone_info = Token { destination: phone, purpose: Purpose::ChangePassword, flow: None };
    Ok(Reply::result(phone_info.sign(&app.keys)?).with_expiry(&sent).with_session(app.renew(&session)?))
}

fn main() -> ExitCode {
    serve::<UserApi>(handle)
}
