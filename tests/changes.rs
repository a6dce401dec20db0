//! Every change that a member can make, and what it does to the table.

use crate::bundle::{
    Answer, BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, Call, Member, NEW_PIN, OLD_PASSWORD, PIN,
    RECOVERY, RESET_PAY_PASSWORD, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, VERIFY_MAIL,
};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Settings under which many members may make changes soon after each other.
pub const MANY: [(&str, &str); 4] = [
    ("SOURCE_SENDS_PER_HOUR", "100000"),
    ("REGION_SENDS_PER_HOUR", "1000000"),
    // The least that is allowed: what is tested here is not the hash.
    ("ARGON2_MEMORY_KIB", "7168"),
    ("ARGON2_PASSES", "1"),
];

/// A kind of change, by the proof that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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
}

impl Kind {
    pub const ALL: [Self; 12] = [
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
    ];
}

/// A change for which a new member has everything but made the call.
pub struct Change {
    pub member: Member,
    pub function: &'static str,
    method: Method,
    path: &'static str,
    body: Value,
}

impl Change {
    pub async fn of(kind: Kind, bundle: &Bundle) -> Self {
        static MEMBERS: AtomicUsize = AtomicUsize::new(0);
        let number = MEMBERS.fetch_add(1, Ordering::Relaxed);
        let (phone, new_phone) = (&format!("139{number:08}"), &format!("138{number:08}"));
        let (email, new_email) = (&format!("{number}@example.com"), &format!("{number}@example.org"));
        let mut new = json!({ "phone": phone, "email": email, "password": OLD_PASSWORD });
        match kind {
            Kind::PhoneBound => new["phone"] = Value::Null,
            Kind::MailBound => new["email"] = Value::Null,
            Kind::PayPasswordByOld | Kind::PayPasswordByCode | Kind::PayPasswordByGrant => {
                new["payPassword"] = json!(PIN);
            }
            _ => (),
        }
        let member = bundle.member_with(new).await;
        let who = Some(&member);
        let (function, method, path, body) = match kind {
            Kind::PasswordByMessage => {
                let (phone_info, code) = bundle.ask(&member).await;
                let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": "a-new-password" });
                ("change-password-by-message", Method::POST, CHANGE_BY_MESSAGE, body)
            }
            Kind::PasswordByOld => {
                let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": "a-new-password" });
                ("change-password", Method::PUT, CHANGE, body)
            }
            Kind::PasswordByGrant => {
                let grant = bundle.grant(&bundle.ask_by_sms(None, phone).await).await;
                let body =
                    json!({ "phone": phone, "passwordFirst": "a-new-password", "verification": grant });
                ("recover-password", Method::PUT, RECOVERY, body)
            }
            Kind::PhoneBound | Kind::PhoneReplaced => {
                let (_, code) = bundle.ask_by_sms(who, new_phone).await;
                let body = json!({ "phone": new_phone, "message": code, "password": OLD_PASSWORD });
                ("bind-phone", Method::PUT, BIND_PHONE, body)
            }
            Kind::PayPasswordSet => {
                ("set-pay-password", Method::PUT, SET_PAY_PASSWORD, json!({ "payPasswordFirst": NEW_PIN }))
            }
            Kind::PayPasswordByOld => {
                let body = json!({ "oldPassword": PIN, "payPasswordFirst": NEW_PIN });
                ("update-pay-password", Method::PUT, UPDATE_PAY_PASSWORD, body)
            }
            Kind::PayPasswordByCode => {
                let (_, code) = bundle.ask_by_sms(who, phone).await;
                (
                    "reset-pay-password",
                    Method::PUT,
                    RESET_PAY_PASSWORD,
                    json!({ "phone": phone, "message": code }),
                )
            }
            Kind::PayPasswordByGrant => {
                let grant = bundle.grant(&bundle.ask_by_sms(who, phone).await).await;
                let body = json!({ "phone": phone, "verification": grant });
                ("reset-pay-password", Method::PUT, RESET_PAY_PASSWORD, body)
            }
            Kind::MailBound | Kind::MailForGrant => {
                let (who, email) = if kind == Kind::MailBound { (who, new_email) } else { (None, email) };
                let (verification, code) = bundle.ask_by_mail(who, email).await;
                let body = json!({ "verification": verification, "code": code });
                ("verify-mail", Method::POST, VERIFY_MAIL, body)
            }
            Kind::SmsForGrant => {
                let (verification, code) = bundle.ask_by_sms(None, phone).await;
                let body = json!({ "verification": verification, "message": code });
                ("verify-recovery-code", Method::POST, RECOVERY, body)
            }
        };
        Self { member, function, method, path, body }
    }

    /// The same with another value for a parameter, if it takes that one.
    pub fn with_wrong(&self, parameter: &str) -> Option<Self> {
        let mut body = self.body.clone();
        let right = body.get(parameter)?.as_str()?;
        body[parameter] = json!(if right.starts_with('1') { "2" } else { "1" }.repeat(right.len()));
        Some(Self { member: self.member.clone(), method: self.method.clone(), body, ..*self })
    }

    /// The call.
    pub fn call(&self, bundle: &Bundle) -> Call {
        let with_session = ![RECOVERY, VERIFY_MAIL].contains(&self.path);
        let call = bundle.call(self.method.clone(), self.path);
        call.of(with_session.then_some(&self.member)).with_json(&self.body)
    }

    pub async fn make(&self, bundle: &Bundle) -> Answer {
        self.call(bundle).send().await
    }
}

/// What the partitions of counts begin with.
const COUNTS: [&str; 3] = ["failures#", "source#", "calling-code#"];

/// The table at a moment.
pub struct Table(BTreeMap<(String, String), Map<String, Value>>);

impl Table {
    /// Once everything is delivered that was queued so far.
    pub async fn of(bundle: &Bundle) -> Self {
        bundle.settled().await;
        let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
        let items = bundle.items().await.into_iter();
        Self(
            items
                .map(|item| ((text(&item, "pk"), text(&item, "sk")), item.as_object().unwrap().clone()))
                .collect(),
        )
    }

    /// What was written since then, by kinds of items and names of attributes. Counts, which come before a
    /// change or after it, or end with the hour, are no part of it.
    pub async fn changed(&self, bundle: &Bundle) -> Vec<String> {
        let now = Self::of(bundle).await;
        let keys: BTreeSet<_> = self.0.keys().chain(now.0.keys()).collect();
        let mut changed: Vec<_> = keys
            .into_iter()
            .filter(|(pk, _)| !COUNTS.iter().any(|count| pk.starts_with(count)))
            .filter_map(|key| {
                let kind = [&key.0, &key.1].map(|part| part.split('#').next().unwrap()).join(" ");
                // A record's sort key is its moment.
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
                    (_, None) => Some(format!("{kind} is gone")),
                }
            })
            .collect();
        changed.sort();
        changed
    }
}

/// What a change of that kind does to the table when nothing comes in between.
pub async fn whole(kind: Kind, bundle: &Bundle) -> Vec<String> {
    let change = Change::of(kind, bundle).await;
    let before = Table::of(bundle).await;
    change.make(bundle).await.ok();
    let changed = before.changed(bundle).await;
    assert!(!changed.is_empty(), "{kind:?}");
    changed
}
