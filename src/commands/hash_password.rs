//! `hash-password`: a password becomes what the config keeps of it.

use std::io::{Read as _, Write as _};

use anyhow::anyhow;

use crate::Outcome;

pub(crate) fn run() -> anyhow::Result<Outcome> {
    const PASSWORD_BYTES_MAX: u64 = 1_024;
    let mut password = String::new();
    std::io::stdin().lock().take(PASSWORD_BYTES_MAX + 1).read_to_string(&mut password)?;
    let password = password.trim_end_matches(['\n', '\r']);
    if password.is_empty() || password.len() > 1_024 {
        return Err(anyhow!("standard input: a password of 1 to 1024 bytes is wanted"));
    }
    let mut salt = [0; 16];
    gopay_service::os_random(&mut salt);
    let hash = gopay_service::hash_password(password, &salt)
        .map_err(|error| anyhow!("cannot hash the password: {error}"))?;
    writeln!(std::io::stdout(), "{hash}")?;
    Ok(Outcome::Done)
}
