//! A step that can go in a group, with everything that it needs and who waits for it.

use std::sync::Arc;

use gopay_core::ids::TxId;
use gopay_core::payment::{Event, Payment};
use gopay_core::time::Timestamp;
use gopay_store::sealing::WrappedKey;
use gopay_store::{Applied, AttemptOutcome, Created, Delivery, StoreError};

use super::queue::{self, Outcome, ReplyTo, Waiting};
use crate::events::NewRecords;
use crate::session::Ended;

/// A lane of steps.
pub(crate) type Lane = queue::Lane<Step>;
/// Who waits for a step.
pub(crate) type Reply<T> = ReplyTo<T, Step>;

/// See the module.
pub(crate) enum Step {
    Create(Box<Creation>, Reply<Created>),
    Apply(Box<Application>, Reply<Applied>),
    Answer(TxId, Vec<u8>, Reply<Payment>),
    CheckAt(TxId, Timestamp, Reply<()>),
    Note(TxId, Timestamp, NewRecords, Reply<()>),
    Record(Box<Attempt>, Reply<()>),
}

/// What [`gopay_store::Store::payment_create`] is given.
pub(crate) struct Creation {
    pub(crate) payment: Payment,
    pub(crate) request: String,
    pub(crate) records: NewRecords,
    /// None if nothing of it is sealed.
    pub(crate) key: Option<WrappedKey>,
}

/// What [`gopay_store::Store::payment_apply`] is given.
pub(crate) struct Application {
    pub(crate) tx_id: TxId,
    pub(crate) event: Event,
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) records: NewRecords,
    pub(crate) now: Timestamp,
}

/// What [`gopay_store::Store::delivery_record`] is given.
pub(crate) struct Attempt {
    pub(crate) claimed: Delivery,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) record: NewRecords,
    pub(crate) now: Timestamp,
}

impl Waiting for Step {
    fn shard(&self) -> u16 {
        self.tx_id().shard()
    }

    fn abandoned(&self) -> bool {
        match self {
            Self::Create(_, reply) => reply.is_closed(),
            Self::Apply(_, reply) => reply.is_closed(),
            Self::Answer(_, _, reply) => reply.is_closed(),
            Self::CheckAt(_, _, reply) | Self::Note(_, _, _, reply) | Self::Record(_, reply) => {
                reply.is_closed()
            }
        }
    }
}

impl Step {
    /// The payment that it is about.
    fn tx_id(&self) -> TxId {
        match self {
            Self::Create(creation, _) => creation.payment.tx_id,
            Self::Apply(application, _) => application.tx_id,
            Self::Answer(tx_id, ..) | Self::CheckAt(tx_id, ..) | Self::Note(tx_id, ..) => *tx_id,
            Self::Record(attempt, _) => attempt.claimed.tx_id,
        }
    }

    /// A payment with its call, its first records, and its data key, if anything of it is sealed.
    pub(crate) fn create(
        (payment, request, records, key): (&Payment, &str, &NewRecords, Option<&WrappedKey>),
        reply: Reply<Created>,
    ) -> Self {
        let (payment, request) = (payment.clone(), request.to_owned());
        let (records, key) = (records.clone(), key.cloned());
        Self::Create(Box::new(Creation { payment, request, records, key }), reply)
    }

    /// Sends its caller off to do it alone, on this lane if there is one.
    pub(crate) fn go_alone(self, lane: Option<Lane>) {
        self.reply(Alone(lane));
    }

    /// Tells its caller how its group ended.
    pub(crate) fn end(self, end: &GroupEnd) {
        self.reply(end);
    }

    /// A caller that has gone away does not want to know.
    fn reply(self, why: impl NotDone) {
        match self {
            Self::Create(_, reply) => drop(reply.send(why.outcome())),
            Self::Apply(_, reply) => drop(reply.send(why.outcome())),
            Self::Answer(_, _, reply) => drop(reply.send(why.outcome())),
            Self::CheckAt(_, _, reply) | Self::Note(_, _, _, reply) | Self::Record(_, reply) => {
                drop(reply.send(why.outcome()));
            }
        }
    }
}

/// The outcome of steps that were not done, whatever their results would have been.
trait NotDone {
    fn outcome<T>(self) -> Outcome<T, Step>;
}

struct Alone(Option<Lane>);

impl NotDone for Alone {
    fn outcome<T>(self) -> Outcome<T, Step> {
        Outcome::Alone(self.0)
    }
}

impl NotDone for &GroupEnd {
    fn outcome<T>(self) -> Outcome<T, Step> {
        match self {
            GroupEnd::Durable | GroupEnd::Undone => Outcome::Alone(None),
            GroupEnd::Busy => Outcome::Done(Err(StoreError::Busy)),
            GroupEnd::Away(error) => {
                Outcome::Done(Err(StoreError::Away(Box::new(Arc::clone(error)))))
            }
            GroupEnd::Down(error) => {
                Outcome::Done(Err(StoreError::Down(Box::new(Arc::clone(error)))))
            }
        }
    }
}

/// How a group ended, in the words of its members.
pub(crate) enum GroupEnd {
    Durable,
    /// Nothing was done.
    Undone,
    /// The same.
    Busy,
    /// The same.
    Away(Arc<dyn std::error::Error + Send + Sync>),
    /// Perhaps it was done.
    Down(Arc<dyn std::error::Error + Send + Sync>),
}

impl From<Ended> for GroupEnd {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Durable => Self::Durable,
            Ended::Undone => Self::Undone,
            Ended::Failed(StoreError::Busy) => Self::Busy,
            Ended::Failed(StoreError::Away(error)) => Self::Away(Arc::from(error)),
            Ended::Failed(StoreError::Down(error)) => Self::Down(Arc::from(error)),
            Ended::Failed(error) => Self::Down(Arc::new(error)),
        }
    }
}

/// Tells the caller of a step that was decided how its group ended.
pub(crate) struct Promise(Box<dyn FnOnce(&GroupEnd) + Send>);

impl Promise {
    pub(crate) fn new<T: Send + 'static>(reply: Reply<T>, value: T) -> Self {
        Self(Box::new(move |end| {
            let outcome = match end {
                GroupEnd::Durable => Outcome::Done(Ok(value)),
                GroupEnd::Undone | GroupEnd::Busy | GroupEnd::Away(_) | GroupEnd::Down(_) => {
                    end.outcome()
                }
            };
            // A caller that has gone away does not want the result.
            drop(reply.send(outcome));
        }))
    }

    pub(crate) fn end(self, end: &GroupEnd) {
        (self.0)(end);
    }
}
