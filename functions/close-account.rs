//! DELETE /member/userservice/security: closes the account with the login password, or with a code that was sent to the
//! member's own phone or email address.

use shared::{
    App, Error, Field, MemberApi,
    Parameter::{Message, Password, Verification},
    Reply, Request,
    change::Change,
    code::{CodeHolder, Purpose::CloseAccount},
    contact::Destination,
    member::Member,
    proof::ClosingProof::{self, ByCode, ByPassword},
    serve,
    session::Session,
    token::Token,
};
use std::process::ExitCode;

async fn handle(app: &'static App, request: Request) -> Result<Reply<MemberApi>, Error> {
    let session = app.authenticate(&request).await?;
    let member = app.changing_member(&session)?;
    let proof = proof(app, &request, &session, member).await?;

    let change = Change::closed(member, &session, proof);
    app.commit(change, &request, Reply::ok().without_verification()).await
}

/// Verifies the password or, without one, the code.
async fn proof(
    app: &App,
    request: &Request,
    session: &Session,
    member: &Member,
) -> Result<Option<ClosingProof>, Error> {
    if let Some(password) = request.optional(Password) {
        return app.verify_password(session, member, password).await.map(ByPassword).map(Some);
    }
    let Some(code) = request.optional(Message) else { return Ok(None) };
    let (destination, holder) = sent_code(app, member, request.optional(Verification))?;
    app.change_rules().require_mature(member, &destination)?;
    let code = app.code(code, &destination)?;
    app.verify_code(&destination, CloseAccount, holder, &code, request).await.map(ByCode).map(Some)
}

/// Returns where the code was sent, and who may use it: the flow of the token or, without one, the member, to whose
/// phone it was sent, or to the email address of a member without a phone.
fn sent_code(
    app: &App,
    member: &Member,
    verification: Option<&str>,
) -> Result<(Destination, CodeHolder), Error> {
    let Some(verification) = verification else {
        let own = member.destinations().into_iter().next().ok_or(Error::NotValid(Field::Code))?;
        return Ok((own, CodeHolder::Member(member.id)));
    };
    let sent = Token::open_verification(&app.keys, verification, &[CloseAccount])?;
    if !member.owns(&sent.destination) {
        return Err(Error::NotValid(Field::Verification));
    }
    Ok((sent.destination, CodeHolder::MemberInFlow(member.id, sent.flow)))
}

fn main() -> ExitCode {
    serve::<MemberApi>(handle)
}
