//! What no section can see by itself: secrets and hashes of one party beside those of the others.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret as _;

use super::client::cost;
use super::section::Section;
use super::{Account, Config};

pub(super) fn check_parties(root: &mut Section<'_>, config: &Config, elsewhere: bool) {
    if config.clients.is_empty() && !elsewhere && !root.reported_within("client") {
        let risk = "none: every call is refused";
        root.warn("client", risk, "a [[client]] for each PSP, and its [[contract]]s");
    }
    let with_contract: BTreeSet<&str> =
        config.contracts.iter().map(|contract| contract.psp.as_str()).collect();
    for client in &config.clients {
        if !with_contract.contains(client.login.as_str()) && !root.reported_within("contract") {
            let key = format!("client {:?}", client.login);
            root.warn(&key, "has no contract: its calls are refused", "a [[contract]] for it");
        }
    }
    check_equal_secrets(root, config);
    check_keys_of_channels(root, config);
    if !elsewhere {
        check_page_key(root, config);
    }
    check_equal_costs(root, config);
    check_certificates(root, config);
}

/// A certificate that nobody asks for protects nobody, and one that nobody has lets nobody in.
fn check_certificates(root: &mut Section<'_>, config: &Config) {
    let asked = config.listen.asks_for_certificates();
    for client in &config.clients {
        let key = format!("client {:?}.certificates", client.login);
        match (asked, client.certificates.is_empty()) {
            (None, false) if !root.reported_within("listen") => {
                let wrong = "certificates, and listen.psp_tls.client_ca asks for none";
                root.problem(&key, wrong, "none, or a client_ca");
            }
            (Some(true), true) => {
                let wrong = "none: the certificate of any other client would do";
                root.problem(&key, wrong, "\"sha256:...\" or \"subject:...\" of its own");
            }
            (Some(false), true) => {
                let risk = "none: its password alone is enough";
                root.warn(&key, risk, "\"sha256:...\" or \"subject:...\" of its own");
            }
            _ => {}
        }
    }
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for client in &config.clients {
        for certificate in &client.certificates {
            let login = client.login.as_str();
            let first = *owners.entry(format!("{certificate:?}")).or_insert(login);
            if first != login {
                let key = format!("client {login:?}.certificates");
                let wrong = format!("one of client {first:?}");
                root.problem(&key, &wrong, "a certificate of its own");
            }
        }
    }
}

/// Who knows one secret knows all that are equal to it.
fn check_equal_secrets(root: &mut Section<'_>, config: &Config) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let mut all = Vec::new();
    for account in &config.accounts {
        for secret in &account.server_keys {
            all.push((format!("{}.server_key", account.section()), secret.expose_secret()));
        }
    }
    for client in &config.clients {
        let key = |name: &str| format!("client {:?}.{name}", client.login);
        for secret in &client.shared_secrets {
            all.push((key("shared_secret"), secret.expose_secret()));
        }
        for secret in &client.notification_secrets {
            all.push((key("notification_secrets"), secret.expose_secret()));
        }
    }
    for (key, secret) in all {
        match seen.get(secret) {
            Some(first) => {
                let risk = format!("the same secret as {first}");
                root.warn(&key, &risk, "a secret of its own");
            }
            None => {
                seen.insert(secret, key);
            }
        }
    }
}

/// One key in both channels: payments of the test would be made of real money, or real ones of none.
fn check_keys_of_channels(root: &mut Section<'_>, config: &Config) {
    let mut seen: BTreeMap<&str, &Account> = BTreeMap::new();
    for account in &config.accounts {
        for secret in &account.server_keys {
            let first = *seen.entry(secret.expose_secret()).or_insert(account);
            let key = format!("{}.server_key", account.section());
            let of_first = format!("{}.server_key", first.section());
            let reported = root.reported(&key) || root.reported(&of_first);
            if first.channel != account.channel && !reported {
                let wrong = format!("that of {}, which is of the other channel", first.section());
                root.problem(&key, &wrong, "a key of its own");
            }
        }
    }
}

/// What is read by nobody but us is keyed by the channels' accounts where there is no key for it.
fn check_page_key(root: &mut Section<'_>, config: &Config) {
    let named = config.accounts.iter().any(|account| account.name.is_some());
    let of_channel = config.accounts.iter().any(|account| account.name.is_none());
    if config.page_keys.is_empty() && named && !of_channel && !root.reported_within("public") {
        let wrong = "missing, and no [midtrans.test] or [midtrans.live] to derive one from";
        root.problem("public.page_key", wrong, "16 random characters or more");
    }
}

/// The time that a wrong password takes tells logins apart if their hashes differ in cost.
fn check_equal_costs(root: &mut Section<'_>, config: &Config) {
    let Some(first) = config.clients.first() else { return };
    let of_first = first.password_hashes.first().and_then(cost);
    for client in &config.clients {
        if client.password_hashes.iter().any(|hash| cost(hash) != of_first) {
            let key = format!("client {:?}.password_hash", client.login);
            let risk = format!(
                "of another cost than that of client {:?}: the time of an answer tells which \
                 logins there are",
                first.login
            );
            root.warn(&key, &risk, "hashes of one program and version");
        }
    }
}
