//! The statements of a group: each does for many rows what `payments`, `events` and `deliveries`
//! do for one.
//!
//! Rows that others hold are skipped, so that a group waits for nobody but for uncommitted
//! payments of the same nonce; and those are inserted in one order by everybody.

use std::sync::LazyLock;

use gopay_store::StoreError;
use gopay_store::rows::{self, Cell, DELIVERIES, PAYMENT_KEYS, PAYMENT_REQUESTS, PAYMENTS, SqlRow};
use tokio_postgres::Row;

use super::decide::LockedRows;
use super::step::{Creation, Step};
use crate::error::DbError;
use crate::journal::NewEntries;
use crate::row::{Columns, PgRow, insert_in_order, insert_many, key, update_many};
use crate::session::{Ended, Session, Statement};
use crate::statement::Value;
use crate::sums::NewSums;
use crate::{deliveries, payments};

/// What a group begins with.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    shard: i16,
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
    fn values<'v>(&'v self, shard: &'v i16) -> Vec<Value<'v>> {
        vec![shard, &self.0]
    }
}

impl<'a> Wanted<'a> {
    pub(crate) fn of(shard: i16, steps: &'a [Step]) -> Self {
        let mut wanted = Self { shard, ..Self::default() };
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
            (&payment.contract, payment.nonce.as_ref().map(|nonce| &nonce.value), payment.tx_id)
        });
        wanted
    }
}

/// Begins the transaction: inserts, locks and looks up.
pub(crate) async fn begin(session: &Session, wanted: &Wanted<'_>) -> Result<LockedRows, DbError> {
    let mut inserts = Columns::new(PAYMENTS.columns.len());
    for creation in &wanted.creations {
        inserts.push(rows::payment_cells(&creation.payment)?);
    }
    let Wanted { shard, locks, looks, deliveries, .. } = wanted;
    let reads = [
        (!inserts.is_empty()).then(|| (INSERT.as_str(), inserts.values())),
        (!locks.0.is_empty()).then(|| (payments::LOCK_MANY, locks.values(shard))),
        (!looks.0.is_empty()).then(|| (LOOK, looks.values(shard))),
        (!deliveries.0.is_empty()).then(|| (deliveries::LOCK_MANY, deliveries.values(shard))),
    ];
    let rows = session.begin_all(reads).await?;
    let [created, locked, known, owed] = rows;
    Ok(LockedRows {
        created: created.iter().map(key).collect(),
        payments: by_key(&locked, rows::payment),
        known: known.iter().map(key).collect(),
        deliveries: by_key(&owed, rows::delivery),
        ..LockedRows::default()
    })
}

/// Those that parse; the others are not there for a group.
fn by_key<T, M: FromIterator<(i64, T)>>(
    rows: &[Row],
    read: fn(&dyn SqlRow) -> Result<T, StoreError>,
) -> M {
    rows.iter().filter_map(|row| Some((key(row), read(&PgRow(row)).ok()?))).collect()
}

/// Writes what was decided and commits.
pub(crate) async fn write_and_commit(session: &Session, shard: i16, found: &LockedRows) -> Ended {
    match Writes::of(session, shard, found) {
        Ok(writes) => session.write_all_and_commit(writes.statements()).await,
        Err(_) => Ended::Undone,
    }
}

/// Everything that a group writes, by table.
struct Writes<'a> {
    shard: i16,
    requests: Columns<'a>,
    keys: Columns<'a>,
    changes: Columns<'a>,
    owed: Columns<'a>,
    attempts: Columns<'a>,
    records: Columns<'a>,
    entries: NewEntries<'a>,
    sums: NewSums<'a>,
}

impl<'a> Writes<'a> {
    fn of(session: &Session, shard: i16, found: &'a LockedRows) -> Result<Self, StoreError> {
        let decided = &found.writes;
        let mut requests = Columns::new(PAYMENT_REQUESTS.columns.len());
        for (tx_id, request) in &decided.requests {
            requests.push([(*tx_id).into(), request.as_str().into(), Cell::Null]);
        }
        let mut keys = Columns::new(PAYMENT_KEYS.columns.len());
        for (tx_id, key) in &decided.keys {
            keys.push(rows::payment_key_cells(*tx_id, key));
        }
        let mut changes = Columns::new(PAYMENTS.changes().len());
        for payment in decided.payments.iter().filter_map(|tx_id| found.payments.get(tx_id)) {
            changes.push(rows::payment_changes(payment)?);
        }
        let mut owed = Columns::new(DELIVERIES.without_key().columns.len());
        for (delivery, due_at) in &decided.owed {
            owed.push(rows::owed_cells(delivery, *due_at));
        }
        let mut attempts = Columns::new(DELIVERIES.changes().len());
        for delivery in decided.deliveries.iter().filter_map(|id| found.deliveries.get(id)) {
            attempts.push(rows::delivery_changes(delivery));
        }
        let mut records = Columns::new(4);
        for record in &decided.records {
            let row: [Cell<'_>; 4] = [
                record.tx_id.get().into(),
                record.at.into(),
                record.kind.into(),
                record.detail.as_str().into(),
            ];
            records.push(row);
        }
        let entries = NewEntries::of(&decided.entries);
        let sums = NewSums::new(session, &decided.sums);
        Ok(Self { shard, requests, keys, changes, owed, attempts, records, entries, sums })
    }

    /// The journal's is the last but one: it holds what other groups of the shard wait for.
    fn statements(&self) -> [Option<Statement<'_>>; 8] {
        let Self { shard, requests, keys, changes, owed, attempts, records, entries, sums } = self;
        [
            write(&REQUEST, requests),
            write(&KEYS, keys),
            write_in(shard, &UPDATE, changes),
            write_in(shard, &OWE, owed),
            write_in(shard, &RECORD, attempts),
            write_in(shard, APPEND, records),
            entries.statement(),
            sums.statement(),
        ]
    }
}

/// A statement, if there is anything to write.
fn write<'v>(sql: &'v str, columns: &'v Columns<'_>) -> Option<Statement<'v>> {
    (!columns.is_empty()).then(|| (sql, columns.values()))
}

/// The same of a statement whose first value is the shard.
fn write_in<'v>(shard: &'v i16, sql: &'v str, columns: &'v Columns<'_>) -> Option<Statement<'v>> {
    let first: Value<'v> = shard;
    (!columns.is_empty()).then(|| (sql, [first].into_iter().chain(columns.values()).collect()))
}

const LOOK: &str = "-- group: payments that are there
    SELECT tx_id FROM payments WHERE shard = $1 AND tx_id = ANY ($2::bigint[])";

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let insert = insert_many(&PAYMENTS);
    format!("-- group: payments\n{insert} ON CONFLICT DO NOTHING RETURNING tx_id")
});

static REQUEST: LazyLock<String> =
    LazyLock::new(|| format!("-- group: requests\n{}", insert_many(&PAYMENT_REQUESTS)));

static KEYS: LazyLock<String> =
    LazyLock::new(|| format!("-- group: keys\n{}", insert_many(&PAYMENT_KEYS)));

static UPDATE: LazyLock<String> =
    LazyLock::new(|| format!("-- group: changes\n{}", update_many(&PAYMENTS)));

static OWE: LazyLock<String> = LazyLock::new(|| {
    format!("-- group: deliveries owed\n{}", insert_in_order(&DELIVERIES.without_key()))
});

static RECORD: LazyLock<String> =
    LazyLock::new(|| format!("-- group: deliveries tried\n{}", update_many(&DELIVERIES)));

const APPEND: &str = "-- group: events
    INSERT INTO events (shard, tx_id, at, kind, detail)
    SELECT $1, record.tx_id, record.at, record.kind, record.detail
    FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[])
        WITH ORDINALITY AS record (tx_id, at, kind, detail, place)
    ORDER BY record.place";
