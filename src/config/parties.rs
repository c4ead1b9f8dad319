//! What no section can see by itself: secrets and hashes of one party beside those of the others.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;

use super::Config;
use super::client::cost;
use super::section::Section;

pub(super) fn check_parties(root: &mut Section<'_>, config: &Config) {
    if config.clients.is_empty() && !root.reported_within("client") {
        let risk = "none: every call is refused";
        root.warn("client", risk, "a [[client]] for each PSP, and its [[contract]]s");
    }
    for client in &config.clients {
        if !config.contracts.iter().any(|contract| contract.psp == client.login)
            && !root.reported_within("contract")
        {
            let key = format!("client {:?}", client.login);
            root.warn(&key, "has no contract: its calls are refused", "a [[contract]] for it");
        }
    }
    check_equal_secrets(root, config);
    check_equal_costs(root, config);
}

/// Who knows one secret knows all that are equal to it.
fn check_equal_secrets(root: &mut Section<'_>, config: &Config) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let mut all = Vec::new();
    for (key, account) in [("midtrans.test", &config.test), ("midtrans.live", &config.live)] {
        if let Some(account) = account {
            all.push((format!("{key}.server_key"), account.server_key.expose_secret()));
        }
    }
    for client in &config.clients {
        let key = |name: &str| format!("client {:?}.{name}", client.login);
        all.push((key("shared_secret"), client.shared_secret.expose_secret()));
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

/// The time that a wrong password takes tells logins apart if their hashes differ in cost.
fn check_equal_costs(root: &mut Section<'_>, config: &Config) {
    let Some(first) = config.clients.first() else { return };
    for client in &config.clients {
        if cost(&client.password_hash) != cost(&first.password_hash) {
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
