//! Sources that fail with logins: how long they pause, and when they are told.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// An IPv4 address, or the 64 bits of an IPv6 address that a network is given as a whole.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

/// When each source may be told of its next failure.
#[derive(Debug, Default)]
pub(super) struct Paces {
    /// How long the last verification of a known login took.
    pub(super) took: Duration,
    next: HashMap<IpAddr, Instant>,
}

impl Paces {
    /// From one failure to the next, in verifications: more than the four that one in the lane of
    /// unknown logins takes with the rest before it, so that this decides, whatever the lane.
    const APART: u32 = 5;
    /// Who fails from many connections at once must not keep them all busy.
    const WAIT_MAX: Duration = Duration::from_secs(2);
    /// Sources that are remembered.
    const KEPT_MAX: usize = 4_096;

    pub(super) fn next(&mut self, source: IpAddr, now: Instant) -> Instant {
        if self.next.len() >= Self::KEPT_MAX {
            self.next.retain(|_, next| *next > now);
        }
        let until = self.next.get(&source).map_or(now, |next| (*next).max(now));
        let until = until.min(now + Self::WAIT_MAX);
        if self.next.len() < Self::KEPT_MAX || self.next.contains_key(&source) {
            self.next.insert(source, until + self.took * Self::APART);
        }
        until
    }
}

/// A source, and a digest of the login that it tries.
pub(super) type Key = (IpAddr, [u8; 32]);

/// Sources that failed lately.
#[derive(Debug, Default)]
pub(super) struct Sources(HashMap<Key, Failures>);

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

    pub(super) fn may_try(&self, source: &Key, now: Instant) -> bool {
        self.0.get(source).is_none_or(|failures| failures.until <= now)
    }

    pub(super) fn tried(&mut self, source: Key, good: bool, now: Instant) {
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
            let oldest = *oldest.0;
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let same = |one: &str, other: &str| {
            network(one.parse().unwrap()) == network(other.parse().unwrap())
        };
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn a_source_that_fails_again_and_again_pauses_longer_each_time() {
        let mut sources = Sources::default();
        let key = |last: u8, login: u8| -> Key { ([192, 0, 2, last].into(), [login; 32]) };
        let (source, others) = (key(1, 1), [key(2, 1), key(1, 2)]);
        let start = Instant::now();
        for _ in 1..Sources::FREE {
            sources.tried(source, false, start);
        }
        assert!(sources.may_try(&source, start));
        let millis = Duration::from_millis;
        for pause in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            sources.tried(source, false, start);
            assert!(!sources.may_try(&source, start + millis(pause - 1)), "{pause}");
            assert!(sources.may_try(&source, start + millis(pause)), "{pause}");
            assert!(others.iter().all(|other| sources.may_try(other, start)));
        }
        sources.tried(source, true, start);
        assert!(sources.may_try(&source, start));
    }

    #[test]
    fn a_source_is_told_of_failures_at_one_pace_and_others_do_not_wait_for_it() {
        let mut paces = Paces { took: Duration::from_millis(100), ..Paces::default() };
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let start = Instant::now();
        let waits = |paces: &mut Paces, source, millis| {
            let now = start + Duration::from_millis(millis);
            (paces.next(source, now) - now).as_millis()
        };
        assert_eq!(waits(&mut paces, one, 0), 0);
        // However long its verification took: 100 ms for a known login, 400 ms for an unknown one.
        assert_eq!(waits(&mut paces, one, 100), 400);
        assert_eq!(waits(&mut paces, one, 900), 100);
        assert_eq!(waits(&mut paces, other, 900), 0);
        for _ in 0..100 {
            waits(&mut paces, one, 900);
        }
        assert_eq!(waits(&mut paces, one, 900), 2_000);
        assert_eq!(waits(&mut paces, one, 10_000), 0);
    }

    #[test]
    fn sources_are_forgotten() {
        let mut sources = Sources::default();
        let start = Instant::now();
        for number in 0..10_000_u32 {
            let now = start + Duration::from_millis(number.into());
            sources.tried((IpAddr::V4(number.into()), [0; 32]), false, now);
        }
        assert_eq!(sources.0.len(), Sources::KEPT_MAX);
        let late = start + Sources::FORGET * 2;
        sources.tried((IpAddr::V4(10_001.into()), [0; 32]), false, late);
        assert_eq!(sources.0.len(), 1);
    }
}
