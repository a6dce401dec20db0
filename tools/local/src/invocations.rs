//! Lambda's `Invoke` call, with which the AWS CLI can invoke a function with any event.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::de::IgnoredAny;
use serde_json::json;

use crate::{
    aws,
    runtime::{PAYLOAD_LIMIT, Runtime, UnknownFunction},
};

pub(crate) fn routes(runtime: Arc<Runtime>) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{function}/invocations", post(invoke))
        .layer(DefaultBodyLimit::disable())
        .with_state(runtime)
}

async fn invoke(
    State(runtime): State<Arc<Runtime>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !runtime.names().any(|name| name == function) {
        return unknown(&function);
    }
    if body.len() > PAYLOAD_LIMIT {
        let reason =
            format!("Request must be smaller than {PAYLOAD_LIMIT} bytes for the InvokeFunction operation");
        return error_response(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &reason);
    }
    let event = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&event) {
        let reason = format!("Could not parse request body into json: {error}");
        return error_response(StatusCode::BAD_REQUEST, "InvalidRequestContentException", &reason);
    }
    if headers.get("x-amz-invocation-type").is_some_and(|kind| kind == "Event") {
        tokio::spawn(async move { runtime.invoke(&function, event).await });
        return StatusCode::ACCEPTED.into_response();
    }
    match runtime.invoke(&function, event).await {
        Ok(invocation) => {
            let headers = [
                ("x-amz-executed-version", aws::FUNCTION_VERSION),
                (CONTENT_TYPE.as_str(), "application/json"),
            ];
            let error = invocation.function_error.then_some([("x-amz-function-error", "Unhandled")]);
            (headers, error.map(axum::response::AppendHeaders), invocation.payload).into_response()
        }
        Err(UnknownFunction(name)) => unknown(&name),
    }
}

fn unknown(function: &str) -> Response {
    let reason = format!("Function not found: {}", aws::function_arn(function));
    error_response(StatusCode::NOT_FOUND, "ResourceNotFoundException", &reason)
}

fn error_response(status: StatusCode, code: &str, reason: &str) -> Response {
    (status, [("x-amzn-errortype", code)], Json(json!({ "Type": "User", "Message": reason }))).into_response()
}
