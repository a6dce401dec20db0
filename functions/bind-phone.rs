//! PUT /member/userservice/security/bindingPhone: a phone bound to the member, by the code that was sent to it.

use shared::{
    App, Envelope, Error, Parameter, Reply, Request,
    audit::Action,
    clock::Timestamp,
    code::Purpose,
    contact::Destination,
    serve,
    session::Session,
    store::{change::Change, member::Member},
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
        change = reauthenticated(app, &session, member, &request, change).await?.cooling_off();
    }
    let code = app.try_code(&phone, Purpose::BindPhone, holder, code).await?;

    app.store.make(change.spending(&code)).await?;
    Ok(Reply::changed().renewing(app.renewed(&session)?))
}

/// Whoever replaces a phone has the login password, or had it a moment ago.
async fn reauthenticated<'a>(
    app: &App,
    session: &Session,
    member: &Member,
    request: &Request,
    change: Change<'a>,
) -> Result<Change<'a>, Error> {
    if let Some(password) = request.optional(Parameter::Password) {
        let right = app.check_password(session, member, password).await?;
        return Ok(change.rehashed(right.rehashed.as_ref()).clearing(right.failures));
    }
    let recent = session.claims.auth_time.plus(app.settings.reauthentication_seconds) > Timestamp::now();
    if recent { Ok(change) } else { Err(Error::ReauthenticationRequired) }
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
