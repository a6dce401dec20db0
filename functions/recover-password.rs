//! PUT /web/userservice/security: a forgotten login password replaced, by a grant. Logs nobody in.

use shared::{
    App, Envelope, Error, Field,
    Parameter::{Email, PasswordFirst, PasswordSecond, Phone},
    Reply, Request,
    audit::Action,
    code::Purpose,
    contact::Destination,
    grant::Grant,
    serve,
    store::change::Change,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply, Error> {
    app.session_if_sent(&request).await?;
    let (destination, purpose) = match (request.optional(Phone), request.optional(Email)) {
        (Some(phone), _) => (Destination::Phone(app.phone(phone)?), Purpose::RecoverPassword),
        (None, Some(email)) => (app.email(email)?, Purpose::RecoverByMail),
        (None, None) => return Err(Error::Missing(Field::Phone)),
    };
    let password = request.required_twice(PasswordFirst, PasswordSecond)?;
    let verification = request.verification().ok_or(Error::Missing(Field::Verification))?;
    let grant = Grant::parse(verification).ok_or(Error::NotValid(Field::Verification))?;

    let grant = app.store.grant(&grant, purpose, &destination).await?;
    let member = app.store.member(grant.member).await?.ok_or(Error::UserNotFound)?;
    if !member.has(&destination) {
        return Err(Error::NotValid(Field::Verification));
    }
    let password = app.acceptable_password(password, Some(&member))?;

    let change = Change::of(&member, Action::PasswordRecovered, &request)
        .password(&app.hash(&password)?)
        .cooling_off()
        .spending_grant(&grant);
    app.make(change, Reply::changed().spending()).await
}

fn main() -> ExitCode {
    serve(Envelope::Member, handle)
}
