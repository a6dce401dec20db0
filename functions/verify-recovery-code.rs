//! POST /web/userservice/security: exchanges a code for a grant, which recovers the login password or resets the pay
//! password.

use shared::{
    App, Error, Field, MemberApi, Parameter, Reply, Request,
    code::{
        CodeHolder,
        Purpose::{RecoverPassword, ResetPayPassword},
    },
    serve,
    token::Token,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate_if_sent(&request).await?;
    let code = request.required(Parameter::Message)?;
    let verification = request.verification().ok_or(Error::Missing(Field::Verification))?;
    let requested = Token::open_verification(&app.keys, verification, &[RecoverPassword, ResetPayPassword])?;
    let code = app.code(code, &requested.destination)?;
    let holder = CodeHolder::Flow(requested.flow);
    let verified =
        app.verify_code(&requested.destination, requested.purpose, holder, &code, &request).await?;

    let reply = Reply::created().with_session(app.renew_if_sent(session.as_ref())?);
    app.exchange(verified, &request, reply).await
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
