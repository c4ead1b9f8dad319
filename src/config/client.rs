//! `[[client]]`: a PSP

use gopay_service::{CertificateOf, Psp};
use secrecy::{ExposeSecret as _, SecretString};

use super::section::Section;

pub(super) fn read_client(client: &mut Section<'_>) -> Option<Psp> {
    let login = client.required("login");
    let password_hashes = client.secret_or_list("password_hash");
    for hash in password_hashes.iter().flatten() {
        check_hash(client, "password_hash", hash);
    }
    let shared_secrets = client.secret_or_list("shared_secret");
    for secret in shared_secrets.iter().flatten() {
        check_strength(client, "shared_secret", secret);
    }
    let notification_secrets = client.secrets("notification_secrets");
    for secret in notification_secrets.iter().flatten() {
        check_strength(client, "notification_secrets", secret);
    }
    let mut require_ok_body = false;
    client.flag("require_ok_body", &mut require_ok_body);
    let certificates = read_certificates(client);
    let (mut concurrent_calls, mut calls_per_second) = (0, 0);
    let concurrent = client.number("concurrent_calls", 1, 100_000, &mut concurrent_calls);
    let a_second = client.number("calls_per_second", 1, 1_000_000, &mut calls_per_second);
    Some(Psp {
        login: login?,
        password_hashes: password_hashes?,
        shared_secrets: shared_secrets?,
        notification_secrets: notification_secrets?,
        require_ok_body,
        certificates,
        concurrent_calls: concurrent.then_some(concurrent_calls),
        calls_per_second: a_second.then_some(calls_per_second),
    })
}

/// `sha256:` with the fingerprint as `openssl x509 -fingerprint` prints it, or `subject:` with what
/// `openssl x509 -subject -nameopt RFC2253` prints.
fn read_certificates(client: &mut Section<'_>) -> Vec<CertificateOf> {
    const KEY: &str = "certificates";
    const WANTED: &str = "\"sha256:\" and 64 hex digits, or \"subject:\" and the subject";
    let mut read = Vec::new();
    for text in client.texts(KEY).unwrap_or_default() {
        let parsed = if let Some(hex) = text.strip_prefix("sha256:") {
            let digits: String = hex.chars().filter(|char| *char != ':').collect();
            let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.map(CertificateOf::Fingerprint)
        } else {
            let subject = text.strip_prefix("subject:").filter(|subject| subject.contains('='));
            subject.map(|subject| CertificateOf::Subject(subject.trim().to_owned()))
        };
        match parsed {
            Some(certificate) => read.push(certificate),
            None => client.problem(KEY, &format!("{text:?} is no certificate"), WANTED),
        }
    }
    read
}

/// The parameters of a hash that `hash-password` prints: OWASP's least for Argon2id.
pub(super) const COST: &str = "m=19456,t=2,p=1";

/// Version and parameters of an Argon2id hash in PHC form.
pub(super) fn cost(hash: &SecretString) -> Option<&str> {
    hash.expose_secret().strip_prefix("$argon2id$v=19$")?.split('$').next()
}

pub(super) fn check_hash(client: &mut Section<'_>, key: &str, hash: &SecretString) {
    const WANTED: &str = "what `gopay-adapter hash-password` prints";
    if !gopay_service::is_password_hash(hash) {
        return client.problem(key, "not a hash", WANTED);
    }
    match cost(hash) {
        None => client.problem(key, "not a hash of Argon2id", WANTED),
        Some(COST) => {}
        // Its parameters say how long each verification takes, and how much memory.
        Some(other) => {
            let risk = format!("its cost is {other} instead of {COST}");
            client.warn(key, &risk, WANTED);
        }
    }
}

/// Secrets key hashes that everybody may try to guess offline, as often as they like.
pub(super) fn check_strength(client: &mut Section<'_>, key: &str, secret: &SecretString) {
    const CHARS_MIN: usize = 4;
    const CHARS_GOOD: usize = 16;
    const WANTED: &str = "16 random characters or more";
    let secret = secret.expose_secret();
    let chars = secret.chars().count();
    if chars < CHARS_MIN {
        client.problem(key, "a secret that can be guessed at once", WANTED);
    } else if secret.trim() != secret {
        client.warn(key, "a secret with a blank at an end: copied wrong?", "without the blank");
    } else if chars < CHARS_GOOD {
        client.warn(key, &format!("a secret of {chars} characters can be guessed"), WANTED);
    }
}
