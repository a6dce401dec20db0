//! A proxy in front of an AWS service: it notes what is asked for, passes it on, and makes the faults that a
//! test wants. Where nothing stands behind it, it refuses as the provider does.

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

/// The settings that name the services' addresses.
pub const STORE: &str = "AWS_ENDPOINT_URL_DYNAMODB";
pub const SMS: &str = "AWS_ENDPOINT_URL_SNS";
pub const MAIL: &str = "AWS_ENDPOINT_URL_SESV2";

/// Whatever the operation.
pub const ANY: &str = "";

/// What a service does to a request instead of answering it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut, and the service never sees the request.
    DropBefore,
    /// The service does it, and its answer is lost.
    DropAfter,
    /// There is no answer, and the service never sees the request.
    HangBefore,
    /// The service does it, and there is no answer.
    HangAfter,
    /// The request takes so long to arrive; faults that were set later meet it then.
    Delay(Duration),
    /// The service refuses it with this code.
    Refuse(&'static str),
    /// DynamoDB cancels the transaction, since another is under way.
    Conflict,
}

/// Which requests a fault meets, counted from when it is set.
pub struct On {
    operation: &'static str,
    about: String,
    which: Range<usize>,
}

impl On {
    /// The `n`th alone, from 1.
    pub fn nth(operation: &'static str, n: usize) -> Self {
        Self { operation, about: String::new(), which: n..n + 1 }
    }

    pub fn first(operation: &'static str, count: usize) -> Self {
        Self { operation, about: String::new(), which: 1..count + 1 }
    }

    pub fn all(operation: &'static str) -> Self {
        Self::first(operation, usize::MAX - 1)
    }

    /// Only of those that hold this text, such as a member's id.
    pub fn about(self, text: &str) -> Self {
        Self { about: text.to_owned(), ..self }
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
    held: Notify,
}

/// What was asked for, and by whom.
pub struct Request {
    /// The access key id that it is signed under: of a function its name.
    pub caller: String,
    pub operation: String,
    pub body: String,
}

struct Rule {
    on: On,
    fault: Fault,
    /// How many requests it could have met so far.
    seen: usize,
}

/// The setting that puts the proxy before a service.
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
    pub async fn before(setting: &'static str) -> (Self, Setting) {
        let proxy = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (proxy, Setting { name: setting, url })
    }

    /// A bundle behind a proxy that passes on what goes to that service.
    pub async fn between(service: &'static str, settings: &[(&str, &str)]) -> (Self, Bundle) {
        let (proxy, setting) = Self::before(service).await;
        let bundle = Bundle::with(&[settings, &[setting.pair()]].concat()).await;
        let stack = &bundle.stack;
        proxy.pass_to(if service == STORE { stack.dynamodb_url() } else { stack.messages_url() });
        (proxy, bundle)
    }

    /// Passes requests on to that service.
    pub fn pass_to(&self, upstream: &str) {
        self.0.upstream.set(upstream.to_owned()).unwrap();
    }

    /// Makes a fault from now on.
    pub fn fault(&self, on: On, fault: Fault) {
        self.0.rules.lock().unwrap().push(Rule { on, fault, seen: 0 });
    }

    /// Makes no fault any more.
    pub fn heal(&self) {
        self.0.rules.lock().unwrap().clear();
    }

    /// Waits for a request that gets no answer.
    pub async fn held(&self) {
        self.0.held.notified().await;
    }

    /// The operations that were asked for since the last call of this.
    pub fn requests(&self) -> Vec<String> {
        self.take().into_iter().map(|request| request.operation).collect()
    }

    /// What the requests held since the last call of this.
    pub fn bodies(&self) -> Vec<String> {
        self.take().into_iter().map(|request| request.body).collect()
    }

    /// The requests since the last call of this.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.0.requests.lock().unwrap())
    }

    /// Notes a request, and says what faults it meets.
    fn meet(&self, request: Request) -> Vec<Fault> {
        let mut rules = self.0.rules.lock().unwrap();
        let meets = rules.iter_mut().filter_map(|Rule { on, fault, seen }| {
            if ![ANY, &request.operation].contains(&on.operation) || !request.body.contains(&on.about) {
                return None;
            }
            *seen += 1;
            on.which.contains(&*seen).then_some(*fault)
        });
        let faults = meets.collect();
        self.0.requests.lock().unwrap().push(request);
        faults
    }

    async fn pass_on(&self, operation: &str, uri: &Uri, headers: HeaderMap, body: Bytes) -> Response {
        let Some(upstream) = self.0.upstream.get() else { return refusal(operation, REFUSED) };
        let request = self.0.client.post(format!("{upstream}{uri}")).headers(headers).body(body);
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        (status, headers, answer.bytes().await.unwrap()).into_response()
    }

    async fn hold(&self) -> Response {
        self.0.held.notify_one();
        pending().await
    }
}

async fn pass(State(proxy): State<Proxy>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let by_query = if uri.path() == "/" { PUBLISH } else { SEND_EMAIL };
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or(by_query).to_owned();
    let text = String::from_utf8_lossy(&body).into_owned();
    let request = Request { caller: caller(&headers), operation: operation.clone(), body: text.clone() };
    for fault in proxy.meet(request) {
        match fault {
            Fault::Delay(time) => sleep(time).await,
            Fault::DropBefore => return cut_off(),
            Fault::HangBefore => return proxy.hold().await,
            Fault::Refuse(code) => return refusal(&operation, code),
            Fault::Conflict => return conflict(&text),
            Fault::DropAfter => {
                proxy.pass_on(&operation, &uri, headers, body).await;
                return cut_off();
            }
            Fault::HangAfter => {
                proxy.pass_on(&operation, &uri, headers, body).await;
                return proxy.hold().await;
            }
        }
    }
    proxy.pass_on(&operation, &uri, headers, body).await
}

/// Whose signature a request has (AWS Signature Version 4).
fn caller(headers: &HeaderMap) -> String {
    let authorization =
        headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let credential = authorization.split("Credential=").nth(1).unwrap_or_default();
    credential.split('/').next().unwrap_or_default().to_owned()
}

/// A body that fails ends the connection.
fn cut_off() -> Response {
    Body::from_stream(stream::iter([Err::<Bytes, _>(Error::from(ErrorKind::ConnectionReset))]))
        .into_response()
}

const PUBLISH: &str = "Publish";
const SEND_EMAIL: &str = "SendEmail";

/// The code by which either provider refuses a message.
pub const REFUSED: &str = "InvalidParameter";

/// As the service does it; the providers repeat whom a message is for.
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

/// Of all writes the first met another transaction.
fn conflict(request: &str) -> Response {
    let request: Value = serde_json::from_str(request).unwrap();
    let reason = |n| json!({ "Code": if n == 0 { "TransactionConflict" } else { "None" } });
    let reasons: Vec<_> = (0..request["TransactItems"].as_array().unwrap().len()).map(reason).collect();
    dynamodb_error("TransactionCanceledException", &json!({ "CancellationReasons": reasons }))
}

fn dynamodb_error(code: &str, more: &Value) -> Response {
    let mut body = more.clone();
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    body["message"] = json!("on purpose");
    let status = if code == "InternalServerError" { 500 } else { 400 };
    let content_type = [("content-type", "application/x-amz-json-1.0")];
    (StatusCode::from_u16(status).unwrap(), content_type, body.to_string()).into_response()
}
