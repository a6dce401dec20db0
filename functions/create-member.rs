//! Invoked by a registration service: creates a member whose phone or email address is proven.

use shared::{App, Error, NewMember, Reply, Request, ServiceApi, serve_service};
use std::process::ExitCode;

async fn handle(app: &'static App, new: NewMember, request: Request) -> Result<Reply<ServiceApi>, Error> {
    app.create_member(&new, &request).await
}

fn main() -> ExitCode {
    serve_service(handle)
}
