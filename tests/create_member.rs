//! `create-member`: a member is created once, with a proven phone or email address.

use crate::{
    bundle::{
        Bundle, CHANGE, CLOSE, EMAIL, Member, NEW_PASSWORD, OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE,
        Response, e164,
    },
    changes::TableSnapshot,
    events,
    imported_passwords::LOGIN,
    proxy::{InjectedFault, On, Proxy, STORE},
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::{
    clock::Timestamp,
    opaque_token::OpaqueToken,
    password::{HashFormat, Salt},
};

const FUNCTION: &str = "create-member";
const ID: &str = "0192f0c1-7d3a-7c60-b1a5-0d8b0a3f5e11";
const OTHER_ID: &str = "0192f0c1-7d3a-7c60-b1a5-0d8b0a3f5e12";
const PASSWORD: &str = "a-good-password";

/// How long a grant is valid, in seconds.
const GRANT_TTL: u64 = 600;

/// Returns a new grant to register with `phone#+86…` or `email#…`.
pub async fn grant(bundle: &Bundle, destination: &str) -> String {
    let grant = OpaqueToken::draw().unwrap();
    let item = json!({
        "pk": { "S": format!("grant#{}", grant.hash()) },
        "sk": { "S": "grant" },
        "purpose": { "S": "10" },
        "destination": { "S": destination },
        "tries": { "N": "0" },
        "expires_at": { "N": Timestamp::now().plus(GRANT_TTL).0.to_string() },
    });
    bundle.dynamodb("PutItem", json!({ "Item": item })).await;
    grant.expose().to_owned()
}

/// Returns a new grant to register with this phone.
pub async fn phone_grant(bundle: &Bundle, phone: &str) -> String {
    grant(bundle, &format!("phone#{}", e164(phone))).await
}

/// Returns the event that creates a member with a grant, a password and a session.
pub fn event(grant: &str) -> Value {
    serde_json::from_str(&events::event(FUNCTION, "success").replace("VERIFICATION", grant)).unwrap()
}

/// Returns the event that creates a member with contacts that the service vouches for.
pub fn vouched() -> Value {
    serde_json::from_str(&events::event(FUNCTION, "vouched")).unwrap()
}

/// Returns the event with these fields replaced, or removed if `null`.
fn with(event: &Value, fields: Value) -> Value {
    let mut event = event.clone();
    let Value::Object(fields) = fields else { panic!("{fields}") };
    for (name, value) in fields {
        if value.is_null() {
            event.as_object_mut().unwrap().remove(&name);
        } else {
            event[name] = value;
        }
    }
    event
}

async fn create(bundle: &Bundle, event: &Value) -> Response {
    bundle.invoke(FUNCTION, event).await
}

/// Returns the body of a success.
fn created(response: &Response) -> &Value {
    assert_eq!(response.body["success"], true, "{}", response.text);
    &response.body["created"]
}

fn assert_refused(response: &Response, symbol: &str) {
    assert!(!response.headers.contains_key("x-amz-function-error"), "{}", response.text);
    assert_eq!(
        (&response.body["success"], &response.body["error"]),
        (&json!(false), &json!(symbol)),
        "{}",
        response.text
    );
}

async fn member_item(bundle: &Bundle, id: &str) -> Value {
    bundle.item(&format!("member#{id}"), "member").await
}

async fn members(bundle: &Bundle) -> usize {
    bundle.items().await.iter().filter(|item| item["sk"]["S"] == "member").count()
}

async fn audit(bundle: &Bundle, id: &str) -> Value {
    let member = Member { id: id.to_owned(), token: String::new() };
    bundle.inspect(&member).await["audit"].clone()
}

/// Changes the login password with a session.
async fn change_password(bundle: &Bundle, session: &Value, old: &str) -> Response {
    let body = json!({ "oldPassword": old, "newPasswordFirst": NEW_PASSWORD });
    bundle.call(Method::PUT, CHANGE).session(session.as_str().unwrap()).json(&body).await
}

#[tokio::test]
async fn grant_creates_a_member_with_a_session() {
    let bundle = Bundle::start().await;
    let grant = phone_grant(&bundle, PHONE).await;
    let response = create(&bundle, &event(&grant)).await;
    let (session, auth_time) = (&response.body["session"], &response.body["authTime"]);
    let expected = json!({
        "success": true, "requestId": "sign-up-7f1c", "member": ID, "created": true, "session": session,
        "expiresIn": 604_800, "authTime": auth_time, "amr": ["sms", "pwd"],
    });
    assert_eq!(response.body, expected);
    let claims = bundle.claims(session.as_str().unwrap());
    assert_eq!(
        (json!(claims.member), json!(claims.auth_time), claims.amr),
        (json!(ID), auth_time.clone(), vec!["sms".to_owned(), "pwd".to_owned()])
    );

    let item = member_item(&bundle, ID).await;
    assert_eq!((&item["phone"]["S"], &item["language"]["S"]), (&json!(e164(PHONE)), &json!("en")));
    assert!(item["password"]["S"].as_str().unwrap().starts_with("$argon2id$"));
    // A first contact has nothing to take over.
    assert_eq!((&item["phone_immature_since"], &item["email"]), (&Value::Null, &Value::Null));
    assert_eq!(bundle.owner(&format!("phone#{}", e164(PHONE))).await.as_deref(), Some(ID));
    let audit = audit(&bundle, ID).await;
    assert_eq!(
        (&audit[0]["action"], &audit[0]["source_ip"], &audit[0]["request_id"], &audit[1]),
        (&json!("member-created"), &json!("203.0.113.9"), &json!("sign-up-7f1c"), &Value::Null)
    );
    change_password(&bundle, session, PASSWORD).await.documented(201);
}

#[tokio::test]
async fn mail_grant_creates_a_member_without_password() {
    let bundle = Bundle::start().await;
    let grant = grant(&bundle, "email#Li@example.com").await;
    let fields = json!({ "member": null, "password": null, "language": "fr" });
    let response = create(&bundle, &with(&event(&grant), fields)).await;
    assert_eq!((created(&response), &response.body["amr"]), (&json!(true), &json!(["mail"])));
    let id = response.body["member"].as_str().unwrap();
    let item = member_item(&bundle, id).await;
    assert_eq!((&item["email"]["S"], &item["password"]), (&json!("Li@example.com"), &Value::Null));
    assert_eq!((&item["phone"], &item["language"]), (&Value::Null, &Value::Null));
    assert_eq!(bundle.owner("email#li@example.com").await.as_deref(), Some(id));
}

#[tokio::test]
async fn vouched_member_is_recorded_as_such() {
    let bundle = Bundle::start().await;
    let response = create(&bundle, &vouched()).await;
    assert_eq!(
        response.body,
        json!({ "success": true, "requestId": "migration-7f1c", "member": ID, "created": true })
    );
    assert_eq!(audit(&bundle, ID).await[0]["action"], "member-vouched-for");
    for owned in [format!("phone#{}", e164(PHONE)), format!("email#{EMAIL}")] {
        assert_eq!(bundle.owner(&owned).await.as_deref(), Some(ID), "{owned}");
    }
    // Nothing was proven to this system, not even the password behind the hash.
    let fields = json!({ "logIn": true });
    let again = create(&bundle, &with(&vouched(), fields)).await;
    assert_eq!((created(&again), &again.body["amr"]), (&json!(false), &json!([])));
    // The hash is upgraded at its first correct use.
    let is_foreign = async || {
        let item = member_item(&bundle, ID).await;
        item["password"]["S"].as_str().unwrap().starts_with("$foreign$")
    };
    assert!(is_foreign().await);
    change_password(&bundle, &again.body["session"], OLD_PASSWORD).await.documented(201);
    assert!(!is_foreign().await);
}

#[tokio::test]
async fn hash_of_each_form_is_accepted_and_recognized() {
    let bundle = Bundle::start().await;
    for (at, (text, format)) in LOGIN.into_iter().enumerate() {
        let (form, salt) = match format {
            None => (None, None),
            Some(HashFormat::BetterAuth) => (Some("better-auth"), None),
            Some(HashFormat::Md5(Salt::None)) => (Some("md5"), None),
            Some(HashFormat::Sha256(Salt::After(salt))) => (Some("sha256-salt-after"), Some(salt)),
            Some(other) => panic!("{other:?}"),
        };
        let fields = json!({
            "member": format!("0192f0c1-7d3a-7c60-b1a5-0d8b0a3f5e{at:02}"), "phone": null,
            "email": format!("li{at}@example.com"), "passwordHash": text, "passwordForm": form, "passwordSalt": salt,
        });
        let event = with(&vouched(), fields);
        for expected in [true, false] {
            assert_eq!(created(&create(&bundle, &event).await), &json!(expected), "{text}");
        }
        let other = with(
            &event,
            json!({ "passwordHash": "0".repeat(32), "passwordForm": "md5", "passwordSalt": null }),
        );
        assert_refused(&create(&bundle, &other).await, "MEMBER_EXISTS");
    }
    // A hash of this system, from an export.
    let exporter = bundle.member().await;
    let item = member_item(&bundle, &exporter.id).await;
    let fields = json!({
        "phone": OTHER_PHONE, "email": null, "passwordHash": item["password"]["S"], "passwordForm": null, "member": OTHER_ID,
    });
    for expected in [true, false] {
        assert_eq!(created(&create(&bundle, &with(&vouched(), fields.clone())).await), &json!(expected));
    }
    assert_eq!(member_item(&bundle, OTHER_ID).await["password"], item["password"]);
}

#[tokio::test]
async fn refused_creation_changes_nothing() {
    let bundle = Bundle::start().await;
    let existing = bundle.other_member().await;
    let (own, taken) = (phone_grant(&bundle, PHONE).await, phone_grant(&bundle, OTHER_PHONE).await);
    let taken_mail = grant(&bundle, &format!("email#{OTHER_EMAIL}")).await;
    let expired = phone_grant(&bundle, "13700000001").await;
    bundle.age(&format!("grant#{}", OpaqueToken::parse(&expired).unwrap().hash()), 600).await;
    let recovery = bundle.grant(&bundle.request_sms_code(None, OTHER_PHONE).await).await;
    let unknown = OpaqueToken::draw().unwrap();
    let before = TableSnapshot::take(&bundle).await;
    for (event, symbol) in [
        (event(unknown.expose()), "{VERIFICATION}_NOT_VALID"),
        (event(&expired), "{VERIFICATION}_NOT_VALID"),
        (event(&recovery), "{VERIFICATION}_NOT_VALID"),
        (event(""), "{VERIFICATION}_NOT_VALID"),
        (with(&event(&own), json!({ "password": "short" })), "{NEW_PASSWORD}_NOT_VALID"),
        (with(&event(&own), json!({ "password": "12345678" })), "{NEW_PASSWORD}_NOT_VALID"),
        (with(&event(&own), json!({ "password": PHONE })), "{NEW_PASSWORD}_NOT_VALID"),
        (with(&event(&own), json!({ "password": format!("86{PHONE}") })), "{NEW_PASSWORD}_NOT_VALID"),
        (event(&taken), "PHONE_IN_USE"),
        (event(&taken_mail), "EMAIL_IN_USE"),
        (with(&event(&own), json!({ "member": existing.id })), "MEMBER_EXISTS"),
        (with(&vouched(), json!({ "member": existing.id })), "MEMBER_EXISTS"),
        (with(&vouched(), json!({ "phone": OTHER_PHONE })), "PHONE_IN_USE"),
        (with(&vouched(), json!({ "email": OTHER_EMAIL.to_uppercase() })), "EMAIL_IN_USE"),
        (with(&vouched(), json!({ "phone": "01012345678" })), "{PHONE}_NOT_VALID"),
        (with(&vouched(), json!({ "phone": "+12125550123" })), "{PHONE}_NOT_VALID"),
        (with(&vouched(), json!({ "email": "li" })), "{EMAIL}_NOT_VALID"),
    ] {
        assert_refused(&create(&bundle, &event).await, symbol);
        assert_eq!(before.diff(&bundle).await, [""; 0], "{event}");
    }
    // A refused grant is not consumed.
    assert_eq!(created(&create(&bundle, &event(&own)).await), &json!(true));
}

#[tokio::test]
async fn contradictory_fields_are_refused_by_name() {
    let bundle = Bundle::start().await;
    let before = TableSnapshot::take(&bundle).await;
    for (fields, named) in [
        (json!({ "verification": "v" }), "`phone`"),
        (json!({ "proven": null }), "`proven`"),
        (json!({ "proven": false }), "`proven`"),
        (json!({ "proven": "yes" }), "`proven`"),
        (json!({ "phone": null, "email": null }), "`verification`"),
        (json!({ "password": "hunter2-hunter2" }), "`password`"),
        (json!({ "passwordHash": null }), "`passwordForm`"),
        (json!({ "passwordHash": "hunter2" }), "`passwordHash`"),
        (json!({ "passwordHash": "{plain}hunter2", "passwordForm": null }), "`passwordHash`"),
        (json!({ "passwordForm": "hunter2" }), "`passwordForm`"),
        (json!({ "passwordForm": "md5-salt-after" }), "`passwordSalt`"),
        (json!({ "passwordSalt": "hunter2" }), "`passwordSalt`"),
        (json!({ "member": "hunter2" }), "`member`"),
        (json!({ "logIn": "hunter2" }), "`logIn`"),
        (json!({ "payPassword": "hunter2" }), "`payPassword`"),
    ] {
        let refused = create(&bundle, &with(&vouched(), fields.clone())).await;
        assert_refused(&refused, "BODY_NOT_VALID");
        let message = refused.body["message"].as_str().unwrap();
        assert!(message.contains(named) && !message.contains("hunter2"), "{fields}: {message}");
    }
    assert_eq!(before.diff(&bundle).await, [""; 0]);
}

#[tokio::test]
async fn same_id_and_values_create_once() {
    let bundle = Bundle::start().await;
    let typed = json!({ "passwordHash": null, "passwordForm": null, "password": PASSWORD, "logIn": true });
    let event = with(&vouched(), typed);
    let first = create(&bundle, &event).await;
    assert_eq!((created(&first), &first.body["amr"]), (&json!(true), &json!(["pwd"])));
    let before = TableSnapshot::take(&bundle).await;
    let again = create(&bundle, &event).await;
    assert_eq!(created(&again), &json!(false));
    for field in ["member", "authTime", "amr"] {
        assert_eq!(again.body[field], first.body[field], "{field}");
    }
    for fields in [
        json!({ "phone": OTHER_PHONE }),
        json!({ "email": null }),
        json!({ "phone": null }),
        json!({ "password": "another-good-password" }),
        json!({ "password": null }),
        json!({ "password": null, "passwordHash": "fdcf36394daaf47def0d41d181d1443c", "passwordForm": "md5" }),
    ] {
        assert_refused(&create(&bundle, &with(&event, fields)).await, "MEMBER_EXISTS");
    }
    assert_eq!(before.diff(&bundle).await, [""; 0]);

    // The member changed since, so that the values are not the same.
    change_password(&bundle, &first.body["session"], PASSWORD).await.documented(201);
    for password in [PASSWORD, "another-good-password"] {
        let refused = create(&bundle, &with(&event, json!({ "password": password }))).await;
        assert_refused(&refused, "MEMBER_EXISTS");
    }
}

#[tokio::test]
async fn wrong_passwords_lock_the_repetition() {
    let bundle = Bundle::start().await;
    let typed = json!({ "passwordHash": null, "passwordForm": null, "password": PASSWORD });
    let event = with(&vouched(), typed);
    create(&bundle, &event).await;
    let attempts = |count: u32| {
        json!({ "Item": {
            "pk": { "S": format!("failures#password#{ID}") }, "sk": { "S": "registration" },
            "count": { "N": count.to_string() },
            "expires_at": { "N": Timestamp::now().plus(60).0.to_string() },
        } })
    };
    bundle.dynamodb("PutItem", attempts(99)).await;
    // A right attempt is given back.
    assert_eq!(created(&create(&bundle, &event).await), &json!(false));
    let wrong = with(&event, json!({ "password": "another-good-password" }));
    assert_refused(&create(&bundle, &wrong).await, "MEMBER_EXISTS");
    for event in [&wrong, &event] {
        let locked = create(&bundle, event).await;
        assert_refused(&locked, "TOO_MANY_ATTEMPTS");
        assert!((1..=60).contains(&locked.body["retryAfter"].as_u64().unwrap()), "{}", locked.text);
    }
}

#[tokio::test]
async fn same_grant_returns_the_created_member() {
    let bundle = Bundle::start().await;
    let grant = phone_grant(&bundle, PHONE).await;
    let event = with(&event(&grant), json!({ "member": null }));
    let first = create(&bundle, &event).await;
    assert_eq!(created(&first), &json!(true));
    let id = first.body["member"].clone();
    let before = TableSnapshot::take(&bundle).await;
    for (fields, amr) in [
        (json!({}), json!(["sms", "pwd"])),
        (json!({ "member": id }), json!(["sms", "pwd"])),
        // The values of the first call hold.
        (json!({ "password": "another-good-password" }), json!(["sms"])),
        (json!({ "password": null }), json!(["sms"])),
    ] {
        let again = create(&bundle, &with(&event, fields)).await;
        assert_eq!(
            (created(&again), &again.body["member"], &again.body["amr"], &again.body["authTime"]),
            (&json!(false), &id, &amr, &first.body["authTime"])
        );
    }
    let without_session = create(&bundle, &with(&event, json!({ "logIn": null }))).await;
    assert_eq!((created(&without_session), &without_session.body["session"]), (&json!(false), &Value::Null));
    // Another id would be taken for that of the member.
    let other = create(&bundle, &with(&event, json!({ "member": OTHER_ID }))).await;
    assert_refused(&other, "{VERIFICATION}_NOT_VALID");
    assert_eq!(before.diff(&bundle).await, [""; 0]);

    // Authority ends with its cause.
    let again = create(&bundle, &event).await;
    change_password(&bundle, &again.body["session"], PASSWORD).await.documented(201);
    assert_refused(&create(&bundle, &event).await, "{VERIFICATION}_NOT_VALID");
}

#[tokio::test]
async fn consumed_grant_ends_with_its_expiry() {
    let bundle = Bundle::start().await;
    let event = event(&phone_grant(&bundle, PHONE).await);
    assert_eq!(created(&create(&bundle, &event).await), &json!(true));
    bundle.age("grant#", 600).await;
    assert_refused(&create(&bundle, &event).await, "{VERIFICATION}_NOT_VALID");
    assert_eq!(members(&bundle).await, 1);
}

#[tokio::test]
async fn same_key_creates_once() {
    let bundle = Bundle::start().await;
    let fields = json!({ "member": null, "logIn": true, "idempotencyKey": "sign-up-1" });
    let keyed = with(&vouched(), fields);
    let first = create(&bundle, &keyed).await;
    assert_eq!(created(&first), &json!(true));
    let mut expected = first.body.clone();
    (expected["created"], expected["requestId"]) = (json!(false), json!("sign-up-2"));
    let again = create(&bundle, &with(&keyed, json!({ "requestId": "sign-up-2" }))).await;
    expected["session"] = again.body["session"].clone();
    assert_eq!(again.body, expected);
    let session = |response: &Response| bundle.claims(response.body["session"].as_str().unwrap());
    assert_eq!(session(&again), session(&first));
    let other = create(&bundle, &with(&keyed, json!({ "phone": OTHER_PHONE }))).await;
    assert_refused(&other, "IDEMPOTENCY_KEY_REUSED");
    assert_refused(&create(&bundle, &with(&keyed, json!({ "idempotencyKey": "k-2" }))).await, "PHONE_IN_USE");
}

/// Creates members in parallel by these events, and asserts that exactly one is created and that the others get this
/// refusal or, without one, that member.
async fn assert_one_created(bundle: &Bundle, events: &[Value], refusal: Option<&str>) {
    let responses = bundle.concurrently(FUNCTION, events.len(), |n| create(bundle, &events[n])).await;
    let (first, others): (Vec<_>, Vec<_>) =
        responses.iter().partition(|response| response.body["created"] == true);
    let [first] = first.as_slice() else { panic!("{responses:?}") };
    for other in others {
        if let Some(symbol) = refusal {
            assert_refused(other, symbol);
            continue;
        }
        let expected = (&json!(false), &first.body["member"], &first.body["amr"]);
        assert_eq!((created(other), &other.body["member"], &other.body["amr"]), expected);
        assert!(other.body["session"].is_string(), "{}", other.text);
    }
    assert_eq!(members(bundle).await, 1);
    assert_eq!(audit(bundle, first.body["member"].as_str().unwrap()).await[1], Value::Null);
}

#[tokio::test]
async fn parallel_creations_with_one_id_make_one() {
    let bundle = Bundle::start().await;
    let fields = json!({ "passwordHash": null, "passwordForm": null, "password": PASSWORD, "logIn": true });
    let events = vec![with(&vouched(), fields); 40];
    assert_one_created(&bundle, &events, None).await;
}

#[tokio::test]
async fn parallel_creations_with_one_phone_make_one() {
    let bundle = Bundle::start().await;
    let event = |n| with(&vouched(), json!({ "member": null, "email": format!("li{n}@example.com") }));
    let events: Vec<_> = (0..40).map(event).collect();
    assert_one_created(&bundle, &events, Some("PHONE_IN_USE")).await;
}

#[tokio::test]
async fn parallel_creations_with_one_grant_make_one() {
    let bundle = Bundle::start().await;
    let event = with(&event(&phone_grant(&bundle, PHONE).await), json!({ "member": null }));
    assert_one_created(&bundle, &vec![event; 40], None).await;
}

#[tokio::test]
async fn parallel_creations_with_one_key_make_one() {
    let bundle = Bundle::start().await;
    let fields = json!({ "member": null, "logIn": true, "idempotencyKey": "sign-up-1" });
    assert_one_created(&bundle, &vec![with(&vouched(), fields); 40], None).await;
}

#[tokio::test]
async fn lost_response_of_the_store_creates_once() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let event = event(&phone_grant(&bundle, PHONE).await);
    proxy.fault(On::nth("TransactWriteItems", 1), InjectedFault::DropAfter);
    assert_eq!(created(&create(&bundle, &event).await), &json!(true));
    assert_eq!(created(&create(&bundle, &event).await), &json!(false));
    assert_eq!(members(&bundle).await, 1);
}

#[tokio::test]
async fn fault_fails_the_creation_and_keeps_the_grant() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let event = event(&phone_grant(&bundle, PHONE).await);
    for operation in ["GetItem", "TransactWriteItems"] {
        proxy.fault(On::all(operation), InjectedFault::Refuse("AccessDeniedException"));
        let failed = create(&bundle, &event).await;
        proxy.heal();
        assert_eq!(failed.headers["x-amz-function-error"], "Unhandled", "{}", failed.text);
        assert_eq!(failed.body["errorType"], "INTERNAL_SERVER_ERROR", "{operation}");
    }
    let lines = bundle.stack.log_lines();
    let secrets = [PASSWORD, PHONE, event["verification"].as_str().unwrap()];
    assert!(lines.iter().all(|line| secrets.iter().all(|secret| !line.text.contains(secret))));
    assert_eq!(created(&create(&bundle, &event).await), &json!(true));
}

#[tokio::test]
async fn malformed_stored_hash_is_a_fault() {
    let bundle = Bundle::start().await;
    let fields = json!({ "passwordHash": null, "passwordForm": null, "password": PASSWORD });
    let event = with(&vouched(), fields);
    create(&bundle, &event).await;
    let mut item = member_item(&bundle, ID).await;
    item["password"] = json!({ "S": "$argon2id$broken" });
    bundle.dynamodb("PutItem", json!({ "Item": item })).await;
    assert_eq!(create(&bundle, &event).await.body["errorType"], "INTERNAL_SERVER_ERROR");
}

#[tokio::test]
async fn id_of_a_closed_member_is_refused() {
    let bundle = Bundle::start().await;
    let vouched = with(&vouched(), json!({ "member": ID, "phone": PHONE, "email": null, "logIn": true }));
    let password = json!({ "password": OLD_PASSWORD, "passwordHash": null, "passwordForm": null });
    let vouched = with(&vouched, password);
    let session = create(&bundle, &vouched).await.body["session"].as_str().unwrap().to_owned();
    let by_grant = with(&event(&phone_grant(&bundle, OTHER_PHONE).await), json!({ "member": OTHER_ID }));
    let other = create(&bundle, &by_grant).await;
    let body = json!({ "password": OLD_PASSWORD });
    bundle.call(Method::DELETE, CLOSE).session(&session).json(&body).await.documented(200);
    let body = json!({ "password": by_grant["password"] });
    let session = other.body["session"].as_str().unwrap();
    bundle.call(Method::DELETE, CLOSE).session(session).json(&body).await.documented(200);

    assert_refused(&create(&bundle, &vouched).await, "MEMBER_CLOSED");
    assert_refused(&create(&bundle, &by_grant).await, "{VERIFICATION}_NOT_VALID");
    // The refusal consumes no grant. The phone is free for a member with another id.
    let grant = phone_grant(&bundle, PHONE).await;
    let again = with(&event(&grant), json!({ "member": ID }));
    assert_refused(&create(&bundle, &again).await, "MEMBER_CLOSED");
    assert_eq!(created(&create(&bundle, &with(&again, json!({ "member": null }))).await), true);
}
