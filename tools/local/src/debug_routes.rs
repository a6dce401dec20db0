//! The debug routes `/_local/messages`, `/_local/health` and `/_local/openapi.json`, which the stack serves beside the
//! product's own.

use std::{fs, path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    events::Message,
    messages::{Inbox, Wanted},
    runtime::Runtime,
};

/// The event with which a schedule keeps a function warm.
const PING: &[u8] = br#"{"source":"aws.scheduler"}"#;

/// Returns the routes. `openapi` is the file of the OpenAPI document.
pub(crate) fn routes(runtime: Arc<Runtime>, inbox: Arc<Inbox>, openapi: PathBuf) -> Router {
    Router::new()
        .route("/_local/openapi.json", get(document).with_state(Arc::new(openapi)))
        .route("/_local/messages", get(messages).with_state(inbox))
        .route("/_local/health", get(health).with_state(runtime))
}

async fn messages(State(inbox): State<Arc<Inbox>>, Query(wanted): Query<Wanted>) -> Json<Vec<Message>> {
    Json(inbox.wanted(&wanted).await)
}

/// Returns the OpenAPI document as it is on disk, in JSON.
async fn document(State(file): State<Arc<PathBuf>>) -> Result<Json<Value>, (StatusCode, String)> {
    let text = fs::read_to_string(&*file).map_err(|error| error.to_string());
    let document = text.and_then(|text| template::parse_yaml(&text).map_err(|error| error.to_string()));
    document
        .map(Json)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{}: {error}\n", file.display())))
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
