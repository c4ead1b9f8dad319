//! Drives the built program as a PSP, a shopper and an operator would: over HTTP, from outside.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::indexing_slicing, reason = "a missing key fails the test, as it should")]

pub(crate) mod collector;
pub(crate) mod instances;
pub(crate) mod leaks;
pub(crate) mod logged;
pub(crate) mod node;
pub(crate) mod postgres;
pub(crate) mod receiver;
pub(crate) mod served;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gopay_psp_client::{Credentials, Form, Pairs};
pub(crate) use gopay_testkit::wait::eventually;
use gopay_testkit::wait::look_again;
use serde_json::{Value, json};

use self::postgres::Engine;

/// A running `gopay-adapter demo`, ended when dropped.
pub(crate) struct Demo {
    _child: Running,
    pub(crate) adapter: String,
    pub(crate) admin: String,
    pub(crate) simulator: String,
    pub(crate) http: reqwest::Client,
}

/// A program that ends with the test, also when the test fails early.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An answer in urlencodeext form, decoded.
pub(crate) type Answer = BTreeMap<String, String>;

impl Demo {
    /// Starts the program on free ports and waits until it is ready.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(args: &[&str]) -> Self {
        Self::start_on_with(Engine::wanted(), args).await
    }

    pub(crate) async fn start_on(engine: Engine) -> Self {
        Self::start_on_with(engine, &[]).await
    }

    async fn start_on_with(engine: Engine, args: &[&str]) -> Self {
        gopay_outbound::install_crypto();
        let any = "127.0.0.1:0";
        let mut command = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
        command
            .args(["--log", "warn", "demo", "--no-payment", "--listen", any])
            .args(["--admin-listen", any, "--simulator-listen", any])
            .args(args);
        // Who brings a folder of their own wants a file.
        if !args.contains(&"--data")
            && let Some(url) = engine.database().await
        {
            command.args(["--store", &url]);
        }
        let child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut child = Running(child);
        let mut lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
        let mut address = |label: &str| {
            let line = lines
                .by_ref()
                .map(|line| line.expect("text"))
                .find(|line| line.trim_start().starts_with(label))
                .unwrap_or_else(|| panic!("the program prints `{label}`"));
            let url = line.split_whitespace().find(|word| word.starts_with("http")).expect("a URL");
            let after_scheme = url.find("://").expect("a scheme") + 3;
            let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
            url[..end].to_owned()
        };
        let adapter = address("Simple API");
        let simulator = address("simulator");
        let admin = address("health");
        // Keep reading, or the program would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(64)
            .build()
            .expect("a client");
        let demo = Self { _child: child, adapter, admin, simulator, http };
        demo.eventually("ready", async || {
            demo.get(&format!("{}/health/ready", demo.admin)).await.0 == 200
        })
        .await;
        demo
    }

    /// Sends a raw body to the Simple API; status and text.
    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, String) {
        let url = format!("{}/", self.adapter);
        let answer = self.http.post(url).body(body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    /// Calls the Simple API with the demo credentials.
    pub(crate) async fn call(&self, txtype: &str, pairs: &[(&str, &str)]) -> Answer {
        let (status, text) = self.post(body(txtype, pairs)).await;
        assert_eq!(status, 200, "{text}");
        decode(&text)
    }

    /// A TRANSACTION of PPRO's example with some pairs changed; an empty list changes nothing.
    pub(crate) async fn transaction(&self, changes: &[(&str, &str)]) -> Answer {
        let pairs = example(changes);
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.call("TRANSACTION", &pairs).await
    }

    /// Opens a payment that is pending; its TXID.
    pub(crate) async fn pending(&self) -> String {
        let answer = self.transaction(&[]).await;
        assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
        answer["TXID"].clone()
    }

    /// Opens a payment and pays it; its TXID.
    pub(crate) async fn paid(&self) -> String {
        let txid = self.pending().await;
        self.wallet(&txid, "pay", json!({})).await;
        self.until_status(&txid, "SUCCEEDED").await;
        txid
    }

    pub(crate) async fn status(&self, txid: &str) -> Answer {
        self.call("GETTXSTATUS", &[("txid", txid)]).await
    }

    pub(crate) async fn until_status(&self, txid: &str, status: &str) -> Answer {
        self.eventually(&format!("{txid} {status}"), async || {
            self.status(txid).await["STATUS"] == status
        })
        .await;
        self.status(txid).await
    }

    pub(crate) async fn refund(&self, txid: &str, sen: u64) -> Answer {
        let sen = sen.to_string();
        self.call("REFUND", &[("txid", txid), ("currency", "IDR"), ("amount", &sen)]).await
    }

    /// A wallet or provider action at the simulator: `pay`, `decline`, `deny`, `expire`, ...
    pub(crate) async fn wallet(&self, txid: &str, action: &str, options: Value) -> Value {
        self.simulate("POST", &format!("transactions/{txid}/{action}"), options).await
    }

    /// What the simulator holds of a transaction.
    pub(crate) async fn upstream(&self, txid: &str) -> Value {
        self.simulate("GET", &format!("transactions/{txid}"), Value::Null).await
    }

    pub(crate) async fn fault(&self, fault: Value) {
        self.simulate("POST", "faults", fault).await;
    }

    /// Moves the clock of adapter and simulator. What comes due is begun at once, and not waited
    /// for: a peer may be told to hang.
    pub(crate) async fn advance(&self, span: &str) {
        self.move_clock(span).await;
        let due = self.http.post(format!("{}/demo/v1/due", self.simulator)).send();
        // A simulator by itself has nothing of the kind.
        tokio::spawn(due);
    }

    /// Moves the clock; what comes due waits for the next look of the loops.
    pub(crate) async fn move_clock(&self, span: &str) {
        self.simulate("POST", "clock", json!({"advance": span})).await;
    }

    /// Polls and deliveries that are due, done.
    pub(crate) async fn run_due(&self) {
        let answer = self.http.post(format!("{}/demo/v1/due", self.simulator)).send().await;
        assert_eq!(answer.expect("an answer").status().as_u16(), 200);
    }

    /// A call of the simulator's control interface.
    pub(crate) async fn simulate(&self, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse().expect("a method");
        let url = format!("{}/simulator/v1/{path}", self.simulator);
        let mut request = self.http.request(method, url);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the simulator answers");
        let status = answer.status();
        let text = answer.text().await.expect("text");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// The adapter's sums, as they are now: on a busy machine it keeps them for a while.
    pub(crate) async fn totals(&self) -> Value {
        let asked = Instant::now();
        loop {
            let (status, text) = self.get(&format!("{}/admin/v1/totals", self.admin)).await;
            assert_eq!(status, 200, "{text}");
            let mut sums: Value = serde_json::from_str(&text).expect("JSON");
            let age = sums.as_object_mut().and_then(|sums| sums.remove("age_ms")).expect("an age");
            if Duration::from_millis(age.as_u64().expect("a number")) <= asked.elapsed() {
                return sums;
            }
            look_again().await;
        }
    }

    /// Notifications that the demo's PSP received about a transaction, oldest first.
    pub(crate) async fn received(&self, txid: &str) -> Vec<Value> {
        let (_, text) = self.get(&format!("{}/psp/notifications.json", self.simulator)).await;
        let all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        all.into_iter().filter(|one| one["txid"] == txid).collect()
    }

    pub(crate) async fn get(&self, url: &str) -> (u16, String) {
        match self.http.get(url).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    /// A browser's GET: status, `Location`, page.
    pub(crate) async fn browse(&self, url: &str, agent: &str) -> (u16, String, String) {
        let answer = self.http.get(url).header("user-agent", agent).send().await.expect("a page");
        let location =
            answer.headers().get("location").map(|value| value.to_str().expect("text").to_owned());
        let status = answer.status().as_u16();
        (status, location.unwrap_or_default(), answer.text().await.unwrap_or_default())
    }

    /// Nothing is owed to anybody any more.
    pub(crate) async fn until_outbox_empty(&self) {
        self.eventually("the outbox is empty", async || {
            self.totals().await["deliveries"].get("waiting").is_none_or(|count| count == 0)
        })
        .await;
    }

    pub(crate) async fn eventually(&self, what: &str, holds: impl AsyncFn() -> bool) {
        eventually(what, holds).await;
    }
}

/// The demo's PSP.
pub(crate) fn psp() -> Credentials {
    Credentials::new("testclient", "test123", "TESTCONTRACT")
}

/// A form body with the demo credentials.
pub(crate) fn body(txtype: &str, pairs: &[(&str, &str)]) -> String {
    body_as(&psp(), txtype, pairs)
}

/// A form body with any credentials.
pub(crate) fn body_as(psp: &Credentials, txtype: &str, pairs: &[(&str, &str)]) -> String {
    let mut form = psp.form(txtype);
    form.extend(pairs.iter().copied());
    form.encode()
}

pub(crate) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    pairs.into_iter().collect::<Form<'_>>().encode()
}

pub(crate) fn decode(text: &str) -> Answer {
    let pairs = Pairs::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    pairs.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// PPRO's published order, without the common pairs; `changes` replace, add, or (`"-"`) remove.
pub(crate) fn example(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let cart = r#"[{"name":"table","price":"2000.00","quantity":2},{"name":"Laptop 2.0","price":"3000.00","quantity":2}]"#;
    let mut pairs: Vec<(String, String)> = [
        ("tag", "gopay"),
        ("countrycode", "ID"),
        ("currency", "IDR"),
        ("amount", "1000000"),
        ("channel", "testchannel"),
        ("accountholdername", "Siti Rahma"),
        ("transientin.orderitems", cart),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    for (name, value) in changes {
        pairs.retain(|(other, _)| other != name);
        if *value != "-" {
            pairs.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    pairs
}
