//! Invoked by a login service: logs a member in with the password, or with a code from `send-log-in-code`.

use shared::{App, Error, LogIn, Reply, Request, ServiceApi, serve_service};
use std::process::ExitCode;

async fn handle(app: &'static App, log_in: LogIn, request: Request) -> Result<Reply<ServiceApi>, Error> {
    app.log_in(log_in, &request).await
}

fn main() -> ExitCode {
    serve_service(handle)
}
