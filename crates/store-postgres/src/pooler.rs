//! A PgBouncer in transaction mode before a cluster for tests, gone when the process ends.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gopay_store::StoreError;

use crate::cluster::{Cluster, as_user, io, owner, say};
use crate::error::down;

/// A running pooler: few connections for many clients, each transaction on another one.
pub struct Pooler {
    /// Its input is a pipe that closes with us.
    keeper: Child,
    folder: String,
}

impl Pooler {
    const PORT: u16 = 6432;

    /// Starts one; none if this machine has no PgBouncer, which is said loudly.
    ///
    /// # Errors
    /// If the environment variable `CI` is set and there is none, or it does not start.
    pub fn start(cluster: &Cluster) -> Result<Option<Self>, StoreError> {
        let programs = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
        let Some(program) = programs.into_iter().find(|path| Path::new(path).exists()) else {
            if std::env::var_os("CI").is_some() {
                return Err(down("PgBouncer is not installed, and CI is set"));
            }
            say("\n*** SKIPPED: PgBouncer is not installed; nothing was tested behind it ***\n");
            return Ok(None);
        };
        let (folder, owner) = (cluster.folder(), owner());
        let shown = folder.display();
        let settings = format!(
            "[databases]\n* = host={shown} port=5432 user=gopay\n[pgbouncer]\nlisten_addr =\n\
             listen_port = {}\nunix_socket_dir = {shown}\npool_mode = transaction\n\
             auth_type = any\ndefault_pool_size = 3\nmax_client_conn = 500\n\
             server_round_robin = 1\nserver_idle_timeout = 1\n",
            Self::PORT
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, settings).map_err(io)?;
        chown(&file, owner, None).map_err(io)?;
        let mut keeper = Command::new("sh");
        let script = "\"$0\" -q pgbouncer.ini & server=$!; read -r _; kill -QUIT $server; wait";
        keeper.args(["-c", script, program]).current_dir(folder).process_group(0);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = as_user(&mut keeper, owner).spawn().map_err(io)?;
        let pooler = Self { keeper, folder: shown.to_string() };
        let socket = folder.join(format!(".s.PGSQL.{}", Self::PORT));
        let began = Instant::now();
        while !socket.exists() {
            if began.elapsed() > Duration::from_secs(20) {
                return Err(down("PgBouncer does not start"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(pooler))
    }

    /// The URL of a database behind it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.replace('/', "%2F");
        let port = Self::PORT;
        format!("postgres://gopay@/{database}?host={folder}&port={port}&pooler=transaction")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It ends by itself; nothing depends on how.
        let _ = self.keeper.wait();
    }
}
