//! A journey that calls every endpoint once, in the order of a member's life.

use crate::bundle::{
    BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, EMAIL, NOT_ME, PHONE, RECOVERY, RESET_PAY_PASSWORD,
    Response, SEND, SEND_CODE, SEND_MAIL, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, VERIFY_MAIL, e164,
};
use reqwest::Method;
use serde_json::{Value, json};

/// The encoding in which parameters are sent.
#[derive(Clone, Copy, Debug)]
pub enum Encoding {
    Json,
    Form,
    Query,
}

pub struct Journey<'a> {
    bundle: &'a Bundle,
    encoding: Encoding,
    session: Option<String>,
    /// The secrets in requests and responses.
    pub secrets: Vec<String>,
    /// Every text that the table stored at any time.
    pub stored_texts: Vec<String>,
}

impl<'a> Journey<'a> {
    /// Makes every call and asserts that it succeeds.
    pub async fn run(bundle: &'a Bundle, encoding: Encoding) -> Self {
        let (first, second, third, fourth) =
            ("password-one", "密码 & 密码=2+2", "password %25 3", "password-four");
        let member = bundle.member_with(json!({ "password": first })).await;
        let mut this = Self {
            bundle,
            encoding,
            session: Some(member.token.clone()),
            secrets: Vec::new(),
            stored_texts: Vec::new(),
        };

        this.call(Method::GET, SEND_CODE, &[("phone", PHONE), ("purpose", "bind")]).await;
        let code = this.code(&e164(PHONE)).await;
        this.call(Method::PUT, BIND_PHONE, &[("message", &code), ("phone", PHONE)]).await;
        this.log_in(first).await;

        bundle.age("sent#phone#", 120).await;
        let sent = this.call(Method::POST, SEND, &[("time", "1")]).await;
        let (phone_info, code) =
            (sent.body["result"].as_str().unwrap().to_owned(), this.code(&e164(PHONE)).await);
        this.secrets.push(phone_info.clone());
        let parameters = [("phoneInfo", &*phone_info), ("code", &*code), ("newPassword", second)];
        this.call(Method::POST, CHANGE_BY_MESSAGE, &parameters).await;
        this.call(Method::PUT, CHANGE, &[("oldPassword", second), ("newPasswordFirst", third)]).await;

        this.call(Method::PUT, SET_PAY_PASSWORD, &[("payPasswordFirst", "739154")]).await;
        let parameters = [("oldPassword", "739154"), ("payPasswordFirst", "085826")];
        this.call(Method::PUT, UPDATE_PAY_PASSWORD, &parameters).await;
        bundle.age("sent#phone#", 120).await;
        this.call(Method::GET, SEND_CODE, &[("phone", PHONE)]).await;
        let code = this.code(&e164(PHONE)).await;
        let parameters = [("phone", PHONE), ("message", &code), ("payPasswordFirst", "639184")];
        this.call(Method::PUT, RESET_PAY_PASSWORD, &parameters).await;

        let sent = this.call(Method::POST, SEND_MAIL, &[("email", EMAIL)]).await;
        let (verification, code) = (sent.verification().to_owned(), this.code(EMAIL).await);
        let parameters = [("verification", &*verification), ("code", &*code)];
        this.call(Method::GET, VERIFY_MAIL, &parameters).await;
        this.call(Method::POST, VERIFY_MAIL, &parameters).await;

        this.session = None;
        bundle.age("sent#phone#", 120).await;
        let sent = this.call(Method::GET, SEND_CODE, &[("phone", PHONE)]).await;
        let (verification, code) = (sent.verification().to_owned(), this.code(&e164(PHONE)).await);
        let parameters = [("verification", &*verification), ("message", &*code)];
        let granted = this.call(Method::POST, RECOVERY, &parameters).await;
        let parameters =
            [("phone", PHONE), ("passwordFirst", fourth), ("verification", granted.verification())];
        this.call(Method::PUT, RECOVERY, &parameters).await;

        // The address gets a link once it is settled.
        bundle.age("member#", 72 * 3_600).await;
        assert!(bundle.has_password(&member, fourth).await);
        let link = bundle.report_link(EMAIL).await;
        this.call(Method::GET, NOT_ME, &[("verification", &link)]).await;
        this.call(Method::POST, NOT_ME, &[("verification", &link)]).await;
        this
    }

    /// Continues with the session of a login with the password.
    async fn log_in(&mut self, password: &str) {
        let logged_in = self.bundle.log_in(json!({ "phone": PHONE, "password": password })).await;
        for field in ["session", "device"] {
            self.secrets.push(logged_in.body[field].as_str().unwrap().to_owned());
        }
        self.session = logged_in.body["session"].as_str().map(str::to_owned);
    }

    async fn code(&mut self, to: &str) -> String {
        let code = self.bundle.code_to(to).await;
        self.secrets.push(code.clone());
        code
    }

    async fn call(&mut self, method: Method, path: &str, parameters: &[(&str, &str)]) -> Response {
        let call = self.bundle.call(method.clone(), path);
        let call = if let Some(session) = &self.session { call.session(session) } else { call };
        let response = match self.encoding {
            Encoding::Json => call.json(&parameters.iter().copied().collect::<Value>()).await,
            Encoding::Form => call.form(parameters).await,
            Encoding::Query => call.query(parameters).send().await,
        };
        assert!(response.status.is_success(), "{:?} {method} {path}: {}", self.encoding, response.text);
        self.secrets.extend(
            parameters.iter().filter(|(_, value)| value.len() > 4).map(|(_, value)| (*value).to_owned()),
        );
        for field in ["token", "verification"] {
            self.secrets.extend(response.body[field].as_str().map(str::to_owned));
        }
        if let Some(session) = response.body["token"].as_str() {
            self.session = Some(session.to_owned());
        }
        for item in self.bundle.items().await {
            collect_texts(&item, &mut self.stored_texts);
        }
        response
    }
}

fn collect_texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.parse::<f64>().is_err() => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, found)),
        Value::Object(values) => values.values().for_each(|value| collect_texts(value, found)),
        _ => (),
    }
}
