//! The log by this VFS beside SQLite's own.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE
    .union(OpenFlags::SQLITE_OPEN_CREATE)
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

fn ours(path: &Path) -> Connection {
    let vfs = crate::register().expect("it is registered");
    let db = Connection::open_with_flags_and_vfs(path, FLAGS, vfs).expect("it opens");
    db.pragma_update(None, "journal_mode", "WAL").expect("it has a log");
    db.pragma_update(None, "wal_autocheckpoint", 0).expect("no copies but by command");
    db
}

fn own(path: &Path) -> Connection {
    Connection::open_with_flags(path, FLAGS).expect("it opens")
}

fn rows(db: &Connection) -> Vec<(i64, Vec<u8>)> {
    let mut statement = db.prepare("SELECT id, value FROM things ORDER BY id").expect("good SQL");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("it reads");
    rows.collect::<Result<_, _>>().expect("all rows read")
}

/// Calls of this thread that wrote.
fn writes() -> u64 {
    let counts = fs::read_to_string("/proc/thread-self/io").expect("the system counts");
    let count = counts.lines().find_map(|line| line.strip_prefix("syscw: ")).expect("it is there");
    count.parse().expect("a number")
}

#[test]
fn a_commit_of_many_pages_is_two_writes() {
    let folder = TempDir::new().expect("a folder");
    let db = ours(&folder.path().join("store.db"));
    db.execute_batch("CREATE TABLE things (id INTEGER PRIMARY KEY, value BLOB)").expect("made");
    let before = writes();
    for _ in 0..10 {
        db.execute_batch(
            "BEGIN; INSERT INTO things (value) WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL \
             SELECT i + 1 FROM n WHERE i < 20) SELECT zeroblob(4000) FROM n; COMMIT",
        )
        .expect("written");
    }
    assert_eq!(writes() - before, 20);
}

/// One thing that happens to a store.
#[derive(Clone, Debug)]
enum Act {
    /// Rows of so many bytes in one transaction, which ends well or is rolled back.
    Insert {
        rows: u8,
        bytes: u16,
        commit: bool,
    },
    /// Rows go.
    Delete {
        below: u8,
    },
    /// A savepoint is rolled back within a transaction that ends well.
    Undo {
        bytes: u16,
    },
    Checkpoint(&'static str),
    /// The connection ends and another begins.
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..40_u8, 1..9000_u16, any::<bool>())
            .prop_map(|(rows, bytes, commit)| Act::Insert { rows, bytes, commit }),
        1 => any::<u8>().prop_map(|below| Act::Delete { below }),
        2 => (1..60_000_u16).prop_map(|bytes| Act::Undo { bytes }),
        1 => prop_oneof![Just("PASSIVE"), Just("RESTART"), Just("TRUNCATE")]
            .prop_map(Act::Checkpoint),
        1 => Just(Act::Reopen),
    ]
}

fn perform(db: &Connection, act: &Act) {
    let insert = |rows: u8, bytes: u16| {
        for _ in 0..rows {
            db.execute("INSERT INTO things (value) VALUES (zeroblob(?1))", [bytes])
                .expect("written");
        }
    };
    match act {
        Act::Insert { rows, bytes, commit } => {
            db.execute_batch("BEGIN").expect("begun");
            insert(*rows, *bytes);
            db.execute_batch(if *commit { "COMMIT" } else { "ROLLBACK" }).expect("ended");
        }
        Act::Delete { below } => {
            db.execute("DELETE FROM things WHERE id < ?1", [below]).expect("gone");
        }
        Act::Undo { bytes } => {
            db.execute_batch("BEGIN").expect("begun");
            insert(3, *bytes);
            db.execute_batch("SAVEPOINT inner").expect("begun");
            insert(5, *bytes);
            db.execute_batch("ROLLBACK TO inner; RELEASE inner; COMMIT").expect("ended");
        }
        Act::Checkpoint(how) => {
            db.query_one(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(())).expect("copied");
        }
        Act::Reopen => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// After each act another connection, of SQLite's own VFS, reads what a twin without this VFS
    /// holds; so does a copy of both files, as a power cut would leave them. Few pages fit the
    /// cache, so that transactions spill into the log and read from it; with `OFF` nothing is
    /// synced, and what is committed must be seen all the same.
    #[test]
    fn readers_and_copies_see_each_commit(
        acts in prop::collection::vec(act(), 1..20),
        cache in prop_oneof![Just(3), Just(2000)],
        synchronous in prop_oneof![Just("OFF"), Just("NORMAL"), Just("FULL")],
    ) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("store.db");
        let open = || {
            let db = ours(&path);
            db.pragma_update(None, "cache_size", cache).expect("set");
            db.pragma_update(None, "synchronous", synchronous).expect("set");
            db
        };
        let (mut db, twin) = (open(), Connection::open_in_memory().expect("it opens"));
        for db in [&db, &twin] {
            db.execute_batch("CREATE TABLE things (id INTEGER PRIMARY KEY, value BLOB)").expect("made");
        }
        let reader = own(&path);
        for (number, act) in acts.iter().enumerate() {
            if matches!(act, Act::Reopen) {
                drop(db);
                db = open();
            } else {
                perform(&db, act);
                if !matches!(act, Act::Checkpoint(_)) {
                    perform(&twin, act);
                }
            }
            let expected = rows(&twin);
            prop_assert!(rows(&reader) == expected, "after {act:?}");
            let copy = folder.path().join(format!("copy-{number}.db"));
            fs::copy(&path, &copy).expect("copied");
            let log = folder.path().join("store.db-wal");
            if log.exists() {
                fs::copy(log, folder.path().join(format!("copy-{number}.db-wal"))).expect("copied");
            }
            let copy = own(&copy);
            prop_assert!(rows(&copy) == expected, "in a copy after {act:?}");
            let sound: String = copy.query_one("PRAGMA integrity_check", [], |row| row.get(0)).expect("read");
            prop_assert_eq!(sound, "ok");
        }
    }
}
