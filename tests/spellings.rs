//! Codes, phones, addresses, languages and dates as people type and paste them, and as other programs write them.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE_BY_MESSAGE, EMAIL, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD, OTHER_EMAIL,
        OTHER_PHONE, PHONE, PIN, RECOVERY, RESET_PAY_PASSWORD, SEND, SEND_CODE, SEND_MAIL,
        UPDATE_PAY_PASSWORD, VERIFY_MAIL, e164, root,
    },
    proxy::{MAIL, Proxy},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use shared::{clock::Timestamp, keys::KeyPurpose};
use std::process::Command;

/// Returns the code in full-width digits.
fn full_width(code: &str) -> String {
    code.chars().map(|digit| char::from_u32('０' as u32 + digit.to_digit(10).unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn every_endpoint_accepts_pasted_codes() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;

    let (phone_info, code) = bundle.request_change_code(&member).await;
    let code = format!("\u{feff} {}\r\n", full_width(&code));
    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    let changed = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await.ok();
    let token = changed.token();
    let put = async |path: &str, body: Value| {
        bundle.call(Method::PUT, path).session(token).json(&body).await.ok();
    };

    let caller = bundle.logged_in(&member, 0).await;
    let (_, code) = bundle.request_sms_code(Some(&caller), OTHER_PHONE).await;
    let code = format!(" {}\u{200b} {} ", &code[..3], &code[3..]);
    put(BIND_PHONE, json!({ "phone": format!("\u{202d}{OTHER_PHONE}\u{202c}"), "message": code })).await;

    bundle.age("member#", 86_400).await;
    bundle.age("sent#", 120).await;
    let (_, code) = bundle.request_sms_code(Some(&caller), OTHER_PHONE).await;
    let code = format!("{}-{}", &code[..3], &code[3..]);
    put(RESET_PAY_PASSWORD, json!({ "phone": OTHER_PHONE, "message": code })).await;

    bundle.age("sent#", 120).await;
    let (verification, code) = bundle.request_sms_code(None, OTHER_PHONE).await;
    let code = format!("【云商城】验证码：{code}，请勿泄露。");
    bundle.grant(&(verification, code)).await;

    let (verification, code) = bundle.request_email_code(None, EMAIL).await;
    bundle.grant_by_mail(&(verification, format!("\u{a0}{code}\t"))).await;
}

#[tokio::test]
async fn impossible_code_costs_no_attempt() {
    let limits = [("CODE_MAX_ATTEMPTS", "1"), ("FAILURES_PER_DAY", "1"), ("PASSWORD_MAX_FAILURES", "1")];
    let bundle = Bundle::with(&limits).await;
    let member = bundle.member().await;
    let old = bundle.logged_in(&member, 901).await;
    let to_change = bundle.request_change_code(&member).await;
    let to_bind = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    bundle.age("sent#", 120).await;
    let to_reset = bundle.request_sms_code(Some(&member), PHONE).await;
    bundle.age("sent#", 120).await;
    let to_recover = bundle.request_sms_code(None, PHONE).await;
    let by_mail = bundle.request_email_code(None, EMAIL).await;
    bundle.settled().await;

    let change = async |code: &str, old_password: Option<&str>| {
        let body = json!({
            "phoneInfo": to_change.0, "code": code, "newPassword": NEW_PASSWORD, "oldPassword": old_password,
        });
        bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await
    };
    let bind = async |code: &str, password: &str| {
        let body = json!({ "phone": OTHER_PHONE, "message": code, "password": password });
        bundle.call(Method::PUT, BIND_PHONE).session(&old.token).json(&body).await
    };
    let reset = async |code: &str| {
        let body = json!({ "phone": PHONE, "message": code, "verification": to_reset.0 });
        bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token).json(&body).await
    };
    let recover = async |code: &str| {
        let body = json!({ "verification": to_recover.0, "message": code });
        bundle.call(Method::POST, RECOVERY).json(&body).await
    };
    let recover_by_mail = async |code: &str| {
        let body = json!({ "verification": by_mail.0, "code": code });
        bundle.call(Method::POST, VERIFY_MAIL).json(&body).await
    };
    for typed in ["12345", "1234567890123", "undefined", "[object Object]", "你好"] {
        // The code is read before a wrong password is counted.
        for refused in [
            change(typed, Some("a-wrong-password")).await,
            bind(typed, "a-wrong-password").await,
            reset(typed).await,
            recover(typed).await,
            recover_by_mail(typed).await,
        ] {
            assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"), "{typed}");
            assert_eq!(refused.body.get("attemptsLeft"), None, "{typed}");
        }
    }
    let items = bundle.items().await;
    assert!(
        items.iter().all(|item| !item["pk"]["S"].as_str().unwrap().starts_with("failures#")),
        "{items:#?}"
    );
    recover(&to_recover.1).await.ok();
    recover_by_mail(&by_mail.1).await.ok();
    reset(&to_reset.1).await.ok();
    bind(&to_bind.1, OLD_PASSWORD).await.ok();
}

#[tokio::test]
async fn every_spelling_of_a_phone_reaches_it() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    for (number, phone) in [
        "\u{202a}+86 136 2714 0483\u{202c}",
        "tel:+86-136-2714-0483",
        "（＋８６）１３６２７１４０４８３",
        "86 13627140483",
        "008613627140483",
        "013627140483",
    ]
    .into_iter()
    .enumerate()
    {
        bundle.call(Method::GET, SEND_CODE).query(&[("phone", phone)]).send().await.ok();
        assert_eq!(bundle.sent_to(&e164(PHONE)).await.len(), number + 1, "{phone}");
        // The same phone within the resend cooldown.
        let again = bundle.call(Method::GET, SEND_CODE).query(&[("phone", PHONE)]).send().await;
        assert_eq!(again.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"), "{phone}");
        bundle.age("sent#", 7_200).await;
    }
}

#[tokio::test]
async fn every_spelling_of_a_mailbox_recovers_its_member() {
    let bundle = Bundle::start().await;
    bundle.member_with(json!({ "email": "Sun.Li@bücher.example", "password": OLD_PASSWORD })).await;
    for (number, email) in [
        "sun.li@bücher.example",
        "SUN.LI@XN--BCHER-KVA.EXAMPLE",
        "ｓｕｎ．ｌｉ＠bücher。example",
        "\u{feff}mailto:Sun.Li@BÜCHER.example\u{200b}\n",
    ]
    .into_iter()
    .enumerate()
    {
        bundle.call(Method::POST, SEND_MAIL).form(&[("email", email)]).await.ok();
        let sent = bundle.sent_to("Sun.Li@xn--bcher-kva.example").await.len();
        assert_eq!((sent, bundle.stack.messages().len()), (number + 1, number + 1), "{email}");
        bundle.age("sent#", 7_200).await;
    }
}

#[tokio::test]
async fn address_without_a_mailbox_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for email in [
        "用户@example.com",
        "zoé@example.com",
        "li@1.2.3.4",
        "li@[1.2.3.4]",
        "li@example.com.",
        "\"li\"@example.com",
        "li @example.com",
        "Li <li@example.com>",
        "undefined",
    ] {
        for caller in [None, Some(&member)] {
            let call = bundle.call(Method::POST, SEND_MAIL).session_of(caller);
            assert_eq!(call.form(&[("email", email)]).await.refusal(), (400, "{EMAIL}_NOT_VALID"), "{email}");
        }
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages(), []);
}

#[tokio::test]
async fn purpose_is_accepted_in_any_case() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let send = async |caller, phone: &str, purpose: &str| {
        let call = bundle.call(Method::GET, SEND_CODE).session_of(caller);
        call.query(&[("phone", phone), ("purpose", purpose)]).send().await
    };
    for (caller, phone, purpose) in
        [(Some(&member), PHONE, "PAY"), (Some(&member), OTHER_PHONE, "Bind"), (None, PHONE, " RECOVER ")]
    {
        send(caller, phone, purpose).await.ok();
    }
    let refused = send(Some(&member), OTHER_PHONE, "Pay").await;
    assert_eq!(refused.refusal(), (400, "USER_PHONE_NOT_MATCH"));
    assert_eq!(send(None, PHONE, "BIND").await.refusal(), (401, "INVALID_TOKEN"));
    for purpose in ["undefined", "payment"] {
        assert_eq!(send(Some(&member), PHONE, purpose).await.refusal(), (400, "BODY_NOT_VALID"));
    }
}

#[tokio::test]
async fn full_width_pay_password_is_the_same() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "phone": PHONE, "payPassword": PIN })).await;
    let update = async |old: &str, new: &str| {
        let body = json!({ "oldPassword": old, "payPasswordFirst": new });
        bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&body).await.ok();
    };
    update(&full_width(PIN), &full_width(NEW_PIN)).await;
    update(NEW_PIN, PIN).await;
}

#[tokio::test]
async fn unchanged_pin_is_refused_in_every_spelling() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "phone": PHONE, "payPassword": PIN })).await;
    for (old, new) in [(PIN, PIN), (&full_width(PIN), PIN), (PIN, &full_width(PIN))] {
        let body = json!({ "oldPassword": old, "payPasswordFirst": new });
        let refused = bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&body).await;
        assert_eq!(refused.refusal(), (400, "{PAY_PASSWORD}_NOT_VALID"), "{old} {new}");
    }
}

#[tokio::test]
async fn languages_of_every_notation_are_honoured() {
    let english = "Your session has expired or is not valid. Please log in again.";
    let chinese = "登录已过期或无效，请重新登录";
    for (default, expected) in [
        ("zh-CN", &[("en_US", english), ("en-US,*;q=0.5", english), ("yue", chinese), ("*", chinese)][..]),
        (
            "en",
            &[
                ("zh_CN", chinese),
                ("yue-Hant-HK", chinese),
                ("en;q=0", chinese),
                ("en;q=", english),
                ("*", english),
            ],
        ),
    ] {
        let bundle = Bundle::with(&[("DEFAULT_LANGUAGE", default)]).await;
        for (language, message) in expected {
            let refused = bundle.call(Method::POST, SEND).header("accept-language", language).send().await;
            assert_eq!(refused.body["message"], *message, "{default} {language}");
        }
    }
}

#[tokio::test]
async fn session_with_fractional_dates_is_accepted() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let now = Timestamp::now().0;
    let session = |changed: Value| {
        let mut claims = json!({
            "sub": member.id, "ver": bundle.claims(&member.token).credential_version,
            "iat": now, "exp": now + 600, "auth_time": now, "iss": "account-security", "aud": "account-security",
        });
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let keys = bundle.keys();
        let header = Header { kid: Some(keys.current().id.clone()), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(keys.current().bytes(KeyPurpose::Session));
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let seconds = |seconds: u64, fraction: &str| -> Value {
        serde_json::from_str(&format!("{seconds}{fraction}")).unwrap()
    };
    for (claims, is_valid) in [
        (
            json!({ "iat": seconds(now, ".25"), "auth_time": seconds(now, ".25"), "exp": seconds(now + 600, ".25") }),
            true,
        ),
        (json!({ "nbf": seconds(now, ".5"), "auth_time": seconds(now, "e0") }), true),
        (json!({ "auth_time": seconds(now, "000") }), false),
        (json!({ "auth_time": seconds(now, "000"), "exp": seconds(now + 600, "000") }), false),
        (json!({ "exp": seconds(now + 600, "000") }), false),
        (json!({ "nbf": seconds(now + 400, ".5") }), false),
        (json!({ "auth_time": -1.5 }), false),
        (json!({ "auth_time": now.to_string() }), false),
    ] {
        let sent = bundle.call(Method::POST, SEND).session(&session(claims.clone())).send().await;
        if is_valid {
            bundle.age("sent#", 120).await;
            // The renewed session retains the second of the login.
            assert_eq!(bundle.claims(sent.ok().token()).auth_time, Timestamp(now), "{claims}");
        } else {
            assert_eq!(sent.refusal(), (401, "INVALID_TOKEN"), "{claims}");
        }
    }
}

#[tokio::test]
async fn email_is_sent_under_the_encoded_name() {
    let sender = ("MAIL_FROM", "云商城 <no-reply@example.com>");
    let (proxy, bundle) = Proxy::between(MAIL, &[sender]).await;
    let member = bundle.member().await;
    bundle.request_email_code(Some(&member), OTHER_EMAIL).await;
    let request: Value = serde_json::from_str(&proxy.bodies()[0]).unwrap();
    assert_eq!(request["FromEmailAddress"], "=?utf-8?b?5LqR5ZWG5Z+O?= <no-reply@example.com>");
}

#[test]
fn setting_that_cannot_work_stops_the_function() {
    let environment = [
        ("MAIL_LINK_BASE_URL", "app.example.com"),
        ("WEB_OTP_DOMAIN", "https://app.example.com/"),
        ("MAIL_FROM", "云商城"),
        ("TABLE_NAME", "t"),
        ("KEYS", "{}"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let mut function = Command::new(env!("CARGO_BIN_EXE_send-mail"));
    let ended = function.env_clear().envs(environment).current_dir(root()).output().unwrap();
    assert!(!ended.status.success());
    let log = String::from_utf8(ended.stdout).unwrap();
    for name in ["MAIL_LINK_BASE_URL", "WEB_OTP_DOMAIN", "MAIL_FROM"] {
        assert!(log.contains(&format!("{name} must be ")), "{name}: {log}");
    }
}
