//! Archives: what leaves the store for files, and comes back.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::rows::{self, ARCHIVES, EVENTS, PAYMENTS, RowReader, SqlRow};
use gopay_store::spelling::{CALL, DETAIL};
use gopay_store::{Archive, Filed, FiledEvent, Leaving, StoreError, archive_columns};

use crate::error::DbError;
use crate::row::{Cells, PgRow, key, limit_cell, read_all, read_opt};
use crate::session::Session;
use crate::shards::{self, shard};

/// What [`gopay_store::Upkeep::archivable`] says of a payment `p` with its call `q`, of which nothing
/// may be younger than `$1`.
macro_rules! archivable {
    ($name:literal, $from:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            $from,
            " JOIN payment_requests q ON q.shard = p.shard AND q.tx_id = p.tx_id
            WHERE p.state IN ('succeeded', 'failed') AND p.final_at < $1
                AND p.next_check_at IS NULL AND p.at_risk_sen IS NULL AND q.archive IS NULL
                AND NOT EXISTS (SELECT FROM refunds r
                    WHERE r.shard = p.shard AND r.tx_id = p.tx_id
                    AND (r.state = 'unresolved' OR r.next_check_at IS NOT NULL
                        OR r.resolved_at >= $1))
                AND NOT EXISTS (SELECT FROM deliveries d
                    WHERE d.shard = p.shard AND d.tx_id = p.tx_id AND d.state <> 'delivered')
                AND NOT EXISTS (SELECT FROM unknown_orders o
                    WHERE o.shard = p.shard AND o.tx_id = p.tx_id AND o.resolved_at IS NULL)
            ",
            $rest
        )
    };
}

pub(crate) async fn archivable(
    session: &Session,
    ids: &Range<i64>,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<TxId>, DbError> {
    let sql = archivable!(
        "archivable",
        "\nSELECT p.tx_id FROM payments p",
        "AND p.shard = $5 AND p.tx_id >= $2 AND p.tx_id < $3 ORDER BY p.tx_id LIMIT $4"
    );
    let (before, most) = (before.as_micros(), limit_cell(limit));
    let mut found = Vec::new();
    for shard in shards::known(session).await? {
        let rows = session.rows(sql, &[&before, &ids.start, &ids.end, &most, &shard]).await?;
        found.extend(read_all(&rows, tx_id)?);
    }
    found.sort_unstable();
    found.truncate(limit);
    Ok(found)
}

fn tx_id(row: &dyn SqlRow) -> Result<TxId, StoreError> {
    RowReader::new(row, PAYMENTS.name).tx_id()
}

/// The payments of a list, with their shards.
const WANTED: &str = "(SELECT DISTINCT ((tx_id >> 12) & 1023)::smallint AS shard, tx_id
    FROM unnest($1::bigint[]) AS wanted (tx_id)) wanted";

static READ_CALLS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "-- archive_read: calls
        SELECT tx_id, request FROM {WANTED} JOIN payment_requests USING (shard, tx_id)"
    )
});

static READ_TRAILS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "-- archive_read: trails
        SELECT tx_id, seq, at, kind, detail FROM {WANTED} JOIN events USING (shard, tx_id)
        ORDER BY tx_id, seq"
    )
});

static READ_PAYMENTS: LazyLock<String> = LazyLock::new(|| {
    let names = PAYMENTS.names();
    format!(
        "-- archive_read: payments
        SELECT {names} FROM {WANTED} JOIN payments USING (shard, tx_id) ORDER BY tx_id"
    )
});

/// The trail of a payment comes with its rows' ids in another statement, so both are read in one
/// snapshot.
pub(crate) async fn archive_read(
    session: &Session,
    tx_ids: &Vec<i64>,
) -> Result<Vec<Filed>, DbError> {
    session.begin_snapshot().await?;
    let payments = session.rows(&READ_PAYMENTS, &[tx_ids]).await?;
    let calls = session.rows(&READ_CALLS, &[tx_ids]).await?;
    let records = session.rows(&READ_TRAILS, &[tx_ids]).await?;
    session.commit().await?;
    let mut calls: BTreeMap<i64, String> = calls
        .iter()
        .map(|row| rows::payment_request(&PgRow(row)).map(|call| (key(row), call)))
        .collect::<Result<_, _>>()?;
    let mut trails: BTreeMap<i64, Vec<FiledEvent>> = BTreeMap::new();
    for row in &records {
        trails.entry(key(row)).or_default().push(record(row)?);
    }
    let payments = read_all(&payments, rows::payment_as_it_is)?;
    let filed = payments.into_iter().map(|(tx_id, payment)| {
        let call = calls.remove(&tx_id.get());
        let call = call.ok_or(StoreError::Missing { table: rows::PAYMENT_REQUESTS.name })?;
        let events = trails.remove(&tx_id.get()).unwrap_or_default();
        Ok::<_, StoreError>(Filed { tx_id, payment, call, events })
    });
    Ok(filed.collect::<Result<_, _>>()?)
}

/// A row that begins with the id.
fn record(row: &tokio_postgres::Row) -> Result<FiledEvent, StoreError> {
    let row = PgRow(row);
    let mut row = RowReader::new(&row, EVENTS.name);
    row.tx_id()?;
    Ok(FiledEvent {
        seq: row.int("seq")?,
        at: row.time("at")?,
        kind: row.text("kind")?,
        detail: DETAIL.lengthen(row.text("detail")?),
    })
}

const ARCHIVES_READ: &str =
    concat!("-- archives\nSELECT ", archive_columns!(), " FROM archives ORDER BY archive");

pub(crate) async fn archives(session: &Session) -> Result<Vec<Archive>, DbError> {
    Ok(read_all(&session.rows(ARCHIVES_READ, &[]).await?, rows::archive)?)
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (ARCHIVES.names(), ARCHIVES.places('$'));
    format!("-- archive_begin\nINSERT INTO archives ({names}) VALUES ({places})")
});

/// Two that begin the same at once: the key leaves one.
pub(crate) async fn archive_begin(session: &Session, archive: &Archive) -> Result<(), DbError> {
    let known = read_all(&session.begin_rows(ARCHIVES_READ, &[]).await?, rows::archive)?;
    let next = known.last().map_or(1, |last| last.number.saturating_add(1));
    if archive.number != next || known.iter().any(|one| one.ended_at.is_none()) {
        return Err(StoreError::Conflict.into());
    }
    let cells = Cells::of(rows::archive_cells(archive)?);
    session.run_and_commit(&INSERT, &cells.values()).await
}

/// Begins a transaction with an archive that has not ended.
async fn begin_open(session: &Session, number: i64) -> Result<Archive, DbError> {
    let sql = concat!(
        "-- archives: lock\nSELECT ",
        archive_columns!(),
        " FROM archives WHERE archive = $1 AND ended_at IS NULL FOR NO KEY UPDATE"
    );
    let row = session.begin_row(sql, &[&number]).await?;
    let open = read_opt(row.as_ref(), rows::archive)?;
    Ok(open.ok_or(StoreError::Missing { table: ARCHIVES.name })?)
}

/// The payments are locked, so that none becomes another while it is looked at; of their records those
/// alone are taken that are in the archive.
pub(crate) async fn archive_take(
    session: &Session,
    number: i64,
    leaving: &[Leaving],
) -> Result<u64, DbError> {
    let before = begin_open(session, number).await?.before.as_micros();
    let wanted: Vec<i64> = leaving.iter().map(|one| one.tx_id.get()).collect();
    let sql = archivable!(
        "archive_take: may they",
        "\nSELECT p.tx_id FROM unnest($2::bigint[]) AS wanted (tx_id)
            JOIN payments p ON p.shard = (wanted.tx_id >> 12) & 1023 AND p.tx_id = wanted.tx_id",
        "ORDER BY p.tx_id FOR NO KEY UPDATE OF p, q"
    );
    let rows = session.rows(sql, &[&before, &wanted]).await?;
    let may: Vec<i64> = rows.iter().map(key).collect();
    let (mut ids, mut seqs) = (Vec::<i64>::new(), Vec::<i64>::new());
    let (mut called, mut calls) = (Vec::new(), Vec::new());
    for one in leaving.iter().filter(|one| may.contains(&one.tx_id.get())) {
        called.push(one.tx_id.get());
        calls.push(CALL.shorten(&one.call).into_owned());
        ids.extend(one.seqs.iter().map(|_| one.tx_id.get()));
        seqs.extend(&one.seqs);
    }
    let taken = limit_cell(called.len());
    let records = "-- archive_take: records
        DELETE FROM events e USING unnest($1::bigint[], $2::bigint[]) AS gone (tx_id, seq)
        WHERE e.shard = (gone.tx_id >> 12) & 1023 AND e.tx_id = gone.tx_id AND e.seq = gone.seq";
    let shortened = "-- archive_take: calls
        UPDATE payment_requests q SET request = short.call, archive = $3
        FROM unnest($1::bigint[], $2::text[]) AS short (tx_id, call)
        WHERE q.shard = (short.tx_id >> 12) & 1023 AND q.tx_id = short.tx_id";
    let count = "-- archive_take: count
        UPDATE archives SET taken = taken + $2 WHERE archive = $1";
    session
        .run_all_and_commit([
            Some((records, vec![&ids, &seqs])),
            Some((shortened, vec![&called, &calls, &number])),
            Some((count, vec![&number, &taken])),
        ])
        .await?;
    Ok(u64::try_from(taken).unwrap_or_default())
}

pub(crate) async fn archive_end(
    session: &Session,
    number: i64,
    at: Timestamp,
) -> Result<(), DbError> {
    begin_open(session, number).await?;
    let sql = "-- archive_end
        UPDATE archives SET ended_at = $2 WHERE archive = $1";
    session.run_and_commit(sql, &[&number, &at.as_micros()]).await
}

pub(crate) async fn archive_of(session: &Session, tx_id: TxId) -> Result<Option<i64>, DbError> {
    let sql = "-- archive_of
        SELECT archive FROM payment_requests
        WHERE shard = $1 AND tx_id = $2 AND archive IS NOT NULL";
    Ok(session.row(sql, &[&shard(tx_id), &tx_id.get()]).await?.as_ref().map(key))
}

/// Numbers of records are drawn from one sequence, so what came since is behind what comes back.
pub(crate) async fn archive_give_back(
    session: &Session,
    number: i64,
    filed: &[Filed],
) -> Result<u64, DbError> {
    let wanted: Vec<i64> = filed.iter().map(|one| one.tx_id.get()).collect();
    let sql = "-- archive_give_back: lock
        SELECT q.tx_id FROM unnest($1::bigint[]) AS wanted (tx_id) JOIN payment_requests q
            ON q.shard = (wanted.tx_id >> 12) & 1023 AND q.tx_id = wanted.tx_id
        WHERE q.archive = $2 ORDER BY q.tx_id FOR NO KEY UPDATE OF q";
    let rows = session.begin_rows(sql, &[&wanted, &number]).await?;
    let theirs: Vec<i64> = rows.iter().map(key).collect();
    let (mut called, mut calls) = (Vec::new(), Vec::new());
    let (mut ids, mut seqs, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let (mut kinds, mut details) = (Vec::new(), Vec::new());
    for one in filed.iter().filter(|one| theirs.contains(&one.tx_id.get())) {
        called.push(one.tx_id.get());
        calls.push(CALL.shorten(&one.call).into_owned());
        for event in &one.events {
            ids.push(one.tx_id.get());
            seqs.push(event.seq);
            times.push(event.at.as_micros());
            kinds.push(event.kind.as_str());
            details.push(DETAIL.shorten(&event.detail).into_owned());
        }
    }
    let records = "-- archive_give_back: records
        INSERT INTO events (shard, tx_id, seq, at, kind, detail)
        SELECT (old.tx_id >> 12) & 1023, old.*
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])
            AS old (tx_id, seq, at, kind, detail)";
    let whole = "-- archive_give_back: calls
        UPDATE payment_requests q SET request = whole.call, archive = NULL
        FROM unnest($1::bigint[], $2::text[]) AS whole (tx_id, call)
        WHERE q.shard = (whole.tx_id >> 12) & 1023 AND q.tx_id = whole.tx_id";
    session
        .run_all_and_commit([
            Some((records, vec![&ids, &seqs, &times, &kinds, &details])),
            Some((whole, vec![&called, &calls])),
        ])
        .await?;
    Ok(u64::try_from(called.len()).unwrap_or_default())
}
