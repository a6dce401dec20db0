//! PUT /member/userservice/security/updatePayPassword: the pay password changed by the old one.

use shared::{
    App, Envelope, Error, Field,
    Parameter::{OldPassword, PayPasswordFirst, PayPasswordSecond},
    Reply, Request,
    audit::Action,
    serve,
    store::change::Change,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session(&request).await?;
    let old_password = request.required(OldPassword)?;
    let pay_password = request.required_twice(PayPasswordFirst, PayPasswordSecond)?;
    let member = session.member()?;
    let pay_password = app.acceptable_pay_password(pay_password, member)?;
    if pay_password.is(old_password) {
        return Err(Error::NotValid(Field::PayPassword));
    }
    let right = app.check_pay_password(member, old_password).await?;

    let change = Change::of(member, Action::PayPasswordChanged, &request)
        .pay_password(Some(&app.hash(&pay_password)?))
        .clearing(right.failures);
    app.make(change, Reply::changed().renewing(app.renewed(&session)?)).await
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
