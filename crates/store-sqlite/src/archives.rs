//! Archives: what leaves the store for files, and comes back.

use std::ops::Range;
use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::rows::{self, ARCHIVES, PAYMENTS, RowReader};
use gopay_store::spelling::{DETAIL, unshortened};
use gopay_store::{Archive, Filed, Leaving, StoreError, archive_columns};
use rusqlite::{Connection, params};

use crate::query::{all, first, limit_cell, write, write_cells};

/// What [`gopay_store::Upkeep::archivable`] says of a payment `p` with its call `q`, of which nothing
/// may be younger than `?1`.
macro_rules! archivable {
    ($name:literal, $what:literal, $which:literal) => {
        concat!(
            "-- ",
            $name,
            "\nSELECT ",
            $what,
            " FROM payments p JOIN payment_requests q ON q.tx_id = p.tx_id
            WHERE ",
            $which,
            " AND (p.state = 'succeeded' OR p.state = 'failed') AND p.final_at < ?1
                AND p.next_check_at IS NULL AND p.at_risk_sen IS NULL AND q.archive IS NULL
                AND NOT EXISTS (SELECT 1 FROM refunds r WHERE r.tx_id = p.tx_id
                    AND (r.state = 'unresolved' OR r.next_check_at IS NOT NULL
                        OR r.resolved_at >= ?1))
                AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.tx_id = p.tx_id
                    AND d.state <> 'delivered')
                AND NOT EXISTS (SELECT 1 FROM unknown_orders o WHERE o.tx_id = p.tx_id
                    AND o.resolved_at IS NULL)"
        )
    };
}

pub(crate) fn archivable(
    db: &Connection,
    ids: &Range<i64>,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<TxId>, StoreError> {
    let sql = concat!(
        archivable!("archivable", "p.tx_id", "p.tx_id >= ?2 AND p.tx_id < ?3"),
        "\nORDER BY p.tx_id LIMIT ?4"
    );
    let params = params![before.as_micros(), ids.start, ids.end, limit_cell(limit)];
    all(db, sql, params, |row| RowReader::new(row, PAYMENTS.name).tx_id())
}

static READ_PAYMENT: LazyLock<String> = LazyLock::new(|| {
    format!("-- archive_read: payment\nSELECT {} FROM payments WHERE tx_id = ?1", PAYMENTS.names())
});

pub(crate) fn archive_read(db: &Connection, tx_ids: &[TxId]) -> Result<Vec<Filed>, StoreError> {
    let mut filed = Vec::with_capacity(tx_ids.len());
    for tx_id in tx_ids {
        let key = params![tx_id.get()];
        let Some((tx_id, payment)) = first(db, &READ_PAYMENT, key, rows::payment_as_it_is)? else {
            continue;
        };
        let call = crate::payments::payment_request(db, tx_id)?;
        let sql = "-- archive_read: trail
            SELECT seq, at, kind, detail FROM events WHERE tx_id = ?1 ORDER BY seq";
        let events = all(db, sql, params![tx_id.get()], rows::filed_event)?;
        filed.push(Filed { tx_id, payment, call, events });
    }
    Ok(filed)
}

pub(crate) fn archives(db: &Connection) -> Result<Vec<Archive>, StoreError> {
    let sql = concat!(
        "-- archives\nSELECT ",
        archive_columns!(),
        " FROM archives WHERE archive > 0 ORDER BY archive"
    );
    all(db, sql, [], rows::archive)
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (ARCHIVES.names(), ARCHIVES.places('?'));
    format!("-- archive_begin\nINSERT INTO archives ({names}) VALUES ({places})")
});

pub(crate) fn archive_begin(db: &Connection, archive: &Archive) -> Result<(), StoreError> {
    let known = archives(db)?;
    let next = known.last().map_or(1, |last| last.number.saturating_add(1));
    if archive.number != next || known.iter().any(|one| one.ended_at.is_none()) {
        return Err(StoreError::Conflict);
    }
    write_cells(db, &INSERT, &rows::archive_cells(archive)?).map(|_| ())
}

/// An archive that has not ended.
fn open(db: &Connection, number: i64) -> Result<Archive, StoreError> {
    let found = archives(db)?.into_iter().find(|one| one.number == number);
    let open = found.filter(|one| one.ended_at.is_none());
    open.ok_or(StoreError::Missing { table: ARCHIVES.name })
}

pub(crate) fn archive_take(
    db: &Connection,
    number: i64,
    leaving: &[Leaving],
) -> Result<u64, StoreError> {
    let before = open(db, number)?.before.as_micros();
    let mut taken = 0_u64;
    for Leaving { tx_id, seqs, call } in leaving {
        let sql = archivable!("archive_take: may it", "p.tx_id", "p.tx_id = ?2");
        if first(db, sql, params![before, tx_id.get()], |_| Ok(()))?.is_none() {
            continue;
        }
        for seq in seqs {
            let sql = "-- archive_take: record
                DELETE FROM events WHERE tx_id = ?1 AND seq = ?2";
            write(db, sql, params![tx_id.get(), seq])?;
        }
        let sql = "-- archive_take: call
            UPDATE payment_requests SET request = ?2, archive = ?3 WHERE tx_id = ?1";
        write(db, sql, params![tx_id.get(), unshortened(call), number])?;
        taken = taken.saturating_add(1);
    }
    let sql = "-- archive_take: count
        UPDATE archives SET taken = taken + ?2 WHERE archive = ?1";
    write(db, sql, params![number, i64::try_from(taken).unwrap_or(i64::MAX)])?;
    Ok(taken)
}

pub(crate) fn archive_end(db: &Connection, number: i64, at: Timestamp) -> Result<(), StoreError> {
    open(db, number)?;
    let sql = "-- archive_end
        UPDATE archives SET ended_at = ?2 WHERE archive = ?1";
    write(db, sql, params![number, at.as_micros()]).map(|_| ())
}

pub(crate) fn archive_of(db: &Connection, tx_id: TxId) -> Result<Option<i64>, StoreError> {
    let sql = "-- archive_of
        SELECT archive FROM payment_requests WHERE tx_id = ?1 AND archive IS NOT NULL";
    first(db, sql, params![tx_id.get()], |row| RowReader::new(row, ARCHIVES.name).int("archive"))
}

pub(crate) fn archive_give_back(
    db: &Connection,
    number: i64,
    filed: &[Filed],
) -> Result<u64, StoreError> {
    let mut given = 0_u64;
    for one in filed {
        let tx_id = one.tx_id.get();
        if archive_of(db, one.tx_id)? != Some(number) {
            continue;
        }
        // What came since was numbered from 1 on again. First out of the way, since keys are compared
        // row by row.
        let last = one.events.iter().map(|event| event.seq).max().unwrap_or(0);
        for (by, sql) in [
            (
                -1,
                "-- archive_give_back: aside
                UPDATE events SET seq = seq * ?2 WHERE tx_id = ?1",
            ),
            (
                last,
                "-- archive_give_back: behind
                UPDATE events SET seq = ?2 - seq WHERE tx_id = ?1",
            ),
        ] {
            write(db, sql, params![tx_id, by])?;
        }
        for event in &one.events {
            let sql = "-- archive_give_back: record
                INSERT INTO events (tx_id, seq, at, kind, detail) VALUES (?1, ?2, ?3, ?4, ?5)";
            let params = params![
                tx_id,
                event.seq,
                event.at.as_micros(),
                event.kind,
                DETAIL.shorten(&event.detail)
            ];
            write(db, sql, params)?;
        }
        let sql = "-- archive_give_back: call
            UPDATE payment_requests SET request = ?2, archive = NULL WHERE tx_id = ?1";
        write(db, sql, params![tx_id, unshortened(&one.call)])?;
        given = given.saturating_add(1);
    }
    Ok(given)
}
