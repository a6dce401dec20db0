//! The debug routes `/_local/messages` and `/_local/health`, which the stack serves beside the product's own.

use std::sync::Arc;

use axum::{Json, Router, body::Bytes, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{events::Message, messages::Inbox, runtime::Runtime};

/// The event with which a schedule keeps a function warm.
const PING: &[u8] = br#"{"source":"aws.scheduler"}"#;

pub(crate) fn routes(runtime: Arc<Runtime>, inbox: Arc<Inbox>) -> Router {
    Router::new()
        .route("/_local/messages", get(messages).with_state(inbox))
        .route("/_local/health", get(health).with_state(runtime))
}

async fn messages(State(inbox): State<Arc<Inbox>>) -> Json<Vec<Message>> {
    Json(inbox.messages())
}

/// Pings every function and lists those that do not respond.
async fn health(State(runtime): State<Arc<Runtime>>) -> (StatusCode, Json<Value>) {
    let mut pings = JoinSet::new();
    for function in runtime.names().map(str::to_owned) {
        let runtime = Arc::clone(&runtime);
        pings.spawn(async move {
            let invoked = runtime.invoke(&function, Bytes::from_static(PING)).await;
            (function, invoked.is_ok_and(|invocation| !invocation.function_error))
        });
    }
    let mut unhealthy: Vec<_> = pings
        .join_all()
        .await
        .into_iter()
        .filter_map(|(function, is_healthy)| (!is_healthy).then_some(function))
        .collect();
    unhealthy.sort_unstable();
    if unhealthy.is_empty() {
        (StatusCode::OK, Json(json!({ "status": "ok" })))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unavailable", "functions": unhealthy })))
    }
}
