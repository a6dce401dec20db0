//! Runs a walk on the stack: turns each step into a request, and compares the response, the messages and the table with
//! the reference.

#![expect(
    clippy::indexing_slicing,
    reason = "a field that JSON lacks reads as null; the rest is counted by the walk"
)]

use super::{
    Coverage,
    call::{Call, Claims, Methods, PASSWORD, Payer, Request},
    reference::{Address, Expected, Member, Purpose, Reference, Sent, Success},
    step::{CLIENTS, CONTACTS, Command, Held, MEMBERS, Start, Step, Walk},
};
use local::{
    Stack,
    members::{self, NewMember},
    table::Table,
};
use reqwest::{Client as Http, header::HeaderMap};
use serde_json::{Value, json};
use shared::{
    clock::Timestamp, contact::Email, member::MemberId, password::Password, session, store::MemberUpdate,
};
use std::{collections::BTreeMap, error::Error, fmt::Debug};

pub(super) const PHONES: [&str; CONTACTS] = ["13627140483", "13800138000", "13912345670", "13500135000"];
pub(super) const EMAILS: [[&str; 2]; CONTACTS] = [
    ["li@example.com", "LI@example.com"],
    ["wu@example.com", "Wu@example.com"],
    ["chen@example.com", "cHen@example.com"],
    ["lin@example.com", "Lin@example.com"],
];
/// The last two are too short and too common.
pub(super) const PASSWORDS: [&str; 6] =
    ["correct-horse", "battery-staple", "密码 & 密码=2+2", "026129", "abc12", "password"];
/// The last two are guessable and too short.
pub(super) const PINS: [&str; 6] = ["739154", "408261", "258036", "960417", "111111", "12345"];

/// How long ago an old login was, in seconds: longer than a login counts as recent.
const OLD_LOGIN: u64 = 1_200;

/// The stack that every walk uses in turn.
pub(super) struct World {
    stack: Stack,
    table: Table,
    http: Http,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) claims: Claims,
    token: String,
}

/// A token or grant that a client received.
pub(super) struct Known {
    pub(super) text: String,
    pub(super) purpose: Purpose,
    pub(super) to: Address,
    pub(super) is_grant: bool,
}

#[derive(Default)]
pub(super) struct Client {
    pub(super) session: Option<Session>,
    previous: Option<Session>,
    pub(super) known: Vec<Known>,
    /// The tokens of devices on which the client logged in.
    pub(super) devices: Vec<String>,
    last: Option<(Request, Option<String>)>,
}

/// A code that was sent, with the token of its request.
pub(super) struct SentCode {
    pub(super) token: String,
    pub(super) to: Address,
    pub(super) purpose: Purpose,
    pub(super) digits: String,
}

/// A message that was sent.
struct Received {
    sent: Sent,
    code: Option<String>,
    /// The `verification` in its link to report a change.
    report: Option<String>,
}

/// A response to a request of either kind.
struct Response {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Response {
    fn symbol(&self) -> &str {
        self.body["error"].as_str().or(self.body["code"].as_str()).unwrap_or_default()
    }

    fn is_success(&self, is_of_service: bool) -> bool {
        if is_of_service { self.body["success"] == true } else { self.status < 300 }
    }
}

/// One walk.
pub(super) struct Run<'a> {
    world: &'a World,
    pub(super) reference: Reference,
    ids: Vec<MemberId>,
    pub(super) clients: Vec<Client>,
    pub(super) sent: Vec<SentCode>,
    /// The links to report a change.
    pub(super) links: Vec<String>,
    /// The receipts, each with the number of its order.
    pub(super) receipts: Vec<(String, usize)>,
    /// The response to each request, without its session.
    responses: Vec<Value>,
    /// The id of the newest message that was seen.
    seen: Option<String>,
    /// The time of the next login. Each login has a time of its own, so that none shares another's lockout.
    next_login: u64,
    transcript: Vec<String>,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

impl World {
    pub(super) fn new(stack: Stack) -> Self {
        Self { table: Table::of(&stack), stack, http: Http::new() }
    }

    pub(super) async fn shutdown(self) {
        self.stack.shutdown().await;
    }

    /// Runs a walk with new members on an empty table.
    ///
    /// # Errors
    /// Fails with the transcript and the first difference.
    pub(super) async fn run(&self, walk: &Walk, coverage: &mut Coverage) -> std::result::Result<(), String> {
        let mut run = match Run::start(self, &walk.start).await {
            Ok(run) => run,
            Err(error) => return Err(error.to_string()),
        };
        for step in &walk.steps {
            if let Err(error) = run.step(step, coverage).await {
                return Err(format!("{}\n{error}", run.transcript.join("\n")));
            }
        }
        Ok(())
    }
}

impl<'a> Run<'a> {
    async fn start(world: &'a World, start: &[Start]) -> Result<Self> {
        world.stack.settled().await;
        world.table.clear().await?;
        let (mut members, mut ids) = (Vec::new(), Vec::new());
        for (index, start) in start.iter().enumerate() {
            let member = Member {
                version: 1,
                phone: start.phone.then(|| Address(format!("+86{}", PHONES[index]))),
                email: start.email.then(|| Address(EMAILS[index][0].to_owned())),
                password: start.password.then(|| PASSWORDS[index].to_owned()),
                pay_password: start.pay_password.then(|| PINS[index].to_owned()),
                ..Member::default()
            };
            let text = |address: &Option<Address>| address.clone().map(|Address(text)| text);
            let new = NewMember {
                phone: text(&member.phone),
                email: text(&member.email),
                password: member.password.clone(),
                pay_password: member.pay_password.clone(),
            };
            ids.push(members::create(world.stack.app(), new).await?.id);
            members.push(member);
        }
        let mut run = Self {
            world,
            reference: Reference::new(members),
            ids,
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            sent: Vec::new(),
            links: Vec::new(),
            receipts: Vec::new(),
            responses: Vec::new(),
            seen: world.stack.messages().first().map(|message| message.id.clone()),
            next_login: Timestamp::now().0,
            transcript: Vec::new(),
        };
        for client in 0..CLIENTS {
            run.log_in(client)?;
        }
        Ok(run)
    }

    async fn step(&mut self, step: &Step, coverage: &mut Coverage) -> Result<()> {
        match step {
            Step::Request { client, session, cookie, key, source, ask } => {
                let own = &self.clients[*client];
                let session = match session {
                    Held::Newest => own.session.clone(),
                    Held::Previous => own.previous.clone().or(own.session.clone()),
                    Held::No => None,
                };
                let token = session.as_ref().map(|session| session.token.as_str());
                let Some(call) = self.resolve(*client, token, *ask, *cookie) else { return Ok(()) };
                let own = &self.clients[*client];
                let verification = own.known.iter().rfind(|known| known.purpose != Purpose::Change);
                let cookie = verification.filter(|_| *cookie).map(|known| known.text.clone());
                let key = key.map(|key| format!("key-{key}"));
                // A service has neither cookies nor, except to check a pay password, the session of a person. The persons
                // at different clients share no key there.
                let is_of_service = call.function().is_some();
                let has_session = matches!(call, Call::CheckPayPassword { payer: Payer::Session(_), .. });
                let session = session.filter(|_| !is_of_service || has_session);
                let request = Request {
                    session: session.as_ref().map(|session| session.claims),
                    cookie: cookie.filter(|_| !is_of_service),
                    key: if is_of_service { key.map(|key| format!("{client}-{key}")) } else { key },
                    source: *source,
                    call,
                };
                self.send(*client, request, session.map(|session| session.token), coverage).await?;
            }
            Step::Repeat { client, times } => {
                let Some((request, token)) = self.clients[*client].last.clone() else { return Ok(()) };
                for _ in 0..*times {
                    self.send(*client, request.clone(), token.clone(), coverage).await?;
                }
            }
            Step::LogIn { client } => {
                self.log(&format!("client {client} logs in"));
                self.log_in(*client)?;
            }
            Step::Wait { minutes } => {
                self.log(&format!("{minutes} minutes pass"));
                let seconds = minutes * 60;
                self.world.table.age("", i64::try_from(seconds)?).await?;
                self.reference.wait(seconds);
            }
            Step::Operate { member, command } => {
                self.operate(*member, *command).await?;
                *coverage.entry((format!("operator {command:?}"), String::new())).or_default() += 1;
            }
        }
        self.check_table().await
    }

    fn log(&mut self, line: &str) {
        self.transcript.push(format!("{:>3} {line}", self.transcript.len()));
    }

    /// Issues a session as another login service does. Strangers get none.
    fn log_in(&mut self, client: usize) -> Result<()> {
        if client >= 2 * MEMBERS {
            self.clients[client].session = None;
            return Ok(());
        }
        let (member, is_recent) = (client % MEMBERS, client < MEMBERS);
        let auth_time = self.next_login - if is_recent { 0 } else { OLD_LOGIN };
        self.next_login += 1;
        let version = self.reference.members[member].version;
        let token = self.world.stack.app().issue(self.ids[member], version, Timestamp(auth_time))?;
        let client = &mut self.clients[client];
        client.previous = client.session.take();
        client.session = Some(Session {
            claims: Claims { member, version, auth_time, amr: &[PASSWORD], is_recent },
            token,
        });
        Ok(())
    }

    async fn operate(&mut self, member: usize, command: Command) -> Result<()> {
        let (app, id) = (self.world.stack.app(), self.ids[member]);
        let stored = app.store.member(id).await?.ok_or("the member is missing")?;
        let (outcome, expected) = match command {
            Command::Revoke => {
                self.reference.revoke(member);
                (app.store.revoke_sessions(id, "walk").await, Ok(()))
            }
            Command::Unlock => {
                self.reference.unlock(member);
                let counters = app.store.failure_counters(&stored, &app.keys).await?;
                (app.store.clear_failures(id, &counters, "walk").await, Ok(()))
            }
            Command::SetPassword(number) => {
                self.reference.put_password(member, PASSWORDS[number].to_owned());
                let password = Some(app.hash(&Password::existing(PASSWORDS[number]))?);
                let update = MemberUpdate { password, ..MemberUpdate::default() };
                (app.store.update_member(&stored, &update, "walk").await, Ok(()))
            }
            Command::SetPhone(number) => {
                let address = Address(format!("+86{}", PHONES[number]));
                let phone = app.settings.phones.parse(PHONES[number]).ok();
                let update = MemberUpdate { phone, ..MemberUpdate::default() };
                let expected = self.reference.put_contact(member, address);
                (app.store.update_member(&stored, &update, "walk").await, expected)
            }
            Command::SetEmail(number) => {
                let address = Address(EMAILS[number][0].to_owned());
                let email = address.0.parse::<Email>().ok();
                let update = MemberUpdate { email, ..MemberUpdate::default() };
                let expected = self.reference.put_contact(member, address);
                (app.store.update_member(&stored, &update, "walk").await, expected)
            }
            Command::Unfreeze => {
                self.reference.unfreeze(member);
                (app.store.unfreeze(id, "walk").await, Ok(()))
            }
        };
        let outcome = outcome.map_err(|error| error.symbol().into_owned());
        self.log(&format!("the operator: {command:?} of member {member} → {outcome:?}"));
        same("the operator's result", &outcome, &expected.map_err(|refusal| refusal.symbol.to_owned()))?;
        let messages = self.new_messages().await;
        same("the messages", &messages.len(), &0)
    }

    /// Returns the messages since the last call.
    async fn new_messages(&mut self) -> Vec<Received> {
        self.world.stack.settled().await;
        let messages = self.world.stack.messages();
        let new = messages.iter().take_while(|message| Some(&message.id) != self.seen.as_ref());
        let received = new.map(|message| {
            let report = message.link.as_deref().and_then(|link| link.split_once("/notMe?verification="));
            let report = report.map(|(_, verification)| verification.to_owned());
            let (to, is_code) = (message.to.clone(), message.code.is_some());
            let sent = Sent { to, is_code, has_report: report.is_some() };
            Received { sent, code: message.code.clone(), report }
        });
        let received = received.collect();
        self.seen = messages.first().map(|message| message.id.clone()).or(self.seen.take());
        received
    }

    /// Makes a call over HTTP.
    async fn call(&self, request: &Request, token: Option<&str>) -> Result<Response> {
        let (method, path, parameters) = request.call.http();
        let mut http = self.world.http.request(method.clone(), format!("{}{path}", self.world.stack.url()));
        http = if method == reqwest::Method::GET {
            http.query(&parameters)
        } else {
            http.json(&parameters.iter().copied().collect::<BTreeMap<_, _>>())
        };
        if let Some(token) = token {
            http = http.bearer_auth(token);
        }
        if let Some(cookie) = &request.cookie {
            http = http.header("Cookie", format!("verification={cookie}"));
        }
        if let Some(key) = &request.key {
            http = http.header("Idempotency-Key", key);
        }
        let response = http.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "page": text }));
        Ok(Response { status, headers, body })
    }

    /// Invokes a function as another service does.
    async fn invoke(&self, function: &str, request: &Request) -> Result<Response> {
        let member = |number: usize| self.ids[number].to_string();
        let mut event = request.call.event(member, chosen_id);
        let fields = event.as_object_mut().ok_or("the event is not an object")?;
        fields.insert("sourceIp".to_owned(), json!(format!("203.0.113.{}", request.source)));
        fields.insert("requestId".to_owned(), json!("walk"));
        if let Some(key) = &request.key {
            fields.insert("idempotencyKey".to_owned(), json!(key));
        }
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.world.stack.url());
        let response = self.world.http.post(url).json(&event).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Response { status, headers, body: response.json().await? })
    }

    /// Sends a request, and compares the response and the messages with the reference.
    async fn send(
        &mut self,
        client: usize,
        request: Request,
        token: Option<String>,
        coverage: &mut Coverage,
    ) -> Result<()> {
        let expected = self.reference.respond(&request);
        let function = request.call.function();
        let response = match function {
            Some(function) => self.invoke(function, &request).await?,
            None => self.call(&request, token.as_deref()).await?,
        };
        let messages = self.new_messages().await;
        let symbol = response.symbol().to_owned();
        let who = request.session.map_or("without a session".to_owned(), |claims| format!("{claims:?}"));
        let Request { call, key, cookie, source, .. } = &request;
        let from = function.map_or(String::new(), |_| format!(" from source {source}"));
        self.log(&format!(
            "client {client}{from}, {who}, {key:?}, cookie {cookie:?}: {call:?} → {} {symbol}",
            response.status
        ));

        let result = if response.is_success(function.is_some()) { "OK" } else { &symbol };
        let replayed = if expected.replay_of.is_some() { " (replay)" } else { "" };
        *coverage.entry((call.name().to_owned(), format!("{result}{replayed}"))).or_default() += 1;

        let issued = match function {
            Some(_) => self.compare_service(&expected, &response, &messages).await?,
            None => self.compare(&request, &expected, &response, &messages)?,
        };
        self.learn(client, issued, &request, &messages);
        let token_field = if function.is_some() { "session" } else { "token" };
        if let (Some(mut claims), Some(token)) = (
            expected.result.as_ref().ok().and_then(|success| success.session),
            response.body[token_field].as_str(),
        ) {
            let (_, version, auth_time, _) = self.claims_of(token)?;
            (claims.version, claims.auth_time) = (version, auth_time);
            let own = &mut self.clients[client];
            own.previous = own.session.take();
            own.session = Some(Session { claims, token: token.to_owned() });
        }
        self.clients[client].last = Some((request, token));
        // An app logs in again when its session is refused.
        if symbol == "INVALID_TOKEN" {
            self.log_in(client)?;
        }
        self.responses.push(without_session(response.body));
        Ok(())
    }

    /// Learns the texts that a response and its messages contain.
    fn learn(&mut self, client: usize, issued: Option<String>, request: &Request, messages: &[Received]) {
        for report in messages.iter().filter_map(|message| message.report.clone()) {
            self.reference.learn_report(&report);
            self.links.push(report);
        }
        let Some(text) = issued else { return };
        let digits = messages.iter().find_map(|message| message.code.as_deref());
        match (&request.call, self.reference.learn(&text, digits)) {
            (_, Some((purpose, to, is_grant))) => {
                if let Some(digits) = digits {
                    let (token, to, digits) = (text.clone(), to.clone(), digits.to_owned());
                    self.sent.push(SentCode { token, to, purpose, digits });
                }
                self.clients[client].known.push(Known { text, purpose, to, is_grant });
            }
            (Call::CheckPayPassword { order, .. }, None) => self.receipts.push((text, *order)),
            (_, None) => self.clients[client].devices.push(text),
        }
    }

    /// Returns the member, the credential version, the time of the login and its methods in a session.
    fn claims_of(&self, token: &str) -> Result<(String, u64, u64, Vec<String>)> {
        let app = self.world.stack.app();
        let claims = session::verify(&app.keys, &app.settings, token)?;
        Ok((claims.member.to_string(), claims.credential_version, claims.auth_time.0, claims.amr))
    }

    /// Compares the session in a response, and the messages.
    fn compare_success(&self, success: &Success, token: Option<&str>, messages: &[Received]) -> Result<()> {
        same("the messages", &sorted(messages), &{
            let mut expected = success.messages.clone();
            expected.sort();
            expected
        })?;
        let actual = token.map(|token| self.claims_of(token)).transpose()?;
        let claims = success.session.map(|Claims { member, version, auth_time, amr, .. }| {
            (self.ids[member].to_string(), version, auth_time, texts(amr))
        });
        same("the session", &actual, &claims)
    }

    /// Compares a response with the reference, and returns the token or grant that it issues.
    fn compare(
        &self,
        request: &Request,
        expected: &Expected,
        response: &Response,
        messages: &[Received],
    ) -> Result<Option<String>> {
        let Response { status, headers, body } = response;
        let (status, symbol) = (*status, response.symbol());
        let is_user_api = request.call.is_user_api();
        let is_page = matches!(request.call, Call::OpenMail { .. });
        let success = match &expected.result {
            Err(refusal) => {
                let actual = (status, if is_page { refusal.symbol } else { symbol });
                same("the response", &actual, &(refusal.status(is_user_api), refusal.symbol))?;
                if !is_page {
                    let left = refusal.attempts_left.map(u64::from);
                    same("attemptsLeft", &body["attemptsLeft"].as_u64(), &left)?;
                    same("retryAfter", &body["retryAfter"].is_u64(), &refusal.has_retry_after())?;
                }
                same("Retry-After", &headers.contains_key("retry-after"), &refusal.has_retry_after())?;
                self.compare_lockout(messages)?;
                return same("the session", &body["token"], &Value::Null).map(|()| None);
            }
            Ok(success) => success,
        };
        same("the response", &(status, symbol), &(success.status, if status < 300 { symbol } else { "OK" }))?;
        self.compare_success(success, body["token"].as_str(), messages)?;
        let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = body["token"].as_str().map(|token| format!("Bearer {token}"));
        same("the header Authorization", &bearer, &token.as_deref())?;
        if let Some(first) = expected.replay_of {
            same("the replay", &without_session(body.clone()), &self.responses[first])?;
            return Ok(None);
        }
        let issued = if is_user_api { body["result"].as_str() } else { body["verification"].as_str() };
        same("whether a token or grant is issued", &issued.is_some(), &self.reference.has_issued())?;
        if let Some(text) = issued.filter(|_| !is_user_api) {
            let cookies = headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
            let has_cookie =
                cookies.into_iter().any(|cookie| cookie.starts_with(&format!("verification={text};")));
            same("whether the cookie is set", &has_cookie, &true)?;
        }
        Ok(issued.map(str::to_owned))
    }

    /// Compares the messages of a refused request: only a lockout has some.
    fn compare_lockout(&self, messages: &[Received]) -> Result<()> {
        let mut notices = self.reference.lockout_notices.clone();
        notices.sort();
        same("the messages", &sorted(messages), &notices)
    }

    /// Compares the result of a function for other services with the reference, and returns what it issues.
    async fn compare_service(
        &mut self,
        expected: &Expected,
        response: &Response,
        messages: &[Received],
    ) -> Result<Option<String>> {
        let body = &response.body;
        same("whether the function failed", &response.headers.contains_key("x-amz-function-error"), &false)?;
        same("requestId", &body["requestId"], &json!("walk"))?;
        let issued = ["verification", "device", "receipt"].iter().find_map(|name| body[*name].as_str());
        let is_replay = expected.replay_of.is_some();
        let success = match &expected.result {
            Err(refusal) => {
                same(
                    "the refusal",
                    &(&body["success"], response.symbol()),
                    &(&json!(false), refusal.symbol),
                )?;
                let left = refusal.attempts_left.map(u64::from);
                same("attemptsLeft", &body["attemptsLeft"].as_u64(), &left)?;
                same("retryAfter", &body["retryAfter"].is_u64(), &refusal.has_retry_after())?;
                self.compare_lockout(messages)?;
                same("the session", &body["session"], &Value::Null)?;
                if let Some(first) = expected.replay_of {
                    same("the replay", body, &self.responses[first])?;
                    return Ok(None);
                }
                same("whether a grant is issued", &issued.is_some(), &self.reference.has_issued())?;
                return Ok(issued.map(str::to_owned));
            }
            Ok(success) => success,
        };
        same("the result", &(&body["success"], response.symbol()), &(&json!(true), ""))?;
        let mut success = success.clone();
        if !is_replay {
            self.learn_member(&mut success, body).await?;
            same("whether something is issued", &issued.is_some(), &self.reference.has_issued())?;
        }
        self.compare_success(&success, body["session"].as_str(), messages)?;
        let fields = &success.fields;
        let of_session = success.session.map(|claims| (claims.auth_time, texts(claims.amr)));
        same(
            "the fields",
            &(
                &body["member"],
                &body["created"],
                &body["first"],
                &body["elements"],
                &body["authTime"],
                &body["amr"],
            ),
            &(
                &json!(fields.member.map(|member| self.ids[member].to_string())),
                &json!(fields.created),
                &json!(fields.first),
                &json!(fields.elements),
                &json!(of_session.as_ref().map(|(at, _)| at)),
                &json!(of_session.as_ref().map(|(_, amr)| amr)),
            ),
        )?;
        same("coolingUntil", &body["coolingUntil"].is_u64(), &fields.has_cooling_until)?;
        if let Some(first) = expected.replay_of {
            let mut first = self.responses[first].clone();
            if fields.created.is_some() {
                first["created"] = json!(false);
            }
            same("the replay", &without_session(body.clone()), &first)?;
            return Ok(None);
        }
        Ok(issued.map(str::to_owned))
    }

    /// Learns what the reference cannot know of a login or a creation: the member's id and the time, which must be now.
    async fn learn_member(&mut self, success: &mut Success, body: &Value) -> Result<()> {
        let created = success.fields.member.filter(|_| success.fields.created == Some(true));
        let at = if let Some(number) = created {
            let id: MemberId = serde_json::from_value(body["member"].clone())?;
            same("the number of the member", &number, &self.ids.len())?;
            self.ids.push(id);
            let stored = self.world.stack.app().store.member(id).await?.ok_or("the member is missing")?;
            Some(stored.credential_version)
        } else {
            // The session of a repeated creation has the time of the creation, which is known.
            body["authTime"].as_u64().filter(|_| success.fields.created.is_none())
        };
        let Some(at) = at else { return Ok(()) };
        same("whether the time is now", &(Timestamp::now().0.abs_diff(at) <= 10), &true)?;
        self.reference.learn_time(at, created);
        if let Some(claims) = &mut success.session {
            claims.auth_time = at;
            if created.is_some() {
                claims.version = at;
            }
        }
        Ok(())
    }

    /// Compares the members, the owners of addresses and the audit trail with the reference.
    async fn check_table(&self) -> Result<()> {
        let items = self.world.table.items().await?;
        let text = |item: &Value, name: &str| item[name]["S"].as_str().map(str::to_owned);
        let of = |prefix: &str, id: &MemberId| {
            let key = format!("{prefix}#{id}");
            items.iter().filter(move |item| item["pk"]["S"] == *key)
        };
        for (index, (id, expected)) in self.ids.iter().zip(&self.reference.members).enumerate() {
            let stored = of("member", id).next().unwrap_or(&Value::Null);
            let actual = (
                text(stored, "phone"),
                text(stored, "email"),
                stored["credential_version"]["N"].as_str().and_then(|version| version.parse().ok()),
                !stored["password"].is_null(),
                !stored["pay_password"].is_null(),
            );
            let expected_state = (
                expected.phone.as_ref().map(|phone| phone.0.clone()),
                expected.email.as_ref().map(|email| email.0.clone()),
                Some(expected.version),
                expected.password.is_some(),
                expected.pay_password.is_some(),
            );
            same(&format!("member {index}"), &actual, &expected_state)?;
            let mut actions: Vec<_> = of("audit", id).filter_map(|item| text(item, "action")).collect();
            let mut expected_actions: Vec<_> =
                expected.audit.iter().map(|action| (*action).to_owned()).collect();
            for actions in [&mut actions, &mut expected_actions] {
                actions.sort();
                // A lockout is recorded once for the second in which it ends, and time passes in no time here.
                actions.dedup_by(|one, other| *one == "log-in-locked" && one == other);
            }
            same(&format!("the audit trail of member {index}"), &actions, &expected_actions)?;
        }
        let owners: BTreeMap<_, _> = items
            .iter()
            .filter(|item| item["sk"]["S"] == "owner")
            .filter_map(|item| Some((text(item, "pk")?, text(item, "member")?)))
            .collect();
        let expected = self.reference.owners().into_iter();
        same(
            "the owners",
            &owners,
            &expected.map(|(key, owner)| (key, self.ids[owner].to_string())).collect(),
        )
    }
}

/// Returns an id that a service chooses for a member.
fn chosen_id(number: usize) -> String {
    format!("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c1{number}")
}

fn sorted(messages: &[Received]) -> Vec<Sent> {
    let mut sent: Vec<_> = messages.iter().map(|message| message.sent.clone()).collect();
    sent.sort();
    sent
}

fn texts(methods: Methods) -> Vec<String> {
    methods.iter().map(|&method| method.to_owned()).collect()
}

fn without_session(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("token");
        fields.remove("session");
    }
    body
}

/// Fails unless the functions and the reference agree.
fn same<T: PartialEq + Debug>(what: &str, actual: &T, expected: &T) -> Result<()> {
    if actual == expected {
        Ok(())
    } else {
        Err(format!("{what}:\n     actual {actual:?}\n   expected {expected:?}").into())
    }
}
