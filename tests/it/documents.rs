//! The documents' commands are run as they stand: README, guide, OPERATIONS and the others cannot say
//! what the program does not do.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::served::{Served, Stopped, free_port, hash_password};
use crate::support::wire::SERVER_KEY;
use crate::support::{Demo, Running, decode, eventually};

/// A command of a document.
#[derive(Clone, Debug)]
struct Shown {
    document: String,
    text: String,
    /// A line of a block of code; else it is code within a sentence, which may be a mere name.
    whole: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).expect("a folder");
    let mut all: Vec<_> = docs.map(|entry| entry.expect("an entry").path()).collect();
    all.retain(|path| path.extension().is_some_and(|it| it == "md"));
    all.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root().join(name)));
    all.sort();
    all
}

/// The commands of all documents that begin so: lines of code, and code within a sentence.
fn shown(beginning: &str) -> Vec<Shown> {
    let mut all = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document").replace("\\\n", " ");
        let document = path.file_name().expect("a name").to_string_lossy().into_owned();
        let mut take = |text: &str, whole| {
            let found = text.starts_with(beginning).then(|| Shown {
                document: document.clone(),
                text: text.to_owned(),
                whole,
            });
            all.extend(found);
        };
        let mut fenced = false;
        // Code within a sentence may go on in the next line, and never in the next paragraph.
        let mut paragraph = String::new();
        for line in text.lines().chain([""]) {
            let fence = line.trim_start().starts_with("```");
            if fenced && !fence {
                take(line.trim_start().trim_start_matches("$ "), true);
            } else if fence || line.is_empty() {
                for code in paragraph.split('`').skip(1).step_by(2) {
                    take(code, false);
                }
                paragraph.clear();
            } else {
                paragraph.push_str(line.trim_start());
                paragraph.push(' ');
            }
            fenced ^= fence;
        }
    }
    all
}

/// What the documents' commands act on: a store with payments, its config, a running simulator, and
/// files by the names that the documents use. `serve` has been stopped.
struct World {
    stopped: Stopped,
    /// Its receiver of notifications is the one that the documents try.
    demo: Demo,
    paid: String,
    /// A payment that nobody has paid.
    waiting: String,
    /// Payments whose money waits for a decision.
    in_doubt: Vec<String>,
    /// A call that was refused: nothing needs its data.
    refused: String,
}

impl World {
    async fn new() -> Self {
        let served = Served::start(&config()).await;
        let paid = open(&served, "paid").await;
        served.wallet(&paid, "pay", json!({})).await;
        let waiting = open(&served, "waiting").await;
        let refused = served.transaction(&[("amount", "7")]).await["TXID"].clone();
        let mut in_doubt = Vec::new();
        for place in 0..4 {
            let txid = open(&served, &format!("doubt-{place}")).await;
            let fee = json!({"customer_fee": {"rupiah": 71}});
            let fault = json!({"on": "status", "action": fee, "order_id": txid, "times": null});
            served.fault(fault).await;
            served.wallet(&txid, "pay", json!({})).await;
            in_doubt.push(txid);
        }
        served
            .eventually("what was paid is known", async || {
                let sums = served.totals().await;
                sums["payments"]["succeeded"] == 1 && sums["attention"]["payments"] == 4
            })
            .await;
        let (stopped, demo) = (served.stop(), Demo::start().await);
        let world = Self { stopped, demo, paid, waiting, in_doubt, refused };
        world.files();
        world
    }

    fn folder(&self) -> &Path {
        self.stopped.folder.path()
    }

    /// The files that the documents name.
    fn files(&self) {
        let at = |name: &str| self.folder().join(name);
        let write = |name: &str, text: &str| fs::write(at(name), text).expect("written");
        fs::create_dir(at("bin")).expect("a folder");
        symlink(env!("CARGO_BIN_EXE_gopay-adapter"), at("bin/gopay-adapter")).expect("a link");
        let text = fs::read_to_string(at("config.toml")).expect("the config");
        let line = text.lines().find(|line| line.starts_with("url = ")).expect("a store");
        write("new.toml", &text.replace(line, "url = \"sqlite:new.db\""));
        write("simulator.toml", "merchant_name = \"Toko\"\n");
        write("rates.csv", "date,base,quote,rate,source\n2026-01-30,USD,IDR,16190.00,ECB\n");
        let body = crate::support::encode([("txtype", "TRANSACTION"), ("tag", "gopay")]);
        write("bodies.txt", &format!("{body}\n"));
        let export = "Order ID,Payment type,Currency,Amount,Transaction status,Transaction Time\n";
        write(
            "export.csv",
            &format!("{export}{},gopay,IDR,10000.00,settlement,2026-03-01 17:00:00\n", self.paid),
        );
        write("report.csv", export);
        write("october.csv", export);
        write("transfer-history.csv", "REQUEST DATE,ID,PAID DATE,AMOUNT (NET),STATUS\n");
        write("P182400.csv", "Order ID,Transaction ID,Amount,Total fee,Net\n");
        write("transfers.csv", "reference,date,amount,currency\n");
        for (name, day) in [("camt-10.xml", "2026-10-31"), ("camt-11.xml", "2026-11-30")] {
            write(name, &statement(day));
        }
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        for (column, title) in (0..).zip(export.trim_end().split(',')) {
            sheet.write(0, column, title).expect("a cell");
        }
        book.save(at("november.xlsx")).expect("written");
    }
}

/// The word behind the program's name.
fn name_of(command: &str) -> &str {
    command.split_whitespace().nth(1).expect("a command")
}

/// The command's place in [`ORDER`], and how it is run.
fn place(shown: &Shown) -> (usize, Run) {
    let name = name_of(&shown.text);
    let found = ORDER.iter().position(|(other, _)| *other == name);
    let place = found.unwrap_or_else(|| panic!("{shown:?}: how is it run?"));
    (place, ORDER[place].1)
}

impl World {
    /// The command with what the documents' names stand for, as a shell takes it.
    fn command(&mut self, shown: &Shown) -> String {
        let mut text = shown.text.replace("...", "");
        // Five minutes of a lost stretch are 300,000 questions.
        text = text.replace("T10:05:00Z", "T10:00:00.100Z");
        // What `backup` made before.
        text = text.replace("sqlite:data/gopay.db", "sqlite:copy.db");
        text = text.replace("http://127.0.0.1:8090", &self.demo.simulator);
        if text.contains(" resolve ") {
            let txid = self.in_doubt.pop().expect("fewer decisions in the documents");
            text = text.replace("TXID", &txid);
        }
        if text.contains(" erase ") {
            text = text.replace("TXID", &self.refused);
        }
        let (config, folder) = match name_of(&text) {
            "simulate" => ("simulator.toml", "simulated"),
            "demo" => ("", "tried-out"),
            _ => ("config.toml", "sets"),
        };
        for (name, value) in [
            ("TXID", self.paid.as_str()),
            ("ID", &self.paid),
            ("ORDER", &self.waiting),
            ("FILE", config),
            ("NEW", "new.toml"),
            ("COPY", "copy.db"),
            ("EXPORT.csv", "export.csv"),
            ("DIR", folder),
            ("TIME", "2026-03-01T10:00:00Z"),
        ] {
            text = words(&text, name, value);
        }
        text
    }

    fn shell(&self, command: &str) -> Command {
        let path = std::env::var("PATH").expect("a path");
        let mut shell = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GOPAY_ADAPTER_") {
                shell.env_remove(name);
            }
        }
        let any = "127.0.0.1:0";
        shell
            .args(["-c", command])
            .current_dir(self.folder())
            .env("PATH", format!("{}:{path}", self.folder().join("bin").display()))
            .env("STORE_URL", "sqlite:copied.db")
            .env("GOPAY_ADAPTER_SIMULATOR", &self.stopped.simulator)
            .env("GOPAY_ADAPTER_SIMULATOR_LISTEN", any)
            .env("GOPAY_ADAPTER_LISTEN", any)
            .env("GOPAY_ADAPTER_ADMIN_LISTEN", any)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        shell
    }

    /// Runs to the end, with a password for whoever asks.
    fn end(&self, command: &str) -> Output {
        let mut child = self.shell(command).spawn().expect("bash");
        let mut input = child.stdin.take().expect("piped");
        // Most do not read.
        let _ = input.write_all(b"a password\n");
        drop(input);
        child.wait_with_output().expect("it ends")
    }

    /// Runs until it serves.
    async fn serve(&self, command: &str) {
        let child = self.shell(&format!("exec {command}")).spawn().expect("bash");
        let mut child = Running(child);
        if command.contains(" serve ") {
            let http = reqwest::Client::new();
            let url = format!("{}/health/ready", self.stopped.admin);
            eventually(command, async || {
                http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success())
            })
            .await;
            return;
        }
        let lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
        let said = lines.map_while(Result::ok).any(|line| line.contains("http://127.0.0.1:"));
        let mut error = String::new();
        if !said {
            let _ = child.0.stderr.take().expect("piped").read_to_string(&mut error);
        }
        assert!(said, "{command}: it ended without a word where it listens: {error}");
    }
}

/// The text with a name for a value replaced where it stands as a word.
fn words(text: &str, name: &str, value: &str) -> String {
    let parts = text.split_inclusive([' ', ':', '/', '"']);
    let replaced = parts.map(|part| {
        let word = part.trim_end_matches([' ', ':', '/', '"']);
        if word == name { part.replacen(name, value, 1) } else { part.to_owned() }
    });
    replaced.collect()
}

#[tokio::test]
async fn each_command_of_the_documents_does_what_it_is_shown_for() {
    let mut all = shown("gopay-adapter ");
    // It is run as a whole, below.
    all.retain(|one| one.document != "tutorial.md");
    assert!(all.len() > 20, "only {} commands were found", all.len());
    all.sort_by_key(|one| place(one).0);
    let mut world = World::new().await;
    let mut run = 0;
    for one in &all {
        let command = world.command(one);
        match place(one).1 {
            Run::Serves if one.whole || command.split_whitespace().count() > 2 => {
                world.serve(&command).await;
            }
            // The demo is started by every other test, on ports that are free.
            Run::Serves => continue,
            Run::Ends(codes) => {
                let output = world.end(&command);
                let code = output.status.code().expect("it was not killed");
                let error = String::from_utf8_lossy(&output.stderr);
                // Within a sentence a command may stand for itself.
                let rest = ["required arguments", "requires a subcommand"];
                if !one.whole && code == 2 && rest.iter().any(|why| error.contains(why)) {
                    continue;
                }
                assert!(codes.contains(&code), "{one:?}: {command}: {code}: {error}");
            }
        }
        run += 1;
    }
    assert!(run > 20, "only {run} commands were run");
}

/// What a shell says to a line of a document.
fn bash(line: &str) -> String {
    let output = Command::new("bash").args(["-c", line]).output().expect("bash");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{line}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test]
async fn the_calls_of_the_guide_open_tell_and_refund_a_payment() {
    let demo = Demo::start().await;
    let mut txid = String::new();
    let mut statuses = Vec::new();
    let guides = shown("curl ").into_iter().filter(|one| one.document == "psp-guide.md");
    let (feeds, calls): (Vec<_>, Vec<_>) = guides.partition(|one| one.text.contains("/feed"));
    for one in calls {
        let here = one.text.replace("http://127.0.0.1:8080", &demo.adapter);
        let answer = decode(&bash(&here.replace("123887123", &txid)));
        statuses.push(answer["STATUS"].clone());
        if txid.is_empty() {
            txid = answer["TXID"].clone();
            demo.wallet(&txid, "pay", json!({})).await;
            demo.until_status(&txid, "SUCCEEDED").await;
        }
    }
    assert_eq!(statuses, ["PENDING", "SUCCEEDED", "SUCCEEDED"]);
    assert_eq!(feeds.len(), 1, "{feeds:?}");
    let said = bash(&feeds[0].text.replace("http://127.0.0.1:8080", &demo.adapter));
    let kinds = said.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        line["kind"].as_str().expect("a kind").to_owned()
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["succeeded", "refund_succeeded", "position"]);
}

/// The blocks of a document that a shell takes.
fn blocks(document: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).expect("a document");
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("its end").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_ends_with_a_payment_that_is_paid_refunded_settled_and_reconciled() {
    let faketime = Command::new("faketime").arg("--version").output();
    if !faketime.is_ok_and(|output| output.status.success()) {
        return gopay_testkit::not_tested(
            "faketime is missing: the tutorial, which needs a tomorrow",
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = Path::new(env!("CARGO_BIN_EXE_gopay-adapter"));
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", program.parent().expect("a folder").display());
    let script = blocks("docs/tutorial.md").concat();
    let ports = ["8080", "8081", "8090"].map(|shown| (shown, free_port().to_string()));
    let script = ports.iter().fold(script, |script, (shown, free)| {
        script.replace(&format!("127.0.0.1:{shown}"), &format!("127.0.0.1:{free}"))
    });
    let said = fs::File::create(folder.path().join("said")).expect("a file");
    let mut command = Command::new("timeout");
    command
        .args(["-k", "5", "120", "bash", "-c"])
        .arg(format!("set -eu; trap 'kill $(jobs -p)' EXIT\n{script}"))
        .current_dir(folder.path())
        .env("PATH", path)
        .env("TOMORROW", "faketime -f +2d")
        .stdin(Stdio::null())
        .stdout(said.try_clone().expect("a file"))
        .stderr(said);
    let ended = tokio::task::spawn_blocking(move || command.status()).await.expect("no panic");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let said = read("said");
    assert!(ended.expect("it runs").success(), "{said}\n{}", read("adapter.log"));
    assert!(read("opened.txt").contains("STATUS=PENDING"), "{said}");
    assert!(read("refunded.txt").contains("STATUS=SUCCEEDED"), "{said}");
    assert!(read("explained.txt").contains("\"event\":\"paid\""), "{said}");
    assert_eq!(read("feed.txt").lines().count(), 3, "{said}");
    for line in ["closed: transfer 0.49 USD", "1 sets with 5 rows are as they were made", "Breaks"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.trim_end().ends_with("Breaks\n  none"), "{said}");
}

/// The block of README that is pasted beside the demo, as a shell takes it.
fn pasted() -> String {
    let blocks = blocks("README.md");
    assert_eq!(blocks[0], "cargo demo\n", "what comes first");
    assert!(blocks[1].starts_with("call() "), "{blocks:?}");
    blocks[1].clone()
}

#[tokio::test]
async fn what_readme_has_pasted_ends_with_a_payment_that_is_paid_refunded_and_explained() {
    let demo = Demo::start().await;
    let here = pasted()
        .replace("http://127.0.0.1:8080", &demo.adapter)
        .replace("http://127.0.0.1:8081", &demo.admin)
        .replace("http://127.0.0.1:8090", &demo.simulator);
    let said = bash(&here);
    let lines: Vec<&str> = said.lines().collect();
    let (paid, refunded) = (decode(lines[0]), decode(lines[1]));
    assert_eq!((paid["STATUS"].as_str(), refunded["STATUS"].as_str()), ("SUCCEEDED", "SUCCEEDED"));
    assert!(refunded.contains_key("REFUNDID"), "{said}");
    let readme = fs::read_to_string(root().join("README.md")).expect("README");
    let kind = |line: &str| line.split('"').nth(7).unwrap_or_default().to_owned();
    let told: Vec<String> = lines[2..].iter().map(|line| kind(line)).collect();
    let shown = readme.lines().filter(|line| line.starts_with("\"at\":"));
    for kind in shown.map(kind) {
        assert!(told.contains(&kind), "README shows {kind}: {said}");
    }
}

#[tokio::test]
async fn the_decision_that_operations_shows_is_taken_by_the_running_program() {
    let demo = Demo::start().await;
    let txid = demo.pending().await;
    let fee = json!({"customer_fee": {"rupiah": 71}});
    demo.fault(json!({"on": "status", "action": fee, "order_id": txid, "times": null})).await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.eventually("it is listed", async || demo.totals().await["attention"]["payments"] == 1)
        .await;
    let mut shown = shown("curl -X POST");
    shown.retain(|one| one.text.contains("/admin/v1/attention/"));
    assert_eq!(shown.len(), 1, "{shown:?}");
    let here = shown[0].text.replace("http://ADMIN", &demo.admin).replace("TXID", &txid);
    bash(&format!("{here} --fail -sS"));
    demo.until_status(&txid, "SUCCEEDED").await;
}

#[test]
fn the_hash_of_the_guide_is_computed_by_its_two_lines() {
    let mut lines = [shown("inner="), shown("printf ")].concat();
    lines.retain(|one| one.document == "psp-guide.md");
    assert_eq!(lines.len(), 2, "{lines:?}");
    let said = bash(&format!("{}; {}", lines[0].text, lines[1].text));
    let guide = fs::read_to_string(root().join("docs/psp-guide.md")).expect("the guide");
    let hash = said.split_whitespace().next().expect("a hash");
    let row = guide.lines().find(|line| line.starts_with("| **`cs`**")).expect("the row");
    assert!(row.contains(hash), "{row}: {hash}");
}

/// What takes too long to be run here is at least there by its name.
#[test]
fn what_the_documents_name_of_this_repository_is_there() {
    let mut seen = 0;
    for beginning in ["crates/", "tests/", "benches/", "fuzz/", "docs/", "schemas/"] {
        for one in shown(beginning) {
            let name = one.text.split_whitespace().next().expect("a word");
            if name.contains(['<', '*', '{']) {
                continue;
            }
            seen += 1;
            let path = root().join(name);
            assert!(path.exists(), "{}: {name} is not there", one.document);
        }
    }
    for one in shown("cargo ").into_iter().chain(shown("GOPAY_")) {
        let parts: Vec<&str> = one.text.split_whitespace().collect();
        for pair in parts.windows(2) {
            let places = match pair[0] {
                "-p" => vec![format!("crates/{}/Cargo.toml", pair[1].trim_start_matches("gopay-"))],
                "--test" => ["", "crates/core/"]
                    .iter()
                    .flat_map(|at| ["main.rs", ".rs"].map(|end| (at, end)))
                    .map(|(at, end)| {
                        let slash = if end == ".rs" { "" } else { "/" };
                        format!("{at}tests/{}{slash}{end}", pair[1])
                    })
                    .collect(),
                "--bench" => vec![format!("benches/{}.rs", pair[1])],
                _ => continue,
            };
            seen += 1;
            let there = places.iter().any(|place| root().join(place).exists());
            assert!(there, "{}: {}: none of {places:?} is there", one.document, one.text);
        }
    }
    assert!(seen > 40, "only {seen} names were found");
}

/// The config of the world, after what [`Served`] sets.
fn config() -> String {
    let hash = hash_password("test123");
    format!(
        r#"[[store.encryption]]
id = "2026"
key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
[retention]
keep = "400d"
folder = "{{folder}}/archive"
[midtrans.test]
base_url = "{{simulator}}"
server_key = "{SERVER_KEY}"
[delivery]
allow_private = ["127.0.0.0/8"]
[settlement]
rates = "rates.csv"
[[client]]
login = "testclient"
password_hash = "{hash}"
shared_secret = "examplesharedsecret"
notification_secrets = ["examplenotificationsecret"]
[[contract]]
id = "TESTCONTRACT"
client = "testclient"
channels = ["testchannel"]
notification_url = "http://127.0.0.1:{}/nobody"
redirect_url = "https://shop.example/return"
[contract.settlement]
entity = 1
client_number = 999
[[contract.settlement.terms]]
valid_from = "2026-01-01"
currency = "USD"
frequency = "M"
"#,
        free_port(),
    )
}

async fn open(served: &Served, reference: &str) -> String {
    let answer = served.transaction(&[("merchanttxid", reference)]).await;
    assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
    answer["TXID"].clone()
}

/// A bank statement without entries.
fn statement(day: &str) -> String {
    let balance = |kind: &str| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy=\"IDR\">0.00</Amt>\
             <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
        )
    };
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><GrpHdr>\
         <MsgId>{day}</MsgId><CreDtTm>{day}T00:00:00Z</CreDtTm></GrpHdr><Stmt><Id>{day}</Id>\
         <CreDtTm>{day}T00:00:00Z</CreDtTm><Acct><Id><Othr><Id>0000012345</Id></Othr></Id></Acct>\
         {}{}</Stmt></BkToCstmrStmt></Document>",
        balance("OPBD"),
        balance("CLBD"),
    )
}

/// How a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// To its end, with one of these exit codes.
    Ends(&'static [i32]),
    /// Until it says where it listens, or is ready; then it is ended.
    Serves,
}

/// Each command in the order in which the world allows them. A command that is not here has no test
/// that runs it as the documents show it.
const ORDER: [(&str, Run); 33] = [
    ("--help", Run::Ends(&[0])),
    ("hash-password", Run::Ends(&[0])),
    ("completions", Run::Ends(&[0])),
    ("man", Run::Ends(&[0])),
    ("check-config", Run::Ends(&[0])),
    ("translate", Run::Ends(&[0])),
    ("certify", Run::Ends(&[0])),
    ("explain", Run::Ends(&[0])),
    // Somebody has to decide.
    ("attention", Run::Ends(&[0, 1])),
    ("directory", Run::Ends(&[0])),
    ("backup", Run::Ends(&[0])),
    ("journal", Run::Ends(&[0])),
    ("totals", Run::Ends(&[0])),
    ("retain", Run::Ends(&[0])),
    ("settle", Run::Ends(&[0])),
    ("verify-files", Run::Ends(&[0])),
    ("process-files", Run::Ends(&[0])),
    ("propose-mapping", Run::Ends(&[0])),
    ("reconcile", Run::Ends(&[0, 1])),
    ("copy-store", Run::Ends(&[0])),
    ("migrate", Run::Ends(&[0])),
    ("recover", Run::Ends(&[0])),
    ("resolve", Run::Ends(&[0])),
    ("redeliver", Run::Ends(&[0])),
    ("rekey", Run::Ends(&[0])),
    ("erase", Run::Ends(&[0])),
    // Nothing runs here that could; `exposed` has it done by a `serve`.
    ("reload", Run::Ends(&[2, 3])),
    ("acknowledge-lost", Run::Ends(&[3])),
    ("trigger", Run::Ends(&[0])),
    ("listen", Run::Serves),
    ("serve", Run::Serves),
    ("simulate", Run::Serves),
    ("demo", Run::Serves),
];

/// Every source file of the workspace, as one text.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, all);
        } else if path.extension().is_some_and(|it| it == "rs") {
            all.push_str(&fs::read_to_string(path).expect("a source"));
        }
    }
}

/// The first column of the tables of further texts; the first table is held against the rules where
/// those are.
#[test]
fn every_text_of_the_catalogue_of_errors_is_one_of_the_program() {
    let mut all = String::new();
    for folder in ["crates/core/src", "crates/service/src"] {
        sources(&root().join(folder), &mut all);
    }
    let page = fs::read_to_string(root().join("docs/errors.md")).expect("the page");
    let further = page.split("## Refunds").nth(1).expect("further tables");
    let mut seen = 0;
    for line in further.lines().filter(|line| line.starts_with("| `")) {
        let column = line.split(" | ").next().expect("a column");
        for text in column.split('`').skip(1).step_by(2) {
            seen += 1;
            let known = text.split(" N ").all(|part| all.contains(part));
            assert!(known, "nobody says {text:?}");
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_tests_that_the_security_page_names_are_there() {
    let mut all = String::new();
    for folder in ["src", "crates", "tests"] {
        sources(&root().join(folder), &mut all);
    }
    let page = fs::read_to_string(root().join("SECURITY.md")).expect("the page");
    let table = page.split("## What stops each attack").nth(1).expect("the table");
    let named = table.split('`').skip(1).step_by(2).filter(|it| it.matches('_').count() > 2);
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(all.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}
