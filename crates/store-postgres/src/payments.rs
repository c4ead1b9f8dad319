//! Payments.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::payment::{Channel, Event, Failure, Payment, PaymentRecord, Upstream};
use gopay_core::time::Timestamp;
use gopay_store::engine::{self, KIND_STATE, case_key};
use gopay_store::{Applied, Created, Found, StoreError};
use tokio_postgres::Row;

use crate::cells::{Cells, key, limit_cell, sen_cell};
use crate::events::{self, Lines};
use crate::fault::Fault;
use crate::session::{Session, Value};

/// How long a row that does not parse is put off: it is looked at again after a person had the
/// time to mend it, and the log says it once an hour until then.
pub(crate) const CORRUPT_PUT_OFF: Duration = Duration::from_secs(3600);

const TABLE: &str = "payments";

/// The columns in the order in which [`read`] takes them.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
            SELECT p.tx_id, p.client, p.contract, p.channel, p.merchant_tx_id, p.amount_sen,
                p.state, p.fail_reason, p.fail_message, p.upstream, p.midtrans_tx_id, p.deeplink,
                p.redirect_secret, p.merchant_redirect_url, p.notification_url, p.nonce,
                p.fingerprint, p.answer, p.created_at, p.deadline_at, p.final_at, p.paid_at,
                p.cancel_requested, p.refund_reserved_sen, p.next_check_at, p.checks
            FROM payments p ",
            $rest
        )
    };
}

pub(crate) fn read(row: &Row) -> Result<Payment, StoreError> {
    let mut cells = Cells::new(row, TABLE);
    let record = PaymentRecord {
        tx_id: cells.tx_id()?,
        client: cells.take("client")?,
        contract: cells.take("contract")?,
        channel: cells.parse_opt("channel", Channel::from_word)?,
        merchant_tx_id: cells.take("merchant_tx_id")?,
        amount: cells.rupiah_opt("amount_sen")?,
        state: cells.payment_state()?,
        upstream: cells.parse("upstream", Upstream::from_word)?,
        midtrans_tx_id: cells.take("midtrans_tx_id")?,
        deeplink: cells.take("deeplink")?,
        redirect_secret: cells.take("redirect_secret")?,
        merchant_redirect_url: cells.take("merchant_redirect_url")?,
        notification_url: cells.take("notification_url")?,
        nonce: cells.nonce()?,
        answer: cells.take("answer")?,
        created_at: cells.time("created_at")?,
        deadline_at: cells.time("deadline_at")?,
        final_at: cells.time_opt("final_at")?,
        paid_at: cells.time_opt("paid_at")?,
        cancel_requested: cells.take("cancel_requested")?,
        refund_reserved: cells.sen("refund_reserved_sen")?,
        next_check_at: cells.time_opt("next_check_at")?,
        checks: cells.count("checks")?,
    };
    Payment::restore(record).map_err(|broken| cells.corrupt(broken.0))
}

/// One statement writes the payment, its request and its first lines. It waits for an uncommitted
/// payment of the same id or nonce, and writes nothing if there is one; what there is, is looked
/// up afterwards.
pub(crate) async fn payment_create(
    session: &Session,
    payment: &Payment,
    request: &str,
    lines: &Lines,
) -> Result<Created, Fault> {
    if insert(session, payment, request, lines).await? {
        return Ok(Created::New);
    }
    let Some(nonce) = &payment.nonce else { return Err(StoreError::Conflict.into()) };
    match payment_find_nonce(session, &payment.contract, &nonce.value).await? {
        Some(earlier) => Ok(Created::NonceTaken(Box::new(earlier))),
        None => Err(StoreError::Conflict.into()),
    }
}

/// False if the id or the nonce is taken.
async fn insert(
    session: &Session,
    payment: &Payment,
    request: &str,
    lines: &Lines,
) -> Result<bool, Fault> {
    let reserved = sen_cell(payment.refund_reserved)?;
    let amount = payment.amount.map(|amount| sen_cell(amount.sen())).transpose()?;
    let sql = "-- payment_create
        WITH created AS (
            INSERT INTO payments (tx_id, client, contract, channel, merchant_tx_id,
                merchant_tx_key, amount_sen, state, fail_reason, fail_message, upstream,
                midtrans_tx_id, deeplink, redirect_secret, merchant_redirect_url,
                notification_url, nonce, fingerprint, answer, created_at, deadline_at, final_at,
                paid_at, cancel_requested, refund_reserved_sen, next_check_at, checks)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)
            ON CONFLICT DO NOTHING RETURNING tx_id, created_at),
        requested AS (
            INSERT INTO payment_requests (tx_id, request) SELECT tx_id, $28 FROM created),
        noted AS (
            INSERT INTO events (tx_id, at, kind, detail)
            SELECT created.tx_id, created.created_at, line.kind, line.detail
            FROM created,
                unnest($29::text[], $30::text[]) WITH ORDINALITY AS line (kind, detail, place)
            ORDER BY line.place)
        SELECT tx_id FROM created";
    let row = session
        .row(
            sql,
            &[
                &payment.tx_id.get(),
                &payment.client,
                &payment.contract,
                &payment.channel.map(Channel::as_str),
                &payment.merchant_tx_id,
                &payment.merchant_tx_id.as_deref().map(case_key),
                &amount,
                &payment.state.as_str(),
                &fail_reason(payment.state.failure()),
                &fail_message(payment.state.failure()),
                &payment.upstream.as_str(),
                &payment.midtrans_tx_id,
                &payment.deeplink,
                &payment.redirect_secret,
                &payment.merchant_redirect_url,
                &payment.notification_url,
                &payment.nonce.as_ref().map(|nonce| nonce.value.as_str()),
                &fingerprint(payment),
                &payment.answer,
                &payment.created_at.as_micros(),
                &payment.deadline_at.as_micros(),
                &payment.final_at.map(Timestamp::as_micros),
                &payment.paid_at.map(Timestamp::as_micros),
                &payment.cancel_requested,
                &reserved,
                &payment.next_check_at.map(Timestamp::as_micros),
                &i64::from(payment.checks),
                &request,
                &lines.kinds,
                &lines.details,
            ],
        )
        .await?;
    Ok(row.is_some())
}

/// That of the nonce; zeros without one.
pub(crate) fn fingerprint(payment: &Payment) -> &[u8] {
    payment.nonce.as_ref().map_or(&[0; 32], |nonce| nonce.fingerprint.as_slice())
}

pub(crate) fn fail_reason(failure: Option<&Failure>) -> Option<&'static str> {
    failure.map(|failure| failure.reason.as_str())
}

pub(crate) fn fail_message(failure: Option<&Failure>) -> Option<&str> {
    failure.map(|failure| failure.message.as_str())
}

pub(crate) async fn payment_apply(
    session: &Session,
    tx_id: TxId,
    event: &Event,
    answer: Option<&[u8]>,
    notes: &[gopay_store::Note],
    now: Timestamp,
) -> Result<Applied, Fault> {
    let stored = begin_locked(session, tx_id).await?;
    let step = engine::payment_apply(stored, event, answer, now);
    let mut lines = Lines::default();
    if let Some(detail) = &step.record {
        lines.push(KIND_STATE, detail);
    }
    lines.extend(notes);
    let payment = &step.applied.payment;
    match (&step.record, &step.delivery) {
        (None, _) if lines.is_empty() => session.commit().await?,
        (None, _) => {
            events::append_and_commit(session, tx_id, &lines, now).await?;
        }
        (Some(_), owed) => {
            let owed = owed.as_ref();
            let changes = Changes::of(payment)?;
            let mut values = changes.values();
            let (at, url) = (now.as_micros(), owed.map(|owed| owed.url.as_str()));
            let final_at = owed.map(|owed| owed.final_at.as_micros());
            let receiver = url.map(gopay_store::receiver_of);
            let rest: [Value<'_>; 7] =
                [&at, &lines.kinds, &lines.details, &payment.client, &url, &final_at, &receiver];
            values.extend(rest);
            session.run_and_commit(APPLY, &values).await?;
        }
    }
    Ok(step.applied)
}

/// Begins a transaction that holds the payment's row until its end.
async fn begin_locked(session: &Session, tx_id: TxId) -> Result<Payment, Fault> {
    let sql = select!("payments: lock", "WHERE p.tx_id = $1 FOR NO KEY UPDATE OF p");
    let row = session.begin_row(sql, &[&tx_id.get()]).await?;
    Ok(read(&row.ok_or(StoreError::Missing { table: TABLE })?)?)
}

/// Locks the payments of a list that nobody else holds.
pub(crate) const LOCK_MANY: &str = select!(
    "payments: lock many",
    "WHERE p.tx_id = ANY ($1::bigint[]) FOR NO KEY UPDATE OF p SKIP LOCKED"
);

/// The same, inside a transaction.
pub(crate) async fn lock(session: &Session, tx_id: TxId) -> Result<Payment, Fault> {
    let sql = select!("payments: lock", "WHERE p.tx_id = $1 FOR NO KEY UPDATE OF p");
    let row = session.row(sql, &[&tx_id.get()]).await?;
    Ok(read(&row.ok_or(StoreError::Missing { table: TABLE })?)?)
}

/// Begins a transaction with the payment, if the contract has it.
pub(crate) async fn begin_locked_of(
    session: &Session,
    tx_id: TxId,
    contract: &str,
) -> Result<Option<Payment>, Fault> {
    let sql = select!(
        "payments: lock of contract",
        "WHERE p.tx_id = $1 AND p.contract = $2 FOR NO KEY UPDATE OF p"
    );
    let row = session.begin_row(sql, &[&tx_id.get(), &contract]).await?;
    Ok(row.map(|row| read(&row)).transpose()?)
}

/// What can change about a payment, as the database keeps it.
pub(crate) struct Changes<'a> {
    payment: &'a Payment,
    tx_id: i64,
    state: &'static str,
    fail_reason: Option<&'static str>,
    fail_message: Option<&'a str>,
    upstream: &'static str,
    final_at: Option<i64>,
    paid_at: Option<i64>,
    refund_reserved: i64,
    next_check_at: Option<i64>,
    checks: i64,
}

impl<'a> Changes<'a> {
    pub(crate) fn of(payment: &'a Payment) -> Result<Self, StoreError> {
        Ok(Self {
            payment,
            tx_id: payment.tx_id.get(),
            state: payment.state.as_str(),
            fail_reason: fail_reason(payment.state.failure()),
            fail_message: fail_message(payment.state.failure()),
            upstream: payment.upstream.as_str(),
            final_at: payment.final_at.map(Timestamp::as_micros),
            paid_at: payment.paid_at.map(Timestamp::as_micros),
            refund_reserved: sen_cell(payment.refund_reserved)?,
            next_check_at: payment.next_check_at.map(Timestamp::as_micros),
            checks: i64::from(payment.checks),
        })
    }

    /// In the order of [`UPDATE`].
    pub(crate) fn values(&self) -> Vec<Value<'_>> {
        vec![
            &self.tx_id,
            &self.state,
            &self.fail_reason,
            &self.fail_message,
            &self.upstream,
            &self.payment.midtrans_tx_id,
            &self.payment.deeplink,
            &self.payment.answer,
            &self.final_at,
            &self.paid_at,
            &self.payment.cancel_requested,
            &self.refund_reserved,
            &self.next_check_at,
            &self.checks,
        ]
    }
}

/// Writes [`Changes`].
macro_rules! update {
    () => {
        "UPDATE payments SET state = $2, fail_reason = $3, fail_message = $4, upstream = $5,
            midtrans_tx_id = $6, deeplink = $7, answer = $8, final_at = $9, paid_at = $10,
            cancel_requested = $11, refund_reserved_sen = $12, next_check_at = $13, checks = $14
        WHERE tx_id = $1"
    };
}

/// Writes [`Changes`] alone.
pub(crate) const UPDATE: &str = concat!("-- payments: update\n", update!());

/// Writes [`Changes`], lines, and a delivery if there is a URL.
const APPLY: &str = concat!(
    "-- payment_apply
    WITH changed AS (",
    update!(),
    "),
    owed AS (
        INSERT INTO deliveries
            (tx_id, client, url, final_at, attempts, next_attempt_at, state, receiver)
        SELECT $1, $18, $19::text, $20::bigint, 0, $15, 'waiting', $21::text
        WHERE $19::text IS NOT NULL)
    INSERT INTO events (tx_id, at, kind, detail)
    SELECT $1, $15, line.kind, line.detail
    FROM unnest($16::text[], $17::text[]) WITH ORDINALITY AS line (kind, detail, place)
    ORDER BY line.place"
);

pub(crate) async fn payment_answer(
    session: &Session,
    tx_id: TxId,
    answer: &[u8],
) -> Result<Payment, Fault> {
    let mut payment = begin_locked(session, tx_id).await?;
    if payment.store_answer_once(answer) {
        let sql = "-- payment_answer
            UPDATE payments SET answer = $2 WHERE tx_id = $1";
        session.run_and_commit(sql, &[&tx_id.get(), &answer]).await?;
    } else {
        session.commit().await?;
    }
    Ok(payment)
}

pub(crate) async fn payment_get(session: &Session, tx_id: TxId) -> Result<Option<Payment>, Fault> {
    let sql = select!("payment_get", "WHERE p.tx_id = $1");
    let row = session.row(sql, &[&tx_id.get()]).await?;
    Ok(row.map(|row| read(&row)).transpose()?)
}

pub(crate) async fn payment_request(session: &Session, tx_id: TxId) -> Result<String, Fault> {
    const TABLE: &str = "payment_requests";
    let sql = "-- payment_request
        SELECT tx_id, request FROM payment_requests WHERE tx_id = $1";
    let row = session.row(sql, &[&tx_id.get()]).await?;
    let row = row.ok_or(StoreError::Missing { table: TABLE })?;
    let mut cells = Cells::new(&row, TABLE);
    cells.tx_id()?;
    Ok(cells.take("request")?)
}

pub(crate) async fn payment_find(
    session: &Session,
    contract: &str,
    merchant_tx_id: &str,
) -> Result<Found<Payment>, Fault> {
    let sql = select!("payment_find", "WHERE p.contract = $1 AND p.merchant_tx_key = $2 LIMIT 2");
    let rows = session.rows(sql, &[&contract, &case_key(merchant_tx_id)]).await?;
    Ok(found(rows.iter().map(read).collect::<Result<_, _>>()?))
}

/// What a look-up of at most two rows found.
pub(crate) fn found<T>(mut rows: Vec<T>) -> Found<T> {
    match (rows.pop(), rows.pop()) {
        (None, _) => Found::None,
        (Some(one), None) => Found::One(one),
        (Some(_), Some(_)) => Found::Many,
    }
}

pub(crate) async fn payment_find_nonce(
    session: &Session,
    contract: &str,
    nonce: &str,
) -> Result<Option<Payment>, Fault> {
    let sql = select!("payment_find_nonce", "WHERE p.contract = $1 AND p.nonce = $2");
    let row = session.row(sql, &[&contract, &nonce]).await?;
    Ok(row.map(|row| read(&row)).transpose()?)
}

/// Locked rows are left to those who hold them; a row that changed since the statement began is
/// looked at again by the database before it is locked.
pub(crate) async fn payment_claim_due(
    session: &Session,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Payment>, Fault> {
    let sql = select!(
        "payment_claim_due",
        "WHERE p.next_check_at <= $1 ORDER BY p.next_check_at, p.tx_id LIMIT $2
        FOR NO KEY UPDATE OF p SKIP LOCKED"
    );
    let rows = session.begin_rows(sql, &[&now.as_micros(), &limit_cell(limit)]).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    let (mut keys, mut times, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        keys.push(key(row));
        match read(row) {
            Ok(payment) => {
                let payment = payment.checked(now);
                times.push(payment.next_check_at.map(Timestamp::as_micros));
                counts.push(Some(i64::from(payment.checks)));
                claimed.push(payment);
            }
            Err(error) => {
                tracing::error!(%error, "a payment is due that cannot be read; it is put off");
                times.push(Some(now.after(CORRUPT_PUT_OFF).as_micros()));
                counts.push(None);
            }
        }
    }
    if keys.is_empty() {
        session.commit().await?;
        return Ok(claimed);
    }
    let sql = "-- payment_claim_due: plan
        UPDATE payments p SET next_check_at = plan.at, checks = coalesce(plan.checks, p.checks)
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS plan (tx_id, at, checks)
        WHERE p.tx_id = plan.tx_id";
    session.run_and_commit(sql, &[&keys, &times, &counts]).await?;
    Ok(claimed)
}

pub(crate) async fn payment_check_at(
    session: &Session,
    tx_id: TxId,
    at: Timestamp,
) -> Result<(), Fault> {
    let sql = "-- payment_check_at
        WITH moved AS (
            UPDATE payments SET next_check_at = $2 WHERE tx_id = $1 AND next_check_at > $2)
        SELECT tx_id FROM payments WHERE tx_id = $1";
    must_exist(session.row(sql, &[&tx_id.get(), &at.as_micros()]).await?)
}

pub(crate) async fn payment_note(
    session: &Session,
    tx_id: TxId,
    lines: &Lines,
    now: Timestamp,
) -> Result<(), Fault> {
    let sql = "-- payment_note
        WITH noted AS (
            INSERT INTO events (tx_id, at, kind, detail)
            SELECT p.tx_id, $2, line.kind, line.detail
            FROM payments p,
                unnest($3::text[], $4::text[]) WITH ORDINALITY AS line (kind, detail, place)
            WHERE p.tx_id = $1
            ORDER BY line.place)
        SELECT tx_id FROM payments WHERE tx_id = $1";
    let values = (tx_id.get(), now.as_micros());
    must_exist(session.row(sql, &[&values.0, &values.1, &lines.kinds, &lines.details]).await?)
}

fn must_exist(row: Option<Row>) -> Result<(), Fault> {
    row.map(|_| ()).ok_or_else(|| StoreError::Missing { table: TABLE }.into())
}
