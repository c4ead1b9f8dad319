//! Deliveries: the notifications owed to PSPs.

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::{AttemptOutcome, Delivery, DeliveryState, StoreError};
use tokio_postgres::Row;

use crate::cells::{Cells, key, limit_cell};
use crate::events::Lines;
use crate::fault::Fault;
use crate::payments::CORRUPT_PUT_OFF;
use crate::session::Session;

const TABLE: &str = "deliveries";

/// The columns in the order in which [`read`] takes them.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
            SELECT d.delivery_id, d.tx_id, d.client, d.url, d.final_at, d.attempts,
                d.next_attempt_at, d.state
            FROM deliveries d ",
            $rest
        )
    };
}

pub(crate) fn read(row: &Row) -> Result<Delivery, StoreError> {
    let mut cells = Cells::new(row, TABLE);
    Ok(Delivery {
        delivery_id: cells.take("delivery_id")?,
        tx_id: cells.tx_id()?,
        client: cells.take("client")?,
        url: cells.take("url")?,
        final_at: cells.time("final_at")?,
        attempts: cells.count("attempts")?,
        next_attempt_at: cells.time("next_attempt_at")?,
        state: cells.parse("state", DeliveryState::from_word)?,
    })
}

/// Locks the deliveries of a list that nobody else holds.
pub(crate) const LOCK_MANY: &str = select!(
    "deliveries: lock many",
    "WHERE d.delivery_id = ANY ($1::bigint[]) FOR NO KEY UPDATE SKIP LOCKED"
);

/// An earlier waiting delivery of the payment cannot appear after the look: deliveries are added
/// with growing ids, and made due again only if they are the last, both under the payment's lock.
///
/// It is looked for by payment, which the words leave as the only way (`OFFSET 0` makes it no
/// join): the database may think that little waits, and then looks through all of it, each time.
pub(crate) async fn delivery_claim_due(
    session: &Session,
    now: Timestamp,
    lease_until: Timestamp,
    limit: usize,
    busy: &[String],
) -> Result<Vec<Delivery>, Fault> {
    let sql = select!(
        "delivery_claim_due",
        "WHERE d.state = 'waiting' AND d.next_attempt_at <= $1
            AND d.receiver <> ALL ($3::text[])
            AND NOT EXISTS (SELECT FROM deliveries e WHERE e.tx_id = d.tx_id
                AND d.delivery_id - e.delivery_id > 0
                AND e.state NOT IN ('delivered', 'given_up') OFFSET 0)
        ORDER BY d.next_attempt_at, d.delivery_id LIMIT $2
        FOR NO KEY UPDATE OF d SKIP LOCKED"
    );
    let rows = session.begin_rows(sql, &[&now.as_micros(), &limit_cell(limit), &busy]).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    let (mut keys, mut times) = (Vec::new(), Vec::new());
    for row in &rows {
        keys.push(key(row));
        match read(row) {
            Ok(delivery) => {
                times.push(lease_until.as_micros());
                claimed.push(Delivery { next_attempt_at: lease_until, ..delivery });
            }
            Err(error) => {
                tracing::error!(%error, "a delivery is due that cannot be read; it is put off");
                times.push(now.after(CORRUPT_PUT_OFF).as_micros());
            }
        }
    }
    if keys.is_empty() {
        session.commit().await?;
        return Ok(claimed);
    }
    let sql = "-- delivery_claim_due: lease
        UPDATE deliveries d SET next_attempt_at = lease.at
        FROM unnest($1::bigint[], $2::bigint[]) AS lease (delivery_id, at)
        WHERE d.delivery_id = lease.delivery_id";
    session.run_and_commit(sql, &[&keys, &times]).await?;
    Ok(claimed)
}

pub(crate) async fn delivery_record(
    session: &Session,
    claimed: &Delivery,
    outcome: &AttemptOutcome,
    attempt: &Lines,
    now: Timestamp,
) -> Result<(), Fault> {
    let sql = select!("delivery_record", "WHERE d.delivery_id = $1 FOR NO KEY UPDATE");
    let row = session.begin_row(sql, &[&claimed.delivery_id]).await?;
    let stored = read(&row.ok_or(StoreError::Missing { table: TABLE })?)?;
    let next = stored.after(claimed, outcome);
    let nothing = Lines::default();
    let lines = if outcome.counts() { attempt } else { &nothing };
    let sql = "-- delivery_record: write
        WITH changed AS (
            UPDATE deliveries SET attempts = $2, next_attempt_at = $3, state = $4
            WHERE delivery_id = $1)
        INSERT INTO events (tx_id, at, kind, detail)
        SELECT $5, $6, line.kind, line.detail FROM unnest($7::text[], $8::text[])
            AS line (kind, detail)";
    let (attempts, at) = (i64::from(next.attempts), next.next_attempt_at.as_micros());
    session
        .run_and_commit(
            sql,
            &[
                &next.delivery_id,
                &attempts,
                &at,
                &next.state.as_str(),
                &next.tx_id.get(),
                &now.as_micros(),
                &lines.kinds,
                &lines.details,
            ],
        )
        .await
}

pub(crate) async fn deliveries_of(session: &Session, tx_id: TxId) -> Result<Vec<Delivery>, Fault> {
    let sql = select!("deliveries_of", "WHERE d.tx_id = $1 ORDER BY d.delivery_id");
    let rows = session.rows(sql, &[&tx_id.get()]).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Under the payment's lock, so that the last delivery is still the last when it is due.
pub(crate) async fn delivery_again(
    session: &Session,
    tx_id: TxId,
    now: Timestamp,
) -> Result<bool, Fault> {
    let sql = "-- delivery_again: lock
        SELECT tx_id FROM payments WHERE tx_id = $1 FOR NO KEY UPDATE";
    session.begin_row(sql, &[&tx_id.get()]).await?;
    let sql = "-- delivery_again
        UPDATE deliveries SET state = 'waiting', next_attempt_at = $2
        WHERE delivery_id = (SELECT max(delivery_id) FROM deliveries WHERE tx_id = $1)";
    let changed = session.run(sql, &[&tx_id.get(), &now.as_micros()]).await?;
    session.commit().await?;
    Ok(changed > 0)
}
