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

/// A table and the only reader of its stream.
struct TestTable {
    database: Database,
    stream: Stream,
    reader: StreamReader,
    logs: Arc<Logs>,
}

impl TestTable {
    fn open() -> Self {
        let template = Template::parse(TEMPLATE).unwrap();
        Self::from_database(database::open(None, &template.table, "accounts").unwrap())
    }

    fn from_database(database: Database) -> Self {
        let template = Template::parse(TEMPLATE).unwrap();
        let (stream, mut readers) = Stream::open(&database, "accounts", &template).unwrap();
        let reader = readers.pop().unwrap();
        Self { database, stream, reader, logs: Arc::new(Logs::new(|_| {})) }
    }

    fn put(&self, pk: &str, kind: &str) {
        let request = json!({"TableName": "accounts", "Item": {"pk": {"S": pk}, "kind": {"S": kind}, "at": {"N": "1"}}});
        self.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// Returns the records since the last read that match the filter.
    async fn read(&mut self) -> Vec<Record> {
        let mut records = self.reader.read().await;
        records.retain(|record| self.reader.matches(record));
        records
    }

    /// Delivers `records` to a function that returns these results in turn. Returns the keys in each of its events.
    async fn deliver(&self, records: &[Record], results: Vec<Invocation>) -> Vec<Vec<String>> {
        let (events, results) = (Mutex::new(Vec::new()), Mutex::new(VecDeque::from(results)));
        let invoke = |event: Bytes| {
            let event: Value = serde_json::from_slice(&event).unwrap();
            let keys = event["Records"].as_array().unwrap().iter().map(|record| {
                record["dynamodb"]["Keys"]["pk"]["S"]
                    .as_str()
                    .unwrap()
                    .trim_start_matches("notice#")
                    .to_owned()
            });
            events.lock().unwrap().push(keys.collect());
            let result = results.lock().unwrap().pop_front();
            async move { result }
        };
        let records: Vec<_> = records.iter().collect();
        self.reader.deliver(&records, &self.logs, invoke).await;
        events.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn returned(payload: &Value) -> Invocation {
    Invocation { payload: payload.to_string().into(), function_error: false }
}

/// Returns the response that reports this record as failed.
fn failed(record: &Record) -> Invocation {
    returned(&json!({"batchItemFailures": [{"itemIdentifier": record.dynamodb.sequence_number}]}))
}

fn crashed() -> Invocation {
    Invocation { payload: "{}".into(), function_error: true }
}

#[tokio::test]
async fn event_matches_that_of_lambda() {
    let mut table = TestTable::open();
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
async fn failed_record_is_retried_with_later_ones() {
    let mut table = TestTable::open();
    for pk in ["notice#1", "notice#2", "notice#3"] {
        table.put(pk, "changed");
    }
    let records = table.read().await;
    let all = || ["1", "2", "3"].map(str::to_owned).to_vec();
    for success in
        [json!({"batchItemFailures": []}), json!({"batchItemFailures": null}), json!({}), json!(null)]
    {
        assert_eq!(table.deliver(&records, vec![returned(&success)]).await, [all()], "{success}");
    }
    for failure in [
        crashed(),
        returned(&json!({"batchItemFailures": [{"itemIdentifier": "of another event"}]})),
        returned(&json!({"batchItemFailures": [{"itemIdentifier": null}]})),
        returned(&json!({"batchItemFailures": [{"id": "1"}]})),
        returned(&json!("text")),
        failed(&records[0]),
    ] {
        let events = table.deliver(&records, vec![failure, returned(&json!({}))]).await;
        assert_eq!(events, [all(), all()]);
    }
    let events = table.deliver(&records, vec![failed(&records[1]), returned(&json!({}))]).await;
    assert_eq!(events, [all(), all()[1..].to_vec()]);
    assert!(table.logs.lines().is_empty());
}

#[tokio::test]
async fn exhausted_retries_log_only_the_sequence_number() {
    let mut table = TestTable::open();
    for pk in ["notice#1", "notice#2"] {
        table.put(pk, "changed");
    }
    let records = table.read().await;
    // The first record uses the first retry. The retries begin again with the second record.
    let results = vec![crashed(), failed(&records[1]), crashed(), returned(&json!({}))];
    let events = table.deliver(&records, results).await;
    assert_eq!(events.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    let lines = table.logs.lines();
    let number = &records[1].dynamodb.sequence_number;
    assert_eq!(
        lines,
        [LogLine {
            function: "deliver-notices".to_owned(),
            text: format!("discarded stream records: 1, starting with sequence number {number}"),
        }]
    );
}

#[tokio::test]
async fn records_from_before_the_start_are_skipped() {
    let table = TestTable::open();
    table.put("notice#1", "of the last run");
    let mut table = TestTable::from_database(table.database);
    assert!(table.read().await.is_empty());
    table.put("notice#2", "of this run");
    assert_eq!(table.read().await.len(), 1);
    assert!(table.read().await.is_empty(), "once");
}

#[tokio::test]
async fn stream_settles_when_readers_finish_or_end() {
    let TestTable { database, stream, reader, logs } = TestTable::open();
    stream.settled().await;
    let table = TestTable { database, stream, reader: TestTable::open().reader, logs };
    table.put("member#1", "filtered out");
    let runtime = Arc::new(Runtime::new([].into(), "http://127.0.0.1:1", &table.logs));
    let (close, closed) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(reader.run(runtime, Arc::clone(&table.logs), async {
        let _ = closed.await;
    }));
    table.stream.settled().await;
    close.send(()).unwrap();
    running.await.unwrap();
    table.put("member#2", "filtered out");
    table.stream.settled().await;
}

#[test]
fn opening_a_table_without_a_stream_fails() {
    let template = Template::parse(TEMPLATE).unwrap();
    let mut table = Template::parse(TEMPLATE).unwrap().table;
    table.schema.remove("StreamSpecification");
    let database = database::open(None, &table, "accounts").unwrap();
    let error = Stream::open(&database, "accounts", &template).err().unwrap();
    assert_eq!(error.to_string(), "the table has no stream; use a new database file");
}
