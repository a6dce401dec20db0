//! The role of each function allows exactly what the function does.

use crate::{
    authorizer,
    bundle::{
        Bundle, CHANGE_BY_MESSAGE, Member, NOT_ME, OLD_PASSWORD, PIN, RECOVERY, SEND, SEND_CODE, SEND_MAIL,
        STATUS, VERIFY_MAIL, root, wrong_code,
    },
    changes::{ChangeKind, MANY, PreparedChange},
    check_pay_password::{self, check, phone, with_code, wrong},
    create_member,
    imported_passwords::{PAY, imported_member},
    log_in,
    proxy::{ANY, InjectedFault, MAIL, On, Proxy, REFUSED, Request, SMS, STORE},
    receipts,
    wiring::{
        endpoints::Endpoints,
        generate::{apply, is_updating, replace},
        roles::statements,
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use template::{
    Template,
    grants::{self, Grant},
};
use tokio::sync::OnceCell;

const PUBLISH: &str = "sns:Publish";
const SEND_EMAIL: &str = "ses:SendEmail";
const WRITES: [&str; 3] = ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"];

/// The actions that the local stack does not see: Lambda's own, and the function's before its first event.
const OF_THE_PLATFORM: [&str; 10] = [
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "secretsmanager:GetSecretValue",
    "sqs:SendMessage",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
];

/// An action of a function, and the partition key of its item if it was done to the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Act {
    function: String,
    action: String,
    partition: Option<String>,
    /// The attributes that it reads, those of the key included. Empty if it reads all, or none.
    attributes: BTreeSet<String>,
}

impl Act {
    /// Returns the actions that IAM authorizes for a request. Each write of a transaction is one (Amazon DynamoDB
    /// Developer Guide, "Using IAM with DynamoDB transactions").
    fn of(request: &Request) -> Vec<Self> {
        let act = |action: &str, partition| Self {
            function: request.caller.clone(),
            action: action.to_owned(),
            partition,
            attributes: BTreeSet::new(),
        };
        let body = || serde_json::from_str::<Value>(&request.body).unwrap();
        let pk = |write: &Value| {
            let key = write.get("Key").or(write.get("Item")).unwrap();
            Some(key["pk"]["S"].as_str().unwrap().to_owned())
        };
        match request.operation.as_str() {
            "Publish" => vec![act(PUBLISH, None)],
            "SendEmail" => vec![act(SEND_EMAIL, None)],
            "TransactWriteItems" => body()["TransactItems"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|item| item.as_object().unwrap())
                .map(|(kind, write)| act(&format!("dynamodb:{kind}Item"), pk(write)))
                .collect(),
            "GetItem" => {
                vec![Self { attributes: projected(&body()), ..act("dynamodb:GetItem", pk(&body())) }]
            }
            "Query" => {
                let partition = body()["ExpressionAttributeValues"][":pk"]["S"].as_str().unwrap().to_owned();
                vec![act("dynamodb:Query", Some(partition))]
            }
            item @ ("PutItem" | "UpdateItem" | "DeleteItem") => {
                vec![act(&format!("dynamodb:{item}"), pk(&body()))]
            }
            other => panic!("{} requests {other}", request.caller),
        }
    }
}

/// Returns the attributes that a read names, with those of its key. IAM counts both. Empty if it reads all.
fn projected(body: &Value) -> BTreeSet<String> {
    let Some(projection) = body["ProjectionExpression"].as_str() else { return BTreeSet::new() };
    let names = projection.split(',').map(str::trim).chain(["pk", "sk"]);
    names.map(str::to_owned).collect()
}

/// Returns all acts of the functions, recorded while each function takes every path that sends a request.
async fn acts() -> &'static BTreeSet<Act> {
    static ACTS: OnceCell<BTreeSet<Act>> = OnceCell::const_new();
    ACTS.get_or_init(|| Box::pin(record_acts())).await
}

async fn record_acts() -> BTreeSet<Act> {
    let (store, to_store) = Proxy::before(STORE).await;
    let (sms, to_sms) = Proxy::before(SMS).await;
    let (mail, to_mail) = Proxy::before(MAIL).await;
    let proxies = [to_store.pair(), to_sms.pair(), to_mail.pair()];
    let bundle = Bundle::with(&[&MANY[..], &proxies].concat()).await;
    store.pass_to(bundle.stack.dynamodb_url());
    sms.pass_to(bundle.stack.messages_url());
    mail.pass_to(bundle.stack.messages_url());

    bundle.call(Method::GET, "/_local/health").send().await.ok();
    changes(&bundle).await;
    status(&bundle).await;
    passwords_beside_codes(&bundle).await;
    recovery_by_mail(&bundle).await;
    refusals(&bundle).await;
    withdrawn_sends(&bundle, &[&sms, &mail]).await;
    locks(&bundle).await;
    services(&bundle, &store).await;
    bundle.settled().await;

    let requests = [&store, &sms, &mail].map(Proxy::take);
    // The stack itself creates members.
    let acts =
        requests.iter().flatten().filter(|request| request.caller != "local").flat_map(Act::of).collect();
    if is_updating() {
        apply("template.yaml", "permissions", |template| with_roles(template, &acts));
    }
    acts
}

/// Makes every change: with each of its proofs wrong, then correctly, then again with the same `Idempotency-Key`.
async fn changes(bundle: &Bundle) {
    for kind in ChangeKind::ALL {
        let change = PreparedChange::new(kind, bundle).await;
        for proof in ["code", "message", "oldPassword", "password", "verification"] {
            // A first phone needs no password.
            if (kind, proof) == (ChangeKind::PhoneBound, "password") {
                continue;
            }
            if let Some(wrong) = change.with_wrong(proof) {
                let refused = wrong.commit(bundle).await;
                assert!(refused.status.is_client_error(), "{kind:?} {proof}: {}", refused.text);
            }
        }
        for _ in 0..2 {
            change.call(bundle).header("Idempotency-Key", "made").send().await.ok();
        }
    }
}

/// Reads the security status, and repeats the request.
async fn status(bundle: &Bundle) {
    let member = bundle.member_with(json!({})).await;
    for _ in 0..2 {
        let call = bundle.call(Method::GET, STATUS).session(&member.token);
        call.header("Idempotency-Key", "status").send().await.ok();
    }
}

/// Passes a password where a code would do, and replaces an email address.
async fn passwords_beside_codes(bundle: &Bundle) {
    let new = json!({ "phone": "13700000001", "email": "old@example.com", "password": OLD_PASSWORD });
    let member = bundle.member_with(new).await;
    let mail = async |password: &str| {
        let body = json!({ "email": "new@example.com", "password": password });
        bundle.call(Method::POST, SEND_MAIL).session(&member.token).json(&body).await
    };
    assert_eq!(mail("wrong").await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    let sent = mail(OLD_PASSWORD).await.ok();
    let code = bundle.code_to("new@example.com").await;
    let query = [("verification", sent.verification()), ("code", &code)];
    bundle.call(Method::GET, VERIFY_MAIL).query(&query).send().await.ok();
    bundle.call(Method::POST, VERIFY_MAIL).query(&query).send().await.ok();

    let link = bundle.report_link("old@example.com").await;

    let (phone_info, code) = bundle.request_change_code(&member).await;
    for (old_password, status) in [("wrong", 400), (OLD_PASSWORD, 200)] {
        let mut body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": "a-new-password" });
        body["oldPassword"] = json!(old_password);
        let response = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await;
        assert_eq!(response.status, status, "{}", response.text);
    }
    // Restores the replaced address.
    bundle.call(Method::POST, NOT_ME).json(&json!({ "verification": link })).await.ok();
}

async fn recovery_by_mail(bundle: &Bundle) {
    let email = "forgetful@example.com";
    bundle.member_with(json!({ "email": email })).await;
    let grant = bundle.grant_by_mail(&bundle.request_email_code(None, email).await).await;
    let body = json!({ "email": email, "passwordFirst": "a-new-password", "verification": grant });
    bundle.call(Method::PUT, RECOVERY).json(&body).await.ok();
}

/// Makes each endpoint refuse two requests: it stores the first refusal under the `Idempotency-Key`, not the second.
async fn refusals(bundle: &Bundle) {
    let bare = bundle.member_with(json!({})).await;
    let ended = PreparedChange::new(ChangeKind::PasswordByOld, bundle).await;
    ended.commit(bundle).await.ok();
    let endpoints = Endpoints::load();
    for (member, expected) in [(&bare, 400), (&ended.member, 401)] {
        // `pages` has no call to refuse.
        let functions = endpoints.functions.iter().filter(|function| function.name != "pages");
        for route in functions.flat_map(|function| &function.routes) {
            let (method, path) = route.split_once(' ').unwrap();
            // These refuse nothing to a session, and a member without any other proof closes the account by it.
            if expected == 400 && (path == STATUS || method == "DELETE") {
                continue;
            }
            let call = bundle.call(method.parse().unwrap(), path).session(&member.token);
            let refused = call.header("Idempotency-Key", &format!("{method}{path}")).send().await;
            assert_eq!(refused.status, expected, "{route}: {}", refused.text);
        }
    }
}

/// Makes the providers refuse codes: the functions withdraw those codes, and send a recovery code again.
async fn withdrawn_sends(bundle: &Bundle, providers: &[&Proxy]) {
    let (phone, email) = ("13700000002", "unlucky@example.com");
    let new = json!({ "phone": phone, "email": email, "password": OLD_PASSWORD });
    let member = bundle.member_with(new).await;
    let (other_phone, other_email) = ("13700000003", "lucky@example.com");
    let refuse_next = || {
        for provider in providers {
            provider.heal();
            provider.fault(On::nth(ANY, 1), InjectedFault::Refuse(REFUSED));
        }
    };
    for (method, path, to) in [
        (Method::POST, SEND, ("time", "1")),
        (Method::GET, SEND_CODE, ("phone", phone)),
        (Method::GET, SEND_CODE, ("phone", other_phone)),
        (Method::POST, SEND_MAIL, ("email", other_email)),
    ] {
        refuse_next();
        let refused = bundle.call(method, path).session(&member.token).query(&[to]).send().await;
        assert_eq!(refused.refusal(), (500, "SEND_MESSAGE_ERROR"));
    }
    refuse_next();
    bundle.request_sms_code(None, phone).await;
    bundle.request_email_code(None, email).await;
}

/// Makes attempts until the lockout.
async fn locks(bundle: &Bundle) {
    for (kind, proof) in [
        (ChangeKind::PayPasswordByOld, "oldPassword"),
        (ChangeKind::PayPasswordByCode, "message"),
        (ChangeKind::SmsForGrant, "message"),
        (ChangeKind::MailForGrant, "code"),
    ] {
        let change = PreparedChange::new(kind, bundle).await;
        let wrong = change.with_wrong(proof).unwrap();
        for _ in 0..5 {
            assert_eq!(wrong.commit(bundle).await.status, 400, "{kind:?}");
        }
        let refused = change.commit(bundle).await;
        assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"), "{kind:?}");
    }
}

/// Makes the calls of other services: each succeeds, is repeated, is refused, and fails.
async fn services(bundle: &Bundle, store: &Proxy) {
    let member = bundle.member_with(json!({ "phone": "13700000004", "payPassword": PIN })).await;
    for token in [&*member.token, "not-a-session"] {
        authorizer::authorize(bundle, token).await;
    }
    log_ins(bundle).await;
    let receipt = checks(bundle, &member).await;
    let spend = async |receipt: &str, key: &str| {
        let mut event = receipts::event(receipt);
        event["idempotencyKey"] = json!(key);
        bundle.invoke("spend-receipt", &event).await
    };
    for key in ["a", "a", "b"] {
        assert_eq!(spend(&receipt, key).await.body["success"], true);
    }
    assert_eq!(spend("not-a-receipt", "c").await.body["error"], "RECEIPT_NOT_VALID");
    creations(bundle, store).await;
    store.fault(On::all("GetItem"), InjectedFault::Refuse("AccessDeniedException"));
    assert_eq!(spend(&receipt, "d").await.body["errorType"], "INTERNAL_SERVER_ERROR");
    store.heal();
}

/// Creates members: with a grant and without, again with and without the key, refused, and failed.
async fn creations(bundle: &Bundle, store: &Proxy) {
    let create = async |mut event: Value, key: Option<&str>| {
        if let Some(key) = key {
            event["idempotencyKey"] = json!(key);
        }
        bundle.invoke("create-member", &event).await
    };
    let by_grant = create_member::event(&create_member::phone_grant(bundle, "13700000008").await);
    let mut vouched = create_member::vouched();
    vouched["member"] = json!("0192f0c1-7d3a-7c60-b1a5-0d8b0a3f5e12");
    (vouched["phone"], vouched["email"]) = (json!("13700000006"), json!("vouched@example.com"));
    for (event, key) in [(&by_grant, "a"), (&vouched, "b")] {
        for key in [Some(key), Some(key), None] {
            let response = create(event.clone(), key).await;
            assert_eq!(response.body["success"], true, "{}", response.text);
        }
    }
    vouched["phone"] = json!("13700000007");
    assert_eq!(create(vouched.clone(), Some("c")).await.body["error"], "MEMBER_EXISTS");
    vouched["member"] = json!("0192f0c1-7d3a-7c60-b1a5-0d8b0a3f5e13");
    store.fault(On::all("TransactWriteItems"), InjectedFault::Refuse("AccessDeniedException"));
    assert_eq!(create(vouched, Some("d")).await.body["errorType"], "INTERNAL_SERVER_ERROR");
    store.heal();
}

/// Makes checks of a pay password until its lockout, and returns a receipt.
async fn checks(bundle: &Bundle, member: &Member) -> String {
    let code = check_pay_password::log_in_code(bundle, member, phone("13700000004")).await;
    let mut keyed = with_code(member, &code);
    keyed["idempotencyKey"] = json!("a");
    for _ in 0..2 {
        assert_eq!(check(bundle, &keyed).await.body["success"], true);
    }
    let receipt = receipts::issue(bundle, member).await;
    let outdated = imported_member(bundle, "13700000005", "importee@example.com", "pay_password", PAY).await;
    receipts::issue(bundle, &outdated).await;
    let mut wrong_code = with_code(member, &code);
    wrong_code["code"] = json!("000000");
    assert_eq!(check(bundle, &wrong_code).await.body["error"], "{CODE}_NOT_VALID");
    let mut wrong = wrong(member);
    wrong["idempotencyKey"] = json!("b");
    assert_eq!(check(bundle, &wrong).await.body["attemptsLeft"], 4);
    wrong.as_object_mut().unwrap().remove("idempotencyKey");
    for left in (0..4).rev() {
        assert_eq!(check(bundle, &wrong).await.body["attemptsLeft"], left);
    }
    let mut locked = wrong;
    locked["idempotencyKey"] = json!("c");
    assert_eq!(check(bundle, &locked).await.body["error"], "TOO_MANY_ATTEMPTS");
    receipt
}

/// Logs in by password and by code, registers, fails until the lockout, and repeats each call.
async fn log_ins(bundle: &Bundle) {
    let (phone, email, stranger) = ("13700000009", "known@example.com", "13700000010");
    let new = json!({ "phone": phone, "email": email, "password": OLD_PASSWORD });
    let member = bundle.member_with(new).await;
    log_in::store_imported_hash(bundle, &member).await;
    let by_password = |password: &str, key: &str| {
        let mut event = log_in::by_password(phone, password);
        event["idempotencyKey"] = json!(key);
        event
    };
    for (password, key) in
        [(OLD_PASSWORD, "a"), (OLD_PASSWORD, "a"), ("wrong", "a"), ("wrong", "b"), ("wrong", "b")]
    {
        bundle.log_in(by_password(password, key)).await;
    }
    log_in::fail(bundle, phone, 9).await;
    assert_eq!(bundle.log_in(by_password("wrong", "c")).await.body["error"], "TOO_MANY_ATTEMPTS");
    // The refusal releases its claim. So does a send that is limited.
    for (purpose, to) in
        [("login", phone), ("login", email), ("register", stranger), ("register", "stranger@example.com")]
    {
        let field = if to.contains('@') { "email" } else { "phone" };
        let event = json!({ "purpose": purpose, field: to, "sourceIp": "203.0.113.9", "idempotencyKey": to });
        let sent = bundle.invoke("send-log-in-code", &event).await;
        for key in [to, "d"] {
            let mut again = event.clone();
            again["idempotencyKey"] = json!(key);
            bundle.invoke("send-log-in-code", &again).await;
        }
        let mut mismatch = event.clone();
        mismatch["purpose"] = json!("other");
        bundle.invoke("send-log-in-code", &mismatch).await;
        bundle.settled().await;
        let code = bundle.code();
        for code in [wrong_code(&code), &code] {
            let mut event = json!({ "identifier": to, "code": code, "verification": sent.verification(), "idempotencyKey": code });
            event["sourceIp"] = json!("203.0.113.9");
            bundle.invoke("log-in", &event).await;
        }
    }
}

/// Returns the template with the statements of every role written from the acts of its function.
fn with_roles(template: &str, acts: &BTreeSet<Act>) -> String {
    Endpoints::load().functions.iter().fold(template.to_owned(), |template, function| {
        let own = acts.iter().filter(|act| act.function == function.name);
        let own = own.map(|act| (act.action.as_str(), act.partition.as_deref(), &act.attributes));
        replace(&template, &format!("role {}", function.name), &statements(function, own))
    })
}

fn roles() -> BTreeMap<String, Vec<Grant>> {
    grants::load(&root().join("template.yaml")).unwrap()
}

/// Returns the functions that may do one of the actions in the partition.
fn allowed_functions(actions: &[&str], partition: Option<&str>) -> Vec<String> {
    let may = |grants: &[Grant]| {
        actions.iter().any(|action| grants.iter().any(|grant| grant.allows(action, partition)))
    };
    roles().into_iter().filter(|(_, grants)| may(grants)).map(|(function, _)| function).collect()
}

#[tokio::test]
async fn roles_are_written_from_recorded_acts() {
    let acts = acts().await;
    apply("template.yaml", "permissions", |template| with_roles(template, acts));
}

#[tokio::test]
async fn every_function_may_do_what_it_does() {
    let (acts, roles) = (acts().await, roles());
    let acting: BTreeSet<_> = acts.iter().map(|act| &act.function).collect();
    // `pages` makes no request.
    let expected = roles.keys().filter(|function| *function != "pages");
    assert!(acting.iter().copied().eq(expected), "{acting:?}");
    let allows = |act: &Act| {
        let grants = &roles[&act.function];
        grants.iter().any(|grant| {
            grant.allows(&act.action, act.partition.as_deref()) && grant.allows_reading(&act.attributes)
        })
    };
    let refused: Vec<_> = acts.iter().filter(|act| !allows(act)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn no_function_may_do_more_than_it_does() {
    let acts = acts().await;
    let mut unused = BTreeSet::new();
    for (function, grants) in roles() {
        for grant in grants {
            for action in grant.actions.iter().filter(|action| !OF_THE_PLATFORM.contains(&action.as_str())) {
                let is_used = |pattern: Option<&str>| {
                    acts.iter().filter(|act| act.function == function && act.action == *action).any(|act| {
                        match (pattern, &act.partition) {
                            (Some(pattern), Some(pk)) => grants::is_like(pk, pattern),
                            (None, None) => true,
                            _ => false,
                        }
                    })
                };
                let patterns = grant.leading_keys.iter().map(|key| Some(key.as_str()));
                let everything = grant.leading_keys.is_empty().then_some(None);
                let more = patterns.chain(everything).filter(|&pattern| !is_used(pattern));
                unused.extend(more.map(|pattern| format!("{function}: {action} {}", pattern.unwrap_or("*"))));
                let reads = |name: &&String| {
                    acts.iter().any(|act| act.function == function && act.attributes.contains(*name))
                };
                let unread = grant.attributes.iter().filter(|name| !reads(name));
                unused.extend(unread.map(|name| format!("{function}: {action} attribute {name}")));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn roles_allow_only_the_table_and_no_topics() {
    let table = Template::load(&root().join("template.yaml")).unwrap().table;
    for (function, grants) in roles() {
        for grant in grants {
            let of = |resources: &[&str]| {
                grant.resources.iter().map(Option::as_deref).eq(resources.iter().copied().map(Some))
            };
            let does =
                |actions: &[&str]| grant.actions.iter().any(|action| actions.contains(&action.as_str()));
            let is_of_table = of(&[&table.arn()]) && !grant.excludes_resources;
            assert!(is_of_table || !does(&["dynamodb:GetItem"]) && !does(&WRITES), "{function}: {grant:?}");
            let is_of_no_topic = of(&["arn:aws:sns:*:*:*"]) && grant.excludes_resources;
            assert!(is_of_no_topic || !does(&[PUBLISH]), "{function}: {grant:?}");
        }
    }
}

#[test]
fn authorizer_reads_only_the_credential_version() {
    let roles = roles();
    let restricted: Vec<_> = roles
        .iter()
        .filter(|(_, grants)| grants.iter().any(|grant| !grant.attributes.is_empty()))
        .map(|(function, _)| function.as_str())
        .collect();
    assert_eq!(restricted, ["authorize"]);
    let of_table = |grant: &&Grant| grant.actions.iter().any(|action| action.starts_with("dynamodb:"));
    let grants: Vec<_> = roles["authorize"].iter().filter(of_table).collect();
    let [grant] = grants.as_slice() else { panic!("{grants:?}") };
    assert_eq!(grant.actions, ["dynamodb:GetItem"]);
    assert_eq!(grant.leading_keys, ["connection", "member#*"]);
    assert_eq!(grant.attributes, ["credential_version", "pk", "sk"]);
}

#[test]
fn only_the_expected_functions_write_each_kind() {
    let changers = [
        "bind-phone",
        "change-password",
        "change-password-by-message",
        "check-pay-password",
        "close-account",
        "recover-password",
        "report-change",
        "reset-pay-password",
        "set-pay-password",
        "update-pay-password",
        "verify-mail",
    ];
    let with = |functions: &[&'static str], more: &[&'static str]| {
        let mut all = [functions, more].concat();
        all.sort_unstable();
        all
    };
    // A closing deletes the member. A login replaces an outdated hash of the password, and a check that of the pay
    // password.
    let updaters: Vec<_> = changers.into_iter().filter(|name| *name != "close-account").collect();
    let writers = with(&updaters, &["log-in"]);
    let recorders = with(&changers, &["create-member", "deliver-notices", "log-in"]);
    let senders = ["send-change-password-message", "send-code", "send-log-in-code", "send-mail"];
    let put = &["dynamodb:PutItem"][..];
    for (actions, partition, expected) in [
        (&["dynamodb:UpdateItem"][..], "member#1", &writers[..]),
        // Changes only update and delete members, under a condition. One function creates them, and one deletes them.
        (put, "member#1", &["create-member"]),
        (&["dynamodb:DeleteItem"], "member#1", &["close-account"]),
        (&WRITES, "closed#1", &["close-account"]),
        (&["dynamodb:ConditionCheckItem"], "closed#1", &["create-member"]),
        (put, "audit#1", &recorders),
        (&["dynamodb:GetItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem"], "audit#1", &[]),
        (&WRITES, "phone#+8613627140483", &["bind-phone", "close-account", "create-member", "report-change"]),
        (
            &WRITES,
            "email#li@example.com",
            &["close-account", "create-member", "report-change", "verify-mail"],
        ),
        (&["dynamodb:DeleteItem"], "phone#+8613627140483", &["bind-phone", "close-account", "report-change"]),
        (&["dynamodb:GetItem", "dynamodb:DeleteItem"], "report#1", &["report-change"]),
        (put, "grant#1", &["log-in", "verify-mail", "verify-recovery-code"]),
        (&["dynamodb:DeleteItem"], "grant#1", &["recover-password", "reset-pay-password"]),
        // A grant to register remains until it expires.
        (&["dynamodb:GetItem"], "grant#1", &["create-member"]),
        (put, "code#phone#+8613627140483#60", &senders[..3]),
        (put, "code#email#li@example.com#80", &senders[2..]),
        (&WRITES, "sent#phone#+8613627140483", &senders[..3]),
        (&WRITES, "sent#member#1", &["send-change-password-message", "send-code", "send-mail"]),
        (&WRITES, "source#192.0.2.1#1", &senders),
        (&["dynamodb:GetItem"], "receipt#1", &["spend-receipt"]),
        (&["dynamodb:UpdateItem"], "receipt#1", &["spend-receipt"]),
        (put, "receipt#1", &["check-pay-password"]),
        (&["dynamodb:DeleteItem"], "receipt#1", &[]),
        (&WRITES, "failures#email#li@example.com#80", &["close-account", "log-in", "verify-mail"]),
        (&WRITES, "failures#log-in#1", &["log-in"]),
        (&WRITES, "notices#phone#+8613627140483", &["deliver-notices"]),
        (&WRITES, "mail", &["close-account", "deliver-notices", "log-in", "send-mail", "verify-mail"]),
        (&WRITES, "register#mail", &["deliver-notices", "log-in"]),
        (
            &WRITES,
            "failures#pay-password#1",
            &["check-pay-password", "reset-pay-password", "update-pay-password"],
        ),
        // Only log-in and security-status read failure counters: those of logins, and those of the pay password. No
        // function only reads codes or idempotency records.
        (&["dynamodb:GetItem"], "failures#log-in#1", &["log-in"]),
        (&["dynamodb:GetItem"], "code#phone#+8613627140483#60", &[]),
        (&["dynamodb:GetItem"], "failures#password#1", &[]),
        (&["dynamodb:GetItem"], "idempotency#1", &[]),
    ] {
        assert_eq!(allowed_functions(actions, Some(partition)), expected, "{actions:?} {partition}");
    }
    let by_sms = ["deliver-notices", "send-change-password-message", "send-code"];
    assert_eq!(allowed_functions(&[PUBLISH], None), by_sms);
    assert_eq!(allowed_functions(&[SEND_EMAIL], None), ["deliver-notices", "send-mail"]);
    assert_eq!(allowed_functions(&["dynamodb:Query"], Some("audit#1")), ["security-status"]);
    assert_eq!(allowed_functions(&["dynamodb:Query"], Some("member#1")), [""; 0]);
    assert_eq!(
        allowed_functions(&["dynamodb:GetItem"], Some("failures#pay-password#1")),
        ["security-status"]
    );
    assert_eq!(allowed_functions(&["dynamodb:Scan"], Some("audit#1")), [""; 0]);
}
