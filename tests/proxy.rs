//! A proxy in front of an AWS service. It records requests, forwards them, and injects faults. Without an upstream
//! service it refuses requests as the provider does.

use crate::bundle::Bundle;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};
use std::{
    future::pending,
    io::{Error, ErrorKind},
    ops::Range,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use tokio::{net::TcpListener, sync::Notify, time::sleep};

/// The settings that contain the addresses of the services.
pub const STORE: &str = "AWS_ENDPOINT_URL_DYNAMODB";
pub const SMS: &str = "AWS_ENDPOINT_URL_SNS";
pub const MAIL: &str = "AWS_ENDPOINT_URL_SESV2";

/// Matches every operation.
pub const ANY: &str = "";

/// A fault that the proxy injects instead of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedFault {
    /// Closes the connection. The service does not receive the request.
    DropBefore,
    /// Closes the connection after the service executes the request, so that its response is lost.
    DropAfter,
    /// Never responds. The service does not receive the request.
    HangBefore,
    /// Never responds, after the service executes the request.
    HangAfter,
    /// Delays the request. Faults that were added later apply afterwards.
    Delay(Duration),
    /// Refuses the request with this error code.
    Refuse(&'static str),
    /// Cancels the transaction as DynamoDB does if it conflicts with another.
    Conflict,
}

/// The requests that a fault applies to, counted from when it is added.
pub struct On {
    operation: &'static str,
    about: String,
    caller: Option<&'static str>,
    which: Range<usize>,
}

impl On {
    /// Matches only the `n`th request, counted from 1.
    pub fn nth(operation: &'static str, n: usize) -> Self {
        Self { operation, about: String::new(), caller: None, which: n..n + 1 }
    }

    pub fn first(operation: &'static str, count: usize) -> Self {
        Self { operation, about: String::new(), caller: None, which: 1..count + 1 }
    }

    pub fn all(operation: &'static str) -> Self {
        Self::first(operation, usize::MAX - 1)
    }

    /// Limits the match to requests whose body contains this text, such as a member's id.
    pub fn about(self, text: &str) -> Self {
        Self { about: text.to_owned(), ..self }
    }

    /// Limits the match to requests of this function.
    pub fn by(self, function: &'static str) -> Self {
        Self { caller: Some(function), ..self }
    }
}

#[derive(Clone, Default)]
pub struct Proxy(Arc<Inner>);

#[derive(Default)]
struct Inner {
    client: reqwest::Client,
    upstream: OnceLock<String>,
    requests: Mutex<Vec<Request>>,
    rules: Mutex<Vec<Rule>>,
    hanging: Notify,
}

/// A request that the proxy received.
pub struct Request {
    /// The access key id that signed the request. For a function, this is its name.
    pub caller: String,
    pub operation: String,
    pub body: String,
}

struct Rule {
    on: On,
    fault: InjectedFault,
    /// The number of matching requests so far.
    matched: usize,
}

/// The setting that directs a service's clients to the proxy.
pub struct Setting {
    name: &'static str,
    url: String,
}

impl Setting {
    pub fn pair(&self) -> (&str, &str) {
        (self.name, &self.url)
    }
}

impl Proxy {
    /// Starts a proxy, and returns it with the setting that directs clients to it.
    pub async fn before(setting: &'static str) -> (Self, Setting) {
        let proxy = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(handle).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (proxy, Setting { name: setting, url })
    }

    /// Starts a bundle whose requests to this service go through a proxy.
    pub async fn between(service: &'static str, settings: &[(&str, &str)]) -> (Self, Bundle) {
        let (proxy, setting) = Self::before(service).await;
        let bundle = Bundle::with(&[settings, &[setting.pair()]].concat()).await;
        let stack = &bundle.stack;
        proxy.pass_to(if service == STORE { stack.dynamodb_url() } else { stack.messages_url() });
        (proxy, bundle)
    }

    /// Forwards requests to this address from now on.
    pub fn pass_to(&self, upstream: &str) {
        self.0.upstream.set(upstream.to_owned()).unwrap();
    }

    /// Injects this fault into matching requests from now on.
    pub fn fault(&self, on: On, fault: InjectedFault) {
        self.0.rules.lock().unwrap().push(Rule { on, fault, matched: 0 });
    }

    /// Stops injecting faults.
    pub fn heal(&self) {
        self.0.rules.lock().unwrap().clear();
    }

    /// Waits until a request hangs.
    pub async fn wait_for_hang(&self) {
        self.0.hanging.notified().await;
    }

    /// Returns the operations requested since the requests were last taken.
    pub fn requests(&self) -> Vec<String> {
        self.take().into_iter().map(|request| request.operation).collect()
    }

    /// Returns the bodies of the requests since the requests were last taken.
    pub fn bodies(&self) -> Vec<String> {
        self.take().into_iter().map(|request| request.body).collect()
    }

    /// Takes the requests received so far.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.0.requests.lock().unwrap())
    }

    /// Records a request and returns the faults that apply to it.
    fn record(&self, request: Request) -> Vec<InjectedFault> {
        let mut rules = self.0.rules.lock().unwrap();
        let matching = rules.iter_mut().filter_map(|Rule { on, fault, matched }| {
            let is_by = on.caller.is_none_or(|caller| caller == request.caller);
            let is_of = [ANY, &request.operation].contains(&on.operation);
            if !is_by || !is_of || !request.body.contains(&on.about) {
                return None;
            }
            *matched += 1;
            on.which.contains(&*matched).then_some(*fault)
        });
        let faults = matching.collect();
        self.0.requests.lock().unwrap().push(request);
        faults
    }

    async fn forward(&self, operation: &str, uri: &Uri, headers: HeaderMap, body: Bytes) -> Response {
        let Some(upstream) = self.0.upstream.get() else { return refusal(operation, REFUSED) };
        let request = self.0.client.post(format!("{upstream}{uri}")).headers(headers).body(body);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        (status, headers, response.bytes().await.unwrap()).into_response()
    }

    async fn hang(&self) -> Response {
        self.0.hanging.notify_one();
        pending().await
    }
}

async fn handle(State(proxy): State<Proxy>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let by_query = if uri.path() == "/" { PUBLISH } else { SEND_EMAIL };
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or(by_query).to_owned();
    let text = String::from_utf8_lossy(&body).into_owned();
    let request = Request { caller: caller(&headers), operation: operation.clone(), body: text.clone() };
    for fault in proxy.record(request) {
        match fault {
            InjectedFault::Delay(time) => sleep(time).await,
            InjectedFault::DropBefore => return close_connection(),
            InjectedFault::HangBefore => return proxy.hang().await,
            InjectedFault::Refuse(code) => return refusal(&operation, code),
            InjectedFault::Conflict => return conflict(&text),
            InjectedFault::DropAfter => {
                proxy.forward(&operation, &uri, headers, body).await;
                return close_connection();
            }
            InjectedFault::HangAfter => {
                proxy.forward(&operation, &uri, headers, body).await;
                return proxy.hang().await;
            }
        }
    }
    proxy.forward(&operation, &uri, headers, body).await
}

/// Returns the access key id of the request's signature (AWS Signature Version 4).
fn caller(headers: &HeaderMap) -> String {
    let authorization =
        headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let credential = authorization.split("Credential=").nth(1).unwrap_or_default();
    credential.split('/').next().unwrap_or_default().to_owned()
}

/// Returns a response whose body fails, which closes the connection.
fn close_connection() -> Response {
    Body::from_stream(stream::iter([Err::<Bytes, _>(Error::from(ErrorKind::ConnectionReset))]))
        .into_response()
}

const PUBLISH: &str = "Publish";
const SEND_EMAIL: &str = "SendEmail";

/// The error code with which either provider refuses a message, whatever its address.
pub const REFUSED: &str = "AuthorizationError";

/// The error codes with which SNS and SES refuse the address of a message.
pub const ADDRESS_REFUSED: [(&str, &str); 2] = [(SMS, "InvalidParameter"), (MAIL, "BadRequestException")];

/// The error codes with which SNS and SES throttle.
pub const THROTTLED: [(&str, &str); 2] = [(SMS, "Throttled"), (MAIL, "TooManyRequestsException")];

/// Returns the service's refusal. Those of the providers contain the recipient, as the real ones do.
fn refusal(operation: &str, code: &str) -> Response {
    match operation {
        PUBLISH => {
            let reason = "Invalid parameter: PhoneNumber Reason: +8613627140483 is not valid to publish to";
            let error =
                format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{reason}</Message></Error>");
            (StatusCode::BAD_REQUEST, format!("<ErrorResponse>{error}</ErrorResponse>")).into_response()
        }
        SEND_EMAIL => {
            let reason = Json(json!({ "message": "Email address is not verified: li@example.com" }));
            (StatusCode::BAD_REQUEST, [("x-amzn-errortype", code)], reason).into_response()
        }
        _ => dynamodb_error(code, &json!({})),
    }
}

/// Returns DynamoDB's response to a transaction whose first write conflicts with another transaction.
fn conflict(request: &str) -> Response {
    let request: Value = serde_json::from_str(request).unwrap();
    let reason = |n| json!({ "Code": if n == 0 { "TransactionConflict" } else { "None" } });
    let reasons: Vec<_> = (0..request["TransactItems"].as_array().unwrap().len()).map(reason).collect();
    dynamodb_error("TransactionCanceledException", &json!({ "CancellationReasons": reasons }))
}

fn dynamodb_error(code: &str, details: &Value) -> Response {
    let mut body = details.clone();
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    body["message"] = json!("injected by the test");
    let status = if code == "InternalServerError" { 500 } else { 400 };
    let content_type = [("content-type", "application/x-amz-json-1.0")];
    (StatusCode::from_u16(status).unwrap(), content_type, body.to_string()).into_response()
}
