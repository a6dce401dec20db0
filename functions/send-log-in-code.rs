//! Invoked by a login or registration service: sends a code to log in to a member, or a code to register to anyone.

use shared::{App, Error, LogInCode, Reply, Request, ServiceApi, serve_service};
use std::process::ExitCode;

async fn handle(app: &'static App, code: LogInCode, request: Request) -> Result<Reply<ServiceApi>, Error> {
    request.require_source_ip()?;
    let destination = app.identified(&code.identifier)?;
    let code = app.request_code(&destination, code.purpose, &request).await?;
    app.with_code(Reply::service_done(), code)
}

fn main() -> ExitCode {
    serve_service(handle)
}
