//! The config file: TOML, every key known, every problem reported at once with its key and with
//! what would be valid. `docs/config.toml` shows every key at its default.

mod admin;
mod client;
mod contract;
mod delivery;
mod directory;
mod host;
mod limits;
mod listen;
mod midtrans;
mod parties;
mod public;
mod report;
mod retention;
mod section;
mod settlement;
mod store;
mod telemetry;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use gopay_core::payment::Channel;
use gopay_core::refund::REFUND_WINDOW_MAX;
use gopay_service::{Contract, Psp, Settings};
use gopay_store::sealing::KeyRing;
use secrecy::{ExposeSecret as _, SecretString};
use toml::Table;

pub(crate) use self::admin::Admin;
use self::admin::{check_admin, read_admin};
use self::client::read_client;
use self::contract::{Known, read_contract};
pub(crate) use self::delivery::Delivery;
use self::delivery::read_delivery;
use self::directory::{Placed, read_directory};
pub(crate) use self::directory::{Source, StoredEntry, StoredSection};
pub(crate) use self::limits::Limits;
use self::limits::read_limits;
pub(crate) use self::listen::Listen;
use self::listen::read_listen;
pub(crate) use self::midtrans::Account;
use self::midtrans::{KnownAccounts, read_accounts};
use self::parties::check_parties;
use self::public::{check_reach, read_public};
use self::report::Report;
pub(crate) use self::report::{Problem, Warning};
pub(crate) use self::retention::Retention;
use self::retention::read_retention;
pub(crate) use self::section::Outside;
use self::section::{Section, open_to_all};
pub(crate) use self::settlement::Settlement;
use self::settlement::{ReadTerms, accounts, read_settlement};
use self::store::{check_encryption, read_store};
use self::telemetry::read_telemetry;
use crate::store::StoreUrl;

/// What the operator may set.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: Listen,
    pub(crate) admin: Admin,
    pub(crate) base_url: String,
    /// Keys of the codes in our pages' addresses; none: derived from the server keys.
    pub(crate) page_keys: Vec<SecretString>,
    pub(crate) store: StoreUrl,
    /// What personal data in the store is sealed under.
    pub(crate) keys: KeyRing,
    /// Connections to a shared database at most.
    pub(crate) connections: usize,
    pub(crate) limits: Limits,
    pub(crate) accounts: Vec<Account>,
    pub(crate) delivery: Delivery,
    /// Where PSPs and contracts stand.
    pub(crate) directory: Source,
    pub(crate) instance: u16,
    /// Where spans are sent; none: nowhere.
    pub(crate) otlp: Option<String>,
    /// Not a key of the file: the demo's Midtrans is in the same process.
    pub(crate) under_way_max: Duration,
    pub(crate) clients: Vec<Psp>,
    pub(crate) contracts: Vec<Contract>,
    pub(crate) settlement: Settlement,
    /// None: everything stays in the store.
    pub(crate) retention: Option<Retention>,
    /// What is dangerous though it works.
    pub(crate) warnings: Vec<Warning>,
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            listen: Listen::plain(local(8080), local(8082), local(8081)),
            admin: Admin::default(),
            base_url: "http://127.0.0.1:8082".to_owned(),
            page_keys: Vec::new(),
            store: StoreUrl::Sqlite("data/gopay.db".into()),
            keys: KeyRing::default(),
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
                calls_per_second_per_client: 0,
                test_quotas: false,
                connections: 4_096,
                checks_per_second: 200,
            },
            accounts: Vec::new(),
            delivery: Delivery {
                schedule: Settings::default_schedule(),
                timeout: Duration::from_secs(30),
                concurrency: 256,
                concurrency_per_receiver: 16,
                allow_private: Vec::new(),
                allow_ports: Vec::new(),
                allow_http: false,
            },
            directory: Source::File,
            instance: 0,
            otlp: None,
            under_way_max: Settings::UNDER_WAY_MAX,
            clients: Vec::new(),
            contracts: Vec::new(),
            settlement: Settlement::default(),
            retention: None,
            warnings: Vec::new(),
        }
    }
}

/// Reads a config file and the secrets it refers to, without what stands in the store.
///
/// # Errors
/// Every problem, in the order of the sections.
pub(crate) fn read(path: &Path) -> Result<Config, Vec<Problem>> {
    ConfigText::read(path)?.alone()
}

/// The text of a config file, wiped when nobody needs it any more.
#[derive(Clone)]
pub(crate) struct ConfigText {
    text: SecretString,
    /// Every user of this machine may read it.
    open: bool,
}

impl ConfigText {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let key = "file".to_owned();
            vec![Problem { key, wrong: error.to_string(), wanted: "a file that can be read" }]
        })?;
        Ok(Self { text: text.into(), open: open_to_all(path) })
    }

    /// Without what stands in the store.
    ///
    /// # Errors
    /// Every problem, in the order of the sections.
    pub(crate) fn alone(&self) -> Result<Config, Vec<Problem>> {
        let (mut config, holds_secrets) = parse(self.text.expose_secret(), &Outside::real())?;
        if holds_secrets && self.open {
            config.warnings.push(Warning {
                key: "file".to_owned(),
                risk: "holds secrets, and every user of this machine may read it".to_owned(),
                better: "mode 0600, or env:NAME and file:PATH in place of secrets",
            });
        }
        Ok(config)
    }

    /// With what stands in the store. If PSPs and contracts are to stand in the file, as if they were
    /// to stand in the store.
    ///
    /// # Errors
    /// Every problem, in the order of the sections.
    pub(crate) fn with(&self, stored: Vec<StoredEntry>) -> Result<Config, Vec<Problem>> {
        parse_with(self.text.expose_secret(), &Outside::real(), Some(stored)).map(|read| read.0)
    }
}

/// Reads a config; also says whether secrets stand in the text itself.
///
/// # Errors
/// Every problem, in the order of the sections.
pub(crate) fn parse(text: &str, outside: &Outside) -> Result<(Config, bool), Vec<Problem>> {
    parse_with(text, outside, None)
}

fn parse_with(
    text: &str,
    outside: &Outside,
    stored: Option<Vec<StoredEntry>>,
) -> Result<(Config, bool), Vec<Problem>> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line =
            error.span().map_or(0, |span| text.get(..span.start).unwrap_or("").lines().count());
        let key = format!("line {line}");
        vec![Problem { key, wrong: error.message().to_owned(), wanted: "TOML" }]
    })?;
    let mut report = Report::default();
    let mut root = Section { path: String::new(), table, outside, report: &mut report };
    let placed = directory::place(&mut root, stored);
    let mut config = read_config(&mut root, placed);
    root.end();
    if !report.problems.is_empty() {
        return Err(report.problems);
    }
    config.warnings = report.warnings;
    Ok((config, report.holds_secrets))
}

fn read_config(root: &mut Section<'_>, placed: Placed) -> Config {
    let mut config = Config::default();
    let delivery = config.delivery.clone();
    let midtrans = KnownAccounts::of(root.table.get("midtrans"));
    let live = midtrans.any_of(Channel::Live);
    let mut known = Known { logins: BTreeSet::new(), accounts: midtrans, delivery };
    root.section("listen", |listen| read_listen(listen, &mut config.listen));
    root.section("admin", |admin| read_admin(admin, &mut config.admin));
    check_admin(root, &config.listen, &config.admin);
    root.section("public", |public| {
        read_public(public, &mut config.base_url, &mut config.page_keys);
    });
    if !root.reported("public.base_url") {
        check_reach(root, &config.base_url, live);
    }
    root.section("store", |store| read_store(store, &mut config));
    root.section("limits", |limits| read_limits(limits, &mut config.limits));
    root.section("midtrans", |midtrans| config.accounts = read_accounts(midtrans));
    root.section("delivery", |delivery| read_delivery(delivery, &mut config.delivery));
    known.delivery.clone_from(&config.delivery);
    root.section("instance", |instance| {
        instance.number("number", 0, 1023, &mut config.instance);
    });
    let refund_window = config.limits.refund_window;
    root.section("retention", |section| {
        config.retention = read_retention(section, refund_window);
    });
    root.section("telemetry", |telemetry| read_telemetry(telemetry, &mut config.otlp));
    root.section("settlement", |section| read_settlement(section, &mut config.settlement));
    let elsewhere = matches!(placed, Placed::Elsewhere);
    let terms = ReadTerms::default();
    read_parties(root, placed, &mut known, &terms, &mut config);
    config.settlement.accounts = accounts(root, terms);
    root.section("directory", |section| read_directory(section, &mut config.directory));
    check_parties(root, &config, elsewhere);
    check_encryption(root, config.keys.is_empty() && live);
    config
}

/// PSPs, then contracts, which name them.
fn read_parties(
    root: &mut Section<'_>,
    placed: Placed,
    known: &mut Known,
    terms: &ReadTerms,
    config: &mut Config,
) {
    let (clients, contracts) = match placed {
        Placed::File | Placed::Elsewhere => (None, None),
        Placed::Stored { clients, contracts } => (Some(clients), Some(contracts)),
    };
    // Each is forgotten as soon as it is read.
    let tables = |entries: Vec<StoredEntry>| entries.into_iter().map(|entry| entry.read());
    config.clients = match clients {
        None => root.list("client", "login", &mut known.logins, read_client),
        Some(all) => root.list_of("client", "login", &mut known.logins, tables(all), read_client),
    };
    let known = &*known;
    let contract = |contract: &mut Section<'_>| read_contract(contract, known, terms);
    let mut ids = BTreeSet::new();
    config.contracts = match contracts {
        None => root.list("contract", "id", &mut ids, contract),
        Some(all) => root.list_of("contract", "id", &mut ids, tables(all), contract),
    };
}

#[cfg(test)]
mod tests;
