//! Passwords. Their hashes are slow and hungry on purpose (Argon2: a tenth of a second and 19 MiB), so
//! verifying them is what a stranger can make us do most of. Nobody may keep others from it:
//!
//! - What was verified is remembered, and costs nothing again.
//! - Each known login has a lane of its own, in which one password is verified at a time; of all
//!   lanes together one, in turn. So a PSP waits for as many verifications as there are other logins
//!   under attack, however many callers attack them.
//! - All unknown logins share one lane, which rests three times as long as it works.
//! - A source that fails again and again with a login has to pause with it, longer each time; it has
//!   one count for all unknown logins. Other sources, other logins and remembered credentials are
//!   good at any time, so nobody can lock a PSP out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

/// Calls that wait in one lane; further ones are told to come back.
const WAITING_MAX: usize = 64;

/// The lane of unknown logins rests this many times as long as it works.
const UNKNOWN_REST: u32 = 3;

/// See the module.
pub(crate) struct Credentials {
    /// Digests of credentials that were verified, by login.
    verified: Mutex<HashMap<String, [u8; 32]>>,
    /// Salt of those digests; lives as long as the process.
    salt: [u8; 32],
    lanes: HashMap<String, Lane>,
    unknown: Lane,
    /// Held while a password of a known login is verified.
    known_turn: Semaphore,
    sources: Mutex<Sources>,
}

struct Lane {
    waiting: Arc<Semaphore>,
    turn: Arc<Semaphore>,
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
            lanes: logins.map(|login| (login.clone(), Lane::new())).collect(),
            unknown: Lane::new(),
            known_turn: Semaphore::new(1),
            sources: Mutex::default(),
        }
    }

    /// Whether these credentials were verified before. Constant time in the password.
    pub(crate) fn is_cached(&self, login: &str, password: &str) -> bool {
        let digest = self.digest(login, password);
        let known = self.verified().get(login).copied();
        known.is_some_and(|known| known.ct_eq(&digest).into())
    }

    /// A place in the lane of a login; none if too many wait there.
    pub(crate) fn wait(&self, login: &str) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.lane(login).waiting).try_acquire_owned().ok()
    }

    /// Verifies a password against the hash of its login, and remembers what is good. Without a
    /// login of that name, `hash` is another's: it takes as long, and is never good.
    pub(crate) async fn verify(
        &self,
        login: &str,
        password: SecretString,
        hash: SecretString,
    ) -> bool {
        let known = self.lanes.contains_key(login);
        // The semaphores are never closed.
        let Ok(turn) = Arc::clone(&self.lane(login).turn).acquire_owned().await else {
            return false;
        };
        // Whoever was before may have verified the same: a PSP's first calls come together.
        if self.is_cached(login, password.expose_secret()) {
            return true;
        }
        let digest = self.digest(login, password.expose_secret());
        let began = Instant::now();
        let matches = if known {
            let Ok(_turn) = self.known_turn.acquire().await else { return false };
            matches(password, hash).await
        } else {
            matches(password, hash).await
        };
        if !known {
            let rest = began.elapsed() * UNKNOWN_REST;
            tokio::spawn(async move {
                tokio::time::sleep(rest).await;
                drop(turn);
            });
        }
        if known && matches {
            self.verified().insert(login.to_owned(), digest);
        }
        known && matches
    }

    /// Takes the time of a verification in the lane of a login, and forgets the outcome.
    pub(crate) async fn spend(&self, login: &str, password: SecretString, hash: SecretString) {
        let Ok(_turn) = self.lane(login).turn.acquire().await else { return };
        let Ok(_known) = self.known_turn.acquire().await else { return };
        matches(password, hash).await;
    }

    /// Whether a source may have a password of a login verified now.
    pub(crate) fn may_try(&self, source: IpAddr, login: &str) -> bool {
        self.sources().may_try(&self.key(source, login), Instant::now())
    }

    /// Notes how a verification ended, for [`Self::may_try`].
    pub(crate) fn tried(&self, source: IpAddr, login: &str, good: bool) {
        self.sources().tried(self.key(source, login), good, Instant::now());
    }

    fn key(&self, source: IpAddr, login: &str) -> Key {
        (source, self.lanes.contains_key(login).then(|| login.to_owned()))
    }

    fn lane(&self, login: &str) -> &Lane {
        self.lanes.get(login).unwrap_or(&self.unknown)
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

    fn verified(&self) -> MutexGuard<'_, HashMap<String, [u8; 32]>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// On a thread of its own: those of the runtime are for what others must not wait for, such as the
/// look-up of names.
async fn matches(password: SecretString, hash: SecretString) -> bool {
    let (done, result) = oneshot::channel();
    let verify = move || {
        let good = PasswordHash::new(hash.expose_secret()).is_ok_and(|hash| {
            Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
        });
        // The caller may have gone.
        let _ = done.send(good);
    };
    let started = std::thread::Builder::new().name("password".to_owned()).spawn(verify);
    started.is_ok() && result.await.unwrap_or(false)
}

/// A source, and the login that it tries; none for all that nobody has.
type Key = (IpAddr, Option<String>);

/// Sources that failed lately.
#[derive(Debug, Default)]
struct Sources(HashMap<Key, Failures>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    in_a_row: u32,
    until: Instant,
    seen: Instant,
}

impl Sources {
    /// So many mistakes in a row are free.
    const FREE: u32 = 50;
    /// The first pause; each failure doubles it.
    const PAUSE: Duration = Duration::from_millis(250);
    const PAUSE_MAX: Duration = Duration::from_secs(30);
    /// Failures are forgotten after this time without another.
    const FORGET: Duration = Duration::from_secs(300);
    /// Sources that are remembered; those longest quiet go first.
    const KEPT_MAX: usize = 4_096;

    fn may_try(&self, source: &Key, now: Instant) -> bool {
        self.0.get(source).is_none_or(|failures| failures.until <= now)
    }

    fn tried(&mut self, source: Key, good: bool, now: Instant) {
        if good {
            self.0.remove(&source);
            return;
        }
        if self.0.len() >= Self::KEPT_MAX && !self.0.contains_key(&source) {
            self.make_room(now);
        }
        let new = Failures { in_a_row: 0, until: now, seen: now };
        let failures = self.0.entry(source).or_insert(new);
        if now.saturating_duration_since(failures.seen) >= Self::FORGET {
            *failures = new;
        }
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        failures.seen = now;
        if let Some(beyond) = failures.in_a_row.checked_sub(Self::FREE) {
            let pause = Self::PAUSE.saturating_mul(1_u32.checked_shl(beyond).unwrap_or(u32::MAX));
            failures.until = now + pause.min(Self::PAUSE_MAX);
        }
    }

    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, failures| now.saturating_duration_since(failures.seen) < Self::FORGET);
        if self.0.len() >= Self::KEPT_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, failures)| failures.seen)
        {
            let oldest = oldest.0.clone();
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials::new(["one".to_owned(), "two".to_owned()].iter(), [7; 32])
    }

    fn hash() -> SecretString {
        crate::hash_password("right", &[1; 16]).unwrap().into()
    }

    #[tokio::test]
    async fn no_lane_waits_for_another_and_a_full_one_refuses() {
        let credentials = credentials();
        // As if each lane but that of "two" verified for ever.
        let _unknown = credentials.unknown.turn.acquire().await.unwrap();
        let _one = credentials.lanes["one"].turn.acquire().await.unwrap();
        let mut waiting = Vec::new();
        for login in ["nobody", "one"] {
            for _ in 0..WAITING_MAX {
                waiting.push(credentials.wait(login).expect("a place"));
            }
            assert!(credentials.wait(login).is_none(), "{login}");
        }
        assert!(credentials.wait("somebody else").is_none(), "all unknown logins share a lane");
        let _place = credentials.wait("two").expect("a place");
        assert!(!credentials.verify("two", "wrong".into(), hash()).await);
        assert!(!credentials.is_cached("two", "right"));
        assert!(credentials.verify("two", "right".into(), hash()).await);
        assert!(credentials.is_cached("two", "right"));
        assert!(!credentials.is_cached("two", "wrong"));
    }

    #[tokio::test]
    async fn a_login_that_nobody_has_is_never_good() {
        let credentials = credentials();
        assert!(!credentials.verify("nobody", "right".into(), hash()).await);
        assert!(!credentials.is_cached("nobody", "right"));
    }

    #[test]
    fn a_source_that_fails_again_and_again_pauses_longer_each_time() {
        let mut sources = Sources::default();
        let key = |last: u8, login: Option<&str>| -> Key {
            ([192, 0, 2, last].into(), login.map(str::to_owned))
        };
        let (source, others) = (key(1, Some("one")), [key(2, Some("one")), key(1, None)]);
        let start = Instant::now();
        for _ in 1..Sources::FREE {
            sources.tried(source.clone(), false, start);
        }
        assert!(sources.may_try(&source, start));
        let millis = Duration::from_millis;
        for pause in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            sources.tried(source.clone(), false, start);
            assert!(!sources.may_try(&source, start + millis(pause - 1)), "{pause}");
            assert!(sources.may_try(&source, start + millis(pause)), "{pause}");
            assert!(others.iter().all(|other| sources.may_try(other, start)));
        }
        sources.tried(source.clone(), true, start);
        assert!(sources.may_try(&source, start));
    }

    #[test]
    fn sources_are_forgotten() {
        let mut sources = Sources::default();
        let start = Instant::now();
        for number in 0..10_000_u32 {
            let now = start + Duration::from_millis(number.into());
            sources.tried((IpAddr::V4(number.into()), None), false, now);
        }
        assert_eq!(sources.0.len(), Sources::KEPT_MAX);
        let late = start + Sources::FORGET * 2;
        sources.tried((IpAddr::V4(10_001.into()), None), false, late);
        assert_eq!(sources.0.len(), 1);
    }
}
