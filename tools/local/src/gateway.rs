//! API Gateway: the template's routes, each request as an event to its function.

mod answer;
mod event;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::json;
use shared::settings::web_origin::WebOrigin;
use template::{Route, Template};
use tokio::time::timeout;

use crate::{aws, clock, runtime::Runtime};

/// The largest body that API Gateway takes, in bytes.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// How long API Gateway waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);

/// The headers of a request that mean something to the functions.
const ALLOWED_HEADERS: &str = "Accept-Language,Authorization,Content-Type,Idempotency-Key,token";

struct Gateway {
    runtime: Arc<Runtime>,
    /// The functions' names.
    functions: BTreeMap<Route, String>,
    /// Whose pages may call them from a browser.
    cors_origin: Option<WebOrigin>,
}

impl Gateway {
    fn function(&self, path: &str, method: &str) -> Option<&str> {
        let route = |method: &str| Route { path: path.to_owned(), method: method.to_owned() };
        let function = self.functions.get(&route(method)).or_else(|| self.functions.get(&route("ANY")));
        function.map(String::as_str)
    }

    /// The answer to a browser that asks, before a page of another origin calls, whether it may. The template's
    /// API answers the same.
    fn preflight(&self, request: &Parts) -> Option<Response> {
        let origin = self.cors_origin.as_ref().filter(|_| request.method == Method::OPTIONS)?;
        let routes = self.functions.keys().filter(|route| route.path == request.uri.path());
        let methods: Vec<_> = routes.map(|route| route.method.as_str()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.join(",").parse().ok()?);
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.header());
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
            (header::ACCESS_CONTROL_MAX_AGE, "7200"),
            (header::VARY, "Origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        (!methods.is_empty()).then(|| (StatusCode::NO_CONTENT, headers).into_response())
    }
}

/// Answers every request that no other route of the stack takes.
pub(crate) fn routes(runtime: Arc<Runtime>, template: &Template, cors_origin: Option<WebOrigin>) -> Router {
    let functions = template
        .functions
        .iter()
        .flat_map(|function| function.routes.iter().map(|route| (route.clone(), function.binary.clone())))
        .collect();
    Router::new().fallback(handle).with_state(Arc::new(Gateway { runtime, functions, cors_origin }))
}

async fn handle(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(answer) = gateway.preflight(&parts) {
        return answer;
    }
    let Some(function) = gateway.function(parts.uri.path(), parts.method.as_str()) else {
        return message(StatusCode::FORBIDDEN, "Missing Authentication Token");
    };
    match to_bytes(body, BODY_LIMIT).await {
        Ok(body) => forward(&gateway.runtime, function, &parts, &body, peer.ip()).await,
        Err(_) => message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long"),
    }
}

async fn forward(runtime: &Runtime, function: &str, parts: &Parts, body: &Bytes, source: IpAddr) -> Response {
    let request_id = aws::random_id();
    let event = event::rest(parts, body, source, &request_id, clock::now());
    let invoked = runtime.invoke(function, event.to_string().into());
    let mut response = match timeout(INTEGRATION_TIMEOUT, invoked).await {
        Err(_) => message(StatusCode::GATEWAY_TIMEOUT, "Endpoint request timed out"),
        Ok(Ok(invocation)) if !invocation.function_error => {
            answer::response(&invocation.payload).unwrap_or_else(failed)
        }
        Ok(_) => failed(),
    };
    if let Ok(request_id) = request_id.parse() {
        response.headers_mut().insert("x-amzn-requestid", request_id);
    }
    response
}

fn failed() -> Response {
    message(StatusCode::BAD_GATEWAY, "Internal server error")
}

fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "message": text }))).into_response()
}
