//! Several instances of `serve` on one database, beside one simulator.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use gopay_testkit::wait::look_again;
use rustix::process::{Pid, Signal, kill_process};

use super::served::{free_port, hash_password};
use super::wire::SERVER_KEY;
use super::{Demo, Running, eventually, postgres};

/// A database, a simulator and a folder of configs.
pub(crate) struct Shared {
    pub(crate) url: String,
    pub(crate) simulator: String,
    folder: tempfile::TempDir,
    password_hash: String,
    _simulator: Running,
}

impl Shared {
    /// None if this machine has no PostgreSQL.
    pub(crate) async fn start() -> Option<Self> {
        gopay_outbound::install_crypto();
        let url = postgres::cluster().await?.empty().await.expect("a database");
        let mut simulator = Running(
            Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
                .args(["--log", "warn", "simulate", "--listen", "127.0.0.1:0"])
                .stdout(Stdio::piped())
                .spawn()
                .expect("the simulator starts"),
        );
        let lines = simulator.0.stdout.take().expect("piped");
        let first = BufReader::new(lines).lines().next().expect("a line").expect("text");
        let address = first.split_whitespace().find(|word| word.starts_with("http"));
        Some(Self {
            url,
            simulator: address.expect("a URL").to_owned(),
            folder: tempfile::tempdir().expect("a folder"),
            password_hash: hash_password("test123"),
            _simulator: simulator,
        })
    }

    /// The demo's PSP and contract as sections of a config.
    pub(crate) fn parties(&self) -> String {
        format!(
            "[[client]]\nlogin = \"testclient\"\npassword_hash = \"{}\"\n\
             shared_secret = \"examplesharedsecret\"\n\
             notification_secrets = [\"examplenotificationsecret\"]\n\
             [[contract]]\nid = \"TESTCONTRACT\"\nclient = \"testclient\"\nkyc = \"verified\"\n\
             notification_url = \"http://127.0.0.1:9/nobody\"\n\
             redirect_url = \"https://shop.example/return\"\n",
            self.password_hash
        )
    }

    /// A config with these PSPs; the path and the base addresses.
    fn config(&self, store: &str, number: u16, parties: &str) -> (String, String, String) {
        let (port, admin) = (free_port(), free_port());
        let text = format!(
            "[listen]\npsp = \"127.0.0.1:{port}\"\npublic = \"127.0.0.1:{port}\"\n\
             admin = \"127.0.0.1:{admin}\"\n[public]\nbase_url = \"http://127.0.0.1:{port}\"\n\
             [store]\nurl = \"{store}\"\nconnections = 8\n[instance]\nnumber = {number}\n\
             [midtrans.test]\nbase_url = \"{}\"\nserver_key = \"{SERVER_KEY}\"\n\
             [delivery]\nallow_private = [\"127.0.0.0/8\"]\nschedule = [\"20 x 1s\"]\n\
             timeout = \"1s\"\n{parties}",
            self.simulator
        );
        let path = self.folder.path().join(format!("{port}.toml"));
        std::fs::write(&path, text).expect("the config is written");
        let path = path.display().to_string();
        (path, format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{admin}"))
    }

    /// Runs another command on the database to its end.
    pub(crate) fn run(&self, command: &[&str], number: u16) -> Output {
        self.run_by(command, number, &self.parties())
    }

    /// The same by a config with other PSPs.
    pub(crate) fn run_by(&self, command: &[&str], number: u16, parties: &str) -> Output {
        let (config, _, _) = self.config(&self.url, number, parties);
        Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
            .args(["--log", "warn"])
            .args(command)
            .args(["--config", &config])
            .output()
            .expect("the program runs")
    }

    /// Runs a command that takes no config to its end.
    pub(crate) fn run_plain(&self, command: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
        program.args(["--log", "warn"]).args(command).output().expect("the program runs")
    }

    /// Waits until the database has noticed that nobody is there any more.
    pub(crate) async fn until_quiet(&self) {
        let cluster = postgres::cluster().await.expect("it was there");
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND application_name LIKE 'gopay-adapter%' AND pid <> pg_backend_pid()";
        let quiet = async || cluster.ask(&self.url, sql).await.expect("an answer") == "0";
        eventually("the database has noticed", quiet).await;
    }

    /// Starts an instance and waits until it is ready.
    pub(crate) async fn serve(&self, number: u16) -> Demo {
        self.serve_on(&self.url, number).await
    }

    /// The same by a config with other PSPs.
    pub(crate) async fn serve_by(&self, number: u16, parties: &str) -> Demo {
        self.start_one(&self.url, number, parties).await
    }

    /// The same on another store.
    pub(crate) async fn serve_on(&self, store: &str, number: u16) -> Demo {
        self.start_one(store, number, &self.parties()).await
    }

    async fn start_one(&self, store: &str, number: u16, parties: &str) -> Demo {
        let (config, adapter, admin) = self.config(store, number, parties);
        let child = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
            .args(["--log", "error", "serve", "--create-store", "--config", &config])
            .stdout(Stdio::null())
            .spawn()
            .expect("the adapter starts");
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let simulator = self.simulator.clone();
        let demo = Demo { _child: Running(child), adapter, admin, simulator, http };
        demo.eventually("ready", async || {
            demo.get(&format!("{}/health/ready", demo.admin)).await.0 == 200
        })
        .await;
        demo
    }

    /// Changes the database as time or an operator would.
    pub(crate) async fn sql(&self, sql: &str) {
        let cluster = postgres::cluster().await.expect("it was there");
        cluster.run(&self.url, sql).await.expect("good SQL");
    }

    /// The first cell of what the database answers.
    pub(crate) async fn ask(&self, sql: &str) -> String {
        let cluster = postgres::cluster().await.expect("it was there");
        cluster.ask(&self.url, sql).await.expect("good SQL")
    }
}

impl Demo {
    /// Sends its process a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self._child.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it runs");
    }

    /// Waits for the end of its process; how it ended.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        loop {
            if let Some(status) = self._child.0.try_wait().expect("a child") {
                return status.code();
            }
            look_again().await;
        }
    }
}
