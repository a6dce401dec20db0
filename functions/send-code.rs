//! GET /member/userservice/security: sends a code to a phone. A member binds the phone, resets the pay password or
//! closes the account with it. Without a session it recovers the login password.

use shared::{
    App, Error, MemberApi, Parameter, Reply, Request,
    code::{
        Purpose,
        RequestedPurpose::{Bind, Close, Pay, Recover},
    },
    serve,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate_if_sent(&request).await?;
    let phone = app.phone(request.required(Parameter::Phone)?)?;
    let member = session.as_ref().map(|session| session.member()).transpose()?;
    let is_own = member.is_some_and(|member| member.owns(&phone));
    let requested = request.optional(Parameter::Purpose).map(str::parse).transpose()?;
    let purpose = match (requested, member) {
        (Some(Recover), _) | (None, None) => Purpose::RecoverPassword,
        (Some(Bind | Pay | Close), None) => return Err(Error::InvalidToken),
        (Some(Pay | Close), Some(_)) if !is_own => return Err(Error::UserPhoneNotMatch),
        (Some(Close), Some(_)) => Purpose::CloseAccount,
        (Some(Pay), Some(_)) => Purpose::ResetPayPassword,
        (None, Some(_)) if is_own => Purpose::ResetPayPassword,
        (Some(Bind) | None, Some(_)) => Purpose::BindPhone,
    };

    let code = match member {
        Some(member) if purpose != Purpose::RecoverPassword => {
            let rules = app.change_rules();
            match purpose {
                Purpose::ResetPayPassword => rules.require_pay_reset_allowed(member, &phone)?,
                Purpose::CloseAccount => rules.require_mature(member, &phone)?,
                _ => (),
            }
            app.send_code(member, &phone, purpose, None, &request).await?
        }
        _ => app.request_code(&phone, purpose, &request).await?,
    };
    Ok(app.sent(code)?.with_session(app.renew_if_sent(session.as_ref())?))
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
