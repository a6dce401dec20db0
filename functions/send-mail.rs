//! POST /web/userservice/security/sendMail: sends a code to an email address, with a link unless it is to close the
//! account. A member binds the address or closes the account with it. Without a session it recovers the login
//! password.

use shared::{
    App, Error, Field, MemberApi, Parameter, Reply, Request,
    code::{
        Purpose,
        RequestedPurpose::{Bind, Close, Pay, Recover},
    },
    serve,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate_if_sent(&request).await?;
    let email = app.email(request.required(Parameter::Email)?)?;
    let member = session.as_ref().map(|session| session.member()).transpose()?;
    let requested = request.optional(Parameter::Purpose).map(str::parse).transpose()?;
    // Before the password is verified, because that counts an attempt.
    app.require_sendable(&email)?;
    let code = match (requested, session.as_ref().zip(member)) {
        // An email resets no pay password.
        (Some(Pay), _) => return Err(Error::BodyNotValid),
        (Some(Bind | Close), None) => return Err(Error::InvalidToken),
        (Some(Recover), _) | (None, None) => {
            app.request_code(&email, Purpose::RecoverByMail, &request).await?
        }
        (Some(Close), Some((_, member))) => {
            if !member.owns(&email) {
                return Err(Error::NotValid(Field::Email));
            }
            app.change_rules().require_mature(member, &email)?;
            app.send_code(member, &email, Purpose::CloseAccount, None, &request).await?
        }
        (Some(Bind) | None, Some((session, member))) => {
            let reauthenticated = app.reauthentication(session, member, &request).await?;
            member.require_bindable(&email, reauthenticated.is_some())?;
            app.send_code(member, &email, Purpose::BindMail, reauthenticated.as_ref(), &request).await?
        }
    };
    Ok(app.sent(code)?.with_session(app.renew_if_sent(session.as_ref())?))
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
