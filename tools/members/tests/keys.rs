//! `members keys`.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::operator::{Done, Operator, PHONE, done};

/// Runs the command on a key file, without a table.
fn keys(operator: &Operator, arguments: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_members"));
    command.current_dir(&operator.folder).args(["keys", "--file", "keys.json"]).args(arguments);
    done(command.output().unwrap())
}

#[tokio::test]
async fn keys_are_created_rotated_and_retired() {
    let operator = Operator::start("keys").await;
    keys(&operator, &["init"]).ok();
    let path = operator.folder.join("keys.json");
    let secret = || serde_json::from_str::<Value>(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(secret()["current"], "first");
    assert!(keys(&operator, &["init"]).code != 0, "existing keys are never overwritten");

    let steps = keys(&operator, &["rotate", "--id", "second"]).ok().out;
    assert!(steps.contains("members keys rotate --use second"), "{steps}");
    assert_eq!((&secret()["current"], secret()["second"].as_str().unwrap().len()), (&json!("first"), 64));
    assert!(keys(&operator, &["rotate", "--use", "third"]).err.contains("does not exist"));
    keys(&operator, &["rotate", "--use", "second"]).ok();
    assert_eq!(secret()["current"], "second");
    assert!(keys(&operator, &["retire", "second"]).err.contains("is the current key"));
    assert!(keys(&operator, &["retire", "first"]).err.contains("--yes"));
    keys(&operator, &["retire", "first", "--yes"]).ok();
    assert_eq!(secret().as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn retiring_a_key_in_use_requires_confirmation() {
    let operator = Operator::start("used").await;
    operator.member(json!({ "phone": PHONE, "password": "the-old-password", "payPassword": "739154" })).await;
    let mut secret: Value = serde_json::from_str(operator.stack.keys()).unwrap();
    let id = secret["current"].as_str().unwrap().to_owned();
    secret["second"] = json!("s".repeat(64));
    secret["current"] = json!("second");
    operator.file("keys.json", &secret.to_string());

    let listed = operator.json(&["keys", "--file", "keys.json", "list"]).await;
    assert_eq!(
        (&listed["current"], &listed["passwords"]),
        (&json!("second"), &json!({ id.as_str(): 2, "second": 0 }))
    );
    let refused = operator.run(&["keys", "--file", "keys.json", "retire", &id]).await;
    assert!(refused.code == 1 && refused.err.contains("2 password hashes use key"), "{}", refused.err);
    assert!(operator.text("keys.json").contains(&id));
    operator.run(&["keys", "--file", "keys.json", "retire", &id, "--yes"]).await.ok();
    assert!(!operator.text("keys.json").contains(&id));
}

/// Keys for tests, made with OpenSSL, and their public coordinates as OpenSSL prints them.
const ES256: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6Fbdm6m/WtEugNW/
4b/o++lDkeFPOpI8fOTmi2U/UfKhRANCAATNxYDbMd8W4BXAktFa57QMWrD9SZQw
7H0ClbTQYDac43TbWKzdSzxBhLf9BvNQhDKW2l9d0/nEUaICb7k6nEUr
-----END PRIVATE KEY-----
";
const X: &str = "zcWA2zHfFuAVwJLRWue0DFqw_UmUMOx9ApW00GA2nOM";
const Y: &str = "dNtYrN1LPEGEt_0G81CEMpbaX13T-cRRogJvuTqcRSs";
const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEILfNnVWUz2yrl39ZX/KU1b5Pac4QyMPvwB+YJB53ZeQw
-----END PRIVATE KEY-----
";
const ED25519_X: &str = "C8bdpRsxDtjDXbgtil4Mjy1Z9iQHb3dGK8q3G3NBUPE";

#[tokio::test]
async fn public_keys_are_published_without_private_parts() {
    let operator = Operator::start("jwks").await;
    keys(&operator, &["init"]).ok();
    assert!(keys(&operator, &["jwks"]).err.contains("no `serviceKeys`"));
    let mut secret: Value = serde_json::from_str(&operator.text("keys.json")).unwrap();
    secret["serviceKeys"] = json!([
        { "kid": "s1", "alg": "ES256", "pem": ES256 },
        { "kid": "s2", "alg": "EdDSA", "pem": ED25519 },
    ]);
    fs::write(operator.folder.join("keys.json"), secret.to_string()).unwrap();
    let jwks = keys(&operator, &["jwks"]).ok();
    let expected = json!({ "keys": [
        { "use": "sig", "alg": "ES256", "kid": "s1", "kty": "EC", "crv": "P-256", "x": X, "y": Y },
        { "use": "sig", "alg": "EdDSA", "kid": "s2", "kty": "OKP", "crv": "Ed25519", "x": ED25519_X },
    ] });
    assert_eq!(jwks.json(), expected);
    // The other commands keep the service keys.
    keys(&operator, &["rotate", "--id", "second"]).ok();
    assert_eq!(keys(&operator, &["jwks"]).ok().json(), expected);

    let issuer = "https://account.example.com";
    let document = keys(&operator, &["discovery", "--issuer", issuer]).ok().json();
    assert_eq!(
        (&document["issuer"], &document["jwks_uri"]),
        (&json!(issuer), &json!(format!("{issuer}/.well-known/jwks.json")))
    );
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256", "EdDSA"]));
    assert!(keys(&operator, &["discovery"]).err.contains("--issuer"));
    assert!(keys(&operator, &["discovery", "--issuer", "account-security"]).err.contains("https URL"));
}
