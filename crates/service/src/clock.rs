//! Time and chance, given from outside, so that tests and the demo can move the one and repeat
//! the other.

use std::cell::RefCell;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gopay_core::ids::{IdGenerator, RefundId, TxId};
use gopay_core::payment::Payment;
use gopay_core::ppro::reply::Rand;
use gopay_core::time::Timestamp;
use gopay_store::{Order, Page, PaymentFilter, StoreError};

use crate::thin::{self, FAULT_PAUSE};
use crate::{MidtransAccount, Service, meters};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// The time since a moment that no setting of the clock moves; none where time itself is moved,
    /// as in the demo and in tests.
    fn uptime(&self) -> Option<Duration> {
        None
    }
}

/// The time of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        std::time::SystemTime::now().into()
    }

    fn uptime(&self) -> Option<Duration> {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        Some(BEGIN.elapsed())
    }
}

/// How far our clock may be from Midtrans' before it is called off. `Date` has whole seconds, and an
/// answer may be half a minute on its way.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// How long a jump of our clock is not believed. Sessions that were open when it jumped are over by
/// then.
const JUMP_DOUBTED: Duration = Duration::from_secs(3_600);

/// Notices when our clock jumps ahead, by the time that the process has been up.
#[derive(Debug, Default)]
pub(crate) struct Jumps(Mutex<Option<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    now: Timestamp,
    uptime: Duration,
    /// The uptime at which a jump was first seen.
    jumped: Option<Duration>,
}

impl Jumps {
    pub(crate) fn since(clock: &dyn Clock) -> Self {
        let jumps = Self::default();
        if let Some(uptime) = clock.uptime() {
            jumps.time(clock.now(), uptime);
        }
        jumps
    }

    /// The time without a jump that is not an hour old.
    fn time(&self, now: Timestamp, uptime: Duration) -> Timestamp {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = last.get_or_insert(Seen { now, uptime, jumped: None });
        let expected = seen.now.after(uptime.saturating_sub(seen.uptime));
        let jumped = *seen.jumped.get_or_insert(uptime);
        let believed = uptime.saturating_sub(jumped) > JUMP_DOUBTED;
        if believed || now.since(expected) <= CLOCK_TOLERANCE {
            *seen = Seen { now, uptime, jumped: None };
            return now;
        }
        expected
    }
}

impl Service {
    /// The time by which a session may be called over: ours, unless Midtrans' clock says that ours
    /// is ahead, or, where Midtrans' is not known, ours has jumped. Such a clock must not end the
    /// payments of shoppers who still pay.
    pub(crate) fn session_time(&self, payment: &Payment) -> Timestamp {
        let now = self.now();
        let steady = self.0.clock.uptime().map_or(now, |uptime| self.0.jumps.time(now, uptime));
        match self.time_at_midtrans(payment) {
            Some(theirs) if now.since(theirs) > CLOCK_TOLERANCE => theirs,
            Some(_) => now,
            None => Self::unless_jumped(now, steady),
        }
    }

    fn unless_jumped(now: Timestamp, steady: Timestamp) -> Timestamp {
        if steady < now
            && let Some(repeats) = thin::due("clock_jump", FAULT_PAUSE)
        {
            let by_seconds = now.since(steady).as_secs();
            tracing::error!(
                by_seconds, %now, repeats,
                "our clock jumped ahead and Midtrans' time is not known: sessions end by the time before \
                 the jump; set the clock of this machine"
            );
        }
        steady
    }

    /// Measures how far our clock is from that of each channel's Midtrans; tells the log and the
    /// metrics.
    pub(crate) fn compare_clocks(&self) {
        for account in self.parties().midtrans.of_channels() {
            self.compare_clock(account);
        }
    }

    /// The same of the Midtrans of a payment.
    pub(crate) fn compare_clock_of(&self, payment: &Payment) {
        let parties = self.parties();
        if let Some(account) = parties.midtrans.of_payment(payment) {
            self.compare_clock(account);
        }
    }

    fn compare_clock(&self, account: &MidtransAccount) {
        let Some(theirs) = account.client.time() else { return };
        let now = self.now();
        let (ahead, behind) = (now.since(theirs), theirs.since(now));
        meters::clock_skew(account.channel, ahead, behind);
        let off = ahead.max(behind);
        if off > CLOCK_TOLERANCE
            && let Some(repeats) = thin::due("clock", FAULT_PAUSE)
        {
            let by_seconds = off.as_secs();
            let direction = if ahead > behind { "ahead" } else { "behind" };
            tracing::error!(
                by_seconds, direction, %now, midtrans = %theirs, repeats,
                "our clock differs from Midtrans'; set the clock of this machine"
            );
        }
    }

    /// Warns if the newest payment or entry of the store is of a time that has not come yet: our
    /// clock was ahead when it was written, or is behind now.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn compare_clock_with_store(&self) -> Result<(), StoreError> {
        let newest = Page::first(Order::NewestFirst, 1);
        let listed = self.0.store.payments_list(&PaymentFilter::default(), &newest).await?;
        let Some(payment) = listed.rows.first() else { return Ok(()) };
        let newest = payment.final_at.unwrap_or(payment.created_at).max(payment.created_at);
        let now = self.now();
        if newest.since(now) > CLOCK_TOLERANCE {
            let by_seconds = newest.since(now).as_secs();
            tracing::error!(
                by_seconds, %now, %newest, payment.tx_id = %payment.tx_id,
                "the newest payment is of a time that has not come yet; look at the clock"
            );
        }
        Ok(())
    }

    fn time_at_midtrans(&self, payment: &Payment) -> Option<Timestamp> {
        let parties = self.parties();
        let own = parties.midtrans.of_payment(payment).and_then(|account| account.client.time());
        // The account of the channel is at the same Midtrans.
        own.or_else(|| parties.midtrans.of(payment.channel)?.client.time())
    }
}

/// Fills buffers with random bytes: the operating system's, or a seeded generator's in tests.
pub type RandomBytes = dyn Fn(&mut [u8]) + Send + Sync;

/// Random bytes of the operating system.
///
/// # Panics
/// If the operating system has none, which would make secrets guessable.
#[expect(clippy::expect_used, reason = "there is no safe way on without random bytes")]
pub fn os_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

/// Random bytes of the operating system, asked for many at once: for what every call needs. Who gets
/// bytes is the only one that ever has them.
///
/// # Panics
/// As [`os_random`].
pub fn pooled_random(bytes: &mut [u8]) {
    /// Bytes that nobody has had yet, at the end of the buffer.
    struct Pool {
        buffer: [u8; 512],
        left: usize,
    }
    thread_local! {
        static POOL: RefCell<Pool> = const { RefCell::new(Pool { buffer: [0; 512], left: 0 }) };
    }
    POOL.with_borrow_mut(|Pool { buffer, left }| {
        if bytes.len() > *left {
            os_random(buffer);
            *left = buffer.len();
        }
        let rest = left.saturating_sub(bytes.len());
        match buffer.get_mut(rest..*left) {
            Some(next) if next.len() == bytes.len() => {
                bytes.copy_from_slice(next);
                next.fill(0);
                *left = rest;
            }
            // More than the pool holds.
            _ => os_random(bytes),
        }
    });
}

/// The source of ids and secrets.
pub(crate) struct IdSource {
    ids: Mutex<IdGenerator>,
    random: Box<RandomBytes>,
    /// Answers carry a `RAND` pair; off for readable tests.
    rand_pair: bool,
}

impl IdSource {
    pub(crate) fn new(instance: u16, random: Box<RandomBytes>, rand_pair: bool) -> Self {
        Self { ids: Mutex::new(IdGenerator::new(instance)), random, rand_pair }
    }

    pub(crate) fn tx_id(&self, now: Timestamp) -> TxId {
        self.ids().next_tx(now)
    }

    pub(crate) fn refund_id(&self, tx_id: TxId, now: Timestamp) -> RefundId {
        self.ids().next_refund_of(tx_id, now)
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, IdGenerator> {
        // The generator is a counter: there is no broken state that a panic could leave behind.
        self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// `REDIRECTSECRET`: 32 letters and digits, 190 bits.
    pub(crate) fn redirect_secret(&self) -> String {
        const ALPHABET: &[u8; 62] =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut secret = String::with_capacity(32);
        while secret.len() < 32 {
            let mut bytes = [0; 48];
            (self.random)(&mut bytes);
            // Bytes from 248 up would make the first eight letters likelier.
            let letters = bytes.iter().filter(|byte| **byte < 248).filter_map(|byte| {
                ALPHABET.get(usize::from(*byte) % ALPHABET.len()).copied().map(char::from)
            });
            secret.extend(letters.take(32 - secret.len()));
        }
        secret
    }

    pub(crate) fn rand(&self) -> Option<Rand> {
        if !self.rand_pair {
            return None;
        }
        // Both at once: each is a call of the system.
        let random: [u8; 28] = self.bytes();
        let (seed, bytes) = random.split_first_chunk()?;
        Some(Rand { seed: u64::from_le_bytes(*seed), bytes: bytes.try_into().ok()? })
    }

    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_ahead_is_not_believed_for_an_hour() {
        let start = Timestamp::from_micros(1_800_000_000_000_000);
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let hour = minute * 60;
        let jumps = Jumps::default();
        // Uptime, what the clock says since the start, and what is taken.
        for (uptime, says, taken) in [
            (second, second, second),
            // Nobody asked for long; the clock is set by some seconds meanwhile.
            (hour * 9, hour * 9 + minute, hour * 9 + minute),
            // It jumps by two hours.
            (hour * 10, hour * 12, hour * 10 + minute),
            (hour * 10 + minute, hour * 12 + minute, hour * 10 + minute * 2),
            // It is set right.
            (hour * 10 + minute * 2, hour * 10 + minute * 2, hour * 10 + minute * 2),
            // It jumps again, and stays.
            (hour * 11, hour * 13, hour * 11),
            (hour * 12, hour * 14, hour * 12),
            (hour * 12 + second, hour * 14 + second, hour * 14 + second),
            // Back is no way to end a session early.
            (hour * 13, hour, hour),
            (hour * 13 + second, hour + second, hour + second),
        ] {
            assert_eq!(
                jumps.time(start.after(says), uptime),
                start.after(taken),
                "{uptime:?}: {says:?}"
            );
        }
    }

    #[test]
    fn pooled_bytes_are_given_once_whatever_their_number() {
        let mut given = std::collections::HashSet::new();
        // Parts of the pool, all of it, and more than it holds.
        for length in [16, 500, 12, 512, 16, 513, 2_000, 40].into_iter().cycle().take(400) {
            let mut bytes = vec![0; length];
            pooled_random(&mut bytes);
            for part in bytes.chunks_exact(8) {
                assert!(given.insert(part.to_vec()), "given twice");
            }
        }
        assert!(!given.contains(&vec![0; 8]), "wiped bytes were given");
    }

    #[test]
    fn secrets_are_32_letters_and_digits() {
        let ids = IdSource::new(0, Box::new(os_random), true);
        let secrets: std::collections::BTreeSet<String> =
            (0..100).map(|_| ids.redirect_secret()).collect();
        assert_eq!(secrets.len(), 100);
        for secret in secrets {
            assert_eq!(secret.len(), 32);
            assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }
}
