use super::*;
use serde_json::json;

const TEMPLATE: &str = r#"
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Parameters:
  CodeLength: { Type: Number, Default: 6 }
  MailFrom: { Type: String }
  FunctionTimeout: { Type: Number, Default: 10 }
Globals:
  Function:
    Timeout: !Ref FunctionTimeout
    MemorySize: 256
    Environment:
      Variables:
        TABLE_NAME: !Ref Accounts
        CODE_LENGTH: !Ref CodeLength
        MAIL_FROM: !Ref MailFrom
        KEYS_SECRET_ARN: !GetAtt Keys.Arn
Resources:
  Accounts:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{ AttributeName: PK, KeyType: HASH }]
      AttributeDefinitions: [{ AttributeName: PK, AttributeType: S }]
      TimeToLiveSpecification: { AttributeName: expires, Enabled: true }
      StreamSpecification: { StreamViewType: NEW_IMAGE }
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true }
  SendCodeFunction:
    Type: AWS::Serverless::Function
    Metadata:
      BuildMethod: rust-cargolambda
      BuildProperties: { Binary: send-code }
    Properties:
      MemorySize: 1024
      Environment: { Variables: { CODE_LENGTH: "8", LANG: en } }
      Events:
        Get: { Type: Api, Properties: { Path: /member/security, Method: get, RestApiId: !Ref Api } }
        Any: { Type: HttpApi, Properties: { Path: /any, Method: any } }
        Warm: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(5 minutes), Input: '{"warmer":true}' } }
        Stream: { Type: DynamoDB, Properties: { Stream: !GetAtt Accounts.StreamArn, BatchSize: 10 } }
"#;

#[test]
fn own_properties_override_global_ones() {
    let template = Template::parse(TEMPLATE).unwrap();
    let [function] = template.functions.as_slice() else { panic!("{template:?}") };
    assert_eq!((function.logical_id.as_str(), function.binary.as_str()), ("SendCodeFunction", "send-code"));
    assert_eq!((function.memory_mib, function.timeout), (1024, Duration::from_secs(10)));
    assert_eq!(function.schedules, [json!({"warmer": true})]);
    let [subscription] = function.subscriptions.as_slice() else { panic!("{function:?}") };
    assert_eq!(subscription.batch_size, 10);
    let route = |path: &str, method: &str| Route { path: path.to_owned(), method: method.to_owned() };
    assert_eq!(function.routes, [route("/any", "ANY"), route("/member/security", "GET")]);
    let variables: Vec<_> =
        function.variables.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    assert_eq!(
        variables,
        [
            ("CODE_LENGTH", Some("8")),
            ("KEYS_SECRET_ARN", None),
            ("LANG", Some("en")),
            ("MAIL_FROM", None),
            ("TABLE_NAME", Some("Accounts")),
        ]
    );
}

#[test]
fn table_has_the_properties_for_create_table() {
    let table = Template::parse(TEMPLATE).unwrap().table;
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires"));
    assert_eq!(
        Value::Object(table.schema),
        json!({
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "PK", "AttributeType": "S"}],
            "StreamSpecification": {"StreamViewType": "NEW_IMAGE", "StreamEnabled": true},
        })
    );
}

#[test]
fn errors_of_a_template_are_one_line() {
    let without = |line: &str| Template::parse(&TEMPLATE.replace(line, "")).unwrap_err().to_string();
    for (error, expected) in [
        (
            without("BuildProperties: { Binary: send-code }"),
            "SendCodeFunction: missing field `BuildProperties`",
        ),
        (without("Path: /any, "), "SendCodeFunction: missing field `Path`"),
        (
            without("StreamSpecification: { StreamViewType: NEW_IMAGE }"),
            "SendCodeFunction: an event of type DynamoDB must use the stream of the template's table",
        ),
        (
            Template::parse(&TEMPLATE.replace("Accounts.StreamArn", "Others.StreamArn"))
                .unwrap_err()
                .to_string(),
            "SendCodeFunction: an event of type DynamoDB must use the stream of the template's table",
        ),
        (without("Type: AWS::Serverless::Function"), "the template: missing field `Type`"),
        (
            Template::parse(&TEMPLATE.replace("Default: 10", "Default: ten")).unwrap_err().to_string(),
            "Globals: `ten` is not a whole number",
        ),
        (
            Template::parse(&TEMPLATE.replace("DynamoDB::Table", "S3::Bucket")).unwrap_err().to_string(),
            "expected one AWS::DynamoDB::Table, found 0",
        ),
        (Template::parse("Resources: {").unwrap_err().to_string(), "line "),
        (Template::parse("").unwrap_err().to_string(), "the template: "),
    ] {
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
