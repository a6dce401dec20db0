//! The gate: the only way to the providers of SMS and email.
//!
//! Every message, code or notice, passes [`Gate::send`]: its destination is allowed, it is counted, and the limit of its
//! destination, the hourly budget and the circuit breaker admit it. The senders are private to this folder, and each
//! takes a [`Permit`], which only this file can create.

use super::{
    email::{EmailMessage, EmailSender},
    sms::SmsSender,
};
use crate::{
    aws::Lazy,
    clock::Timestamp,
    contact::{Destination, Email, Phone, PhoneRules},
    domain::{
        code::Purpose,
        counter::Counter,
        traffic::{Denial, MessageKind, Route, Slot, TrafficLimits},
    },
    error::{Error, SendError, SendLimit},
    metrics,
    settings::{BreakerAction, Settings},
    store::Store,
};
use lambda_http::tracing;

/// Sends the messages that the limits admit.
#[derive(Debug)]
pub struct Gate {
    sms: SmsSender,
    email: EmailSender,
    phones: PhoneRules,
    traffic: TrafficLimits,
    notices_per_day: u32,
}

/// A message to one destination.
pub enum Message<'a> {
    /// The SMS with a code.
    CodeBySms(&'a Phone, String, Purpose),
    /// The email with a code.
    CodeByEmail(&'a Email, EmailMessage, Purpose),
    /// The SMS that notifies of a change.
    NoticeBySms {
        /// The phone that receives it.
        to: &'a Phone,
        /// Its text.
        text: String,
        /// The text if it is the last one that the limit of the phone allows.
        last: &'static str,
    },
    /// The email that notifies of a change.
    NoticeByEmail(&'a Email, EmailMessage),
}

impl Message<'_> {
    fn destination(&self) -> Destination {
        match self {
            Self::CodeBySms(to, ..) | Self::NoticeBySms { to, .. } => Destination::Phone((*to).clone()),
            Self::CodeByEmail(to, ..) | Self::NoticeByEmail(to, _) => Destination::Email((*to).clone()),
        }
    }

    fn route(&self) -> Result<Route, Error> {
        let route = match self {
            Self::CodeBySms(.., purpose) | Self::CodeByEmail(.., purpose) => {
                Route::of_code(&self.destination(), *purpose)
            }
            Self::NoticeBySms { .. } | Self::NoticeByEmail(..) => Route::of_notice(&self.destination()),
        };
        route.map_err(Error::internal)
    }

    fn kind(&self) -> MessageKind {
        match self {
            Self::CodeBySms(..) | Self::CodeByEmail(..) => MessageKind::Code,
            Self::NoticeBySms { .. } | Self::NoticeByEmail(..) => MessageKind::Notice,
        }
    }
}

/// The permission to publish one message, which has been counted.
#[must_use]
#[derive(Debug)]
pub(super) struct Permit {
    /// Whether it is the last notice that the limit of the phone allows.
    is_last: bool,
}

/// The counts of one message, which are taken back if it is certainly not sent.
struct Counts {
    route: Route,
    kind: MessageKind,
    at: Timestamp,
    /// The counter of the notices to a phone. Codes have limits of their own, when they are requested.
    notices: Option<Counter>,
}

impl Gate {
    /// Creates the gate with a client for each provider. The clients must not retry, because a retry after a lost
    /// response would send a second message.
    #[must_use]
    pub(crate) fn new(
        sns: Lazy<aws_sdk_sns::Client>,
        ses: Lazy<aws_sdk_sesv2::Client>,
        settings: &Settings,
    ) -> Self {
        Self {
            sms: SmsSender::new(sns, settings.sms_sender_id.clone()),
            email: EmailSender::new(ses, settings.mail_from.clone()),
            phones: settings.phones.clone(),
            traffic: settings.into(),
            notices_per_day: settings.notices_per_day,
        }
    }

    /// Checks whether messages can be sent to a destination at all. The phone may have been bound when other regions
    /// were allowed.
    ///
    /// # Errors
    /// [`SendError::NotAllowed`] if SMS may not be sent to the phone, [`SendError::NoSender`] without a sender of
    /// email.
    pub fn check(&self, to: &Destination) -> Result<(), SendError> {
        match to {
            Destination::Phone(phone) if !self.phones.allow(phone) => Err(SendError::NotAllowed),
            Destination::Phone(_) => Ok(()),
            Destination::Email(_) => self.email.sender().map(drop),
        }
    }

    /// Checks whether the budget and the breaker of a route admit another code, without counting one.
    ///
    /// # Errors
    /// [`SendError::Limited`], [`SendError::Store`].
    pub(crate) async fn check_traffic(
        &self,
        store: &Store,
        route: &Route,
        now: Timestamp,
    ) -> Result<(), SendError> {
        let traffic = store.traffic(route).await?;
        self.admit_traffic(route, MessageKind::Code, &traffic, now).inspect_err(metrics::code_refused)
    }

    /// Sends a message, if its destination and the limits admit it. Records the outcome.
    ///
    /// # Errors
    /// [`SendError::Unknown`] if the message may have been sent, any other [`SendError`] if nothing was sent. Then its
    /// counts are taken back.
    pub(crate) async fn send(
        &self,
        store: &Store,
        message: Message<'_>,
        now: Timestamp,
    ) -> Result<(), SendError> {
        let (to, kind) = (message.destination(), message.kind());
        let route = message.route()?;
        let notices = match &message {
            // The last one announces that no more will follow.
            Message::NoticeBySms { to, .. } => Some(Counter::of_notices(to, self.notices_per_day + 1)),
            _ => None,
        };
        let counts = Counts { route, kind, at: now, notices };
        let sent = self.pass(store, &to, message, &counts).await;
        metrics::sent(&counts.route, kind, &sent);
        sent
    }

    async fn pass(
        &self,
        store: &Store,
        to: &Destination,
        message: Message<'_>,
        counts: &Counts,
    ) -> Result<(), SendError> {
        let permit = self.admit(store, to, counts).await?;
        let sent = self.publish(permit, message).await;
        if sent.as_ref().is_err_and(|error| !error.may_have_been_sent()) {
            counts.take_back(store).await?;
        }
        sent
    }

    /// Checks the destination, counts the message, and checks the limits.
    async fn admit(&self, store: &Store, to: &Destination, counts: &Counts) -> Result<Permit, SendError> {
        self.check(to)?;
        let left = match &counts.notices {
            Some(notices) => Some(count_notice(store, notices).await?),
            None => None,
        };
        let traffic = store.count_sent(&counts.route, counts.kind, counts.at).await?;
        if let Err(denied) = self.admit_traffic(&counts.route, counts.kind, &traffic, counts.at) {
            counts.take_back(store).await?;
            return Err(denied);
        }
        Ok(Permit { is_last: left == Some(0) })
    }

    /// Checks the hourly budget and the circuit breaker of a route.
    fn admit_traffic(
        &self,
        route: &Route,
        kind: MessageKind,
        traffic: &[Slot],
        now: Timestamp,
    ) -> Result<(), SendError> {
        let Some((denial, retry_after)) = self.traffic.policy(route, kind).check(traffic, now) else {
            return Ok(());
        };
        let limit = match denial {
            Denial::Budget => {
                tracing::warn!(%route, "the hourly budget of a route is used up");
                SendLimit::Budget
            }
            Denial::Breaker => {
                metrics::breaker_open();
                tracing::warn!(%route, "too few codes are verified: the circuit breaker is open");
                if self.traffic.breaker_action == BreakerAction::Record {
                    return Ok(());
                }
                SendLimit::Breaker
            }
        };
        Err(SendError::Limited { retry_after, limit })
    }

    async fn publish(&self, permit: Permit, message: Message<'_>) -> Result<(), SendError> {
        match message {
            Message::NoticeBySms { to, last, .. } if permit.is_last => self.sms.send(permit, to, last).await,
            Message::CodeBySms(to, text, _) | Message::NoticeBySms { to, text, .. } => {
                self.sms.send(permit, to, &text).await
            }
            Message::CodeByEmail(to, email, _) | Message::NoticeByEmail(to, email) => {
                self.email.send(permit, to, &email).await
            }
        }
    }
}

impl Counts {
    async fn take_back(&self, store: &Store) -> Result<(), Error> {
        if let Some(notices) = &self.notices {
            store.take_back(notices).await?;
        }
        store.uncount_sent(&self.route, self.kind, self.at).await
    }
}

/// Counts a notice to a phone, and returns how many more are allowed.
async fn count_notice(store: &Store, notices: &Counter) -> Result<u32, SendError> {
    store.count(notices).await.map_err(|error| match error {
        Error::TooManyAttempts { retry_after } => SendError::Limited { retry_after, limit: SendLimit::Day },
        other => other.into(),
    })
}
