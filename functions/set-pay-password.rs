//! PUT /member/userservice/security/payPassword: the pay password set where none is.

use shared::{
    App, Envelope, Error,
    Parameter::{PayPasswordFirst, PayPasswordSecond},
    Reply, Request,
    audit::Action,
    serve,
    store::change::Change,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session(&request).await?;
    let pay_password = request.required_twice(PayPasswordFirst, PayPasswordSecond)?;
    let member = session.member()?;
    let pay_password = app.acceptable_pay_password(pay_password, member)?;
    if member.pay_password.is_some() {
        return Err(Error::PayPasswordAlreadySet);
    }

    let change =
        Change::of(member, Action::PayPasswordSet, &request).pay_password(Some(&app.hash(&pay_password)?));
    app.make(change, Reply::changed().renewing(app.renewed(&session)?)).await
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
