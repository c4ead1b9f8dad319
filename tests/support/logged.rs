//! A demo whose log is kept, so that a test can read what was written there.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::Running;

/// A running `gopay-adapter demo` that logs into a file.
pub(crate) struct Logged {
    child: Running,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    adapter: String,
}

impl Logged {
    /// Starts the program with this log filter.
    pub(crate) fn start(filter: &str) -> Self {
        Self::start_with(filter, &[])
    }

    /// The same with further options.
    pub(crate) fn start_with(filter: &str, options: &[&str]) -> Self {
        gopay_outbound::install_crypto();
        let folder = tempfile::tempdir().expect("a folder");
        let log = File::create(folder.path().join("log")).expect("a file");
        let any = "127.0.0.1:0";
        let mut child = Running(
            Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
                .args(["--log", filter])
                .args(options)
                .args(["demo", "--no-payment", "--listen", any])
                .args(["--admin-listen", any, "--simulator-listen", any])
                .stdout(Stdio::piped())
                .stderr(log)
                .spawn()
                .expect("the program starts"),
        );
        let mut lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
        let line = lines
            .by_ref()
            .map(|line| line.expect("text"))
            .find(|line| line.trim_start().starts_with("Simple API"))
            .expect("the address of the Simple API");
        let adapter = line
            .split_whitespace()
            .find(|word| word.starts_with("http"))
            .expect("a URL")
            .to_owned();
        // Keep reading, or the program would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, folder, http: reqwest::Client::new(), adapter }
    }

    /// Sends a body; the answer's text.
    pub(crate) async fn post(&self, body: String) -> String {
        let answer = self.http.post(&self.adapter).body(body).send().await.expect("an answer");
        answer.text().await.expect("text")
    }

    /// Ends the program; all that it logged.
    pub(crate) fn end(self) -> String {
        let Self { child, folder, .. } = self;
        drop(child);
        std::fs::read_to_string(folder.path().join("log")).expect("the log")
    }

    /// What it has logged so far.
    pub(crate) fn read(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }
}
