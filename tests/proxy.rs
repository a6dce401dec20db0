//! A proxy in front of an AWS service: it counts, and refuses where nothing stands behind it.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::net::TcpListener;

#[derive(Clone, Default)]
pub struct Proxy {
    upstream: Arc<OnceLock<String>>,
    requests: Arc<Mutex<Vec<String>>>,
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

    /// The operations that were asked for since the last call of this.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

async fn pass(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or("Publish").to_owned();
    proxy.requests.lock().unwrap().push(operation);
    let Some(upstream) = proxy.upstream.get() else {
        let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code>\
             <Message>Invalid parameter: PhoneNumber Reason: +8613627140483 is not valid to publish to</Message>\
             </Error></ErrorResponse>";
        return (StatusCode::BAD_REQUEST, refusal).into_response();
    };
    let answer = reqwest::Client::new().post(upstream).headers(headers).body(body).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, answer.bytes().await.unwrap()).into_response()
}
