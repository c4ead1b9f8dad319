//! Refunds.

use std::sync::LazyLock;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::journal::refund_created;
use gopay_core::money::Rupiah;
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, SeenBack};
use gopay_core::time::Timestamp;
use gopay_store::engine::{self, CORRUPT_PUT_OFF, KIND_REFUND, case_key, found, refund_detail};
use gopay_store::rows::{self, REFUNDS};
use gopay_store::{Lookup, Note, Reserved, StoreError, refund_columns};

use crate::error::DbError;
use crate::events::{self, NewRecords};
use crate::journal::NewEntries;
use crate::payments;
use crate::row::{Cells, PgRow, key, limit_cell, read_all, read_opt};
use crate::session::Session;
use crate::shards::{self, Claimed, known_shards, shard};
use crate::statement::Value;
use crate::sums::NewSums;

const TABLE: &str = REFUNDS.name;

/// A statement that [`rows::refund`] reads.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!("-- ", $name, "\nSELECT ", refund_columns!(), " FROM refunds ", $rest)
    };
}

/// The payment's row is locked first, so that refunds of one payment are admitted one by one.
pub(crate) async fn refund_reserve(
    session: &Session,
    request: &RefundRequest,
    now: Timestamp,
) -> Result<Reserved, DbError> {
    let payment = payments::begin_locked_of(session, request.tx_id, &request.contract).await?;
    let Some(payment) = payment else {
        session.commit().await?;
        return Ok(Reserved::NoPayment);
    };
    match payment.reserve_refund(request, now) {
        Ok((payment, amount)) => {
            let refund = request.admitted(amount, now);
            insert(session, &refund).await?;
            payments::update(session, &payment).await?;
            record_and_commit(session, &refund, now).await?;
            Ok(Reserved::Admitted(Box::new(refund), Box::new(payment)))
        }
        Err(rejection) => {
            let refund = request.refused(rejection, now);
            insert(session, &refund).await?;
            record_and_commit(session, &refund, now).await?;
            Ok(Reserved::Refused(Box::new(refund)))
        }
    }
}

/// Ends the transaction of a new refund with its record and its entry in the journal.
async fn record_and_commit(
    session: &Session,
    refund: &Refund,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut records = NewRecords::default();
    records.push(KIND_REFUND, &refund_detail(refund));
    let appended = events::Appended::to(refund.tx_id, &records, now);
    let entry = refund_created(refund, now);
    let entries = NewEntries::of([&entry]);
    let sums = NewSums::of(session, |sums| sums.refund(None, refund));
    let appended = Some(appended.statement());
    session.run_all_and_commit([appended, entries.statement(), sums.statement()]).await
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (REFUNDS.names(), REFUNDS.places('$'));
    let [shard, holder] = [1, 2].map(|place| place + REFUNDS.columns.len());
    format!(
        "-- refunds: insert
        INSERT INTO refunds ({names}, shard, leased_by) VALUES ({places}, ${shard}, ${holder})"
    )
});

/// Who made it sends it, and has it until somebody claims it.
async fn insert(session: &Session, refund: &Refund) -> Result<(), DbError> {
    let cells = Cells::of(rows::refund_cells(refund)?);
    let (shard, holder) = (shard(refund.tx_id), session.holder());
    let mut values = cells.values();
    let rest: [Value<'_>; 2] = [&shard, &holder];
    values.extend(rest);
    session.run(&INSERT, &values).await.map(|_| ())
}

pub(crate) async fn refund_resolve(
    session: &Session,
    refund_id: RefundId,
    outcome: RefundOutcome,
    notes: &[Note],
    now: Timestamp,
) -> Result<Refund, DbError> {
    let stored = begin_locked(session, refund_id).await?;
    let before = stored.state.clone();
    let resolution = engine::refund_resolve(stored, outcome, now)?;
    let refund = &resolution.refund;
    if resolution.changed {
        update(session, refund).await?;
    }
    if let Some(amount) = resolution.given_back {
        release(session, refund.tx_id, amount).await?;
    }
    let mut records = NewRecords::default();
    if let Some(detail) = &resolution.record {
        records.push(KIND_REFUND, detail);
    }
    records.extend(notes);
    // A call that was refused early may name no payment, and then has no trail either.
    let appended = events::Appended::to_payment(refund.tx_id, &records, now);
    let entries = NewEntries::of(&resolution.entries);
    let sums = NewSums::of(session, |sums| sums.refund(Some(&before), refund));
    let appended = Some(appended.statement());
    session.run_all_and_commit([appended, entries.statement(), sums.statement()]).await?;
    Ok(resolution.refund)
}

/// Begins a transaction that holds the refund's row until its end.
async fn begin_locked(session: &Session, refund_id: RefundId) -> Result<Refund, DbError> {
    let sql = select!("refund_resolve", "WHERE shard = $1 AND refund_id = $2 FOR NO KEY UPDATE");
    let (own, number) = (shards::shard_of(refund_id.shard()), refund_id.get());
    let mut row = session.begin_row(sql, &[&own, &number]).await?;
    if row.is_none()
        && let Some(shard) = moved_to(session, refund_id).await?
    {
        row = session.row(sql, &[&shard, &number]).await?;
    }
    let stored = read_opt(row.as_ref(), rows::refund)?;
    Ok(stored.ok_or(StoreError::Missing { table: TABLE })?)
}

/// The shard of a refund that is not in that of its own id, if there is such a refund. Until schema 10 refunds
/// had the number of the instance that was asked, whosever the payment was.
async fn moved_to(session: &Session, refund_id: RefundId) -> Result<Option<i16>, DbError> {
    let sql = concat!(
        "-- refunds: in another shard
        SELECT r.shard FROM (",
        known_shards!(),
        ") known JOIN refunds r ON r.shard = known.shard AND r.refund_id = $1"
    );
    let row = session.row(sql, &[&refund_id.get()]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

async fn release(session: &Session, tx_id: TxId, amount: Rupiah) -> Result<(), DbError> {
    let payment = payments::lock(session, tx_id).await?;
    payments::update(session, &payment.release_refund(amount)).await
}

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let (sets, shard) = (REFUNDS.sets('$'), REFUNDS.changes().len() + 1);
    format!(
        "-- refunds: update\nUPDATE refunds SET {sets} WHERE shard = ${shard} AND refund_id = $1"
    )
});

/// Writes what can change about a refund.
async fn update(session: &Session, refund: &Refund) -> Result<(), DbError> {
    let changes = Cells::of(rows::refund_changes(refund));
    let shard = shard(refund.tx_id);
    let mut values = changes.values();
    values.push(&shard);
    session.run(&UPDATE, &values).await.map(|_| ())
}

pub(crate) async fn refund_record_elsewhere(
    session: &Session,
    tx_id: TxId,
    seen: &SeenBack,
    ids: &[RefundId],
    now: Timestamp,
) -> Result<Vec<Refund>, DbError> {
    let payment = payments::begin_locked(session, tx_id).await?;
    let sql =
        select!("refund_record_elsewhere", "WHERE shard = $1 AND tx_id = $2 ORDER BY refund_id");
    let known = session.rows(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    let known = read_all(&known, rows::refund)?;
    let found = engine::refunds_elsewhere(&payment, &known, seen, ids, now);
    if found.refunds.is_empty() {
        session.commit().await?;
        return Ok(found.refunds);
    }
    for refund in &found.refunds {
        insert(session, refund).await?;
    }
    payments::update(session, &found.payment).await?;
    let mut records = NewRecords::default();
    found.records.iter().for_each(|detail| records.push(KIND_REFUND, detail));
    let appended = events::Appended::to(tx_id, &records, now);
    let entries = NewEntries::of(&found.entries);
    let sums = NewSums::of(session, |sums| {
        found.refunds.iter().for_each(|refund| sums.refund(None, refund));
    });
    let appended = Some(appended.statement());
    session.run_all_and_commit([appended, entries.statement(), sums.statement()]).await?;
    Ok(found.refunds)
}

pub(crate) async fn refund_record_refused(
    session: &Session,
    refund: &Refund,
    now: Timestamp,
) -> Result<(), DbError> {
    let refund = engine::refund_refused_early(refund, now)?;
    session.begin().await?;
    insert(session, &refund).await?;
    let entry = refund_created(&refund, now);
    let entries = NewEntries::of([&entry]);
    let sums = NewSums::of(session, |sums| sums.refund(None, &refund));
    session.run_all_and_commit([entries.statement(), sums.statement()]).await
}

pub(crate) async fn refund_get(
    session: &Session,
    refund_id: RefundId,
) -> Result<Option<Refund>, DbError> {
    let sql = select!("refund_get", "WHERE shard = $1 AND refund_id = $2");
    let (own, number) = (shards::shard_of(refund_id.shard()), refund_id.get());
    let mut row = session.row(sql, &[&own, &number]).await?;
    if row.is_none()
        && let Some(shard) = moved_to(session, refund_id).await?
    {
        row = session.row(sql, &[&shard, &number]).await?;
    }
    Ok(read_opt(row.as_ref(), rows::refund)?)
}

pub(crate) async fn refund_find(
    session: &Session,
    contract: &str,
    merchant_refund_id: &str,
) -> Result<Lookup<Refund>, DbError> {
    let sql = select!("refund_find", "WHERE contract = $1 AND merchant_refund_key = $2 LIMIT 2");
    let rows = session.rows(sql, &[&contract, &case_key(merchant_refund_id)]).await?;
    Ok(found(read_all(&rows, rows::refund)?))
}

pub(crate) async fn refunds_of(session: &Session, tx_id: TxId) -> Result<Vec<Refund>, DbError> {
    let sql = select!(
        "refunds_of",
        "WHERE shard = $1 AND tx_id = $2
            AND contract = (SELECT contract FROM payments WHERE shard = $1 AND tx_id = $2)
        ORDER BY created_at, refund_id"
    );
    let rows = session.rows(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    Ok(read_all(&rows, rows::refund)?)
}

pub(crate) async fn refund_claim_due(
    session: &Session,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Refund>, DbError> {
    let mut claimed = Claimed::begin(session, limit).await?;
    while let Some((shard, left)) = claimed.next() {
        claimed.add(claim_in(session, shard, now, left).await)?;
    }
    Ok(claimed.into_rows())
}

async fn claim_in(
    session: &Session,
    shard: i16,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Refund>, DbError> {
    let sql = select!(
        "refund_claim_due",
        "WHERE shard = $1 AND next_check_at <= $2 ORDER BY next_check_at, refund_id LIMIT $3
        FOR NO KEY UPDATE SKIP LOCKED"
    );
    let rows = session.begin_rows(sql, &[&shard, &now.as_micros(), &limit_cell(limit)]).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    let (mut keys, mut times, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        keys.push(key(row));
        match rows::refund(&PgRow(row)) {
            Ok(refund) => {
                let refund = refund.checked(now);
                times.push(refund.next_check_at.map(Timestamp::as_micros));
                counts.push(Some(i64::from(refund.checks)));
                claimed.push(refund);
            }
            Err(error) => {
                tracing::error!(%error, "a refund is due that cannot be read; it is put off");
                times.push(Some(now.after(CORRUPT_PUT_OFF).as_micros()));
                counts.push(None);
            }
        }
    }
    if keys.is_empty() {
        session.commit().await?;
        return Ok(claimed);
    }
    let sql = "-- refund_claim_due: plan
        UPDATE refunds r SET next_check_at = plan.at, checks = coalesce(plan.checks, r.checks),
            leased_by = $5
        FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS plan (refund_id, at, checks)
        WHERE r.shard = $1 AND r.refund_id = plan.refund_id";
    session.run_and_commit(sql, &[&shard, &keys, &times, &counts, &session.holder()]).await?;
    Ok(claimed)
}
