//! Passwords. Their hashes are slow and hungry on purpose (Argon2: a tenth of a second and 19 MiB), so
//! verifying them is what an unauthenticated caller can make us do most of. Nobody may keep others from it:
//!
//! - What was verified is remembered, and costs nothing again.
//! - Each known login has a lane of its own, in which one password is verified at a time; of all
//!   lanes together one, in turn. So a PSP waits for as many verifications as there are other logins
//!   under attack, however many callers attack them.
//! - All unknown logins share one lane, which rests three times as long as it works.
//! - Whose certificate does not belong to its login is as good as unknown, whatever its password.
//! - A source that fails again and again with a login has to pause with it, longer each time. Other
//!   sources, other logins and remembered credentials are good at any time, so nobody can lock a PSP
//!   out.
//! - A source is told of its failures at a pace that hides which of these lanes it was in: whether
//!   there is such a login, whether its certificate, password or contract was wrong.

mod sources;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use self::sources::{Key, Paces, Sources, network};

/// Calls that wait in one lane; further ones are told to come back.
const WAITING_MAX: usize = 64;

/// The lane of unknown logins rests this many times as long as it works.
const UNKNOWN_REST: u32 = 3;

/// Who calls, as far as the connection proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Where the call comes from.
    pub source: IpAddr,
    /// The certificate that was shown, and found good.
    pub certificate: Option<Certificate>,
}

impl From<IpAddr> for Caller {
    fn from(source: IpAddr) -> Self {
        Self { source, certificate: None }
    }
}

/// A client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its DER form.
    pub fingerprint: [u8; 32],
    /// Its subject in the form of RFC 4514.
    pub subject: Arc<str>,
}

/// See the module.
pub(crate) struct Credentials {
    /// What was verified, by login.
    verified: Mutex<HashMap<String, Vec<Verified>>>,
    /// Salt of those digests; lives as long as the process.
    salt: [u8; 32],
    lanes: HashMap<String, Arc<Lane>>,
    unknown: Arc<Lane>,
    /// Held while a password of a known login is verified.
    known_turn: Arc<Semaphore>,
    sources: Arc<Mutex<Sources>>,
    paces: Arc<Mutex<Paces>>,
}

/// A password that was verified.
#[derive(Clone)]
struct Verified {
    digest: [u8; 32],
    /// Against which hash: when that is removed, the password is good no more.
    hash: SecretString,
}

struct Lane {
    waiting: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// What a call shows, and what it is held against.
pub(crate) struct Attempt {
    pub(crate) login: String,
    pub(crate) password: SecretString,
    /// Every hash of the login, or as many of another's if it has none.
    pub(crate) hashes: Vec<SecretString>,
    /// There is such a login, and the certificate belongs to it.
    pub(crate) known: bool,
}

impl Lane {
    fn new() -> Self {
        Self { waiting: Arc::new(Semaphore::new(WAITING_MAX)), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Credentials {
    /// `salt` must be random.
    pub(crate) fn new<'a>(logins: impl Iterator<Item = &'a String>, salt: [u8; 32]) -> Self {
        Self {
            verified: Mutex::default(),
            salt,
            lanes: logins.map(|login| (login.clone(), Arc::new(Lane::new()))).collect(),
            unknown: Arc::new(Lane::new()),
            known_turn: Arc::new(Semaphore::new(1)),
            sources: Arc::default(),
            paces: Arc::default(),
        }
    }

    /// Takes over from those before: lanes and sources, and what was verified against hashes that
    /// `stands` says are still there.
    pub(crate) fn following(
        mut self,
        before: &Self,
        stands: impl Fn(&str, &SecretString) -> bool,
    ) -> Self {
        for (login, lane) in &mut self.lanes {
            if let Some(old) = before.lanes.get(login) {
                *lane = Arc::clone(old);
            }
        }
        let mut verified = before.verified().clone();
        for (login, all) in &mut verified {
            all.retain(|one| stands(login, &one.hash));
        }
        verified.retain(|_, all| !all.is_empty());
        Self {
            verified: Mutex::new(verified),
            salt: before.salt,
            lanes: self.lanes,
            unknown: Arc::clone(&before.unknown),
            known_turn: Arc::clone(&before.known_turn),
            sources: Arc::clone(&before.sources),
            paces: Arc::clone(&before.paces),
        }
    }

    /// Whether these credentials were verified before. Constant time in the password.
    pub(crate) fn is_cached(&self, login: &str, password: &str) -> bool {
        let digest = self.digest(login, password);
        let verified = self.verified();
        let all = verified.get(login).map_or(&[][..], Vec::as_slice);
        all.iter().any(|one| one.digest.ct_eq(&digest).into())
    }

    /// A place in the lane of a login, or in that of unknown ones; none if too many wait there.
    pub(crate) fn wait(&self, login: &str, known: bool) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.lane(login, known).waiting).try_acquire_owned().ok()
    }

    /// Verifies a password against the hashes of its login, and remembers what is good. What is not
    /// known takes as long, and is never good.
    pub(crate) async fn verify(&self, attempt: Attempt) -> bool {
        let Attempt { login, password, hashes, known } = attempt;
        // The semaphores are never closed.
        let turn = Arc::clone(&self.lane(&login, known).turn).acquire_owned().await;
        let Ok(turn) = turn else { return false };
        // Whoever was before may have verified the same: a PSP's first calls come together.
        if known && self.is_cached(&login, password.expose_secret()) {
            return true;
        }
        let digest = self.digest(&login, password.expose_secret());
        let began = Instant::now();
        if !known {
            matching(password, hashes).await;
            let rest = began.elapsed() * UNKNOWN_REST;
            tokio::spawn(async move {
                tokio::time::sleep(rest).await;
                drop(turn);
            });
            return false;
        }
        let Ok(_turn) = self.known_turn.acquire().await else { return false };
        let began = Instant::now();
        let matching = matching(password, hashes).await;
        self.paces().took = began.elapsed();
        let Some(hash) = matching else { return false };
        let mut verified = self.verified();
        let all = verified.entry(login).or_default();
        all.retain(|one| one.hash.expose_secret() != hash.expose_secret());
        all.push(Verified { digest, hash });
        true
    }

    /// Takes the time of a verification in the lane of a login, and forgets the outcome.
    pub(crate) async fn spend(&self, attempt: Attempt) {
        let Ok(_turn) = self.lane(&attempt.login, attempt.known).turn.acquire().await else {
            return;
        };
        let Ok(_known) = self.known_turn.acquire().await else { return };
        matching(attempt.password, attempt.hashes).await;
    }

    /// Whether a source may have a password of a login verified now.
    pub(crate) fn may_try(&self, source: IpAddr, login: &str, known: bool) -> bool {
        self.sources().may_try(&self.key(source, login, known), Instant::now())
    }

    /// Notes how a verification ended, for [`Self::may_try`].
    pub(crate) fn tried(&self, source: IpAddr, login: &str, known: bool, good: bool) {
        self.sources().tried(self.key(source, login, known), good, Instant::now());
    }

    /// Waits until a source may be told of a failure.
    pub(crate) async fn pace(&self, source: IpAddr) {
        let until = self.paces().next(network(source), Instant::now());
        tokio::time::sleep_until(until).await;
    }

    /// Logins that nobody has are counted each by itself, like those that somebody has.
    fn key(&self, source: IpAddr, login: &str, known: bool) -> Key {
        let digest = self.digest(login, if known { "known" } else { "" });
        (network(source), digest)
    }

    fn lane(&self, login: &str, known: bool) -> &Lane {
        self.lanes.get(login).filter(|_| known).unwrap_or(&self.unknown)
    }

    fn digest(&self, login: &str, password: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.salt)
            .chain_update(login.len().to_le_bytes())
            .chain_update(login)
            .chain_update(password)
            .finalize()
            .into()
    }

    fn verified(&self) -> MutexGuard<'_, HashMap<String, Vec<Verified>>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paces(&self) -> MutexGuard<'_, Paces> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first of the hashes that a password matches. All are tried, whichever matches: the time tells
/// nothing.
///
/// On a thread of its own: those of the runtime are for what others must not wait for, such as the
/// look-up of names.
async fn matching(password: SecretString, hashes: Vec<SecretString>) -> Option<SecretString> {
    let (done, result) = oneshot::channel();
    let verify = move || {
        let matches = |hash: &SecretString| {
            PasswordHash::new(hash.expose_secret()).is_ok_and(|hash| {
                let password = password.expose_secret().as_bytes();
                Argon2::default().verify_password(password, &hash).is_ok()
            })
        };
        let mut matching = None;
        for hash in hashes {
            if matches(&hash) {
                matching.get_or_insert(hash);
            }
        }
        // The caller may have gone.
        let _ = done.send(matching);
    };
    let started = std::thread::Builder::new().name("password".to_owned()).spawn(verify);
    if started.is_err() {
        return None;
    }
    result.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials::new(["one".to_owned(), "two".to_owned()].iter(), [7; 32])
    }

    fn hash(password: &str) -> SecretString {
        crate::hash_password(password, &[1; 16]).unwrap().into()
    }

    fn attempt(login: &str, password: &str, known: bool) -> Attempt {
        let hashes = vec![hash("right"), hash("older")];
        Attempt { login: login.to_owned(), password: password.into(), hashes, known }
    }

    #[tokio::test]
    async fn no_lane_waits_for_another_and_a_full_one_refuses() {
        let credentials = credentials();
        // As if each lane but that of "two" verified for ever.
        let _unknown = credentials.unknown.turn.acquire().await.unwrap();
        let _one = credentials.lanes["one"].turn.acquire().await.unwrap();
        let mut waiting = Vec::new();
        for (login, known) in [("nobody", false), ("one", true)] {
            for _ in 0..WAITING_MAX {
                waiting.push(credentials.wait(login, known).expect("a place"));
            }
            assert!(credentials.wait(login, known).is_none(), "{login}");
        }
        for (login, what) in [("somebody else", "unknown"), ("two", "of another's certificate")] {
            assert!(credentials.wait(login, false).is_none(), "{what} logins share a lane");
        }
        let _place = credentials.wait("two", true).expect("a place");
        assert!(!credentials.verify(attempt("two", "wrong", true)).await);
        assert!(!credentials.is_cached("two", "right"));
        assert!(credentials.verify(attempt("two", "right", true)).await);
        assert!(credentials.is_cached("two", "right"));
        assert!(!credentials.is_cached("two", "wrong"));
    }

    #[tokio::test]
    async fn a_login_that_nobody_has_is_never_good() {
        let credentials = credentials();
        assert!(!credentials.verify(attempt("nobody", "right", false)).await);
        assert!(!credentials.is_cached("nobody", "right"));
    }

    #[tokio::test]
    async fn both_passwords_are_good_until_the_hash_of_one_is_removed() {
        let before = credentials();
        for password in ["older", "right", "older"] {
            assert!(before.verify(attempt("one", password, true)).await, "{password}");
        }
        assert!(before.is_cached("one", "older") && before.is_cached("one", "right"));
        let kept = hash("right");
        let stands = |login: &str, hash: &SecretString| {
            login == "one" && hash.expose_secret() == kept.expose_secret()
        };
        let after = credentials().following(&before, stands);
        assert!(after.is_cached("one", "right"), "nobody has to be verified again");
        assert!(!after.is_cached("one", "older"), "what was removed is forgotten");
        let only = Attempt { hashes: vec![kept], ..attempt("one", "older", true) };
        assert!(!after.verify(only).await);
        let none = credentials().following(&after, |_, _| false);
        assert!(!none.is_cached("one", "right"));
    }
}
