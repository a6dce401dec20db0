//! Service tokens: short-lived JWTs that other services verify offline, with the published public keys.
//!
//! A session is not such a token, because only a read of the member shows whether it was revoked. A service token is
//! accepted until it expires, whatever happens to the member.

use crate::{
    Secret,
    clock::Timestamp,
    domain::{
        keys::Keys,
        member::MemberId,
        session::{self, Claims},
    },
    error::Error,
    settings::Settings,
};
use jsonwebtoken::Header;
use serde::Serialize;

/// The longest lifetime of a service token, in seconds. It is how long a revoked member still passes at services that
/// verify offline. Ten minutes is also the longest lifetime of a code (NIST SP 800-63B-4, 3.1.3.2).
pub const SERVICE_TOKEN_SECONDS: u64 = 600;

#[derive(Serialize)]
struct ServiceClaims<'a> {
    sub: MemberId,
    iat: Timestamp,
    exp: Timestamp,
    auth_time: Timestamp,
    amr: &'a [String],
    iss: &'a str,
    aud: &'a str,
}

/// Signs a service token beside a session with these claims, if the secret has a service key. It expires with the
/// session at the latest.
///
/// # Errors
/// [`Error::Internal`] if signing fails.
pub(crate) fn issue(keys: &Keys, settings: &Settings, session: &Claims) -> Result<Option<Secret>, Error> {
    let Some(key) = keys.service().first() else { return Ok(None) };
    let now = Timestamp::now();
    let header = Header { kid: key.jwk.common.key_id.clone(), ..Header::new(key.algorithm) };
    let claims = ServiceClaims {
        sub: session.member,
        iat: now,
        exp: now.plus(SERVICE_TOKEN_SECONDS).min(session::expiry(settings, now, session.auth_time)),
        auth_time: session.auth_time,
        amr: &session.amr,
        iss: &settings.session_issuer,
        aud: &settings.service_audience,
    };
    let token = jsonwebtoken::encode(&header, &claims, &key.signer).map_err(Error::internal)?;
    Ok(Some(token.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExposeSecret, settings::tests::defaults};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        UnparsedPublicKey,
    };
    use base64::{
        Engine,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    use serde_json::{Value, json};

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
    }

    /// Returns keys with an ES256 and an `EdDSA` key, of which this one is first.
    fn service_keys(first: &str) -> Keys {
        let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let edwards = Ed25519KeyPair::generate().unwrap();
        let (p256, edwards) = (p256.to_pkcs8v1().unwrap(), edwards.to_pkcs8v1().unwrap());
        let mut keys = vec![
            json!({ "kid": "ES256", "alg": "ES256", "pem": pem(p256.as_ref()) }),
            json!({ "kid": "EdDSA", "alg": "EdDSA", "pem": pem(edwards.as_ref()) }),
        ];
        keys.sort_by_key(|key| key["kid"] != first);
        let secret = json!({ "current": "k", "k": "k".repeat(32), "serviceKeys": keys });
        Keys::parse(&secret.to_string()).unwrap()
    }

    fn session(auth_time: Timestamp) -> Claims {
        let member = MemberId(uuid::uuid!("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11"));
        Claims { member, credential_version: 3, auth_time, amr: vec!["sms".to_owned()] }
    }

    fn part(token: &str, number: usize) -> Value {
        let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap();
        serde_json::from_slice(&part).unwrap()
    }

    #[test]
    fn published_key_verifies_the_token() {
        for algorithm in ["ES256", "EdDSA"] {
            let keys = service_keys(algorithm);
            let now = Timestamp::now();
            let token = issue(&keys, &defaults(), &session(now)).unwrap().unwrap();
            let token = token.expose_secret();
            let header = part(token, 0);
            assert_eq!((&header["alg"], &header["kid"]), (&json!(algorithm), &json!(algorithm)));

            let jwk = serde_json::to_value(&keys.service()[0].jwk).unwrap();
            assert_eq!((&jwk["alg"], &jwk["use"]), (&json!(algorithm), &json!("sig")));
            assert!(jwk.get("d").is_none(), "{jwk}");
            let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let verified = if algorithm == "ES256" {
                let point = [&[4], &*coordinate("x"), &*coordinate("y")].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature)
            } else {
                UnparsedPublicKey::new(&ED25519, coordinate("x")).verify(signed.as_bytes(), &signature)
            };
            assert!(verified.is_ok(), "{algorithm}");
        }
    }

    #[test]
    fn service_token_lives_ten_minutes_without_version() {
        let (keys, settings, now) = (service_keys("ES256"), defaults(), Timestamp::now());
        let issued = |claims: &Claims| {
            let token = issue(&keys, &settings, claims).unwrap().unwrap();
            part(token.expose_secret(), 1)
        };
        let claims = issued(&session(now));
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
        assert_eq!((&claims["aud"], &claims["amr"]), (&json!("account-security-services"), &json!(["sms"])));
        assert!(claims.get("ver").is_none());
        let ending = session(Timestamp(now.0 - settings.session_max_seconds + 60));
        assert!(issued(&ending)["exp"].as_u64().unwrap() <= now.0 + 61);
    }

    #[test]
    fn service_token_is_not_a_session() {
        let (keys, settings) = (service_keys("EdDSA"), defaults());
        let token = issue(&keys, &settings, &session(Timestamp::now())).unwrap().unwrap();
        let token = token.expose_secret();
        assert!(matches!(session::verify(&keys, &settings, token), Err(Error::InvalidToken)));
    }

    #[test]
    fn nothing_is_issued_without_a_service_key() {
        let keys = crate::domain::keys::tests::two_keys();
        assert!(issue(&keys, &defaults(), &session(Timestamp::now())).unwrap().is_none());
    }
}
