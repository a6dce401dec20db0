//! Invoked by the authorizer of another API of API Gateway: checks a session as every endpoint does.

use shared::{Authorizer, Error, ExposeSecret, Secret, serve_authorizer, session::SignedSession};
use std::process::ExitCode;

async fn handle(authorizer: &'static Authorizer, session: Secret) -> Result<SignedSession, Error> {
    authorizer.authorize(session.expose_secret()).await
}

fn main() -> ExitCode {
    serve_authorizer(handle)
}
