//! A request as a handler receives it: parameters, session, language and origin.

use crate::{
    ExposeSecret, Secret,
    domain::{audit::Origin, idempotency::IdempotentRequest, member::Member},
    error::Error,
    http::parameter::Parameter,
    language::Language,
};
use lambda_http::http::Method;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};

/// The header or body field that contains the session if `Authorization` does not.
pub(crate) const SESSION: &str = "token";

/// The largest accepted body.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The language of the response.
    pub language: Language,
    /// The supported language that the request prefers, if any.
    pub(crate) requested_language: Option<Language>,
    /// The origin that the audit trail records.
    pub origin: Origin,
    pub(crate) parameters: Parameters,
    pub(crate) session_token: Option<Secret>,
    pub(crate) verification_cookie: Option<Secret>,
    pub(crate) method: Method,
    /// Whether a browser states that another site caused the request.
    pub(crate) is_cross_site: bool,
    pub(crate) idempotent: Option<Arc<IdempotentRequest>>,
}

impl Request {
    /// Returns the request of a service, whose fields the handler receives besides.
    pub(crate) fn of_service(
        language: Language,
        requested_language: Option<Language>,
        origin: Origin,
        idempotent: Option<Arc<IdempotentRequest>>,
    ) -> Self {
        Self {
            language,
            requested_language,
            origin,
            parameters: Parameters::default(),
            session_token: None,
            verification_cookie: None,
            method: Method::POST,
            is_cross_site: false,
            idempotent,
        }
    }

    /// Returns the value of a required parameter. It is not trimmed.
    ///
    /// # Errors
    /// [`Error::Missing`] if it is absent or blank.
    pub fn required(&self, parameter: Parameter) -> Result<&str, Error> {
        self.optional(parameter).ok_or(Error::Missing(parameter.field()))
    }

    /// Returns the value of an optional parameter.
    #[must_use]
    pub fn optional(&self, parameter: Parameter) -> Option<&str> {
        self.parameters.get(parameter.name())
    }

    /// Returns a value that is typed twice: the first one, if the second is absent or equal.
    ///
    /// # Errors
    /// [`Error::Missing`] if the first is missing, [`Error::NotValid`] if they differ.
    pub fn required_twice(&self, first: Parameter, second: Parameter) -> Result<&str, Error> {
        let value = self.required(first)?;
        match self.optional(second) {
            Some(repeated) if repeated != value => Err(Error::NotValid(first.field())),
            _ => Ok(value),
        }
    }

    /// Returns `verification`: the parameter, or else the cookie that an earlier response set.
    #[must_use]
    pub fn verification(&self) -> Option<&str> {
        let cookie = || self.verification_cookie.as_ref().map(ExposeSecret::expose_secret);
        self.optional(Parameter::Verification).or_else(cookie)
    }

    /// Serializes every input that a handler decides by, except the session. Different requests have different texts.
    /// The language and the origin are left out: a client may repeat its request from another network.
    pub(crate) fn canonical(&self) -> Secret {
        let cookie = self.verification_cookie.as_ref().map(ExposeSecret::expose_secret);
        let inputs = (self.method.as_str(), cookie, self.parameters.canonical());
        serde_json::json!(inputs).to_string().into()
    }

    /// Checks that no other site caused the request. A send requires this: neither its GET nor its POST needs a CORS
    /// preflight, so that any page could make its visitors send codes.
    ///
    /// # Errors
    /// [`Error::OriginNotAllowed`] if a browser states that another site caused it.
    pub(crate) fn check_site(&self) -> Result<(), Error> {
        if self.is_cross_site { Err(Error::OriginNotAllowed) } else { Ok(()) }
    }

    /// Fails unless a service sent the end user's address, by which failed logins and sends are limited. Without it they
    /// would share one limit.
    ///
    /// # Errors
    /// [`Error::EventNotValid`] if it did not.
    pub fn require_source_ip(&self) -> Result<(), Error> {
        let missing = || Error::EventNotValid("missing field `sourceIp`".to_owned());
        self.origin.source_ip.as_ref().map(drop).ok_or_else(missing)
    }

    /// Returns the language of a notice to the member: the one that the request prefers, or else the member's, or
    /// else the default.
    #[must_use]
    pub(crate) fn notice_language(&self, member: &Member) -> Language {
        self.requested_language.or(member.language).unwrap_or(self.language)
    }

    /// Returns whether the method is GET, so that the request must not change anything.
    #[must_use]
    pub fn is_get(&self) -> bool {
        self.method == Method::GET
    }
}

/// Parameters by name. The body takes precedence over the query, and the last of several values over the others. Blank
/// values count as absent.
#[derive(Clone, Default)]
pub struct Parameters {
    body: BTreeMap<String, Secret>,
    query: BTreeMap<String, Secret>,
}

impl Parameters {
    /// Parses the parameters of the decoded query, and of the body according to `content_type`. A JSON number becomes
    /// the text that it was written as. The body `null` is no body, because some clients send it with every method.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`], or [`Error::BodyNotValid`] for a body that is neither a JSON object nor a form, and for
    /// a name or a text that is not Unicode, also in a field that no handler reads.
    pub fn read<'a>(
        query: impl IntoIterator<Item = (&'a str, &'a str)>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Self, Error> {
        if body.len() > MAX_BODY_BYTES {
            return Err(Error::BodyTooLarge);
        }
        let body =
            std::str::from_utf8(body).map_err(|_| Error::BodyNotValid)?.trim_start_matches('\u{feff}').trim();
        let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        let body = if body.is_empty() || body == "null" {
            BTreeMap::new()
        } else if body.starts_with('{') || is_json(media_type) {
            // Clients that omit the header, such as `curl -d`, send JSON with the media type of a form.
            json(body)?
        } else if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
            || (media_type.is_empty() && body.contains('='))
        {
            unicode(
                form_urlencoded::parse(body.as_bytes())
                    .map(|(name, value)| (name.into_owned(), value.into_owned())),
            )?
        } else {
            return Err(Error::BodyNotValid);
        };
        let query = unicode(query.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))?;
        Ok(Self { body, query })
    }

    /// Returns the value of a parameter, unless it is blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.body.get(name).or_else(|| self.query.get(name)).map(ExposeSecret::expose_secret)
    }

    /// Returns the parameters that are in effect, except the session.
    fn canonical(&self) -> BTreeMap<&str, &str> {
        // The body takes precedence, because later entries replace earlier ones.
        let named = self.query.iter().chain(&self.body).filter(|(name, _)| *name != SESSION);
        named.map(|(name, value)| (name.as_str(), value.expose_secret())).collect()
    }

    /// Returns a parameter of the body only. URLs are logged, so they must not contain secrets (ASVS 5, 14.2.1).
    pub(crate) fn in_body(&self, name: &str) -> Option<&Secret> {
        self.body.get(name)
    }
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parameters").finish_non_exhaustive()
    }
}

fn is_json(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

/// Collects the pairs whose value is not blank. Refuses all of them if one has U+FFFD: a decoder, here or in a gateway,
/// writes it for bytes that are not UTF-8, so that different secrets would be the same text.
fn unicode(pairs: impl Iterator<Item = (String, String)>) -> Result<BTreeMap<String, Secret>, Error> {
    let mut parameters = BTreeMap::new();
    for (name, value) in pairs {
        if [&name, &value].iter().any(|text| text.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(Error::BodyNotValid);
        }
        if !value.trim().is_empty() {
            parameters.insert(name, value.into());
        }
    }
    Ok(parameters)
}

fn json(body: &str) -> Result<BTreeMap<String, Secret>, Error> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(body).map_err(|_| Error::BodyNotValid)?;
    let mut pairs = Vec::new();
    for (name, value) in fields {
        if let Some(value) = text_or_digits(value.get())? {
            pairs.push((name, value));
        }
    }
    unicode(pairs.into_iter())
}

/// Returns a JSON string's content, or a JSON number as it was written. Returns `None` for other types.
///
/// # Errors
/// [`Error::BodyNotValid`] for a string with half a surrogate pair, which is not Unicode.
fn text_or_digits(json: &str) -> Result<Option<String>, Error> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).map(Some).map_err(|_| Error::BodyNotValid),
        Some(b'-' | b'0'..=b'9') => Ok(Some(json.to_owned())),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(content_type: &str, body: &str) -> Result<Parameters, Error> {
        Parameters::read([("code", "from-query"), ("blank", " ")], Some(content_type), body.as_bytes())
    }

    #[test]
    fn json_form_and_query_are_equivalent() {
        for (content_type, body) in [
            ("application/json", r#"{"code":"123454"}"#),
            ("application/json; charset=utf-8", "\u{feff} {\"code\":123454}"),
            ("application/x-www-form-urlencoded", "code=123454&time="),
            ("application/x-www-form-urlencoded", r#"{"code":"123454"}"#),
            ("text/plain", r#"{"code":"123454"}"#),
            ("", "code=123454"),
            ("", "code=%31%323454"),
        ] {
            assert_eq!(
                read(content_type, body).unwrap().get("code"),
                Some("123454"),
                "{content_type} {body}"
            );
        }
        assert_eq!(read("application/json", "").unwrap().get("code"), Some("from-query"));
        assert_eq!(read("application/json", r#"{"code":""}"#).unwrap().get("code"), Some("from-query"));
    }

    #[test]
    fn values_of_other_json_types_are_missing() {
        let body = r#"{"a":null,"b":true,"c":[1],"d":{"e":1},"f":" ","g":1362714048312345678901,"h":"x"}"#;
        let parameters = read("application/json", body).unwrap();
        for name in ["a", "b", "c", "d", "f", "blank", "absent"] {
            assert_eq!(parameters.get(name), None, "{name}");
        }
        assert_eq!(parameters.get("g"), Some("1362714048312345678901"));
        assert_eq!(parameters.get("h"), Some("x"));
    }

    #[test]
    fn body_of_another_format_is_refused() {
        for (content_type, body) in [
            ("application/json", "[1]"),
            ("application/json", "code=1"),
            ("application/json", "{"),
            ("application/json", r#"{"a":1} x"#),
            ("text/plain", "hello"),
            ("multipart/form-data; boundary=x", "--x"),
            ("", "hello"),
        ] {
            assert!(matches!(read(content_type, body), Err(Error::BodyNotValid)), "{content_type} {body}");
        }
        assert!(matches!(Parameters::read([], None, b"\xff"), Err(Error::BodyNotValid)));
    }

    #[test]
    fn null_is_no_body() {
        for content_type in ["application/json", "application/x-www-form-urlencoded", "text/plain", ""] {
            for body in ["null", " null\r\n", "\u{feff}null"] {
                assert_eq!(
                    read(content_type, body).unwrap().get("code"),
                    Some("from-query"),
                    "{content_type}"
                );
            }
        }
        for body in ["nul", "NULL", "null null", "undefined", "false", "0", "\"\"", "\"null\""] {
            assert!(matches!(read("application/json", body), Err(Error::BodyNotValid)), "{body}");
        }
    }

    #[test]
    fn text_that_is_not_unicode_is_refused() {
        let form = "application/x-www-form-urlencoded";
        for body in [
            // GBK, Latin-1, an unfinished sequence, an overlong one, half a surrogate pair, and U+FFFD itself.
            "code=%C3%DC%C2%EB",
            "code=caf%E9",
            "code=%E5%AF",
            "code=%C0%80",
            "code=%ED%A0%80",
            "code=%EF%BF%BD",
            "code=\u{fffd}",
            // In a name, or in a field that no handler reads.
            "%C3%DC=1&code=1",
            "code=1&remark=%C3%DC",
        ] {
            assert!(matches!(read(form, body), Err(Error::BodyNotValid)), "{body}");
            let query: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
            let query = query.iter().map(|(name, value)| (&**name, &**value));
            assert!(matches!(Parameters::read(query, None, b""), Err(Error::BodyNotValid)), "{body}");
        }
        for body in [
            r#"{"code":"\ud800"}"#,
            r#"{"code":"\udc00"}"#,
            r#"{"code":"a\ud83d"}"#,
            r#"{"code":"\ud83d\ud83d"}"#,
            r#"{"code":"\ude00\ud83d"}"#,
            r#"{"code":"\ud83dx"}"#,
            r#"{"code":"\ud83d\u0041"}"#,
            r#"{"code":"1","remark":"\ud83d"}"#,
            r#"{"code":"1","\ud83d":"1"}"#,
            r#"{"code":"\ufffd"}"#,
            "{\"code\":\"\u{fffd}\"}",
            r#"{"\ufffd":"1"}"#,
        ] {
            assert!(matches!(read("application/json", body), Err(Error::BodyNotValid)), "{body}");
        }
        for body in [b"{\"code\":\"\xc3\xdc\"}".as_slice(), b"code=\xc3\xdc", b"{\"code\":\"\xed\xa0\x80\"}"]
        {
            assert!(matches!(Parameters::read([], Some(form), body), Err(Error::BodyNotValid)), "{body:?}");
        }
        let utf_16: Vec<u8> = "\u{feff}{\"code\":\"1\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(matches!(Parameters::read([], None, &utf_16), Err(Error::BodyNotValid)));
    }

    #[test]
    fn any_unicode_text_is_read_as_written() {
        for (body, text) in [
            (r#"{"code":"\u5bc6\u7801"}"#, "密码"),
            (r#"{"code":"\ud83d\ude00"}"#, "😀"),
            (r#"{"code":"\ud842\udfb7"}"#, "𠮷"),
            (r#"{"code":"密码😀"}"#, "密码😀"),
            ("code=%E5%AF%86%e7%a0%81", "密码"),
            ("code=密码", "密码"),
            ("code=a+b%20c%2Bd%26e%3Df", "a b c+d&e=f"),
            ("code=100%", "100%"),
            ("code=%zz%4", "%zz%4"),
            ("code=1=2", "1=2"),
            ("code=%F0%9F%98%80", "😀"),
        ] {
            let content_type = if body.starts_with('{') { "application/json" } else { "" };
            assert_eq!(read(content_type, body).unwrap().get("code"), Some(text), "{body}");
        }
    }

    #[test]
    fn last_value_that_is_not_blank_counts() {
        for (content_type, body) in [
            ("", "code=1&code=2"),
            ("", "code=2&code="),
            ("", "code=1&code=2&code=+"),
            ("application/json", r#"{"code":"1","code":2}"#),
        ] {
            assert_eq!(read(content_type, body).unwrap().get("code"), Some("2"), "{body}");
        }
        let repeated = Parameters::read([("code", "1"), ("code", "2")], None, b"").unwrap();
        assert_eq!(repeated.get("code"), Some("2"));
    }

    #[test]
    fn body_size_is_limited() {
        let body = |length: usize| format!("a={}", "x".repeat(length - 2));
        assert!(read("", &body(MAX_BODY_BYTES)).is_ok());
        assert!(matches!(read("", &body(MAX_BODY_BYTES + 1)), Err(Error::BodyTooLarge)));
    }

    proptest! {
        #[test]
        fn arbitrary_body_does_not_panic(content_type in any::<Option<String>>(), body in any::<Vec<u8>>()) {
            let _ = Parameters::read([], content_type.as_deref(), &body);
        }

        #[test]
        fn different_bytes_are_never_the_same_secret(first in any::<Vec<u8>>(), second in any::<Vec<u8>>()) {
            let form = |value: &[u8]| {
                let body: String = form_urlencoded::byte_serialize(value).collect();
                let form = Parameters::read([], None, format!("v={body}").as_bytes()).ok()?;
                Some(form.get("v")?.to_owned())
            };
            if let (Some(one), Some(other)) = (form(&first), form(&second)) {
                prop_assert_eq!(one == other, first == second);
                prop_assert_eq!(one.as_bytes(), first);
            }
        }

        #[test]
        fn json_and_form_yield_the_same_text(
            value in any::<String>().prop_filter("blank", |v| !v.trim().is_empty() && !v.contains('\u{fffd}')),
        ) {
            let as_json = serde_json::json!({ "v": value }).to_string();
            let as_form = form_urlencoded::Serializer::new(String::new()).append_pair("v", &value).finish();
            let (by_json, by_form) = (read("application/json", &as_json).unwrap(), read("application/x-www-form-urlencoded", &as_form).unwrap());
            prop_assert_eq!(by_json.get("v"), Some(value.as_str()));
            prop_assert_eq!(by_form.get("v"), Some(value.as_str()));
        }
    }
}
