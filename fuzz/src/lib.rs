//! What holds of any input, a function a fuzz target. `tests/fuzz.rs` replays the corpora through them.

use serde_json::{Map, Value, json, value::RawValue};
use shared::{
    App, Error, PageApi, Parameter, Reply, Request, UserApi,
    code::Purpose,
    contact::{Destination, Email},
    keys::Keys,
    lambda, page,
    request::Parameters,
    settings::Settings,
    token::Token,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use template::Template;
use tokio::runtime::{Builder, Runtime};

/// Holds true of an input, or panics.
type Target = fn(&[u8]);

/// Every target by its name, which its corpus has too.
pub const TARGETS: [(&str, Target); 5] =
    [("body", body), ("event", event), ("phone", phone), ("template", template), ("token", token)];

/// The settings of a deployment that sends to the whole world, with a store that nobody answers for.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let codes: Vec<_> = (1..=999).map(|code| code.to_string()).collect();
    let settings = BTreeMap::from([
        ("ALLOWED_CALLING_CODES", codes.join(",")),
        ("TABLE_NAME", "fuzz".to_owned()),
        ("KEYS", secret("new")),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "fuzz".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "fuzz".to_owned()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
    ]);
    Settings::read(|name| settings.get(name).cloned()).unwrap()
});

fn secret(current: &str) -> String {
    format!(r#"{{"current":"{current}","old":"{}","new":"{}"}}"#, "o".repeat(32), "n".repeat(64))
}

fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

/// A token opens for one purpose, and only as it was signed, to the letter. One for any phone or address opens.
pub fn token(input: &[u8]) {
    /// The same keys, each of them the current one.
    static KEYS: LazyLock<[Keys; 2]> =
        LazyLock::new(|| ["new", "old"].map(|current| Keys::parse(&secret(current)).unwrap()));
    const PURPOSES: [Purpose; 6] = [
        Purpose::ChangePassword,
        Purpose::BindPhone,
        Purpose::ResetPayPassword,
        Purpose::RecoverPassword,
        Purpose::BindMail,
        Purpose::RecoverByMail,
    ];
    let open = |text: &str| -> Vec<Token> {
        let phone_info = PURPOSES.map(|purpose| Token::open_phone_info(&KEYS[0], text, purpose).ok());
        let verification = PURPOSES
            .map(|purpose| Token::open_verification(&KEYS[0], text, &[purpose]).ok().map(Token::from));
        phone_info.into_iter().chain(verification).flatten().collect()
    };
    let Some(text) = text(input) else { return };
    match open(text).as_slice() {
        [] => {}
        [token] => assert!(KEYS.iter().any(|keys| token.sign(keys).unwrap() == text)),
        tokens => panic!("{tokens:?}"),
    }
    let phone = SETTINGS.phones.parse(text).ok().map(Destination::Phone);
    let email = text.parse().ok().map(Destination::Email);
    let flow = serde_json::from_value(json!(text)).ok();
    for destination in phone.into_iter().chain(email) {
        for flow in [None, flow.clone()] {
            let token = Token { destination: destination.clone(), purpose: PURPOSES[0], flow };
            assert_eq!(open(&token.sign(&KEYS[1]).unwrap()), [token]);
        }
    }
}

/// No parameter is blank, a JSON text is itself, and what is kept is kept again as JSON and as a form.
/// The input is a content type, a query, and a body, a line each.
pub fn body(input: &[u8]) {
    let mut lines = input.splitn(3, |&byte| byte == b'\n');
    let [content_type, query, body] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let query: Vec<_> = form_urlencoded::parse(query).collect();
    let pairs = query.iter().map(|(name, value)| (&**name, &**value));
    let Ok(parameters) = Parameters::read(pairs, text(content_type), body) else { return };

    let trimmed = text(body).unwrap_or_default().trim_start_matches('\u{feff}').trim();
    let fields: Map<String, Value> = serde_json::from_str(trimmed).unwrap_or_default();
    for (name, value) in &fields {
        if let Some(value) = value.as_str().filter(|value| !value.trim().is_empty()) {
            assert_eq!(parameters.get(name), Some(value));
        }
    }
    let in_form = form_urlencoded::parse(trimmed.as_bytes()).map(|(name, _)| name.into_owned());
    let in_query = query.iter().map(|(name, _)| name.clone().into_owned());
    let names: BTreeSet<_> = fields.keys().cloned().chain(in_form).chain(in_query).collect();
    let kept: BTreeMap<_, _> = names.iter().filter_map(|name| Some((name, parameters.get(name)?))).collect();
    assert!(kept.values().all(|value| !value.trim().is_empty()), "{kept:?}");

    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&kept).finish();
    for (content_type, body) in
        [("application/json", json!(kept).to_string()), ("application/x-www-form-urlencoded", form)]
    {
        match Parameters::read([], Some(content_type), body.as_bytes()) {
            Ok(again) => assert!(kept.iter().all(|(name, value)| again.get(name) == Some(value)), "{body}"),
            // Escapes take room.
            Err(error) => assert!(matches!(error, Error::BodyTooLarge), "{error} {body}"),
        }
    }
}

/// A phone is an E.164 number and an address an address, each itself again when it is read again.
pub fn phone(input: &[u8]) {
    let Some(typed) = text(input) else { return };
    if let Ok(phone) = SETTINGS.phones.parse(typed) {
        let digits = phone.as_str().strip_prefix('+').unwrap();
        assert!(digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
        let (calling_code, national) = phone.parts().unwrap();
        assert!(!calling_code.starts_with('0') && !national.is_empty(), "{calling_code} {national}");
        assert_eq!(SETTINGS.phones.parse(phone.as_str()), Ok(phone));
    }
    if let Ok(email) = typed.parse::<Email>() {
        let address = email.as_str();
        // RFC 5321, 4.5.3.1.3, with erratum 1690.
        assert!(address.len() <= 254 && !address.contains(char::is_control), "{address}");
        assert_eq!(address.parse(), Ok(email.clone()));
    }
}

/// An event gets an answer that a gateway takes, and none fails the function.
pub fn event(input: &[u8]) {
    static STAGE: LazyLock<(Runtime, App)> = LazyLock::new(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let app = runtime.block_on(App::start(SETTINGS.clone())).unwrap();
        (runtime, app)
    });
    let Some(event) = text(input).and_then(|text| RawValue::from_string(text.to_owned()).ok()) else {
        return;
    };
    let (runtime, app) = &*STAGE;
    let as_user = runtime.block_on(lambda::respond(app, echo, event.clone(), REQUEST_ID));
    let as_page = runtime.block_on(lambda::respond(app, echo_page, event.clone(), REQUEST_ID));
    for answer in [as_user, as_page] {
        if answer.get("warm").is_some() {
            let event: Value = serde_json::from_str(event.get()).unwrap();
            assert!(event["requestContext"].is_null(), "{answer}");
        } else {
            assert_taken(&answer);
        }
    }
}

const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// What a gateway asks of an answer, and what the contract asks of every answer.
fn assert_taken(answer: &Value) {
    // 503 where the store is asked, since the request says which it is.
    assert!(matches!(answer["statusCode"].as_u64(), Some(200 | 400 | 413 | 503)), "{answer}");
    assert_ne!(answer["isBase64Encoded"], true);
    let one =
        |headers: &Value| headers.as_object().is_none_or(|headers| headers.values().all(Value::is_string));
    assert!(one(&answer["headers"]), "{answer}");
    let header = |name: &str| {
        let one = answer["headers"][name].as_str();
        one.or_else(|| answer["multiValueHeaders"][name][0].as_str()).unwrap_or_else(|| panic!("{answer}"))
    };
    assert_eq!((header("cache-control"), header("x-request-id")), ("no-store", REQUEST_ID));
    let body = answer["body"].as_str().unwrap();
    match header("content-type") {
        "application/json; charset=utf-8" => {
            assert!(serde_json::from_str::<Map<String, Value>>(body).unwrap().contains_key("code"), "{body}");
        }
        content_type => {
            assert!(content_type.starts_with("text/html") && body.contains("</html>"), "{answer}");
        }
    }
}

/// Returns the parameters as JSON.
async fn echo(_: &'static App, request: Request) -> Result<Reply<UserApi>, Error> {
    let [code, phone] = [Parameter::Code, Parameter::Phone].map(|parameter| request.optional(parameter));
    Ok(Reply::result(json!([code, phone, request.origin.source_ip])))
}

/// Returns the parameters as a page.
async fn echo_page(_: &'static App, request: Request) -> Result<Reply<PageApi>, Error> {
    let code = request.optional(Parameter::Code).unwrap_or_default();
    let page = page::confirm(request.verification().unwrap_or_default(), code, request.language)?;
    Ok(Reply::ok().with_page(page))
}

/// A template is one that can be served, or is refused in one line.
pub fn template(input: &[u8]) {
    let Some(text) = text(input) else { return };
    match Template::parse(text) {
        Ok(template) => assert!(!template.functions.is_empty()),
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
}
