//! The program under test: started, killed, stopped and started again on the same store.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gopay_testkit::wait::found;

use crate::support::served::free_port;
use crate::time::{Time, clean_up_after};

/// Where the store is.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    Sqlite(PathBuf),
    /// By its URL.
    Postgres(String),
}

impl Engine {
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    pub(crate) fn file(&self) -> &Path {
        match self {
            Self::Sqlite(path) => path,
            Self::Postgres(_) => panic!("a store in a file is wanted"),
        }
    }
}

/// `test123`, hashed so cheaply that each start can check it anew.
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$wKJZKAyFQcOn+kW+d0Lu9tgBemvm1N3mmK0Qg92hVoo";

/// The program: `GOPAY_BINARY`, such as a release build, or what was built with the tests.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("GOPAY_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_gopay-adapter")), PathBuf::from)
}

/// One instance.
pub(crate) struct Program {
    pub(crate) port: u16,
    pub(crate) admin_port: u16,
    config: PathBuf,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

/// What differs between instances and tests.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) engine: Engine,
    pub(crate) simulator: String,
    pub(crate) receiver: String,
    /// The number of the instance.
    pub(crate) number: u16,
    /// More lines for `[limits]`.
    pub(crate) limits: String,
}

impl Program {
    /// Writes the config; starts nothing.
    pub(crate) fn new(folder: &Path, settings: &Settings) -> Self {
        let (port, admin_port) = (free_port(), free_port());
        let Settings { engine, simulator, receiver, number, limits } = settings;
        let store = engine.url();
        let text = format!(
            r#"
[listen]
psp = "127.0.0.1:{port}"
public = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin_port}"
[public]
base_url = "http://127.0.0.1:{port}"
[store]
url = "{store}"
[limits]
session = "30m"
{limits}
[midtrans.test]
base_url = "{simulator}"
server_key = "SB-Mid-server-demo"
timeout = "2s"
connect_timeout = "1s"
[delivery]
schedule = ["3 x 1s", "3 x 10s", "60 x 1m"]
timeout = "2s"
allow_private = ["127.0.0.0/8"]
[instance]
number = {number}
[[client]]
login = "testclient"
password_hash = "{PASSWORD_HASH}"
shared_secret = "examplesharedsecret"
notification_secrets = ["examplenotificationsecret"]
[[contract]]
id = "TESTCONTRACT"
client = "testclient"
channels = ["testchannel"]
kyc = "verified"
notification_url = "{receiver}"
redirect_url = "http://127.0.0.1:9/return"
"#
        );
        let config = folder.join(format!("config-{number}.toml"));
        std::fs::write(&config, text).expect("the config is written");
        let log = folder.join(format!("log-{number}"));
        Self { port, admin_port, config, log, child: Mutex::new(None) }
    }

    pub(crate) fn admin(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin_port)
    }

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// All that it logged since the first start.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn start(&self, time: &Time) {
        self.start_by(time, Command::new(binary()));
    }

    /// Starts it by a command that runs the program with the arguments that follow.
    pub(crate) fn start_by(&self, time: &Time, mut command: Command) {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("the log");
        command
            .args(["--log", "info", "serve", "--config"])
            .arg(&self.config)
            // One thread for all that is asynchronous, so that its system calls can be counted.
            // The first start may be killed before it has made its store.
            .env("GOPAY_ADAPTER_CREATE_STORE", "true")
            .env("TOKIO_WORKER_THREADS", "1")
            .stdout(Stdio::null())
            .stderr(log);
        time.apply(&mut command);
        let mut child = self.child();
        assert!(child.is_none(), "it runs already");
        *child = Some(command.spawn().expect("the program starts"));
    }

    /// The process, if it runs.
    pub(crate) fn process(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// SIGKILL, and no trace of the process afterwards.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
            clean_up_after(child.id());
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let process = self.process().expect("it runs").to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &process]).status();
        assert!(sent.expect("kill runs").success(), "SIG{signal} to {process}");
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.child();
        let status = child.as_mut()?.try_wait().expect("a child")?;
        let process = child.take().map(|child| child.id());
        process.into_iter().for_each(clean_up_after);
        Some(status)
    }

    /// Waits until it has ended.
    pub(crate) async fn until_ended(&self) -> ExitStatus {
        found("its end", async || self.ended()).await
    }

    /// Waits until it accepts connections or has ended; true if it accepts.
    pub(crate) async fn until_listening(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin_port));
        let listens = async || {
            if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
                return Some(true);
            }
            self.ended().map(|_| false)
        };
        found("it listens or ends", listens).await
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
