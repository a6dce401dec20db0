//! The table's stream: its records go to the functions that the template subscribes to it, as by Lambda's event
//! source for DynamoDB.

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
use shard::{Place, Shard};

/// How often a reader looks for new records.
const INTERVAL: Duration = Duration::from_millis(50);

/// The wait before an event is handed over again; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(25);

/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Why the stream cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The table was created without one.
    #[error("its table has no stream")]
    Missing,
    /// The database refuses it.
    #[error("its stream cannot be read: {0}")]
    Unreadable(#[from] DynoxideError),
}

/// What the stack knows of those who read the stream.
pub(crate) struct Stream {
    /// Nobody reads it where this is empty.
    followed: Vec<Followed>,
}

/// A reader from outside.
struct Followed {
    shard: Shard,
    wake: Arc<Notify>,
    handled: watch::Receiver<Place>,
}

impl Stream {
    /// A reader for each of the template's subscriptions. It begins with what is written from now on.
    pub(crate) fn open(
        database: &Database,
        table: &str,
        template: &Template,
    ) -> Result<(Self, Vec<Reader>), Error> {
        let mut followed = Vec::new();
        let mut readers = Vec::new();
        for function in &template.functions {
            for subscription in &function.subscriptions {
                let shard = Shard::open(database, table)?;
                let handled = watch::Sender::new(shard.end()?);
                let wake = Arc::new(Notify::new());
                followed.push(Followed {
                    shard: shard.clone(),
                    wake: Arc::clone(&wake),
                    handled: handled.subscribe(),
                });
                readers.push(Reader {
                    function: function.binary.clone(),
                    subscription: subscription.clone(),
                    source_arn: aws::stream_arn(table),
                    position: shard.iterator_at_end()?,
                    shard,
                    wake,
                    handled,
                });
            }
        }
        Ok((Self { followed }, readers))
    }

    /// Waits until every reader is past the record that is the last one now.
    pub(crate) async fn settled(&self) {
        for Followed { shard, wake, handled } in &self.followed {
            let shard = shard.clone();
            // A stream that cannot be read brings nothing to wait for.
            let Ok(Ok(end)) = spawn_blocking(move || shard.end()).await else {
                continue;
            };
            wake.notify_one();
            // It fails for a reader that has ended with the stack.
            let _ = handled.clone().wait_for(|handled| *handled >= end).await;
        }
    }
}

/// Hands the records to one function, in order.
pub(crate) struct Reader {
    function: String,
    subscription: Subscription,
    source_arn: String,
    shard: Shard,
    /// The iterator of the next read.
    position: String,
    /// Spares the wait for new records.
    wake: Arc<Notify>,
    /// The place of the last record that needs nothing more.
    handled: watch::Sender<Place>,
}

impl Reader {
    /// Reads on until `closed`.
    pub(crate) async fn run(
        mut self,
        runtime: Arc<Runtime>,
        logs: Arc<Logs>,
        closed: impl Future<Output = ()>,
    ) {
        tokio::select! {
            () = closed => {}
            () = self.follow(&runtime, &logs) => {}
        }
    }

    async fn follow(&mut self, runtime: &Arc<Runtime>, logs: &Logs) {
        loop {
            let records = self.read().await;
            let Some(last) = records.last().map(|record| record.dynamodb.sequence_number.clone()) else {
                tokio::select! {
                    () = sleep(INTERVAL) => {}
                    () = self.wake.notified() => {}
                }
                continue;
            };
            let wanted: Vec<_> = records.iter().filter(|record| self.takes(record)).collect();
            for batch in wanted.chunks(self.subscription.batch_size as usize) {
                let invoke = |event| {
                    let (runtime, function) = (Arc::clone(runtime), self.function.clone());
                    async move { runtime.invoke(&function, event).await.ok() }
                };
                self.hand_over(batch, logs, invoke).await;
            }
            self.handled.send_replace(Some(last));
        }
    }

    async fn read(&mut self) -> Vec<Record> {
        let (shard, position) = (self.shard.clone(), self.position.clone());
        // A read that fails is made up for by the next.
        let Ok(Ok(page)) = spawn_blocking(move || shard.read(position)).await else {
            return Vec::new();
        };
        if let Some(next) = page.next_shard_iterator {
            self.position = next;
        }
        page.records
    }

    fn takes(&self, record: &Record) -> bool {
        self.subscription.matches(&record.event_name, |name| match record.dynamodb.keys.get(name) {
            Some(AttributeValue::S(text)) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Hands `records` over as one event, and again from the first that failed, until none fails or they are
    /// given up. `invoke` calls the function, and answers `None` where there is none to call.
    async fn hand_over<F, A>(&self, records: &[&Record], logs: &Logs, invoke: F)
    where
        F: Fn(Bytes) -> A,
        A: Future<Output = Option<Invocation>>,
    {
        let mut left = records;
        let mut retries = 0;
        let mut wait = FIRST_WAIT;
        while let Some(invocation) = invoke(self.event(left)).await {
            let failed = self.failed(left, &invocation);
            let Some(first) = failed.first() else {
                return;
            };
            if failed.len() < left.len() {
                (retries, wait) = (0, FIRST_WAIT);
            }
            if self.subscription.maximum_retry_attempts.is_some_and(|most| retries >= most) {
                let (count, place) = (failed.len(), &first.dynamodb.sequence_number);
                let text = format!(
                    "records of the table's stream given up: {count}, from sequence number {place} on"
                );
                return logs.push(LogLine { function: self.function.clone(), text });
            }
            sleep(wait).await;
            (retries, wait) = (retries + 1, (wait * 2).min(LONGEST_WAIT));
            left = failed;
        }
    }

    /// The event of these records.
    fn event(&self, records: &[&Record]) -> Bytes {
        let records: Vec<_> = records.iter().map(|record| event_record(record, &self.source_arn)).collect();
        json!({ "Records": records }).to_string().into()
    }

    /// Those of `records` that have to be handed over again: the first that failed and all behind it.
    fn failed<'a>(&self, records: &'a [&'a Record], invocation: &Invocation) -> &'a [&'a Record] {
        if invocation.function_error {
            return records;
        }
        if !self.subscription.reports_item_failures {
            return &[];
        }
        // As Lambda has it: an answer without a list is a success, and one that is unreadable or names none of
        // the records is a failure of all.
        let Ok(answer) = serde_json::from_slice::<Option<Answer>>(&invocation.payload) else {
            return records;
        };
        let failures = answer.and_then(|answer| answer.batch_item_failures).unwrap_or_default();
        let place = |failure: Failure| {
            let id = failure.item_identifier?;
            records.iter().position(|record| record.dynamodb.sequence_number == id)
        };
        let first = failures.into_iter().map(|failure| place(failure).unwrap_or_default()).min();
        first.and_then(|first| records.get(first..)).unwrap_or_default()
    }
}

/// What a function answers that reports failures of single records.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    batch_item_failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: Option<String>,
}

/// A record as Lambda hands it over: the database's own names of region and stream are replaced.
fn event_record(record: &Record, source_arn: &str) -> Value {
    // It fails for maps whose keys are no text alone.
    let mut event = serde_json::to_value(record).unwrap_or_default();
    if let Value::Object(fields) = &mut event {
        fields.insert("awsRegion".to_owned(), Value::from(aws::REGION));
        fields.insert("eventSourceARN".to_owned(), Value::from(source_arn));
    }
    event
}

#[cfg(test)]
mod tests;
