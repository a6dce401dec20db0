//! How an invocation reaches a process and its answer comes back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

use super::Invocation;

/// An event on its way to a process.
pub(super) struct Delivery {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    /// Counts from the moment the process takes the event.
    pub(super) timeout: Duration,
    /// Is told when the process takes the event.
    pub(super) taken: oneshot::Sender<()>,
    /// Is told the answer.
    pub(super) answer: oneshot::Sender<Invocation>,
}

/// An event as a process takes it.
pub(super) struct Taken {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    pub(super) timeout: Duration,
}

/// The place where one process fetches its events and leaves its answers.
pub(super) struct Mailbox {
    /// The function's ARN, which goes with every event.
    pub(super) arn: String,
    deliveries: AsyncMutex<mpsc::UnboundedReceiver<Delivery>>,
    awaited: Mutex<Option<Awaited>>,
}

struct Awaited {
    request_id: String,
    answer: oneshot::Sender<Invocation>,
}

impl Mailbox {
    /// Waits for the next event; `None` when there will be no more.
    pub(super) async fn take(&self) -> Option<Taken> {
        let delivery = self.deliveries.lock().await.recv().await?;
        let awaited = Awaited { request_id: delivery.request_id.clone(), answer: delivery.answer };
        *self.awaited.lock().unwrap_or_else(PoisonError::into_inner) = Some(awaited);
        // Nobody hears it when the invocation was given up in this moment, and nobody needs to.
        let _ = delivery.taken.send(());
        Some(Taken { request_id: delivery.request_id, payload: delivery.payload, timeout: delivery.timeout })
    }

    /// Leaves the answer to the event `request_id`; false when that is not the one awaited.
    pub(super) fn answer(&self, request_id: &str, invocation: Invocation) -> bool {
        let awaited = self
            .awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_if(|awaited| awaited.request_id == request_id);
        awaited.is_some_and(|awaited| awaited.answer.send(invocation).is_ok())
    }

    /// Answers the event that waits for a process which could not start.
    pub(super) async fn fail_start(&self, invocation: Invocation) {
        if let Ok(delivery) = self.deliveries.lock().await.try_recv() {
            let _ = delivery.answer.send(invocation);
        }
    }
}

/// The mailboxes of all living processes, by process.
#[derive(Default)]
pub(super) struct Mailboxes(Mutex<HashMap<String, Arc<Mailbox>>>);

impl Mailboxes {
    pub(super) fn get(&self, process: &str) -> Option<Arc<Mailbox>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(process).cloned()
    }

    /// Opens a mailbox for `process`, which lasts as long as the returned end of it.
    pub(super) fn open(self: &Arc<Self>, process: String, arn: String) -> Sender {
        let (deliveries, received) = mpsc::unbounded_channel();
        let mailbox = Mailbox { arn, deliveries: AsyncMutex::new(received), awaited: Mutex::default() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(process.clone(), Arc::new(mailbox));
        Sender { process, deliveries, mailboxes: Arc::clone(self) }
    }
}

/// The stack's end of a mailbox.
pub(super) struct Sender {
    process: String,
    deliveries: mpsc::UnboundedSender<Delivery>,
    mailboxes: Arc<Mailboxes>,
}

impl Sender {
    pub(super) fn send(&self, delivery: Delivery) {
        // A mailbox that is gone drops the delivery, and the dropped `answer` says so.
        let _ = self.deliveries.send(delivery);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.mailboxes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.process);
    }
}
