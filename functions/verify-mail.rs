//! GET and POST /web/userservice/security/verifyMail: POST verifies a code sent to an email address, and binds the
//! address or issues a grant. GET only returns a page with a button that submits the POST, because mail scanners open
//! links.

use shared::{
    App, Error, PageApi, Parameter, Reply, Request,
    change::Change,
    code::{
        CodeHolder,
        Purpose::{BindMail, RecoverByMail},
    },
    page, serve,
    token::Token,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<PageApi>, Error> {
    let session = app.authenticate_if_sent(&request).await?;
    let verification = request.required(Parameter::Verification)?;
    let code = request.required(Parameter::Code)?;
    if request.is_get() {
        return Ok(Reply::ok().with_page(page::confirm(verification, code, request.language)?));
    }
    let reply = Reply::ok().with_session(app.renew_if_sent(session.as_ref())?);
    let requested = Token::open_verification(&app.keys, verification, &[BindMail, RecoverByMail])?;
    let code = app.code(code, &requested.destination)?;
    let holder = CodeHolder::Flow(requested.flow);
    let verified =
        app.verify_code(&requested.destination, requested.purpose, holder, &code, &request).await?;

    if requested.purpose == RecoverByMail {
        return app.exchange(verified, &request, reply.with_page(page::granted(request.language)?)).await;
    }
    let member = app.store.member(verified.basis.member).await?.ok_or(Error::UserNotFound)?;
    let reply = reply.without_verification().with_page(page::bound(request.language)?);
    app.commit(Change::email_bound(&member, verified), &request, reply).await
}

fn main() -> ExitCode {
    serve::<PageApi>(handle)
}
