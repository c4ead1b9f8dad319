//! A group of steps in one transaction of two round trips: `BEGIN` with everything that is
//! inserted, locked or looked up first, then the writes with `COMMIT`.
//!
//! Between the two each step is decided by the pure functions, one after the other, on the values
//! that were locked and on what those before it made of them. A step that needs a row that is not
//! there, is held by others, or does not parse is left out and goes alone afterwards, which tells
//! the difference. If a statement fails, nothing was done, and all go alone.

use std::collections::HashSet;
use std::sync::Arc;

use gopay_core::ids::TxId;
use gopay_core::payment::{Event, Payment};
use gopay_core::time::Timestamp;
use gopay_store::{Applied, AttemptOutcome, Created, Delivery, StoreError};

use crate::events::Lines;
use crate::fault::down;
use crate::queue::{Lane, Reply, Told};
use crate::session::{Ended, Session};
use crate::sets::{self, Wanted};
use crate::steps::{SILENT, Steps};

/// A step that can go in a group, with everything that it needs.
pub(crate) enum Step {
    Create(Box<Creation>, Reply<Created>),
    Apply(Box<Application>, Reply<Applied>),
    Answer(TxId, Vec<u8>, Reply<Payment>),
    CheckAt(TxId, Timestamp, Reply<()>),
    Note(TxId, Timestamp, Lines, Reply<()>),
    Record(Box<Attempt>, Reply<()>),
}

/// What [`gopay_store::Store::payment_create`] is given.
pub(crate) struct Creation {
    pub(crate) payment: Payment,
    pub(crate) request: String,
    pub(crate) lines: Lines,
}

/// What [`gopay_store::Store::payment_apply`] is given.
pub(crate) struct Application {
    pub(crate) tx_id: TxId,
    pub(crate) event: Event,
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) notes: Lines,
    pub(crate) now: Timestamp,
}

/// What [`gopay_store::Store::delivery_record`] is given.
pub(crate) struct Attempt {
    pub(crate) claimed: Delivery,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) line: Lines,
    pub(crate) now: Timestamp,
}

impl Step {
    /// Nobody waits any more.
    pub(crate) fn abandoned(&self) -> bool {
        match self {
            Self::Create(_, reply) => reply.is_closed(),
            Self::Apply(_, reply) => reply.is_closed(),
            Self::Answer(_, _, reply) => reply.is_closed(),
            Self::CheckAt(_, _, reply) | Self::Note(_, _, _, reply) | Self::Record(_, reply) => {
                reply.is_closed()
            }
        }
    }

    /// Tells that it was not done. A caller that has gone away does not want to know.
    fn undone(self, why: impl Undone) {
        match self {
            Self::Create(_, reply) => drop(reply.send(why.told())),
            Self::Apply(_, reply) => drop(reply.send(why.told())),
            Self::Answer(_, _, reply) => drop(reply.send(why.told())),
            Self::CheckAt(_, _, reply) | Self::Note(_, _, _, reply) | Self::Record(_, reply) => {
                drop(reply.send(why.told()));
            }
        }
    }
}

/// What steps are told that were not done, whatever their results would have been.
trait Undone {
    fn told<T>(self) -> Told<T>;
}

impl Undone for Option<Lane> {
    fn told<T>(self) -> Told<T> {
        Told::Alone(self)
    }
}

impl Undone for &End {
    fn told<T>(self) -> Told<T> {
        match self {
            End::Durable | End::Undone => Told::Alone(None),
            End::Busy => Told::Done(Err(StoreError::Busy)),
            End::Down(error) => Told::Done(Err(StoreError::Down(Box::new(Arc::clone(error))))),
        }
    }
}

/// How a group ended, in the words of its members.
enum End {
    Durable,
    /// Nothing was done.
    Undone,
    /// The same.
    Busy,
    /// Perhaps it was done.
    Down(Arc<dyn std::error::Error + Send + Sync>),
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Durable => Self::Durable,
            Ended::Undone => Self::Undone,
            Ended::Failed(StoreError::Busy) => Self::Busy,
            Ended::Failed(StoreError::Down(error)) => Self::Down(Arc::from(error)),
            Ended::Failed(error) => Self::Down(Arc::new(error)),
        }
    }
}

/// Runs groups on a lane as long as somebody waits.
pub(crate) async fn run(group: Vec<Step>, mut lane: Lane) {
    let mut next = Some(group);
    while let Some(mut group) = next {
        if group.len() == 1
            && lane.lets_one_go_alone()
            && let Some(step) = group.pop()
        {
            return step.undone(Some(lane));
        }
        carry_out(lane.steps(), group).await;
        next = lane.next_group();
    }
}

async fn carry_out(steps: &Steps, group: Vec<Step>) {
    let mut batch = Batch { open: group, decided: Vec::new(), left_out: Vec::new() };
    let ended = match steps.connection().await {
        Ok(client) => {
            let session = Session::new(client);
            let work = async {
                let ended = batch.work(&session).await;
                session.end().await;
                ended
            };
            let ended = tokio::time::timeout(steps.patience(), work).await;
            ended.unwrap_or_else(|_| Ended::Failed(down(SILENT)))
        }
        Err(error) => Ended::Failed(error),
    };
    batch.tell(&ended.into());
}

/// Tells a step that was decided how its group ended.
pub(crate) struct Promise(Box<dyn FnOnce(&End) + Send>);

impl Promise {
    pub(crate) fn new<T: Send + 'static>(reply: Reply<T>, value: T) -> Self {
        Self(Box::new(move |end| {
            let told = match end {
                End::Durable => Told::Done(Ok(value)),
                End::Undone | End::Busy | End::Down(_) => end.told(),
            };
            // A caller that has gone away does not want the result.
            drop(reply.send(told));
        }))
    }
}

struct Batch {
    /// Not decided yet.
    open: Vec<Step>,
    decided: Vec<Promise>,
    /// To go alone, whatever becomes of the others.
    left_out: Vec<Step>,
}

impl Batch {
    async fn work(&mut self, session: &Session) -> Ended {
        self.leave_out_twins();
        let begun = sets::begin(session, &Wanted::of(&self.open)).await;
        // Nothing was written, and each will see for itself what is wrong.
        let Ok(mut found) = begun else { return Ended::Undone };
        for step in std::mem::take(&mut self.open) {
            match found.decide(step) {
                Ok(promise) => self.decided.push(promise),
                Err(step) => self.left_out.push(step),
            }
        }
        sets::write_and_commit(session, &found).await
    }

    /// Of payments with the same id only the first can be in a group, because what belongs to a
    /// payment is told apart by the id.
    fn leave_out_twins(&mut self) {
        let mut seen = HashSet::new();
        let twin = |step: &mut Step| match step {
            Step::Create(creation, _) => !seen.insert(creation.payment.tx_id),
            Step::Apply(..)
            | Step::Answer(..)
            | Step::CheckAt(..)
            | Step::Note(..)
            | Step::Record(..) => false,
        };
        self.left_out.extend(self.open.extract_if(.., twin));
    }

    fn tell(self, end: &End) {
        self.decided.into_iter().for_each(|promise| promise.0(end));
        self.open.into_iter().for_each(|step| step.undone(end));
        self.left_out.into_iter().for_each(|step| step.undone(None));
    }
}
