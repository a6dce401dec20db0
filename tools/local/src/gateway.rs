//! API Gateway: passes each request on a route of the template to its function, as an event.

mod event;
mod response;

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

/// The largest request body that API Gateway accepts, in bytes.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// How long API Gateway waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);

/// The request headers that the functions read.
const ALLOWED_HEADERS: &str = "Accept-Language,Authorization,Content-Type,Idempotency-Key,token";

struct Gateway {
    runtime: Arc<Runtime>,
    /// The functions' names.
    functions: BTreeMap<Route, String>,
    /// The origin whose pages may call the functions from a browser.
    cors_origin: Option<WebOrigin>,
}

impl Gateway {
    fn function(&self, path: &str, method: &str) -> Option<&str> {
        let route = |method: &str| Route { path: path.to_owned(), method: method.to_owned() };
        let function = self.functions.get(&route(method)).or_else(|| self.functions.get(&route("ANY")));
        function.map(String::as_str)
    }

    /// Returns the response to a CORS preflight request, or `None` if `request` is not one. The template's API
    /// responds the same.
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

/// Returns a router that handles every request that does not match another route of the stack.
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
    if let Some(response) = gateway.preflight(&parts) {
        return response;
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
            response::from_payload(&invocation.payload).unwrap_or_else(failed)
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
