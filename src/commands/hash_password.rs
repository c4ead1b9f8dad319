//! `hash-password`: a password becomes what the config keeps of it.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, anyhow};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::Outcome;

pub(crate) fn run() -> anyhow::Result<Outcome> {
    const PASSWORD_BYTES_MAX: u64 = 1_024;
    let mut password = String::new();
    if io::stdin().is_terminal() {
        ask(&mut password).context("cannot ask for a password")?;
    } else {
        io::stdin().lock().take(PASSWORD_BYTES_MAX + 1).read_to_string(&mut password)?;
    }
    let password = password.trim_end_matches(['\n', '\r']);
    if password.is_empty() || password.len() > 1_024 {
        return Err(anyhow!("standard input: a password of 1 to 1024 bytes is wanted"));
    }
    let mut salt = [0; 16];
    gopay_service::os_random(&mut salt);
    let hash = gopay_service::hash_password(password, &salt)
        .map_err(|error| anyhow!("cannot hash the password: {error}"))?;
    writeln!(io::stdout(), "{hash}")?;
    Ok(Outcome::Done)
}

/// Asks at the terminal, which does not show what is typed.
fn ask(password: &mut String) -> io::Result<()> {
    // Standard output is for the hash.
    write!(io::stderr(), "Password: ")?;
    io::stderr().flush()?;
    let hidden = Hidden::begin()?;
    io::stdin().read_line(password)?;
    drop(hidden);
    writeln!(io::stderr())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // If this fails, the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
