//! The deployed product as its callers and their members see it, with the table behind it.

use std::{collections::BTreeMap, time::Duration};

use local::{
    members::{self, Created, NewMember},
    messages,
};
use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use shared::{
    App,
    settings::{Settings, SettingsError},
};
use tokio::time::{Instant, sleep};

use crate::{
    deployment::{self, Deployment},
    dynamodb,
    emulator::Emulator,
    failure::{Failure, MESSAGE_LIMIT},
    members::MembersCommand,
    programs::{KEY, REGION, Tooling},
};

/// The deployed stack cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An output is missing.
    #[error(transparent)]
    Deployment(#[from] deployment::Error),
    /// A setting is invalid.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The table or the keys cannot be used.
    #[error("{0}")]
    App(#[source] shared::error::Cause),
}

/// A deployed stack under rehearsal.
pub struct Cloud {
    pub emulator: Emulator,
    pub deployment: Deployment,
    pub members: MembersCommand,
    table: String,
    /// The product's library, on the deployed table and keys.
    pub app: App,
    /// The start of every route's URL.
    url: String,
    http: Client,
}

impl Cloud {
    /// Connects to the stack that was deployed into `emulator`.
    pub async fn new(
        tooling: &Tooling,
        http: &Client,
        emulator: Emulator,
        deployment: Deployment,
    ) -> Result<Self, Error> {
        let table = deployment.output("TableName")?.to_owned();
        let environment = BTreeMap::from([
            ("TABLE_NAME", table.as_str()),
            ("KEYS_SECRET_ARN", deployment.output("KeysSecretArn")?),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", KEY),
            ("AWS_ENDPOINT_URL", &emulator.url),
        ]);
        let settings = Settings::read(|name| environment.get(name).map(|&value| value.to_owned()))?;
        let app = App::start(settings).await.map_err(Error::App)?;
        // The emulator serves https://<api>.execute-api.<region>.amazonaws.com/<stage> under a path.
        let address = deployment.output("ApiUrl")?.trim_start_matches("https://");
        let (host, stage) = address.split_once('/').unwrap_or((address, ""));
        let api = host.split('.').next().unwrap_or_default();
        let url = format!("{}/restapis/{api}/{stage}/_user_request_", emulator.url);
        let members = MembersCommand::new(tooling, &emulator.url);
        Ok(Self { emulator, deployment, members, table, app, url, http: http.clone() })
    }

    /// Creates a member with a session.
    pub async fn member(&self, new: NewMember) -> Result<Created, Failure> {
        Ok(members::create(&self.app, new).await?)
    }

    /// Returns the app of a logged-in member.
    pub fn caller(&self, member: &Created) -> Caller<'_> {
        Caller { session: Some(member.token.clone()), ..self.anonymous_caller() }
    }

    /// Returns an app without a session.
    pub fn anonymous_caller(&self) -> Caller<'_> {
        Caller { cloud: self, session: None, cookie: None, stores_cookies: false, key: None }
    }

    /// Returns a browser without a session.
    pub fn browser(&self) -> Caller<'_> {
        Caller { stores_cookies: true, ..self.anonymous_caller() }
    }

    /// Waits for a code sent to `to` and returns the newest.
    pub async fn code(&self, to: &str) -> Result<String, Failure> {
        self.newest(to, "code", messages::code).await
    }

    /// Waits for a link sent to `to` and returns the newest.
    pub async fn link(&self, to: &str) -> Result<String, Failure> {
        self.newest(to, "link", messages::link).await
    }

    /// Waits for a message to `to` that has no code, which is the notice of a change.
    pub async fn notice(&self, to: &str) -> Result<String, Failure> {
        let notice = |text: &str| messages::code(text).is_none().then(|| text.to_owned());
        self.newest(to, "notice", notice).await
    }

    async fn newest<T>(
        &self,
        to: &str,
        what: &'static str,
        extract: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        while start.elapsed() < MESSAGE_LIMIT {
            if let Some(found) = self.texts(to).await?.iter().rev().find_map(|text| extract(text)) {
                return Ok(found);
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err(Failure::NoMessage(what))
    }

    /// Returns the texts sent to a phone in E.164 form or to an email address, oldest first.
    pub async fn texts(&self, to: &str) -> Result<Vec<String>, Failure> {
        if to.starts_with('+') {
            return Ok(self
                .emulator
                .sms()
                .into_iter()
                .filter(|(phone, _)| phone == to)
                .map(|(_, text)| text)
                .collect());
        }
        let call = "the inbox of emails";
        let unreachable = |reason| Failure::Unreachable { call: call.to_owned(), reason };
        let response = self.http.get(format!("{}/_ministack/ses/messages", self.emulator.url)).send().await;
        let inbox: Value = response.map_err(unreachable)?.json().await.map_err(unreachable)?;
        let mails = inbox
            .get("messages")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|accounts| accounts.values());
        let mails = mails.filter_map(Value::as_array).flatten();
        let to_them =
            mails.filter(|mail| mail["To"].as_array().is_some_and(|all| all.iter().any(|one| one == to)));
        Ok(to_them.filter_map(|mail| mail["BodyText"].as_str().map(str::to_owned)).collect())
    }

    /// Invokes a function directly with an event and returns its response.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, Failure> {
        let unreachable = |reason| Failure::Unreachable { call: function.to_owned(), reason };
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.emulator.url);
        let response = self.http.post(url).json(event).send().await.map_err(unreachable)?;
        response.json().await.map_err(unreachable)
    }

    /// Returns every item of the table.
    pub async fn items(&self) -> Result<Vec<Value>, Failure> {
        Ok(dynamodb::scan(&self.http, &self.emulator.url, &self.table).await?)
    }
}

/// An app or a browser. Both send the session of the last response, and a browser also its cookie.
pub struct Caller<'a> {
    cloud: &'a Cloud,
    /// The session to send.
    pub session: Option<String>,
    /// The `Idempotency-Key` to send.
    pub key: Option<&'static str>,
    cookie: Option<String>,
    stores_cookies: bool,
}

impl Caller<'_> {
    /// Sends a GET with the parameters in the query.
    pub async fn get(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<ApiResponse, Failure> {
        self.call(Method::GET, path, parameters).await
    }

    /// Sends a POST with the parameters as a form.
    pub async fn post(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<ApiResponse, Failure> {
        self.call(Method::POST, path, parameters).await
    }

    /// Sends a PUT with the parameters as a form.
    pub async fn put(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<ApiResponse, Failure> {
        self.call(Method::PUT, path, parameters).await
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<ApiResponse, Failure> {
        let call = format!("{method} {path}");
        let unreachable = |reason: reqwest::Error| Failure::Unreachable {
            call: call.clone(),
            reason: reason.without_url(),
        };
        let request = self.cloud.http.request(method.clone(), format!("{}{path}", self.cloud.url));
        let mut request = match method {
            Method::GET => request.query(parameters),
            _ => request.form(parameters),
        };
        if let Some(session) = &self.session {
            request = request.bearer_auth(session);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        if let Some(key) = self.key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.map_err(unreachable)?;
        // A page is not JSON.
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let response = ApiResponse { call, status, headers, text, body };
        if let Some(session) = response.body["token"].as_str() {
            self.session = Some(session.to_owned());
        }
        if let Some(cookie) = response.headers.get("set-cookie").filter(|_| self.stores_cookies) {
            let cookie = cookie.to_str().unwrap_or_default();
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        Ok(response)
    }
}

/// A response of the API.
pub struct ApiResponse {
    call: String,
    status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl ApiResponse {
    /// Fails unless the response is a success in the form that the documents print.
    pub fn ok(self) -> Result<Self, Failure> {
        let documented = match self.body["status"].as_u64() {
            Some(status) => status == 200 && self.body["code"] == "OK" && self.body["success"] == true,
            None => {
                self.body["code"].as_str() == Some(self.status.as_str())
                    && self.body["msg"] == "success"
                    && self.body["data"] == "success"
            }
        };
        if self.status.is_success() && documented { Ok(self) } else { Err(self.unexpected("success")) }
    }

    /// Fails unless the response is this error.
    pub fn refused(self, status: u16, symbol: &str) -> Result<Self, Failure> {
        let matches = self.status.as_u16() == status && self.symbol() == symbol;
        if matches { Ok(self) } else { Err(self.unexpected(&format!("{status} {symbol}"))) }
    }

    /// Fails unless the response is an HTML page.
    pub fn page(self) -> Result<Self, Failure> {
        let html = self.headers.get("content-type").is_some_and(|kind| kind == "text/html; charset=utf-8");
        if self.status == 200 && html { Ok(self) } else { Err(self.unexpected("a page")) }
    }

    /// Returns a string field of the body.
    pub fn field(&self, name: &str) -> Result<&str, Failure> {
        self.body[name].as_str().ok_or_else(|| self.unexpected(&format!("a `{name}`")))
    }

    fn symbol(&self) -> &str {
        self.body["error"].as_str().or(self.body["code"].as_str()).unwrap_or("no envelope")
    }

    fn unexpected(&self, expected: &str) -> Failure {
        let returned = format!("{} {}", self.status.as_u16(), self.symbol());
        Failure::Response { call: self.call.clone(), returned, expected: expected.to_owned() }
    }
}
