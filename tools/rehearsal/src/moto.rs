//! The second store: moto's DynamoDB, and what Lambda's event source does for its stream.

use std::{collections::HashSet, convert::Infallible, time::Duration};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{process::Child, time::sleep};

use crate::{
    dynamodb::{self, Table},
    emulator::{self, answers, free_port},
    programs::{self, Workshop},
};

/// How often the stream is read.
const INTERVAL: Duration = Duration::from_millis(200);

/// Why it is not there; one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not start.
    #[error(transparent)]
    Server(#[from] emulator::Error),
    /// Its program does not start.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// The table cannot be made.
    #[error(transparent)]
    Table(#[from] dynamodb::Error),
}

/// A running server, with nothing in it; ends when it is dropped.
pub struct Moto {
    /// Where it is.
    pub url: String,
    _process: Child,
}

impl Moto {
    /// Starts it.
    pub async fn start(workshop: &Workshop, http: &Client) -> Result<Self, Error> {
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let (log, path) = workshop.log("moto")?;
        let errors = log.try_clone().map_err(|reason| programs::Error::File { path, reason })?;
        let mut command = workshop.sealed(workshop.tools.join("moto_server"), &url);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(log).stderr(errors);
        let process = programs::start(&mut command)?;
        answers(http, &url, "moto").await?;
        Ok(Self { url, _process: process })
    }
}

/// Makes the template's table, under the name that it was deployed under.
pub async fn create(table: &Table, template: &template::Template) -> Result<(), Error> {
    table.call("CreateTable", Value::Object(template.table.schema.clone())).await?;
    Ok(())
}

/// Hands each notice that is queued in `table` to the function at `deliver`, over and over until it is taken. Reads
/// on until it is dropped, of a stream of up to a thousand records.
pub async fn deliver(table: Table, deliver: String) -> Result<Infallible, Error> {
    let description = table.call("DescribeTable", json!({})).await?;
    let stream = text(&description, "/Table/LatestStreamArn");
    let description = table.stream_call("DescribeStream", json!({ "StreamArn": stream })).await?;
    let start = json!({
        "StreamArn": stream,
        "ShardId": text(&description, "/StreamDescription/Shards/0/ShardId"),
        "ShardIteratorType": "TRIM_HORIZON",
    });
    let mut handled = HashSet::new();
    loop {
        // From the start each time: a transaction that moto takes back leaves its iterators behind.
        let iterator = text(&table.stream_call("GetShardIterator", start.clone()).await?, "/ShardIterator");
        let page = table.stream_call("GetRecords", json!({ "ShardIterator": iterator })).await?;
        for record in page.get("Records").and_then(Value::as_array).into_iter().flatten() {
            let key = text(record, "/dynamodb/Keys/pk/S");
            let queued = text(record, "/eventName") == "INSERT" && key.starts_with("notice#");
            if queued && handled.insert(key) {
                while !handed_over(&table.http, &deliver, record).await {
                    sleep(INTERVAL).await;
                }
            }
        }
        sleep(INTERVAL).await;
    }
}

async fn handed_over(http: &Client, function: &str, record: &Value) -> bool {
    let event = json!({ "Records": [record] });
    let Ok(answer) = http.post(function).json(&event).send().await else { return false };
    let Ok(answer) = answer.json::<Value>().await else { return false };
    answer.get("batchItemFailures").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
