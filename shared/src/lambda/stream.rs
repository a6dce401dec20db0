//! Events of the table's stream.

use super::guard::{Event, log, outcome};
use crate::{app::App, domain::notice::Notice, error::Error, metrics};
use serde::Deserialize;
use serde_json::{Value, json};

/// The part of a DynamoDB stream event that contains the queued notices.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamEvent {
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    dynamodb: View,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct View {
    sequence_number: String,
    /// Absent if an item was removed.
    new_image: Option<serde_dynamo::Item>,
}

/// Delivers the notices of an event. The response names the first record that failed, from which the stream resumes
/// (AWS Lambda Developer Guide, "Reporting batch item failures").
pub(super) async fn deliver<H, F>(app: &'static App, handler: H, event: Event) -> Value
where
    H: Fn(&'static App, Notice) -> F,
    F: Future<Output = Result<(), Error>>,
{
    let request_id = &event.context.request_id;
    let Ok(StreamEvent { records }) = serde_json::from_str(event.payload.get()) else {
        // Without a sequence number the stream has no record to resume from.
        log(&Error::internal("not a DynamoDB stream event"), request_id);
        return json!({ "batchItemFailures": [] });
    };
    for Record { dynamodb: View { sequence_number, new_image } } in records {
        let Some(new_image) = new_image else { continue };
        let delivery = async {
            let notice = serde_dynamo::from_item(new_image)
                .map_err(|_| Error::internal("the item is not a notice"))?;
            handler(app, notice).await
        };
        if let Err(error) = outcome(event.context.deadline, delivery).await {
            log(&error, request_id);
            metrics::notice_failed();
            return json!({ "batchItemFailures": [{ "itemIdentifier": sequence_number }] });
        }
    }
    json!({ "batchItemFailures": [] })
}
