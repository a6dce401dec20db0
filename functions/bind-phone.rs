//! PUT /member/userservice/security/bindingPhone: binds a phone to the member with a code sent to it.

use shared::{App, Error, MemberApi, Parameter, Reply, Request, change::Change, code::Purpose, serve};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate(&request).await?;
    let code = request.required(Parameter::Message)?;
    let phone = app.phone(request.required(Parameter::Phone)?)?;
    let code = app.code(code, &phone)?;
    let member = app.changing_member(&session)?;
    let verification = request.optional(Parameter::Verification);
    let holder = app.code_holder(member, &phone, Purpose::BindPhone, verification)?;

    let reauthenticated = app.reauthentication(&session, member, &request).await?;
    member.require_bindable(&phone, reauthenticated.is_some())?;
    let verified = app.verify_code(&phone, Purpose::BindPhone, holder, &code, &request).await?;

    let change = Change::phone_bound(member, verified, reauthenticated);
    app.commit(change, &request, Reply::created().with_session(app.renew(&session)?)).await
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
