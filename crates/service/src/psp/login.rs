//! Passwords of PSPs verified, and refused logins told to operators: the same for every way in.

use metrics::counter;

use crate::credentials::{Attempt, Caller};
use crate::thin::{self, UNAUTHENTICATED_PAUSE};
use crate::{Directory, meters};

/// Verifies a password, and notes how that ended for the next attempt.
pub(super) async fn verify(directory: &Directory, attempt: Attempt, caller: &Caller) -> bool {
    let (login, known) = (attempt.login.clone(), attempt.known);
    let gate = directory.credentials();
    let good = gate.verify(attempt).await;
    gate.tried(caller.source, &login, known, good);
    if !good {
        let exists = directory.psp(&login).is_some();
        let why = match (exists, known) {
            (true, true) => "password",
            (true, false) => "certificate",
            (false, _) => "login",
        };
        // A login that nobody has may be anything, such as a password in the wrong place.
        tell_refused(caller, exists.then_some(&login), why);
    }
    good
}

/// Lets operators see a login that was refused: each is counted, one in a second is logged.
pub(super) fn tell_refused(caller: &Caller, login: Option<&str>, why: &'static str) {
    counter!(meters::LOGIN_FAILURES, "why" => why).increment(1);
    if let Some(repeats) = thin::due("a wrong login or password", UNAUTHENTICATED_PAUSE) {
        let source = caller.source;
        let subject = caller.certificate.as_ref().map(|it| it.subject.as_ref());
        tracing::warn!(%source, login, certificate = subject, why, repeats, "a wrong login or password");
    }
}
