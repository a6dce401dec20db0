//! The session: a JWT that names a member.

use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        keys::{KeyPurpose, Keys},
        member::{Member, MemberId},
    },
    error::Error,
    settings::Settings,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::time::Duration;

/// How a member logs in here, as `amr` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogInMethod {
    /// With the login password.
    Password,
    /// With a code by SMS.
    Sms,
    /// With a code by email.
    Mail,
}

impl LogInMethod {
    /// Returns the method's name in `amr`. `pwd` and `sms` are those of RFC 8176, 2, which has none for email.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::Sms => "sms",
            Self::Mail => "mail",
        }
    }
}

impl From<&Destination> for LogInMethod {
    /// Returns the method of a login with a code that was sent to this destination.
    fn from(destination: &Destination) -> Self {
        match destination {
            Destination::Phone(_) => Self::Sms,
            Destination::Email(_) => Self::Mail,
        }
    }
}

/// The claims of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The member.
    #[serde(rename = "sub")]
    pub member: MemberId,
    /// The member's credential version when the session was issued.
    #[serde(rename = "ver")]
    pub credential_version: u64,
    /// The time of the member's last login.
    pub auth_time: Timestamp,
    /// How the member logged in: `pwd`, `sms`, `mail`, or what another login service states (RFC 8176).
    pub amr: Vec<String>,
}

impl Claims {
    /// Returns the claims of a session for a member who logs in now.
    #[must_use]
    pub fn of_log_in(member: &Member, method: LogInMethod) -> Self {
        Self {
            member: member.id,
            credential_version: member.credential_version,
            auth_time: Timestamp::now(),
            amr: vec![method.name().to_owned()],
        }
    }

    /// Returns whether the member logged in with the password less than `seconds` before `now`. A login by code does
    /// not count: the code proves only the phone or the address, which another person can hold after a SIM swap, or
    /// after the number was assigned again.
    #[must_use]
    pub fn is_recent_login(&self, now: Timestamp, seconds: u64) -> bool {
        self.amr.iter().any(|method| method == LogInMethod::Password.name())
            && self.auth_time.plus(seconds) > now
    }
}

/// A session whose signature and claims are valid. The member may have ended it since it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedSession {
    /// The claims.
    pub claims: Claims,
    /// When the session expires.
    pub expires_at: Timestamp,
}

#[derive(Serialize)]
struct IssuedClaims<'a> {
    #[serde(flatten)]
    claims: &'a Claims,
    iat: Timestamp,
    exp: Timestamp,
    iss: &'a str,
    aud: &'a str,
}

/// A valid session of a request, with the member from the store.
#[derive(Debug)]
pub struct Session {
    /// The session's claims.
    pub claims: Claims,
    pub(crate) member: Option<Member>,
}

impl Session {
    /// Returns the member.
    ///
    /// # Errors
    /// Fails with [`Error::UserNotFound`] if the store does not contain the member.
    pub fn member(&self) -> Result<&Member, Error> {
        self.member.as_ref().ok_or(Error::UserNotFound)
    }
}

/// Signs a session of a login with the password. [`sign`] has the details.
///
/// # Errors
/// Fails with [`Error::Internal`] if signing fails.
pub fn issue(
    keys: &Keys,
    settings: &Settings,
    member: MemberId,
    credential_version: u64,
    auth_time: Timestamp,
) -> Result<String, Error> {
    let amr = vec![LogInMethod::Password.name().to_owned()];
    sign(keys, settings, &Claims { member, credential_version, auth_time, amr })
}

/// Signs a session with HS256 under the current key. It expires after `SESSION_TTL_SECONDS`, and at the latest
/// `SESSION_MAX_SECONDS` after `auth_time`.
///
/// # Errors
/// Fails with [`Error::Internal`] if signing fails.
pub fn sign(keys: &Keys, settings: &Settings, claims: &Claims) -> Result<String, Error> {
    let now = Timestamp::now();
    let key = keys.current();
    let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
    let claims = IssuedClaims {
        claims,
        iat: now,
        exp: expiry(settings, now, claims.auth_time),
        iss: &settings.session_issuer,
        aud: &settings.session_audience,
    };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(key.bytes(KeyPurpose::Session)))
        .map_err(Error::internal)
}

/// Returns when a session that is issued now expires.
pub(super) fn expiry(settings: &Settings, now: Timestamp, auth_time: Timestamp) -> Timestamp {
    now.plus(settings.session_ttl_seconds).min(auth_time.plus(settings.session_max_seconds))
}

/// Returns the seconds for which a session that is issued now is valid.
#[must_use]
pub fn lifetime(settings: &Settings, auth_time: Timestamp) -> u64 {
    let now = Timestamp::now();
    now.until(expiry(settings, now, auth_time))
}

/// How far in the future `auth_time` and `nbf` may be, because the clock of a login service may be ahead of ours. RFC 7519,
/// 4.1.4 allows "no more than a few minutes" of clock skew.
const LEEWAY_SECONDS: u64 = 300;

/// The claims of a session that this or another login service issued.
#[derive(Deserialize)]
struct CheckedClaims {
    sub: MemberId,
    ver: u64,
    #[serde(deserialize_with = "numeric_date")]
    auth_time: Timestamp,
    amr: Option<Vec<String>>,
    nbf: Option<NumericDate>,
    exp: NumericDate,
}

/// A moment in a JWT: a number of seconds since 1970, whose fraction is dropped (RFC 7519, 2).
struct NumericDate(Timestamp);

/// The last moment of a `NumericDate`, 9999-12-31T23:59:59Z. A later one is a mistake, such as a time in milliseconds.
const LAST_DATE: Duration = Duration::from_secs(253_402_300_799);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Every number of seconds up to the last moment is exact in an `f64`.
        let seconds = f64::deserialize(deserializer)?;
        let since_epoch = Duration::try_from_secs_f64(seconds).map_err(de::Error::custom)?;
        if since_epoch > LAST_DATE {
            return Err(de::Error::custom("the date is after the year 9999"));
        }
        Ok(Self(Timestamp(since_epoch.as_secs())))
    }
}

fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    NumericDate::deserialize(deserializer).map(|NumericDate(moment)| moment)
}

/// Verifies `kid`, the algorithm of that key, the signature, `exp`, `nbf`, `iss` and `aud`, and that the header has
/// no `crit`. `auth_time` must not be in the future, apart from clock skew: such a session would outlive the maximum
/// and would count as a recent login for too long. It must not be longer than `SESSION_MAX_SECONDS` ago either,
/// because a login service may issue sessions with a later `exp`.
///
/// # Errors
/// Fails with [`Error::InvalidToken`] in every case.
pub fn verify(keys: &Keys, settings: &Settings, token: &str) -> Result<Claims, Error> {
    verify_signed(keys, settings, token).map(|session| session.claims)
}

/// Verifies a session as [`verify`] does, and returns also when it expires.
///
/// # Errors
/// Fails with [`Error::InvalidToken`] in every case.
pub fn verify_signed(keys: &Keys, settings: &Settings, token: &str) -> Result<SignedSession, Error> {
    signed_session(keys, settings, token).ok_or(Error::InvalidToken)
}

fn signed_session(keys: &Keys, settings: &Settings, token: &str) -> Option<SignedSession> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    // An extension that must be understood is not understood here (RFC 7515, 4.1.11).
    let id = header.kid.filter(|_| header.crit.is_none())?;
    // The algorithm comes from the key, never from the token (ASVS 5, 9.1.2).
    let (algorithm, key) = match (keys.by_id(&id), keys.public(&id)) {
        (Some(key), _) => (Algorithm::HS256, &DecodingKey::from_secret(key.bytes(KeyPurpose::Session))),
        (None, Some(public)) => (public.algorithm, &public.key),
        (None, None) => return None,
    };
    let mut validation = Validation::new(algorithm);
    validation.leeway = 0;
    validation.set_required_spec_claims(&["sub", "exp", "iss", "aud"]);
    validation.set_issuer(&[&settings.session_issuer]);
    validation.set_audience(&[&settings.session_audience]);
    let CheckedClaims { sub, ver, auth_time, amr, nbf, exp: NumericDate(exp) } =
        jsonwebtoken::decode::<CheckedClaims>(token, key, &validation).ok()?.claims;
    let now = Timestamp::now();
    let not_before = nbf.map(|NumericDate(moment)| moment);
    let begun = [Some(auth_time), not_before].into_iter().flatten().all(|at| at <= now.plus(LEEWAY_SECONDS));
    let latest = auth_time.plus(settings.session_max_seconds);
    if !begun || latest < now {
        return None;
    }
    let amr = amr.unwrap_or_else(|| vec![settings.session_default_amr.clone()]);
    let claims = Claims { member: sub, credential_version: ver, auth_time, amr };
    Some(SignedSession { claims, expires_at: exp.min(latest) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::keys::tests::{secret, two_keys},
        settings::tests::defaults,
    };
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use base64::{
        Engine,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    use serde_json::{Value, json};

    fn member() -> MemberId {
        MemberId(uuid::uuid!("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11"))
    }

    fn valid_claims() -> Value {
        let now = Timestamp::now();
        json!({"sub": member(), "ver": 3, "iat": now, "exp": now.plus(60), "auth_time": now, "iss": "account-security", "aud": "account-security"})
    }

    fn signed(kid: &str, algorithm: Algorithm, claims: &Value, key: &[u8]) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(key)).unwrap()
    }

    fn accepts(claims: &Value) -> bool {
        let keys = two_keys();
        let token = signed("new", Algorithm::HS256, claims, keys.current().bytes(KeyPurpose::Session));
        verify(&keys, &defaults(), &token).is_ok()
    }

    #[test]
    fn issued_session_verifies_with_its_claims() {
        let (keys, settings, then) = (two_keys(), defaults(), Timestamp(Timestamp::now().0 - 100));
        let token = issue(&keys, &settings, member(), 3, then).unwrap();
        let claims = verify(&keys, &settings, &token).unwrap();
        let amr = vec!["pwd".to_owned()];
        assert_eq!(claims, Claims { member: member(), credential_version: 3, auth_time: then, amr });
    }

    /// Verifies these claims, signed under the current key.
    fn verified(settings: &Settings, claims: &Value) -> Result<SignedSession, Error> {
        let keys = two_keys();
        let token = signed("new", Algorithm::HS256, claims, keys.current().bytes(KeyPurpose::Session));
        verify_signed(&keys, settings, &token)
    }

    #[test]
    fn session_without_amr_has_the_default() {
        let mut claims = valid_claims();
        let mut settings = defaults();
        assert_eq!(verified(&settings, &claims).unwrap().claims.amr, ["pwd"]);
        settings.session_default_amr = "sms".to_owned();
        assert_eq!(verified(&settings, &claims).unwrap().claims.amr, ["sms"]);
        claims["amr"] = json!(["otp", "mail"]);
        assert_eq!(verified(&settings, &claims).unwrap().claims.amr, ["otp", "mail"]);
        claims["amr"] = json!("pwd");
        assert!(verified(&settings, &claims).is_err());
    }

    #[test]
    fn renewed_session_keeps_its_amr() {
        let (keys, settings) = (two_keys(), defaults());
        let amr = vec!["mail".to_owned(), "otp".to_owned()];
        let claims = Claims { member: member(), credential_version: 3, auth_time: Timestamp::now(), amr };
        let token = sign(&keys, &settings, &claims).unwrap();
        assert_eq!(verify(&keys, &settings, &token).unwrap(), claims);
    }

    #[test]
    fn only_a_password_login_is_recent() {
        let now = Timestamp::now();
        let logged_in = |amr: &[&str], seconds_ago: u64| {
            let amr = amr.iter().map(|&method| method.to_owned()).collect();
            let auth_time = Timestamp(now.0 - seconds_ago);
            Claims { member: member(), credential_version: 3, auth_time, amr }.is_recent_login(now, 900)
        };
        assert!(logged_in(&["pwd"], 899) && logged_in(&["otp", "pwd"], 0));
        assert!(!logged_in(&["pwd"], 900));
        for amr in [&["sms"][..], &["mail"], &["sms", "otp"], &[]] {
            assert!(!logged_in(amr, 0), "{amr:?}");
        }
    }

    #[test]
    fn expiry_is_the_earlier_of_exp_and_maximum() {
        let (settings, now) = (defaults(), Timestamp::now());
        let mut claims = valid_claims();
        assert_eq!(
            verified(&settings, &claims).unwrap().expires_at,
            Timestamp(claims["exp"].as_u64().unwrap())
        );
        claims["exp"] = json!(1e10 + 0.5);
        let latest = claims["auth_time"].as_u64().unwrap() + settings.session_max_seconds;
        assert_eq!(verified(&settings, &claims).unwrap().expires_at, Timestamp(latest));
        claims["exp"] = json!(f64::from(u32::try_from(now.0).unwrap()) + 60.5);
        assert_eq!(verified(&settings, &claims).unwrap().expires_at, now.plus(60));
    }

    #[test]
    fn session_expires_thirty_days_after_the_login() {
        let (keys, settings) = (two_keys(), defaults());
        let almost = Timestamp(Timestamp::now().0 - settings.session_max_seconds + 60);
        let token = issue(&keys, &settings, member(), 3, almost).unwrap();
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap())
                .unwrap();
        assert_eq!(claims["exp"], json!(almost.plus(settings.session_max_seconds)));
        let past = Timestamp(almost.0 - 61);
        assert!(verify(&keys, &settings, &issue(&keys, &settings, member(), 3, past).unwrap()).is_err());
    }

    #[test]
    fn invalid_or_missing_claim_is_refused() {
        assert!(accepts(&valid_claims()));
        for (claim, bad) in [
            ("exp", json!(Timestamp::now().0 - 1)),
            ("exp", Value::Null),
            ("iss", json!("another")),
            ("aud", json!("another")),
            ("sub", json!("not-a-uuid")),
            ("ver", json!("3")),
            ("auth_time", Value::Null),
        ] {
            let mut claims = valid_claims();
            claims[claim] = bad;
            assert!(!accepts(&claims), "{claims}");
        }
        for claim in ["sub", "ver", "exp", "auth_time", "iss", "aud"] {
            let mut claims = valid_claims();
            claims.as_object_mut().unwrap().remove(claim);
            assert!(!accepts(&claims), "{claims}");
        }
    }

    #[test]
    fn session_ends_at_maximum_despite_later_exp() {
        let (now, maximum) = (Timestamp::now(), defaults().session_max_seconds);
        let logged_in_before = |seconds: u64| {
            let mut claims = valid_claims();
            claims["auth_time"] = json!(now.0 - seconds);
            claims["exp"] = json!(now.plus(maximum));
            claims
        };
        assert!(accepts(&logged_in_before(maximum - 10)));
        assert!(!accepts(&logged_in_before(maximum + 10)));
    }

    #[test]
    fn session_is_refused_before_nbf() {
        let now = Timestamp::now();
        let valid_from = |not_before: Value| {
            let mut claims = valid_claims();
            claims["nbf"] = not_before;
            claims
        };
        assert!(accepts(&valid_from(json!(now))));
        // The clock of a login service may be ahead of ours, as for `auth_time`.
        assert!(accepts(&valid_from(json!(now.plus(300)))));
        assert!(!accepts(&valid_from(json!(now.plus(360)))));
        assert!(!accepts(&valid_from(json!("now"))));
    }

    #[test]
    fn dates_are_read_as_other_services_write_them() {
        let now = Timestamp::now();
        // `text` is JSON, because `json!` would write a float of its own.
        let with = |claim: &str, text: String| {
            let mut claims = valid_claims();
            claims[claim] = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
            claims
        };
        let moments = [("auth_time", now.0), ("nbf", now.0), ("iat", now.0), ("exp", now.0 + 60)];
        for (claim, at) in moments {
            for text in [
                format!("{at}"),
                format!("{at}.0"),
                format!("{at}.123456"),
                format!("{at}.999999999"),
                format!("{at}e0"),
                format!("{at}00E-2"),
                format!("{}.{:09}e9", at / 1_000_000_000, at % 1_000_000_000),
            ] {
                assert!(accepts(&with(claim, text.clone())), "{claim} {text}");
            }
        }
        for claim in ["auth_time", "nbf", "exp"] {
            for text in [
                format!("-{}", now.0),
                "-1".to_owned(),
                "-0.5".to_owned(),
                "1e300".to_owned(),
                format!("{}000", now.0),
                "18446744073709551615".to_owned(),
                "18446744073709551616".to_owned(),
                "253402300800".to_owned(),
                format!("\"{}\"", now.0),
                "\"NaN\"".to_owned(),
                "\"2026-01-01T00:00:00Z\"".to_owned(),
                "true".to_owned(),
                "[1700000000]".to_owned(),
                "{}".to_owned(),
            ] {
                assert!(!accepts(&with(claim, text.clone())), "{claim} {text}");
            }
        }
    }

    #[test]
    fn fraction_of_a_date_is_dropped() {
        let keys = two_keys();
        let then = Timestamp(Timestamp::now().0 - 100);
        let mut claims = valid_claims();
        claims["auth_time"] = serde_json::from_str(&format!("{}.9", then.0)).unwrap();
        let token = signed("new", Algorithm::HS256, &claims, keys.current().bytes(KeyPurpose::Session));
        assert_eq!(verify(&keys, &defaults(), &token).unwrap().auth_time, then);
    }

    #[test]
    fn header_with_critical_extensions_is_refused() {
        let (keys, settings) = (two_keys(), defaults());
        let token = |critical: Option<Vec<String>>| {
            let header =
                Header { kid: Some("new".to_owned()), crit: critical, ..Header::new(Algorithm::HS256) };
            let key = EncodingKey::from_secret(keys.current().bytes(KeyPurpose::Session));
            jsonwebtoken::encode(&header, &valid_claims(), &key).unwrap()
        };
        assert!(verify(&keys, &settings, &token(None)).is_ok());
        for critical in [vec!["exp".to_owned()], vec!["b64".to_owned()], Vec::new()] {
            assert!(verify(&keys, &settings, &token(Some(critical))).is_err());
        }
    }

    #[test]
    fn login_service_clock_may_differ_by_five_minutes() {
        let now = Timestamp::now();
        let logged_in_at = |then: Timestamp, ttl_seconds: u64| {
            let mut claims = valid_claims();
            (claims["iat"], claims["auth_time"]) = (json!(then), json!(then));
            claims["exp"] = json!(then.plus(ttl_seconds));
            claims
        };
        assert!(accepts(&logged_in_at(now.plus(300), 60)));
        assert!(accepts(&logged_in_at(Timestamp(now.0 - 300), 360)));
        assert!(!accepts(&logged_in_at(now.plus(360), 60)));
    }

    #[test]
    fn algorithm_comes_from_the_key() {
        let (keys, settings) = (two_keys(), defaults());
        let key = keys.current().bytes(KeyPurpose::Session);
        assert!(verify(&keys, &settings, &signed("new", Algorithm::HS384, &valid_claims(), key)).is_err());
        assert!(
            verify(&keys, &settings, &signed("unknown", Algorithm::HS256, &valid_claims(), key)).is_err()
        );
        let none = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"new"}"#),
            URL_SAFE_NO_PAD.encode(valid_claims().to_string())
        );
        for text in [&none, "", "a", "a.b", "a.b.c", "....", "\u{0}"] {
            assert!(verify(&keys, &settings, text).is_err(), "{text}");
        }
    }

    #[test]
    fn earlier_key_verifies_until_retired() {
        let settings = defaults();
        let before = Keys::parse(&secret("old")).unwrap();
        let token = issue(&before, &settings, member(), 3, Timestamp::now()).unwrap();
        assert!(verify(&two_keys(), &settings, &token).is_ok());
        let retired = Keys::parse(&format!(r#"{{"current":"new","new":"{}"}}"#, "n".repeat(64))).unwrap();
        assert!(verify(&retired, &settings, &token).is_err());
    }

    #[test]
    fn public_key_verifies_only_its_own_algorithm() {
        let edwards = Ed25519KeyPair::generate().unwrap();
        let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        // SubjectPublicKeyInfo prefixes: RFC 8410, 10.1 and RFC 5480, 2.1.1.
        let spki = |prefix: &[u8], key: &[u8]| {
            format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                STANDARD.encode([prefix, key].concat())
            )
        };
        let edwards_pem =
            spki(b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", edwards.public_key().as_ref());
        let p256_pem = spki(
            b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00",
            p256.public_key().as_ref(),
        );
        let secret = json!({
            "current": "k", "k": "k".repeat(32),
            "publicKeys": {"login-ed": {"alg": "EdDSA", "pem": edwards_pem}, "login-es": {"alg": "ES256", "pem": p256_pem}},
        });
        let keys = Keys::parse(&secret.to_string()).unwrap();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = |kid: &str, alg: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
            let signing_input =
                format!("{}.{}", part(&json!({"alg": alg, "kid": kid})), part(&valid_claims()));
            let signature = sign(signing_input.as_bytes());
            format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        let by_edwards = |data: &[u8]| edwards.sign(data).as_ref().to_vec();
        let by_p256 =
            |data: &[u8]| p256.sign(&aws_lc_rs::rand::SystemRandom::new(), data).unwrap().as_ref().to_vec();
        let settings = defaults();
        assert!(verify(&keys, &settings, &signed("login-ed", "EdDSA", &by_edwards)).is_ok());
        assert!(verify(&keys, &settings, &signed("login-es", "ES256", &by_p256)).is_ok());
        assert!(verify(&keys, &settings, &signed("login-es", "EdDSA", &by_edwards)).is_err());
        assert!(verify(&keys, &settings, &signed("login-ed", "EdDSA", &by_p256)).is_err());
        // Algorithm confusion: the public key is used as an HMAC secret.
        let by_hmac = |data: &[u8]| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, edwards_pem.as_bytes());
            aws_lc_rs::hmac::sign(&key, data).as_ref().to_vec()
        };
        assert!(verify(&keys, &settings, &signed("login-ed", "HS256", &by_hmac)).is_err());
    }
}
