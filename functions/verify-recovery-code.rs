//! POST /web/userservice/security: a right code becomes a grant.

use shared::{
    App, Envelope, Error, Field, Parameter, Reply, Request,
    code::{
        Holder,
        Purpose::{RecoverPassword, ResetPayPassword},
    },
    serve,
    token::Token,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session_if_sent(&request).await?;
    let code = request.required(Parameter::Message)?;
    let verification = request.verification().ok_or(Error::Missing(Field::Verification))?;
    let asked = Token::open_verification(&app.keys, verification, &[RecoverPassword, ResetPayPassword])?;
    let code = app.try_code(&asked.destination, asked.purpose, Holder::Flow(asked.flow), code).await?;

    app.exchange(&request, &code, Reply::changed().renewing(app.renewed_if_sent(session.as_ref())?)).await
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
