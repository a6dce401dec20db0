use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use super::*;
use crate::database;

const TEMPLATE: &str = r#"
Resources:
  Accounts:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      StreamSpecification: { StreamViewType: NEW_IMAGE }
  DeliverNoticesFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: deliver-notices } }
    Properties:
      Events:
        Notices:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Accounts.StreamArn
            FunctionResponseTypes: [ReportBatchItemFailures]
            MaximumRetryAttempts: 1
            FilterCriteria:
              Filters:
                - Pattern: '{"eventName":["INSERT"],"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"notice#"}]}}}}'
"#;

/// A table and the one reader of its stream.
struct Table {
    database: Database,
    stream: Stream,
    reader: Reader,
    logs: Arc<Logs>,
}

impl Table {
    fn open() -> Self {
        let template = Template::parse(TEMPLATE).unwrap();
        Self::of(database::open(None, &template.table, "accounts").unwrap())
    }

    fn of(database: Database) -> Self {
        let template = Template::parse(TEMPLATE).unwrap();
        let (stream, mut readers) = Stream::open(&database, "accounts", &template).unwrap();
        let reader = readers.pop().unwrap();
        Self { database, stream, reader, logs: Arc::new(Logs::new(|_| {})) }
    }

    fn put(&self, pk: &str, kind: &str) {
        let request = json!({"TableName": "accounts", "Item": {"pk": {"S": pk}, "kind": {"S": kind}, "at": {"N": "1"}}});
        self.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// The records since the last read that the function is to have.
    async fn read(&mut self) -> Vec<Record> {
        let mut records = self.reader.read().await;
        records.retain(|record| self.reader.takes(record));
        records
    }

    /// Hands `records` to a function that gives these answers in turn, and returns what it was handed.
    async fn hand_over(&self, records: &[Record], answers: Vec<Invocation>) -> Vec<Vec<String>> {
        let (handed, answers) = (Mutex::new(Vec::new()), Mutex::new(VecDeque::from(answers)));
        let invoke = |event: Bytes| {
            let event: Value = serde_json::from_slice(&event).unwrap();
            let keys = event["Records"].as_array().unwrap().iter().map(|record| {
                record["dynamodb"]["Keys"]["pk"]["S"]
                    .as_str()
                    .unwrap()
                    .trim_start_matches("notice#")
                    .to_owned()
            });
            handed.lock().unwrap().push(keys.collect());
            let answer = answers.lock().unwrap().pop_front();
            async move { answer }
        };
        let records: Vec<_> = records.iter().collect();
        self.reader.hand_over(&records, &self.logs, invoke).await;
        handed.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(payload: &Value) -> Invocation {
    Invocation { payload: payload.to_string().into(), function_error: false }
}

/// The answer that reports this record.
fn failed(record: &Record) -> Invocation {
    answer(&json!({"batchItemFailures": [{"itemIdentifier": record.dynamodb.sequence_number}]}))
}

fn crashed() -> Invocation {
    Invocation { payload: "{}".into(), function_error: true }
}

#[tokio::test]
async fn a_record_is_handed_over_as_lambda_does_it() {
    let mut table = Table::open();
    table.put("notice#1", "changed");
    table.put("notice#1", "changed again");
    table.put("member#1", "member");
    let records = table.read().await;
    let [record] = records.as_slice() else { panic!("{records:?}") };
    let event: Value = serde_json::from_slice(&table.reader.event(&[record])).unwrap();
    let [record] = event["Records"].as_array().unwrap().as_slice() else { panic!("{event}") };
    assert_eq!(record["eventName"], "INSERT");
    assert_eq!(record["eventVersion"], "1.1");
    assert_eq!(record["eventSource"], "aws:dynamodb");
    assert_eq!(record["awsRegion"], "us-east-1");
    assert_eq!(
        record["eventSourceARN"],
        "arn:aws:dynamodb:us-east-1:000000000000:table/accounts/stream/local"
    );
    assert!(record["eventID"].is_string());
    let change = &record["dynamodb"];
    assert_eq!(change["Keys"], json!({"pk": {"S": "notice#1"}}));
    assert_eq!(
        change["NewImage"],
        json!({"pk": {"S": "notice#1"}, "kind": {"S": "changed"}, "at": {"N": "1"}})
    );
    assert_eq!(change["StreamViewType"], "NEW_IMAGE");
    assert!(change["SequenceNumber"].is_string() && change["SizeBytes"].is_u64());
    assert!(change["ApproximateCreationDateTime"].is_number());
    assert!(!change.as_object().unwrap().contains_key("OldImage"));
}

#[tokio::test]
async fn what_failed_is_handed_over_again_with_all_behind_it() {
    let mut table = Table::open();
    for pk in ["notice#1", "notice#2", "notice#3"] {
        table.put(pk, "changed");
    }
    let records = table.read().await;
    let all = || ["1", "2", "3"].map(str::to_owned).to_vec();
    for success in
        [json!({"batchItemFailures": []}), json!({"batchItemFailures": null}), json!({}), json!(null)]
    {
        assert_eq!(table.hand_over(&records, vec![answer(&success)]).await, [all()], "{success}");
    }
    for failure in [
        crashed(),
        answer(&json!({"batchItemFailures": [{"itemIdentifier": "of another event"}]})),
        answer(&json!({"batchItemFailures": [{"itemIdentifier": null}]})),
        answer(&json!({"batchItemFailures": [{"id": "1"}]})),
        answer(&json!("text")),
        failed(&records[0]),
    ] {
        let handed = table.hand_over(&records, vec![failure, answer(&json!({}))]).await;
        assert_eq!(handed, [all(), all()]);
    }
    let handed = table.hand_over(&records, vec![failed(&records[1]), answer(&json!({}))]).await;
    assert_eq!(handed, [all(), all()[1..].to_vec()]);
    assert!(table.logs.lines().is_empty());
}

#[tokio::test]
async fn what_fails_too_often_is_given_up_with_a_line_that_tells_nothing_of_it() {
    let mut table = Table::open();
    for pk in ["notice#1", "notice#2"] {
        table.put(pk, "changed");
    }
    let records = table.read().await;
    // The first retry is spent on the first record, and the second record has its own.
    let answers = vec![crashed(), failed(&records[1]), crashed(), answer(&json!({}))];
    let handed = table.hand_over(&records, answers).await;
    assert_eq!(handed.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    let lines = table.logs.lines();
    let place = &records[1].dynamodb.sequence_number;
    assert_eq!(
        lines,
        [LogLine {
            function: "deliver-notices".to_owned(),
            text: format!("records of the table's stream given up: 1, from sequence number {place} on"),
        }]
    );
}

#[tokio::test]
async fn what_was_written_before_the_start_is_not_handed_over() {
    let table = Table::open();
    table.put("notice#1", "of the last run");
    let mut table = Table::of(table.database);
    assert!(table.read().await.is_empty());
    table.put("notice#2", "of this run");
    assert_eq!(table.read().await.len(), 1);
    assert!(table.read().await.is_empty(), "once");
}

#[tokio::test]
async fn the_stream_is_settled_when_its_readers_are_past_its_end_or_gone() {
    let Table { database, stream, reader, logs } = Table::open();
    stream.settled().await;
    let table = Table { database, stream, reader: Table::open().reader, logs };
    table.put("member#1", "for nobody");
    let runtime = Arc::new(Runtime::new([].into(), "http://127.0.0.1:1", &table.logs));
    let (close, closed) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(reader.run(runtime, Arc::clone(&table.logs), async {
        let _ = closed.await;
    }));
    table.stream.settled().await;
    close.send(()).unwrap();
    running.await.unwrap();
    table.put("member#2", "for nobody");
    table.stream.settled().await;
}

#[test]
fn a_table_without_a_stream_is_told() {
    let template = Template::parse(TEMPLATE).unwrap();
    let mut table = Template::parse(TEMPLATE).unwrap().table;
    table.schema.remove("StreamSpecification");
    let database = database::open(None, &table, "accounts").unwrap();
    let error = Stream::open(&database, "accounts", &template).err().unwrap();
    assert_eq!(error.to_string(), "its table has no stream");
}
