//! `[midtrans.test]`, `[midtrans.live]`, and accounts with names of their own

use std::collections::BTreeMap;
use std::time::Duration;

use gopay_core::account::AccountName;
use gopay_core::payment::Channel;
use gopay_midtrans_client::RefundPath;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use toml::Value;
use url::Url;

use super::host::{self, Reach};
use super::section::Section;

/// An account at Midtrans.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) channel: Channel,
    /// None: it is that of its channel.
    pub(crate) name: Option<AccountName>,
    pub(crate) base_url: String,
    /// The first is sent; each verifies notifications.
    pub(crate) server_keys: Vec<SecretString>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) refund_path: RefundPath,
}

/// Hosts of Midtrans' Core API.
const PRODUCTION: &str = "api.midtrans.com";
const SANDBOX: &str = "api.sandbox.midtrans.com";

const SERVER_KEY: &str =
    "the server key as Midtrans' dashboard shows it under Access Keys, or env:NAME, or file:PATH";

/// The names of accounts with their channels, of those with problems too.
#[derive(Debug, Default)]
pub(super) struct KnownAccounts(BTreeMap<String, Option<Channel>>);

impl Account {
    /// Its section of the config.
    pub(crate) fn section(&self) -> String {
        match (&self.name, self.channel) {
            (Some(name), _) => format!("midtrans.{name}"),
            (None, Channel::Test) => "midtrans.test".to_owned(),
            (None, Channel::Live) => "midtrans.live".to_owned(),
        }
    }
}

impl Account {
    /// Tells its settings, and what is said of all accounts, from others.
    pub(crate) fn digest(&self, notify: &str, calls_max: Option<usize>) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(bytes);
        };
        part(self.base_url.as_bytes());
        part(notify.as_bytes());
        let numbers = (self.timeout, self.connect_timeout, self.refund_path, calls_max);
        part(format!("{numbers:?}").as_bytes());
        self.server_keys.iter().for_each(|key| part(key.expose_secret().as_bytes()));
        digest.finalize().into()
    }
}

impl KnownAccounts {
    /// What a file names, before it is read.
    pub(super) fn of(midtrans: Option<&Value>) -> Self {
        let sections = midtrans.and_then(Value::as_table).into_iter().flatten();
        let known = |(name, section): (&String, &Value)| {
            let own = section.get("channel").and_then(Value::as_str).and_then(Channel::from_word);
            (name.clone(), implied(name).or(own))
        };
        Self(sections.map(known).collect())
    }

    /// Whether a channel has an account that contracts without one of their own take.
    pub(super) fn of_channel(&self, channel: Channel) -> bool {
        self.0.keys().any(|name| implied(name) == Some(channel))
    }

    /// The channel of an account; none if there is no such account.
    pub(super) fn named(&self, name: &str) -> Option<Option<Channel>> {
        self.0.get(name).copied()
    }

    /// Whether any is of this channel.
    pub(super) fn any_of(&self, channel: Channel) -> bool {
        self.0.values().any(|of| *of == Some(channel))
    }
}

/// The channel that a name stands for.
fn implied(name: &str) -> Option<Channel> {
    match name {
        "test" => Some(Channel::Test),
        "live" => Some(Channel::Live),
        _ => None,
    }
}

pub(super) fn read_accounts(midtrans: &mut Section<'_>) -> Vec<Account> {
    let names: Vec<String> = midtrans.table.keys().cloned().collect();
    let read = |name: String| midtrans.present(&name, |account| read_account(account, &name));
    names.into_iter().filter_map(read).collect()
}

fn read_account(account: &mut Section<'_>, name: &str) -> Option<Account> {
    let channel = read_channel(account, name);
    let own_name = match (implied(name), name.parse()) {
        (Some(_), _) => None,
        (None, Ok(own)) => Some(own),
        (None, Err(_)) => {
            let wanted = "1 to 40 lower-case letters, digits, hyphens and underscores";
            account.problem("name", &format!("{name:?} is no name of an account"), wanted);
            None
        }
    };
    // Without a channel what depends on it is not looked at; the problem is there already.
    let read = read_endpoint(account, channel.unwrap_or(Channel::Live))?;
    Some(Account { channel: channel?, name: own_name, ..read })
}

fn read_channel(account: &mut Section<'_>, name: &str) -> Option<Channel> {
    const KEY: &str = "channel";
    const WANTED: &str = "testchannel or livechannel";
    let text = account.text(KEY);
    let own = text.as_deref().map(Channel::from_word);
    match (implied(name), own) {
        (Some(channel), None) => Some(channel),
        (Some(channel), Some(own)) => {
            if own != Some(channel) {
                let wrong = format!("another one than that of [midtrans.{name}]");
                account.problem(KEY, &wrong, "the channel of its name, or no key");
            }
            Some(channel)
        }
        (None, Some(Some(own))) => Some(own),
        (None, None) if account.reported(KEY) => None,
        (None, None) => {
            account.problem(KEY, "missing", WANTED);
            None
        }
        (None, Some(None)) => {
            account.problem(KEY, "not a channel", WANTED);
            None
        }
    }
}

fn read_endpoint(account: &mut Section<'_>, channel: Channel) -> Option<Account> {
    let base_url = account.url("base_url");
    match &base_url {
        Some(url) => check_base_url(account, url, channel),
        None if !account.reported("base_url") => {
            let wanted = "https://api.midtrans.com, or that of the sandbox";
            account.problem("base_url", "missing", wanted);
        }
        None => {}
    }
    let server_keys = account.secret_or_list("server_key");
    for key in server_keys.iter().flatten() {
        check_key(account, key, channel);
    }
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
    let reported = account.reported("timeout") || account.reported("connect_timeout");
    if connect_timeout >= timeout && !reported {
        account.problem("connect_timeout", "not below timeout", "less than timeout");
    }
    Some(Account {
        channel,
        name: None,
        base_url: base_url?.trim_end_matches('/').to_owned(),
        server_keys: server_keys?,
        timeout,
        connect_timeout,
        refund_path,
    })
}

/// Under another address than that of its environment, each charge fails, or moves real money.
fn check_base_url(account: &mut Section<'_>, text: &str, channel: Channel) {
    const KEY: &str = "base_url";
    let Ok(url) = Url::parse(text) else { return };
    // A dot at the end names the same host; the old name leads to the same service.
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let renamed = host.replace("veritrans.co.id", "midtrans.com");
    let host = renamed.as_str();
    let of_midtrans = host == "midtrans.com" || host.ends_with(".midtrans.com");
    let path = url.path().trim_matches('/').to_ascii_lowercase();
    let (wanted, other) = match channel {
        Channel::Test => ("https://api.sandbox.midtrans.com, or a stand-in", PRODUCTION),
        Channel::Live => ("https://api.midtrans.com", SANDBOX),
    };
    if host == other {
        let wrong = match channel {
            Channel::Test => "the production address in a section of the test channel",
            Channel::Live => "the sandbox's address in a section of the live channel",
        };
        account.problem(KEY, wrong, wanted);
    } else if of_midtrans && !matches!(host, PRODUCTION | SANDBOX) {
        account.problem(KEY, "not an address of the Core API", wanted);
    } else if (of_midtrans && !path.is_empty())
        || path.split('/').any(|segment| matches!(segment, "v1" | "v2" | "charge"))
    {
        let wrong = "names a path of the API, which is put behind it";
        account.problem(KEY, wrong, "scheme and host only, without /v2");
    } else if url.scheme() == "http" {
        check_plain(account, &url, of_midtrans, channel);
    }
}

/// The server key travels in each call.
fn check_plain(account: &mut Section<'_>, url: &Url, of_midtrans: bool, channel: Channel) {
    const KEY: &str = "base_url";
    let near = host::of_url(url) == Reach::Machine;
    match channel {
        _ if of_midtrans => account.problem(KEY, "http: the key could be read", "an https URL"),
        Channel::Live if !near => {
            account.problem(KEY, "http: the live key could be read", "an https URL");
        }
        Channel::Live => {
            let risk = "http to this machine, in a section of the live channel";
            account.warn(KEY, risk, "https://api.midtrans.com");
        }
        Channel::Test if host::of_url(url) == Reach::Public => {
            account.warn(KEY, "http: the key can be read on the way", "an https URL");
        }
        Channel::Test => {}
    }
}

/// Midtrans' keys say by their beginning what they are for. Only the sandbox's mark is proof:
/// a key without it is warned about, not refused.
fn check_key(account: &mut Section<'_>, key: &SecretString, channel: Channel) {
    const KEY: &str = "server_key";
    let key = key.expose_secret();
    if key.contains(|char: char| char.is_whitespace() || char.is_control()) {
        account.problem(KEY, "holds a blank or a line break", SERVER_KEY);
    } else if key.contains("Mid-client-") {
        account.problem(KEY, "a client key", SERVER_KEY);
    } else if channel == Channel::Live && key.starts_with("SB-") {
        account.problem(KEY, "a key of the sandbox in a section of the live channel", SERVER_KEY);
    } else if channel == Channel::Test && key.starts_with("Mid-server-") {
        let risk = "looks like a production key in a section of the test channel";
        account.warn(KEY, risk, "the sandbox's key, which begins with SB-Mid-server-");
    }
}
