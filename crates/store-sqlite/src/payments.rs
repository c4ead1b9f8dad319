//! Payments.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::payment::{Channel, Event, Failure, Payment, PaymentRecord, Upstream};
use gopay_core::time::Timestamp;
use gopay_store::engine::{self, KIND_STATE, case_key};
use gopay_store::{Applied, Created, Found, StoreError};
use rusqlite::{Connection, params};

use crate::cells::{Cells, all, each, failed, first, limit_cell, sen_cell, write};
use crate::deliveries;
use crate::events::{self, Line};

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

fn read(cells: &mut Cells<'_>) -> Result<Payment, StoreError> {
    let record = PaymentRecord {
        tx_id: cells.tx_id()?,
        client: cells.take("client")?,
        contract: cells.take("contract")?,
        channel: cells.parse_opt("channel", |word: String| Channel::from_word(&word))?,
        merchant_tx_id: cells.take("merchant_tx_id")?,
        amount: cells.rupiah_opt("amount_sen")?,
        state: cells.payment_state()?,
        upstream: cells.parse("upstream", |word: String| Upstream::from_word(&word))?,
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
        checks: cells.take("checks")?,
    };
    Payment::restore(record).map_err(|broken| cells.corrupt(broken.0))
}

pub(crate) fn payment_create(
    db: &Connection,
    payment: &Payment,
    request: &str,
    lines: &[Line],
) -> Result<Created, StoreError> {
    if !insert(db, payment)? {
        let nonce = payment.nonce.as_ref().map_or("", |nonce| nonce.value.as_str());
        let earlier = payment_find_nonce(db, &payment.contract, nonce)?;
        return earlier.map(Box::new).map(Created::NonceTaken).ok_or(StoreError::Conflict);
    }
    write(
        db,
        "-- payment_create: request
        INSERT INTO payment_requests (tx_id, request) VALUES (?1, ?2)",
        params![payment.tx_id.get(), request],
    )?;
    events::begin(db, payment.tx_id, payment.created_at, lines)?;
    Ok(Created::New)
}

/// False if the nonce is taken; an id that is taken is [`StoreError::Conflict`].
fn insert(db: &Connection, payment: &Payment) -> Result<bool, StoreError> {
    let reserved = sen_cell(payment.refund_reserved)?;
    let amount = payment.amount.map(|amount| sen_cell(amount.sen())).transpose()?;
    let written = write(
        db,
        "-- payment_create
        INSERT INTO payments (tx_id, client, contract, channel, merchant_tx_id, merchant_tx_key,
            amount_sen, state, fail_reason, fail_message, upstream, midtrans_tx_id, deeplink,
            redirect_secret, merchant_redirect_url, notification_url, nonce, fingerprint, answer,
            created_at, deadline_at, final_at, paid_at, cancel_requested, refund_reserved_sen,
            next_check_at, checks)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
            ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)
        ON CONFLICT (contract, nonce) WHERE nonce IS NOT NULL DO NOTHING",
        params![
            payment.tx_id.get(),
            payment.client,
            payment.contract,
            payment.channel.map(Channel::as_str),
            payment.merchant_tx_id,
            payment.merchant_tx_id.as_deref().map(case_key),
            amount,
            payment.state.as_str(),
            fail_reason(payment.state.failure()),
            fail_message(payment.state.failure()),
            payment.upstream.as_str(),
            payment.midtrans_tx_id,
            payment.deeplink,
            payment.redirect_secret,
            payment.merchant_redirect_url,
            payment.notification_url,
            payment.nonce.as_ref().map(|nonce| nonce.value.as_str()),
            payment.nonce.as_ref().map_or([0; 32], |nonce| nonce.fingerprint),
            payment.answer,
            payment.created_at.as_micros(),
            payment.deadline_at.as_micros(),
            payment.final_at.map(Timestamp::as_micros),
            payment.paid_at.map(Timestamp::as_micros),
            payment.cancel_requested,
            reserved,
            payment.next_check_at.map(Timestamp::as_micros),
            payment.checks,
        ],
    )?;
    Ok(written > 0)
}

pub(crate) fn fail_reason(failure: Option<&Failure>) -> Option<&'static str> {
    failure.map(|failure| failure.reason.as_str())
}

pub(crate) fn fail_message(failure: Option<&Failure>) -> Option<&str> {
    failure.map(|failure| failure.message.as_str())
}

pub(crate) fn payment_apply(
    db: &Connection,
    tx_id: TxId,
    event: &Event,
    answer: Option<&[u8]>,
    lines: &[Line],
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let stored = payment_get(db, tx_id)?.ok_or(StoreError::Missing { table: TABLE })?;
    let step = engine::payment_apply(stored, event, answer, now);
    let record = step.record.map(|detail| Line::new(KIND_STATE, &detail));
    if record.is_some() {
        update(db, &step.applied.payment)?;
    }
    events::append(db, tx_id, now, record.iter().chain(lines))?;
    if let Some(owed) = step.delivery {
        deliveries::insert(db, &owed, now)?;
    }
    Ok(step.applied)
}

pub(crate) fn payment_answer(
    db: &Connection,
    tx_id: TxId,
    answer: &[u8],
) -> Result<Payment, StoreError> {
    let mut payment = payment_get(db, tx_id)?.ok_or(StoreError::Missing { table: TABLE })?;
    if payment.store_answer_once(answer) {
        write(
            db,
            "-- payment_answer
            UPDATE payments SET answer = ?2 WHERE tx_id = ?1",
            params![tx_id.get(), answer],
        )?;
    }
    Ok(payment)
}

/// Writes what can change about a payment.
pub(crate) fn update(db: &Connection, payment: &Payment) -> Result<(), StoreError> {
    write(
        db,
        "-- payments: update
        UPDATE payments SET state = ?2, fail_reason = ?3, fail_message = ?4, upstream = ?5,
            midtrans_tx_id = ?6, deeplink = ?7, answer = ?8, final_at = ?9, paid_at = ?10,
            cancel_requested = ?11, refund_reserved_sen = ?12, next_check_at = ?13, checks = ?14
        WHERE tx_id = ?1",
        params![
            payment.tx_id.get(),
            payment.state.as_str(),
            fail_reason(payment.state.failure()),
            fail_message(payment.state.failure()),
            payment.upstream.as_str(),
            payment.midtrans_tx_id,
            payment.deeplink,
            payment.answer,
            payment.final_at.map(Timestamp::as_micros),
            payment.paid_at.map(Timestamp::as_micros),
            payment.cancel_requested,
            sen_cell(payment.refund_reserved)?,
            payment.next_check_at.map(Timestamp::as_micros),
            payment.checks,
        ],
    )?;
    Ok(())
}

pub(crate) fn payment_get(db: &Connection, tx_id: TxId) -> Result<Option<Payment>, StoreError> {
    let sql = select!("payment_get", "WHERE p.tx_id = ?1");
    first(db, TABLE, sql, params![tx_id.get()], read)
}

pub(crate) fn payment_request(db: &Connection, tx_id: TxId) -> Result<String, StoreError> {
    const TABLE: &str = "payment_requests";
    let sql = "-- payment_request
        SELECT tx_id, request FROM payment_requests WHERE tx_id = ?1";
    let read = |cells: &mut Cells<'_>| {
        cells.tx_id()?;
        cells.take("request")
    };
    first(db, TABLE, sql, params![tx_id.get()], read)?.ok_or(StoreError::Missing { table: TABLE })
}

pub(crate) fn payment_find(
    db: &Connection,
    contract: &str,
    merchant_tx_id: &str,
) -> Result<Found<Payment>, StoreError> {
    let sql = select!("payment_find", "WHERE p.contract = ?1 AND p.merchant_tx_key = ?2 LIMIT 2");
    all(db, TABLE, sql, params![contract, case_key(merchant_tx_id)], read).map(found)
}

/// What a look-up of at most two rows found.
pub(crate) fn found<T>(mut rows: Vec<T>) -> Found<T> {
    match (rows.pop(), rows.pop()) {
        (None, _) => Found::None,
        (Some(one), None) => Found::One(one),
        (Some(_), Some(_)) => Found::Many,
    }
}

pub(crate) fn payment_find_nonce(
    db: &Connection,
    contract: &str,
    nonce: &str,
) -> Result<Option<Payment>, StoreError> {
    let sql = select!("payment_find_nonce", "WHERE p.contract = ?1 AND p.nonce = ?2");
    first(db, TABLE, sql, params![contract, nonce], read)
}

pub(crate) fn payment_claim_due(
    db: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Payment>, StoreError> {
    let sql = select!(
        "payment_claim_due",
        "WHERE p.next_check_at <= ?1 ORDER BY p.next_check_at, p.tx_id LIMIT ?2"
    );
    let rows = each(db, TABLE, sql, params![now.as_micros(), limit_cell(limit)], read)?;
    let mut claimed = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        match row {
            Ok(payment) => {
                let payment = payment.checked(now);
                plan(db, key, payment.next_check_at, payment.checks)?;
                claimed.push(payment);
            }
            Err(error) => {
                tracing::error!(%error, "a payment is due that cannot be read; it is put off");
                put_off(db, key, now.after(CORRUPT_PUT_OFF))?;
            }
        }
    }
    Ok(claimed)
}

fn plan(
    db: &Connection,
    key: i64,
    next_check_at: Option<Timestamp>,
    checks: u32,
) -> Result<usize, StoreError> {
    write(
        db,
        "-- payment_claim_due: plan
        UPDATE payments SET next_check_at = ?2, checks = ?3 WHERE tx_id = ?1",
        params![key, next_check_at.map(Timestamp::as_micros), checks],
    )
}

fn put_off(db: &Connection, key: i64, until: Timestamp) -> Result<usize, StoreError> {
    write(
        db,
        "-- payment_claim_due: put off
        UPDATE payments SET next_check_at = ?2 WHERE tx_id = ?1",
        params![key, until.as_micros()],
    )
}

pub(crate) fn payment_check_at(
    db: &Connection,
    tx_id: TxId,
    at: Timestamp,
) -> Result<(), StoreError> {
    must_exist(db, tx_id)?;
    write(
        db,
        "-- payment_check_at
        UPDATE payments SET next_check_at = ?2 WHERE tx_id = ?1 AND next_check_at > ?2",
        params![tx_id.get(), at.as_micros()],
    )?;
    Ok(())
}

pub(crate) fn payment_note(
    db: &Connection,
    tx_id: TxId,
    lines: &[Line],
    now: Timestamp,
) -> Result<(), StoreError> {
    must_exist(db, tx_id)?;
    events::append(db, tx_id, now, lines)
}

fn must_exist(db: &Connection, tx_id: TxId) -> Result<(), StoreError> {
    let sql = "-- payments: exists
        SELECT 1 FROM payments WHERE tx_id = ?1";
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let exists = statement.exists(params![tx_id.get()]).map_err(failed)?;
    if exists { Ok(()) } else { Err(StoreError::Missing { table: TABLE }) }
}
