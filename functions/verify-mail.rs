//! GET and POST /web/userservice/security/verifyMail: GET shows a page with one button, since mail
//! scanners open links; POST verifies, and binds the address or becomes a grant.

use shared::{
    App, Envelope, Error, Parameter, Reply, Request,
    audit::Action,
    code::{
        Holder,
        Purpose::{BindMail, RecoverByMail},
    },
    page, serve,
    store::{change::Change, code::RightCode},
    token::Token,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session_if_sent(&request).await?;
    let verification = request.required(Parameter::Verification)?;
    let code = request.required(Parameter::Code)?;
    if request.is_get() {
        return Ok(Reply::verified().showing(page::ask(verification, code, request.language)?));
    }
    let session = app.renewed_if_sent(session.as_ref())?;
    let asked = Token::open_verification(&app.keys, verification, &[BindMail, RecoverByMail])?;
    let code = app.try_code(&asked.destination, asked.purpose, Holder::Flow(asked.flow), code).await?;
    if code.binding.purpose == RecoverByMail {
        let reply = Reply::verified().renewing(session).showing(page::granted(request.language)?);
        return app.exchange(&request, &code, reply).await;
    }
    let reply = Reply::verified().spending().renewing(session).showing(page::bound(request.language)?);
    bind(app, &request, &code, reply).await
}

async fn bind(app: &App, request: &Request, code: &RightCode, reply: Reply) -> Result<Reply, Error> {
    let email = &code.binding.destination;
    let member = app.store.member(code.member).await?.ok_or(Error::UserNotFound)?;
    let action = if member.would_replace(email) { Action::EmailReplaced } else { Action::EmailBound };
    app.make(Change::of(&member, action, request).bind(email).spending(code), reply).await
}

fn main() -> ExitCode {
    serve(Envelope::MemberOrPage, handle)
}
