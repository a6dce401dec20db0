//! The debug routes below `/_local/members`, which create members and sessions without a login service.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    Api, Error, Field, Format, MemberApi,
    clock::Timestamp,
    contact::{Email, Phone},
    language::Language,
    member::{Member, MemberId},
    password::{Password, PasswordHash},
    random,
    store::audit::Record,
};
use uuid::Uuid;

use crate::welcome::DemoMember;

/// Returns the routes, which use the store and keys of the stack.
pub(crate) fn routes(app: Arc<shared::App>) -> Router {
    Router::new()
        .route("/_local/members", post(create_route))
        .route("/_local/members/{id}", get(show))
        .route("/_local/members/{id}/token", post(token))
        .with_state(app)
}

/// The request to create a member. A weak password is accepted, because imported members may have one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMember {
    /// The phone number, in any format that the endpoints accept.
    pub phone: Option<String>,
    /// The email address, in any format that the endpoints accept.
    pub email: Option<String>,
    /// The login password.
    pub password: Option<String>,
    /// The pay password.
    pub pay_password: Option<String>,
}

/// A new member with a session.
#[derive(Serialize)]
pub struct Created {
    /// The member's id.
    pub id: MemberId,
    /// The session token.
    pub token: String,
}

/// The public fields of a member, with their audit trail.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberView {
    id: MemberId,
    phone: Option<Phone>,
    email: Option<Email>,
    has_password: bool,
    has_pay_password: bool,
    credential_version: u64,
    created_at: Timestamp,
    audit: Vec<Record>,
}

/// An error as a response in the envelope of the member API.
struct ErrorResponse(Error);

impl From<Error> for ErrorResponse {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let body = MemberApi::failure(&error, Language::English, Format::Json).unwrap_or_default();
        (MemberApi::error_status(&error), [(CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// The id of the demo member, so that a kept database has only one. Each closing of the demo member's account raises
/// it, because the id of a closed member is not used again.
const DEMO_MEMBER: u128 = 0x0000_0000_0000_4000_8000_0000_0000_0001;

async fn create_member(app: &shared::App, id: MemberId, new: NewMember) -> Result<Member, Error> {
    let hash = |password: Option<String>| -> Result<Option<PasswordHash>, Error> {
        password.map(|typed| app.passwords.hash(&app.keys, &Password::existing(&typed))).transpose()
    };
    let phone = new.phone.map(|typed| app.settings.phones.parse(&typed)).transpose();
    let email = new.email.map(|typed| typed.parse::<Email>()).transpose();
    let member = Member {
        id,
        credential_version: 1,
        revision: 1,
        phone: phone.map_err(|_| Error::NotValid(Field::Phone))?,
        email: email.map_err(|_| Error::NotValid(Field::Email))?,
        password: hash(new.password)?,
        pay_password: hash(new.pay_password)?,
        phone_immature_since: None,
        email_immature_since: None,
        phone_bound_at: None,
        email_bound_at: None,
        frozen: None,
        cooling_since: None,
        changed_at: Vec::new(),
        language: None,
        created_at: Timestamp::now(),
    };
    app.store.create_member(&member).await?;
    Ok(member)
}

/// Creates a member and a session for them.
///
/// # Errors
/// Fails if the store is unavailable, or if the phone or email address is invalid.
pub async fn create(app: &shared::App, new: NewMember) -> Result<Created, Error> {
    let member = create_member(app, MemberId(random::uuid()?), new).await?;
    Ok(Created { id: member.id, token: session(app, &member)? })
}

/// Returns the demo member with a session. Creates them with `phone` and `password` if they do not exist.
///
/// # Errors
/// Fails if `phone` is invalid or belongs to another member, or if the store is unavailable.
pub(crate) async fn demo_member(app: &shared::App, phone: &str, password: &str) -> Result<DemoMember, Error> {
    let mut id = DEMO_MEMBER;
    let member = loop {
        if let Some(member) = app.store.member(MemberId(Uuid::from_u128(id))).await? {
            break member;
        }
        let (phone, password) = (Some(phone.to_owned()), Some(password.to_owned()));
        let new = NewMember { phone, password, ..NewMember::default() };
        match create_member(app, MemberId(Uuid::from_u128(id)), new).await {
            Err(Error::MemberClosed) => id += 1,
            created => break created?,
        }
    };
    Ok(DemoMember {
        id: member.id.to_string(),
        token: session(app, &member)?,
        phone: member.phone.map(|phone| phone.as_str().to_owned()),
    })
}

fn session(app: &shared::App, member: &Member) -> Result<String, Error> {
    app.issue(member.id, member.credential_version, Timestamp::now())
}

async fn create_route(
    State(app): State<Arc<shared::App>>,
    Json(new): Json<NewMember>,
) -> Result<(StatusCode, Json<Created>), ErrorResponse> {
    Ok((StatusCode::CREATED, Json(create(&app, new).await?)))
}

async fn show(
    State(app): State<Arc<shared::App>>,
    Path(id): Path<Uuid>,
) -> Result<Json<MemberView>, Response> {
    let member = find(&app, id).await?;
    let audit =
        app.store.audit_trail(member.id).await.map_err(|error| ErrorResponse(error).into_response())?;
    Ok(Json(MemberView {
        id: member.id,
        phone: member.phone,
        email: member.email,
        has_password: member.password.is_some(),
        has_pay_password: member.pay_password.is_some(),
        credential_version: member.credential_version,
        created_at: member.created_at,
        audit,
    }))
}

async fn token(State(app): State<Arc<shared::App>>, Path(id): Path<Uuid>) -> Result<Json<Value>, Response> {
    let member = find(&app, id).await?;
    let token = session(&app, &member).map_err(|error| ErrorResponse(error).into_response())?;
    Ok(Json(json!({ "token": token })))
}

async fn find(app: &shared::App, id: Uuid) -> Result<Member, Response> {
    match app.store.member(MemberId(id)).await {
        Ok(Some(member)) => Ok(member),
        Ok(None) => Err(StatusCode::NOT_FOUND.into_response()),
        Err(error) => Err(ErrorResponse(error).into_response()),
    }
}
