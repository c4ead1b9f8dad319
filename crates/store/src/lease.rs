//! Leases on numbers: which of the instances that share a store holds which number, and since when one
//! is dead.
//!
//! A number is the shard of the ids that its holder draws. Its holder renews the lease, and everybody
//! looks whether the others do. Times are those of the database alone: an engine gives them, and no
//! clock of an instance is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use gopay_core::time::Timestamp;

/// How long a lease lasts from its last renewal on.
///
/// What a dead instance leaves is taken over at the latest after this, [`LOOK`] until somebody sees it,
/// and [`GRACE`] rounded up to the next look: 9 + 2 + 6 = 17 seconds.
pub const TERM: Duration = Duration::from_secs(9);

/// How often a holder renews its lease and looks at the others'.
pub const LOOK: Duration = Duration::from_secs(2);

/// A lease that ran out is looked at for so long before its holder counts as dead: after the database
/// was away all have run out, and their holders need a moment to say that they live.
pub const GRACE: Duration = Duration::from_secs(5);

/// Who has not looked for so long has seen nothing of what happened meanwhile.
const GAP: Duration = Duration::from_secs(3);

/// The lowest number of processes that draw no ids. Those below are the numbers of ids.
pub const WORKERS: u16 = 1024;

/// A lease as it is stored, in microseconds of the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredLease {
    /// The number.
    pub number: u16,
    /// Grows whenever the number changes hands.
    pub epoch: i64,
    /// Until when it is held, if it is not renewed; 0: its holder has ended in good order.
    pub until: i64,
}

impl StoredLease {
    /// Its holder has ended in good order, and has nothing under way.
    #[must_use]
    pub const fn is_released(&self) -> bool {
        self.until == 0
    }

    /// Nobody can have renewed it within the term. One that ends later than one that is renewed now is
    /// from a clock that went back since.
    fn is_over(&self, now: i64) -> bool {
        let latest = Timestamp::from_micros(now).after(TERM).as_micros();
        self.until <= now || self.until > latest
    }
}

/// What somebody has seen of leases that ran out.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// With the time at which it was seen first.
    over: BTreeMap<u16, (StoredLease, i64)>,
    looked_at: i64,
}

impl Watch {
    /// Looks at leases at a time of the database; those whose holders are dead.
    pub fn look(&mut self, now: i64, leases: &[StoredLease]) -> Vec<StoredLease> {
        let since =
            |earlier: i64| Timestamp::from_micros(now).since(Timestamp::from_micros(earlier));
        if now < self.looked_at || since(self.looked_at) > GAP {
            self.over.clear();
        }
        self.looked_at = now;
        let before = std::mem::take(&mut self.over);
        for lease in leases.iter().filter(|lease| lease.is_over(now)) {
            let known = before.get(&lease.number).filter(|(known, _)| known == lease);
            self.over.insert(lease.number, (*lease, known.map_or(now, |(_, first)| *first)));
        }
        let dead =
            |(lease, first): &&(StoredLease, i64)| lease.is_released() || since(*first) >= GRACE;
        self.over.values().filter(dead).map(|(lease, _)| *lease).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn lease(until: i64) -> StoredLease {
        StoredLease { number: 1, epoch: 4, until: until * SECOND }
    }

    /// Looks at these seconds, each time at a lease until then; the index of the first that says dead.
    fn dead_at(looks: &[(i64, i64)]) -> Option<usize> {
        let mut watch = Watch::default();
        looks.iter().position(|(now, until)| !watch.look(now * SECOND, &[lease(*until)]).is_empty())
    }

    #[test]
    fn who_does_not_renew_is_dead_after_a_while_and_nobody_else() {
        for (looks, dead) in [
            // It renews.
            (&[(100, 109), (102, 111), (104, 113)][..], None),
            // It ended in good order.
            (&[(100, 0)], Some(0)),
            // It died at 100.
            (
                &[
                    (102, 109),
                    (104, 109),
                    (106, 109),
                    (108, 109),
                    (110, 109),
                    (112, 109),
                    (114, 109),
                    (116, 109),
                ],
                Some(7),
            ),
            // It renews in the last moment.
            (&[(110, 109), (112, 109), (114, 109), (115, 124), (117, 126)], None),
            // Somebody else has it meanwhile, and died too; it begins anew.
            (&[(110, 109), (112, 109), (114, 110), (116, 110), (118, 110)], None),
            // Who looks was away himself, or the database was.
            (&[(110, 109), (118, 109), (120, 109), (122, 109), (124, 109)], Some(4)),
            // The database's clock leaps ahead: all have run out, and its holder lives.
            (&[(100, 109), (3_700, 109), (3_702, 3_711), (3_704, 3_713)], None),
            // It goes back: who lives says until when by the new one, who is dead does not.
            (&[(3_700, 3_709), (100, 3_709), (102, 111), (104, 113)], None),
            (&[(3_700, 3_709), (100, 3_709), (102, 3_709), (104, 3_709), (106, 3_709)], Some(4)),
        ] {
            assert_eq!(dead_at(looks), dead, "{looks:?}");
        }
    }

    proptest::proptest! {
        /// Whatever the database's clock does, and however seldom anybody looks.
        #[test]
        fn who_renews_at_every_other_look_is_never_dead(
            looks in proptest::collection::vec((-4_000_000_i64..12_000_000, 0_u8..2), 1..60),
            leaps in proptest::collection::vec((0_usize..60, -90_000_000_000_i64..90_000_000_000), 0..4),
        ) {
            let term = i64::try_from(TERM.as_micros()).unwrap();
            let (mut watch, mut now, mut missed) = (Watch::default(), 1_000_000 * SECOND, 0);
            let mut held = lease(0);
            held.until = now + term;
            for (at, (step, skips)) in looks.into_iter().enumerate() {
                now += step + leaps.iter().filter(|leap| leap.0 == at).map(|leap| leap.1).sum::<i64>();
                missed = if skips == 1 && missed == 0 { 1 } else { 0 };
                if missed == 0 {
                    held.until = now + term;
                }
                proptest::prop_assert_eq!(watch.look(now, &[held]), []);
            }
        }
    }

    #[test]
    fn a_dead_holder_is_found_within_twenty_seconds() {
        let worst = TERM + LOOK + LOOK * 3;
        assert!(GRACE <= LOOK * 3 && worst <= Duration::from_secs(18), "{worst:?}");
        assert!(LOOK < GAP && GAP < GRACE && LOOK * 4 < TERM);
    }
}
