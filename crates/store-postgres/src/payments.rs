//! Payments.

use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::journal;
use gopay_core::payment::{Event, Payment};
use gopay_core::time::Timestamp;
use gopay_store::engine::{self, Application, CORRUPT_PUT_OFF, KIND_STATE, case_key, found};
use gopay_store::rows::{self, DAY_SUMS, PAYMENTS};
use gopay_store::sealing::WrappedKey;
use gopay_store::sums::{self, SumChanges};
use gopay_store::{
    Applied, Created, DeliveryState, Lookup, Note, StoreError, payment_columns,
    payment_request_columns,
};
use tokio_postgres::Row;

use crate::error::DbError;
use crate::events::{self, NewRecords};
use crate::journal::NewEntries;
use crate::row::{Cells, PgRow, key, limit_cell, read_all, read_opt};
use crate::session::Session;
use crate::shards::{Claimed, shard};
use crate::statement::Value;
use crate::sums::NewSums;

const TABLE: &str = PAYMENTS.name;

/// A statement that [`rows::payment`] reads.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!("-- ", $name, "\nSELECT ", payment_columns!(), " FROM payments ", $rest)
    };
}

/// One statement writes the payment, its request and its first records. It waits for an uncommitted
/// payment of the same id or nonce, and writes nothing if there is one; what there is, is looked
/// up afterwards.
pub(crate) async fn payment_create(
    session: &Session,
    payment: &Payment,
    request: &str,
    records: &NewRecords,
    key: Option<&WrappedKey>,
) -> Result<Created, DbError> {
    let cells = Cells::of(rows::payment_cells(payment)?);
    let mut values = cells.values();
    let shard = shard(payment.tx_id);
    let rest: [Value<'_>; 4] = [&shard, &request, &records.kinds, &records.details];
    values.extend(rest);
    if let Some(key) = key {
        let key: [Value<'_>; 2] = [&key.key_id, &key.wrapped];
        values.extend(key);
    }
    let mut changes = SumChanges::default();
    changes.payment(None, payment);
    let entry = journal::payment_created(payment);
    let entries = NewEntries::of(&entry);
    let created = match entries.statement() {
        None => {
            let cells = Cells::of(changes.rows(session.slot()).flatten());
            values.extend(cells.values());
            let create = if key.is_some() { &CREATE_SEALED_SUMMED } else { &CREATE_SUMMED };
            session.write_row(create, &values).await?.is_some()
        }
        Some(entries) => {
            let create = if key.is_some() { &CREATE_SEALED } else { &CREATE };
            let created = session.begin_row(create, &values).await?.is_some();
            let sums = NewSums::new(session, &changes);
            let written = [created.then_some(entries), sums.statement().filter(|_| created)];
            session.run_all_and_commit(written).await?;
            created
        }
    };
    if created {
        return Ok(Created::New);
    }
    let Some(nonce) = &payment.nonce else { return Err(StoreError::Conflict.into()) };
    match payment_find_nonce(session, &payment.contract, &nonce.value).await? {
        Some(earlier) => Ok(Created::NonceTaken(Box::new(earlier))),
        None => Err(StoreError::Conflict.into()),
    }
}

static CREATE: LazyLock<String> = LazyLock::new(|| create_with(&[]));

static CREATE_SEALED: LazyLock<String> = LazyLock::new(|| create_with(&[KEYED]));

static CREATE_SUMMED: LazyLock<String> = LazyLock::new(|| create_with(&[summed()]));

static CREATE_SEALED_SUMMED: LazyLock<String> = LazyLock::new(|| create_with(&[KEYED, summed()]));

/// Something else that is written of a payment that is new: its name, its values, and its statement
/// for the places of those.
type Also = (&'static str, usize, fn(&[String]) -> String);

const KEYED: Also = ("keyed", 2, |places| {
    let places = places.join(", ");
    format!(
        "INSERT INTO payment_keys (shard, tx_id, key_id, data_key)
            SELECT shard, tx_id, {places} FROM created"
    )
});

/// A payment of which the journal tells nothing yet can be summed up in the same statement: nothing
/// is waited for after it.
const fn summed() -> Also {
    ("summed", DAY_SUMS.columns.len(), |places| {
        let places = places.iter().map(|place| format!("{place}::bigint"));
        let places = places.collect::<Vec<_>>().join(", ");
        sums::upsert(&format!("SELECT {places} FROM created"))
    })
}

fn create_with(also: &[Also]) -> String {
    let (names, places, last) = (PAYMENTS.names(), PAYMENTS.places('$'), PAYMENTS.columns.len());
    let [shard, request, kinds, details] = [1, 2, 3, 4].map(|place| place + last);
    let mut place = details;
    let mut parts = String::new();
    for (name, values, statement) in also {
        let places: Vec<_> = (1..=*values).map(|value| format!("${}", place + value)).collect();
        place += values;
        parts.push_str(&format!("{name} AS ({}),\n", statement(&places)));
    }
    format!(
        "-- payment_create
        WITH created AS (
            INSERT INTO payments (shard, {names}) VALUES (${shard}, {places})
            ON CONFLICT DO NOTHING RETURNING shard, tx_id, created_at),
        requested AS (
            INSERT INTO payment_requests (shard, tx_id, request)
            SELECT shard, tx_id, ${request} FROM created),
        {parts}
        noted AS (
            INSERT INTO events (shard, tx_id, at, kind, detail)
            SELECT created.shard, created.tx_id, created.created_at, record.kind, record.detail
            FROM created, unnest(${kinds}::text[], ${details}::text[])
                WITH ORDINALITY AS record (kind, detail, place)
            ORDER BY record.place)
        SELECT tx_id FROM created"
    )
}

pub(crate) async fn payment_apply(
    session: &Session,
    tx_id: TxId,
    event: &Event,
    answer: Option<&[u8]>,
    notes: &[Note],
    now: Timestamp,
) -> Result<Applied, DbError> {
    let stored = begin_locked(session, tx_id).await?;
    let step = engine::payment_apply(stored, event, answer, now);
    let mut records = NewRecords::default();
    if let Some(detail) = &step.record {
        records.push(KIND_STATE, detail);
    }
    records.extend(notes);
    if step.record.is_some() {
        write_and_commit(session, &step, &records, now).await?;
    } else if records.is_empty() {
        session.commit().await?;
    } else {
        events::append_and_commit(session, tx_id, &records, now).await?;
    }
    Ok(step.applied)
}

/// Ends the transaction with what changed about a payment, its records, the delivery if one is
/// owed, and its entry in the journal.
async fn write_and_commit(
    session: &Session,
    step: &Application,
    records: &NewRecords,
    now: Timestamp,
) -> Result<(), DbError> {
    let (payment, owed) = (&step.applied.payment, step.delivery.as_ref());
    let changes = Cells::of(rows::payment_changes(payment)?);
    let (at, url) = (now.as_micros(), owed.map(|owed| owed.url.as_str()));
    let final_at = owed.map(|owed| owed.final_at.as_micros());
    let receiver = url.map(gopay_store::receiver_of);
    let shard = shard(payment.tx_id);
    let mut values = changes.values();
    let rest: [Value<'_>; 8] =
        [&shard, &at, &records.kinds, &records.details, &payment.psp, &url, &final_at, &receiver];
    values.extend(rest);
    let entries = NewEntries::of(&step.entry);
    let sums = NewSums::of(session, |sums| {
        sums.payment(Some(&step.applied.before), payment);
        if let Some(owed) = owed {
            sums.delivery(owed.tx_id, None, DeliveryState::Waiting);
        }
    });
    let apply = Some((APPLY.as_str(), values));
    session.run_all_and_commit([apply, entries.statement(), sums.statement()]).await
}

static APPLY: LazyLock<String> = LazyLock::new(|| {
    let (sets, last) = (PAYMENTS.sets('$'), PAYMENTS.changes().len());
    let [shard, at, kinds, details, client, url, final_at, receiver] =
        [1, 2, 3, 4, 5, 6, 7, 8].map(|place| place + last);
    format!(
        "-- payment_apply
        WITH changed AS (UPDATE payments SET {sets} WHERE shard = ${shard} AND tx_id = $1),
        owed AS (
            INSERT INTO deliveries
                (shard, tx_id, client, url, final_at, attempts, next_attempt_at, state, receiver)
            SELECT ${shard}, $1, ${client}, ${url}::text, ${final_at}::bigint, 0, ${at}, 'waiting',
                ${receiver}::text
            WHERE ${url}::text IS NOT NULL)
        INSERT INTO events (shard, tx_id, at, kind, detail)
        SELECT ${shard}, $1, ${at}, record.kind, record.detail
        FROM unnest(${kinds}::text[], ${details}::text[])
            WITH ORDINALITY AS record (kind, detail, place)
        ORDER BY record.place"
    )
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let (sets, shard) = (PAYMENTS.sets('$'), PAYMENTS.changes().len() + 1);
    format!("-- payments: update\nUPDATE payments SET {sets} WHERE shard = ${shard} AND tx_id = $1")
});

/// Writes what can change about a payment, inside a transaction.
pub(crate) async fn update(session: &Session, payment: &Payment) -> Result<(), DbError> {
    let changes = Cells::of(rows::payment_changes(payment)?);
    let shard = shard(payment.tx_id);
    let mut values = changes.values();
    values.push(&shard);
    session.run(&UPDATE, &values).await.map(|_| ())
}

/// Begins a transaction that holds the payment's row until its end.
pub(crate) async fn begin_locked(session: &Session, tx_id: TxId) -> Result<Payment, DbError> {
    let row = session.begin_row(LOCK, &[&shard(tx_id), &tx_id.get()]).await?;
    there(read_opt(row.as_ref(), rows::payment)?)
}

const LOCK: &str = select!("payments: lock", "WHERE shard = $1 AND tx_id = $2 FOR NO KEY UPDATE");

/// Locks the payments of a list that nobody else holds.
pub(crate) const LOCK_MANY: &str = select!(
    "payments: lock many",
    "WHERE shard = $1 AND tx_id = ANY ($2::bigint[]) FOR NO KEY UPDATE SKIP LOCKED"
);

/// The same, inside a transaction.
pub(crate) async fn lock(session: &Session, tx_id: TxId) -> Result<Payment, DbError> {
    let row = session.row(LOCK, &[&shard(tx_id), &tx_id.get()]).await?;
    there(read_opt(row.as_ref(), rows::payment)?)
}

/// Begins a transaction with the payment, if the contract has it.
pub(crate) async fn begin_locked_of(
    session: &Session,
    tx_id: TxId,
    contract: &str,
) -> Result<Option<Payment>, DbError> {
    let sql = select!(
        "payments: lock of contract",
        "WHERE shard = $1 AND tx_id = $2 AND contract = $3 FOR NO KEY UPDATE"
    );
    let row = session.begin_row(sql, &[&shard(tx_id), &tx_id.get(), &contract]).await?;
    Ok(read_opt(row.as_ref(), rows::payment)?)
}

pub(crate) async fn payment_answer(
    session: &Session,
    tx_id: TxId,
    answer: &[u8],
) -> Result<Payment, DbError> {
    let mut payment = begin_locked(session, tx_id).await?;
    if payment.store_answer_once(answer) {
        let sql = "-- payment_answer
            UPDATE payments SET answer = $3 WHERE shard = $1 AND tx_id = $2";
        session.run_and_commit(sql, &[&shard(tx_id), &tx_id.get(), &answer]).await?;
    } else {
        session.commit().await?;
    }
    Ok(payment)
}

pub(crate) async fn payment_get(
    session: &Session,
    tx_id: TxId,
) -> Result<Option<Payment>, DbError> {
    let sql = select!("payment_get", "WHERE shard = $1 AND tx_id = $2");
    let row = session.row(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    Ok(read_opt(row.as_ref(), rows::payment)?)
}

pub(crate) async fn payment_request(session: &Session, tx_id: TxId) -> Result<String, DbError> {
    let sql = concat!(
        "-- payment_request\nSELECT ",
        payment_request_columns!(),
        " FROM payment_requests WHERE shard = $1 AND tx_id = $2"
    );
    let row = session.row(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    let request = read_opt(row.as_ref(), rows::payment_request)?;
    Ok(request.ok_or(StoreError::Missing { table: rows::PAYMENT_REQUESTS.name })?)
}

pub(crate) async fn payment_find(
    session: &Session,
    contract: &str,
    merchant_tx_id: &str,
) -> Result<Lookup<Payment>, DbError> {
    let sql = select!("payment_find", "WHERE contract = $1 AND merchant_tx_key = $2 LIMIT 2");
    let rows = session.rows(sql, &[&contract, &case_key(merchant_tx_id)]).await?;
    Ok(found(read_all(&rows, rows::payment)?))
}

pub(crate) async fn payment_find_nonce(
    session: &Session,
    contract: &str,
    nonce: &str,
) -> Result<Option<Payment>, DbError> {
    let sql = select!("payment_find_nonce", "WHERE contract = $1 AND nonce = $2");
    let row = session.row(sql, &[&contract, &nonce]).await?;
    Ok(read_opt(row.as_ref(), rows::payment)?)
}

pub(crate) async fn payments_missing(
    session: &Session,
    tx_ids: &Vec<i64>,
) -> Result<Vec<TxId>, DbError> {
    let sql = "-- payments_missing
        SELECT asked.tx_id FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (tx_id, place)
        WHERE NOT EXISTS (SELECT FROM payments p
            WHERE p.shard = (asked.tx_id >> 12) & 1023 AND p.tx_id = asked.tx_id)
        ORDER BY asked.place";
    let rows = session.rows(sql, &[tx_ids]).await?;
    Ok(rows.iter().filter_map(|row| TxId::new(key(row)).ok()).collect())
}

pub(crate) async fn payment_claim_due(
    session: &Session,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Payment>, DbError> {
    let mut claimed = Claimed::begin(session, limit).await?;
    while let Some((shard, left)) = claimed.next() {
        claimed.add(claim_in(session, shard, now, left).await)?;
    }
    Ok(claimed.into_rows())
}

/// Locked rows are left to those who hold them; a row that changed since the statement began is
/// looked at again by the database before it is locked.
async fn claim_in(
    session: &Session,
    shard: i16,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Payment>, DbError> {
    let sql = select!(
        "payment_claim_due",
        "WHERE shard = $1 AND next_check_at <= $2 ORDER BY next_check_at, tx_id LIMIT $3
        FOR NO KEY UPDATE SKIP LOCKED"
    );
    let rows = session.begin_rows(sql, &[&shard, &now.as_micros(), &limit_cell(limit)]).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    let (mut keys, mut times, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        keys.push(key(row));
        match rows::payment(&PgRow(row)) {
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
        FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS plan (tx_id, at, checks)
        WHERE p.shard = $1 AND p.tx_id = plan.tx_id";
    session.run_and_commit(sql, &[&shard, &keys, &times, &counts]).await?;
    Ok(claimed)
}

pub(crate) async fn payment_check_at(
    session: &Session,
    tx_id: TxId,
    at: Timestamp,
) -> Result<(), DbError> {
    let sql = "-- payment_check_at
        WITH moved AS (
            UPDATE payments SET next_check_at = $3
            WHERE shard = $1 AND tx_id = $2 AND next_check_at > $3)
        SELECT tx_id FROM payments WHERE shard = $1 AND tx_id = $2";
    must_exist(session.write_row(sql, &[&shard(tx_id), &tx_id.get(), &at.as_micros()]).await?)
}

pub(crate) async fn payment_note(
    session: &Session,
    tx_id: TxId,
    records: &NewRecords,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = "-- payment_note
        WITH noted AS (
            INSERT INTO events (shard, tx_id, at, kind, detail)
            SELECT p.shard, p.tx_id, $3, record.kind, record.detail
            FROM payments p,
                unnest($4::text[], $5::text[]) WITH ORDINALITY AS record (kind, detail, place)
            WHERE p.shard = $1 AND p.tx_id = $2
            ORDER BY record.place)
        SELECT tx_id FROM payments WHERE shard = $1 AND tx_id = $2";
    let key = (shard(tx_id), tx_id.get(), now.as_micros());
    let values: [Value<'_>; 5] = [&key.0, &key.1, &key.2, &records.kinds, &records.details];
    must_exist(session.write_row(sql, &values).await?)
}

fn there(payment: Option<Payment>) -> Result<Payment, DbError> {
    payment.ok_or_else(|| StoreError::Missing { table: TABLE }.into())
}

fn must_exist(row: Option<Row>) -> Result<(), DbError> {
    row.map(|_| ()).ok_or_else(|| StoreError::Missing { table: TABLE }.into())
}
