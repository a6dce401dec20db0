//! Passes an event to a process and its response back to the invocation.

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
    /// Begins when the process takes the event.
    pub(super) timeout: Duration,
    /// Signals that the process has taken the event.
    pub(super) taken: oneshot::Sender<()>,
    /// Receives the response of the process.
    pub(super) response: oneshot::Sender<Invocation>,
}

/// An event that a process has taken.
pub(super) struct TakenEvent {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    pub(super) timeout: Duration,
}

/// The queue from which one process fetches its events, with the invocation that awaits its response.
pub(super) struct Mailbox {
    /// The function's ARN, which is part of every event.
    pub(super) arn: String,
    deliveries: AsyncMutex<mpsc::UnboundedReceiver<Delivery>>,
    pending: Mutex<Option<PendingResponse>>,
}

struct PendingResponse {
    request_id: String,
    response: oneshot::Sender<Invocation>,
}

impl Mailbox {
    /// Waits for the next event. Returns `None` if the stack no longer uses the process.
    pub(super) async fn take(&self) -> Option<TakenEvent> {
        let delivery = self.deliveries.lock().await.recv().await?;
        let pending =
            PendingResponse { request_id: delivery.request_id.clone(), response: delivery.response };
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(pending);
        // Fails only if the invocation has just been cancelled.
        let _ = delivery.taken.send(());
        let Delivery { request_id, payload, timeout, .. } = delivery;
        Some(TakenEvent { request_id, payload, timeout })
    }

    /// Completes the invocation `request_id`. Returns false if it is not the pending one.
    pub(super) fn complete(&self, request_id: &str, invocation: Invocation) -> bool {
        let pending = self
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_if(|pending| pending.request_id == request_id);
        pending.is_some_and(|pending| pending.response.send(invocation).is_ok())
    }

    /// Completes the invocation that waits for a process that cannot start.
    pub(super) async fn fail_start(&self, invocation: Invocation) {
        if let Ok(delivery) = self.deliveries.lock().await.try_recv() {
            let _ = delivery.response.send(invocation);
        }
    }
}

/// The mailboxes of all running processes, by process id.
#[derive(Default)]
pub(super) struct Mailboxes(Mutex<HashMap<String, Arc<Mailbox>>>);

impl Mailboxes {
    pub(super) fn get(&self, process: &str) -> Option<Arc<Mailbox>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(process).cloned()
    }

    /// Opens a mailbox for `process`. It closes when the returned sender is dropped.
    pub(super) fn open(self: &Arc<Self>, process: String, arn: String) -> Sender {
        let (deliveries, received) = mpsc::unbounded_channel();
        let mailbox = Mailbox { arn, deliveries: AsyncMutex::new(received), pending: Mutex::default() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(process.clone(), Arc::new(mailbox));
        Sender { process, deliveries, mailboxes: Arc::clone(self) }
    }
}

/// The sending half of a mailbox.
pub(super) struct Sender {
    process: String,
    deliveries: mpsc::UnboundedSender<Delivery>,
    mailboxes: Arc<Mailboxes>,
}

impl Sender {
    pub(super) fn send(&self, delivery: Delivery) {
        // A closed mailbox drops the delivery, which closes the channel of the response.
        let _ = self.deliveries.send(delivery);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.mailboxes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.process);
    }
}
