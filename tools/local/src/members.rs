//! Members without a login service, for whoever tries the calls: `/_local/members`.

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
    contact::{Destination, Email, Phone},
    language::Language,
    member::{Member, MemberId},
    password::{Password, PasswordHash},
    random,
    store::audit::Record,
};
use uuid::Uuid;

use crate::newcomer::Demo;

/// The routes, on a stack's own store and keys.
pub(crate) fn routes(app: Arc<shared::App>) -> Router {
    Router::new()
        .route("/_local/members", post(created))
        .route("/_local/members/{id}", get(show))
        .route("/_local/members/{id}/token", post(token))
        .with_state(app)
}

/// A member as they are asked for. A password is taken as it is, however weak: members come along from elsewhere.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMember {
    /// As a person types it.
    pub phone: Option<String>,
    /// As a person types it.
    pub email: Option<String>,
    /// The login password.
    pub password: Option<String>,
    /// The pay password.
    pub pay_password: Option<String>,
}

/// A member and a session of theirs.
#[derive(Serialize)]
pub struct Created {
    /// The member.
    pub id: MemberId,
    /// The session.
    pub token: String,
}

/// What may be seen of a member.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: MemberId,
    phone: Option<Phone>,
    email: Option<Email>,
    has_password: bool,
    has_pay_password: bool,
    credential_version: u64,
    created_at: Timestamp,
    audit: Vec<Record>,
}

/// A refusal in the second document's envelope.
struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let body = MemberApi::failure(&error, Language::English, Format::Json).unwrap_or_default();
        (MemberApi::error_status(&error), [(CONTENT_TYPE, "application/json")], body).into_response()
    }
}

async fn create_member(app: &shared::App, new: NewMember) -> Result<Member, Error> {
    let hash = |password: Option<String>| -> Result<Option<PasswordHash>, Error> {
        password.map(|typed| app.passwords.hash(&app.keys, &Password::existing(&typed))).transpose()
    };
    let phone = new.phone.map(|typed| app.settings.phones.parse(&typed)).transpose();
    let email = new.email.map(|typed| typed.parse::<Email>()).transpose();
    let member = Member {
        id: MemberId(random::uuid()?),
        credential_version: 1,
        revision: 1,
        phone: phone.map_err(|_| Error::NotValid(Field::Phone))?,
        email: email.map_err(|_| Error::NotValid(Field::Email))?,
        password: hash(new.password)?,
        pay_password: hash(new.pay_password)?,
        cooling_since: None,
        language: None,
        created_at: Timestamp::now(),
    };
    app.store.create_member(&member).await?;
    Ok(member)
}

/// Creates a member, with a session.
///
/// # Errors
/// The store does not answer, or a phone or mail address is none.
pub async fn create(app: &shared::App, new: NewMember) -> Result<Created, Error> {
    let member = create_member(app, new).await?;
    Ok(Created { id: member.id, token: session(app, &member)? })
}

/// The member who has `phone`, or else a new one with that `password`, with a session.
pub(crate) async fn demo(app: &shared::App, phone: &str, password: &str) -> Result<Demo, Error> {
    let parsed = app.settings.phones.parse(phone).map_err(|_| Error::NotValid(Field::Phone))?;
    let member = if let Some(id) = app.store.owner(&Destination::Phone(parsed)).await? {
        app.store.member(id).await?.ok_or(Error::UserNotFound)?
    } else {
        let (phone, password) = (Some(phone.to_owned()), Some(password.to_owned()));
        create_member(app, NewMember { phone, password, ..NewMember::default() }).await?
    };
    Ok(Demo { id: member.id.to_string(), token: session(app, &member)?, phone: phone.to_owned() })
}

fn session(app: &shared::App, member: &Member) -> Result<String, Error> {
    app.issue(member.id, member.credential_version, Timestamp::now())
}

async fn created(
    State(app): State<Arc<shared::App>>,
    Json(new): Json<NewMember>,
) -> Result<(StatusCode, Json<Created>), Refused> {
    Ok((StatusCode::CREATED, Json(create(&app, new).await?)))
}

async fn show(State(app): State<Arc<shared::App>>, Path(id): Path<Uuid>) -> Result<Json<Shown>, Response> {
    let member = find(&app, id).await?;
    let audit = app.store.audit_trail(member.id).await.map_err(|error| Refused(error).into_response())?;
    Ok(Json(Shown {
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
    let token = session(&app, &member).map_err(|error| Refused(error).into_response())?;
    Ok(Json(json!({ "token": token })))
}

async fn find(app: &shared::App, id: Uuid) -> Result<Member, Response> {
    match app.store.member(MemberId(id)).await {
        Ok(Some(member)) => Ok(member),
        Ok(None) => Err(StatusCode::NOT_FOUND.into_response()),
        Err(error) => Err(Refused(error).into_response()),
    }
}
