//! POST /v1/user/changePasswordByMessage: changes the login password with a code sent to the member's phone.

use shared::{
    App, Error,
    Parameter::{Code, NewPassword, OldPassword, PhoneInfo},
    Reply, Request, UserApi,
    change::Change,
    code::{CodeHolder, Purpose},
    member::Member,
    serve,
    token::Token,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<UserApi>, Error> {
    let session = app.authenticate(&request).await?;
    let new_password = request.required(NewPassword)?;
    let phone_info = request.required(PhoneInfo)?;
    let code = request.required(Code)?;

    let phone = Token::open_phone_info(&app.keys, phone_info, Purpose::ChangePassword)?.destination;
    let contacts = session.member().map(Member::destinations).unwrap_or_default();
    let new_password = app.accept_password(new_password, &contacts)?;
    let member = app.changing_member(&session)?;
    member.require_own(&phone)?;
    app.change_rules().require_mature(member, &phone)?;
    let code = app.code(code, &phone)?;
    if let Some(old_password) = request.optional(OldPassword) {
        app.confirm_password(&session, member, old_password).await?;
    }
    let holder = CodeHolder::Member(member.id);
    let verified = app.verify_code(&phone, Purpose::ChangePassword, holder, &code, &request).await?;

    let hash = app.hash_unlike_current(&new_password, member, &verified)?;
    let change = Change::password_changed_by_message(member, hash, verified);
    let reply = Reply::result(true).with_session(app.renew_after(&session, &change)?);
    app.commit(change, &request, reply).await
}

fn main() -> ExitCode {
    serve::<UserApi>(handle)
}
