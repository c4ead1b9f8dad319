//! `simulate` and `serve` as two processes, by a config that the test writes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use gopay_psp_client::Credentials;
use rustix::process::{Pid, Signal, kill_process};

use super::postgres::Engine;
use super::wire::SERVER_KEY;
use super::{Answer, Demo, Running, body_as, decode};

/// An adapter by config and a simulator beside it. It has the demo's methods; only those that use
/// the demo's credentials fit nothing but a config that has these.
pub(crate) struct Served {
    demo: Demo,
    simulator: Running,
    folder: tempfile::TempDir,
    /// The config before what the test writes.
    head: String,
}

/// What is left of a [`Served`] whose adapter was ended: its folder with config and store, and the
/// simulator, which goes on.
pub(crate) struct Stopped {
    _simulator: Running,
    pub(crate) folder: tempfile::TempDir,
    /// Where the admin listener of the next `serve` is.
    pub(crate) admin: String,
    /// Where the simulator is.
    pub(crate) simulator: String,
}

impl Deref for Served {
    type Target = Demo;

    fn deref(&self) -> &Demo {
        &self.demo
    }
}

impl Served {
    /// Starts both. `{simulator}` in the rest of the config becomes the simulator's address; listen
    /// addresses, store and public address are set here. `{folder}` becomes a folder of the test's,
    /// made by `files` with what stands in it.
    pub(crate) async fn start_with(rest: &str, files: &[(&str, &str)]) -> Self {
        Self::start_in(Engine::wanted(), ("info", &[]), rest, files).await
    }

    /// Starts both, the simulator with settings of its own: a file `simulator.toml` beside the config.
    pub(crate) async fn start_beside(simulator: &str, rest: &str) -> Self {
        let files = [("simulator.toml", simulator)];
        Self::start_in(Engine::wanted(), ("info", &[]), rest, &files).await
    }

    /// Starts both with no files beside the config.
    pub(crate) async fn start(rest: &str) -> Self {
        Self::start_on(Engine::wanted(), rest).await
    }

    /// The same on a chosen store.
    pub(crate) async fn start_on(engine: Engine, rest: &str) -> Self {
        Self::start_in(engine, ("info", &[]), rest, &[]).await
    }

    /// The same on a file, with a log of its own.
    pub(crate) async fn start_logging(filter: &str, rest: &str) -> Self {
        Self::start_in(Engine::Sqlite, (filter, &[]), rest, &[]).await
    }

    /// The same with variables of the environment.
    pub(crate) async fn start_under(variables: &[(&str, &str)], rest: &str) -> Self {
        Self::start_in(Engine::Sqlite, ("info", variables), rest, &[]).await
    }

    async fn start_in(
        engine: Engine,
        (filter, variables): (&str, &[(&str, &str)]),
        rest: &str,
        files: &[(&str, &str)],
    ) -> Self {
        gopay_outbound::install_crypto();
        let program = env!("CARGO_BIN_EXE_gopay-adapter");
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file is written");
        };
        files.iter().for_each(|(name, text)| write(name, text));
        let mut simulate = Command::new(program);
        simulate.args(["--log", "warn", "simulate", "--listen", "127.0.0.1:0"]);
        let settings = folder.path().join("simulator.toml");
        if settings.exists() {
            simulate.arg("--config").arg(settings);
        }
        let mut simulator =
            Running(simulate.stdout(Stdio::piped()).spawn().expect("the simulator starts"));
        let lines = simulator.0.stdout.take().expect("piped");
        let first = BufReader::new(lines).lines().next().expect("a line").expect("text");
        let simulator_url =
            first.split_whitespace().find(|word| word.starts_with("http")).expect("a URL");

        let (port, admin_port) = (free_port(), free_port());
        // Who asks for certificates listens elsewhere than for shoppers.
        let (scheme, public_port) = match rest.contains("[listen.psp_tls]") {
            true => ("https", free_port()),
            false => ("http", port),
        };
        let store = match engine.database().await {
            Some(url) => url,
            None => format!("sqlite:{}", folder.path().join("gopay.db").display()),
        };
        let listen = format!(
            "[listen]\npsp = \"127.0.0.1:{port}\"\npublic = \"127.0.0.1:{public_port}\"\n\
             admin = \"127.0.0.1:{admin_port}\"\n[public]\n\
             base_url = \"http://127.0.0.1:{public_port}\"\n[store]\nurl = \"{store}\"\n"
        );
        let config = folder.path().join("config.toml");
        let text = filled(&(listen.clone() + rest), simulator_url, folder.path());
        std::fs::write(&config, text).expect("the config is written");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let adapter = Command::new(program)
            .args(["--log", filter, "serve", "--create-store", "--config"])
            .arg(&config)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the adapter starts");
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let demo = Demo {
            _child: Running(adapter),
            adapter: format!("{scheme}://127.0.0.1:{port}"),
            admin: format!("http://127.0.0.1:{admin_port}"),
            simulator: simulator_url.to_owned(),
            http,
        };
        demo.eventually("ready", async || {
            demo.get(&format!("{}/health/ready", demo.admin)).await.0 == 200
        })
        .await;
        Self { demo, simulator, folder, head: listen }
    }

    /// Ends the adapter.
    pub(crate) fn stop(self) -> Stopped {
        Stopped {
            _simulator: self.simulator,
            folder: self.folder,
            admin: self.demo.admin.clone(),
            simulator: self.demo.simulator.clone(),
        }
    }

    /// The folder of config, log and files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes another config behind the same addresses and store.
    pub(crate) fn rewrite(&self, rest: &str) {
        let text = filled(&(self.head.clone() + rest), &self.demo.simulator, self.folder());
        std::fs::write(self.folder().join("config.toml"), text).expect("the config is written");
    }

    /// The same with a further line in `[public]`.
    pub(crate) fn rewrite_public(&self, line: &str, rest: &str) {
        let head = self.head.replacen("[public]\n", &format!("[public]\n{line}\n"), 1);
        let text = filled(&(head + rest), &self.demo.simulator, self.folder());
        std::fs::write(self.folder().join("config.toml"), text).expect("the config is written");
    }

    /// What the adapter has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).expect("a log")
    }

    /// The adapter's process.
    pub(crate) fn pid(&self) -> u32 {
        self.demo._child.0.id()
    }

    /// Signals the adapter.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.demo._child.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it runs");
    }

    /// Calls with any credentials: login, password, contract.
    pub(crate) async fn call_as(
        &self,
        (login, password, contract): (&str, &str, &str),
        txtype: &str,
        pairs: &[(&str, &str)],
    ) -> Answer {
        let psp = Credentials::new(login, password, contract);
        let (status, text) = self.post(body_as(&psp, txtype, pairs)).await;
        assert_eq!(status, 200, "{text}");
        decode(&text)
    }

    /// A TRANSACTION with any credentials.
    pub(crate) async fn open_as(
        &self,
        who: (&str, &str, &str),
        changes: &[(&str, &str)],
    ) -> Answer {
        let pairs = super::example(changes);
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.call_as(who, "TRANSACTION", &pairs).await
    }
}

fn filled(text: &str, simulator: &str, folder: &Path) -> String {
    text.replace("{simulator}", simulator).replace("{folder}", &folder.display().to_string())
}

/// A config with the demo's PSP and contract, told of at this address, and operators, a role each. Their
/// tokens are `token-of-NAME`.
pub(crate) fn with_operators(notification_url: &str, operators: &[(&str, &str)]) -> String {
    let hash = hash_password("test123");
    let mut config = format!(
        "[midtrans.test]\nbase_url = \"{{simulator}}\"\nserver_key = \"{SERVER_KEY}\"\n\
         [delivery]\nallow_private = [\"127.0.0.0/8\"]\n\
         [[client]]\nlogin = \"testclient\"\npassword_hash = \"{hash}\"\n\
         shared_secret = \"examplesharedsecret\"\n\
         notification_secrets = [\"examplenotificationsecret\"]\n\
         [[contract]]\nid = \"TESTCONTRACT\"\nclient = \"testclient\"\n\
         notification_url = \"{notification_url}\"\n\
         redirect_url = \"https://shop.example/return\"\n"
    );
    for (name, role) in operators {
        let hash = hash_password(&format!("token-of-{name}"));
        config.push_str(&format!(
            "[[admin.token]]\nname = \"{name}\"\nhash = \"{hash}\"\nroles = [\"{role}\"]\n"
        ));
    }
    config
}

/// The day before yesterday, in UTC: its period can be closed at any time of today.
pub(crate) fn settled_day() -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = now.yesterday().and_then(jiff::civil::Date::yesterday);
    day.expect("a day").to_string()
}

/// The same config with its contract settled daily in US dollars from a day on, at a rate of that day
/// in `rates.csv`.
pub(crate) fn with_settlements(config: &str, from: &str) -> String {
    format!(
        "{config}[settlement]\nrates = \"{{folder}}/rates.csv\"\n[contract.settlement]\nentity = 1\n\
         client_number = 999\n[[contract.settlement.terms]]\nvalid_from = \"{from}\"\n\
         currency = \"USD\"\nfrequency = \"D\"\n"
    )
}

/// The rate of a day, for [`with_settlements`].
pub(crate) fn rates_of(day: &str) -> String {
    format!("date,base,quote,rate,source\n{day},USD,IDR,16190.00,ECB\n")
}

/// What `hash-password` prints for a password.
pub(crate) fn hash_password(password: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(password.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// A port that nobody listens on, from below the range that the system gives out by itself, so
/// that nobody gets it by chance before the program binds it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 997).expect("small") * 15;
    for _ in 0..2_000 {
        let port = 16_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 16_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
