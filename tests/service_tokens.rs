//! Service tokens, and the `amr` of sessions.

use crate::bundle::{
    BIND_PHONE, Bundle, EMAIL, Member, OLD_PASSWORD, OTHER_PHONE, PHONE, PIN, SEND, SET_PAY_PASSWORD,
    data_file,
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use shared::{
    clock::Timestamp,
    session::{self, Claims},
};

/// A key for tests, made with OpenSSL, and its public coordinates as OpenSSL prints them.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6Fbdm6m/WtEugNW/
4b/o++lDkeFPOpI8fOTmi2U/UfKhRANCAATNxYDbMd8W4BXAktFa57QMWrD9SZQw
7H0ClbTQYDac43TbWKzdSzxBhLf9BvNQhDKW2l9d0/nEUaICb7k6nEUr
-----END PRIVATE KEY-----
";
const X: &str = "zcWA2zHfFuAVwJLRWue0DFqw_UmUMOx9ApW00GA2nOM";
const Y: &str = "dNtYrN1LPEGEt_0G81CEMpbaX13T-cRRogJvuTqcRSs";

async fn with_service_key(name: &str) -> Bundle {
    let mut keys: Value = serde_json::from_str(&local::keys::fresh()).unwrap();
    keys["serviceKeys"] = json!([{ "kid": "s1", "alg": "ES256", "pem": PEM }]);
    Bundle::with_data(&[], &data_file(name), &keys.to_string()).await
}

fn part(token: &str, number: usize) -> Value {
    let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}

#[tokio::test]
async fn renewal_returns_a_verifiable_service_token() {
    let bundle = with_service_key("service-token").await;
    let member = bundle.member().await;
    let sent = bundle.call(Method::POST, SEND).session(&member.token).send().await.ok();
    let body = json!({ "payPasswordFirst": PIN });
    let changed = bundle.call(Method::PUT, SET_PAY_PASSWORD).session(&member.token).json(&body).await.ok();
    for response in [sent, changed] {
        let token = response.body["serviceToken"].as_str().unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let point =
            [&[4], &*URL_SAFE_NO_PAD.decode(X).unwrap(), &*URL_SAFE_NO_PAD.decode(Y).unwrap()].concat();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(signed.as_bytes(), &signature).unwrap();
        assert_eq!(part(token, 0), json!({ "typ": "JWT", "alg": "ES256", "kid": "s1" }));
        let claims = part(token, 1);
        assert_eq!(
            (&claims["sub"], &claims["aud"]),
            (&json!(member.id), &json!("account-security-services"))
        );
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
        assert!(claims.get("ver").is_none());

        let refused = bundle.call(Method::POST, SEND).session(token).send().await;
        assert_eq!(refused.refusal(), (401, "INVALID_TOKEN"));
    }
}

#[tokio::test]
async fn login_returns_a_service_token() {
    let bundle = with_service_key("service-token-of-login").await;
    let member = bundle.member().await;
    let event = json!({ "phone": PHONE, "password": OLD_PASSWORD, "idempotencyKey": "a" });
    let response = bundle.log_in(event.clone()).await;
    let claims = part(response.body["serviceToken"].as_str().unwrap(), 1);
    assert_eq!((&claims["sub"], &claims["amr"]), (&json!(member.id), &json!(["pwd"])));
    let replayed = bundle.log_in(event).await;
    assert!(replayed.body["session"].is_string() && replayed.body.get("serviceToken").is_none());
}

/// Otherwise a stored response would be a source of tokens for a day, after the session ended as well.
#[tokio::test]
async fn replay_returns_no_service_token() {
    let bundle = with_service_key("service-token-replay").await;
    let member = bundle.member().await;
    for has_token in [true, false] {
        let call = bundle.call(Method::POST, SEND).session(&member.token).header("Idempotency-Key", "once");
        assert_eq!(call.send().await.ok().body["serviceToken"].is_string(), has_token);
    }
    let stored = bundle.items().await.into_iter().find(|item| item["sk"]["S"] == "answer").unwrap();
    assert!(!stored.to_string().contains("eyJ"), "{stored}");
}

#[tokio::test]
async fn no_service_token_without_a_service_key() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let sent = bundle.call(Method::POST, SEND).session(&member.token).send().await.ok();
    assert!(sent.body.get("serviceToken").is_none(), "{}", sent.text);
}

/// Returns the member with a session of a login just now by these methods.
async fn logged_in_by(bundle: &Bundle, member: &Member, amr: &[&str]) -> Member {
    let claims = bundle.claims(&bundle.logged_in(member, 0).await.token);
    let amr = amr.iter().map(|&method| method.to_owned()).collect();
    let claims = Claims { amr, auth_time: Timestamp::now(), ..claims };
    let token = session::sign(&bundle.keys(), &bundle.settings(), &claims).unwrap();
    Member { id: member.id.clone(), token }
}

#[tokio::test]
async fn login_by_code_is_no_reauthentication() {
    let bundle = Bundle::start().await;
    let member =
        bundle.member_with(json!({ "phone": PHONE, "email": EMAIL, "password": OLD_PASSWORD })).await;
    let by_code = logged_in_by(&bundle, &member, &["sms"]).await;
    let (_, code) = bundle.request_sms_code(Some(&by_code), OTHER_PHONE).await;
    let mut body = json!({ "message": code, "phone": OTHER_PHONE });
    let bind = async |member: &Member, body: &Value| {
        bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(body).await
    };
    assert_eq!(bind(&by_code, &body).await.refusal(), (403, "REAUTHENTICATION_REQUIRED"));
    body["password"] = json!(OLD_PASSWORD);
    let bound = bind(&by_code, &body).await.ok();
    assert_eq!(bundle.claims(bound.token()).amr, ["sms"], "a renewal must keep it");
}

#[tokio::test]
async fn login_by_password_is_reauthentication() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let by_password = logged_in_by(&bundle, &member, &["otp", "pwd"]).await;
    let (_, code) = bundle.request_sms_code(Some(&by_password), OTHER_PHONE).await;
    let body = json!({ "message": code, "phone": OTHER_PHONE });
    bundle.call(Method::PUT, BIND_PHONE).session(&by_password.token).json(&body).await.ok();
}
