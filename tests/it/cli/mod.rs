//! The command line of the built program: usage, exit codes, and each command that needs no PSP.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::Running;
use crate::support::served::{free_port, hash_password};
use gopay_testkit::wait::found_blocking;
use serde_json::Value;

mod explain;
mod serve;
mod translate;
mod trigger;

const COMMANDS: [&str; 32] = [
    "demo",
    "serve",
    "simulate",
    "trigger",
    "certify",
    "listen",
    "migrate",
    "check-config",
    "directory",
    "hash-password",
    "translate",
    "backup",
    "copy-store",
    "erase",
    "explain",
    "propose-mapping",
    "reconcile",
    "redeliver",
    "rekey",
    "attention",
    "acknowledge-lost",
    "recover",
    "resolve",
    "adjust",
    "settle",
    "verify-files",
    "process-files",
    "journal",
    "totals",
    "retain",
    "completions",
    "man",
];

/// PPRO's example as a form body without credentials.
const GOOD: &str = "channel=testchannel&tag=gopay&countrycode=ID&currency=IDR&amount=1000000&accountholdername=Siti+Rahma&transientin.orderitems=%5B%7B%22name%22%3A%22table%22%2C%22price%22%3A%222000.00%22%2C%22quantity%22%3A2%7D%2C%7B%22name%22%3A%22Laptop+2.0%22%2C%22price%22%3A%223000.00%22%2C%22quantity%22%3A2%7D%5D";

/// The program, with nothing of this machine's settings.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GOPAY_ADAPTER_") {
            command.env_remove(name);
        }
    }
    command
}

/// How a run ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().expect("not killed"),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn run(args: &[&str]) -> Ended {
    fed(args, b"")
}

/// Runs with bytes on standard input.
fn fed(args: &[&str], input: &[u8]) -> Ended {
    let mut child = program()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // Beside the reading, or both would wait for each other. A program that does not read is fine.
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    feeding.join().expect("fed");
    ended(&output)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// The lines that `translate` writes.
fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// A folder with a valid config, on free ports.
struct Setup {
    folder: tempfile::TempDir,
    config: PathBuf,
    psp: u16,
    admin: u16,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config.toml");
        let setup = Self { config, psp: free_port(), admin: free_port(), folder };
        setup.write("sub/gopay.db", 1);
        setup
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("sub/gopay.db")
    }

    /// Writes the config with this store, relative to the folder, and this port of Midtrans.
    fn write(&self, store: &str, midtrans: u16) {
        let Self { psp, admin, .. } = self;
        let store = self.folder.path().join(store);
        let hash = hash_password("test123");
        let config = format!(
            r#"
            [listen]
            psp = "127.0.0.1:{psp}"
            public = "127.0.0.1:{psp}"
            admin = "127.0.0.1:{admin}"
            [public]
            base_url = "http://127.0.0.1:{psp}"
            [store]
            url = "sqlite:{store}"
            [limits]
            session = "30m"
            call_bytes = 8192
            [midtrans.test]
            base_url = "http://127.0.0.1:{midtrans}"
            server_key = "SB-Mid-server-demo"
            [delivery]
            allow_private = ["127.0.0.0/8"]
            [[client]]
            login = "testclient"
            password_hash = '{hash}'
            shared_secret = "shared-secret-of-the-test"
            notification_secrets = ["notification-secret-of-the-test"]
            [[contract]]
            id = "TESTCONTRACT"
            client = "testclient"
            channels = ["testchannel"]
            kyc = "unverified"
            redirect_url = "https://shop.example/return"
            "#,
            store = store.display()
        );
        std::fs::write(&self.config, config).expect("written");
    }

    fn run(&self, command: &str, args: &[&str]) -> Ended {
        run(&[&[command, "--config", text(&self.config)], args].concat())
    }

    /// Starts `serve` and waits until it is ready.
    fn serve(&self) -> Running {
        let child = program()
            .args(["--log", "warn", "serve", "--create-store", "--config", text(&self.config)])
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let child = Running(child);
        wait_for(&format!("http://127.0.0.1:{}/health/ready", self.admin));
        child
    }
}

fn client() -> reqwest::Client {
    gopay_outbound::install_crypto();
    reqwest::Client::new()
}

#[tokio::main(flavor = "current_thread")]
async fn wait_for(url: &str) {
    let client = client();
    let answers =
        async || client.get(url).send().await.is_ok_and(|answer| answer.status().is_success());
    crate::support::eventually(url, answers).await;
}

#[tokio::main(flavor = "current_thread")]
async fn post(port: u16, body: String) -> crate::support::Answer {
    let answer = client().post(format!("http://127.0.0.1:{port}/")).body(body).send().await;
    crate::support::decode(&answer.expect("an answer").text().await.expect("text"))
}

/// A simulator by itself, and its port.
fn simulate() -> (Running, u16) {
    simulate_with(&[])
}

fn simulate_with(options: &[&str]) -> (Running, u16) {
    let mut simulator = Running(
        program()
            .args(["--log", "off", "simulate", "--listen", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts"),
    );
    let out = simulator.0.stdout.take().expect("piped");
    let line = BufReader::new(out).lines().next().expect("a line").expect("text");
    let port = line.trim().rsplit(':').next().expect("a port").parse().expect("a number");
    (simulator, port)
}

#[tokio::main(flavor = "current_thread")]
async fn get(url: &str) -> String {
    client().get(url).send().await.expect("an answer").text().await.expect("text")
}

#[test]
fn every_command_explains_itself() {
    let whole = run(&["--help"]);
    assert_eq!(whole.code, 0, "{whole:?}");
    for command in COMMANDS {
        assert!(whole.out.contains(&format!("\n  {command} ")), "{command} in {}", whole.out);
        let help = run(&[command, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{command}");
        assert!(help.out.contains("Usage: gopay-adapter"), "{}", help.out);
        // Each option says by which variable it can be set, too.
        for line in help.out.lines().map(str::trim_start) {
            let Some(name) = line.strip_prefix("--").and_then(|rest| rest.split(' ').next()) else {
                continue;
            };
            if matches!(name, "help" | "version") {
                continue;
            }
            // The simulator's address and settings are not the adapter's.
            let of = match (command, name) {
                ("simulate", "listen" | "config" | "data") => "SIMULATOR_",
                // Where it stands in for the adapter is not where the adapter is.
                ("certify", "listen") => "CERTIFY_",
                // A store, a time, a day in Jakarta: not the day in UTC that `journal` means.
                ("copy-store", "from" | "to") => "COPY_",
                ("recover", "from" | "to") => "RECOVER_",
                ("reconcile", "from" | "to") => "RECONCILE_",
                _ => "",
            };
            let name = name.to_uppercase().replace('-', "_");
            let variable = format!("GOPAY_ADAPTER_{of}{name}");
            // The value of one that may hold a password is not shown.
            let shown = ["=", "]"].map(|end| help.out.contains(&format!("[env: {variable}{end}")));
            assert!(shown.contains(&true), "{command} --{name}");
        }
    }
    let version = run(&["--version"]);
    let begin = concat!("gopay-adapter ", env!("CARGO_PKG_VERSION"), " (");
    let commit = version.out.strip_prefix(begin).and_then(|rest| rest.strip_suffix(")\n"));
    let commit = commit.unwrap_or_else(|| panic!("{version:?}"));
    assert!(commit.len() == 12 || commit == "unknown commit", "{commit}");
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &[][..],
        &["pay"],
        &["serve"],
        &["migrate"],
        &["check-config"],
        &["explain", "--config", "x"],
        &["explain", "1"],
        &["serve", "--config", "x", "--role", "boss"],
        &["simulate", "--listen", "here"],
        &["trigger", "paid"],
        &["trigger", "paid", "ORDER-1", "--amount", "5"],
        &["trigger", "fault", "charge"],
        &["trigger", "settled", "ORDER-1"],
        &["trigger", "--simulator", "here", "paid", "ORDER-1"],
        &["demo", "--seed", "-1"],
        &["demo", "--port", "1"],
        &["translate", "--contract", "TESTCONTRACT"],
        &["translate", "--at", "yesterday"],
        &["translate", "one", "two"],
        &["settle", "--config", "x", "--frequency", "Y", "--period", "2026-01-01", "--out", "y"],
        &["settle", "--config", "x", "--frequency", "D", "--period", "2026-02-30", "--out", "y"],
        &["adjust", "--config", "x"],
        &["verify-files"],
        &["reconcile", "--config", "x", "--out", "y", "--series", "a b"],
        &["process-files", "--config", "x", "--day", "today", "--out", "y"],
        &["journal", "--config", "x", "--format", "xml", "--out", "y"],
        &["--log", "inof", "translate"],
        &["--log", "info,gopay_service=loud", "translate"],
        &["--log", "[a]=info", "translate"],
        &["--log-format", "xml", "translate"],
    ] {
        let ended = run(args);
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
        assert!(ended.err.contains("Usage:") || ended.err.contains("--help"), "{ended:?}");
    }
}

#[test]
fn passwords_are_hashed_with_a_salt() {
    let hash = |input: &[u8]| fed(&["hash-password"], input);
    let one = hash(b"test123");
    assert_eq!(one.code, 0, "{one:?}");
    assert!(one.out.starts_with("$argon2id$") && one.out.ends_with('\n'), "{one:?}");
    assert_eq!(one.out.lines().count(), 1);
    assert_ne!(hash(b"test123\n").out, one.out, "each has a salt of its own");
    assert_eq!(hash(&[b'x'; 1_024]).code, 0);
    assert_eq!(hash("p\u{e4}ss w\u{f6}rd".as_bytes()).code, 0);
    for input in [&b""[..], b"\n", b"\r\n", b"\xff", &[b'x'; 1_025], &[b'x'; 100_000]] {
        let ended = hash(input);
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{ended:?}");
        assert!(!ended.err.is_empty());
    }
}

#[test]
fn options_come_from_the_environment_and_arguments_win() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("in");
    std::fs::write(&input, format!("{GOOD}\nchannel=x\n")).expect("written");
    let translate = |variables: &[(&str, &str)], args: &[&str]| {
        let output = program()
            .arg("translate")
            .args(args)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        ended(&output)
    };
    let in_ = ("GOPAY_ADAPTER_IN", text(&input));
    let first = translate(&[in_], &[]);
    let lines = objects(&first.out);
    assert_eq!((first.code, lines.len()), (0, 2), "{first:?}");
    assert_eq!(lines[1]["rejected"].as_array().map(Vec::len), Some(1));
    let all = translate(&[in_, ("GOPAY_ADAPTER_EXPLAIN", "true")], &[]);
    assert!(objects(&all.out)[1]["rejected"].as_array().is_some_and(|all| all.len() > 1));
    let at = ("GOPAY_ADAPTER_AT", "2025-06-21T08:34:20Z");
    let timed = translate(&[in_, at], &[]);
    assert!(timed.out.contains("2025-06-21 15:34:20 +0700"), "{timed:?}");
    let argument = translate(&[in_, at], &["--at", "2025-01-01T00:00:00Z"]);
    assert!(argument.out.contains("2025-01-01 07:00:00 +0700"), "{argument:?}");
    let wrong = translate(&[in_, ("GOPAY_ADAPTER_AT", "never")], &[]);
    assert_eq!(wrong.code, 2, "{wrong:?}");

    let setup = Setup::new();
    let output = program()
        .arg("check-config")
        .env("GOPAY_ADAPTER_CONFIG", &setup.config)
        .output()
        .expect("the program runs");
    assert_eq!(ended(&output).code, 0);

    // The variable of before still works where no other says more.
    let (own, other) = (free_port(), free_port());
    let settings = text(&setup.config);
    for (variables, expected) in [
        (&[("GOPAY_ADAPTER_LISTEN", own)][..], own),
        (&[("GOPAY_ADAPTER_LISTEN", other), ("GOPAY_ADAPTER_SIMULATOR_LISTEN", own)], own),
    ] {
        let variables = variables.iter().map(|(name, port)| (name, format!("127.0.0.1:{port}")));
        let mut simulator = Running(
            program()
                .args(["--log", "off", "simulate"])
                .envs(variables)
                // The adapter's config is not the simulator's.
                .env("GOPAY_ADAPTER_CONFIG", settings)
                .stdout(Stdio::piped())
                .spawn()
                .expect("the program starts"),
        );
        let out = simulator.0.stdout.take().expect("piped");
        let line = BufReader::new(out).lines().next().expect("a line").expect("text");
        assert!(line.contains(&format!("127.0.0.1:{expected}")), "{line}");
    }
}

#[test]
fn a_terminal_is_asked_for_the_password_and_does_not_show_it() {
    use rustix::pty;
    let terminal = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).expect("a pty");
    pty::grantpt(&terminal).and_then(|()| pty::unlockpt(&terminal)).expect("a pty");
    let name = pty::ptsname(&terminal, Vec::new()).expect("a name");
    let name = name.to_str().expect("text");
    let side = || std::fs::OpenOptions::new().read(true).write(true).open(name).expect("opened");
    let child = program()
        .arg("hash-password")
        .stdin(side())
        .stdout(Stdio::piped())
        .stderr(side())
        .spawn()
        .expect("the program starts");
    let mut terminal = std::fs::File::from(terminal);
    let mut shown = Vec::new();
    let mut buffer = [0; 64];
    while !shown.ends_with(b"Password: ") {
        let read = terminal.read(&mut buffer).expect("a prompt");
        shown.extend_from_slice(&buffer[..read]);
    }
    terminal.write_all(b"hidden-word\n").expect("typed");
    let output = child.wait_with_output().expect("it ends");
    let ended = ended(&output);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.starts_with("$argon2id$"), "{ended:?}");
    let read = terminal.read(&mut buffer).expect("the line that ends the prompt");
    shown.extend_from_slice(&buffer[..read]);
    let shown = String::from_utf8_lossy(&shown);
    assert!(!shown.contains("hidden-word"), "{shown}");
}

#[test]
fn each_shell_can_complete_every_command_and_each_command_has_its_page() {
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef gopay-adapter"),
        ("fish", "complete -c gopay-adapter"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let ended = run(&["completions", shell]);
        assert_eq!(ended.code, 0, "{shell}: {ended:?}");
        assert!(ended.out.contains(sign), "{shell}: {}", ended.out);
        for command in COMMANDS {
            assert!(ended.out.contains(command), "{shell}: {command}");
        }
    }
    let script = run(&["completions", "bash"]).out;
    let line = "COMP_WORDS=(gopay-adapter expl) COMP_CWORD=1 COMPREPLY=(); \
                _gopay__adapter gopay-adapter expl gopay-adapter; echo ${COMPREPLY[@]}";
    let output = Command::new("bash").args(["-c", &format!("{script}\n{line}")]).output();
    let ended = ended(&output.expect("bash"));
    assert_eq!(ended.out, "explain\n", "{}", ended.err);

    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(run(&["man", text(folder.path())]).code, 0);
    for command in COMMANDS {
        let page = folder.path().join(format!("gopay-adapter-{command}.1"));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{command}"));
        assert!(page.contains(".SH NAME") && page.contains(".SH OPTIONS"), "{command}: {page}");
    }
    let ended = run(&["man", text(&folder.path().join("nowhere"))]);
    assert!(ended.code == 3 && ended.err.contains("nowhere"), "{ended:?}");
}

#[test]
fn a_reader_that_has_seen_enough_hears_no_complaint_and_no_success() {
    for args in [["completions", "bash"].as_slice(), &["hash-password"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut child = program()
            .args(args)
            .stdin(Stdio::piped())
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("piped").write_all(b"test123").unwrap_or_default();
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(141), "{args:?}");
    }
}
