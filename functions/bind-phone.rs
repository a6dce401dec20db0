//! PUT /member/userservice/security/bindingPhone: a phone bound to the member, by the code that was sent to it.

use shared::{
    App, Envelope, Error, Parameter, Reply, Request, audit::Action, code::Purpose, contact::Destination,
    serve, store::change::Change,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    let session = app.session(&request).await?;
    let code = request.required(Parameter::Message)?;
    let phone = Destination::Phone(app.phone(request.required(Parameter::Phone)?)?);
    let member = session.member()?;
    let holder = app.holder(member, &phone, Purpose::BindPhone, request.optional(Parameter::Verification))?;

    let replaces = member.would_replace(&phone);
    let action = if replaces { Action::PhoneReplaced } else { Action::PhoneBound };
    let mut change = Change::of(member, action, &request).bind(&phone);
    if replaces {
        if let Some(right) = app.reauthenticate(&session, member, &request).await? {
            change = change.rehashed(right.rehashed.as_ref()).clearing(right.failures);
        }
        change = change.cooling_off();
    }
    let code = app.try_code(&phone, Purpose::BindPhone, holder, code).await?;

    app.make(change.spending(&code), Reply::changed().renewing(app.renewed(&session)?)).await
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
