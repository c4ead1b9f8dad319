//! Refunds.

use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::Failure;
use gopay_core::refund::{Refund, RefundOutcome, RefundState};
use gopay_core::time::Timestamp;
use gopay_store::engine::{KIND_REFUND, case_key, refund_detail};
use gopay_store::{Found, NewRefund, Note, Reserved, StoreError};
use tokio_postgres::Row;

use crate::cells::{Cells, key, limit_cell, sen_cell};
use crate::events::{self, Lines};
use crate::fault::Fault;
use crate::payments::{self, CORRUPT_PUT_OFF, Changes, fail_message, fail_reason, found};
use crate::session::Session;

const TABLE: &str = "refunds";

/// The columns in the order in which [`read`] takes them.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
            SELECT refund_id, tx_id, client, contract, merchant_refund_id, amount_sen, descriptor,
                state, fail_reason, fail_message, created_at, resolved_at, next_check_at, checks
            FROM refunds ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Refund, StoreError> {
    let mut cells = Cells::new(row, TABLE);
    Ok(Refund {
        refund_id: cells.parse("refund_id", |number| RefundId::new(number).ok())?,
        tx_id: cells.tx_id()?,
        client: cells.take("client")?,
        contract: cells.take("contract")?,
        merchant_refund_id: cells.take("merchant_refund_id")?,
        amount: cells.rupiah_opt("amount_sen")?,
        descriptor: cells.take("descriptor")?,
        state: state(&mut cells)?,
        created_at: cells.time("created_at")?,
        resolved_at: cells.time_opt("resolved_at")?,
        next_check_at: cells.time_opt("next_check_at")?,
        checks: cells.count("checks")?,
    })
}

/// The cells `state`, `fail_reason` and `fail_message`.
fn state(cells: &mut Cells<'_>) -> Result<RefundState, StoreError> {
    let word: String = cells.take("state")?;
    match (word.as_str(), cells.failure()?) {
        ("unresolved", None) => Ok(RefundState::Unresolved),
        ("succeeded", None) => Ok(RefundState::Succeeded),
        ("failed", Some(failure)) => Ok(RefundState::Failed(failure)),
        _ => Err(cells.corrupt("state")),
    }
}

const fn failure(refund: &Refund) -> Option<&Failure> {
    match &refund.state {
        RefundState::Unresolved | RefundState::Succeeded => None,
        RefundState::Failed(failure) => Some(failure),
    }
}

/// The payment's row is locked first, so that refunds of one payment are admitted one by one.
pub(crate) async fn refund_reserve(
    session: &Session,
    order: &NewRefund<'_>,
    now: Timestamp,
) -> Result<Reserved, Fault> {
    let payment = payments::begin_locked_of(session, order.tx_id, order.contract).await?;
    let Some(payment) = payment else {
        session.commit().await?;
        return Ok(Reserved::NoPayment);
    };
    match payment.reserve_refund(order.order(), order.terms, now) {
        Ok((payment, amount)) => {
            let refund = order.admitted(amount, now);
            insert(session, &refund).await?;
            session.run(payments::UPDATE, &Changes::of(&payment)?.values()).await?;
            record_and_commit(session, &refund, &[], now).await?;
            Ok(Reserved::Admitted(Box::new(refund), Box::new(payment)))
        }
        Err(rejection) => {
            let refund = order.refused(rejection, now);
            insert(session, &refund).await?;
            record_and_commit(session, &refund, &[], now).await?;
            Ok(Reserved::Refused(rejection))
        }
    }
}

/// Ends the transaction with the refund's record and the notes in its payment's trail.
async fn record_and_commit(
    session: &Session,
    refund: &Refund,
    notes: &[Note],
    now: Timestamp,
) -> Result<(), Fault> {
    let mut lines = Lines::default();
    lines.push(KIND_REFUND, &refund_detail(refund));
    lines.extend(notes);
    events::append_and_commit(session, refund.tx_id, &lines, now).await
}

async fn insert(session: &Session, refund: &Refund) -> Result<(), Fault> {
    let amount = refund.amount.map(|amount| sen_cell(amount.sen())).transpose()?;
    let sql = "-- refunds: insert
        INSERT INTO refunds (refund_id, tx_id, client, contract, merchant_refund_id,
            merchant_refund_key, amount_sen, descriptor, state, fail_reason, fail_message,
            created_at, resolved_at, next_check_at, checks)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    session
        .run(
            sql,
            &[
                &refund.refund_id.get(),
                &refund.tx_id.get(),
                &refund.client,
                &refund.contract,
                &refund.merchant_refund_id,
                &refund.merchant_refund_id.as_deref().map(case_key),
                &amount,
                &refund.descriptor,
                &refund.state.as_str(),
                &fail_reason(failure(refund)),
                &fail_message(failure(refund)),
                &refund.created_at.as_micros(),
                &refund.resolved_at.map(Timestamp::as_micros),
                &refund.next_check_at.map(Timestamp::as_micros),
                &i64::from(refund.checks),
            ],
        )
        .await?;
    Ok(())
}

pub(crate) async fn refund_resolve(
    session: &Session,
    refund_id: RefundId,
    outcome: RefundOutcome,
    notes: &[Note],
    now: Timestamp,
) -> Result<Refund, Fault> {
    let sql = select!("refund_resolve", "WHERE refund_id = $1 FOR NO KEY UPDATE");
    let row = session.begin_row(sql, &[&refund_id.get()]).await?;
    let stored = read(&row.ok_or(StoreError::Missing { table: TABLE })?)?;
    let Some(refund) = stored.resolve(outcome, now) else {
        note_and_commit(session, stored.tx_id, notes, now).await?;
        return Ok(stored);
    };
    update(session, &refund).await?;
    if matches!(refund.state, RefundState::Failed(_)) {
        release(session, &refund).await?;
    }
    record_and_commit(session, &refund, notes, now).await?;
    Ok(refund)
}

/// A call that was refused early may name no payment, and then has no trail either.
async fn note_and_commit(
    session: &Session,
    tx_id: TxId,
    notes: &[Note],
    now: Timestamp,
) -> Result<(), Fault> {
    match payments::payment_note(session, tx_id, &Lines::of(notes), now).await {
        Ok(()) | Err(Fault::Store(StoreError::Missing { .. })) => session.commit().await,
        Err(fault) => Err(fault),
    }
}

async fn release(session: &Session, refund: &Refund) -> Result<(), Fault> {
    let amount = refund.amount.ok_or_else(|| StoreError::Corrupt {
        table: TABLE,
        column: "amount_sen",
        row: refund.refund_id.to_string(),
    })?;
    let payment = payments::lock(session, refund.tx_id).await?.release_refund(amount);
    session.run(payments::UPDATE, &Changes::of(&payment)?.values()).await?;
    Ok(())
}

/// Writes what can change about a refund.
async fn update(session: &Session, refund: &Refund) -> Result<(), Fault> {
    let sql = "-- refunds: update
        UPDATE refunds SET state = $2, fail_reason = $3, fail_message = $4, resolved_at = $5,
            next_check_at = $6, checks = $7
        WHERE refund_id = $1";
    session
        .run(
            sql,
            &[
                &refund.refund_id.get(),
                &refund.state.as_str(),
                &fail_reason(failure(refund)),
                &fail_message(failure(refund)),
                &refund.resolved_at.map(Timestamp::as_micros),
                &refund.next_check_at.map(Timestamp::as_micros),
                &i64::from(refund.checks),
            ],
        )
        .await?;
    Ok(())
}

pub(crate) async fn refund_record_refused(
    session: &Session,
    refund: &Refund,
    now: Timestamp,
) -> Result<(), Fault> {
    if failure(refund).is_none() {
        let row = refund.refund_id.to_string();
        return Err(StoreError::Corrupt { table: TABLE, column: "state", row }.into());
    }
    let resolved_at = Some(refund.resolved_at.unwrap_or(now));
    insert(session, &Refund { resolved_at, next_check_at: None, ..refund.clone() }).await
}

pub(crate) async fn refund_get(
    session: &Session,
    refund_id: RefundId,
) -> Result<Option<Refund>, Fault> {
    let sql = select!("refund_get", "WHERE refund_id = $1");
    let row = session.row(sql, &[&refund_id.get()]).await?;
    Ok(row.map(|row| read(&row)).transpose()?)
}

pub(crate) async fn refund_find(
    session: &Session,
    contract: &str,
    merchant_refund_id: &str,
) -> Result<Found<Refund>, Fault> {
    let sql = select!("refund_find", "WHERE contract = $1 AND merchant_refund_key = $2 LIMIT 2");
    let rows = session.rows(sql, &[&contract, &case_key(merchant_refund_id)]).await?;
    Ok(found(rows.iter().map(read).collect::<Result<_, _>>()?))
}

pub(crate) async fn refunds_of(session: &Session, tx_id: TxId) -> Result<Vec<Refund>, Fault> {
    let sql = select!(
        "refunds_of",
        "WHERE tx_id = $1 AND contract = (SELECT contract FROM payments WHERE tx_id = $1)
        ORDER BY created_at, refund_id"
    );
    let rows = session.rows(sql, &[&tx_id.get()]).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

pub(crate) async fn refund_claim_due(
    session: &Session,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Refund>, Fault> {
    let sql = select!(
        "refund_claim_due",
        "WHERE next_check_at <= $1 ORDER BY next_check_at, refund_id LIMIT $2
        FOR NO KEY UPDATE SKIP LOCKED"
    );
    let rows = session.begin_rows(sql, &[&now.as_micros(), &limit_cell(limit)]).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    let (mut keys, mut times, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        keys.push(key(row));
        match read(row) {
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
        UPDATE refunds r SET next_check_at = plan.at, checks = coalesce(plan.checks, r.checks)
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS plan (refund_id, at, checks)
        WHERE r.refund_id = plan.refund_id";
    session.run_and_commit(sql, &[&keys, &times, &counts]).await?;
    Ok(claimed)
}
