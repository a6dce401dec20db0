//! PUT /member/userservice/security/payPassword: sets the pay password of a member who has none.

use shared::{
    App, Error, MemberApi,
    Parameter::{PayPasswordFirst, PayPasswordSecond},
    Reply, Request,
    change::Change,
    serve,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate(&request).await?;
    let pay_password = request.required_twice(PayPasswordFirst, PayPasswordSecond)?;
    let member = app.changing_member(&session)?;
    let pay_password = app.accept_pay_password(pay_password, member)?;
    member.require_no_pay_password()?;
    let reauthenticated = app.reauthentication(&session, member, &request).await?;

    let hash = app.hash(&pay_password)?;
    let change = Change::pay_password_set(member, hash, &session, reauthenticated);
    app.commit(change, &request, Reply::created().with_session(app.renew(&session)?)).await
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
