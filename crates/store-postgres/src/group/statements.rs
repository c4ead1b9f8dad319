//! The statements of a group: each does for many rows what `payments`, `events` and `deliveries`
//! do for one.
//!
//! Rows that others hold are skipped, so that a group waits for nobody but for uncommitted
//! payments of the same nonce; and those are inserted in one order by everybody.

use gopay_core::payment::{Channel, Payment};
use gopay_core::time::Timestamp;
use gopay_store::engine::{OwedDelivery, case_key};
use gopay_store::{Delivery, StoreError, receiver_of};
use tokio_postgres::Row;

use crate::batch::{Creation, Step};
use crate::cells::{key, sen_cell};
use crate::decide::{Found, Line};
use crate::fault::Fault;
use crate::payments::{fail_message, fail_reason};
use crate::session::{Ended, Session, Value};
use crate::{deliveries, payments};

/// What a group begins with.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    creations: Vec<&'a Creation>,
    /// Payments to be locked.
    locks: Keys,
    /// Payments that must be there.
    looks: Keys,
    /// Deliveries to be locked.
    deliveries: Keys,
}

/// Keys of rows, as one value.
#[derive(Default)]
struct Keys(Vec<i64>);

impl Keys {
    fn values(&self) -> Vec<Value<'_>> {
        vec![&self.0]
    }
}

impl<'a> Wanted<'a> {
    pub(crate) fn of(steps: &'a [Step]) -> Self {
        let mut wanted = Self::default();
        for step in steps {
            match step {
                Step::Create(creation, _) => wanted.creations.push(creation),
                Step::Apply(application, _) => wanted.locks.0.push(application.tx_id.get()),
                Step::Answer(tx_id, ..) | Step::CheckAt(tx_id, ..) => {
                    wanted.locks.0.push(tx_id.get());
                }
                Step::Note(tx_id, ..) => wanted.looks.0.push(tx_id.get()),
                Step::Record(attempt, _) => wanted.deliveries.0.push(attempt.claimed.delivery_id),
            }
        }
        wanted.creations.sort_by_key(|creation| {
            let payment = &creation.payment;
            (&payment.contract, &payment.nonce, payment.tx_id)
        });
        wanted
    }
}

/// Begins the transaction: inserts, locks and looks up.
pub(crate) async fn begin(session: &Session, wanted: &Wanted<'_>) -> Result<Found, Fault> {
    let inserts = Inserts::of(wanted.creations.iter().map(|creation| &creation.payment))?;
    let Wanted { locks, looks, deliveries, .. } = wanted;
    let reads = [
        (!inserts.is_empty()).then(|| (INSERT, inserts.values())),
        (!locks.0.is_empty()).then(|| (payments::LOCK_MANY, locks.values())),
        (!looks.0.is_empty()).then(|| (LOOK, looks.values())),
        (!deliveries.0.is_empty()).then(|| (deliveries::LOCK_MANY, deliveries.values())),
    ];
    let rows = session.begin_all(reads).await?;
    let [created, locked, known, owed] = rows;
    Ok(Found {
        created: created.iter().map(key).collect(),
        payments: by_key(&locked, payments::read),
        known: known.iter().map(key).collect(),
        deliveries: by_key(&owed, deliveries::read),
        ..Found::default()
    })
}

/// Those that parse; the others are not there for a group.
fn by_key<T, M: FromIterator<(i64, T)>>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T, StoreError>,
) -> M {
    rows.iter().filter_map(|row| Some((key(row), read(row).ok()?))).collect()
}

/// Writes what was decided and commits.
pub(crate) async fn write_and_commit(session: &Session, found: &Found) -> Ended {
    match Sets::of(found) {
        Ok(sets) => session.write_all_and_commit(sets.writes()).await,
        Err(_) => Ended::Undone,
    }
}

/// Everything that a group writes.
struct Sets<'a> {
    requests: Requests<'a>,
    updates: Updates<'a>,
    owed: Owed<'a>,
    tried: Tried<'a>,
    lines: Lines<'a>,
}

impl<'a> Sets<'a> {
    fn of(found: &'a Found) -> Result<Self, StoreError> {
        let writes = &found.writes;
        let payments = writes.payments.iter().filter_map(|tx_id| found.payments.get(tx_id));
        let deliveries = writes.deliveries.iter().filter_map(|id| found.deliveries.get(id));
        Ok(Self {
            requests: Requests::of(&writes.requests)?,
            updates: Updates::of(payments)?,
            owed: Owed::of(&writes.owed)?,
            tried: Tried::of(deliveries)?,
            lines: Lines::of(&writes.lines)?,
        })
    }

    fn writes(&self) -> [Option<(&'static str, Vec<Value<'_>>)>; 5] {
        let Self { requests, updates, owed, tried, lines } = self;
        [
            (!requests.is_empty()).then(|| (REQUEST, requests.values())),
            (!updates.is_empty()).then(|| (UPDATE, updates.values())),
            (!owed.is_empty()).then(|| (OWE, owed.values())),
            (!tried.is_empty()).then(|| (RECORD, tried.values())),
            (!lines.is_empty()).then(|| (APPEND, lines.values())),
        ]
    }
}

const LOOK: &str = "-- group: payments that are there
    SELECT tx_id FROM payments WHERE tx_id = ANY ($1::bigint[])";

const INSERT: &str = "-- group: payments
    INSERT INTO payments (tx_id, client, contract, channel, merchant_tx_id, merchant_tx_key,
        amount_sen, state, fail_reason, fail_message, upstream, midtrans_tx_id, deeplink,
        redirect_secret, merchant_redirect_url, notification_url, nonce, fingerprint, answer,
        created_at, deadline_at, final_at, paid_at, cancel_requested, refund_reserved_sen,
        next_check_at, checks)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[],
        $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
        $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::bytea[],
        $19::bytea[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[],
        $24::boolean[], $25::bigint[], $26::bigint[], $27::bigint[])
    ON CONFLICT DO NOTHING RETURNING tx_id";

const REQUEST: &str = "-- group: requests
    INSERT INTO payment_requests (tx_id, request)
    SELECT * FROM unnest($1::bigint[], $2::text[])";

const UPDATE: &str = "-- group: changes
    UPDATE payments p SET state = c.state, fail_reason = c.fail_reason,
        fail_message = c.fail_message, upstream = c.upstream, midtrans_tx_id = c.midtrans_tx_id,
        deeplink = c.deeplink, answer = c.answer, final_at = c.final_at, paid_at = c.paid_at,
        cancel_requested = c.cancel_requested, refund_reserved_sen = c.refund_reserved_sen,
        next_check_at = c.next_check_at, checks = c.checks
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::bytea[], $9::bigint[], $10::bigint[], $11::boolean[], $12::bigint[],
        $13::bigint[], $14::bigint[])
        AS c (tx_id, state, fail_reason, fail_message, upstream, midtrans_tx_id, deeplink, answer,
            final_at, paid_at, cancel_requested, refund_reserved_sen, next_check_at, checks)
    WHERE p.tx_id = c.tx_id";

const OWE: &str = "-- group: deliveries owed
    INSERT INTO deliveries
        (tx_id, client, url, final_at, attempts, next_attempt_at, state, receiver)
    SELECT o.tx_id, o.client, o.url, o.final_at, 0, o.due_at, 'waiting', o.receiver
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
        WITH ORDINALITY AS o (tx_id, client, url, final_at, due_at, receiver, place)
    ORDER BY o.place";

const APPEND: &str = "-- group: events
    INSERT INTO events (tx_id, at, kind, detail)
    SELECT line.tx_id, line.at, line.kind, line.detail
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
        WITH ORDINALITY AS line (tx_id, at, kind, detail, place)
    ORDER BY line.place";

const RECORD: &str = "-- group: deliveries tried
    UPDATE deliveries d SET attempts = c.attempts, next_attempt_at = c.at, state = c.state
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
        AS c (delivery_id, attempts, at, state)
    WHERE d.delivery_id = c.delivery_id";

/// Rows as a list for each column, which travels as one value.
macro_rules! columns {
    ($name:ident of $row:ident: $kind:ty { $($column:ident: $cell:ty = $value:expr,)+ }) => {
        #[derive(Default)]
        struct $name<'a> { $($column: Vec<$cell>,)+ }

        impl<'a> $name<'a> {
            fn of(rows: impl IntoIterator<Item = $kind>) -> Result<Self, StoreError> {
                let mut columns = Self::default();
                for $row in rows {
                    $(columns.$column.push($value);)+
                }
                Ok(columns)
            }

            fn is_empty(&self) -> bool {
                self.keys.is_empty()
            }

            /// In the order of the statement.
            fn values(&self) -> Vec<Value<'_>> {
                vec![$(&self.$column,)+]
            }
        }
    };
}

columns!(Inserts of payment: &'a Payment {
    keys: i64 = payment.tx_id.get(),
    clients: &'a str = &payment.client,
    contracts: &'a str = &payment.contract,
    channels: Option<&'a str> = payment.channel.map(Channel::as_str),
    merchant_tx_ids: Option<&'a str> = payment.merchant_tx_id.as_deref(),
    merchant_tx_keys: Option<String> = payment.merchant_tx_id.as_deref().map(case_key),
    amounts: Option<i64> = payment.amount.map(|amount| sen_cell(amount.sen())).transpose()?,
    states: &'a str = payment.state.as_str(),
    fail_reasons: Option<&'a str> = fail_reason(payment.failure.as_ref()),
    fail_messages: Option<&'a str> = fail_message(payment.failure.as_ref()),
    upstreams: &'a str = payment.upstream.as_str(),
    midtrans_tx_ids: Option<&'a str> = payment.midtrans_tx_id.as_deref(),
    deeplinks: Option<&'a str> = payment.deeplink.as_deref(),
    redirect_secrets: &'a str = &payment.redirect_secret,
    merchant_redirect_urls: Option<&'a str> = payment.merchant_redirect_url.as_deref(),
    notification_urls: Option<&'a str> = payment.notification_url.as_deref(),
    nonces: Option<&'a str> = payment.nonce.as_deref(),
    fingerprints: &'a [u8] = payment.fingerprint.as_slice(),
    answers: Option<&'a [u8]> = payment.answer.as_deref(),
    created_at: i64 = payment.created_at.as_micros(),
    deadline_at: i64 = payment.deadline_at.as_micros(),
    final_at: Option<i64> = payment.final_at.map(Timestamp::as_micros),
    paid_at: Option<i64> = payment.paid_at.map(Timestamp::as_micros),
    cancel_requested: bool = payment.cancel_requested,
    refund_reserved: i64 = sen_cell(payment.refund_reserved)?,
    next_check_at: Option<i64> = payment.next_check_at.map(Timestamp::as_micros),
    checks: i64 = i64::from(payment.checks),
});

columns!(Updates of payment: &'a Payment {
    keys: i64 = payment.tx_id.get(),
    states: &'a str = payment.state.as_str(),
    fail_reasons: Option<&'a str> = fail_reason(payment.failure.as_ref()),
    fail_messages: Option<&'a str> = fail_message(payment.failure.as_ref()),
    upstreams: &'a str = payment.upstream.as_str(),
    midtrans_tx_ids: Option<&'a str> = payment.midtrans_tx_id.as_deref(),
    deeplinks: Option<&'a str> = payment.deeplink.as_deref(),
    answers: Option<&'a [u8]> = payment.answer.as_deref(),
    final_at: Option<i64> = payment.final_at.map(Timestamp::as_micros),
    paid_at: Option<i64> = payment.paid_at.map(Timestamp::as_micros),
    cancel_requested: bool = payment.cancel_requested,
    refund_reserved: i64 = sen_cell(payment.refund_reserved)?,
    next_check_at: Option<i64> = payment.next_check_at.map(Timestamp::as_micros),
    checks: i64 = i64::from(payment.checks),
});

columns!(Requests of request: &'a (i64, String) {
    keys: i64 = request.0,
    texts: &'a str = &request.1,
});

columns!(Owed of owed: &'a (OwedDelivery, Timestamp) {
    keys: i64 = owed.0.tx_id.get(),
    clients: &'a str = &owed.0.client,
    urls: &'a str = &owed.0.url,
    final_at: i64 = owed.0.final_at.as_micros(),
    due_at: i64 = owed.1.as_micros(),
    receivers: String = receiver_of(&owed.0.url),
});

columns!(Tried of delivery: &'a Delivery {
    keys: i64 = delivery.delivery_id,
    attempts: i64 = i64::from(delivery.attempts),
    at: i64 = delivery.next_attempt_at.as_micros(),
    states: &'a str = delivery.state.as_str(),
});

columns!(Lines of line: &'a Line {
    keys: i64 = line.tx_id.get(),
    at: i64 = line.at.as_micros(),
    kinds: &'a str = line.kind,
    details: &'a str = &line.detail,
});
