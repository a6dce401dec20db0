//! Imported members: the hashes of another system verify, and are upgraded at their first correct use.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, EMAIL, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD,
        OTHER_EMAIL, OTHER_PHONE, PHONE, PIN, SEND_MAIL,
    },
    pay_password::update,
};
use reqwest::Method;
use serde_json::json;
use shared::password::{HashFormat, Memory, PasswordPolicy, Salt};

/// The password `the-old-password` as other systems store it. `shared/src/domain/password/legacy/tests.rs` has the
/// sources.
pub const LOGIN: [(&str, Option<HashFormat<'_>>); 9] = [
    // Supabase Auth.
    ("$2a$04$x1mdGEW6GjhvyC81qw5urOy7c9JUUJf2y9.q3/aqTYK2N98v9iFpq", None),
    // Django.
    ("pbkdf2_sha256$1000$seasalt2026$csBWAOXVArVCwgTHVj4696x8pwQSbBSTli+2Lq8MQOI=", None),
    ("argon2$argon2id$v=19$m=1024,t=2,p=8$c2Vhc2FsdDIwMjY$XLYgimTa/wGnusb6SyWrOKAJkFZRTVyb7f3Phk6fr10", None),
    // Keycloak.
    (
        r#"{"secretData":"{\"value\":\"gP8qkqGVC9W3urCZmgliHflNBZ0fzKY5xgvCyMTTWnODg1BGA0Fs0v0lm6R6Y8dZ8XlcVw8EQ96qcs6ybEWyDw==\",\"salt\":\"AAECAwQFBgcICQoLDA0ODw==\"}","credentialData":"{\"hashIterations\":1000,\"algorithm\":\"pbkdf2-sha512\"}"}"#,
        None,
    ),
    // better-auth.
    (
        "12d5487430143e7f53d6825fd6aa1d5a:0ab0494f0d16df794e86419b4d0f7ff92b98317269f0ca9926cbd9be9405a8d24053f94c43020252e17a5d734967211ef6d0694b47c15030e33ea30c6051571e",
        Some(HashFormat::BetterAuth),
    ),
    // WordPress since 6.8, and earlier.
    ("$wp$2y$04$fqZxbKTzT4gcsxi0oWZtfus6gZUPtOk/FwZnhqDaC14wrZQXUXm52", None),
    ("$P$650LmolwNrTTb7JU2FTv4OYdeclUdb1", None),
    // Custom tables.
    ("fdcf36394daaf47def0d41d181d1443c", Some(HashFormat::Md5(Salt::None))),
    (
        "de3c34d0fd8b06e56c696fc204ea295e4a550221c793c5737da15fed515a54c4",
        Some(HashFormat::Sha256(Salt::After("seasalt2026"))),
    ),
];

/// The pay password 739154, hashed with bcrypt 4.0.1 for Python.
const PAY: (&str, Option<HashFormat<'_>>) =
    ("$2a$04$rHrCPLnDS4k4IiQRo6/weeCthYMRyq.KoCww.NzKzPcwYwcuq3gUG", None);

/// The pay password 739154, hashed with Python's hashlib.
const PLAIN_PAY: (&str, Option<HashFormat<'_>>) =
    ("221738f5e219709eb4191ccae4ecb12b", Some(HashFormat::Md5(Salt::None)));

/// Creates a member whose `attribute` is the hash as the import stores it.
async fn imported_member(
    bundle: &Bundle,
    phone: &str,
    email: &str,
    attribute: &str,
    (text, format): (&str, Option<HashFormat<'_>>),
) -> Member {
    let policy = PasswordPolicy { min_code_points: 8, memory_kib: 19_456, passes: 2 };
    let hash = policy.import(&bundle.keys(), text, format, &mut Memory::default()).unwrap();
    let member = bundle.member_with(json!({ "phone": phone, "email": email })).await;
    let mut item = bundle.item(&format!("member#{}", member.id), "member").await;
    item[attribute] = json!({ "S": hash.as_str() });
    bundle.dynamodb("PutItem", json!({ "Item": item })).await;
    assert!(!is_upgraded(bundle, &member, attribute).await);
    member
}

async fn stored_hash(bundle: &Bundle, member: &Member, attribute: &str) -> String {
    let item = bundle.item(&format!("member#{}", member.id), "member").await;
    item[attribute]["S"].as_str().unwrap().to_owned()
}

async fn is_upgraded(bundle: &Bundle, member: &Member, attribute: &str) -> bool {
    stored_hash(bundle, member, attribute).await.starts_with("$argon2id$v=19$m=19456,t=2,p=1,keyid=")
}

#[tokio::test]
async fn imported_password_of_each_format_verifies_and_upgrades() {
    let bundle = Bundle::start().await;
    for (at, hash) in LOGIN.into_iter().enumerate() {
        let (phone, email) = (format!("136271404{at:02}"), format!("li{at}@example.com"));
        let member = imported_member(&bundle, &phone, &email, "password", hash).await;
        let before = stored_hash(&bundle, &member, "password").await;
        let change = async |old: &str| {
            let body = json!({ "oldPassword": old, "newPasswordFirst": NEW_PASSWORD });
            bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await
        };
        assert_eq!(change("another-password").await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"), "{hash:?}");
        // Neither the stored nor the original hash is accepted as the password.
        for text in [&before, hash.0] {
            assert_eq!(change(text).await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"), "{hash:?}");
        }
        assert_eq!(stored_hash(&bundle, &member, "password").await, before, "{hash:?}");
        change(OLD_PASSWORD).await.documented(201);
        assert!(is_upgraded(&bundle, &member, "password").await, "{hash:?}");
        assert!(bundle.has_password(&member, NEW_PASSWORD).await, "{hash:?}");
    }
}

#[tokio::test]
async fn wrong_attempts_lock_an_imported_password() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "2"), ("PAY_PASSWORD_MAX_FAILURES", "2")]).await;
    let member = imported_member(&bundle, PHONE, EMAIL, "password", LOGIN[0]).await;
    let payer = imported_member(&bundle, OTHER_PHONE, OTHER_EMAIL, "pay_password", PAY).await;
    let change = async |old: &str| {
        let body = json!({ "oldPassword": old, "newPasswordFirst": NEW_PASSWORD });
        bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await
    };
    for _ in 0..2 {
        assert_eq!(change("another-password").await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
        let refused = update(&bundle, &payer, "111222", NEW_PIN).await;
        assert_eq!(refused.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    }
    assert_eq!(change(OLD_PASSWORD).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert_eq!(update(&bundle, &payer, PIN, NEW_PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
}

#[tokio::test]
async fn imported_password_replaces_a_phone_and_upgrades() {
    let bundle = Bundle::start().await;
    let member = imported_member(&bundle, PHONE, EMAIL, "password", LOGIN[7]).await;
    let member = bundle.logged_in(&member, 901).await;
    let (verification, code) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    let bind = async |password: &str| {
        let body = json!({
            "message": code, "phone": OTHER_PHONE, "verification": verification, "password": password,
        });
        bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await
    };
    assert_eq!(bind("another-password").await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    assert!(!is_upgraded(&bundle, &member, "password").await);
    bind(OLD_PASSWORD).await.documented(201);
    assert!(is_upgraded(&bundle, &member, "password").await);
    assert!(bundle.has_password(&member, OLD_PASSWORD).await);
}

#[tokio::test]
async fn imported_password_verifies_beside_codes_and_email_sends() {
    let bundle = Bundle::start().await;
    let member = imported_member(&bundle, PHONE, EMAIL, "password", LOGIN[1]).await;
    let late = bundle.logged_in(&member, 901).await;
    let mail = async |password: &str| {
        let form = [("email", OTHER_EMAIL), ("password", password)];
        bundle.call(Method::POST, SEND_MAIL).session(&late.token).form(&form).await
    };
    assert_eq!(mail("another-password").await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    mail(OLD_PASSWORD).await.documented(200);

    let (phone_info, code) = bundle.request_change_code(&member).await;
    let change = async |old: &str| {
        let body =
            json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD, "oldPassword": old });
        bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await
    };
    assert_eq!(change("another-password").await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    change(OLD_PASSWORD).await.ok();
    assert!(is_upgraded(&bundle, &member, "password").await);
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn upgrade_keeps_every_accepted_form() {
    let bundle = Bundle::start().await;
    // phpass of `WordPress`, which removes white space from both ends.
    let member = imported_member(&bundle, PHONE, EMAIL, "password", LOGIN[6]).await;
    let padded = format!(" {OLD_PASSWORD} ");
    for (phone, password) in [(OTHER_PHONE, padded.as_str()), (PHONE, OLD_PASSWORD), (OTHER_PHONE, &padded)] {
        let member = bundle.logged_in(&member, 901).await;
        let (_, code) = bundle.request_sms_code(Some(&member), phone).await;
        let body = json!({ "message": code, "phone": phone, "password": password });
        bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
        let stored = stored_hash(&bundle, &member, "password").await;
        assert!(stored.starts_with("$foreign$v=1,in=trimmed,l=32$sha256$salt=before$$argon2id$"), "{stored}");
        bundle.age("sent#phone#", 120).await;
    }
}

#[tokio::test]
async fn unchanged_imported_password_is_refused_without_old() {
    let bundle = Bundle::start().await;
    let member = imported_member(&bundle, PHONE, EMAIL, "password", LOGIN[6]).await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    for (new, refused) in [(OLD_PASSWORD, true), (" the-old-password", true), (NEW_PASSWORD, false)] {
        let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": new });
        let response = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await;
        if refused {
            assert_eq!(response.refusal(), (400, "{NEW_PASSWORD}_NOT_VALID"), "{new}");
        } else {
            response.ok();
        }
    }
}

#[tokio::test]
async fn imported_pay_password_is_changed_and_upgraded() {
    let bundle = Bundle::start().await;
    for (phone, email, hash) in [(PHONE, EMAIL, PAY), (OTHER_PHONE, OTHER_EMAIL, PLAIN_PAY)] {
        let member = imported_member(&bundle, phone, email, "pay_password", hash).await;
        let refused = update(&bundle, &member, "111222", NEW_PIN).await;
        assert_eq!(refused.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"), "{hash:?}");
        update(&bundle, &member, PIN, NEW_PIN).await.documented(201);
        assert!(is_upgraded(&bundle, &member, "pay_password").await, "{hash:?}");
        update(&bundle, &member, NEW_PIN, PIN).await.documented(201);
    }
}
