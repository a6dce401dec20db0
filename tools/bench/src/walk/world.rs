//! Runs a walk on the stack: turns each step into a request, and compares the response, the messages and the table with
//! the reference.

#![expect(
    clippy::indexing_slicing,
    reason = "a field that JSON lacks reads as null; the rest is counted by the walk"
)]

use super::{
    Coverage,
    call::{Call, Claims, Request},
    reference::{Address, Expected, Member, Purpose, Reference, Sent},
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

pub(super) const PHONES: [&str; CONTACTS] = ["13627140483", "13800138000", "13912345670"];
pub(super) const EMAILS: [[&str; 2]; CONTACTS] = [
    ["li@example.com", "LI@example.com"],
    ["wu@example.com", "Wu@example.com"],
    ["chen@example.com", "cHen@example.com"],
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
    last: Option<(Request, Option<String>)>,
}

/// A code that was sent, with the token of its request.
pub(super) struct SentCode {
    pub(super) token: String,
    pub(super) to: Address,
    pub(super) purpose: Purpose,
    pub(super) digits: String,
}

/// One walk.
pub(super) struct Run<'a> {
    world: &'a World,
    pub(super) reference: Reference,
    ids: Vec<MemberId>,
    pub(super) clients: Vec<Client>,
    pub(super) sent: Vec<SentCode>,
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
            Step::Request { client, session, cookie, key, ask } => {
                let Some(call) = self.resolve(*client, *ask, *cookie) else { return Ok(()) };
                let own = &self.clients[*client];
                let session = match session {
                    Held::Newest => own.session.clone(),
                    Held::Previous => own.previous.clone().or(own.session.clone()),
                    Held::No => None,
                };
                let verification = own.known.iter().rfind(|known| known.purpose != Purpose::Change);
                let request = Request {
                    session: session.as_ref().map(|session| session.claims),
                    cookie: verification.filter(|_| *cookie).map(|known| known.text.clone()),
                    key: key.map(|key| format!("key-{key}")),
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

    /// Issues a session as a login service does. Strangers have none.
    fn log_in(&mut self, client: usize) -> Result<()> {
        if client >= 2 * MEMBERS {
            return Ok(());
        }
        let (member, is_recent) = (client % MEMBERS, client < MEMBERS);
        let auth_time = self.next_login - if is_recent { 0 } else { OLD_LOGIN };
        self.next_login += 1;
        let version = self.reference.members[member].version;
        let token = self.world.stack.app().issue(self.ids[member], version, Timestamp(auth_time))?;
        let client = &mut self.clients[client];
        client.previous = client.session.take();
        client.session = Some(Session { claims: Claims { member, version, auth_time, is_recent }, token });
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
        };
        let outcome = outcome.map_err(|error| error.symbol().into_owned());
        self.log(&format!("the operator: {command:?} of member {member} → {outcome:?}"));
        same("the operator's result", &outcome, &expected.map_err(|refusal| refusal.symbol.to_owned()))?;
        let messages = self.new_messages().await;
        same("the messages", &messages, &Vec::new())
    }

    /// Returns the messages since the last call, oldest first: the codes, and where each message went.
    async fn new_messages(&mut self) -> Vec<(Sent, Option<String>)> {
        self.world.stack.settled().await;
        let messages = self.world.stack.messages();
        let new = messages.iter().take_while(|message| Some(&message.id) != self.seen.as_ref());
        let sent = new.map(|message| {
            let sent = Sent { to: message.to.clone(), is_code: message.code.is_some() };
            (sent, message.code.clone())
        });
        let sent = sent.collect();
        self.seen = messages.first().map(|message| message.id.clone()).or(self.seen.take());
        sent
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
        let (method, path, parameters) = request.call.http();
        let mut http = self.world.http.request(method.clone(), format!("{}{path}", self.world.stack.url()));
        http = if method == reqwest::Method::GET {
            http.query(&parameters)
        } else {
            http.json(&parameters.iter().copied().collect::<BTreeMap<_, _>>())
        };
        if let Some(token) = &token {
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
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "page": text }));
        let messages = self.new_messages().await;
        let symbol = body["error"].as_str().or(body["code"].as_str()).unwrap_or_default().to_owned();
        let who = request.session.map_or("without a session".to_owned(), |claims| format!("{claims:?}"));
        let Request { call, key, cookie, .. } = &request;
        self.log(&format!(
            "client {client}, {who}, {key:?}, cookie {cookie:?}: {call:?} → {status} {symbol}"
        ));

        let result = if status < 300 { "OK" } else { &symbol };
        let replayed = if expected.replay_of.is_some() { " (replay)" } else { "" };
        *coverage.entry((call.name().to_owned(), format!("{result}{replayed}"))).or_default() += 1;

        let issued = self.compare(&request, &expected, status, &headers, &body, &messages)?;
        let own = &mut self.clients[client];
        if let Some(text) = issued {
            let digits = messages.iter().find_map(|(_, digits)| digits.as_deref());
            if let Some((purpose, to, is_grant)) = self.reference.learn(&text, digits) {
                if let Some(digits) = digits {
                    let (token, to, digits) = (text.clone(), to.clone(), digits.to_owned());
                    self.sent.push(SentCode { token, to, purpose, digits });
                }
                own.known.push(Known { text, purpose, to, is_grant });
            }
        }
        if let (Some(claims), Some(token)) =
            (expected.result.as_ref().ok().and_then(|success| success.session), body["token"].as_str())
        {
            own.previous = own.session.take();
            own.session = Some(Session { claims, token: token.to_owned() });
        }
        own.last = Some((request, token));
        // An app logs in again when its session is refused.
        if symbol == "INVALID_TOKEN" {
            self.log_in(client)?;
        }
        self.responses.push(without_session(body));
        Ok(())
    }

    /// Compares a response with the reference, and returns the token or grant that it issues.
    fn compare(
        &self,
        request: &Request,
        expected: &Expected,
        status: u16,
        headers: &HeaderMap,
        body: &Value,
        messages: &[(Sent, Option<String>)],
    ) -> Result<Option<String>> {
        let is_user_api = request.call.is_user_api();
        let is_page = matches!(request.call, Call::OpenMail { .. });
        let symbol = body["error"].as_str().or(body["code"].as_str()).unwrap_or_default();
        let mut sent: Vec<_> = messages.iter().map(|(sent, _)| sent.clone()).collect();
        sent.sort();
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
                let mut notices = self.reference.lockout_notices.clone();
                notices.sort();
                same("the messages", &sent, &notices)?;
                return same("the session", &body["token"], &Value::Null).map(|()| None);
            }
            Ok(success) => success,
        };
        same("the response", &(status, symbol), &(success.status, if status < 300 { symbol } else { "OK" }))?;
        let mut expected_messages = success.messages.clone();
        expected_messages.sort();
        same("the messages", &sent, &expected_messages)?;
        let app = self.world.stack.app();
        let session = body["token"].as_str().map(|token| session::verify(&app.keys, &app.settings, token));
        let session = session.transpose()?;
        let actual =
            session.map(|claims| (claims.member.to_string(), claims.credential_version, claims.auth_time.0));
        let claims = success.session.map(|Claims { member, version, auth_time, .. }| {
            (self.ids[member].to_string(), version, auth_time)
        });
        same("the session", &actual, &claims)?;
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
            actions.sort();
            expected_actions.sort();
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

fn without_session(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("token");
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
