//! `[[client]]`: a PSP

use gopay_service::Psp;
use secrecy::{ExposeSecret as _, SecretString};

use super::section::Section;

pub(super) fn read_client(client: &mut Section<'_>) -> Option<Psp> {
    let login = client.required("login");
    let password_hash = client.secret("password_hash");
    if let Some(hash) = &password_hash {
        check_hash(client, hash);
    }
    let shared_secret = client.secret("shared_secret");
    if let Some(secret) = &shared_secret {
        check_strength(client, "shared_secret", secret);
    }
    let notification_secrets = client.secrets("notification_secrets");
    for secret in notification_secrets.iter().flatten() {
        check_strength(client, "notification_secrets", secret);
    }
    let mut require_ok_body = false;
    client.flag("require_ok_body", &mut require_ok_body);
    Some(Psp {
        login: login?,
        password_hash: password_hash?,
        shared_secret: shared_secret?,
        notification_secrets: notification_secrets?,
        require_ok_body,
    })
}

/// The parameters of a hash that `hash-password` prints: OWASP's least for Argon2id.
pub(super) const COST: &str = "m=19456,t=2,p=1";

/// Version and parameters of an Argon2id hash in PHC form.
pub(super) fn cost(hash: &SecretString) -> Option<&str> {
    hash.expose_secret().strip_prefix("$argon2id$v=19$")?.split('$').next()
}

fn check_hash(client: &mut Section<'_>, hash: &SecretString) {
    const KEY: &str = "password_hash";
    const WANTED: &str = "what `gopay-adapter hash-password` prints";
    if !gopay_service::is_password_hash(hash) {
        return client.problem(KEY, "not a hash", WANTED);
    }
    match cost(hash) {
        None => client.problem(KEY, "not a hash of Argon2id", WANTED),
        Some(COST) => {}
        // Its parameters say how long each verification takes, and how much memory.
        Some(other) => {
            let risk = format!("its cost is {other} instead of {COST}");
            client.warn(KEY, &risk, WANTED);
        }
    }
}

/// Secrets key hashes that everybody may try to guess offline, as often as they like.
fn check_strength(client: &mut Section<'_>, key: &str, secret: &SecretString) {
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
