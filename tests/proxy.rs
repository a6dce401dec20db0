//! A proxy in front of an AWS service: it counts, passes on, or answers itself where nothing stands behind it.

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::net::TcpListener;

#[derive(Clone, Default)]
pub struct Proxy {
    upstream: Arc<OnceLock<String>>,
    requests: Arc<Mutex<Vec<Request>>>,
    /// So many it refuses before it takes all; `None`: all.
    refusals: Arc<Mutex<Option<usize>>>,
}

struct Request {
    operation: String,
    body: String,
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

    /// Passes requests on to that service.
    pub fn pass_to(&self, upstream: &str) {
        self.upstream.set(upstream.to_owned()).unwrap();
    }

    /// Refuses so many messages, then takes every one.
    pub fn refuse(&self, count: usize) {
        *self.refusals.lock().unwrap() = Some(count);
    }

    /// The operations that were asked for since the last call of this.
    pub fn requests(&self) -> Vec<String> {
        self.take().into_iter().map(|request| request.operation).collect()
    }

    /// What the requests held since the last call of this.
    pub fn bodies(&self) -> Vec<String> {
        self.take().into_iter().map(|request| request.body).collect()
    }

    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    fn refuses(&self) -> bool {
        match &mut *self.refusals.lock().unwrap() {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

async fn pass(State(proxy): State<Proxy>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or("Publish").to_owned();
    let text = String::from_utf8_lossy(&body).into_owned();
    proxy.requests.lock().unwrap().push(Request { operation, body: text });
    if let Some(upstream) = proxy.upstream.get() {
        let answer = reqwest::Client::new().post(upstream).headers(headers).body(body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        return (status, headers, answer.bytes().await.unwrap()).into_response();
    }
    let by_mail = uri.path().starts_with("/v2/email");
    match (proxy.refuses(), by_mail) {
        (true, false) => (StatusCode::BAD_REQUEST, REFUSED_BY_SNS).into_response(),
        (false, false) => TAKEN_BY_SNS.into_response(),
        (true, true) => {
            let refusal = Json(json!({ "message": "Email address is not verified: li@example.com" }));
            (StatusCode::BAD_REQUEST, [("x-amzn-errortype", "MessageRejected")], refusal).into_response()
        }
        (false, true) => Json(json!({ "MessageId": "the-mail" })).into_response(),
    }
}

/// As SNS does it, repeating the number.
const REFUSED_BY_SNS: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code>\
     <Message>Invalid parameter: PhoneNumber Reason: +8613627140483 is not valid to publish to</Message>\
     </Error></ErrorResponse>";

const TAKEN_BY_SNS: &str = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
     <MessageId>the-sms</MessageId></PublishResult></PublishResponse>";
