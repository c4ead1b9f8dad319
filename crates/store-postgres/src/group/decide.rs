//! What the steps of a group do to the rows that were locked for them, by the pure functions.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use gopay_core::ids::TxId;
use gopay_core::journal::{self, Entry};
use gopay_core::payment::Payment;
use gopay_core::time::Timestamp;
use gopay_store::engine::{self, KIND_STATE, OwedDelivery};
use gopay_store::sealing::WrappedKey;
use gopay_store::sums::SumChanges;
use gopay_store::{Applied, Created, Delivery, DeliveryState};

use super::step::{Application, Attempt, Creation, Promise, Step};
use crate::events::NewRecords;

/// The rows of a group, and what is to be written.
#[derive(Default)]
pub(crate) struct LockedRows {
    /// The payments that were inserted.
    pub(crate) created: HashSet<i64>,
    /// The payments that are locked, as the steps so far have made them.
    pub(crate) payments: BTreeMap<i64, Payment>,
    /// Payments that are there, and not locked.
    pub(crate) known: HashSet<i64>,
    /// The deliveries that are locked, as the steps so far have made them.
    pub(crate) deliveries: BTreeMap<i64, Delivery>,
    pub(crate) writes: Writes,
}

/// What is to be written.
#[derive(Default)]
pub(crate) struct Writes {
    /// Those of `payments` that have changed.
    pub(crate) payments: BTreeSet<i64>,
    /// Those of `deliveries` that have changed.
    pub(crate) deliveries: BTreeSet<i64>,
    pub(crate) requests: Vec<(i64, String)>,
    pub(crate) keys: Vec<(i64, WrappedKey)>,
    /// With the time from which on it is due.
    pub(crate) owed: Vec<(OwedDelivery, Timestamp)>,
    pub(crate) records: Vec<NewRecord>,
    /// For the journal.
    pub(crate) entries: Vec<Entry>,
    pub(crate) sums: SumChanges,
}

/// A record to be added to a payment's trail.
pub(crate) struct NewRecord {
    pub(crate) tx_id: TxId,
    pub(crate) at: Timestamp,
    pub(crate) kind: &'static str,
    pub(crate) detail: String,
}

impl Writes {
    fn append(&mut self, tx_id: TxId, at: Timestamp, records: NewRecords) {
        let both = records.kinds.into_iter().zip(records.details);
        self.records.extend(both.map(|(kind, detail)| NewRecord { tx_id, at, kind, detail }));
    }
}

impl LockedRows {
    /// Decides a step, or gives it back: it must go alone.
    pub(crate) fn decide(&mut self, step: Step) -> Result<Promise, Step> {
        match step {
            Step::Create(creation, reply) => {
                if !self.created.contains(&creation.payment.tx_id.get()) {
                    return Err(Step::Create(creation, reply));
                }
                self.create(*creation);
                Ok(Promise::new(reply, Created::New))
            }
            Step::Apply(application, reply) => match self.apply(&application) {
                Some(applied) => Ok(Promise::new(reply, applied)),
                None => Err(Step::Apply(application, reply)),
            },
            Step::Answer(tx_id, answer, reply) => {
                let Some(payment) = self.payments.get_mut(&tx_id.get()) else {
                    return Err(Step::Answer(tx_id, answer, reply));
                };
                if payment.store_answer_once(&answer) {
                    self.writes.payments.insert(tx_id.get());
                }
                Ok(Promise::new(reply, payment.clone()))
            }
            Step::CheckAt(tx_id, at, reply) => {
                let Some(payment) = self.payments.get_mut(&tx_id.get()) else {
                    return Err(Step::CheckAt(tx_id, at, reply));
                };
                if let Some(sooner) = payment.check_at(at) {
                    *payment = sooner;
                    self.writes.payments.insert(tx_id.get());
                }
                Ok(Promise::new(reply, ()))
            }
            Step::Note(tx_id, at, records, reply) => {
                if !self.known.contains(&tx_id.get()) {
                    return Err(Step::Note(tx_id, at, records, reply));
                }
                self.writes.append(tx_id, at, records);
                Ok(Promise::new(reply, ()))
            }
            Step::Record(attempt, reply) => {
                if self.deliveries.contains_key(&attempt.claimed.delivery_id) {
                    self.record(*attempt);
                    Ok(Promise::new(reply, ()))
                } else {
                    Err(Step::Record(attempt, reply))
                }
            }
        }
    }

    fn create(&mut self, Creation { payment, request, records, key }: Creation) {
        self.writes.requests.push((payment.tx_id.get(), request));
        self.writes.keys.extend(key.map(|key| (payment.tx_id.get(), key)));
        self.writes.entries.extend(journal::payment_created(&payment));
        self.writes.sums.payment(None, &payment);
        self.writes.append(payment.tx_id, payment.created_at, records);
    }

    /// None if the payment is not locked, or the rules meet a bug of theirs, which is nobody
    /// else's fault.
    fn apply(&mut self, application: &Application) -> Option<Applied> {
        let Application { tx_id, event, answer, records, now } = application;
        let stored = self.payments.get(&tx_id.get())?;
        let rules = || engine::payment_apply(stored.clone(), event, answer.as_deref(), *now);
        let step = catch_unwind(AssertUnwindSafe(rules)).ok()?;
        if let Some(detail) = &step.record {
            let mut record = NewRecords::default();
            record.push(KIND_STATE, detail);
            self.writes.append(*tx_id, *now, record);
            self.payments.insert(tx_id.get(), step.applied.payment.clone());
            self.writes.payments.insert(tx_id.get());
            self.writes.sums.payment(Some(&step.applied.before), &step.applied.payment);
            if let Some(owed) = step.delivery {
                self.writes.sums.delivery(*tx_id, None, DeliveryState::Waiting);
                self.writes.owed.push((owed, *now));
            }
            self.writes.entries.extend(step.entry);
        }
        self.writes.append(*tx_id, *now, records.clone());
        Some(step.applied)
    }

    fn record(&mut self, attempt: Attempt) {
        let Attempt { claimed, outcome, record, now } = attempt;
        let Some(stored) = self.deliveries.get_mut(&claimed.delivery_id) else { return };
        let after = stored.after(&claimed, &outcome);
        self.writes.sums.delivery(stored.tx_id, Some(stored.state), after.state);
        *stored = after;
        self.writes.deliveries.insert(claimed.delivery_id);
        if outcome.counts() {
            self.writes.append(stored.tx_id, now, record);
        }
    }
}
