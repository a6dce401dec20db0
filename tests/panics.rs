//! A panic, and the next request to the same process.

use crate::bundle::{Bundle, binaries, options};
use local::Options;
use reqwest::Method;
use serde_json::json;
use std::{env, fs, path::PathBuf};

const TEMPLATE: &str = "
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      StreamSpecification: { StreamViewType: NEW_IMAGE }
  PanicsFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: panics } }
    Properties:
      Events:
        Post: { Type: Api, Properties: { Path: /panics, Method: post } }
";

/// Returns the folder of the `panics` example. Cargo builds it for the tests, and `.ci/run` with the release profile.
#[expect(clippy::disallowed_methods, reason = "the environment of the test run sets it")]
fn examples() -> PathBuf {
    env::var_os("EXAMPLES").map_or_else(|| binaries().join("examples"), PathBuf::from)
}

#[tokio::test]
async fn panic_returns_500_and_the_process_continues() {
    assert!(
        examples().join("panics").exists(),
        "panics is not built; run cargo build -p shared --example panics"
    );
    let template = env::temp_dir().join(format!("panics-{}.yaml", std::process::id()));
    fs::write(&template, TEMPLATE).unwrap();
    let options = Options {
        binaries: examples(),
        template: template.clone(),
        ..options(&[("METRICS_NAMESPACE", "panics")])
    };
    let bundle = Bundle::with_options(options).await;
    fs::remove_file(template).unwrap();
    let call = || bundle.call(Method::POST, "/panics");

    let process = call().send().await.ok().body["result"].clone();
    let panicked = call().json(&json!({ "message": "the-cause" })).await;
    assert_eq!(panicked.refusal(), (500, "INTERNAL_SERVER_ERROR"));
    assert!(!panicked.text.contains("the-cause"), "{}", panicked.text);
    assert_eq!(call().send().await.ok().body["result"], process);

    let lines = bundle.stack.log_lines();
    let request_id = panicked.headers["x-request-id"].to_str().unwrap();
    assert!(lines.iter().any(|line| line.text.contains(request_id)), "{lines:?}");
    assert!(lines.iter().any(|line| line.text.contains("examples/panics.rs:")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.text.contains("the-cause")), "{lines:?}");
    let counted = r#""Symbol":"INTERNAL_SERVER_ERROR","Failures":1}"#;
    assert!(lines.iter().any(|line| line.is_metrics() && line.text.ends_with(counted)), "{lines:?}");
}
