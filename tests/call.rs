//! A call of an endpoint by an app, or by a browser with cookies, and the response.

use crate::{bundle::Member, openapi};
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;
use std::collections::BTreeMap;

/// A request that has not been sent yet.
pub struct Call {
    pub request: reqwest::RequestBuilder,
    /// Whether every JSON response has the HTTP status 200, under `HTTP_200_FAMILIES`.
    pub has_status_in_body: bool,
}

impl Call {
    pub fn session(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Sends this member's session, or none.
    pub fn session_of(self, member: Option<&Member>) -> Self {
        match member {
            Some(member) => self.session(&member.token),
            None => self,
        }
    }

    /// Sends these cookies, as a browser does.
    pub fn cookies(self, CookieJar(cookies): &CookieJar) -> Self {
        let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.header("Cookie", &pairs.join("; "))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    pub fn query(self, query: &[(&str, &str)]) -> Self {
        Self { request: self.request.query(query), ..self }
    }

    pub fn with_json(self, body: &Value) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    pub async fn json(self, body: &Value) -> Response {
        self.with_json(body).send().await
    }

    pub async fn form(self, form: &[(&str, &str)]) -> Response {
        let form: BTreeMap<_, _> = form.iter().copied().collect();
        Self { request: self.request.form(&form), ..self }.send().await
    }

    pub async fn body(self, body: impl Into<reqwest::Body>) -> Response {
        Self { request: self.request.body(body), ..self }.send().await
    }

    pub async fn send(self) -> Response {
        self.try_send().await.unwrap()
    }

    /// Sends the request and returns the response. Fails if the bundle stops before it responds, and panics if the
    /// response is not a documented one.
    pub async fn try_send(self) -> reqwest::Result<Response> {
        let (client, request) = self.request.build_split();
        let request = request?;
        let (method, path) = (request.method().to_string(), request.url().path().to_owned());
        let response = client.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let response = Response { status, headers, text, body };
        openapi::check(&method, &path, &response, self.has_status_in_body);
        Ok(response)
    }
}

/// The response of an endpoint.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Response {
    /// Returns the HTTP status and the error symbol, from either envelope.
    pub fn refusal(&self) -> (u16, &str) {
        let symbol = self.body["error"].as_str().or(self.body["code"].as_str()).unwrap_or(&self.text);
        (self.status.as_u16(), symbol)
    }

    pub fn token(&self) -> &str {
        self.body["token"].as_str().unwrap_or_else(|| panic!("no session in {}", self.text))
    }

    pub fn verification(&self) -> &str {
        self.body["verification"].as_str().unwrap_or_else(|| panic!("no verification in {}", self.text))
    }

    /// Returns the value and the attributes of the only cookie set, `verification`.
    pub fn cookie(&self) -> (&str, &str) {
        let cookies: Vec<_> = self.cookies().collect();
        let [cookie] = cookies.as_slice() else { panic!("{cookies:?}") };
        cookie.strip_prefix("verification=").and_then(|cookie| cookie.split_once("; ")).unwrap()
    }

    fn cookies(&self) -> impl Iterator<Item = &str> {
        self.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap())
    }

    /// Asserts that the response is a success.
    pub fn ok(self) -> Self {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self
    }

    /// Asserts that the response begins exactly as the second document prints this success.
    pub fn documented(self, code: u16) -> Self {
        let printed = format!(r#"{{"code":"{code}","msg":"success","data":"success""#);
        assert!(self.status == code && self.text.starts_with(&printed), "{} {}", self.status, self.text);
        self
    }
}

/// A browser's cookies: those that responses set and did not clear, beside two of the site's own.
pub struct CookieJar(BTreeMap<String, String>);

impl CookieJar {
    pub fn new() -> Self {
        Self(BTreeMap::from(
            [("theme", "dark"), ("visits", "7")].map(|(name, value)| (name.to_owned(), value.to_owned())),
        ))
    }

    pub fn store(&mut self, response: &Response) {
        for cookie in response.cookies() {
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.split(';').any(|attribute| attribute.trim() == "Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub fn verification(&self) -> Option<&str> {
        self.0.get("verification").map(String::as_str)
    }
}
