//! POST /web/userservice/security/sendMail: a code and a link to a mail address. To bind it, or, for
//! somebody who is not logged in, to recover the login password.

use shared::{App, Envelope, Error, Parameter, Reply, Request, code::Purpose, serve};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session_if_sent(&request).await?;
    let email = app.email(request.required(Parameter::Email)?)?;
    let Some(session) = session else {
        let sent = app.ask_code(&email, Purpose::RecoverByMail, &request).await?;
        return Reply::sent(sent, &app.keys);
    };
    let member = session.member()?;
    if member.would_replace(&email)
        && let Some(right) = app.reauthenticate(&session, member, &request).await?
    {
        // An outdated hash waits for another call: who sends codes may not write members.
        app.store.forget(&right.failures).await?;
    }
    let sent = app.send_code(member.id, &email, Purpose::BindMail, &request).await?;
    Ok(Reply::sent(sent, &app.keys)?.renewing(app.renewed(&session)?))
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
