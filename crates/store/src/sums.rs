//! Sums by day, which are kept in the same commits as what they sum: so totals cost the days that
//! there were, not the payments.
//!
//! A payment and its deliveries count for the day of its id, a refund for the day of its own, in
//! UTC: so what is counted for a day depends on rows alone, not on when they changed.

use std::collections::BTreeMap;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{Payment, PaymentState};
use gopay_core::refund::{Refund, RefundState};

use crate::rows::{Cell, DAY_SUMS};
use crate::{AttentionSums, DeliveryState, StoreError, Totals};

/// Into so many rows a database spreads the sums of a day, so that steps that run side by side do
/// not wait for each other's commits. A few more than an instance has connections.
pub const SLOTS: u64 = 32;

/// What is summed up together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SumKey {
    /// As in the journal.
    pub shard: u16,
    /// Days since 1970-01-01, of the id.
    pub day: i64,
}

impl SumKey {
    /// Of a payment and its deliveries.
    #[must_use]
    pub fn of_payment(tx_id: TxId) -> Self {
        Self { shard: tx_id.shard(), day: tx_id.day() }
    }

    /// Of a refund. Not its payment's: a call that was refused early may name any number.
    #[must_use]
    pub fn of_refund(refund_id: RefundId) -> Self {
        Self { shard: refund_id.shard(), day: refund_id.day() }
    }
}

/// The sums of a day, or how they change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named like the state whose rows it counts")]
pub struct DaySums {
    pub initialized: i64,
    pub pending: i64,
    pub succeeded: i64,
    pub failed: i64,
    /// Of succeeded payments together.
    pub succeeded_sen: i64,
    pub refunds_unresolved: i64,
    pub refunds_succeeded: i64,
    pub refunds_failed: i64,
    /// Of succeeded refunds together.
    pub refunded_sen: i64,
    pub deliveries_waiting: i64,
    pub deliveries_delivered: i64,
    pub deliveries_given_up: i64,
}

/// How many numbers [`DaySums`] has.
pub const NUMBERS: usize = 12;

impl DaySums {
    /// In the order of the columns.
    #[must_use]
    pub const fn numbers(&self) -> [i64; NUMBERS] {
        [
            self.initialized,
            self.pending,
            self.succeeded,
            self.failed,
            self.succeeded_sen,
            self.refunds_unresolved,
            self.refunds_succeeded,
            self.refunds_failed,
            self.refunded_sen,
            self.deliveries_waiting,
            self.deliveries_delivered,
            self.deliveries_given_up,
        ]
    }

    /// The other way round.
    #[must_use]
    pub const fn from_numbers(numbers: [i64; NUMBERS]) -> Self {
        let [
            initialized,
            pending,
            succeeded,
            failed,
            succeeded_sen,
            refunds_unresolved,
            refunds_succeeded,
            refunds_failed,
            refunded_sen,
            deliveries_waiting,
            deliveries_delivered,
            deliveries_given_up,
        ] = numbers;
        Self {
            initialized,
            pending,
            succeeded,
            failed,
            succeeded_sen,
            refunds_unresolved,
            refunds_succeeded,
            refunds_failed,
            refunded_sen,
            deliveries_waiting,
            deliveries_delivered,
            deliveries_given_up,
        }
    }

    fn payment(&mut self, state: &PaymentState, sen: i64, by: i64) {
        let count = match state {
            PaymentState::Initialized => &mut self.initialized,
            PaymentState::Pending => &mut self.pending,
            PaymentState::Succeeded => {
                self.succeeded_sen = self.succeeded_sen.saturating_add(sen.saturating_mul(by));
                &mut self.succeeded
            }
            PaymentState::Failed(_) => &mut self.failed,
        };
        *count = count.saturating_add(by);
    }

    fn refund(&mut self, state: &RefundState, sen: i64, by: i64) {
        let count = match state {
            RefundState::Unresolved => &mut self.refunds_unresolved,
            RefundState::Succeeded => {
                self.refunded_sen = self.refunded_sen.saturating_add(sen.saturating_mul(by));
                &mut self.refunds_succeeded
            }
            RefundState::Failed(_) => &mut self.refunds_failed,
        };
        *count = count.saturating_add(by);
    }

    const fn delivery(&mut self, state: DeliveryState, by: i64) {
        let count = match state {
            DeliveryState::Waiting => &mut self.deliveries_waiting,
            DeliveryState::Delivered => &mut self.deliveries_delivered,
            DeliveryState::GivenUp => &mut self.deliveries_given_up,
        };
        *count = count.saturating_add(by);
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (mut numbers, others) = (self.numbers(), other.numbers());
        for (number, other) in numbers.iter_mut().zip(others) {
            *number = number.saturating_add(other);
        }
        Self::from_numbers(numbers)
    }

    /// The totals of all days, of which these are the sums; a word that no row has is left out.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if there is less than nothing of something.
    pub fn totals(&self, attention: AttentionSums) -> Result<Totals, StoreError> {
        let number = |(column, number): (&'static str, i64)| {
            u64::try_from(number).map_err(|_| StoreError::Corrupt {
                table: DAY_SUMS.name,
                column,
                row: "all together".to_owned(),
            })
        };
        let words = |columns: &[(&'static str, &str, i64)]| {
            let known = columns.iter().filter(|(_, _, count)| *count != 0);
            known
                .map(|(column, word, count)| Ok(((*word).to_owned(), number((*column, *count))?)))
                .collect::<Result<BTreeMap<_, _>, StoreError>>()
        };
        Ok(Totals {
            payments: words(&[
                ("initialized", "initialized", self.initialized),
                ("pending", "pending", self.pending),
                ("succeeded", "succeeded", self.succeeded),
                ("failed", "failed", self.failed),
            ])?,
            succeeded_sen: number(("succeeded_sen", self.succeeded_sen))?,
            refunded_sen: number(("refunded_sen", self.refunded_sen))?,
            refunds: words(&[
                ("refunds_unresolved", "unresolved", self.refunds_unresolved),
                ("refunds_succeeded", "succeeded", self.refunds_succeeded),
                ("refunds_failed", "failed", self.refunds_failed),
            ])?,
            deliveries: words(&[
                ("deliveries_waiting", "waiting", self.deliveries_waiting),
                ("deliveries_delivered", "delivered", self.deliveries_delivered),
                ("deliveries_given_up", "given_up", self.deliveries_given_up),
            ])?,
            attention,
        })
    }
}

/// How the steps of a commit change the sums.
#[derive(Clone, Debug, Default)]
pub struct SumChanges(BTreeMap<SumKey, DaySums>);

impl SumChanges {
    /// A payment that was stored, or that was another before.
    pub fn payment(&mut self, before: Option<&PaymentState>, after: &Payment) {
        if before == Some(&after.state) {
            return;
        }
        let sums = self.of(SumKey::of_payment(after.tx_id));
        let sen = after.amount.map_or(0, |amount| signed(amount.sen().get()));
        if let Some(before) = before {
            sums.payment(before, sen, -1);
        }
        sums.payment(&after.state, sen, 1);
    }

    /// A refund that was stored, or that was in another state before.
    pub fn refund(&mut self, before: Option<&RefundState>, after: &Refund) {
        if before == Some(&after.state) {
            return;
        }
        let sums = self.of(SumKey::of_refund(after.refund_id));
        let sen = after.amount.map_or(0, |amount| signed(amount.sen().get()));
        if let Some(before) = before {
            sums.refund(before, sen, -1);
        }
        sums.refund(&after.state, sen, 1);
    }

    /// A delivery that was stored, or that was in another state before.
    pub fn delivery(&mut self, tx_id: TxId, before: Option<DeliveryState>, after: DeliveryState) {
        if before == Some(after) {
            return;
        }
        let sums = self.of(SumKey::of_payment(tx_id));
        if let Some(before) = before {
            sums.delivery(before, -1);
        }
        sums.delivery(after, 1);
    }

    fn of(&mut self, key: SumKey) -> &mut DaySums {
        self.0.entry(key).or_default()
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The rows of [`DAY_SUMS`] to be added to what is there, in ascending order, so that everybody
    /// locks them in one order.
    pub fn rows(&self, slot: i64) -> impl Iterator<Item = [Cell<'static>; NUMBERS + 3]> {
        let changed = self.0.iter().filter(|(_, sums)| **sums != DaySums::default());
        changed.map(move |(key, sums)| {
            let mut cells = [const { Cell::Int(0) }; NUMBERS + 3];
            let key = [i64::from(key.shard), key.day, slot];
            let numbers = key.into_iter().chain(sums.numbers());
            cells.iter_mut().zip(numbers).for_each(|(cell, number)| *cell = Cell::Int(number));
            cells
        })
    }
}

/// No amount comes near to the limit.
fn signed(sen: u64) -> i64 {
    i64::try_from(sen).unwrap_or(i64::MAX)
}

/// Adds rows of [`SumChanges::rows`] to what is there; `source` is `VALUES (...)` or a query.
#[must_use]
pub fn upsert(source: &str) -> String {
    let names = DAY_SUMS.names();
    let numbers = DAY_SUMS.columns.iter().skip(DAY_SUMS.key);
    let sets: Vec<_> =
        numbers.map(|(name, _)| format!("{name} = was.{name} + excluded.{name}")).collect();
    format!(
        "INSERT INTO day_sums AS was ({names}) {source}
        ON CONFLICT (shard, day, slot) DO UPDATE SET {}",
        sets.join(", ")
    )
}

/// The sums of all days, as one row of [`DaySums`].
#[must_use]
pub fn select() -> String {
    format!("SELECT {} FROM day_sums", summed())
}

/// The same, counted in the rows themselves.
#[must_use]
pub fn select_counted() -> String {
    format!("SELECT {} FROM ({COUNTED}) AS counted", summed())
}

/// Fills the table anew with what is counted in the rows themselves.
#[must_use]
pub fn refill() -> String {
    let names = DAY_SUMS.names();
    format!(
        "INSERT INTO day_sums ({names}) SELECT shard, day, 0, {} FROM ({COUNTED}) AS counted
        GROUP BY shard, day",
        summed()
    )
}

fn summed() -> String {
    let numbers = DAY_SUMS.columns.iter().skip(DAY_SUMS.key);
    let sums =
        numbers.map(|(name, _)| format!("CAST(coalesce(sum({name}), 0) AS bigint) AS {name}"));
    sums.collect::<Vec<_>>().join(", ")
}

/// The shard and the day of ids are those of [`SumKey`]; 19723 is the day on which ids begin.
const COUNTED: &str = "
    SELECT (tx_id >> 12) & 1023 AS shard, 19723 + (tx_id >> 22) / 86400000 AS day,
        count(*) FILTER (WHERE state = 'initialized') AS initialized,
        count(*) FILTER (WHERE state = 'pending') AS pending,
        count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE state = 'failed') AS failed,
        sum(amount_sen) FILTER (WHERE state = 'succeeded') AS succeeded_sen,
        0 AS refunds_unresolved, 0 AS refunds_succeeded, 0 AS refunds_failed, 0 AS refunded_sen,
        0 AS deliveries_waiting, 0 AS deliveries_delivered, 0 AS deliveries_given_up
    FROM payments GROUP BY 1, 2
    UNION ALL
    SELECT (refund_id >> 12) & 1023, 19723 + (refund_id >> 22) / 86400000,
        0, 0, 0, 0, 0,
        count(*) FILTER (WHERE state = 'unresolved'),
        count(*) FILTER (WHERE state = 'succeeded'),
        count(*) FILTER (WHERE state = 'failed'),
        sum(amount_sen) FILTER (WHERE state = 'succeeded'),
        0, 0, 0
    FROM refunds GROUP BY 1, 2
    UNION ALL
    SELECT (tx_id >> 12) & 1023, 19723 + (tx_id >> 22) / 86400000,
        0, 0, 0, 0, 0, 0, 0, 0, 0,
        count(*) FILTER (WHERE state = 'waiting'),
        count(*) FILTER (WHERE state = 'delivered'),
        count(*) FILTER (WHERE state = 'given_up')
    FROM deliveries GROUP BY 1, 2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_have_a_column_for_each_number() {
        let columns: Vec<_> = DAY_SUMS.columns.iter().map(|(name, _)| *name).collect();
        let numbers = columns.get(DAY_SUMS.key..).unwrap();
        assert_eq!(numbers.len(), NUMBERS);
        let one = DaySums { refunded_sen: 7, ..DaySums::default() };
        let place = one.numbers().iter().position(|number| *number == 7).unwrap();
        assert_eq!(numbers[place], "refunded_sen");
        assert_eq!(DaySums::from_numbers(one.numbers()), one);
    }

    #[test]
    fn less_than_nothing_is_a_broken_sum() {
        let sums = DaySums { pending: -1, ..DaySums::default() };
        let error = sums.totals(AttentionSums::default()).unwrap_err();
        assert!(error.to_string().contains("day_sums.pending"), "{error}");
    }

    #[test]
    fn what_goes_and_comes_back_changes_no_row() {
        let tx_id = TxId::new(1 << 22).unwrap();
        let mut changes = SumChanges::default();
        changes.delivery(tx_id, Some(DeliveryState::Waiting), DeliveryState::GivenUp);
        assert_eq!(changes.rows(3).count(), 1);
        changes.delivery(tx_id, Some(DeliveryState::GivenUp), DeliveryState::Waiting);
        assert_eq!(changes.rows(3).count(), 0);
    }
}
