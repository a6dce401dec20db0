//! Members that run flows, and the responses that they receive.

use local::Event;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use shared::grant::Grant;
use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time;

/// How long a flow waits for its code. A code requested without a session is sent from the table's stream.
pub const CODE_LIMIT: Duration = Duration::from_secs(10);

/// The newest code by destination.
static CODES: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);
/// How many notices of changes were sent.
pub static NOTICES_SENT: AtomicUsize = AtomicUsize::new(0);

/// Records a message that the stack caught.
pub fn record_message(event: Event<'_>) {
    let Event::Message(message) = event else { return };
    if let Some(code) = &message.code {
        CODES.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to.clone(), code.clone());
    } else {
        NOTICES_SENT.fetch_add(1, Ordering::Relaxed);
    }
}

/// The function, method and path of an endpoint.
struct Endpoint(&'static str, Method, &'static str);

const CHANGE: Endpoint = Endpoint("change-password", Method::PUT, "/member/userservice/security");
const SEND: Endpoint =
    Endpoint("send-change-password-message", Method::POST, "/v1/user/sendChangePasswordMessage");
const CHANGE_BY_MESSAGE: Endpoint =
    Endpoint("change-password-by-message", Method::POST, "/v1/user/changePasswordByMessage");
const SEND_CODE: Endpoint = Endpoint("send-code", Method::GET, "/member/userservice/security");
const BIND_PHONE: Endpoint = Endpoint("bind-phone", Method::PUT, "/member/userservice/security/bindingPhone");
const SET_PAY_PASSWORD: Endpoint =
    Endpoint("set-pay-password", Method::PUT, "/member/userservice/security/payPassword");
const UPDATE_PAY_PASSWORD: Endpoint =
    Endpoint("update-pay-password", Method::PUT, "/member/userservice/security/updatePayPassword");
const RESET_PAY_PASSWORD: Endpoint =
    Endpoint("reset-pay-password", Method::PUT, "/member/userservice/security/resetPayPassword");
const VERIFY_CODE: Endpoint = Endpoint("verify-recovery-code", Method::POST, "/web/userservice/security");
const RECOVER: Endpoint = Endpoint("recover-password", Method::PUT, "/web/userservice/security");
const SEND_MAIL: Endpoint = Endpoint("send-mail", Method::POST, "/web/userservice/security/sendMail");
const VERIFY_MAIL: Endpoint = Endpoint("verify-mail", Method::POST, "/web/userservice/security/verifyMail");
const LOG_IN: Endpoint = Endpoint("log-in", Method::POST, "/2015-03-31/functions/log-in/invocations");

/// The functions whose success changes no credential.
const NO_CHANGE: [&str; 5] =
    ["log-in", "send-change-password-message", "send-code", "send-mail", "verify-recovery-code"];

/// The stack under load.
pub struct Target {
    pub http: Client,
    pub url: String,
}

/// The response to a request, or its absence.
pub struct Response {
    pub endpoint: &'static str,
    pub at: Instant,
    pub time: Duration,
    /// The HTTP status, or 0 without a response.
    pub status: u16,
    pub request_id: String,
    pub body: Value,
}

impl Response {
    pub fn is_success(&self) -> bool {
        // The refusal of a function for services is a result, with status 200.
        (200..300).contains(&self.status) && self.body["success"] != false
    }

    /// Whether the request may have changed the member although it failed.
    pub fn is_unknown(&self) -> bool {
        self.status == 0 || self.status >= 500
    }

    pub fn is_change(&self) -> bool {
        self.is_success() && !NO_CHANGE.contains(&self.endpoint)
    }
}

impl Target {
    async fn call(&self, Endpoint(name, method, path): Endpoint, session: &str, body: Value) -> Response {
        let start = Instant::now();
        let mut request = self.http.request(method, format!("{}{path}", self.url)).json(&body);
        if !session.is_empty() {
            request = request.bearer_auth(session);
        }
        let (mut status, mut request_id, mut body) = (0, String::new(), Value::Null);
        if let Ok(response) = request.send().await {
            let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
            request_id = id.unwrap_or_default().to_owned();
            status = response.status().as_u16();
            body = response.json().await.unwrap_or_default();
        }
        let at = Instant::now();
        Response { endpoint: name, at, time: at - start, status, request_id, body }
    }
}

/// A member with the state that the responses so far imply. Each runs one flow at a time.
#[derive(Default)]
pub struct SimulatedMember {
    pub id: String,
    pub token: String,
    pub phone: String,
    pub email: String,
    pub password: String,
    pub pay_password: Option<String>,
    pub responses: Vec<Response>,
    /// Codes and grants by partition key, each with whether it must still exist.
    pub proofs: BTreeMap<String, bool>,
    pub codes_missed: usize,
}

impl SimulatedMember {
    /// Creates the member with this number, who logs in.
    pub async fn create(target: &Target, number: u32) -> Result<Self, Box<dyn Error>> {
        let (phone, email) = (format!("139{number:08}"), format!("member-{number}@example.com"));
        let password = format!("the old password {number}");
        let body = json!({ "phone": phone, "email": email, "password": password });
        let created = target.http.post(format!("{}/_local/members", target.url)).json(&body).send().await?;
        let created: Value = created.error_for_status()?.json().await?;
        let text = |name: &str| created[name].as_str().unwrap_or_default().to_owned();
        let mut member = Self { id: text("id"), phone, email, password, ..Self::default() };
        member.log_in(target, number).await.ok_or("a new member cannot log in")?;
        Ok(member)
    }

    async fn log_in(&mut self, target: &Target, number: u32) -> Option<()> {
        let [_, second, third, fourth] = number.to_be_bytes();
        let source = format!("10.{second}.{third}.{fourth}");
        let body = json!({ "phone": self.phone, "password": self.password, "sourceIp": source });
        let logged_in = self.call(target, LOG_IN, body, None).await?;
        logged_in["session"].as_str()?.clone_into(&mut self.token);
        Some(())
    }

    /// Runs the flow with this number and returns the member.
    pub async fn flow(mut self, target: Arc<Target>, number: u32) -> Self {
        // A flow ends at its first refused request.
        let _ = match number % 8 {
            0 => self.change_password(&target, number).await,
            1 => self.change_by_message(&target, number).await,
            2 => self.bind_phone(&target, number).await,
            3 => self.set_and_update_pay_password(&target, number).await,
            4 => self.reset_pay_password(&target).await,
            5 => self.recover(&target, number).await,
            6 => self.bind_email(&target, number).await,
            _ => self.change_twice_at_once(&target, number).await,
        };
        self
    }

    async fn change_password(&mut self, target: &Target, number: u32) -> Option<()> {
        let new = format!("password {number}");
        let body = json!({ "oldPassword": self.password, "newPasswordFirst": new });
        self.call(target, CHANGE, body, None).await?;
        self.password = new;
        Some(())
    }

    async fn change_twice_at_once(&mut self, target: &Target, number: u32) -> Option<()> {
        let news = ["first", "second"].map(|which| format!("{which} password {number}"));
        let change = |new: &String| {
            let body = json!({ "oldPassword": self.password, "newPasswordFirst": new });
            target.call(CHANGE, &self.token, body)
        };
        let [first, second] = &news;
        let responses: [Response; 2] = tokio::join!(change(first), change(second)).into();
        for (response, new) in responses.into_iter().zip(news) {
            if self.record(response, None).is_some() {
                self.password = new;
            }
        }
        Some(())
    }

    async fn change_by_message(&mut self, target: &Target, number: u32) -> Option<()> {
        let sent = self.call(target, SEND, json!({}), None).await?;
        let (code, proof) = self.code(&e164(&self.phone), "30").await?;
        let new = format!("password {number}");
        let body = json!({ "phoneInfo": sent["result"], "code": code, "newPassword": new });
        self.call(target, CHANGE_BY_MESSAGE, body, Some(proof)).await?;
        self.password = new;
        Some(())
    }

    async fn bind_phone(&mut self, target: &Target, number: u32) -> Option<()> {
        let phone = format!("137{number:08}");
        self.call(target, SEND_CODE, json!({ "phone": phone }), None).await?;
        let (code, proof) = self.code(&e164(&phone), "40").await?;
        self.call(target, BIND_PHONE, json!({ "phone": phone, "message": code }), Some(proof)).await?;
        self.phone = phone;
        Some(())
    }

    async fn set_and_update_pay_password(&mut self, target: &Target, number: u32) -> Option<()> {
        // Only a few of these are refused as sequences or as one repeated digit.
        let [first, second] =
            [100_003, 100_019].map(|prime| format!("{:06}", u64::from(number + 1) * prime % 1_000_000));
        if self.pay_password.is_none() {
            self.call(target, SET_PAY_PASSWORD, json!({ "payPasswordFirst": first }), None).await?;
            self.pay_password = Some(first);
        }
        let body = json!({ "oldPassword": self.pay_password, "payPasswordFirst": second });
        self.call(target, UPDATE_PAY_PASSWORD, body, None).await?;
        self.pay_password = Some(second);
        Some(())
    }

    async fn reset_pay_password(&mut self, target: &Target) -> Option<()> {
        self.call(target, SEND_CODE, json!({ "phone": self.phone }), None).await?;
        let (code, proof) = self.code(&e164(&self.phone), "50").await?;
        let body = json!({ "phone": self.phone, "message": code });
        self.call(target, RESET_PAY_PASSWORD, body, Some(proof)).await?;
        self.pay_password = None;
        Some(())
    }

    async fn recover(&mut self, target: &Target, number: u32) -> Option<()> {
        let session = std::mem::take(&mut self.token);
        let recovered = self.recover_without_session(target, number).await;
        self.token = session;
        recovered?;
        self.log_in(target, number).await
    }

    async fn recover_without_session(&mut self, target: &Target, number: u32) -> Option<()> {
        let sent = self.call(target, SEND_CODE, json!({ "phone": self.phone }), None).await?;
        let (code, proof) = self.code(&e164(&self.phone), "60").await?;
        let body = json!({ "verification": sent["verification"], "message": code });
        let granted = self.call(target, VERIFY_CODE, body, Some(proof)).await?;
        let grant = granted["verification"].as_str()?;
        let proof = format!("grant#{}", Grant::parse(grant)?.hash());
        self.proofs.insert(proof.clone(), true);
        let new = format!("password {number}");
        let body = json!({ "verification": grant, "phone": self.phone, "passwordFirst": new });
        self.call(target, RECOVER, body, Some(proof)).await?;
        self.password = new;
        Some(())
    }

    async fn bind_email(&mut self, target: &Target, number: u32) -> Option<()> {
        let email = format!("mail-{number}@example.com");
        let sent = self.call(target, SEND_MAIL, json!({ "email": email }), None).await?;
        let (code, proof) = self.code(&email, "70").await?;
        let body = json!({ "verification": sent["verification"], "code": code });
        self.call(target, VERIFY_MAIL, body, Some(proof)).await?;
        self.email = email;
        Some(())
    }

    /// Waits for a code sent to `to` and returns it with its partition key.
    async fn code(&mut self, to: &str, flag: &str) -> Option<(String, String)> {
        let kind = if to.contains('@') { "email" } else { "phone" };
        let proof = format!("code#{kind}#{to}#{flag}");
        self.proofs.insert(proof.clone(), true);
        let sent = async {
            loop {
                if let Some(code) = CODES.lock().unwrap_or_else(PoisonError::into_inner).remove(to) {
                    return code;
                }
                time::sleep(Duration::from_millis(5)).await;
            }
        };
        let code = time::timeout(CODE_LIMIT, sent).await.ok();
        self.codes_missed += usize::from(code.is_none());
        Some((code?, proof))
    }

    /// Sends a request whose success consumes `proof`, and returns the body of a success.
    async fn call(
        &mut self,
        target: &Target,
        endpoint: Endpoint,
        body: Value,
        proof: Option<String>,
    ) -> Option<Value> {
        let response = target.call(endpoint, &self.token, body).await;
        self.record(response, proof)
    }

    fn record(&mut self, response: Response, proof: Option<String>) -> Option<Value> {
        let body = response.is_success().then(|| response.body.clone());
        if let (Some(_), Some(proof)) = (&body, proof) {
            self.proofs.insert(proof, false);
        }
        if let Some(token) = response.body["token"].as_str() {
            token.clone_into(&mut self.token);
        }
        self.responses.push(response);
        body
    }
}

pub fn e164(phone: &str) -> String {
    format!("+86{phone}")
}
