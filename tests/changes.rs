//! Every change that a member can make, and its effect on the table.

use crate::bundle::{
    BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, CLOSE, Call, Member, NEW_PIN, NOT_ME, OLD_PASSWORD, PIN,
    RECOVERY, RESET_PAY_PASSWORD, Response, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, VERIFY_MAIL,
};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Settings under which many members can make changes in quick succession.
pub const MANY: [(&str, &str); 5] = [
    ("SOURCE_SENDS_PER_HOUR", "100000"),
    ("SOURCE_WRONG_CODES_PER_HOUR", "100000"),
    ("REGION_SENDS_PER_HOUR", "1000000"),
    // The lowest cost that is allowed, because these tests do not test the hash.
    ("ARGON2_MEMORY_KIB", "7168"),
    ("ARGON2_PASSES", "1"),
];

/// The kinds of change, distinguished by the proof that they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    PasswordByMessage,
    PasswordByOld,
    PasswordByGrant,
    PhoneBound,
    PhoneReplaced,
    PayPasswordSet,
    PayPasswordByOld,
    PayPasswordByCode,
    PayPasswordByGrant,
    MailBound,
    SmsForGrant,
    MailForGrant,
    ChangeReported,
    ClosedByPassword,
    ClosedBySms,
    ClosedByMail,
}

impl ChangeKind {
    pub const ALL: [Self; 16] = [
        Self::PasswordByMessage,
        Self::PasswordByOld,
        Self::PasswordByGrant,
        Self::PhoneBound,
        Self::PhoneReplaced,
        Self::PayPasswordSet,
        Self::PayPasswordByOld,
        Self::PayPasswordByCode,
        Self::PayPasswordByGrant,
        Self::MailBound,
        Self::SmsForGrant,
        Self::MailForGrant,
        Self::ChangeReported,
        Self::ClosedByPassword,
        Self::ClosedBySms,
        Self::ClosedByMail,
    ];
}

/// A change of a new member for which everything is ready except the call.
pub struct PreparedChange {
    pub member: Member,
    pub function: &'static str,
    method: Method,
    path: &'static str,
    body: Value,
}

impl PreparedChange {
    pub async fn new(kind: ChangeKind, bundle: &Bundle) -> Self {
        static MEMBERS: AtomicUsize = AtomicUsize::new(0);
        let number = MEMBERS.fetch_add(1, Ordering::Relaxed);
        let (phone, new_phone) = (&format!("139{number:08}"), &format!("138{number:08}"));
        let (email, new_email) = (&format!("{number}@example.com"), &format!("{number}@example.org"));
        let mut new = json!({ "phone": phone, "email": email, "password": OLD_PASSWORD });
        match kind {
            ChangeKind::PhoneBound => new["phone"] = Value::Null,
            ChangeKind::MailBound => new["email"] = Value::Null,
            ChangeKind::PayPasswordByOld | ChangeKind::PayPasswordByCode | ChangeKind::PayPasswordByGrant => {
                new["payPassword"] = json!(PIN);
            }
            _ => (),
        }
        let member = bundle.member_with(new).await;
        let caller = Some(&member);
        let (function, method, path, body) = match kind {
            ChangeKind::PasswordByMessage => {
                let (phone_info, code) = bundle.request_change_code(&member).await;
                let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": "a-new-password" });
                ("change-password-by-message", Method::POST, CHANGE_BY_MESSAGE, body)
            }
            ChangeKind::PasswordByOld => {
                let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": "a-new-password" });
                ("change-password", Method::PUT, CHANGE, body)
            }
            ChangeKind::PasswordByGrant => {
                let grant = bundle.grant(&bundle.request_sms_code(None, phone).await).await;
                let body =
                    json!({ "phone": phone, "passwordFirst": "a-new-password", "verification": grant });
                ("recover-password", Method::PUT, RECOVERY, body)
            }
            ChangeKind::PhoneBound | ChangeKind::PhoneReplaced => {
                let (_, code) = bundle.request_sms_code(caller, new_phone).await;
                let body = json!({ "phone": new_phone, "message": code, "password": OLD_PASSWORD });
                ("bind-phone", Method::PUT, BIND_PHONE, body)
            }
            ChangeKind::PayPasswordSet => {
                ("set-pay-password", Method::PUT, SET_PAY_PASSWORD, json!({ "payPasswordFirst": NEW_PIN }))
            }
            ChangeKind::PayPasswordByOld => {
                let body = json!({ "oldPassword": PIN, "payPasswordFirst": NEW_PIN });
                ("update-pay-password", Method::PUT, UPDATE_PAY_PASSWORD, body)
            }
            ChangeKind::PayPasswordByCode => {
                let (_, code) = bundle.request_sms_code(caller, phone).await;
                (
                    "reset-pay-password",
                    Method::PUT,
                    RESET_PAY_PASSWORD,
                    json!({ "phone": phone, "message": code }),
                )
            }
            ChangeKind::PayPasswordByGrant => {
                let grant = bundle.grant(&bundle.request_sms_code(caller, phone).await).await;
                let body = json!({ "phone": phone, "verification": grant });
                ("reset-pay-password", Method::PUT, RESET_PAY_PASSWORD, body)
            }
            ChangeKind::MailBound | ChangeKind::MailForGrant => {
                let (caller, email) =
                    if kind == ChangeKind::MailBound { (caller, new_email) } else { (None, email) };
                let (verification, code) = bundle.request_email_code(caller, email).await;
                let body = json!({ "verification": verification, "code": code });
                ("verify-mail", Method::POST, VERIFY_MAIL, body)
            }
            ChangeKind::SmsForGrant => {
                let (verification, code) = bundle.request_sms_code(None, phone).await;
                let body = json!({ "verification": verification, "message": code });
                ("verify-recovery-code", Method::POST, RECOVERY, body)
            }
            ChangeKind::ChangeReported => {
                let (_, code) = bundle.request_sms_code(caller, new_phone).await;
                let body = json!({ "phone": new_phone, "message": code, "password": OLD_PASSWORD });
                bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
                let body = json!({ "verification": bundle.report_link(email).await });
                ("report-change", Method::POST, NOT_ME, body)
            }
            ChangeKind::ClosedByPassword => {
                ("close-account", Method::DELETE, CLOSE, json!({ "password": OLD_PASSWORD }))
            }
            ChangeKind::ClosedBySms => {
                let (verification, code) = bundle.request_closing_by_sms(&member, phone).await;
                let body = json!({ "message": code, "verification": verification });
                ("close-account", Method::DELETE, CLOSE, body)
            }
            ChangeKind::ClosedByMail => {
                let (verification, code) = bundle.request_closing_by_mail(&member, email).await;
                let body = json!({ "message": code, "verification": verification });
                ("close-account", Method::DELETE, CLOSE, body)
            }
        };
        Self { member, function, method, path, body }
    }

    /// Returns the change with a wrong value for this parameter, or `None` if it does not take the parameter.
    pub fn with_wrong(&self, parameter: &str) -> Option<Self> {
        let mut body = self.body.clone();
        let correct = body.get(parameter)?.as_str()?;
        body[parameter] = json!(if correct.starts_with('1') { "2" } else { "1" }.repeat(correct.len()));
        Some(Self { member: self.member.clone(), method: self.method.clone(), body, ..*self })
    }

    /// Returns the call that makes the change.
    pub fn call(&self, bundle: &Bundle) -> Call {
        let with_session = ![RECOVERY, VERIFY_MAIL, NOT_ME].contains(&self.path);
        let call = bundle.call(self.method.clone(), self.path);
        call.session_of(with_session.then_some(&self.member)).with_json(&self.body)
    }

    pub async fn commit(&self, bundle: &Bundle) -> Response {
        self.call(bundle).send().await
    }
}

/// The prefixes of the partitions that contain counters.
const COUNTERS: [&str; 5] = ["failures#", "source#", "calling-code#", "mail", "notices#"];

/// The table's items at one moment.
pub struct TableSnapshot(BTreeMap<(String, String), Map<String, Value>>);

impl TableSnapshot {
    /// Reads the table after every queued notice is delivered.
    pub async fn take(bundle: &Bundle) -> Self {
        bundle.settled().await;
        let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
        let items = bundle.items().await.into_iter();
        Self(
            items
                .map(|item| ((text(&item, "pk"), text(&item, "sk")), item.as_object().unwrap().clone()))
                .collect(),
        )
    }

    /// Returns the writes since then, by kind of item and name of attribute. Counters are excluded, because they
    /// are written before or after a change, or expire with the hour.
    pub async fn diff(&self, bundle: &Bundle) -> Vec<String> {
        let now = Self::take(bundle).await;
        let keys: BTreeSet<_> = self.0.keys().chain(now.0.keys()).collect();
        let mut changed: Vec<_> = keys
            .into_iter()
            .filter(|(pk, _)| !COUNTERS.iter().any(|counter| pk.starts_with(counter)))
            .filter_map(|key| {
                let kind = [&key.0, &key.1].map(|part| part.split('#').next().unwrap()).join(" ");
                // The sort key of an audit record is its time.
                let kind = if kind.starts_with("audit ") { "audit".to_owned() } else { kind };
                match (self.0.get(key), now.0.get(key)) {
                    (Some(before), Some(after)) => {
                        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
                        let changed = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
                        let changed: Vec<_> = changed
                            .filter(|name| !["tries", "last"].contains(&name.as_str()))
                            .cloned()
                            .collect();
                        (!changed.is_empty()).then(|| format!("{kind}: {}", changed.join(" ")))
                    }
                    (None, _) => Some(format!("{kind} is new")),
                    (_, None) => Some(format!("{kind} is deleted")),
                }
            })
            .collect();
        changed.sort();
        changed
    }
}

/// Returns the effect on the table of a change of this kind that is not interrupted.
pub async fn complete_effect(kind: ChangeKind, bundle: &Bundle) -> Vec<String> {
    let change = PreparedChange::new(kind, bundle).await;
    let before = TableSnapshot::take(bundle).await;
    change.commit(bundle).await.ok();
    let changed = before.diff(bundle).await;
    assert!(!changed.is_empty(), "{kind:?}");
    changed
}
