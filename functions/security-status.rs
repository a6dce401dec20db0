//! GET /member/userservice/security/status: what an account-security page shows of a member.

use shared::{App, Error, MemberApi, Reply, Request, serve};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate(&request).await?;
    let status = app.security_status(&session).await?;
    Ok(Reply::data(&status)?.with_session(app.renew(&session)?))
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
