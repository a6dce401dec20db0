//! Tests of a stack whose only function is `/bin/false`. The tests of the workspace run the real functions.

use std::fs;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::{aws, keys};

const TEMPLATE: &str = "
Resources:
  Accounts:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      StreamSpecification: { StreamViewType: NEW_IMAGE }
  FalseFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: 'false' } }
    Properties:
      Events:
        Put: { Type: Api, Properties: { Path: /security, Method: put } }
        Any: { Type: Api, Properties: { Path: /any, Method: any } }
        Stream: { Type: DynamoDB, Properties: { Stream: !GetAtt Accounts.StreamArn, MaximumRetryAttempts: 1 } }
";

async fn start(template: &str, port: u16) -> Result<Stack, Error> {
    let path = env::temp_dir().join(format!("{}.yaml", aws::random_id()));
    fs::write(&path, template).unwrap();
    let options = Options {
        port,
        data: None,
        binaries: "/bin".into(),
        template: path.clone(),
        settings: BTreeMap::new(),
        keys: keys::fresh(),
        on_event: |_| {},
    };
    let stack = Stack::start(options).await;
    fs::remove_file(path).unwrap();
    stack
}

async fn respond(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn routes_respond_like_api_gateway() {
    let stack = start(TEMPLATE, 0).await.unwrap();
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", stack.url());
    let failed = (StatusCode::BAD_GATEWAY, json!({"message": "Internal server error"}));
    let unknown = (StatusCode::FORBIDDEN, json!({"message": "Missing Authentication Token"}));
    assert_eq!(respond(client.put(url("/security"))).await, failed);
    assert_eq!(respond(client.patch(url("/any"))).await, failed);
    assert_eq!(respond(client.get(url("/security"))).await, unknown);
    assert_eq!(respond(client.put(url("/security/"))).await, unknown);
    let body = vec![b'x'; 10 * 1024 * 1024 + 1];
    let too_large = (StatusCode::PAYLOAD_TOO_LARGE, json!({"message": "Request Too Long"}));
    assert_eq!(respond(client.put(url("/security")).body(body)).await, too_large);
    // An event of more than 6 MB is too long for Lambda.
    let body = vec![b'x'; 6 * 1024 * 1024];
    assert_eq!(respond(client.put(url("/security")).body(body)).await, too_large);
    assert_eq!(client.head(url("/security")).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    stack.shutdown().await;
}

#[tokio::test]
async fn request_beyond_the_gateway_is_refused() {
    let stack = start(TEMPLATE, 0).await.unwrap();
    let client = reqwest::Client::new();
    let put = |target: &str| client.put(format!("{}{target}", stack.url()));
    for (length, status) in [(9_900, 502), (10_240, 431)] {
        let value = "x".repeat(length);
        assert_eq!(respond(put("/security").header("cookie", &value)).await.0, status, "{length}");
        assert_eq!(respond(put(&format!("/security?a={value}"))).await.0, status, "{length}");
    }
    let (status, body) = respond(put("/no/route").header("cookie", "x".repeat(10_240))).await;
    assert_eq!((status.as_u16(), body), (431, json!({"message": "Request Header Fields Too Large"})));
    // A client library would encode these characters.
    for (target, status) in
        [("/security?a=1|2", "400"), ("/security?a={1}", "400"), ("/security?a=%7B1%7D%7C", "502")]
    {
        let line =
            raw(&stack, &format!("PUT {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(line.split(' ').nth(1), Some(status), "{line}");
    }
    stack.shutdown().await;
}

/// Sends a request as it is, and returns the status line of the response.
async fn raw(stack: &Stack, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let address = stack.url().strip_prefix("http://").unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    response.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn options_responds_like_the_template() {
    let stack = start(TEMPLATE, 0).await.unwrap();
    let client = reqwest::Client::new();
    let options = |path: &str| client.request(Method::OPTIONS, format!("{}{path}", stack.url()));
    let response = options("/security").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["access-control-allow-methods"], "OPTIONS,PUT");
    assert_eq!(response.headers()["access-control-allow-origin"], "https://none.invalid");
    assert_eq!(response.text().await.unwrap(), "{}\n");
    let unknown = options("/no/route").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::FORBIDDEN);
    assert_eq!(unknown.headers()["cache-control"], "no-store");
    assert_eq!(unknown.headers()["access-control-allow-origin"], "https://none.invalid");
}

#[tokio::test]
async fn invocation_responds_like_lambda() {
    let stack = start(TEMPLATE, 0).await.unwrap();
    let client = reqwest::Client::new();
    let invoke =
        |function: &str| client.post(format!("{}/2015-03-31/functions/{function}/invocations", stack.url()));
    let response = invoke("false").body(r#"{"any":"event"}"#).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-amz-function-error"], "Unhandled");
    assert_eq!(response.headers()["x-amz-executed-version"], "$LATEST");

    let queued = invoke("false").header("X-Amz-Invocation-Type", "Event").send().await.unwrap();
    assert_eq!(queued.status(), StatusCode::ACCEPTED);
    let too_large = invoke("false").body(vec![b' '; 6 * 1024 * 1024 + 1]).send().await.unwrap();
    assert_eq!(too_large.headers()["x-amzn-errortype"], "RequestTooLargeException");
    assert_eq!(too_large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let malformed = invoke("false").body("{").send().await.unwrap();
    assert_eq!(malformed.status(), StatusCode::BAD_REQUEST);
    let unknown = invoke("another").send().await.unwrap();
    assert_eq!(unknown.headers()["x-amzn-errortype"], "ResourceNotFoundException");
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn debug_routes_list_messages_and_unhealthy_functions() {
    let stack = start(TEMPLATE, 0).await.unwrap();
    let client = reqwest::Client::new();
    let messages = client.get(format!("{}/_local/messages", stack.url()));
    assert_eq!(respond(messages).await, (StatusCode::OK, json!([])));
    let health = client.get(format!("{}/_local/health", stack.url()));
    let unavailable = json!({"status": "unavailable", "functions": ["false"]});
    assert_eq!(respond(health).await, (StatusCode::SERVICE_UNAVAILABLE, unavailable));
}

#[tokio::test]
async fn stream_delivers_written_items_to_its_function() {
    let stack = start(TEMPLATE, 0).await.unwrap();
    let item = json!({"TableName": stack.table(), "Item": {"pk": {"S": "the-item"}}});
    let put = reqwest::Client::new()
        .post(stack.dynamodb_url())
        .header("x-amz-target", "DynamoDB_20120810.PutItem")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-date", "20260101T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=0",
        );
    let put = put.body(item.to_string()).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    stack.settled().await;
    let lines = stack.log_lines();
    let [first, second, discarded] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(first.text.starts_with("Runtime.ExitError: ") && second.text == first.text, "{lines:?}");
    assert!(
        discarded.text.starts_with("discarded stream records: 1, starting with sequence number "),
        "{lines:?}"
    );
    assert!(!discarded.text.contains("the-item"));
    stack.shutdown().await;
}

#[tokio::test]
async fn failed_start_is_explained_in_one_line() {
    let stack = start(TEMPLATE, 0).await.unwrap();
    let port: u16 = stack.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let in_use = start(TEMPLATE, port).await.err().unwrap().to_string();
    assert_eq!(in_use, format!("port {port} is in use; choose another with --port"));

    let broken = start("Resources: {}", 0).await.err().unwrap().to_string();
    assert!(broken.contains(".yaml: expected one AWS::DynamoDB::Table, found 0"), "{broken}");
}
