//! GET /member/userservice/security: a code to a phone. To bind it, to reset the pay password, or,
//! for somebody who is not logged in, to recover the login password.

use shared::{App, Envelope, Error, Parameter, Reply, Request, code::Purpose, contact::Destination, serve};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session_if_sent(&request).await?;
    let phone = Destination::Phone(app.phone(request.required(Parameter::Phone)?)?);
    let member = session.as_ref().map(|session| session.member()).transpose()?;
    let is_own = member.is_some_and(|member| member.has(&phone));
    let purpose = match (request.optional(Parameter::Purpose), member) {
        (Some("recover"), _) | (None, None) => Purpose::RecoverPassword,
        (Some("bind" | "pay"), None) => return Err(Error::InvalidToken),
        (Some("pay"), Some(_)) if !is_own => return Err(Error::UserPhoneNotMatch),
        (Some("pay"), Some(_)) => Purpose::ResetPayPassword,
        (None, Some(_)) if is_own => Purpose::ResetPayPassword,
        (Some("bind") | None, Some(_)) => Purpose::BindPhone,
        (Some(_), _) => return Err(Error::BodyNotValid),
    };

    let sent = match member {
        Some(member) if purpose != Purpose::RecoverPassword => {
            app.send_code(member.id, &phone, purpose, &request).await?
        }
        _ => app.ask_code(&phone, purpose, &request).await?,
    };
    let session = app.renewed_if_sent(session.as_ref())?;
    Ok(Reply::sent(sent, &app.keys)?.renewing(session))
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
