//! The fuzz targets: each function asserts what holds for every input. `tests/fuzz.rs` replays their corpora.

use serde_json::{Map, Value, json, value::RawValue};
use shared::{
    App, Error, ExposeSecret, PageApi, Parameter, Reply, Request, UserApi,
    code::{Code, Purpose},
    contact::{Destination, Email},
    cookie,
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

/// Panics if an input violates the target's invariants.
type Target = fn(&[u8]);

/// Every target with its name, which is also the folder of its corpus.
pub const TARGETS: [(&str, Target); 8] = [
    ("body", body),
    ("code", code),
    ("cookie", cookie),
    ("email", email),
    ("event", event),
    ("phone", phone),
    ("template", template),
    ("token", token),
];

/// The regions that are allowed: some share a calling code, some have a leading zero or rewrite national numbers.
const REGIONS: &str = "AR,BR,CA,CG,CI,CN,DE,FR,GB,GG,HK,IM,IN,IT,JE,JM,JP,KZ,MX,RU,SM,TW,US,VA";

/// The settings of a deployment that allows many regions, with a store that is unreachable.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let settings = BTreeMap::from([
        ("ALLOWED_REGIONS", REGIONS.to_owned()),
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

/// A token opens for one purpose, and only if it equals the signed text. A token for any phone or email address opens.
pub fn token(input: &[u8]) {
    /// The same two keys, with either of them as the current one.
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

/// No parameter is blank, a JSON string is read unchanged, and the parameters survive a round trip as JSON and as a
/// form. The input is a content type, a query, and a body, each on its own line.
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
    let read: BTreeMap<_, _> = names.iter().filter_map(|name| Some((name, parameters.get(name)?))).collect();
    assert!(read.values().all(|value| !value.trim().is_empty()), "{read:?}");

    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&read).finish();
    for (content_type, body) in
        [("application/json", json!(read).to_string()), ("application/x-www-form-urlencoded", form)]
    {
        match Parameters::read([], Some(content_type), body.as_bytes()) {
            Ok(again) => assert!(read.iter().all(|(name, value)| again.get(name) == Some(value)), "{body}"),
            // Escapes can enlarge the body beyond its limit.
            Err(error) => assert!(matches!(error, Error::BodyTooLarge), "{error} {body}"),
        }
    }
}

/// A parsed code has exactly its length in digits, and parses to itself, also within separators. A text is a code of
/// one length at most.
pub fn code(input: &[u8]) {
    let Some(typed) = text(input) else { return };
    let codes: Vec<_> = (6..=10).filter_map(|length| Some((length, Code::parse(typed, length)?))).collect();
    assert!(codes.len() <= 1, "{typed:?}");
    for (length, code) in codes {
        let digits = code.as_str();
        assert!(digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit()), "{typed:?}");
        let (start, end) = digits.split_at(3);
        for spelling in [digits.to_owned(), format!("\u{feff} {start}-{end}\r\n")] {
            assert_eq!(Code::parse(&spelling, length).unwrap().as_str(), digits);
        }
    }
}

/// A cookie is visible ASCII text, it is the same if each pair has a field of its own, and it parses to itself after the
/// same other cookies, with and without quotation marks. The input is the `Cookie` fields, each on its own line.
pub fn cookie(input: &[u8]) {
    let find = |fields: &[&[u8]]| {
        let value = cookie::find(fields.iter().copied(), "verification")?;
        Some(value.expose_secret().to_owned())
    };
    let fields: Vec<_> = input.split(|&byte| byte == b'\n').collect();
    let pairs: Vec<_> = fields.iter().flat_map(|field| field.split(|&byte| byte == b';')).collect();
    let Some(value) = find(&fields) else {
        assert_eq!(find(&pairs), None);
        assert_eq!(find(&[input, b"verification=a"]), Some("a".to_owned()));
        return;
    };
    assert!(!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()), "{value}");
    assert_eq!(find(&pairs), Some(value.clone()));
    assert_eq!(find(&[b"theme=\xff", format!("verification=\"{value}\"").as_bytes()]), Some(value.clone()));
    if !value.starts_with('"') {
        assert_eq!(find(&[format!("theme=dark; verification={value}; a").as_bytes()]), Some(value));
    }
}

/// A parsed phone is an E.164 number, and parses to itself, also as a copied contact.
pub fn phone(input: &[u8]) {
    let Some(typed) = text(input) else { return };
    if let Ok(phone) = SETTINGS.phones.parse(typed) {
        let digits = phone.as_str().strip_prefix('+').unwrap();
        assert!(digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
        let (calling_code, national) = phone.parts().unwrap();
        assert!(!calling_code.starts_with('0') && !national.is_empty(), "{calling_code} {national}");
        assert!(SETTINGS.phones.allow(&phone));
        assert_eq!(
            SETTINGS.phones.parse(&format!("\u{202d}tel:{}\u{202c}", phone.as_str())),
            Ok(phone.clone())
        );
        assert_eq!(SETTINGS.phones.parse(phone.as_str()), Ok(phone));
    }
}

/// A parsed email address is valid and in ASCII. It parses to itself, and its canonical form to that form, also as a
/// copied link.
pub fn email(input: &[u8]) {
    let Some(typed) = text(input) else { return };
    if let Ok(email) = typed.parse::<Email>() {
        let address = email.as_str();
        // RFC 5321, 4.5.3.1.3, with erratum 1690.
        assert!(address.len() <= 254 && address.bytes().all(|byte| byte.is_ascii_graphic()), "{address}");
        assert_eq!(address.parse::<Email>().unwrap().as_str(), address);
        assert_eq!(format!("\u{200b}mailto:{address} ").parse::<Email>().unwrap().as_str(), address);
        assert_eq!(email.canonical().parse::<Email>().unwrap().as_str(), email.canonical());
    }
}

/// Every event gets a response that a gateway accepts, and none fails the function.
pub fn event(input: &[u8]) {
    static APP: LazyLock<(Runtime, App)> = LazyLock::new(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let app = runtime.block_on(App::start(SETTINGS.clone())).unwrap();
        (runtime, app)
    });
    let Some(event) = text(input).and_then(|text| RawValue::from_string(text.to_owned()).ok()) else {
        return;
    };
    let (runtime, app) = &*APP;
    let as_user = runtime.block_on(lambda::respond(app, echo, event.clone(), REQUEST_ID));
    let as_page = runtime.block_on(lambda::respond(app, echo_page, event.clone(), REQUEST_ID));
    for response in [as_user, as_page] {
        if response.get("warm").is_some() {
            let event: Value = serde_json::from_str(event.get()).unwrap();
            assert!(event["requestContext"].is_null(), "{response}");
        } else {
            assert_accepted(&response);
        }
    }
}

const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// Asserts that a gateway accepts the response, and that it fulfils the contract of every response.
fn assert_accepted(response: &Value) {
    // 503 if the request has an idempotency key, because its claim needs the store.
    assert!(matches!(response["statusCode"].as_u64(), Some(200 | 400 | 413 | 503)), "{response}");
    assert_ne!(response["isBase64Encoded"], true);
    let has_single_values =
        |headers: &Value| headers.as_object().is_none_or(|headers| headers.values().all(Value::is_string));
    assert!(has_single_values(&response["headers"]), "{response}");
    let header = |name: &str| {
        let single = response["headers"][name].as_str();
        single
            .or_else(|| response["multiValueHeaders"][name][0].as_str())
            .unwrap_or_else(|| panic!("{response}"))
    };
    assert_eq!((header("cache-control"), header("x-request-id")), ("no-store", REQUEST_ID));
    let body = response["body"].as_str().unwrap();
    match header("content-type") {
        "application/json; charset=utf-8" => {
            assert!(serde_json::from_str::<Map<String, Value>>(body).unwrap().contains_key("code"), "{body}");
        }
        content_type => {
            assert!(content_type.starts_with("text/html") && body.contains("</html>"), "{response}");
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

/// A parsed template has functions to serve. Any other template is refused with an error of one line.
pub fn template(input: &[u8]) {
    let Some(text) = text(input) else { return };
    match Template::parse(text) {
        Ok(template) => assert!(!template.functions.is_empty()),
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
}
