//! The config file: TOML, every key known, every problem reported at once with its key and with
//! what would be valid. `docs/config.toml` shows every key at its default.

mod client;
mod contract;
mod delivery;
mod limits;
mod listen;
mod midtrans;
mod public;
mod section;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use gopay_core::payment::Channel;
use gopay_core::refund::REFUND_WINDOW_MAX;
use gopay_service::{Client, Contract, Settings};
use toml::Table;

use self::client::read_client;
use self::contract::read_contract;
pub(crate) use self::delivery::Delivery;
use self::delivery::read_delivery;
pub(crate) use self::limits::Limits;
use self::limits::read_limits;
pub(crate) use self::listen::Listen;
use self::listen::read_listen;
pub(crate) use self::midtrans::Account;
use self::midtrans::read_account;
use self::public::check_base_url;
use self::section::{Outside, Section};
use self::store::read_store;
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

/// Reads a config.
///
/// # Errors
/// Every problem, in the order of the sections.
fn parse(text: &str, outside: &Outside) -> Result<Config, Vec<Problem>> {
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
    root.section("listen", |listen| read_listen(listen, &mut config.listen));
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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::delivery::schedule_step;
    use super::section::span;
    use super::*;

    const SHOWN: &str = include_str!("../../docs/config.toml");

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
