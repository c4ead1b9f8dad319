//! What only operators, `explain` and tests read: nothing of the money path waits for it.
//!
//! Lists come in pages in the order of the key. Ids grow with time (see
//! [`gopay_core::ids::IdGenerator`]), so that is the order of time, and a range of times is a range
//! of keys. No list has an index of its own, which every payment would pay for: a call looks at
//! [`Page::scan`] rows at most, and says where the next has to go on.

use std::time::Duration;

use async_trait::async_trait;
use gopay_core::ids::TxId;
use gopay_core::money::Sen;
use gopay_core::payment::{Channel, Payment};
use gopay_core::refund::Refund;
use gopay_core::time::Timestamp;

use crate::engine::case_key;
use crate::rows::{Cell, DELIVERIES, PAYMENTS, REFUNDS, Table};
use crate::{
    AttentionSums, Backlog, Delivery, DeliveryState, EventRecord, StoreError, Totals, UnknownOrder,
};

/// Which way a list goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// From the newest key down.
    #[default]
    NewestFirst,
    /// From the oldest key up.
    OldestFirst,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The key after which to go on, in the order of the list.
    pub after: Option<i64>,
    /// Which way.
    pub order: Order,
    /// Rows to return at most; bounded by [`Page::LIMIT_MAX`].
    pub limit: usize,
    /// Rows to look at, at most; bounded by [`Page::SCAN_MAX`].
    pub scan: usize,
}

impl Page {
    /// A page of payments is half a megabyte then.
    pub const LIMIT_MAX: usize = 500;
    /// The time of a call stays below a tenth of a second or so, whatever is looked for.
    pub const SCAN_MAX: usize = 10_000;

    /// The first page.
    #[must_use]
    pub const fn first(order: Order, limit: usize) -> Self {
        Self { after: None, order, limit, scan: Self::SCAN_MAX }
    }

    /// [`Self::limit`] within its bounds: at least 1.
    #[must_use]
    pub fn rows_max(&self) -> usize {
        self.limit.clamp(1, Self::LIMIT_MAX)
    }

    /// [`Self::scan`] within its bounds: at least 1.
    #[must_use]
    pub fn scan_max(&self) -> usize {
        self.scan.clamp(1, Self::SCAN_MAX)
    }

    /// The keys of the page, the first and the last, within those of a range of times.
    #[must_use]
    pub fn keys(&self, times: &Times) -> (i64, i64) {
        let (first, last) = times.keys();
        match (self.order, self.after) {
            (_, None) => (first, last),
            (Order::OldestFirst, Some(after)) => (first.max(after.saturating_add(1)), last),
            (Order::NewestFirst, Some(after)) => (first, last.min(after.saturating_sub(1))),
        }
    }
}

/// Rows of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// Those that fit, in the order of the list. A row that does not parse is left out and logged.
    pub rows: Vec<T>,
    /// [`Page::after`] of the next page; none at the end. There may be more pages after one
    /// without rows.
    pub next: Option<i64>,
}

/// A range of times: the first inside, the last outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl Times {
    /// Whether a time is inside.
    #[must_use]
    pub fn contain(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    /// The first and the last key of the range. An id is never older than its time; it may be
    /// younger, by as much as a clock was set back, for which there is a day.
    fn keys(&self) -> (i64, i64) {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let first = self.from.map_or(0, TxId::floor_of);
        let last = self.until.map_or(i64::MAX, |until| TxId::floor_of(until.after(DAY)));
        (first, last)
    }

    fn conditions(&self) -> [Condition<'_>; 2] {
        [("created_at >=", self.from.map(Cell::from)), ("created_at <", self.until.map(Cell::from))]
    }
}

/// A column with a comparison, and the value that it is compared with, if it matters.
type Condition<'a> = (&'static str, Option<Cell<'a>>);

fn text(value: Option<&String>) -> Option<Cell<'_>> {
    value.map(|value| value.as_str().into())
}

/// The state of a payment, without what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStateWord {
    /// Durable, and not yet known to be open at Midtrans.
    Initialized,
    /// Open.
    Pending,
    /// Paid.
    Succeeded,
    /// Over without money.
    Failed,
}

impl PaymentStateWord {
    /// As [`gopay_core::payment::PaymentState::as_str`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initialized => "initialized",
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// Which payments; what is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// In this state.
    pub state: Option<PaymentStateWord>,
    /// Of this PSP's login.
    pub psp: Option<String>,
    /// Of this contract.
    pub contract: Option<String>,
    /// Of this channel.
    pub channel: Option<Channel>,
    /// With this reference, whatever its case.
    pub merchant_tx_id: Option<String>,
    /// Midtrans' `transaction_id`.
    pub midtrans_tx_id: Option<String>,
    /// Of this amount.
    pub amount: Option<Sen>,
    /// Called in this range.
    pub called: Times,
}

impl PaymentFilter {
    /// Whether a payment fits.
    #[must_use]
    pub fn fits(&self, payment: &Payment) -> bool {
        let reference = |wanted: &String| {
            payment.merchant_tx_id.as_deref().map(case_key).as_ref() == Some(&case_key(wanted))
        };
        self.state.is_none_or(|state| payment.state.as_str() == state.as_str())
            && self.psp.as_ref().is_none_or(|client| payment.psp == *client)
            && self.contract.as_ref().is_none_or(|contract| payment.contract == *contract)
            && self.channel.is_none_or(|channel| payment.channel == Some(channel))
            && self.merchant_tx_id.as_ref().is_none_or(reference)
            && self
                .midtrans_tx_id
                .as_ref()
                .is_none_or(|id| payment.midtrans_tx_id.as_ref() == Some(id))
            && self.amount.is_none_or(|sen| payment.amount.is_some_and(|it| it.sen() == sen))
            && self.called.contain(payment.created_at)
    }

    /// Whether the payments have an index of their own, so that a page needs no bound on what it
    /// looks at.
    #[must_use]
    pub const fn is_indexed(&self) -> bool {
        self.contract.is_some() && self.merchant_tx_id.is_some()
    }

    /// The statements of a page.
    #[must_use]
    pub fn query(&self, page: &Page) -> ListQuery<'_> {
        let reference = self.merchant_tx_id.as_deref().map(|text| Some(case_key(text)).into());
        let [from, until] = self.called.conditions();
        let conditions = [
            ("state =", self.state.map(|state| state.as_str().into())),
            ("client =", text(self.psp.as_ref())),
            ("contract =", text(self.contract.as_ref())),
            ("channel =", self.channel.map(|channel| channel.as_str().into())),
            ("merchant_tx_key =", reference),
            ("midtrans_tx_id =", text(self.midtrans_tx_id.as_ref())),
            ("amount_sen =", self.amount.map(|sen| i64::try_from(sen.get()).unwrap_or(-1).into())),
            from,
            until,
        ];
        let keys = page.keys(&self.called);
        ListQuery::new(PAYMENTS, page, keys, conditions, self.is_indexed())
    }
}

/// Which refunds; what is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundFilter {
    /// The word of its state.
    pub state: Option<RefundStateWord>,
    /// Of this PSP's login.
    pub psp: Option<String>,
    /// Of this contract.
    pub contract: Option<String>,
    /// Called in this range.
    pub called: Times,
}

/// The state of a refund, without what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStateWord {
    /// Its outcome is open.
    Unresolved,
    /// Midtrans accepted it.
    Succeeded,
    /// Refused.
    Failed,
}

impl RefundStateWord {
    /// As [`gopay_core::refund::RefundState::as_str`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

impl RefundFilter {
    /// Whether a refund fits.
    #[must_use]
    pub fn fits(&self, refund: &Refund) -> bool {
        self.state.is_none_or(|state| refund.state.as_str() == state.as_str())
            && self.psp.as_ref().is_none_or(|client| refund.psp == *client)
            && self.contract.as_ref().is_none_or(|contract| refund.contract == *contract)
            && self.called.contain(refund.created_at)
    }

    /// The statements of a page.
    #[must_use]
    pub fn query(&self, page: &Page) -> ListQuery<'_> {
        let [from, until] = self.called.conditions();
        let conditions = [
            ("state =", self.state.map(|state| state.as_str().into())),
            ("client =", text(self.psp.as_ref())),
            ("contract =", text(self.contract.as_ref())),
            from,
            until,
        ];
        let keys = page.keys(&self.called);
        ListQuery::new(REFUNDS, page, keys, conditions, false)
    }
}

/// Which deliveries; what is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// To this PSP.
    pub psp: Option<String>,
}

impl DeliveryFilter {
    /// Whether a delivery fits.
    #[must_use]
    pub fn fits(&self, delivery: &Delivery) -> bool {
        self.state.is_none_or(|state| delivery.state == state)
            && self.psp.as_ref().is_none_or(|client| delivery.psp == *client)
    }

    /// The statements of a page.
    #[must_use]
    pub fn query(&self, page: &Page) -> ListQuery<'_> {
        let conditions = [
            ("state =", self.state.map(|state| state.as_str().into())),
            ("client =", text(self.psp.as_ref())),
        ];
        let keys = page.keys(&Times::default());
        ListQuery::new(DELIVERIES, page, keys, conditions, false)
    }
}

/// The two statements of a page: which key is the last to look at, and the rows up to it.
#[derive(Clone, Debug)]
pub struct ListQuery<'a> {
    table: Table,
    order: Order,
    limit: usize,
    /// Rows to look at; none if there is no bound.
    scan: Option<usize>,
    keys: (i64, i64),
    conditions: Vec<(&'static str, Cell<'a>)>,
}

impl<'a> ListQuery<'a> {
    fn new(
        table: Table,
        page: &Page,
        keys: (i64, i64),
        conditions: impl IntoIterator<Item = Condition<'a>>,
        indexed: bool,
    ) -> Self {
        let given = conditions.into_iter().filter_map(|(column, value)| Some((column, value?)));
        Self {
            table,
            order: page.order,
            limit: page.rows_max(),
            scan: (!indexed).then(|| page.scan_max()),
            keys,
            conditions: given.collect(),
        }
    }

    /// The first and the last key.
    #[must_use]
    pub const fn keys(&self) -> (i64, i64) {
        self.keys
    }

    /// Reads the key of the last row to look at, from the first and the last key (places 1 and 2);
    /// no statement if there is no bound, no row if the end is nearer. Where keys begin with the
    /// shard, `shards` is a query of all there are.
    #[must_use]
    pub fn end_sql(&self, mark: char, shards: Option<&str>) -> Option<String> {
        let (name, key, direction) = (self.table.name, self.table.key_names(), self.direction());
        let scan = self.scan?;
        let keys = self.of_each(shards, &key, &format!("{key} BETWEEN {mark}1 AND {mark}2"), scan);
        let before = scan.saturating_sub(1);
        Some(format!(
            "-- {name}_list: end
            SELECT {key} FROM {keys} ORDER BY {key} {direction} LIMIT 1 OFFSET {before}"
        ))
    }

    /// Reads the rows, from the first and the last key and [`Self::values`] (places from 1); `shards` as
    /// in [`Self::end_sql`].
    #[must_use]
    pub fn rows_sql(&self, mark: char, shards: Option<&str>) -> String {
        let (name, key, direction) = (self.table.name, self.table.key_names(), self.direction());
        let conditions = self.conditions.iter().zip(3_usize..);
        let conditions: String =
            conditions.map(|((column, _), place)| format!(" AND {column} {mark}{place}")).collect();
        let conditions = format!("{key} BETWEEN {mark}1 AND {mark}2{conditions}");
        // What has an index of its own is found there.
        let shards = shards.filter(|_| self.scan.is_some());
        let (columns, limit) = (self.table.read, self.limit);
        let rows = self.of_each(shards, columns, &conditions, limit);
        format!(
            "-- {name}_list
            SELECT {columns} FROM {rows} ORDER BY {key} {direction} LIMIT {limit}"
        )
    }

    /// The first rows in the order of the list, of each shard if keys begin with it.
    fn of_each(
        &self,
        shards: Option<&str>,
        columns: &str,
        conditions: &str,
        limit: usize,
    ) -> String {
        let (name, key, direction) = (self.table.name, self.table.key_names(), self.direction());
        let Some(shards) = shards else { return format!("{name} WHERE {conditions}") };
        format!(
            "({shards}) AS known CROSS JOIN LATERAL (
                SELECT {columns} FROM {name} WHERE {name}.shard = known.shard AND {conditions}
                ORDER BY {key} {direction} LIMIT {limit}) AS each"
        )
    }

    /// The values of the rows' statement, where `end` is what the first statement read.
    #[must_use]
    pub fn values(&self, end: Option<i64>) -> Vec<Cell<'_>> {
        let (first, last) = match self.order {
            Order::OldestFirst => (self.keys.0, end.unwrap_or(self.keys.1)),
            Order::NewestFirst => (end.unwrap_or(self.keys.0), self.keys.1),
        };
        let values = self.conditions.iter().map(|(_, value)| value.clone());
        [first.into(), last.into()].into_iter().chain(values).collect()
    }

    /// The page of these rows with their keys.
    #[must_use]
    pub fn page<T>(&self, end: Option<i64>, rows: Vec<(i64, Result<T, StoreError>)>) -> Listed<T> {
        let full = rows.len() >= self.limit;
        let next = if full { rows.last().map(|(key, _)| *key) } else { end };
        let name = self.table.name;
        let read = |(key, row): (i64, Result<T, StoreError>)| match row {
            Ok(row) => Some(row),
            Err(error) => {
                tracing::error!(%error, key, "a row of {name} that cannot be read is not listed");
                None
            }
        };
        Listed { rows: rows.into_iter().filter_map(read).collect(), next }
    }

    const fn direction(&self) -> &'static str {
        match self.order {
            Order::NewestFirst => "DESC",
            Order::OldestFirst => "ASC",
        }
    }
}

/// See the module.
#[async_trait]
pub trait Search: Send + Sync {
    /// A payment's trail, oldest first.
    async fn payment_trail(&self, tx_id: TxId) -> Result<Vec<EventRecord>, StoreError>;

    /// The deliveries of a payment, oldest first.
    async fn deliveries_of(&self, tx_id: TxId) -> Result<Vec<Delivery>, StoreError>;

    /// Payments by id.
    async fn payments_list(
        &self,
        filter: &PaymentFilter,
        page: &Page,
    ) -> Result<Listed<Payment>, StoreError>;

    /// Refunds by id, with calls for one that were refused.
    async fn refunds_list(
        &self,
        filter: &RefundFilter,
        page: &Page,
    ) -> Result<Listed<Refund>, StoreError>;

    /// Deliveries by id. Their ids say nothing of times.
    async fn deliveries_list(
        &self,
        filter: &DeliveryFilter,
        page: &Page,
    ) -> Result<Listed<Delivery>, StoreError>;

    /// Payments with money that does not fit, at most `limit`, those with the least money first.
    async fn payments_in_doubt(&self, limit: usize) -> Result<Vec<Payment>, StoreError>;

    /// Orders that the store does not know and nobody has decided about, at most `limit`, oldest
    /// first.
    async fn orders_open(&self, limit: usize) -> Result<Vec<UnknownOrder>, StoreError>;

    /// An order that the store does not know.
    async fn order_get(&self, tx_id: TxId) -> Result<Option<UnknownOrder>, StoreError>;

    /// How much needs a person. Reads no more than that.
    async fn attention(&self) -> Result<AttentionSums, StoreError>;

    /// What waits to be done at `now`.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError>;

    /// Sums over the whole store; a word that no row has is left out. Reads no
    /// payments: sums are kept by day, with what they sum ([`crate::sums`]).
    async fn totals(&self) -> Result<Totals, StoreError>;
}
