//! The deployed product, as its callers and their members see it, with the table behind it.

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
    operator::Operator,
    programs::{KEY, REGION, Workshop},
};

/// Why the deployed stack cannot be used; one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its outputs are not those of the template.
    #[error(transparent)]
    Deployment(#[from] deployment::Error),
    /// The library does not take its settings.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// Its store or keys cannot be used.
    #[error("{0}")]
    App(#[source] shared::error::Cause),
}

/// A deployed stack under rehearsal.
pub struct Cloud {
    pub emulator: Emulator,
    pub deployment: Deployment,
    pub operator: Operator,
    table: String,
    /// The product's own library, on the deployed table and keys.
    pub app: App,
    /// What every path is added to.
    url: String,
    http: Client,
}

impl Cloud {
    /// The stack that was deployed into `emulator`.
    pub async fn new(
        workshop: &Workshop,
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
        // https://<api>.execute-api.<region>.amazonaws.com/<stage>, where the emulator has a path.
        let address = deployment.output("ApiUrl")?.trim_start_matches("https://");
        let (host, stage) = address.split_once('/').unwrap_or((address, ""));
        let api = host.split('.').next().unwrap_or_default();
        let url = format!("{}/restapis/{api}/{stage}/_user_request_", emulator.url);
        let operator = Operator::new(workshop, &emulator.url);
        Ok(Self { emulator, deployment, operator, table, app, url, http: http.clone() })
    }

    /// A new member with a session.
    pub async fn member(&self, new: NewMember) -> Result<Created, Failure> {
        Ok(members::create(&self.app, new).await?)
    }

    /// The app of a member who has logged in.
    pub fn app_of(&self, member: &Created) -> Caller<'_> {
        Caller { session: Some(member.token.clone()), ..self.app_of_nobody() }
    }

    /// An app in which nobody has logged in.
    pub fn app_of_nobody(&self) -> Caller<'_> {
        Caller { cloud: self, session: None, cookie: None, keeps_cookies: false, key: None }
    }

    /// A browser in which nobody has logged in.
    pub fn browser(&self) -> Caller<'_> {
        Caller { keeps_cookies: true, ..self.app_of_nobody() }
    }

    /// The newest code that was sent there, once it comes.
    pub async fn code(&self, to: &str) -> Result<String, Failure> {
        self.newest(to, "code", messages::code).await
    }

    /// The newest link that was sent there, once it comes.
    pub async fn link(&self, to: &str) -> Result<String, Failure> {
        self.newest(to, "link", messages::link).await
    }

    /// Waits for a message there that has no code: the notice of a change.
    pub async fn notice(&self, to: &str) -> Result<String, Failure> {
        let notice = |text: &str| messages::code(text).is_none().then(|| text.to_owned());
        self.newest(to, "notice", notice).await
    }

    async fn newest<T>(
        &self,
        to: &str,
        what: &'static str,
        part: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        while began.elapsed() < MESSAGE_LIMIT {
            if let Some(found) = self.texts(to).await?.iter().rev().find_map(|text| part(text)) {
                return Ok(found);
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err(Failure::NoMessage(what))
    }

    /// What was sent to a phone, as E.164, or to a mail address, the oldest first.
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
        let call = "the inbox of mail";
        let unreachable = |reason| Failure::Unreachable { call: call.to_owned(), reason };
        let answer = self.http.get(format!("{}/_ministack/ses/messages", self.emulator.url)).send().await;
        let inbox: Value = answer.map_err(unreachable)?.json().await.map_err(unreachable)?;
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

    /// Hands an event to a function, past the API, and answers what it does.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, Failure> {
        let unreachable = |reason| Failure::Unreachable { call: function.to_owned(), reason };
        let answer =
            self.http.post(self.invocations(function)).json(event).send().await.map_err(unreachable)?;
        answer.json().await.map_err(unreachable)
    }

    /// Returns every item of the table.
    pub async fn items(&self) -> Result<Vec<Value>, Failure> {
        Ok(dynamodb::scan(&self.http, &self.emulator.url, &self.table).await?)
    }

    /// Where a function is called directly.
    fn invocations(&self, function: &str) -> String {
        format!("{}/2015-03-31/functions/{function}/invocations", self.emulator.url)
    }
}

/// An app or a browser: it keeps the session, and a browser the cookie, that the last answer gave it.
pub struct Caller<'a> {
    cloud: &'a Cloud,
    /// The session that it sends.
    pub session: Option<String>,
    /// The `Idempotency-Key` that it sends.
    pub key: Option<&'static str>,
    cookie: Option<String>,
    keeps_cookies: bool,
}

impl Caller<'_> {
    /// GET, with the parameters in the query.
    pub async fn get(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.call(Method::GET, path, parameters).await
    }

    /// POST of a form.
    pub async fn post(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.call(Method::POST, path, parameters).await
    }

    /// PUT of a form.
    pub async fn put(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.call(Method::PUT, path, parameters).await
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
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
        let answer = request.send().await.map_err(unreachable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.map_err(unreachable)?;
        // A page is no JSON.
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Answer { call, status, headers, text, body };
        if let Some(session) = answer.body["token"].as_str() {
            self.session = Some(session.to_owned());
        }
        if let Some(cookie) = answer.headers.get("set-cookie").filter(|_| self.keeps_cookies) {
            let cookie = cookie.to_str().unwrap_or_default();
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        Ok(answer)
    }
}

/// What came back.
pub struct Answer {
    call: String,
    status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    /// The answer, if it is a success as the documents print it.
    pub fn ok(self) -> Result<Self, Failure> {
        let printed = match self.body["status"].as_u64() {
            Some(status) => status == 200 && self.body["code"] == "OK" && self.body["success"] == true,
            None => {
                self.body["code"].as_str() == Some(self.status.as_str())
                    && self.body["msg"] == "success"
                    && self.body["data"] == "success"
            }
        };
        if self.status.is_success() && printed { Ok(self) } else { Err(self.instead_of("success")) }
    }

    /// Whether it is this refusal.
    pub fn refused(self, status: u16, symbol: &str) -> Result<Self, Failure> {
        let is = self.status.as_u16() == status && self.symbol() == symbol;
        if is { Ok(self) } else { Err(self.instead_of(&format!("{status} {symbol}"))) }
    }

    /// Whether it is a page that a browser shows.
    pub fn page(self) -> Result<Self, Failure> {
        let html = self.headers.get("content-type").is_some_and(|kind| kind == "text/html; charset=utf-8");
        if self.status == 200 && html { Ok(self) } else { Err(self.instead_of("a page")) }
    }

    /// A text of the body.
    pub fn field(&self, name: &str) -> Result<&str, Failure> {
        self.body[name].as_str().ok_or_else(|| self.instead_of(&format!("a `{name}`")))
    }

    fn symbol(&self) -> &str {
        self.body["error"].as_str().or(self.body["code"].as_str()).unwrap_or("no envelope")
    }

    fn instead_of(&self, wanted: &str) -> Failure {
        let answered = format!("{} {}", self.status.as_u16(), self.symbol());
        Failure::Answer { call: self.call.clone(), answered, wanted: wanted.to_owned() }
    }
}
