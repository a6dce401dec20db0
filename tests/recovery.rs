//! 忘记密码第一步, 忘记密码第二步: a member recovers a forgotten login password through the phone or the mailbox.

use crate::bundle::{
    BIND_PHONE, Bundle, CHANGE, CookieJar, EMAIL, Member, NEW_PASSWORD, OLD_PASSWORD, OTHER_EMAIL,
    OTHER_PHONE, PHONE, RECOVERY, Response, SEND_CODE, SEND_MAIL, VERIFY_MAIL,
};
use reqwest::Method;
use serde_json::{Value, json};

pub async fn verify(bundle: &Bundle, body: &Value) -> Response {
    bundle.call(Method::POST, RECOVERY).json(body).await
}

pub async fn recover(bundle: &Bundle, body: &Value) -> Response {
    bundle.call(Method::PUT, RECOVERY).json(body).await
}

/// Returns a recovery grant for the member with this phone.
pub async fn granted(bundle: &Bundle, phone: &str) -> String {
    bundle.grant(&bundle.request_sms_code(None, phone).await).await
}

#[tokio::test]
async fn browser_recovers_by_sms_with_documented_parameters_only() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let mut jar = CookieJar::new();
    let call = bundle.call(Method::GET, SEND_CODE).cookies(&jar).query(&[("phone", PHONE)]);
    let sent = call.send().await.documented(200);
    assert_eq!((sent.body["expiresIn"].as_u64(), sent.body["resendIn"].as_u64()), (Some(300), Some(120)));
    let expected = (sent.verification(), "HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=300");
    assert_eq!(sent.cookie(), expected);
    jar.store(&sent);

    let code = bundle.code_to("+8613627140483").await;
    let first_step = bundle.call(Method::POST, RECOVERY).cookies(&jar);
    let verified = first_step.form(&[("message", &code)]).await.documented(201);
    assert_eq!(verified.body["expiresIn"], 600);
    let expected = (verified.verification(), "HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=600");
    assert_eq!(verified.cookie(), expected);
    jar.store(&verified);
    let grant = jar.verification().unwrap();
    assert!(
        grant.len() == 43 && grant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    );

    let second_step = bundle.call(Method::PUT, RECOVERY).cookies(&jar);
    let recovered = second_step.form(&[("phone", PHONE), ("passwordFirst", NEW_PASSWORD)]).await;
    assert_eq!(
        (recovered.status.as_u16(), recovered.text.as_str()),
        (201, r#"{"code":"201","msg":"success","data":"success"}"#)
    );
    assert_eq!(recovered.cookie().1, "HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=0");
    jar.store(&recovered);
    assert_eq!(jar.verification(), None);
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn app_recovers_by_sms_with_parameters_only() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let verified = verify(&bundle, &json!({ "message": code, "verification": verification })).await;
    let grant = verified.documented(201).verification().to_owned();
    let body = json!({
        "phone": PHONE, "passwordFirst": NEW_PASSWORD, "passwordSecond": NEW_PASSWORD, "verification": grant,
    });
    recover(&bundle, &body).await.documented(201);
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn parameter_takes_precedence_over_the_cookie() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let cookie = "verification=of-yesterday";
    let body = json!({ "message": code, "verification": verification });
    let verified = bundle.call(Method::POST, RECOVERY).header("Cookie", cookie).json(&body).await.ok();
    let body =
        json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": verified.verification() });
    bundle.call(Method::PUT, RECOVERY).header("Cookie", cookie).json(&body).await.ok();
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn browser_recovers_by_email() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let mut jar = CookieJar::new();
    let sent =
        bundle.call(Method::POST, SEND_MAIL).cookies(&jar).form(&[("email", EMAIL)]).await.documented(200);
    assert_eq!((sent.body["expiresIn"].as_u64(), sent.body["resendIn"].as_u64()), (Some(600), Some(120)));
    let expected = (sent.verification(), "HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=600");
    assert_eq!(sent.cookie(), expected);
    jar.store(&sent);
    let code = bundle.code_to(EMAIL).await;
    let form = [("verification", sent.verification()), ("code", &code)];
    let verified = bundle.call(Method::POST, VERIFY_MAIL).cookies(&jar).form(&form).await.documented(200);
    assert_eq!(verified.body["expiresIn"], 600);
    let expected = (verified.verification(), "HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=600");
    assert_eq!(verified.cookie(), expected);
    jar.store(&verified);
    assert_eq!(jar.verification().unwrap().len(), 43);
    let second_step = bundle.call(Method::PUT, RECOVERY).cookies(&jar);
    let recovered =
        second_step.form(&[("email", EMAIL), ("passwordFirst", NEW_PASSWORD)]).await.documented(201);
    jar.store(&recovered);
    assert_eq!(jar.verification(), None);
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn app_recovers_by_email_with_parameters_only() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let grant = bundle.grant_by_mail(&bundle.request_email_code(None, EMAIL).await).await;
    let body = json!({ "email": "li@EXAMPLE.com", "passwordFirst": NEW_PASSWORD, "verification": grant });
    recover(&bundle, &body).await.documented(201);
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn settings_determine_code_and_grant_lifetimes() {
    let settings = [("CODE_TTL_SECONDS", "61"), ("MAIL_CODE_TTL_SECONDS", "62"), ("GRANT_TTL_SECONDS", "63")];
    let bundle = Bundle::with(&settings).await;
    bundle.member().await;
    let by_sms = bundle.call(Method::GET, SEND_CODE).query(&[("phone", PHONE)]).send().await.ok();
    let by_mail = bundle.call(Method::POST, SEND_MAIL).json(&json!({ "email": EMAIL })).await.ok();
    let code = bundle.code_to("+8613627140483").await;
    let granted =
        verify(&bundle, &json!({ "message": code, "verification": by_sms.verification() })).await.ok();
    for (response, seconds) in [(by_sms, 61), (by_mail, 62), (granted, 63)] {
        assert_eq!(response.body["expiresIn"], seconds);
        assert!(response.cookie().1.ends_with(&format!("; Max-Age={seconds}")), "{:?}", response.cookie());
    }
}

#[tokio::test]
async fn recovery_revokes_sessions_and_creates_none() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let elsewhere = bundle.logged_in(&member, 60).await;
    let grant = granted(&bundle, PHONE).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    // A session sent with the recovery is not renewed either.
    let recovered =
        bundle.call(Method::PUT, RECOVERY).session(&member.token).json(&body).await.documented(201);
    assert_eq!((&recovered.body["token"], recovered.headers.get("authorization")), (&Value::Null, None));
    for session in [&member, &elsewhere] {
        let call = bundle.call(Method::PUT, CHANGE).session(&session.token);
        assert_eq!(call.json(&json!({})).await.refusal(), (401, "INVALID_TOKEN"));
    }
    let stored = bundle.inspect(&member).await;
    assert_eq!(stored["credentialVersion"], 2);
    let actions: Vec<_> =
        stored["audit"].as_array().unwrap().iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["password-recovered"]);
}

#[tokio::test]
async fn optional_session_must_be_valid() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let verify = json!({ "message": code, "verification": verification });
    let mail = json!({ "email": EMAIL });
    for (method, path, body) in [(Method::POST, RECOVERY, &verify), (Method::POST, SEND_MAIL, &mail)] {
        let refused = bundle.call(method, path).session("a.b.c").json(body).await;
        assert_eq!(refused.refusal(), (401, "INVALID_TOKEN"), "{path}");
    }
    let grant = bundle.grant(&(verification, code)).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    let refused = bundle.call(Method::PUT, RECOVERY).session("a.b.c").json(&body).await;
    assert_eq!(refused.refusal(), (401, "INVALID_TOKEN"));
    recover(&bundle, &body).await.ok();
}

#[tokio::test]
async fn invalid_recovery_names_its_parameter_and_keeps_grant() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bundle.other_member().await;
    let (token, code) = bundle.request_sms_code(None, PHONE).await;
    let grant = bundle.grant(&(token.clone(), code)).await;
    let others = granted(&bundle, OTHER_PHONE).await;
    let by_mail = bundle.grant_by_mail(&bundle.request_email_code(None, EMAIL).await).await;
    bundle.age("sent#phone#", 120).await;
    let to_reset_the_pay_password = bundle.grant(&bundle.request_sms_code(Some(&member), PHONE).await).await;
    let good = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    let with = |parameter: &str, value: Value| {
        let mut body = good.clone();
        body[parameter] = value;
        body
    };
    let mut for_the_address = with("email", json!(EMAIL));
    for_the_address["phone"] = Value::Null;
    let mut by_mail_for_another_address = with("verification", json!(by_mail));
    by_mail_for_another_address["phone"] = Value::Null;
    by_mail_for_another_address["email"] = json!(OTHER_EMAIL);
    let mut no_address = for_the_address.clone();
    no_address["email"] = json!("li@");
    for (body, expected) in [
        (json!({}), "{PHONE}_REQUIRED"),
        (with("phone", Value::Null), "{PHONE}_REQUIRED"),
        (with("phone", json!("hello")), "{PHONE}_NOT_VALID"),
        (no_address, "{EMAIL}_NOT_VALID"),
        (with("passwordFirst", json!(" ")), "{NEW_PASSWORD}_REQUIRED"),
        (with("passwordSecond", json!("026128")), "{NEW_PASSWORD}_NOT_VALID"),
        (with("passwordFirst", json!("12345")), "{NEW_PASSWORD}_NOT_VALID"),
        (with("passwordFirst", json!("password")), "{NEW_PASSWORD}_NOT_VALID"),
        (with("passwordFirst", json!("x".repeat(129))), "{NEW_PASSWORD}_NOT_VALID"),
        (with("passwordFirst", json!(PHONE)), "{NEW_PASSWORD}_NOT_VALID"),
        (with("passwordFirst", json!("Li@Example.com")), "{NEW_PASSWORD}_NOT_VALID"),
        (with("verification", Value::Null), "{VERIFICATION}_REQUIRED"),
        (with("verification", json!("forged")), "{VERIFICATION}_NOT_VALID"),
        (with("verification", json!("A".repeat(43))), "{VERIFICATION}_NOT_VALID"),
        (with("verification", json!(token)), "{VERIFICATION}_NOT_VALID"),
        (with("verification", json!(others)), "{VERIFICATION}_NOT_VALID"),
        (with("verification", json!(by_mail)), "{VERIFICATION}_NOT_VALID"),
        (with("verification", json!(to_reset_the_pay_password)), "{VERIFICATION}_NOT_VALID"),
        (with("phone", json!(OTHER_PHONE)), "{VERIFICATION}_NOT_VALID"),
        (for_the_address, "{VERIFICATION}_NOT_VALID"),
        (by_mail_for_another_address, "{VERIFICATION}_NOT_VALID"),
    ] {
        assert_eq!(recover(&bundle, &body).await.refusal(), (400, expected), "{body}");
    }
    assert_eq!(bundle.inspect(&member).await["audit"], json!([]));
    recover(&bundle, &good).await.ok();
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn grant_works_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let grant = granted(&bundle, PHONE).await;
    let body = |password: &str| json!({ "phone": PHONE, "passwordFirst": password, "verification": grant });
    recover(&bundle, &body(NEW_PASSWORD)).await.ok();
    let again = recover(&bundle, &body("another-password")).await;
    assert_eq!(again.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn grant_expires_after_600_seconds_before_ttl_deletion() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let grant = granted(&bundle, PHONE).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    bundle.age("grant#", 600).await;
    assert_eq!(recover(&bundle, &body).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    bundle.age("sent#phone#", 120).await;
    let grant = granted(&bundle, PHONE).await;
    bundle.age("grant#", 580).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    recover(&bundle, &body).await.ok();
}

#[tokio::test]
async fn grant_ends_when_its_phone_is_replaced() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let grant = granted(&bundle, PHONE).await;
    let (_, code) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    let body = json!({ "message": code, "phone": OTHER_PHONE });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    assert_eq!(recover(&bundle, &body).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    assert!(bundle.has_password(&member, OLD_PASSWORD).await);
}

#[tokio::test]
async fn concurrent_recoveries_succeed_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let grant = granted(&bundle, PHONE).await;
    let responses = bundle
        .concurrently("recover-password", 40, async |number| {
            let password = format!("new-password-{number}");
            let body = json!({ "phone": PHONE, "passwordFirst": password, "verification": grant });
            recover(&bundle, &body).await
        })
        .await;
    let winners: Vec<_> = (0..40).filter(|number| responses[*number].status.is_success()).collect();
    assert_eq!(winners.len(), 1, "{responses:#?}");
    let losers = responses.iter().filter(|response| response.refusal() == (400, "{VERIFICATION}_NOT_VALID"));
    assert_eq!(losers.count(), 39, "{responses:#?}");
    assert!(bundle.has_password(&member, &format!("new-password-{}", winners[0])).await);
}

#[tokio::test]
async fn unchanged_password_costs_an_attempt_and_keeps_grant() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let grant = granted(&bundle, PHONE).await;
    let body = |password: &str| json!({ "phone": PHONE, "passwordFirst": password, "verification": grant });
    for _ in 0..4 {
        let refused = recover(&bundle, &body(OLD_PASSWORD)).await;
        assert_eq!(refused.refusal(), (400, "{NEW_PASSWORD}_NOT_VALID"));
    }
    // An unacceptable password is refused before the grant is used.
    for _ in 0..4 {
        assert_eq!(recover(&bundle, &body("null")).await.refusal(), (400, "{NEW_PASSWORD}_NOT_VALID"));
    }
    recover(&bundle, &body(NEW_PASSWORD)).await.ok();
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn grant_compares_the_password_five_times() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let grant = granted(&bundle, PHONE).await;
    let body = |password: &str| json!({ "phone": PHONE, "passwordFirst": password, "verification": grant });
    for _ in 0..5 {
        let refused = recover(&bundle, &body(OLD_PASSWORD)).await;
        assert_eq!(refused.refusal(), (400, "{NEW_PASSWORD}_NOT_VALID"));
    }
    let refused = recover(&bundle, &body(NEW_PASSWORD)).await;
    assert_eq!(refused.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    assert!(bundle.has_password(&member, OLD_PASSWORD).await);
}

#[tokio::test]
async fn removed_member_cannot_recover() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let grant = granted(&bundle, PHONE).await;
    bundle.remove(&member).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    assert_eq!(recover(&bundle, &body).await.refusal(), (400, "USER_NOT_FOUND"));
    assert_eq!(bundle.item(&format!("member#{}", member.id), "member").await, Value::Null);
}

#[tokio::test]
async fn member_without_a_password_gets_one() {
    let bundle = Bundle::start().await;
    let member: Member = bundle.member_with(json!({ "phone": PHONE })).await;
    let grant = granted(&bundle, PHONE).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    recover(&bundle, &body).await.ok();
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}
