//! The family of functions that other services invoke directly: the fields of an event, and the result.

use super::{
    envelope::Family,
    reply::{Reply, Verification},
    request::MAX_BODY_BYTES,
};
use crate::{
    ExposeSecret, Secret,
    domain::{
        audit::{MAX_USER_AGENT_CHARACTERS, Origin},
        message,
    },
    error::{Error, Registration},
    language::Language,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};
use std::{fmt, net::IpAddr};

/// The functions that other services invoke directly, without a gateway.
#[derive(Debug)]
pub struct ServiceApi;

impl Family for ServiceApi {
    type Success = ServiceSuccess;
}

/// The content of a success of [`ServiceApi`]: the fields of its function. Their values are not shown in `Debug`, because
/// one can be a receipt.
#[derive(Default, Serialize, Deserialize)]
pub struct ServiceSuccess(Map<String, Value>);

impl fmt::Debug for ServiceSuccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl ServiceSuccess {
    pub(super) fn new(fields: &impl Serialize) -> Result<Self, Error> {
        match serde_json::to_value(fields).map_err(Error::internal)? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(Error::internal("a result is not a JSON object")),
        }
    }
}

/// `{"success":true,"requestId":"…",…}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SuccessBody<'a> {
    success: bool,
    request_id: &'a str,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resend_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<&'a str>,
}

/// `{"success":false,"requestId":"…","error":"…","message":"…"}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusalBody<'a> {
    success: bool,
    request_id: &'a str,
    error: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_left: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<&'a str>,
}

impl ServiceApi {
    /// Returns the result of a success.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialized.
    pub(crate) fn success(reply: &Reply<Self>, request_id: &str) -> Result<Value, Error> {
        let body = SuccessBody {
            success: true,
            request_id,
            fields: &reply.success.0,
            session: reply.added.token(),
            service_token: reply.added.service_token(),
            expires_in: reply.added.expires_in,
            resend_in: reply.added.resend_in,
            verification: match &reply.added.verification {
                Verification::Is(verification) => Some(verification),
                Verification::Unchanged | Verification::Consumed => None,
            },
        };
        serde_json::to_value(&body).map_err(Error::internal)
    }

    /// Returns the result of a refusal.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialized.
    pub(crate) fn refusal(error: &Error, language: Language, request_id: &str) -> Result<Value, Error> {
        let registration = error.registration();
        let body = RefusalBody {
            success: false,
            request_id,
            error: &error.symbol(),
            message: &message::of_error(error, language),
            retry_after: error.retry_after(),
            attempts_left: error.attempts_left(),
            expires_in: registration.map(Registration::expires_in),
            verification: registration.map(Registration::verification),
        };
        serde_json::to_value(&body).map_err(Error::internal)
    }
}

/// The fields that every event of this family may have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommonFields {
    source_ip: Option<IpAddr>,
    user_agent: Option<String>,
    language: Option<String>,
    idempotency_key: Option<String>,
    #[serde(default, deserialize_with = "request_id")]
    request_id: Option<String>,
}

/// The names of [`CommonFields`] in an event.
const COMMON_FIELDS: [&str; 5] = ["sourceIp", "userAgent", "language", "idempotencyKey", "requestId"];

/// Fields of the events of API Gateway, function URLs and load balancers. An event that has one is refused, so that a
/// route to a function of this family by mistake reaches nothing.
const GATEWAY_FIELDS: [&str; 7] =
    ["requestContext", "httpMethod", "rawPath", "routeKey", "routeArn", "methodArn", "multiValueHeaders"];

/// The longest `requestId`, in characters. Those of AWS have 36.
const MAX_REQUEST_ID: usize = 128;

/// An event of this family: the common fields, and those of its function.
pub(crate) struct ServiceEvent {
    common: CommonFields,
    fields: Map<String, Value>,
}

impl ServiceEvent {
    /// Parses an event.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`], or [`Error::EventNotValid`] if it is not a JSON object, comes from a gateway, or has a
    /// malformed common field.
    pub(crate) fn parse(event: &str) -> Result<Self, Error> {
        if event.len() > MAX_BODY_BYTES {
            return Err(Error::BodyTooLarge);
        }
        let mut fields: Map<String, Value> = serde_json::from_str(event)
            .map_err(|_| Error::EventNotValid("it is not a JSON object".to_owned()))?;
        if GATEWAY_FIELDS.iter().any(|name| fields.contains_key(*name)) {
            let reason = "it comes from a gateway, but this function is invoked directly";
            return Err(Error::EventNotValid(reason.to_owned()));
        }
        let common = COMMON_FIELDS.iter().filter_map(|name| fields.remove_entry(*name)).collect();
        Ok(Self { common: typed(common)?, fields })
    }

    /// Returns the supported language that the event prefers, if any.
    pub(crate) fn language(&self) -> Option<Language> {
        self.common.language.as_deref().and_then(Language::of_header)
    }

    /// Returns the id under which the log and the audit trail record the request, if the caller chose one.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.common.request_id.as_deref()
    }

    /// Returns the idempotency key.
    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        self.common.idempotency_key.as_deref()
    }

    /// Returns the origin of the request: the end user's address, which only the calling service knows.
    pub(crate) fn origin(&self, request_id: String) -> Origin {
        let CommonFields { source_ip, user_agent, .. } = &self.common;
        Origin {
            request_id,
            source_ip: source_ip.map(|address| address.to_string()),
            user_agent: user_agent
                .as_ref()
                .map(|agent| agent.chars().take(MAX_USER_AGENT_CHARACTERS).collect()),
        }
    }

    /// Serializes the function's own fields. The text does not depend on their order, and different fields have different
    /// texts.
    pub(crate) fn canonical(&self) -> Secret {
        let mut fields = Value::Object(self.fields.clone());
        // A feature of serde_json that any program of a build can turn on keeps the order of the text.
        fields.sort_all_objects();
        fields.to_string().into()
    }

    /// Returns the function's own fields.
    ///
    /// # Errors
    /// [`Error::EventNotValid`] if one is missing, unknown, or malformed.
    pub(crate) fn into_fields<T: DeserializeOwned>(self) -> Result<T, Error> {
        typed(self.fields)
    }
}

fn request_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let id = Option::<String>::deserialize(deserializer)?;
    let is_well_formed = |id: &String| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match id {
        Some(id) if !is_well_formed(&id) => Err(D::Error::custom("not a request id")),
        id => Ok(id),
    }
}

/// Converts fields. The error names the field that is not valid, and contains no value.
fn typed<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Error> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let (path, reason) = (error.path().to_string(), error.into_inner().to_string());
        // Of serde's messages only the first two never contain a value. The others are our own.
        let starts = ["unknown field `", "missing field `", "field `", "conflicting field `"];
        let names_field = starts.iter().any(|start| reason.starts_with(start));
        Error::EventNotValid(if names_field { reason } else { format!("`{path}` is malformed") })
    })
}

/// A text of an event that is not shown in `Debug`, such as a receipt or a password.
#[derive(Clone, Debug)]
pub struct SecretText(Secret);

impl SecretText {
    /// Returns the text.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// Returns the one that an event has of several alternative fields, each given with its name.
///
/// # Errors
/// [`Error::EventNotValid`] if it has none of them, or more than one.
pub fn one_of<T, const N: usize>(alternatives: [(&str, Option<T>); N]) -> Result<T, Error> {
    let names = alternatives.each_ref().map(|(name, _)| format!("`{name}`")).join(" or ");
    let mut sent = alternatives.into_iter().filter_map(|(name, value)| Some((name, value?)));
    match (sent.next(), sent.next()) {
        (Some((_, value)), None) => Ok(value),
        (Some((first, _)), Some((second, _))) => {
            Err(Error::EventNotValid(format!("`{first}` and `{second}` exclude each other")))
        }
        (None, _) => Err(Error::EventNotValid(format!("missing field {names}"))),
    }
}

/// Returns two fields that an event has together or not at all, each given with its name.
///
/// # Errors
/// [`Error::EventNotValid`] if it has only one of them.
pub fn both_or_neither<A, B>(
    (first, a): (&str, Option<A>),
    (second, b): (&str, Option<B>),
) -> Result<Option<(A, B)>, Error> {
    let (missing, sent) = match (a, b) {
        (Some(a), Some(b)) => return Ok(Some((a, b))),
        (None, None) => return Ok(None),
        (Some(_), None) => (second, first),
        (None, Some(_)) => (first, second),
    };
    Err(Error::EventNotValid(format!("missing field `{missing}` beside `{sent}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Fields {
        receipt: SecretText,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only parsed")]
        count: u32,
    }

    fn fields(event: &Value) -> Result<Fields, String> {
        let fields = ServiceEvent::parse(&event.to_string()).and_then(ServiceEvent::into_fields);
        fields.map_err(|error| match error {
            Error::EventNotValid(reason) => reason,
            other => other.to_string(),
        })
    }

    #[test]
    fn common_fields_are_taken_off_first() {
        let event = json!({
            "receipt": "r", "sourceIp": "2001:db8::1", "userAgent": "a".repeat(300), "language": "en-GB",
            "idempotencyKey": "key", "requestId": "id-1",
        });
        let parsed = ServiceEvent::parse(&event.to_string()).unwrap();
        assert_eq!(parsed.language(), Some(Language::English));
        assert_eq!((parsed.request_id(), parsed.idempotency_key()), (Some("id-1"), Some("key")));
        let origin = parsed.origin("id-1".to_owned());
        assert_eq!(origin.source_ip.as_deref(), Some("2001:db8::1"));
        assert_eq!(origin.user_agent.unwrap().len(), MAX_USER_AGENT_CHARACTERS);
        assert_eq!(parsed.canonical().expose_secret(), r#"{"receipt":"r"}"#);
        assert_eq!(fields(&event).unwrap().receipt.expose(), "r");
        let absent = json!({ "receipt": "r", "sourceIp": null, "requestId": null, "inner": null });
        assert!(fields(&absent).unwrap().inner.is_none());
    }

    #[test]
    fn canonical_fields_have_no_order() {
        let canonical =
            |event: &str| ServiceEvent::parse(event).unwrap().canonical().expose_secret().to_owned();
        let event = canonical(r#"{"order":{"payee":"p","amount":"1"},"receipt":"r"}"#);
        assert_eq!(event, canonical(r#"{"receipt":"r","order":{"amount":"1","payee":"p"}}"#));
        assert_ne!(event, canonical(r#"{"receipt":"r","order":{"amount":"2","payee":"p"}}"#));
    }

    #[test]
    fn error_names_the_field_without_its_value() {
        for (event, expected) in [
            (json!({ "receipt": "r", "colour": 1 }), "unknown field `colour`, expected `receipt` or `inner`"),
            (json!({}), "missing field `receipt`"),
            (json!({ "receipt": 7 }), "`receipt` is malformed"),
            (json!({ "receipt": "r", "inner": { "count": "hunter2" } }), "`inner.count` is malformed"),
            (
                json!({ "receipt": "r", "inner": { "count": 1, "size": 2 } }),
                "unknown field `size`, expected `count`",
            ),
            (json!({ "receipt": "r", "inner": {} }), "missing field `count`"),
            (json!({ "receipt": "r", "sourceIp": "hunter2" }), "`sourceIp` is malformed"),
            (json!({ "receipt": "r", "requestId": "hunter 2" }), "`requestId` is malformed"),
            (json!({ "receipt": "r", "language": 5 }), "`language` is malformed"),
            (json!([]), "it is not a JSON object"),
            (json!("text"), "it is not a JSON object"),
        ] {
            assert_eq!(fields(&event).err().as_deref(), Some(expected), "{event}");
        }
        let large = json!({ "receipt": "r".repeat(MAX_BODY_BYTES) });
        assert!(matches!(ServiceEvent::parse(&large.to_string()), Err(Error::BodyTooLarge)));
    }

    #[test]
    fn contradictory_fields_are_named() {
        let reason = |error| match error {
            Error::EventNotValid(reason) => reason,
            other => other.to_string(),
        };
        let one = |a, b| one_of([("a", a), ("b", b)]).map_err(reason);
        assert_eq!((one(Some(1), None), one(None, Some(2))), (Ok(1), Ok(2)));
        assert_eq!(one(None, None), Err("missing field `a` or `b`".to_owned()));
        assert_eq!(one(Some(1), Some(2)), Err("`a` and `b` exclude each other".to_owned()));
        let both = |a, b| both_or_neither(("a", a), ("b", b)).map_err(reason);
        assert_eq!((both(Some(1), Some(2)), both(None, None)), (Ok(Some((1, 2))), Ok(None)));
        assert_eq!(both(Some(1), None), Err("missing field `b` beside `a`".to_owned()));
        assert_eq!(both(None, Some(2)), Err("missing field `a` beside `b`".to_owned()));
    }

    #[test]
    fn debug_shows_no_value() {
        let success = ServiceSuccess::new(&json!({ "receipt": "hunter2" })).unwrap();
        assert_eq!(format!("{success:?}"), r#"{"receipt"}"#);
    }

    #[test]
    fn event_of_a_gateway_is_refused() {
        for name in GATEWAY_FIELDS {
            let error = fields(&json!({ "receipt": "r", name: {} })).err().unwrap();
            assert!(error.contains("comes from a gateway"), "{name}: {error}");
        }
    }
}
