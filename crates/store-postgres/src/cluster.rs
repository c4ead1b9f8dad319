//! A PostgreSQL of its own for tests, benchmarks and load tools: made in a temporary folder by the
//! system's `initdb`, reached through a Unix socket in it, gone when the process ends.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gopay_store::StoreError;

use crate::connect::DatabaseUrl;
use crate::error::{down, store_error};
use crate::schema;

/// A running cluster. A shell beside it stops it and removes its folder when this is dropped, and
/// also when this process ends in any other way.
pub struct Cluster {
    folder: PathBuf,
    /// Its input is a pipe that closes with us.
    keeper: Child,
    next: AtomicU32,
}

/// How the server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// What runs is rolled back, and everything is written down.
    Orderly,
    /// At once; the next start recovers from the log.
    Crash,
}

/// How long a start or stop may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether commits wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production.
    On,
    /// For tests of what is stored, not of what survives.
    Off,
}

impl Cluster {
    /// Makes and starts a cluster; none if this machine has no PostgreSQL, which is said loudly.
    ///
    /// # Errors
    /// If the environment variable `CI` is set and there is no PostgreSQL, or it does not start.
    pub fn start(durability: Durability) -> Result<Option<Self>, StoreError> {
        let Some(programs) = programs() else {
            if std::env::var_os("CI").is_some() {
                return Err(down("PostgreSQL is not installed (no initdb), and CI is set"));
            }
            say("\n*** SKIPPED: PostgreSQL is not installed; nothing was tested on it ***\n");
            return Ok(None);
        };
        Self::make(&programs, durability, None).map(Some)
    }

    /// Starts a standby of this server, which follows it until it is promoted. Commits wait for it
    /// from now on.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn standby(&self) -> Result<Self, StoreError> {
        let programs = programs().ok_or_else(|| down("PostgreSQL is not installed"))?;
        let standby = Self::make(&programs, Durability::On, Some(self))?;
        let sql = "ALTER SYSTEM SET synchronous_standby_names = '*'";
        self.run(&self.url("postgres"), sql).await?;
        self.run(&self.url("postgres"), "SELECT pg_reload_conf()").await?;
        let began = Instant::now();
        let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        while self.ask(&self.url("postgres"), sql).await? != "1" {
            if began.elapsed() > PATIENCE {
                return Err(down("the standby does not follow"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(standby)
    }

    /// Makes a primary of a standby. Returns when it takes writes.
    ///
    /// # Errors
    /// If it does not.
    pub async fn promote(&self) -> Result<(), StoreError> {
        let client = DatabaseUrl::parse(&self.url("postgres"))?.reader().await?;
        client.batch_execute("SELECT pg_promote()").await.map_err(store_error)
    }

    /// Stops the server's processes where they are, as when its machine stands still: connections stay
    /// open, new ones are taken by the system, and nobody answers.
    ///
    /// # Errors
    /// If the server is gone.
    pub fn freeze(&self) -> Result<(), StoreError> {
        self.signal("STOP")
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// As [`Self::freeze`].
    pub fn thaw(&self) -> Result<(), StoreError> {
        self.signal("CONT")
    }

    /// The server first: while it stands still it makes no more processes. Of these some may have ended
    /// by themselves.
    fn signal(&self, signal: &str) -> Result<(), StoreError> {
        let server = self.server_pid()?;
        let kill = |processes: &[&str]| {
            let mut kill = Command::new("kill");
            kill.arg(format!("-{signal}")).args(processes);
            kill.stderr(Stdio::null()).status().map_err(io)
        };
        if !kill(&[&server.to_string()])?.success() {
            return Err(down("the server is gone"));
        }
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        for child in children.map_err(io)?.split_whitespace() {
            kill(&[child])?;
        }
        Ok(())
    }

    fn make(
        programs: &Path,
        durability: Durability,
        follows: Option<&Self>,
    ) -> Result<Self, StoreError> {
        let owner = owner();
        let folder = tempfile::Builder::new()
            .prefix("gopay-pg-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .map_err(io)?
            .keep();
        chown(&folder, owner, None).map_err(io)?;
        let data = folder.join("data");
        let mut maker = match follows {
            None => {
                let mut initdb = Command::new(programs.join("initdb"));
                initdb.args(["--no-sync", "--auth=trust", "--username=gopay", "--locale=C"]);
                initdb.args(["--encoding=UTF8", "-D"]);
                initdb
            }
            Some(primary) => {
                let mut copier = Command::new(programs.join("pg_basebackup"));
                copier.args(["--no-sync", "--checkpoint=fast", "--write-recovery-conf"]);
                copier.args(["--username=gopay", "-h"]).arg(&primary.folder).arg("-D");
                copier
            }
        };
        let made = as_user(maker.arg(&data), owner).current_dir(&folder).output().map_err(io)?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr);
            return Err(down(format!("{}: {said}", maker.get_program().display())));
        }
        fs::write(folder.join("settings"), settings(&folder, durability)).map_err(io)?;
        let script = "cat settings >>data/postgresql.conf
            start() { \"$0\"/postgres -D data >>log 2>&1 & server=$!; }
            stop() { kill -$1 $server; kill -CONT $server; wait $server; }
            start
            while read -r order signal; do
                case $order in start) start;; stop) stop $signal;; esac
            done
            stop QUIT; rm -rf \"$PWD\"";
        let mut keeper = Command::new("sh");
        keeper.args(["-c", script]).arg(programs).current_dir(&folder);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own, so that an interrupt from the terminal does not end the keeper.
        let keeper = as_user(keeper.process_group(0), owner).spawn().map_err(io)?;
        let cluster = Self { folder, keeper, next: AtomicU32::new(0) };
        cluster.wait()?;
        Ok(cluster)
    }

    fn wait(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        let ready = self.folder.join("data/postmaster.pid");
        let is_ready = |text: String| text.contains("ready") || text.contains("standby");
        while !fs::read_to_string(&ready).is_ok_and(is_ready) {
            if began.elapsed() > PATIENCE {
                return Err(down(format!("PostgreSQL does not start: {}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Stops the server: connections end, and nobody can connect. Returns when it has ended.
    ///
    /// # Errors
    /// If it does not.
    pub fn stop(&self, manner: Manner) -> Result<(), StoreError> {
        let signal = match manner {
            Manner::Orderly => "INT",
            Manner::Crash => "QUIT",
        };
        self.order(&format!("stop {signal}\n"))?;
        let began = Instant::now();
        let sign = self.folder.join("data/postmaster.pid");
        while sign.exists() {
            if began.elapsed() > PATIENCE {
                return Err(down(format!("PostgreSQL does not stop: {}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Starts the server again after [`Self::stop`].
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_again(&self) -> Result<(), StoreError> {
        self.order("start\n")?;
        self.wait()
    }

    fn order(&self, line: &str) -> Result<(), StoreError> {
        let input = self.keeper.stdin.as_ref().ok_or_else(|| down("the keeper is gone"))?;
        let mut input: &std::process::ChildStdin = input;
        input.write_all(line.as_bytes()).map_err(io)
    }

    /// Keeps the files of a server that was stopped, for [`Self::put_back`].
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn copy_aside(&self) -> Result<(), StoreError> {
        self.copy("data", "copy")
    }

    /// Puts the files that were kept in the place of those of a server that was stopped, as who
    /// restores a backup does.
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn put_back(&self) -> Result<(), StoreError> {
        fs::remove_dir_all(self.folder.join("data")).map_err(io)?;
        self.copy("copy", "data")
    }

    fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let mut copier = Command::new("cp");
        copier.arg("-a").arg(self.folder.join(from)).arg(self.folder.join(to));
        let done = copier.status().map_err(io)?;
        if done.success() { Ok(()) } else { Err(down("the files cannot be copied")) }
    }

    /// What the server wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The process id of the server, to be stopped and continued in tests.
    ///
    /// # Errors
    /// If it is not running.
    pub fn server_pid(&self) -> Result<u32, StoreError> {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).map_err(io)?;
        let first = text.lines().next().and_then(|line| line.parse().ok());
        first.ok_or_else(|| down("the server has no process id"))
    }

    /// Where its socket is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The URL of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://gopay@/{database}?host={folder}")
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// If the server does not.
    pub async fn empty(&self) -> Result<String, StoreError> {
        let name = format!("t{}", self.next.fetch_add(1, Ordering::Relaxed));
        let client = DatabaseUrl::parse(&self.url("postgres"))?.client(Some("cluster")).await?;
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.map_err(store_error)?;
        Ok(self.url(&name))
    }

    /// Makes a database with the schema and returns its URL.
    ///
    /// # Errors
    /// If the server does not.
    pub async fn migrated(&self) -> Result<String, StoreError> {
        let url = self.empty().await?;
        schema::migrate(&DatabaseUrl::parse(&url)?).await?;
        Ok(url)
    }

    /// The same with every table that has the shard in its key in eight parts: what an engine that
    /// distributes tables would do with them, without one.
    ///
    /// # Errors
    /// If the server does not.
    pub async fn partitioned(&self) -> Result<String, StoreError> {
        let url = self.migrated().await?;
        let sql: String = PARTITIONED.iter().map(|table| in_parts(table)).collect();
        self.run(&url, &sql).await?;
        Ok(url)
    }

    /// Runs SQL in a database, for what no method of the store does.
    ///
    /// # Errors
    /// If the server refuses it.
    pub async fn run(&self, url: &str, sql: &str) -> Result<(), StoreError> {
        let client = DatabaseUrl::parse(url)?.client(Some("cluster")).await?;
        client.batch_execute(sql).await.map_err(store_error)
    }

    /// The first cell of the first row, as text.
    ///
    /// # Errors
    /// If the server refuses it, or there is none.
    pub async fn ask(&self, url: &str, sql: &str) -> Result<String, StoreError> {
        let client = DatabaseUrl::parse(url)?.client(Some("cluster")).await?;
        for message in client.simple_query(sql).await.map_err(store_error)? {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                return row.get(0).map(str::to_owned).ok_or_else(|| down("the cell is empty"));
            }
        }
        Err(down("no row"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It ends by itself; nothing depends on how.
        let _ = self.keeper.wait();
    }
}

/// The tables that have the shard in their keys.
const PARTITIONED: [&str; 11] = [
    "payments",
    "payment_requests",
    "payment_keys",
    "erasures",
    "events",
    "refunds",
    "deliveries",
    "unknown_orders",
    "journal",
    "journal_heads",
    "day_sums",
];

/// Makes a table of the migrated schema one of parts. A key without the shard is refused there; that of
/// nonces has none, and gets it, so a nonce is used once in a shard.
fn in_parts(table: &str) -> String {
    const PARTS: usize = 8;
    let nonces = match table {
        "payments" => {
            "DROP INDEX payments_nonce;
            CREATE UNIQUE INDEX ON payments (shard, contract, nonce) WHERE nonce IS NOT NULL;"
        }
        _ => "",
    };
    let parts: String = (0..PARTS)
        .map(|part| {
            format!(
                "CREATE TABLE {table}_part_{part} PARTITION OF {table}
                FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part});"
            )
        })
        .collect();
    format!(
        "{nonces} ALTER TABLE {table} RENAME TO whole;
        CREATE TABLE {table} (LIKE whole INCLUDING ALL) PARTITION BY HASH (shard);
        DROP TABLE whole; {parts}"
    )
}

fn settings(folder: &Path, durability: Durability) -> String {
    let common = format!(
        "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 300\n\
         shared_buffers = '128MB'\nlogging_collector = off\n",
        folder.display()
    );
    match durability {
        Durability::On => common + "min_wal_size = 1GB\nmax_wal_size = 4GB\n",
        Durability::Off => common + "fsync = off\nfull_page_writes = off\n",
    }
}

/// The folder of `initdb` and `postgres`.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    let both =
        |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    // A link on the PATH leads to the folder that has both.
    let real = on_path.and_then(|folder| fs::canonicalize(folder.join("initdb")).ok());
    let real = real.and_then(|program| program.parent().map(Path::to_path_buf)).filter(both);
    real.or_else(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut found: Vec<PathBuf> = versions
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .filter(both)
            .collect();
        found.sort();
        found.pop()
    })
}

/// PostgreSQL does not run as root; then its own user is taken, or nobody.
pub(crate) fn owner() -> Option<u32> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !root {
        return None;
    }
    let mut users = String::new();
    let read = fs::File::open("/etc/passwd").and_then(|mut file| file.read_to_string(&mut users));
    read.ok()?;
    let number = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(2)?.parse().ok()
    };
    number("postgres").or_else(|| number("nobody"))
}

pub(crate) fn as_user(command: &mut Command, owner: Option<u32>) -> &mut Command {
    match owner {
        Some(user) => command.uid(user),
        None => command,
    }
}

pub(crate) fn io(error: std::io::Error) -> StoreError {
    StoreError::Down(Box::new(error))
}

/// Past the capturing of a test that passes: one that was skipped must be seen.
pub(crate) fn say(text: &str) {
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr(), "{text}");
}
