//! Reads the table's stream and invokes the functions that subscribe to it, as Lambda's event source mapping for
//! DynamoDB does.

mod shard;

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use dynoxide::{Database, actions::get_records::Record, errors::DynoxideError, types::AttributeValue};
use serde::Deserialize;
use serde_json::{Value, json};
use template::{Subscription, Template};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
    time::sleep,
};

use crate::{
    aws,
    events::LogLine,
    logs::Logs,
    runtime::{Invocation, Runtime},
};
use shard::{SequenceNumber, Shard};

/// How often a reader polls for new records.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The backoff before the first retry. It doubles with each retry.
const FIRST_BACKOFF: Duration = Duration::from_millis(25);

/// The longest backoff.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// Why the stream cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The table was created without a stream.
    #[error("the table has no stream; use a new database file")]
    Missing,
    /// The database cannot read the stream.
    #[error("cannot read the table's stream: {0}")]
    Unreadable(#[from] DynoxideError),
}

/// The progress of all readers of the stream.
pub(crate) struct Stream {
    progress: Vec<ReaderProgress>,
}

/// The progress of one reader.
struct ReaderProgress {
    shard: Shard,
    wake: Arc<Notify>,
    handled: watch::Receiver<SequenceNumber>,
}

impl Stream {
    /// Returns the stream with a reader for each subscription of the template. The readers begin with the records
    /// that are written after this call.
    pub(crate) fn open(
        database: &Database,
        table: &str,
        template: &Template,
    ) -> Result<(Self, Vec<StreamReader>), Error> {
        let mut progress = Vec::new();
        let mut readers = Vec::new();
        for function in &template.functions {
            for subscription in &function.subscriptions {
                let shard = Shard::open(database, table)?;
                let handled = watch::Sender::new(shard.last_sequence_number()?);
                let wake = Arc::new(Notify::new());
                progress.push(ReaderProgress {
                    shard: shard.clone(),
                    wake: Arc::clone(&wake),
                    handled: handled.subscribe(),
                });
                readers.push(StreamReader {
                    function: function.binary.clone(),
                    subscription: subscription.clone(),
                    source_arn: aws::stream_arn(table),
                    iterator: shard.iterator_at_end()?,
                    shard,
                    wake,
                    handled,
                });
            }
        }
        Ok((Self { progress }, readers))
    }

    /// Waits until every reader has handled the record that is now the last one.
    pub(crate) async fn settled(&self) {
        for ReaderProgress { shard, wake, handled } in &self.progress {
            let shard = shard.clone();
            // Readers cannot progress while the stream cannot be read.
            let Ok(Ok(last)) = spawn_blocking(move || shard.last_sequence_number()).await else {
                continue;
            };
            wake.notify_one();
            // Fails only if the reader has ended with the stack.
            let _ = handled.clone().wait_for(|handled| *handled >= last).await;
        }
    }
}

/// Reads the stream for one function, and invokes it with the records in order.
pub(crate) struct StreamReader {
    function: String,
    subscription: Subscription,
    source_arn: String,
    shard: Shard,
    /// The iterator of the next read.
    iterator: String,
    /// Ends the wait for new records early.
    wake: Arc<Notify>,
    /// The sequence number of the last record that was delivered, filtered out or discarded.
    handled: watch::Sender<SequenceNumber>,
}

impl StreamReader {
    /// Reads until `closed` completes.
    pub(crate) async fn run(
        mut self,
        runtime: Arc<Runtime>,
        logs: Arc<Logs>,
        closed: impl Future<Output = ()>,
    ) {
        tokio::select! {
            () = closed => {}
            () = self.poll(&runtime, &logs) => {}
        }
    }

    async fn poll(&mut self, runtime: &Arc<Runtime>, logs: &Logs) {
        loop {
            let records = self.read().await;
            let Some(last) = records.last().map(|record| record.dynamodb.sequence_number.clone()) else {
                tokio::select! {
                    () = sleep(POLL_INTERVAL) => {}
                    () = self.wake.notified() => {}
                }
                continue;
            };
            let matching: Vec<_> = records.iter().filter(|record| self.matches(record)).collect();
            for batch in matching.chunks(self.subscription.batch_size as usize) {
                let invoke = |event| {
                    let (runtime, function) = (Arc::clone(runtime), self.function.clone());
                    async move { runtime.invoke(&function, event).await.ok() }
                };
                self.deliver(batch, logs, invoke).await;
            }
            self.handled.send_replace(Some(last));
        }
    }

    async fn read(&mut self) -> Vec<Record> {
        let (shard, iterator) = (self.shard.clone(), self.iterator.clone());
        // The next read makes up for one that failed.
        let Ok(Ok(page)) = spawn_blocking(move || shard.read(iterator)).await else {
            return Vec::new();
        };
        if let Some(next) = page.next_shard_iterator {
            self.iterator = next;
        }
        page.records
    }

    fn matches(&self, record: &Record) -> bool {
        self.subscription.matches(&record.event_name, |name| match record.dynamodb.keys.get(name) {
            Some(AttributeValue::S(text)) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Invokes the function with `records`, and retries from the first failed record until all succeed or the retries
    /// are exhausted. `invoke` returns `None` if the runtime does not have the function.
    async fn deliver<F, I>(&self, records: &[&Record], logs: &Logs, invoke: F)
    where
        F: Fn(Bytes) -> I,
        I: Future<Output = Option<Invocation>>,
    {
        let mut remaining = records;
        let mut retries = 0;
        let mut backoff = FIRST_BACKOFF;
        while let Some(invocation) = invoke(self.event(remaining)).await {
            let failed = self.failed(remaining, &invocation);
            let Some(first) = failed.first() else {
                return;
            };
            if failed.len() < remaining.len() {
                (retries, backoff) = (0, FIRST_BACKOFF);
            }
            if self.subscription.maximum_retry_attempts.is_some_and(|most| retries >= most) {
                let (count, number) = (failed.len(), &first.dynamodb.sequence_number);
                let text =
                    format!("discarded stream records: {count}, starting with sequence number {number}");
                return logs.push(LogLine { function: self.function.clone(), text });
            }
            sleep(backoff).await;
            (retries, backoff) = (retries + 1, (backoff * 2).min(MAX_BACKOFF));
            remaining = failed;
        }
    }

    /// Returns the event with these records.
    fn event(&self, records: &[&Record]) -> Bytes {
        let records: Vec<_> = records.iter().map(|record| event_record(record, &self.source_arn)).collect();
        json!({ "Records": records }).to_string().into()
    }

    /// Returns the records to deliver again: the first that failed and all after it.
    fn failed<'a>(&self, records: &'a [&'a Record], invocation: &Invocation) -> &'a [&'a Record] {
        if invocation.function_error {
            return records;
        }
        if !self.subscription.reports_item_failures {
            return &[];
        }
        // As in Lambda, a response without a list is a success. If the response is malformed or names an unknown
        // record, all records have failed.
        let Ok(response) = serde_json::from_slice::<Option<BatchResponse>>(&invocation.payload) else {
            return records;
        };
        let failures = response.and_then(|response| response.batch_item_failures).unwrap_or_default();
        let index = |failure: ItemFailure| {
            let id = failure.item_identifier?;
            records.iter().position(|record| record.dynamodb.sequence_number == id)
        };
        let first = failures.into_iter().map(|failure| index(failure).unwrap_or_default()).min();
        first.and_then(|first| records.get(first..)).unwrap_or_default()
    }
}

/// The response of a function that reports failures of single records.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse {
    batch_item_failures: Option<Vec<ItemFailure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: Option<String>,
}

/// Converts a record into the form of Lambda's event, with the region and stream ARN of the stack.
fn event_record(record: &Record, source_arn: &str) -> Value {
    // Fails only for maps whose keys are not text.
    let mut event = serde_json::to_value(record).unwrap_or_default();
    if let Value::Object(fields) = &mut event {
        fields.insert("awsRegion".to_owned(), Value::from(aws::REGION));
        fields.insert("eventSourceARN".to_owned(), Value::from(source_arn));
    }
    event
}

#[cfg(test)]
mod tests;
