//! The config file: TOML, every key known, every problem reported at once with its key and with
//! what would be valid. `docs/config.toml` shows every key at its default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use gopay_core::payment::Channel;
use gopay_core::ppro::check;
use gopay_core::ppro::transaction::Kyc;
use gopay_core::refund::REFUND_WINDOW_MAX;
use gopay_midtrans_client::RefundPath;
use gopay_service::{Client, Contract, Settings};
use secrecy::{ExposeSecret as _, SecretString};
use toml::{Table, Value};

use crate::store::Place;

/// What the operator may set.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: Listen,
    pub(crate) base_url: String,
    pub(crate) store: Place,
    /// Connections to a shared database at most.
    pub(crate) connections: usize,
    pub(crate) limits: Limits,
    pub(crate) test: Option<Account>,
    pub(crate) live: Option<Account>,
    pub(crate) delivery: Delivery,
    pub(crate) instance: u16,
    /// Not a key of the file: the demo's Midtrans is in the same process.
    pub(crate) under_way_max: Duration,
    pub(crate) clients: Vec<Client>,
    pub(crate) contracts: Vec<Contract>,
}

/// Where to listen; equal addresses share a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) psp: SocketAddr,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) session: Duration,
    pub(crate) refund_window: Duration,
    pub(crate) call_bytes: usize,
    pub(crate) notification_bytes: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) drain: Duration,
    pub(crate) concurrent_calls: usize,
    pub(crate) concurrent_calls_per_client: usize,
    pub(crate) connections: usize,
    pub(crate) checks_per_second: usize,
}

/// An account at Midtrans.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) base_url: String,
    pub(crate) server_key: SecretString,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) refund_path: RefundPath,
}

/// Telling PSPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) schedule: Vec<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) concurrency_per_receiver: usize,
    pub(crate) allow_private: Vec<ipnet::IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            listen: Listen { psp: local(8080), public: local(8080), admin: local(8081) },
            base_url: "http://127.0.0.1:8080".to_owned(),
            store: Place::Sqlite("data/gopay.db".into()),
            connections: 16,
            limits: Limits {
                session: Settings::SESSION_MAX,
                refund_window: REFUND_WINDOW_MAX,
                call_bytes: 262_144,
                notification_bytes: 65_536,
                body_timeout: Duration::from_secs(10),
                drain: Duration::from_secs(5),
                concurrent_calls: 1_024,
                concurrent_calls_per_client: 512,
                connections: 4_096,
                checks_per_second: 200,
            },
            test: None,
            live: None,
            delivery: Delivery {
                schedule: Settings::default_schedule(),
                timeout: Duration::from_secs(30),
                concurrency: 256,
                concurrency_per_receiver: 16,
                allow_private: Vec::new(),
            },
            instance: 0,
            under_way_max: Settings::UNDER_WAY_MAX,
            clients: Vec::new(),
            contracts: Vec::new(),
        }
    }
}

/// What is wrong with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) key: String,
    pub(crate) wrong: String,
    pub(crate) wanted: &'static str,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}; valid: {}", self.key, self.wrong, self.wanted)
    }
}

/// Reads a config file and the secrets it refers to.
///
/// # Errors
/// Every problem, in the order of the sections.
pub(crate) fn read(path: &Path) -> Result<Config, Vec<Problem>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let key = "file".to_owned();
        vec![Problem { key, wrong: error.to_string(), wanted: "a file that can be read" }]
    })?;
    parse(&text, &Outside::real())
}

/// Where secrets come from; tests bring their own.
pub(crate) struct Outside {
    variable: Box<Variable>,
    file: Box<ReadFile>,
}

type Variable = dyn Fn(&str) -> Option<String>;
type ReadFile = dyn Fn(&str) -> std::io::Result<String>;

impl Outside {
    fn real() -> Self {
        Self {
            variable: Box::new(|name| std::env::var(name).ok()),
            file: Box::new(|path| std::fs::read_to_string(path)),
        }
    }
}

/// Reads a config.
///
/// # Errors
/// Every problem, in the order of the sections.
pub(crate) fn parse(text: &str, outside: &Outside) -> Result<Config, Vec<Problem>> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line =
            error.span().map_or(0, |span| text.get(..span.start).unwrap_or("").lines().count());
        let key = format!("line {line}");
        vec![Problem { key, wrong: error.message().to_owned(), wanted: "TOML" }]
    })?;
    let mut problems = Vec::new();
    let mut root = Section { path: String::new(), table, outside, problems: &mut problems };
    let config = read_config(&mut root);
    root.end();
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn read_config(root: &mut Section<'_>) -> Config {
    let mut config = Config::default();
    root.section("listen", |listen| {
        for (key, address) in [
            ("psp", &mut config.listen.psp),
            ("public", &mut config.listen.public),
            ("admin", &mut config.listen.admin),
        ] {
            listen.parsed(key, "an address such as 127.0.0.1:8080", address);
        }
    });
    root.section("public", |public| {
        if let Some(url) = public.url("base_url") {
            config.base_url = url;
        }
    });
    check_base_url(root, &config.base_url);
    root.section("store", |store| read_store(store, &mut config));
    root.section("limits", |limits| read_limits(limits, &mut config.limits));
    root.section("midtrans", |midtrans| {
        config.test = midtrans.present("test", read_account);
        config.live = midtrans.present("live", read_account);
    });
    root.section("delivery", |delivery| read_delivery(delivery, &mut config.delivery));
    root.section("instance", |instance| {
        instance.number("number", 0, 1023, &mut config.instance);
    });
    config.clients = root.list("client", read_client);
    config.contracts = root.list("contract", read_contract);
    check_parties(root, &config);
    config
}

/// REDIRECTURL may have 255 characters, of which path and parameters take 137.
fn check_base_url(root: &mut Section<'_>, url: &str) {
    const BASE_MAX: usize = 255 - 137;
    if url.ends_with('/') {
        root.problem("public.base_url", "ends with a slash", "without a slash at the end");
    } else if url.contains(['?', '#']) {
        root.problem("public.base_url", "has a query or fragment", "scheme, host and path only");
    } else if url.len() > BASE_MAX {
        root.problem(
            "public.base_url",
            "too long",
            "at most 118 characters, since REDIRECTURL may have 255",
        );
    }
}

fn read_store(store: &mut Section<'_>, config: &mut Config) {
    store.number("connections", 2, 500, &mut config.connections);
    let Some(url) = store.text("url") else { return };
    let Some(url) = store.resolve("url", &url) else { return };
    match Place::parse(url.expose_secret()) {
        Ok(place) => config.store = place,
        Err(wrong) => store.problem("url", &wrong, Place::WANTED),
    }
}

fn read_limits(limits: &mut Section<'_>, to: &mut Limits) {
    const MINUTE: Duration = Duration::from_secs(60);
    limits.span("session", MINUTE, Settings::SESSION_MAX, "1m to 1h", &mut to.session);
    let window = &mut to.refund_window;
    limits.span("refund_window", MINUTE, REFUND_WINDOW_MAX, "1m to 30d", window);
    limits.number("call_bytes", 4_096, 16_777_216, &mut to.call_bytes);
    limits.number("notification_bytes", 4_096, 1_048_576, &mut to.notification_bytes);
    let body = &mut to.body_timeout;
    limits.span("body_timeout", Duration::from_millis(100), MINUTE, "100ms to 1m", body);
    limits.span("drain", Duration::ZERO, 5 * MINUTE, "0s to 5m", &mut to.drain);
    limits.number("concurrent_calls", 1, 100_000, &mut to.concurrent_calls);
    let each = &mut to.concurrent_calls_per_client;
    limits.number("concurrent_calls_per_client", 1, 100_000, each);
    limits.number("connections", 1, 1_000_000, &mut to.connections);
    limits.number("checks_per_second", 1, 10_000, &mut to.checks_per_second);
}

fn read_account(account: &mut Section<'_>) -> Option<Account> {
    let base_url = account.url("base_url");
    if base_url.is_none() && !account.reported("base_url") {
        account.problem("base_url", "missing", "https://api.midtrans.com, or that of the sandbox");
    }
    let server_key = account.secret("server_key");
    let mut timeout = Duration::from_secs(10);
    let mut connect_timeout = Duration::from_secs(5);
    // A call to us has 25 s, and may need two answers of Midtrans.
    const SECOND: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(12);
    account.span("timeout", SECOND, LONGEST, "1s to 12s", &mut timeout);
    account.span("connect_timeout", SECOND, LONGEST, "1s to 12s", &mut connect_timeout);
    let refund_path = match account.text("refund_path").as_deref() {
        None | Some("refund") => RefundPath::Refund,
        Some("direct") => RefundPath::OnlineDirect,
        Some(_) => {
            account.problem("refund_path", "not a path", "refund or direct");
            RefundPath::Refund
        }
    };
    if connect_timeout >= timeout {
        account.problem("connect_timeout", "not below timeout", "less than timeout");
    }
    Some(Account {
        base_url: base_url?.trim_end_matches('/').to_owned(),
        server_key: server_key?,
        timeout,
        connect_timeout,
        refund_path,
    })
}

fn read_delivery(delivery: &mut Section<'_>, to: &mut Delivery) {
    const WANTED: &str =
        "a list such as [\"192 x 15m\"] or [\"10s\", \"1m\", \"12 x 1h\"], at most 1000 retries";
    if let Some(steps) = delivery.texts("schedule") {
        match steps.iter().map(|step| schedule_step(step)).collect::<Option<Vec<_>>>() {
            Some(parts) if parts.iter().map(Vec::len).sum::<usize>() <= 1_000 => {
                to.schedule = parts.concat();
            }
            _ => delivery.problem("schedule", "not a schedule", WANTED),
        }
    }
    let second = Duration::from_secs(1);
    let timeout = &mut to.timeout;
    delivery.span("timeout", second, Duration::from_secs(120), "1s to 2m", timeout);
    delivery.number("concurrency", 1, 10_000, &mut to.concurrency);
    let per_receiver = &mut to.concurrency_per_receiver;
    delivery.number("concurrency_per_receiver", 1, 1_000, per_receiver);
    if let Some(nets) = delivery.texts("allow_private") {
        match nets.iter().map(|net| net.parse()).collect::<Result<Vec<_>, _>>() {
            Ok(nets) => to.allow_private = nets,
            Err(_) => {
                delivery.problem("allow_private", "not networks", "a list such as [\"10.0.0.0/8\"]")
            }
        }
    }
}

/// `15m`, or `192 x 15m`.
fn schedule_step(step: &str) -> Option<Vec<Duration>> {
    match step.split_once('x') {
        Some((times, wait)) => {
            let times = times.trim().parse::<usize>().ok().filter(|times| *times <= 1_000)?;
            Some(vec![span(wait.trim())?; times])
        }
        None => Some(vec![span(step.trim())?]),
    }
}

fn read_client(client: &mut Section<'_>) -> Option<Client> {
    let login = client.required("login");
    let password_hash = client.secret("password_hash");
    if let Some(hash) = &password_hash
        && !gopay_service::is_password_hash(hash)
    {
        client.problem("password_hash", "not a hash", "what `gopay-adapter hash-password` prints");
    }
    let shared_secret = client.secret("shared_secret");
    let notification_secrets = client.secrets("notification_secrets");
    let mut require_ok_body = false;
    client.flag("require_ok_body", &mut require_ok_body);
    Some(Client {
        login: login?,
        password_hash: password_hash?,
        shared_secret: shared_secret?,
        notification_secrets: notification_secrets?,
        require_ok_body,
    })
}

fn read_contract(contract: &mut Section<'_>) -> Option<Contract> {
    let id = contract.required("id");
    if id.as_deref().is_some_and(|id| check::reference(id).is_err()) {
        contract.problem("id", "not a contract id", "1 to 40 letters, digits and .,-_");
    }
    let client = contract.required("client");
    let mut enabled = true;
    contract.flag("enabled", &mut enabled);
    let channels = match contract.texts("channels") {
        None => vec![Channel::Test],
        Some(words) => {
            let channels: Option<Vec<_>> =
                words.iter().map(|word| Channel::from_word(word)).collect();
            match channels {
                Some(channels) if !channels.is_empty() => channels,
                _ => {
                    let wanted = "a list of testchannel and livechannel";
                    contract.problem("channels", "not channels", wanted);
                    Vec::new()
                }
            }
        }
    };
    let kyc = match contract.text("kyc").as_deref() {
        None | Some("unverified") => Kyc::Unverified,
        Some("verified") => Kyc::Verified,
        Some(_) => {
            contract.problem("kyc", "not a rule", "verified or unverified");
            Kyc::Unverified
        }
    };
    let notification_url = contract.url("notification_url");
    let redirect_url = contract.url("redirect_url");
    let mut refunds = true;
    contract.flag("refunds", &mut refunds);
    Some(Contract {
        id: id?,
        client: client?,
        enabled,
        channels,
        kyc,
        notification_url,
        redirect_url,
        refunds,
    })
}

/// What no single section can see.
fn check_parties(root: &mut Section<'_>, config: &Config) {
    let mut logins = BTreeMap::new();
    for (at, client) in config.clients.iter().enumerate() {
        if logins.insert(client.login.as_str(), at).is_some() {
            root.problem(&format!("client[{at}].login"), "used twice", "a login of its own");
        }
    }
    let mut ids = BTreeMap::new();
    for (at, contract) in config.contracts.iter().enumerate() {
        if ids.insert(contract.id.as_str(), at).is_some() {
            root.problem(&format!("contract[{at}].id"), "used twice", "an id of its own");
        }
        if !logins.contains_key(contract.client.as_str()) {
            root.problem(
                &format!("contract[{at}].client"),
                "no such client",
                "the login of a [[client]]",
            );
        }
        for channel in &contract.channels {
            let (account, wanted) = match channel {
                Channel::Test => (&config.test, "a section [midtrans.test], or another channel"),
                Channel::Live => (&config.live, "a section [midtrans.live], or another channel"),
            };
            if account.is_none() {
                let wrong = format!("{} has no Midtrans account", channel.as_str());
                root.problem(&format!("contract[{at}].channels"), &wrong, wanted);
            }
        }
    }
}

/// Reads `1h`, `15m`, `90s`, `250ms`, `30d`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let seconds = |seconds: u64| number.checked_mul(seconds).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        _ => None,
    }
}

/// A table under reading: keys are taken out, and what is left at the end is unknown.
struct Section<'a> {
    path: String,
    table: Table,
    outside: &'a Outside,
    problems: &'a mut Vec<Problem>,
}

impl Section<'_> {
    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn problem(&mut self, key: &str, wrong: &str, wanted: &'static str) {
        self.problems.push(Problem { key: self.key(key), wrong: wrong.to_owned(), wanted });
    }

    fn reported(&self, key: &str) -> bool {
        let key = self.key(key);
        self.problems.iter().any(|problem| problem.key == key)
    }

    fn end(&mut self) {
        let unknown: Vec<String> = self.table.keys().cloned().collect();
        for key in unknown {
            self.problem(&key, "unknown key", "a key of docs/config.toml");
        }
    }

    fn within<T>(
        &mut self,
        path: String,
        table: Table,
        run: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut section =
            Section { path, table, outside: self.outside, problems: &mut *self.problems };
        let read = run(&mut section);
        section.end();
        read
    }

    fn section(&mut self, key: &str, run: impl FnOnce(&mut Section<'_>)) {
        match self.table.remove(key) {
            None => {}
            Some(Value::Table(table)) => self.within(self.key(key), table, run),
            Some(_) => self.problem(key, "not a section", "a table"),
        }
    }

    fn present<T>(
        &mut self,
        key: &str,
        run: impl FnOnce(&mut Section<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut read = None;
        self.section(key, |section| read = run(section));
        read
    }

    fn list<T>(&mut self, key: &str, run: impl Fn(&mut Section<'_>) -> Option<T>) -> Vec<T> {
        let entries = match self.table.remove(key) {
            None => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.problem(key, "not a list", "sections in double brackets");
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let path = format!("{}[{at}]", self.key(key));
            match entry {
                Value::Table(table) => read.extend(self.within(path, table, &run)),
                Value::String(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_)
                | Value::Array(_) => {
                    self.problem(key, "not a section", "sections in double brackets")
                }
            }
        }
        read
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let text = self.table.remove(key)?.as_str().map(str::to_owned);
        if text.is_none() {
            self.problem(key, "not text", "text in quotes");
        }
        text
    }

    fn required(&mut self, key: &str) -> Option<String> {
        match self.table.contains_key(key) {
            true => self.text(key).filter(|text| !text.is_empty()).or_else(|| {
                if !self.reported(key) {
                    self.problem(key, "empty", "text in quotes");
                }
                None
            }),
            false => {
                self.problem(key, "missing", "text in quotes");
                None
            }
        }
    }

    fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let list = self.table.remove(key)?;
        let text = |entry: &Value| entry.as_str().map(str::to_owned);
        let texts: Option<Vec<_>> =
            list.as_array().and_then(|entries| entries.iter().map(text).collect());
        if texts.is_none() {
            self.problem(key, "not a list of texts", "a list of texts in quotes");
        }
        texts
    }

    fn flag(&mut self, key: &str, to: &mut bool) {
        match self.table.remove(key) {
            None => {}
            Some(Value::Boolean(flag)) => *to = flag,
            Some(_) => self.problem(key, "not a flag", "true or false"),
        }
    }

    fn number<T: TryFrom<i64>>(&mut self, key: &str, min: i64, max: i64, to: &mut T) {
        let Some(value) = self.table.remove(key) else { return };
        let number = value.as_integer().filter(|number| (min..=max).contains(number));
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => *to = number,
            None => {
                let wrong = format!("not a number from {min} to {max}");
                self.problem(key, &wrong, "a whole number in that range");
            }
        }
    }

    fn parsed<T: std::str::FromStr>(&mut self, key: &str, wanted: &'static str, to: &mut T) {
        let Some(text) = self.text(key) else { return };
        match text.parse() {
            Ok(value) => *to = value,
            Err(_) => self.problem(key, &format!("{text:?} does not parse"), wanted),
        }
    }

    fn span(
        &mut self,
        key: &str,
        min: Duration,
        max: Duration,
        wanted: &'static str,
        to: &mut Duration,
    ) {
        let Some(text) = self.text(key) else { return };
        match span(&text) {
            Some(value) if (min..=max).contains(&value) => *to = value,
            Some(_) => self.problem(key, &format!("{text} is out of range"), wanted),
            None => self.problem(key, &format!("{text:?} is not a duration"), wanted),
        }
    }

    fn url(&mut self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        if check::web_url(&text).is_ok() {
            return Some(text);
        }
        self.problem(key, "not a URL", "an absolute http or https URL of at most 255 characters");
        None
    }

    /// A secret as it is, or `env:NAME`, or `file:PATH`.
    fn secret(&mut self, key: &str) -> Option<SecretString> {
        let text = self.required(key)?;
        self.resolve(key, &text)
    }

    fn secrets(&mut self, key: &str) -> Option<Vec<SecretString>> {
        let texts = self.texts(key).unwrap_or_default();
        if texts.is_empty() {
            if !self.reported(key) {
                self.problem(key, "missing", "a list of secrets, the newest first");
            }
            return None;
        }
        texts.iter().map(|text| self.resolve(key, text)).collect()
    }

    fn resolve(&mut self, key: &str, text: &str) -> Option<SecretString> {
        let secret = if let Some(name) = text.strip_prefix("env:") {
            (self.outside.variable)(name).ok_or_else(|| format!("the variable {name} is not set"))
        } else if let Some(path) = text.strip_prefix("file:") {
            (self.outside.file)(path)
                .map(|secret| secret.trim_end_matches(['\n', '\r']).to_owned())
                .map_err(|error| format!("{path}: {error}"))
        } else {
            Ok(text.to_owned())
        };
        match secret {
            Ok(secret) if !secret.is_empty() => Some(SecretString::from(secret)),
            Ok(_) => {
                self.problem(key, "empty", "a secret, env:NAME or file:PATH");
                None
            }
            Err(wrong) => {
                self.problem(key, &wrong, "a secret, env:NAME or file:PATH");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = include_str!("../docs/config.toml");

    fn outside() -> Outside {
        Outside {
            variable: Box::new(|name| {
                (name == "MIDTRANS_SERVER_KEY").then(|| "key-from-env".to_owned())
            }),
            file: Box::new(|path| match path {
                "/run/secrets/shared" => Ok("secret-from-file\n".to_owned()),
                _ => Err(std::io::ErrorKind::NotFound.into()),
            }),
        }
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = parse(text, &outside()).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_shown_config_is_the_default() {
        let shown = parse(SHOWN, &outside()).unwrap();
        let default = Config::default();
        assert_eq!(shown.listen, default.listen);
        assert_eq!(shown.base_url, default.base_url);
        assert_eq!(shown.store.name(), default.store.name());
        assert_eq!(shown.connections, default.connections);
        assert_eq!(shown.limits, default.limits);
        assert_eq!(shown.delivery, default.delivery);
        assert_eq!(shown.instance, default.instance);
        assert!(shown.clients.is_empty() && shown.contracts.is_empty() && shown.test.is_none());
    }

    #[test]
    fn the_shown_examples_are_valid() {
        let text: String = SHOWN
            .lines()
            .map(|line| line.strip_prefix("#~ ").unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let config = parse(&text, &outside()).unwrap();
        assert_eq!(config.clients.len(), 1);
        assert_eq!(config.contracts.len(), 1);
        let test = config.test.unwrap();
        assert_eq!(test.server_key.expose_secret(), "key-from-env");
        assert_eq!(config.clients[0].shared_secret.expose_secret(), "secret-from-file");
    }

    #[test]
    fn every_problem_is_reported_with_its_key() {
        let got = problems(
            r#"
            speed = 9
            [listen]
            psp = "here"
            pps = "127.0.0.1:1"
            [public]
            base_url = "https://pay.example/"
            [store]
            url = "postgres://localhost"
            [limits]
            session = "2h"
            refund_window = "soon"
            concurrent_calls = 0
            [midtrans.test]
            base_url = "ftp://x"
            server_key = "env:NOT_SET"
            [delivery]
            schedule = ["often"]
            allow_private = ["ten"]
            [[client]]
            login = "a"
            password_hash = "plain"
            shared_secret = "file:/nowhere"
            [[contract]]
            id = "C 1"
            client = "b"
            channels = ["testchannel", "livechannel"]
            kyc = "perhaps"
            "#,
        );
        let keys: Vec<&str> =
            got.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
        assert_eq!(
            keys,
            [
                "listen.psp",
                "listen.pps",
                "public.base_url",
                "store.url",
                "limits.session",
                "limits.refund_window",
                "limits.concurrent_calls",
                "midtrans.test.base_url",
                "midtrans.test.server_key",
                "delivery.schedule",
                "delivery.allow_private",
                "client[0].password_hash",
                "client[0].shared_secret",
                "client[0].notification_secrets",
                "contract[0].id",
                "contract[0].kyc",
                "contract[0].client",
                "contract[0].channels",
                "contract[0].channels",
                "speed",
            ]
        );
        assert!(got.iter().all(|problem| problem.contains("; valid: ")), "{got:#?}");
        assert_eq!(problems("[listen\n")[0].split(':').next(), Some("line 1"));
    }

    #[test]
    fn the_store_is_a_file_or_a_database() {
        for (url, name) in [
            ("sqlite:a/b.db", Ok("a/b.db")),
            ("postgres://u:p@db/pay", Ok("postgres database pay at db")),
            ("postgresql://u@/pay?host=/run/pg", Ok("postgres database pay at /run/pg")),
            ("env:STORE_URL", Ok("postgres database pay at there")),
            ("sqlite:", Err("no path")),
            ("mysql://db/pay", Err("not a store")),
            ("env:NOT_SET", Err("the variable NOT_SET is not set")),
            ("postgres://u:hidden@db/pay?sslmode=perhaps", Err("sslmode")),
        ] {
            let outside = Outside {
                variable: Box::new(|name| {
                    (name == "STORE_URL").then(|| "postgres://u:p@there/pay".to_owned())
                }),
                ..outside()
            };
            let parsed = parse(&format!("[store]\nurl = \"{url}\""), &outside);
            match (parsed, name) {
                (Ok(config), Ok(name)) => assert_eq!(config.store.name(), name),
                (Err(problems), Err(wrong)) => {
                    let text = problems[0].to_string();
                    assert!(text.starts_with("store.url: ") && text.contains(wrong), "{text}");
                    assert!(!text.contains("hidden"), "{text}");
                }
                (parsed, name) => panic!("{url}: {parsed:?} instead of {name:?}"),
            }
        }
    }

    #[test]
    fn durations_and_schedules_read() {
        for (text, expected) in [
            ("1h", Some(3_600_000)),
            ("15m", Some(900_000)),
            ("250ms", Some(250)),
            ("30d", Some(2_592_000_000)),
            ("1.5h", None),
            ("h", None),
            ("15", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(span(text).map(|span| span.as_millis()), expected, "{text}");
        }
        assert_eq!(schedule_step("192 x 15m").unwrap().len(), 192);
        assert_eq!(schedule_step("1001 x 15m"), None);
    }
}
