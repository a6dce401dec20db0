//! 发送验证码, 绑定手机确认: a member binds a phone with the code that was sent to it.

use crate::bundle::{
    BIND_PHONE, Bundle, CHANGE, EMAIL, Member, OLD_PASSWORD, OTHER_PHONE, PHONE, Response, SEND, SEND_CODE,
    e164, wrong_code,
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::password::{Password, PasswordPolicy};

const NEW_PHONE: &str = "13912345678";

async fn bind(bundle: &Bundle, member: &Member, body: &Value) -> Response {
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(body).await
}

/// Requests a code to this phone and binds it.
async fn request_and_bind(bundle: &Bundle, member: &Member, phone: &str) -> Response {
    let (_, code) = bundle.request_sms_code(Some(member), phone).await;
    bind(bundle, member, &json!({ "message": code, "phone": phone })).await.ok()
}

async fn without_phone(bundle: &Bundle) -> Member {
    bundle.member_with(json!({ "password": OLD_PASSWORD })).await
}

#[tokio::test]
async fn bind_phone_with_documented_calls_succeeds() {
    let bundle = Bundle::start().await;
    let member = without_phone(&bundle).await;

    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
    let sent = call.query(&[("phone", NEW_PHONE)]).send().await.documented(200);
    assert_eq!((sent.body["expiresIn"].as_u64(), sent.body["resendIn"].as_u64()), (Some(300), Some(120)));
    assert_eq!(sent.headers["authorization"], format!("Bearer {}", sent.token()));
    let cookie = (sent.verification(), "HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=300");
    assert_eq!(sent.cookie(), cookie);
    let code = bundle.code_to("+8613912345678").await;
    assert_eq!(code.len(), 6);

    let call = bundle.call(Method::PUT, BIND_PHONE).session(sent.token());
    let response = call.form(&[("message", &code), ("phone", NEW_PHONE)]).await.documented(201);
    assert_eq!(response.headers["authorization"], format!("Bearer {}", response.token()));
    let stored = bundle.inspect(&member).await;
    assert_eq!(stored["phone"], "+8613912345678");
    assert_eq!(stored["audit"][0]["action"], "phone-bound");
    assert_eq!(bundle.owner("phone#+8613912345678").await, Some(member.id));
}

#[tokio::test]
async fn replaced_phone_becomes_free_for_other_members() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    request_and_bind(&bundle, &member, NEW_PHONE).await;
    let stored = bundle.inspect(&member).await;
    assert_eq!(stored["phone"], "+8613912345678");
    assert_eq!(stored["audit"][0]["action"], "phone-replaced");
    assert_eq!(bundle.owner("phone#+8613912345678").await.as_ref(), Some(&member.id));

    let other = without_phone(&bundle).await;
    request_and_bind(&bundle, &other, PHONE).await;
    assert_eq!(bundle.owner("phone#+8613627140483").await, Some(other.id));
    // The member still owns the email address.
    assert_eq!(bundle.owner("email#li@example.com").await, Some(member.id));
}

#[tokio::test]
async fn recovery_code_goes_only_to_the_new_phone() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    request_and_bind(&bundle, &member, NEW_PHONE).await;
    bundle.age("sent#phone#", 120).await;
    let codes = bundle.stack.messages().iter().filter(|message| message.code.is_some()).count();
    for phone in [PHONE, NEW_PHONE] {
        bundle.call(Method::GET, SEND_CODE).query(&[("phone", phone)]).send().await.ok();
    }
    bundle.settled().await;
    let messages = bundle.stack.messages();
    let sent: Vec<_> = messages.iter().filter(|message| message.code.is_some()).collect();
    assert_eq!(sent.len(), codes + 1, "{sent:#?}");
    assert_eq!(sent[0].to, e164(NEW_PHONE));
}

#[tokio::test]
async fn sessions_survive_a_phone_change() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let elsewhere = bundle.logged_in(&member, 86_400).await;
    let renewed = request_and_bind(&bundle, &member, NEW_PHONE).await;
    assert_eq!(bundle.inspect(&member).await["credentialVersion"], 1);
    for token in [&elsewhere.token, &member.token, renewed.token()] {
        let call = bundle.call(Method::PUT, BIND_PHONE).session(token);
        assert_eq!(call.json(&json!({})).await.refusal(), (400, "{MESSAGE}_REQUIRED"));
    }
}

#[tokio::test]
async fn phone_change_notifies_both_phones_and_the_email() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    request_and_bind(&bundle, &member, NEW_PHONE).await;
    for to in [&e164(PHONE), &e164(NEW_PHONE), EMAIL] {
        assert_eq!(bundle.notices_to(to).await.len(), 1, "{to}");
    }
}

#[tokio::test]
async fn phone_format_does_not_affect_binding() {
    let bundle = Bundle::start().await;
    let member = without_phone(&bundle).await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    bind(&bundle, &member, &json!({ "message": code, "phone": "+86 139-1234-5678" })).await.ok();
    assert_eq!(bundle.inspect(&member).await["phone"], "+8613912345678");
}

#[tokio::test]
async fn invalid_bind_names_its_parameter_and_binds_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (verification, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    assert_eq!(bundle.call(Method::PUT, BIND_PHONE).send().await.refusal(), (401, "INVALID_TOKEN"));
    let wrong = wrong_code(&code);
    for (body, expected) in [
        (json!({}), "{MESSAGE}_REQUIRED"),
        (json!({ "phone": NEW_PHONE, "message": " " }), "{MESSAGE}_REQUIRED"),
        (json!({ "message": code }), "{PHONE}_REQUIRED"),
        (json!({ "message": code, "phone": "hello" }), "{PHONE}_NOT_VALID"),
        (json!({ "message": code, "phone": "+12025550123" }), "{PHONE}_NOT_VALID"),
        (
            json!({ "message": wrong, "phone": NEW_PHONE, "verification": "forged" }),
            "{VERIFICATION}_NOT_VALID",
        ),
        (json!({ "message": wrong, "phone": NEW_PHONE, "verification": verification }), "{CODE}_NOT_VALID"),
        (json!({ "message": wrong, "phone": NEW_PHONE }), "{CODE}_NOT_VALID"),
        (json!({ "message": "no digits", "phone": NEW_PHONE }), "{CODE}_NOT_VALID"),
        (json!({ "message": code, "phone": OTHER_PHONE }), "{CODE}_NOT_VALID"),
    ] {
        assert_eq!(bind(&bundle, &member, &body).await.refusal(), (400, expected), "{body}");
    }
    assert_eq!(bundle.inspect(&member).await["phone"], "+8613627140483");
    bind(&bundle, &member, &json!({ "message": code, "phone": NEW_PHONE, "verification": verification }))
        .await
        .ok();
}

#[tokio::test]
async fn invalid_send_names_its_parameter_and_sends_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (member, anonymous, forged) = (Some(member.token.as_str()), None, Some("a.b.c"));
    for (session, query, expected) in [
        (member, vec![], (400, "{PHONE}_REQUIRED")),
        (anonymous, vec![], (400, "{PHONE}_REQUIRED")),
        (member, vec![("phone", "1362714048")], (400, "{PHONE}_NOT_VALID")),
        (anonymous, vec![("phone", "+12025550123")], (400, "{PHONE}_NOT_VALID")),
        (member, vec![("phone", PHONE), ("purpose", "else")], (400, "BODY_NOT_VALID")),
        (member, vec![("phone", NEW_PHONE), ("purpose", "pay")], (400, "USER_PHONE_NOT_MATCH")),
        (anonymous, vec![("phone", PHONE), ("purpose", "bind")], (401, "INVALID_TOKEN")),
        (anonymous, vec![("phone", PHONE), ("purpose", "pay")], (401, "INVALID_TOKEN")),
        (forged, vec![("phone", PHONE)], (401, "INVALID_TOKEN")),
        (forged, vec![("phone", PHONE), ("purpose", "recover")], (401, "INVALID_TOKEN")),
    ] {
        let call = bundle.call(Method::GET, SEND_CODE);
        let call = if let Some(token) = session { call.session(token) } else { call };
        assert_eq!(call.query(&query).send().await.refusal(), expected, "{query:?}");
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages(), []);
}

#[tokio::test]
async fn resend_cooldown_covers_purposes_of_a_member() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bundle.request_sms_code(Some(&member), PHONE).await;
    for purpose in ["pay", "bind"] {
        let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
        let refused = call.query(&[("phone", PHONE), ("purpose", purpose)]).send().await;
        assert_eq!(refused.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"), "{purpose}");
        let seconds = refused.body["retryAfter"].as_u64().unwrap();
        assert!((100..=120).contains(&seconds), "{seconds}");
        assert_eq!(refused.headers["retry-after"], seconds.to_string());
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages().len(), 1, "a refused send must not send a message");
    bundle.age("sent#phone#", 120).await;
    bundle.request_sms_code(Some(&member), PHONE).await;
}

#[tokio::test]
async fn verification_must_belong_to_the_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let other = bundle.other_member().await;
    let (of_an_earlier_code, _) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    let (of_another_purpose, _) = bundle.request_sms_code(Some(&member), PHONE).await;
    let (of_another_phone, _) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    let (of_a_mail, _) = bundle.request_email_code(Some(&member), EMAIL).await;
    bundle.age("sent#phone#", 120).await;
    let (of_another_member, _) = bundle.request_sms_code(Some(&other), NEW_PHONE).await;
    let of_a_recovery = bundle.request_sms_code(None, PHONE).await;
    let a_grant = bundle.grant(&of_a_recovery).await;
    bundle.age("sent#phone#", 120).await;
    let (phone_info, _) = bundle.request_change_code(&member).await;
    let (its_own, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    for verification in [
        &of_an_earlier_code,
        &of_another_purpose,
        &of_another_phone,
        &of_a_mail,
        &of_another_member,
        &of_a_recovery.0,
        &a_grant,
        &phone_info,
        &its_own[1..],
        &its_own.to_lowercase(),
    ] {
        let body = json!({ "message": code, "phone": NEW_PHONE, "verification": verification });
        let refused = bind(&bundle, &member, &body).await;
        assert_eq!(refused.refusal(), (400, "{VERIFICATION}_NOT_VALID"), "{verification}");
    }
    bind(&bundle, &member, &json!({ "message": code, "phone": NEW_PHONE, "verification": its_own }))
        .await
        .ok();
}

#[tokio::test]
async fn leftover_cookie_does_not_block_binding() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    let call = bundle.call(Method::PUT, BIND_PHONE).session(&member.token);
    let body = json!({ "message": code, "phone": NEW_PHONE });
    call.header("Cookie", "verification=of-yesterday").json(&body).await.ok();
}

#[tokio::test]
async fn code_of_another_purpose_or_member_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let other = bundle.other_member().await;
    let assert_refused = async |code: &str, phone: &str| {
        let refused = bind(&bundle, &member, &json!({ "message": code, "phone": phone })).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"), "{phone}");
    };
    let (_, to_change_the_password) = bundle.request_change_code(&member).await;
    assert_refused(&to_change_the_password, PHONE).await;
    bundle.age("sent#phone#", 120).await;
    let (_, to_reset_the_pay_password) = bundle.request_sms_code(Some(&member), PHONE).await;
    assert_refused(&to_reset_the_pay_password, PHONE).await;
    bundle.age("sent#phone#", 120).await;
    let (_, to_recover) = bundle.request_sms_code(None, OTHER_PHONE).await;
    assert_refused(&to_recover, OTHER_PHONE).await;
    let (_, of_the_other) = bundle.request_sms_code(Some(&other), NEW_PHONE).await;
    assert_refused(&of_the_other, NEW_PHONE).await;
    bind(&bundle, &other, &json!({ "message": of_the_other, "phone": NEW_PHONE })).await.ok();
}

#[tokio::test]
async fn wrong_codes_count_down_to_the_attempt_limit() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    let body = |code: &str| json!({ "message": code, "phone": NEW_PHONE });
    for left in (0..5).rev() {
        let refused = bind(&bundle, &member, &body(wrong_code(&code))).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(refused.body["attemptsLeft"], left);
    }
    let refused = bind(&bundle, &member, &body(&code)).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert!((1..=120).contains(&refused.body["retryAfter"].as_u64().unwrap()), "{}", refused.text);
    assert_eq!(bundle.inspect(&member).await["phone"], "+8613627140483");
}

#[tokio::test]
async fn code_works_once_within_300_seconds() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    bundle.age("code#", 300).await;
    let body = json!({ "message": code, "phone": NEW_PHONE });
    assert_eq!(bind(&bundle, &member, &body).await.refusal(), (400, "{CODE}_NOT_VALID"));
    bundle.age("sent#phone#", 120).await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    bundle.age("code#", 290).await;
    let body = json!({ "message": code, "phone": NEW_PHONE });
    bind(&bundle, &member, &body).await.ok();
    assert_eq!(bind(&bundle, &member, &body).await.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn old_login_replaces_a_phone_only_with_password() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "2")]).await;
    let member = bundle.member().await;
    let old = bundle.logged_in(&member, 901).await;
    let (_, code) = bundle.request_sms_code(Some(&old), NEW_PHONE).await;
    // More requests than a code allows attempts: without reauthentication none counts as an attempt.
    for message in [wrong_code(&code), wrong_code(&code), wrong_code(&code), &code, &code, &code] {
        let refused = bind(&bundle, &old, &json!({ "message": message, "phone": NEW_PHONE })).await;
        assert_eq!(refused.refusal(), (403, "REAUTHENTICATION_REQUIRED"));
    }
    let mut body = json!({ "message": code, "phone": NEW_PHONE, "password": "wrong" });
    assert_eq!(bind(&bundle, &old, &body).await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    body["password"] = json!(OLD_PASSWORD);
    bind(&bundle, &old, &body).await.ok();
    assert_eq!(bundle.inspect(&member).await["phone"], "+8613912345678");
}

#[tokio::test]
async fn wrong_passwords_beside_a_code_reach_the_lockout() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "2")]).await;
    let old = bundle.logged_in(&bundle.member().await, 901).await;
    let (_, code) = bundle.request_sms_code(Some(&old), NEW_PHONE).await;
    let mut body = json!({ "message": code, "phone": NEW_PHONE, "password": "wrong" });
    for _ in 0..2 {
        assert_eq!(bind(&bundle, &old, &body).await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    }
    body["password"] = json!(OLD_PASSWORD);
    assert_eq!(bind(&bundle, &old, &body).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    bundle.age("failures#", 900).await;
    bind(&bundle, &old, &body).await.ok();
}

#[tokio::test]
async fn correct_password_upgrades_a_cheaper_hash() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let policy = PasswordPolicy { min_code_points: 6, memory_kib: 7 * 1024, passes: 1 };
    let hash = policy.hash(&bundle.keys(), &Password::existing(OLD_PASSWORD)).unwrap();
    let pk = format!("member#{}", member.id);
    let mut item = bundle.item(&pk, "member").await;
    item["password"]["S"] = json!(hash.as_str());
    bundle.dynamodb("PutItem", json!({ "Item": item })).await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    let body = json!({ "message": code, "phone": NEW_PHONE, "password": OLD_PASSWORD });
    bind(&bundle, &member, &body).await.ok();
    let stored = bundle.item(&pk, "member").await["password"]["S"].as_str().unwrap().to_owned();
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1,"), "{stored}");
    assert!(bundle.has_password(&member, OLD_PASSWORD).await);
}

#[tokio::test]
async fn recent_login_replaces_a_phone_without_password() {
    let bundle = Bundle::start().await;
    let recent = bundle.logged_in(&bundle.member().await, 870).await;
    request_and_bind(&bundle, &recent, NEW_PHONE).await;
}

#[tokio::test]
async fn old_login_may_bind_first_or_same_phone() {
    let bundle = Bundle::start().await;
    let old = bundle.logged_in(&without_phone(&bundle).await, 86_400).await;
    request_and_bind(&bundle, &old, NEW_PHONE).await;
    bundle.age("sent#phone#", 120).await;
    let call = bundle.call(Method::GET, SEND_CODE).session(&old.token);
    call.query(&[("phone", NEW_PHONE), ("purpose", "bind")]).send().await.ok();
    let code = bundle.code_to(&e164(NEW_PHONE)).await;
    bind(&bundle, &old, &json!({ "message": code, "phone": NEW_PHONE })).await.ok();
    assert_eq!(bundle.inspect(&old).await["phone"], "+8613912345678");
    assert_eq!(bundle.owner("phone#+8613912345678").await, Some(old.id));
}

#[tokio::test]
async fn only_a_correct_code_reveals_phone_in_use() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let other = bundle.other_member().await;
    let (_, code) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    let body = |code: &str| json!({ "message": code, "phone": OTHER_PHONE });
    let refused = bind(&bundle, &member, &body(wrong_code(&code))).await;
    assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
    assert_eq!(bind(&bundle, &member, &body(&code)).await.refusal(), (409, "PHONE_IN_USE"));
    assert_eq!(bundle.owner("phone#+8613800138000").await.as_ref(), Some(&other.id));
    // The transaction wrote nothing.
    let stored = bundle.inspect(&member).await;
    assert_eq!((&stored["phone"], &stored["audit"]), (&json!("+8613627140483"), &json!([])));
    assert_eq!(bundle.notices_to(EMAIL).await, []);

    // The same code binds the phone once the other member has replaced it.
    request_and_bind(&bundle, &other, NEW_PHONE).await;
    bind(&bundle, &member, &body(&code)).await.ok();
    assert_eq!(bundle.owner("phone#+8613800138000").await, Some(member.id));
}

#[tokio::test]
async fn concurrent_claims_bind_a_phone_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let other = bundle.other_member().await;
    bundle.request_sms_code(Some(&other), NEW_PHONE).await;
    bundle.age("sent#phone#", 120).await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    // Two members bind it while the login service creates a third member with it.
    let responses = bundle
        .concurrently("bind-phone", 40, async |number| match number % 4 {
            0 => {
                let new = json!({ "phone": NEW_PHONE });
                bundle.call(Method::POST, "/_local/members").json(&new).await
            }
            1 => bind(&bundle, &other, &json!({ "message": code, "phone": NEW_PHONE })).await,
            _ => bind(&bundle, &member, &json!({ "message": code, "phone": NEW_PHONE })).await,
        })
        .await;
    let winners: Vec<_> = responses.iter().filter(|response| response.status.is_success()).collect();
    assert_eq!(winners.len(), 1, "{responses:#?}");
    for response in responses.iter().filter(|response| !response.status.is_success()) {
        let expected = [(400, "{CODE}_NOT_VALID"), (429, "TOO_MANY_ATTEMPTS"), (409, "PHONE_IN_USE")];
        assert!(expected.contains(&response.refusal()), "{response:?}");
    }
    let owner = bundle.owner("phone#+8613912345678").await.unwrap();
    let created = winners[0].body["id"].as_str();
    assert_eq!(owner, created.unwrap_or(&member.id));
    let expected = if created.is_some() { e164(PHONE) } else { e164(NEW_PHONE) };
    assert_eq!(bundle.inspect(&member).await["phone"], expected);
    assert_eq!(bundle.inspect(&other).await["phone"], e164(OTHER_PHONE));
}

#[tokio::test]
async fn concurrent_bindings_leave_the_member_one_phone() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let phones = [NEW_PHONE, OTHER_PHONE];
    let codes = [
        bundle.request_sms_code(Some(&member), NEW_PHONE).await.1,
        bundle.request_sms_code(Some(&member), OTHER_PHONE).await.1,
    ];
    let responses = bundle
        .concurrently("bind-phone", 10, async |number| {
            let body = json!({ "message": codes[number % 2], "phone": phones[number % 2] });
            bind(&bundle, &member, &body).await
        })
        .await;
    assert!(responses.iter().any(|response| response.status.is_success()), "{responses:#?}");
    let stored = bundle.inspect(&member).await;
    for phone in [PHONE, NEW_PHONE, OTHER_PHONE].map(e164) {
        let owner = bundle.owner(&format!("phone#{phone}")).await;
        assert_eq!(owner.is_some(), stored["phone"] == phone, "{phone}: {stored}");
    }
}

#[tokio::test]
async fn concurrent_correct_codes_bind_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    let body = json!({ "message": code, "phone": NEW_PHONE });
    let responses =
        bundle.concurrently("bind-phone", 40, async |_| bind(&bundle, &member, &body).await).await;
    assert_eq!(responses.iter().filter(|response| response.status.is_success()).count(), 1, "{responses:#?}");
    assert_eq!(bundle.inspect(&member).await["audit"].as_array().unwrap().len(), 1);
    assert_eq!(bundle.owner("phone#+8613912345678").await, Some(member.id));
}

#[tokio::test]
async fn bound_phone_applies_to_every_other_call() {
    let bundle = Bundle::start().await;
    let member = without_phone(&bundle).await;
    request_and_bind(&bundle, &member, NEW_PHONE).await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PHONE });
    let call = bundle.call(Method::PUT, CHANGE).session(&member.token);
    assert_eq!(call.json(&body).await.refusal(), (400, "{NEW_PASSWORD}_NOT_VALID"));
    bundle.age("sent#phone#", 120).await;
    bundle.call(Method::POST, SEND).session(&member.token).send().await.ok();
    let messages = bundle.sent_to(&e164(NEW_PHONE)).await;
    assert_eq!(messages.iter().filter(|message| message.code.is_some()).count(), 2, "{messages:#?}");
}

#[tokio::test]
async fn right_password_ends_failures_despite_wrong_codes() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "2")]).await;
    let member = bundle.member().await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    let body = |code: &str| json!({ "phone": NEW_PHONE, "message": code, "password": OLD_PASSWORD });
    for _ in 0..3 {
        let refused = bind(&bundle, &member, &body(wrong_code(&code))).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
    }
    bind(&bundle, &member, &body(&code)).await.ok();
}
