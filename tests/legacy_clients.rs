//! `HTTP_200_FAMILIES`: clients that were written for a server whose responses all had the HTTP status 200, and its own
//! status in the body only.

use crate::bundle::{
    Bundle, CHANGE, CHANGE_BY_MESSAGE, Call, EMAIL, Member, OLD_PASSWORD, PHONE, RECOVERY, Response, SEND,
    SEND_CODE, SEND_MAIL, VERIFY_MAIL, wrong_code,
};
use reqwest::Method;
use serde_json::{Map, Value, json};

const USER: [(&str, &str); 1] = [("HTTP_200_FAMILIES", "user")];

/// The MD5 of a password in hexadecimal digits, which the old clients send as the password.
const MD5: &str = "6ad14ba9986e3615423dfca256d04e3f";

/// How a client sends its session.
#[derive(Clone, Copy)]
enum Session {
    Bearer,
    TokenHeader,
    TokenField,
}

/// How a client sends its parameters.
#[derive(Clone, Copy)]
enum Body {
    Json,
    /// JSON under the content type of a form.
    MislabeledJson,
    Form,
    Query,
}

/// A client: its name, its session, its parameters, and headers that its library sends.
type Client = (&'static str, Session, Body, &'static [(&'static str, &'static str)]);

const CLIENTS: [Client; 7] = [
    (
        "Android: Retrofit with Gson",
        Session::TokenHeader,
        Body::Json,
        &[("user-agent", "okhttp/3.12.0"), ("accept-encoding", "identity")],
    ),
    ("Android: Retrofit with a form", Session::TokenField, Body::Form, &[("user-agent", "okhttp/3.12.0")]),
    ("web shop: axios", Session::TokenField, Body::Json, &[("accept", "application/json, text/plain, */*")]),
    (
        "web shop: axios with a header",
        Session::Bearer,
        Body::Json,
        &[("accept", "application/json, text/plain, */*")],
    ),
    ("desktop: C# with FormUrlEncodedContent", Session::TokenHeader, Body::Form, &[]),
    ("desktop: C++ with Qt", Session::TokenField, Body::MislabeledJson, &[("user-agent", "Mozilla/5.0")]),
    (
        "mini program: wx.request",
        Session::TokenHeader,
        Body::Query,
        &[("referer", "https://servicewechat.com/wx0/1/page-frame.html")],
    ),
];

/// Sends a call as this client does. `time` is the client's clock in milliseconds, as a number.
async fn send(
    bundle: &Bundle,
    client: &Client,
    token: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> Response {
    let (_, session, body, headers) = client;
    let mut call = bundle.call(Method::POST, path);
    for (name, value) in *headers {
        call = call.header(name, value);
    }
    let mut fields = fields.to_vec();
    match session {
        Session::Bearer => call = call.session(token),
        Session::TokenHeader => call = call.header("token", token),
        Session::TokenField => fields.push(("token", token)),
    }
    let mut object: Map<_, _> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    object.insert("time".to_owned(), json!(1_690_000_000_000_u64));
    fields.push(("time", "1690000000000"));
    match body {
        Body::Json => call.json(&Value::Object(object)).await,
        Body::MislabeledJson => {
            let call = call.header("content-type", "application/x-www-form-urlencoded");
            call.body(Value::Object(object).to_string()).await
        }
        Body::Form => call.form(&fields).await,
        Body::Query => call.query(&fields).send().await,
    }
}

/// Reads a success as the clients do: the HTTP status first, then `success`, `status`, `code`, `result` and `token`.
fn result(response: &Response) -> (&Value, String) {
    assert_eq!(response.status, 200, "{}", response.text);
    let body = &response.body;
    assert_eq!(
        (&body["success"], &body["status"], &body["code"]),
        (&json!(true), &json!(200), &json!("OK")),
        "{body}"
    );
    (&body["result"], response.token().to_owned())
}

/// Reads a refusal as the clients do: `status`, `code`, and the `message` to show.
fn refusal(response: &Response) -> (u64, &str) {
    assert_eq!(response.status, 200, "{}", response.text);
    let body = &response.body;
    assert_eq!(body["success"], false, "{body}");
    assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
    (body["status"].as_u64().unwrap(), body["code"].as_str().unwrap())
}

#[tokio::test]
async fn every_client_changes_the_password_by_sms() {
    for client in &CLIENTS {
        let bundle = Bundle::with(&USER).await;
        let member = bundle.member().await;
        let name = client.0;
        let sent = send(&bundle, client, &member.token, SEND, &[]).await;
        let (phone_info, token) = result(&sent);
        let phone_info = phone_info.as_str().unwrap();
        let code = bundle.code();
        let change = async |code: &str, password: &str| {
            let fields = [("phoneInfo", phone_info), ("code", code), ("newPassword", password)];
            send(&bundle, client, &token, CHANGE_BY_MESSAGE, &fields).await
        };
        assert_eq!(refusal(&change(wrong_code(&code), MD5).await), (400, "{CODE}_NOT_VALID"), "{name}");
        assert_eq!(refusal(&change(&code, "short").await), (400, "{NEW_PASSWORD}_NOT_VALID"), "{name}");
        assert_eq!(refusal(&change(&code, "").await), (400, "{NEW_PASSWORD}_REQUIRED"), "{name}");
        let changed = change(&code, MD5).await;
        assert_eq!(result(&changed).0, true, "{name}");
        assert!(bundle.has_password(&member, MD5).await, "{name}");
        let logged_out = send(&bundle, client, &member.token, SEND, &[]).await;
        assert_eq!(refusal(&logged_out), (401, "INVALID_TOKEN"), "{name}");
    }
}

#[tokio::test]
async fn headers_of_a_refusal_stay() {
    let origin = "https://shop.example.com";
    let bundle = Bundle::with(&[USER[0], ("CORS_ORIGIN", origin)]).await;
    let member = bundle.member().await;
    let call = || bundle.call(Method::POST, SEND).session(&member.token).header("origin", origin);
    result(&call().send().await);
    let refused = call().send().await;
    assert_eq!(refusal(&refused), (400, "SEND_MESSAGE_FREQUENTLY"));
    let seconds = refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(refused.body["retryAfter"], seconds);
    assert_eq!(refused.headers["access-control-allow-origin"], origin);
    assert_eq!(refused.headers["cache-control"], "no-store");
    let too_large = call().body(" ".repeat(20_000)).await;
    assert_eq!(refusal(&too_large), (413, "BODY_TOO_LARGE"));
    let malformed = bundle.invoke("send-change-password-message", &json!({ "not": "a request" })).await.body;
    let body: Value = serde_json::from_str(malformed["body"].as_str().unwrap()).unwrap();
    assert_eq!((&malformed["statusCode"], &body["status"]), (&json!(200), &json!(400)), "{malformed}");
}

#[tokio::test]
async fn replay_has_the_status_of_its_family() {
    for (families, http_status) in [("", 400), ("user", 200)] {
        let bundle = Bundle::with(&[("HTTP_200_FAMILIES", families)]).await;
        let member = bundle.member().await;
        let (phone_info, code) = bundle.request_change_code(&member).await;
        let body = json!({ "phoneInfo": phone_info, "code": wrong_code(&code), "newPassword": MD5 });
        let call = |call: Call| call.session(&member.token).header("idempotency-key", "k");
        let first = call(bundle.call(Method::POST, CHANGE_BY_MESSAGE)).json(&body).await;
        let replay = call(bundle.call(Method::POST, CHANGE_BY_MESSAGE)).json(&body).await;
        for response in [&first, &replay] {
            assert_eq!(response.status, http_status, "{}", response.text);
            assert_eq!(response.body["status"], 400);
            assert_eq!(response.body["attemptsLeft"], first.body["attemptsLeft"]);
        }
    }
}

/// Calls both families, and returns their HTTP statuses: of a success and of a refusal in each.
async fn statuses(bundle: &Bundle, member: &Member) -> [u16; 4] {
    let change = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": MD5 });
    let responses = [
        bundle.call(Method::POST, SEND).session(&member.token).send().await,
        bundle.call(Method::POST, SEND).send().await,
        bundle.call(Method::PUT, CHANGE).session(&member.token).json(&change).await,
        bundle.call(Method::PUT, CHANGE).json(&change).await,
    ];
    assert_eq!(responses[0].body["status"], 200);
    assert_eq!(responses[1].body["status"], 401);
    assert_eq!(responses[2].body["code"], "201");
    assert_eq!(responses[3].body["code"], "401");
    responses.map(|response| response.status.as_u16())
}

#[tokio::test]
async fn only_the_named_families_respond_with_200() {
    for (families, expected) in [
        ("", [200, 401, 201, 401]),
        ("user", [200, 200, 201, 401]),
        ("member", [200, 401, 200, 200]),
        ("member,user", [200, 200, 200, 200]),
    ] {
        let bundle = Bundle::with(&[("HTTP_200_FAMILIES", families)]).await;
        let member = bundle.member().await;
        assert_eq!(statuses(&bundle, &member).await, expected, "{families}");
    }
}

#[tokio::test]
async fn page_has_its_own_status_in_every_mode() {
    let bundle = Bundle::with(&[("HTTP_200_FAMILIES", "user,member")]).await;
    let page = bundle.call(Method::GET, VERIFY_MAIL).send().await;
    assert_eq!((page.status.as_u16(), page.text.contains("</html>")), (400, true), "{}", page.text);
    // The same call as JSON, and the other calls of the member API.
    for (method, path, body, code) in [
        (Method::POST, VERIFY_MAIL, json!({}), "400"),
        (Method::POST, RECOVERY, json!({ "message": "123456" }), "400"),
        (Method::GET, SEND_CODE, json!({ "phone": PHONE }), "200"),
        (Method::GET, SEND_CODE, json!({ "phone": PHONE }), "429"),
        (Method::POST, SEND_MAIL, json!({ "email": EMAIL }), "200"),
    ] {
        let response = bundle.call(method, path).json(&body).await;
        assert_eq!(
            (response.status.as_u16(), &response.body["code"]),
            (200, &json!(code)),
            "{path}: {}",
            response.text
        );
    }
}
