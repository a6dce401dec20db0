//! The Lambda Runtime API, version 2018-06-01, from which the processes fetch events and to which they respond.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{Invocation, mailbox::Mailboxes};
use crate::{aws, clock};

/// Returns the routes of all processes. Each process has its own base path, `/{function}/{process}`, which identifies
/// its responses.
pub(super) fn routes(mailboxes: Arc<Mailboxes>) -> Router {
    let runtime = Router::new()
        .route("/invocation/next", get(next))
        .route("/invocation/{request_id}/response", post(response))
        .route("/invocation/{request_id}/error", post(error))
        .route("/init/error", post(init_error));
    Router::new()
        .nest("/{function}/{process}/2018-06-01/runtime", runtime)
        .layer(DefaultBodyLimit::disable())
        .with_state(mailboxes)
}

async fn next(
    State(mailboxes): State<Arc<Mailboxes>>,
    Path((_, process)): Path<(String, String)>,
) -> Response {
    let Some(mailbox) = mailboxes.get(&process) else {
        return gone();
    };
    let Some(event) = mailbox.take().await else {
        return gone();
    };
    let now = clock::now();
    let headers = [
        ("lambda-runtime-aws-request-id", event.request_id),
        ("lambda-runtime-deadline-ms", clock::epoch_millis(now + event.timeout).to_string()),
        ("lambda-runtime-invoked-function-arn", mailbox.arn.clone()),
        ("lambda-runtime-trace-id", aws::trace_id(now)),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event.payload).into_response()
}

async fn response(
    State(mailboxes): State<Arc<Mailboxes>>,
    Path((_, process, request_id)): Path<(String, String, String)>,
    payload: Bytes,
) -> Response {
    complete(&mailboxes, &process, &request_id, Invocation { payload, function_error: false })
}

async fn error(
    State(mailboxes): State<Arc<Mailboxes>>,
    Path((_, process, request_id)): Path<(String, String, String)>,
    payload: Bytes,
) -> Response {
    complete(&mailboxes, &process, &request_id, Invocation { payload, function_error: true })
}

async fn init_error(
    State(mailboxes): State<Arc<Mailboxes>>,
    Path((_, process)): Path<(String, String)>,
    payload: Bytes,
) -> Response {
    let Some(mailbox) = mailboxes.get(&process) else {
        return gone();
    };
    mailbox.fail_start(Invocation { payload, function_error: true }).await;
    accepted()
}

fn complete(mailboxes: &Mailboxes, process: &str, request_id: &str, invocation: Invocation) -> Response {
    let is_pending = mailboxes.get(process).is_some_and(|mailbox| mailbox.complete(request_id, invocation));
    if is_pending {
        accepted()
    } else {
        let body = json!({ "errorType": "InvalidRequestID", "errorMessage": "Invalid request ID" });
        error_response(StatusCode::BAD_REQUEST, body)
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
}

/// Returns the response to a process that the stack no longer uses.
fn gone() -> Response {
    let body =
        json!({ "errorType": "InvalidProcess", "errorMessage": "The stack no longer uses this process" });
    error_response(StatusCode::GONE, body)
}

fn error_response(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}
