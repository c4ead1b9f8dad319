//! Starting what is measured: adapters, stand-ins, peers, each a process of its own on a free
//! port of 127.0.0.1.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use crate::source::SERVER_KEY;

/// A process that ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Where it takes calls.
    pub(crate) address: SocketAddr,
    /// From start to ready; of an adapter.
    pub(crate) started_in: Duration,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the process to end, waits for it, and kills it if it takes too long.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.pid().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        for _ in 0..200 {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(anyhow!("process {pid} does not stop"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is measured, and where results go.
#[derive(clap::Args)]
pub(crate) struct StageArgs {
    /// The built adapter.
    #[arg(long, default_value = "target/release/gopay-adapter")]
    adapter: PathBuf,
    /// Where results go.
    #[arg(long, default_value = "target/load")]
    pub(crate) out: PathBuf,
    /// What adapters log.
    #[arg(long, default_value = "info")]
    log: String,
    /// Adapters seal what they store of persons.
    #[arg(long)]
    sealed: bool,
}

/// Where everything is.
pub(crate) struct Stage {
    /// The built adapter.
    pub(crate) adapter: PathBuf,
    /// Of logs, stores and configs.
    pub(crate) folder: PathBuf,
    /// The repository.
    pub(crate) root: PathBuf,
    password_hash: String,
    /// What adapters log.
    pub(crate) log: String,
    sealed: bool,
}

/// The hash of the password of the benchmarks' payloads.
pub(crate) fn password_hash() -> anyhow::Result<String> {
    gopay_service::hash_password("test123", b"load-tool-salt-1")
        .map_err(|error| anyhow!("cannot hash the password: {error}"))
}

impl Stage {
    pub(crate) fn new(args: &StageArgs) -> anyhow::Result<Self> {
        let StageArgs { adapter, out, log, sealed } = args;
        std::fs::create_dir_all(out)?;
        if !adapter.is_file() {
            return Err(anyhow!("{}: build it first", adapter.display()));
        }
        Ok(Self {
            adapter: adapter.clone(),
            folder: out.canonicalize()?,
            root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?,
            password_hash: password_hash()?,
            log: log.clone(),
            sealed: *sealed,
        })
    }

    /// One of this tool's own servers.
    pub(crate) fn own(&self, name: &str, args: &[&str]) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(name).args(args).args(["--listen", "127.0.0.1:0"]);
        self.announced(name, command)
    }

    /// The Node adapter; none if Node is not there.
    pub(crate) fn node(&self, midtrans: SocketAddr) -> anyhow::Result<Option<Server>> {
        let folder = self.root.join("benches/peers/node");
        let have = |program: &str| {
            let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        };
        if !have("node") || !have("npm") {
            return Ok(None);
        }
        if !folder.join("node_modules").is_dir() {
            let args = ["ci", "--no-audit", "--no-fund", "--silent"];
            let installed = Command::new("npm").args(args).current_dir(&folder).status()?;
            if !installed.success() {
                return Err(anyhow!("npm ci failed in {}", folder.display()));
            }
        }
        let mut command = Command::new("node");
        command.arg(folder.join("server.js")).arg(format!("http://{midtrans}"));
        command.env("NODE_ENV", "production");
        self.announced("node", command).map(Some)
    }

    fn announced(&self, name: &str, mut command: Command) -> anyhow::Result<Server> {
        let begun = Instant::now();
        let log = File::create(self.folder.join(format!("{name}.log")))?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let mut line = String::new();
        let output = child.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").and_then(|at| at.parse().ok());
        let started_in = begun.elapsed();
        match address {
            Some(address) => Ok(Server { child, address, started_in }),
            None => {
                let _ = child.kill();
                Err(anyhow!("{name} did not start: {line}"))
            }
        }
    }

    /// An adapter on a store, ready. `name` is that of its log and config.
    pub(crate) async fn adapter(
        &self,
        name: &str,
        store: &str,
        midtrans: SocketAddr,
    ) -> anyhow::Result<Server> {
        let (address, admin) = (free_address()?, free_address()?);
        let config = self.folder.join(format!("{name}.toml"));
        std::fs::write(&config, self.config(address, admin, store, midtrans))?;
        let log = File::create(self.folder.join(format!("{name}.log")))?;
        let begun = Instant::now();
        let child = Command::new(&self.adapter)
            .args(["--log", &self.log, "serve", "--create-store", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.adapter.display()))?;
        let mut server = Server { child, address, started_in: Duration::ZERO };
        crate::source::ready(admin, "/health/ready", Duration::from_secs(60)).await?;
        server.started_in = begun.elapsed();
        Ok(server)
    }

    fn config(
        &self,
        address: SocketAddr,
        admin: SocketAddr,
        store: &str,
        midtrans: SocketAddr,
    ) -> String {
        let mut text = format!(
            "[listen]\npsp = \"{address}\"\npublic = \"{address}\"\nadmin = \"{admin}\"\n\
             [public]\nbase_url = \"http://{address}\"\n[store]\nurl = \"{store}\"\n\
             [limits]\ndrain = \"0s\"\n\
             [delivery]\nallow_private = [\"127.0.0.0/8\"]\n"
        );
        let _ = write!(
            text,
            "[midtrans.test]\nbase_url = \"http://{midtrans}\"\nserver_key = \"{SERVER_KEY}\"\n\
             [[client]]\nlogin = \"testclient\"\npassword_hash = \"{}\"\n\
             shared_secret = \"examplesharedsecret\"\n\
             notification_secrets = [\"examplenotificationsecret\"]\n\
             [[contract]]\nid = \"TESTCONTRACT\"\nclient = \"testclient\"\n\
             channels = [\"testchannel\"]\n",
            self.password_hash
        );
        if self.sealed {
            text.push_str("[[store.encryption]]\nid = \"load\"\n");
            text.push_str("key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n");
        }
        text
    }

    /// The URL of a SQLite store of this name that does not exist yet.
    pub(crate) fn fresh_sqlite(&self, name: &str) -> anyhow::Result<String> {
        let path = self.folder.join(format!("{name}.db"));
        for end in ["", "-wal", "-shm", ".lock"] {
            let mut file = path.clone().into_os_string();
            file.push(end);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(format!("sqlite:{}", path.display()))
    }
}

/// An address that nobody listens on, from below the range that the system gives out by itself.
fn free_address() -> anyhow::Result<SocketAddr> {
    for _ in 0..2_000 {
        let port = fastrand::u16(16_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
        }
    }
    Err(anyhow!("no free port"))
}
