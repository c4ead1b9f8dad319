//! The command line of the built program: usage, exit codes, and each command that needs no PSP.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::Running;
use crate::support::served::{free_port, hash_password};
use serde_json::Value;

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
fn check_config_reports_every_problem_with_its_key() {
    let setup = Setup::new();
    let good = setup.run("check-config", &[]);
    assert_eq!(good.code, 0, "{good:?}");
    assert_eq!(good.out, format!("{}: valid\n", text(&setup.config)));
    // Receivers on this machine are a risk that a test takes, and is told about.
    assert!(good.err.contains("warning: delivery.allow_private: 127.0.0.0/8"), "{good:?}");
    let bad = r#"
        speed = 9
        [listen]
        psp = "here"
        pps = "127.0.0.1:1"
        [limits]
        session = "2h"
        [store]
        url = "postgres://localhost"
        [midtrans.test]
        base_url = "ftp://x"
        server_key = "env:GOPAY_TEST_NOT_SET"
        [[client]]
        login = "a"
        password_hash = "plain-password"
        shared_secret = "file:/nowhere/at/all"
        notification_secrets = []
        [[contract]]
        id = "C"
        client = "b"
        channels = ["testchannel", "livechannel"]
    "#;
    std::fs::write(&setup.config, bad).expect("written");
    let checked = setup.run("check-config", &[]);
    assert_eq!((checked.code, checked.out.as_str()), (1, ""), "{checked:?}");
    for key in [
        "speed: unknown key",
        "listen.psp: ",
        "listen.pps: unknown key",
        "limits.session: ",
        "store.url: ",
        "midtrans.test.base_url: ",
        "midtrans.test.server_key: ",
        "client \"a\".password_hash: ",
        "client \"a\".shared_secret: ",
        "client \"a\".notification_secrets: ",
        "contract \"C\".client: ",
        "contract \"C\".channels: ",
    ] {
        assert!(checked.err.contains(key), "{key} in {}", checked.err);
    }
    assert!(checked.err.lines().all(|line| line.contains("; valid: ")), "{}", checked.err);
    // A hash that is none may be the password itself.
    assert!(!checked.err.contains("plain-password"), "{}", checked.err);
    // All commands refuse it alike: the answer is "no".
    for command in ["serve", "migrate"] {
        let ended = setup.run(command, &[]);
        assert_eq!((ended.code, &ended.err), (1, &checked.err), "{command}");
    }
    let ended = setup.run("explain", &["1"]);
    assert_eq!((ended.code, &ended.err), (1, &checked.err));
    let translated = setup.run("translate", &[]);
    assert_eq!(translated.code, 1, "an invalid config is a \"no\" here, too: {translated:?}");
}

#[test]
fn what_check_config_calls_valid_is_what_serve_starts_with() {
    let setup = Setup::new();
    let good = std::fs::read_to_string(&setup.config).expect("text");
    let midtrans = "\"http://127.0.0.1:1\"";
    for (from, to, key) in [
        ("SB-Mid-server-demo", " SB-Mid-server-demo", "midtrans.test.server_key"),
        ("SB-Mid-server-demo", "SB-Mid-server-d\u{e9}mo", "midtrans.test.server_key"),
        ("SB-Mid-server-demo", "SB:Mid-server-demo", "midtrans.test.server_key"),
        (midtrans, "\"http://127.0.0.1:1/v2\"", "midtrans.test.base_url"),
        (midtrans, "\"http://user@127.0.0.1:1\"", "midtrans.test.base_url"),
        (midtrans, "\"http://127.0.0.1:1?a=b\"", "midtrans.test.base_url"),
    ] {
        std::fs::write(&setup.config, good.replacen(from, to, 1)).expect("written");
        for command in ["check-config", "serve"] {
            let ended = setup.run(command, &[]);
            assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{command}, {to}: {ended:?}");
            let lines: Vec<&str> = ended.err.lines().collect();
            assert_eq!(lines.len(), 1, "{command}, {to}: {ended:?}");
            assert!(lines[0].contains(&format!(": {key}: ")), "{command}, {to}: {ended:?}");
        }
    }
    // A line break at the end of a variable is not part of the key.
    std::fs::write(&setup.config, good.replace("SB-Mid-server-demo", "env:GOPAY_TEST_KEY"))
        .expect("written");
    let output = program()
        .args(["check-config", "--config", text(&setup.config)])
        .env("GOPAY_TEST_KEY", "SB-Mid-server-demo\n")
        .output()
        .expect("the program runs");
    assert_eq!(ended(&output).code, 0, "{output:?}");
}

#[test]
fn a_config_that_is_not_there_or_not_toml_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("none.toml");
    for command in ["check-config", "serve", "migrate", "translate"] {
        let ended = run(&[command, "--config", text(&missing)]);
        assert!(matches!(ended.code, 1 | 3), "{command}: {ended:?}");
        assert!(ended.err.contains("none.toml") && ended.err.contains("No such file"), "{ended:?}");
        assert!(ended.out.is_empty(), "{ended:?}");
    }
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, "[listen]\n\npsp = \n").expect("written");
    let ended = run(&["check-config", "--config", text(&broken)]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("line 3"), "{ended:?}");
    std::fs::write(&broken, [0xff, 0xfe]).expect("written");
    assert_eq!(run(&["check-config", "--config", text(&broken)]).code, 1);
    assert_eq!(run(&["check-config", "--config", text(folder.path())]).code, 1);
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
fn migrate_makes_the_store_and_may_be_repeated() {
    let setup = Setup::new();
    let first = setup.run("migrate", &[]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.out.contains("schema version "), "{first:?}");
    assert!(setup.store().exists());
    let again = setup.run("migrate", &[]);
    assert_eq!((again.code, again.out), (0, first.out));
    // Something else under that name is not a store, and stays as it is.
    std::fs::write(setup.store(), "not a database, but somebody's text\n".repeat(100))
        .expect("written");
    for command in ["migrate", "serve"] {
        let ended = setup.run(command, &[]);
        assert_eq!(ended.code, 3, "{command}: {ended:?}");
        assert!(ended.err.contains("gopay.db"), "{ended:?}");
    }
    let kept = std::fs::read_to_string(setup.store()).expect("text");
    assert!(kept.starts_with("not a database"));
}

#[test]
fn a_store_that_cannot_be_written_is_an_error() {
    let setup = Setup::new();
    std::fs::write(setup.folder.path().join("file"), "").expect("written");
    // A file is no folder, whoever runs this; a folder is no file.
    std::fs::create_dir(setup.folder.path().join("folder")).expect("a folder");
    for store in ["file/gopay.db", "folder"] {
        setup.write(store, 1);
        for command in ["migrate", "serve"] {
            let ended = setup.run(command, &[]);
            assert_eq!(ended.code, 3, "{command}, {store}: {ended:?}");
            assert!(ended.err.contains(store), "{command}, {store}: {ended:?}");
        }
        let ended = setup.run("explain", &["1"]);
        assert_eq!(ended.code, 3, "{store}: {ended:?}");
    }
}

#[test]
fn serve_makes_no_store_in_the_place_of_one_that_went() {
    let setup = Setup::new();
    let refused = || {
        let ended = setup.run("serve", &[]);
        assert_eq!(ended.code, 3, "{ended:?}");
        for words in ["gopay.db holds no store", "store.url", "`gopay-adapter migrate`"] {
            assert!(ended.err.contains(words), "{words}: {ended:?}");
        }
    };
    refused();
    assert!(!setup.folder.path().join("sub").exists(), "not even the folder is made");
    assert_eq!(setup.run("migrate", &[]).code, 0);
    std::fs::remove_file(setup.store()).expect("it was there");
    refused();
    assert!(!setup.store().exists());
    std::fs::write(setup.store(), "").expect("written");
    refused();
    assert_eq!(std::fs::read(setup.store()).expect("it is there"), b"");
    drop(setup.serve());
}

#[test]
fn explain_needs_a_store_and_a_transaction() {
    let setup = Setup::new();
    let none = setup.run("explain", &["1"]);
    assert_eq!(none.code, 3, "{none:?}");
    assert!(!setup.store().exists(), "looking makes nothing");
    assert_eq!(setup.run("migrate", &[]).code, 0);
    let unknown = setup.run("explain", &["1"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""), "{unknown:?}");
    assert!(unknown.err.contains("no transaction 1"), "{unknown:?}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let any = "127.0.0.1:0";
    for args in [
        &["simulate", "--listen", &address][..],
        &["demo", "--listen", &address, "--admin-listen", any, "--simulator-listen", any],
        &["demo", "--listen", any, "--admin-listen", &address, "--simulator-listen", any],
        &["demo", "--listen", any, "--admin-listen", any, "--simulator-listen", &address],
    ] {
        let ended = run(args);
        assert_eq!(ended.code, 3, "{args:?}: {ended:?}");
        assert!(ended.err.contains(&address), "{args:?}: {ended:?}");
        assert!(ended.out.is_empty(), "{args:?}: {ended:?}");
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
fn errors_are_told_whatever_is_logged() {
    let setup = Setup::new();
    for (args, told) in [
        (&["explain", "--config", text(&setup.config), "1"][..], "cannot open the store"),
        (&["translate", "--in", "/nowhere/at/all"], "cannot read /nowhere/at/all"),
        (&["hash-password"], "a password of 1 to 1024 bytes is wanted"),
        (&["simulate", "--config", "/nowhere/at/all"], "cannot read /nowhere/at/all"),
    ] {
        for log in ["off", "error", "trace"] {
            let ended = run(&[&["--log", log], args].concat());
            assert_eq!(ended.code, 3, "{args:?}: {ended:?}");
            assert_eq!(ended.err.matches(told).count(), 1, "{args:?}: {ended:?}");
        }
    }
}

#[test]
fn the_log_is_json_where_it_is_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = run(&["--log-format", "json", "simulate", "--listen", &address]);
    assert_eq!(ended.code, 3, "{ended:?}");
    for line in objects(&ended.err) {
        assert_eq!(line["level"], "ERROR", "{line}");
        let message = line["fields"]["message"].as_str().expect("text");
        assert!(message.contains(&address), "{line}");
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

/// Translates lines that come in two parts, a while apart; what standard error is told.
fn translated_slowly(error: Stdio) -> std::process::Child {
    let mut child = program()
        .args(["translate", "--out", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(error)
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let part = format!("{GOOD}\n").repeat(4_096);
    std::thread::spawn(move || {
        for _ in 0..2 {
            stdin.write_all(part.as_bytes()).expect("it reads");
            std::thread::sleep(std::time::Duration::from_millis(400));
        }
    });
    child
}

#[test]
fn long_work_says_how_far_it_is_to_a_terminal_and_to_nobody_else() {
    use rustix::pty;
    let terminal = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).expect("a pty");
    pty::grantpt(&terminal).and_then(|()| pty::unlockpt(&terminal)).expect("a pty");
    let name = pty::ptsname(&terminal, Vec::new()).expect("a name");
    let side = std::fs::OpenOptions::new().write(true).open(name.to_str().expect("text"));
    let mut child = translated_slowly(side.expect("opened").into());
    assert!(child.wait().expect("it ends").success());
    let mut shown = vec![0; 4_096];
    let mut terminal = std::fs::File::from(terminal);
    let read = terminal.read(&mut shown).expect("what it told");
    let shown = String::from_utf8_lossy(&shown[..read]).into_owned();
    assert!(shown.contains(" bytes, ") && shown.contains(" in a second"), "{shown:?}");

    let quiet = translated_slowly(Stdio::piped()).wait_with_output().expect("it ends");
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");
}

#[test]
fn a_worker_listens_for_operators_only_and_a_hangup_stops_nothing() {
    let setup = Setup::new();
    assert_eq!(setup.run("migrate", &[]).code, 0);
    let child = program()
        .args(["--log", "warn", "serve", "--role", "worker", "--config", text(&setup.config)])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut worker = Running(child);
    wait_for(&format!("http://127.0.0.1:{}/health/ready", setup.admin));
    assert!(std::net::TcpStream::connect(("127.0.0.1", setup.psp)).is_err());
    let pid = worker.0.id().to_string();
    let signal = |name: &str| Command::new("kill").args([name, &pid]).status().expect("kill runs");
    assert!(signal("-HUP").success());
    wait_for(&format!("http://127.0.0.1:{}/health/ready", setup.admin));
    assert!(worker.0.try_wait().expect("a state").is_none(), "it goes on");
}

#[test]
fn a_hangup_while_it_starts_ends_no_server() {
    use std::os::unix::process::ExitStatusExt as _;
    let setup = Setup::new();
    assert_eq!(setup.run("migrate", &[]).code, 0);
    let config = std::fs::read(&setup.config).expect("a config");
    // A config that is not there yet keeps the process in its first steps.
    let slow = setup.folder.path().join("slow.toml");
    let start = |command: &str| {
        let _ = std::fs::remove_file(&slow);
        rustix::fs::mkfifoat(rustix::fs::CWD, &slow, rustix::fs::Mode::RWXU).expect("a pipe");
        let child = program()
            .args(["--log", "warn", command, "--config", text(&slow)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let pipe = std::fs::OpenOptions::new().write(true).open(&slow).expect("it reads");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
        (Running(child), pipe)
    };
    let (mut server, mut pipe) = start("serve");
    pipe.write_all(&config).expect("taken");
    drop(pipe);
    wait_for(&format!("http://127.0.0.1:{}/health/ready", setup.admin));
    assert!(server.0.try_wait().expect("a state").is_none(), "it goes on");
    // What serves nothing ends by it.
    let (mut check, _pipe) = start("check-config");
    let ended = check.0.wait().expect("it ends");
    assert_eq!(ended.signal(), Some(1), "{ended:?}");
}

#[test]
fn only_the_owner_may_read_what_holds_payments() {
    use std::os::unix::fs::PermissionsExt as _;
    let setup = Setup::new();
    let _serving = setup.serve();
    let copy = setup.folder.path().join("sub/copy.db");
    assert_eq!(setup.run("backup", &["--out", text(&copy)]).code, 0);
    let mut seen = 0;
    for entry in std::fs::read_dir(setup.folder.path().join("sub")).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("known").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{entry:?}");
        seen += 1;
    }
    assert!(seen >= 4, "store, write-ahead log, lock and copy: {seen}");
}

#[test]
fn translate_gives_a_line_for_each_line() {
    let mut input = Vec::new();
    for line in [
        GOOD.as_bytes(),
        b"",
        b"  ",
        b"\xff\xfe\x00\x01",
        b"tag=%ff&amount=%",
        b"{\"tag\":\"gopay\"}",
        b"txtype=REFUND&txid=1",
        b"txtype=TRANSACTION",
    ] {
        input.extend_from_slice(line);
        input.extend_from_slice(b"\r\n");
    }
    input.extend_from_slice(&b"a".repeat(1_000_000));
    input.push(b'\n');
    // The last one has no end of line.
    input.extend_from_slice(GOOD.as_bytes());
    let ended = fed(&["--log", "trace", "translate"], &input);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.ends_with("}\n"));
    let lines = objects(&ended.out);
    assert_eq!(lines.len(), 10);
    for (at, line) in lines.iter().enumerate() {
        let object = line.as_object().expect("an object");
        assert_eq!(object.len(), 1, "{line}");
        if matches!(at, 0 | 9) {
            let charge = &line["charge"];
            assert_eq!(charge["transaction_details"]["gross_amount"], 10_000);
            assert_eq!(charge["transaction_details"]["order_id"], (at + 1).to_string());
            continue;
        }
        let rejected = line["rejected"].as_array().expect("rejections");
        assert_eq!(rejected.len(), 1, "the first fault only: {line}");
        let keys: BTreeSet<&str> =
            rejected[0].as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["field", "got", "rule", "source", "wanted"].into());
    }
    assert_eq!(lines[6]["rejected"][0]["field"], "txtype");
    assert_eq!(lines[8]["rejected"][0]["rule"], "body_too_long");
    assert_eq!(fed(&["translate"], b"").out, "", "nothing in, nothing out");
}

#[test]
fn translate_explains_every_fault_without_personal_data() {
    let body = "channel=prod&tag=ovo&amount=10.5&accountholdername=Li&specin.email=kartini-at-shopper&specin.phone=081377700099&specin.billingaddrcity=Purwokerto%0ABarat&transientin.orderitems=%5B%7B%22name%22%3A%22Melati%22%2C%22price%22%3A1%7D%5D";
    let first = fed(&["translate"], body.as_bytes());
    assert_eq!(objects(&first.out)[0]["rejected"].as_array().map(Vec::len), Some(1));
    let ended = fed(&["translate", "--explain"], body.as_bytes());
    assert_eq!(ended.code, 0, "{ended:?}");
    let line = objects(&ended.out).remove(0);
    let rejected = line["rejected"].as_array().expect("rejections");
    let rules: Vec<(&str, &str)> = rejected
        .iter()
        .map(|one| (one["field"].as_str().expect("text"), one["rule"].as_str().expect("text")))
        .collect();
    assert_eq!(
        rules,
        [
            ("returnmode", "returnmode"),
            ("txtype", "txtype"),
            ("login", "missing"),
            ("password", "missing"),
            ("contractid", "missing"),
            ("channel", "must_be"),
            ("tag", "must_be"),
            ("countrycode", "missing"),
            ("currency", "missing"),
            ("amount", "amount_form"),
            ("accountholdername", "too_short"),
            ("specin.email", "email_form"),
            ("specin.phone", "phone_form"),
            ("specin.billingaddrcity", "line_break"),
            ("transientin.orderitems[0].price", "price_type"),
            ("transientin.orderitems[0].quantity", "member_missing"),
        ]
    );
    assert_eq!(rejected[5]["got"], "prod");
    for one in rejected {
        let full = |key: &str| one[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(full("wanted") && full("source"), "{one}");
    }
    for personal in ["kartini", "0813777", "Purwokerto", "Melati"] {
        assert!(!ended.out.contains(personal) && !ended.err.contains(personal), "{ended:?}");
    }
}

#[test]
fn translate_takes_files_and_the_rules_of_a_contract() {
    let setup = Setup::new();
    let (input, output) = (setup.folder.path().join("in"), setup.folder.path().join("out"));
    // 1,000,001.00 and 3,000.00 rupiah, two of each.
    let dear = GOOD.replace("amount=1000000", "amount=200600200");
    let dear = dear.replace("2000.00", "1000001.00");
    let dear = format!("{dear}&notificationurl=https%3A%2F%2Fpsp.example%2F");
    let told = format!("{GOOD}&notificationurl=https%3A%2F%2Fpsp.example%2F");
    let live = told.replace("testchannel", "livechannel");
    let long = format!("{told}&unknown={}", "x".repeat(8_192));
    let lines = [&dear, GOOD, &told, &live, &long].map(|line| format!("{line}\n"));
    std::fs::write(&input, lines.concat()).expect("written");
    let files = ["--in", text(&input), "--out", text(&output)];
    let open = run(&[&["translate"][..], &files].concat());
    assert_eq!((open.code, open.out.as_str()), (0, ""), "{open:?}");
    let first = objects(&std::fs::read_to_string(&output).expect("text"));
    let charged = |line: &Value| line.get("charge").is_some();
    assert!(first.iter().all(charged), "without a contract all is allowed: {first:#?}");

    let held = setup.run("translate", &[&["--contract", "TESTCONTRACT"][..], &files].concat());
    assert_eq!(held.code, 0, "{held:?}");
    let lines = objects(&std::fs::read_to_string(&output).expect("text"));
    let fault = |line: &Value| {
        let one = &line["rejected"][0];
        format!("{} {}", one["field"].as_str().unwrap_or(""), one["rule"].as_str().unwrap_or(""))
    };
    assert_eq!(fault(&lines[0]), "amount amount_needs_kyc");
    assert_eq!(fault(&lines[1]), "notificationurl missing", "the contract has no address");
    assert!(charged(&lines[2]), "{}", lines[2]);
    assert_eq!(lines[2]["charge"]["custom_expiry"]["expiry_duration"], 1_800);
    assert_eq!(fault(&lines[3]), "channel channel_not_in_contract");
    assert_eq!(fault(&lines[4]), "body body_too_long");

    let unknown = setup.run("translate", &["--contract", "OTHER", "--in", text(&input)]);
    assert_ne!(unknown.code, 0, "{unknown:?}");
    assert!(unknown.err.contains("OTHER") && unknown.out.is_empty(), "{unknown:?}");
    let missing = setup.folder.path().join("none/none");
    for args in [["--in", text(&missing)], ["--out", text(&missing)], ["--in", "/"]] {
        let ended = fed(&[&["translate"][..], &args].concat(), GOOD.as_bytes());
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{args:?}: {ended:?}");
    }
}

#[test]
fn translate_goes_on_for_thousands_of_lines() {
    const LINES: usize = 5_000;
    let input: String = (0..LINES)
        .map(|number| if number % 5 == 0 { "channel=x\n".to_owned() } else { format!("{GOOD}\n") })
        .collect();
    let ended = fed(&["translate", "--progress"], input.as_bytes());
    assert_eq!(ended.code, 0);
    let (mut charges, mut rejected) = (0, 0);
    for (at, line) in ended.out.lines().enumerate() {
        if line.starts_with("{\"charge\":") {
            assert!(line.contains(&format!("\"order_id\":\"{}\"", at + 1)), "{line}");
            charges += 1;
        } else {
            assert!(line.starts_with("{\"rejected\":"), "{line}");
            rejected += 1;
        }
    }
    assert_eq!((charges, rejected), (LINES * 4 / 5, LINES / 5));
    assert!(ended.err.contains("5000 lines, 1000 rejected"), "{}", ended.err);
}

#[test]
fn translate_stops_quietly_when_nobody_reads_on() {
    let mut child = program()
        .arg("translate")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let line = format!("{GOOD}\n");
    // Far more than pipes and buffers hold; the writing ends when the program does.
    let feeding = std::thread::spawn(move || while stdin.write_all(line.as_bytes()).is_ok() {});
    let mut out = child.stdout.take().expect("piped");
    let mut beginning = [0; 64];
    out.read_exact(&mut beginning).expect("output");
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    feeding.join().expect("fed");
    let ended = ended(&output);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
}

#[test]
fn check_config_online_says_whether_midtrans_takes_the_key() {
    let setup = Setup::new();
    let (simulator, port) = simulate();
    setup.write("gopay.db", port);
    let good = setup.run("check-config", &["--online"]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.out.ends_with(": valid\n"), "{good:?}");

    let config = std::fs::read_to_string(&setup.config).expect("text");
    let other = config.replace("SB-Mid-server-demo", "SB-Mid-server-other");
    std::fs::write(&setup.config, other).expect("written");
    assert_eq!(setup.run("check-config", &[]).code, 0, "a key of the right form");
    let refused = setup.run("check-config", &["--online"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{refused:?}");
    let said = "midtrans.test.server_key: Midtrans does not take it (refused 401";
    assert!(refused.err.contains(said), "{refused:?}");

    drop(simulator);
    let silent = setup.run("check-config", &["--online"]);
    assert_eq!((silent.code, silent.out.as_str()), (1, ""), "{silent:?}");
    let said = "midtrans.test.base_url: no answer that says whether the key is taken";
    assert!(silent.err.contains(said), "{silent:?}");
}

/// What `demo` prints can be pasted: the `curl` again and again, the address, and the commands.
#[test]
fn what_demo_prints_works_as_it_is() {
    let any = "127.0.0.1:0";
    let mut demo = Running(
        program()
            .args(["--log", "warn", "demo", "--listen", any, "--admin-listen", any])
            .args(["--simulator-listen", any])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts"),
    );
    let mut lines = BufReader::new(demo.0.stdout.take().expect("piped")).lines();
    let mut line = |begin: &str| {
        let mut all = lines.by_ref().map(|line| line.expect("text"));
        let found = all.find(|line| line.trim_start().starts_with(begin));
        found.unwrap_or_else(|| panic!("demo prints {begin:?}"))
    };
    let shell = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).output().expect("a shell");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let curl = line("curl");
    assert_eq!(line("STATUS").split_whitespace().last(), Some("PENDING"));
    let txid = line("TXID").split_whitespace().last().expect("a TXID").to_owned();
    let pay = line("pay it").split_whitespace().last().expect("an address").to_owned();
    assert!(get(&pay).contains("Pay with GoPay on your phone"), "{pay}");
    let paid = line("or ").trim_start().trim_start_matches("or ").to_owned();
    assert_eq!(shell(&paid), format!("{txid}: settlement, 134000 rupiah\n"));
    let read = line("read it").split_whitespace().nth(2).expect("an address").to_owned();
    assert!(get(&read).contains("transientin.orderitems"), "{read}");
    let explain = line("explain it").trim_start().trim_start_matches("explain it").to_owned();
    assert!(shell(&explain).starts_with(&format!("Transaction {txid}\n")), "{explain}");

    if Command::new("curl").arg("--version").output().is_err() {
        return crate::support::not_tested("the curl that demo prints: curl is not installed");
    }
    let told = |answer: &str, key: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key} in {answer}")).to_owned()
    };
    let answers = [shell(&curl), shell(&curl)];
    for answer in &answers {
        assert_eq!(told(answer, "STATUS"), "PENDING");
        assert!(get(&told(answer, "REDIRECTURL")).contains("Rp\u{a0}10.000"), "{answer}");
    }
    for key in ["TXID", "MERCHANTTXID"] {
        assert_ne!(told(&answers[0], key), told(&answers[1], key));
    }
}

#[test]
fn trigger_brings_a_payment_to_any_end() {
    let (simulator, port) = simulate();
    let url = format!("http://127.0.0.1:{port}/");
    let trigger = |args: &[&str]| run(&[&["trigger", "--simulator", &url][..], args].concat());
    for (number, (steps, told)) in [
        (&[&["paid"][..]][..], "settlement, 10000 rupiah"),
        (&[&["declined"]], "deny, 10000 rupiah"),
        (&[&["expired"]], "expire, 10000 rupiah"),
        (&[&["late"]], "settlement, 10000 rupiah"),
        (&[&["declined"], &["late"]], "settlement, 10000 rupiah"),
        (&[&["paid"], &["refund"]], "refund, 10000 rupiah, 10000 refunded"),
        (
            &[&["paid"], &["refund", "--amount", "400"]],
            "partial_refund, 10000 rupiah, 400 refunded",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let order = format!("T-{number}");
        charge_at(port, &order);
        let mut ended = None;
        for step in steps {
            let (outcome, options) = step.split_first().expect("an outcome");
            let done = trigger(&[&[*outcome, &order][..], options].concat());
            assert_eq!((done.code, done.err.as_str()), (0, ""), "{step:?}: {done:?}");
            ended = Some(done.out);
        }
        assert_eq!(ended, Some(format!("{order}: {told}\n")));
    }
    let json = trigger(&["--json", "refund", "T-0", "--amount", "1"]);
    let json: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!((&json["order_id"], &json["refunded"]), (&"T-0".into(), &1.into()));
    for (args, code, why) in [
        (&["paid", "T-0"][..], 1, "T-0: the payment is partial_refund already\n"),
        (&["late", "T-0"], 1, "T-0: the payment is partial_refund already\n"),
        (&["late", "nobody"], 1, "nobody: no such transaction\n"),
        (&["refund", "T-0", "--amount", "0"], 1, "T-0: the amount is not between 1 and the 9999"),
        (&["clock", "yesterday"], 1, "advance is not a span"),
        (&["fault", "charge", "explode"], 1, "unknown variant `explode`"),
        (&["fault", "charge", "drop"], 1, "this action does not apply to what"),
        (
            &["fault", "charge", "drop", "--times", "often"],
            3,
            "--times: must be a number or `always`",
        ),
    ] {
        let ended = trigger(args);
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{args:?}: {ended:?}");
        assert!(ended.err.contains(why), "{args:?}: {ended:?}");
    }
    drop(simulator);
    let silent = trigger(&["paid", "T-0"]);
    assert_eq!(silent.code, 3, "{silent:?}");
    assert!(silent.err.contains("is `gopay-adapter simulate` or `demo` running?"), "{silent:?}");
}

#[test]
fn trigger_does_by_one_command_what_the_simulator_does_by_clicking() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("simulator.toml");
    // Nobody listens there: what counts is that it was sent.
    std::fs::write(&config, "notification_url = \"http://127.0.0.1:1/\"\n").expect("written");
    let (simulator, port) = simulate_with(&["--config", config.to_str().expect("text")]);
    let url = format!("http://127.0.0.1:{port}/");
    let ended =
        |args: &[&str]| run(&[&["trigger", "--simulator", &url, "--json"][..], args].concat());
    let trigger = |args: &[&str]| {
        let ended = ended(args);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}: {ended:?}");
        serde_json::from_str::<Value>(&ended.out).expect("JSON")
    };
    charge_at(port, "T-1");
    let queued = |answer: &Value| answer["notifications"]["queued"].as_u64().expect("a number");
    let notified = queued(&trigger(&["notify", "T-1"]));
    let forged = queued(&trigger(&["forge", "T-1"]));
    assert_eq!(forged, notified + 1);
    // There is a last one as soon as one was sent.
    while ended(&["repeat", "T-1"]).code != 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(queued(&trigger(&["repeat", "T-1"])) >= forged + 2);
    let spent = trigger(&["fault", "status", "{\"http\":{\"status\":503}}", "--times", "always"]);
    assert_eq!(spent["id"], 1);
    assert_eq!(trigger(&["fault", "charge", "lost_after", "--order", "T-2"])["id"], 2);
    assert_eq!(trigger(&["no-faults"])["cleared"], 2);
    trigger(&["paid", "T-1"]);
    assert_eq!(trigger(&["chargeback", "T-1", "--amount", "4000"])["charged_back"], 4_000);
    charge_at(port, "T-3");
    trigger(&["clock", "1h"]);
    let late = run(&["trigger", "--simulator", &url, "paid", "T-3"]);
    assert_eq!((late.code, late.err.as_str()), (1, "T-3: the payment is expire already\n"));
    drop(simulator);
}

#[tokio::main(flavor = "current_thread")]
async fn charge_at(port: u16, order: &str) {
    let body = serde_json::json!({
        "payment_type": "gopay",
        "transaction_details": {"order_id": order, "gross_amount": 10_000},
    });
    let url = format!("http://127.0.0.1:{port}/v2/charge");
    let call = client().post(url).basic_auth("SB-Mid-server-demo", Some("")).json(&body);
    let answer: Value = call.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer["status_code"], "201", "{answer}");
}

/// By a merchanttxid in any case, with and without the config's contracts, and by Midtrans' id.
fn explain_takes_any_id(setup: &Setup, txid: &str, simulator: u16, story: &str) {
    let url = format!("http://127.0.0.1:{simulator}/simulator/v1/transactions/{txid}");
    let held: Value = serde_json::from_str(&get(&url)).expect("JSON");
    let midtrans_id = held["transaction_id"].as_str().expect("an id");
    let store = format!("sqlite:{}", setup.store().display());
    for id in [txid, "order-explain-1", midtrans_id] {
        let by_store = run(&["explain", "--store", &store, id]);
        assert_eq!((by_store.code, by_store.err.as_str()), (0, ""), "{id}: {by_store:?}");
        assert_eq!(setup.run("explain", &[id]).out, by_store.out, "{id}");
        let header = |story: &str| story.lines().next().map(str::to_owned);
        assert_eq!(header(&by_store.out), header(story), "{id}");
        let json = setup.run("explain", &["--json", id]);
        let json: Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(json[0]["transaction"]["txid"], *txid, "{id}");
        assert_eq!(json[0]["transaction"]["amount_sen"], 1_000_000, "{id}");
    }
    let none = setup.run("explain", &["ORDER-NOBODY"]);
    assert_eq!((none.code, none.out.as_str()), (1, ""), "{none:?}");
}

/// Control characters and direction marks are shown, not acted out.
fn nothing_from_outside_writes_lines_of_the_story(
    setup: &Setup,
    open: &impl Fn(&[(&str, &str)]) -> crate::support::Answer,
) {
    let forged = "\u{1b}[2J\n  state succeeded\u{202e}";
    let answer = open(&[("specin.dynamicdescriptor", forged), ("merchanttxid", "FORGED-1")]);
    for options in [&[][..], &["--json"]] {
        let told = setup.run("explain", &[options, &[&answer["TXID"]]].concat());
        assert_eq!(told.code, 0, "{told:?}");
        let acts = |char: char| char != '\n' && gopay_core::text::is_unprintable(char);
        assert!(!told.out.contains(acts), "{}", told.out);
        let lines =
            told.out.lines().filter(|line| line.trim_start().starts_with("state succeeded"));
        assert_eq!(lines.count(), 0, "{}", told.out);
        assert!(told.out.contains("202e"), "{}", told.out);
    }
}

#[test]
fn explain_beside_a_running_serve_masks_personal_data() {
    let setup = Setup::new();
    let (_simulator, port) = simulate();
    setup.write("sub/gopay.db", port);
    let mut serving = setup.serve();

    let personal = [
        ("accountholdername", "Kartini Wulandari"),
        ("specin.email", "wulandari@shopper.example"),
        ("specin.phone", "+6281377700099"),
        ("specin.billingaddrline1", "Jalan Melati 77"),
        ("specin.shippingaddrcity", "Purwokerto"),
        ("specin.unheard", "Kartini unheard"),
    ];
    let more =
        [("merchanttxid", "ORDER-EXPLAIN-1"), ("notificationurl", "https://psp.example/notify")];
    let open = |changes: &[(&str, &str)]| {
        let pairs = crate::support::example(&[&personal[..], &more[..], changes].concat());
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        post(setup.psp, crate::support::body("TRANSACTION", &pairs))
    };
    let good = open(&[]);
    assert_eq!(good["STATUS"], "PENDING", "{good:?}");
    let bad = open(&[("amount", "1000050")]);
    assert_eq!(bad["STATUS"], "FAILED", "{bad:?}");

    let story = setup.run("explain", &[&good["TXID"]]);
    assert_eq!((story.code, story.err.as_str()), (0, ""), "{story:?}");
    for part in [
        good["TXID"].as_str(),
        "ORDER-EXPLAIN-1",
        "testclient",
        "TESTCONTRACT",
        "amount=1000000",
        "pending",
        "\"gross_amount\":10000",
    ] {
        assert!(story.out.contains(part), "{part} in {}", story.out);
    }
    // A cause stands before what it led to.
    let sent = story.out.find("charge_sent").expect("the call");
    assert!(sent < story.out.find("\"charge_created\"").expect("the state"), "{}", story.out);
    explain_takes_any_id(&setup, &good["TXID"], port, &story.out);
    nothing_from_outside_writes_lines_of_the_story(&setup, &open);
    let refused = setup.run("explain", &[&bad["TXID"]]);
    assert_eq!(refused.code, 0, "{refused:?}");
    for part in [
        "failed",
        "INPUT_DATA",
        "amount_not_whole",
        "psp-guide",
        "amount=1000050 asked; the call was refused",
    ] {
        assert!(refused.out.contains(part), "{part} in {}", refused.out);
    }
    let secrets = ["test123", "secret-of-the-test", "SB-Mid-server-demo", "Laptop"];
    for hidden in personal.map(|(_, value)| value).iter().chain(&secrets) {
        for shown in [&story, &refused] {
            assert!(!shown.out.contains(hidden), "{hidden} in {}", shown.out);
        }
    }
    // Neither password nor cart are kept anywhere.
    for name in ["gopay.db", "gopay.db-wal"] {
        let bytes = std::fs::read(setup.folder.path().join("sub").join(name)).unwrap_or_default();
        let kept = String::from_utf8_lossy(&bytes);
        assert!(!kept.contains("test123") && !kept.contains("Laptop"), "{name}");
    }
    assert_eq!(setup.run("explain", &["999"]).code, 1);

    // A copy taken while it runs holds the payment, and never overwrites.
    let copy = setup.folder.path().join("copy.db");
    let copy = copy.to_str().expect("text");
    let first = setup.run("backup", &["--out", copy]);
    assert_eq!(first.code, 0, "{first:?}");
    let config = setup.folder.path().join("copy.toml");
    std::fs::write(&config, format!("[store]\nurl = \"sqlite:{copy}\"\n")).expect("written");
    let config = config.to_str().expect("text");
    let told = program().args(["explain", "--config", config, &good["TXID"]]).output();
    let told = String::from_utf8(told.expect("it runs").stdout).expect("text");
    assert_eq!(told, story.out);
    assert_eq!(setup.run("backup", &["--out", copy]).code, 3);

    // The store belongs to one process at a time.
    let second = Setup { psp: free_port(), admin: free_port(), ..Setup::new() };
    let theirs = std::fs::read_to_string(&setup.config).expect("text");
    let mine = theirs
        .replace(&format!(":{}\"", setup.psp), &format!(":{}\"", second.psp))
        .replace(&format!(":{}\"", setup.admin), &format!(":{}\"", second.admin));
    std::fs::write(&second.config, mine).expect("written");
    for command in ["serve", "migrate"] {
        let ended = second.run(command, &[]);
        assert_eq!(ended.code, 3, "{command}: {ended:?}");
        assert!(ended.err.contains("in use by"), "{command}: {ended:?}");
    }
    // And so do the addresses, which are told before the store is looked at.
    let ended = setup.run("serve", &[]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains(&format!("127.0.0.1:{}", setup.psp)), "{ended:?}");
    assert!(serving.0.try_wait().expect("a state").is_none(), "the first goes on");

    // Told to stop, it finishes and says that all is well; then the store is free.
    let pid = serving.0.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    assert!(told.success());
    assert_eq!(serving.0.wait().expect("it ends").code(), Some(0));
    assert_eq!(setup.run("migrate", &[]).code, 0);
    let later = setup.run("explain", &[&good["TXID"]]);
    assert!(later.out.contains("ORDER-EXPLAIN-1"), "{later:?}");
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
