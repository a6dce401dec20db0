//! PUT /member/userservice/security/updatePayPassword: changes the pay password with the old one.

use shared::{
    App, Error, Field, MemberApi,
    Parameter::{OldPassword, PayPasswordFirst, PayPasswordSecond},
    Reply, Request,
    change::Change,
    pay_password, serve,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate(&request).await?;
    let old_password = request.required(OldPassword)?;
    let pay_password = request.required_twice(PayPasswordFirst, PayPasswordSecond)?;
    let member = app.changing_member(&session)?;
    let pay_password = app.accept_pay_password(pay_password, member)?;
    if pay_password.is(&pay_password::typed(old_password)) {
        return Err(Error::NotValid(Field::PayPassword));
    }
    let verified = app.verify_pay_password(member, old_password, &request).await?;

    let change = Change::pay_password_changed(member, app.hash(&pay_password)?, verified);
    app.commit(change, &request, Reply::created().with_session(app.renew(&session)?)).await
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
