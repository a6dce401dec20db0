//! API Gateway: passes each request on a route of the template to its function, as an event.

mod event;
mod response;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::json;
use shared::settings::web_origin::WebOrigin;
use template::{Route, Template};
use tokio::time::timeout;

use crate::{
    aws, clock,
    runtime::{PAYLOAD_LIMIT, Runtime},
};

/// The largest request body that API Gateway accepts, in bytes (Amazon API Gateway Developer Guide, "Quotas").
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// The longest request line and header values together, in bytes (the same page).
const HEADER_LIMIT: usize = 10_240;

/// The characters of a query that API Gateway accepts only percent-encoded (the same guide, "Important notes").
const UNSUPPORTED: [char; 3] = ['|', '{', '}'];

/// How long API Gateway waits for a function.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);

/// The origin that the template allows if `CORS_ORIGIN` is not set: a domain that no one can register (RFC 2606, 2).
const NO_ORIGIN: &str = "https://none.invalid";

/// The request headers that a page of the allowed origin may send.
const ALLOWED_HEADERS: &str = "Accept-Language,Authorization,Content-Type,Idempotency-Key,token";

struct Gateway {
    runtime: Arc<Runtime>,
    /// The functions' names.
    functions: BTreeMap<Route, String>,
    /// The origin whose pages may call the functions from a browser.
    allowed_origin: HeaderValue,
}

impl Gateway {
    /// Returns the resource of a path, which is the path of a route. A path without parameters takes precedence.
    fn resource<'a>(&'a self, path: &'a str) -> &'a str {
        let resources = || self.functions.keys().map(|route| route.path.as_str());
        let is_exact = resources().any(|resource| resource == path);
        let resource =
            resources().find(|resource| !is_exact && event::path_parameters(resource, path).is_some());
        resource.unwrap_or(path)
    }

    fn function(&self, resource: &str, method: &str) -> Option<&str> {
        let route = |method: &str| Route { path: resource.to_owned(), method: method.to_owned() };
        let function = self.functions.get(&route(method)).or_else(|| self.functions.get(&route("ANY")));
        function.map(String::as_str)
    }

    /// Returns the response to OPTIONS, which SAM adds to every path of the template because of its `Cors`.
    fn preflight(&self, request: &Parts) -> Option<Response> {
        let resource = self.resource(request.uri.path());
        let routes = self.functions.keys().filter(|route| route.path == resource);
        let mut methods: BTreeSet<_> = routes.map(|route| route.method.as_str()).collect();
        if request.method != Method::OPTIONS || methods.is_empty() {
            return None;
        }
        methods.insert("OPTIONS");
        let methods: Vec<_> = methods.into_iter().collect();
        let mut headers = self.origin_headers();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.join(",").parse().ok()?);
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, "7200"),
            (header::CONTENT_TYPE, "application/json"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some((headers, "{}\n").into_response())
    }

    fn origin_headers(&self) -> HeaderMap {
        HeaderMap::from_iter([
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, self.allowed_origin.clone()),
            (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")),
        ])
    }

    /// Returns a response of the gateway itself, with the headers of the template's `GatewayResponses`.
    fn own_response(&self, status: StatusCode, text: &str) -> Response {
        let mut headers = self.origin_headers();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        (status, headers, Json(json!({ "message": text }))).into_response()
    }

    async fn respond(&self, request: Request, source: IpAddr) -> Result<Response, Response> {
        let (parts, body) = request.into_parts();
        if request_line_and_headers(&parts) > HEADER_LIMIT {
            // The documentation has the limit, but not the response. This is the one that users report.
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err(self.own_response(status, "Request Header Fields Too Large"));
        }
        if parts.uri.query().is_some_and(|query| query.contains(UNSUPPORTED)) {
            return Err(self.own_response(StatusCode::BAD_REQUEST, "Bad Request"));
        }
        if let Some(response) = self.preflight(&parts) {
            return Ok(response);
        }
        let resource = self.resource(parts.uri.path());
        let Some(function) = self.function(resource, parts.method.as_str()) else {
            return Err(self.own_response(StatusCode::FORBIDDEN, "Missing Authentication Token"));
        };
        let too_long = || self.own_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
        let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| too_long())?;
        let request_id = aws::random_id();
        let event = event::rest(&parts, resource, &body, source, &request_id, clock::now()).to_string();
        if event.len() > PAYLOAD_LIMIT {
            return Err(too_long());
        }
        let mut response = self.invoke(function, event).await;
        if let Ok(request_id) = request_id.parse() {
            response.headers_mut().insert("x-amzn-requestid", request_id);
        }
        Ok(response)
    }

    /// Invokes a function with an event, and returns its response.
    async fn invoke(&self, function: &str, event: String) -> Response {
        let failed = || self.own_response(StatusCode::BAD_GATEWAY, "Internal server error");
        match timeout(INTEGRATION_TIMEOUT, self.runtime.invoke(function, event.into())).await {
            Err(_) => self.own_response(StatusCode::GATEWAY_TIMEOUT, "Endpoint request timed out"),
            Ok(Ok(invocation)) if !invocation.function_error => {
                response::from_payload(&invocation.payload).unwrap_or_else(failed)
            }
            Ok(_) => failed(),
        }
    }
}

/// Returns the length of the request line and of all header values, in bytes.
fn request_line_and_headers(request: &Parts) -> usize {
    let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = request.method.as_str().len() + target + "  HTTP/1.1".len();
    line + request.headers.values().map(HeaderValue::len).sum::<usize>()
}

/// Returns a router that handles every request that does not match another route of the stack.
pub(crate) fn routes(runtime: Arc<Runtime>, template: &Template, cors_origin: Option<WebOrigin>) -> Router {
    let functions = template
        .functions
        .iter()
        .flat_map(|function| function.routes.iter().map(|route| (route.clone(), function.binary.clone())))
        .collect();
    let allowed_origin = cors_origin.map_or(HeaderValue::from_static(NO_ORIGIN), |origin| origin.header());
    let gateway = Gateway { runtime, functions, allowed_origin };
    Router::new().fallback(handle).with_state(Arc::new(gateway))
}

async fn handle(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    gateway.respond(request, peer.ip()).await.unwrap_or_else(|refused| refused)
}
