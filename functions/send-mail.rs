//! POST /web/userservice/security/sendMail: sends a code and a link to an email address. A member binds the address
//! with them. Without a session they recover the login password.

use shared::{App, Error, MemberApi, Parameter, Reply, Request, code::Purpose, serve};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate_if_sent(&request).await?;
    let email = app.email(request.required(Parameter::Email)?)?;
    // Before the password is verified, because that counts an attempt.
    app.require_sendable(&email)?;
    let Some(session) = session else {
        return app.sent(app.request_code(&email, Purpose::RecoverByMail, &request).await?);
    };
    let member = session.member()?;
    let reauthenticated = app.reauthentication(&session, member, &request).await?;
    member.require_bindable(&email, reauthenticated.is_some())?;
    let code = app.send_code(member, &email, Purpose::BindMail, reauthenticated.as_ref(), &request).await?;
    Ok(app.sent(code)?.with_session(app.renew(&session)?))
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
