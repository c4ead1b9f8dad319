//! Identifiers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The text is not an id that we could have issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal id of 1 to 19 digits")]
pub struct IdError;

/// Declares an id type: a decimal number of 1 to 19 digits without leading zero.
///
/// Numeric, because the settlement and processing files want numbers.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(i64);

        impl $name {
            /// The id with this number, which must be positive.
            ///
            /// # Errors
            /// [`IdError`] for zero and below.
            pub const fn new(number: i64) -> Result<Self, IdError> {
                if number > 0 { Ok(Self(number)) } else { Err(IdError) }
            }

            /// The number, always positive.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_id(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, out)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                // Quicker than by `Display`.
                id.0.to_string()
            }
        }
    };
}

id!(
    /// A payment: PPRO's `TXID`, Midtrans' `order_id`. Decimal, 1 to 19 digits.
    TxId
);
id!(
    /// A refund: PPRO's `REFUNDID`, Midtrans' `refund_key`. Decimal, 1 to 19 digits.
    RefundId
);

/// The parts of an id that [`IdGenerator`] has issued.
impl TxId {
    /// The number of the instance that issued it: payments of an instance belong together, and so
    /// do their refunds, records and journal (`docs/ARCHITECTURE.md`, "The store").
    #[must_use]
    pub fn shard(self) -> u16 {
        shard_of(self.0)
    }

    /// The day on which it was issued, in days since 1970-01-01 UTC.
    #[must_use]
    pub const fn day(self) -> i64 {
        day_of(self.0)
    }

    /// Whether its time is one at which this program issued ids, which tells most numbers of other
    /// programs apart: not before 2025, and at most a day ahead, by as much as clocks are wrong.
    #[must_use]
    pub fn is_of_our_time(self, now: Timestamp) -> bool {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        /// 2025-01-01T00:00:00Z.
        const FIRST: Timestamp = Timestamp::from_micros(1_735_689_600_000_000);
        (Self::floor_of(FIRST)..=Self::floor_of(now.after(DAY))).contains(&self.0)
    }

    /// The least number of an id that was issued at `at`, or 0 before there were any.
    #[must_use]
    pub const fn floor_of(at: Timestamp) -> i64 {
        let ms = at.as_millis().saturating_sub(EPOCH_MS);
        if ms <= 0 { 0 } else { ms.saturating_mul(1 << (SEQUENCE_BITS + INSTANCE_BITS)) }
    }
}

impl RefundId {
    /// As [`TxId::shard`].
    #[must_use]
    pub fn shard(self) -> u16 {
        shard_of(self.0)
    }

    /// As [`TxId::day`].
    #[must_use]
    pub const fn day(self) -> i64 {
        day_of(self.0)
    }
}

fn shard_of(id: i64) -> u16 {
    // Ten bits always fit.
    u16::try_from((id >> SEQUENCE_BITS) & INSTANCE_MASK).unwrap_or_default()
}

const fn day_of(id: i64) -> i64 {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    // Ids begin at a midnight.
    (EPOCH_MS / DAY_MS).saturating_add((id >> (SEQUENCE_BITS + INSTANCE_BITS)) / DAY_MS)
}

impl TxId {
    /// The ids that an instance can have issued from one time until before another, of which each
    /// millisecond has as many as are named here: in order. For finding again what a store has lost.
    pub fn issued(
        instance: u16,
        from: Timestamp,
        until: Timestamp,
        a_millisecond: u16,
    ) -> impl Iterator<Item = Self> {
        let ms = |at: Timestamp| at.as_millis().saturating_sub(EPOCH_MS).max(1);
        let instance = i64::from(instance & IdGenerator::INSTANCE_MAX) << SEQUENCE_BITS;
        let sequences = i64::from(a_millisecond).min(1 << SEQUENCE_BITS);
        (ms(from)..ms(until)).flat_map(move |ms| {
            let first = (ms << (SEQUENCE_BITS + INSTANCE_BITS)) | instance;
            (first..first.saturating_add(sequences)).map(Self)
        })
    }
}

fn parse_id(text: &str) -> Result<i64, IdError> {
    let canonical = (1..=19).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0');
    if canonical { text.parse().map_err(|_| IdError) } else { Err(IdError) }
}

/// The id generator: its ids grow with time and differ between instances.
///
/// 63 bits: 41 of milliseconds since 2024 (69 years), 10 of instance number, 12 of sequence
/// (4,096 ids a millisecond). When a millisecond is used up, or the clock goes back, the next id
/// borrows from the milliseconds to come, so that ids of one generator always grow.
#[derive(Debug)]
pub struct IdGenerator {
    instance: i64,
    last: i64,
    /// As `last`, of the refunds.
    last_refund: i64,
}

/// 2024-01-01T00:00:00Z in milliseconds since 1970.
const EPOCH_MS: i64 = 1_704_067_200_000;
const SEQUENCE_BITS: u32 = 12;
const INSTANCE_BITS: u32 = 10;
const INSTANCE_MASK: i64 = (1 << INSTANCE_BITS) - 1;

impl IdGenerator {
    /// The largest instance number.
    pub const INSTANCE_MAX: u16 = (1 << INSTANCE_BITS) - 1;

    /// A generator for `instance`; numbers above [`Self::INSTANCE_MAX`] wrap round.
    #[must_use]
    pub fn new(instance: u16) -> Self {
        Self { instance: i64::from(instance & Self::INSTANCE_MAX), last: 0, last_refund: 0 }
    }

    /// The next id, as a number above every earlier one of this generator.
    pub fn next(&mut self, now: Timestamp) -> i64 {
        let ticks = now.as_millis().saturating_sub(EPOCH_MS).max(1) << SEQUENCE_BITS;
        self.last = ticks.max(self.last.saturating_add(1));
        let (ms, sequence) = (self.last >> SEQUENCE_BITS, self.last & ((1 << SEQUENCE_BITS) - 1));
        (ms << (SEQUENCE_BITS + INSTANCE_BITS)) | (self.instance << SEQUENCE_BITS) | sequence
    }

    /// The next payment id.
    pub fn next_tx(&mut self, now: Timestamp) -> TxId {
        TxId(self.next(now))
    }

    /// The next id of a refund of this payment, in the payment's shard: a refund stands where its payment
    /// stands, whichever instance is asked for it.
    ///
    /// In the place of the sequence it has the number of the instance that draws it and a sequence of
    /// two bits, so that no two instances draw the same id for one shard.
    pub fn next_refund_of(&mut self, tx_id: TxId, now: Timestamp) -> RefundId {
        const OWN_BITS: u32 = SEQUENCE_BITS - INSTANCE_BITS;
        let ticks = now.as_millis().saturating_sub(EPOCH_MS).max(1) << OWN_BITS;
        self.last_refund = ticks.max(self.last_refund.saturating_add(1));
        let (ms, own) = (self.last_refund >> OWN_BITS, self.last_refund & ((1 << OWN_BITS) - 1));
        let shard = i64::from(tx_id.shard()) << SEQUENCE_BITS;
        let sequence = (own << INSTANCE_BITS) | self.instance;
        RefundId((ms << (SEQUENCE_BITS + INSTANCE_BITS)) | shard | sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_only_in_their_one_written_form() {
        for (text, good) in [
            ("1", true),
            ("123887123", true),
            ("9223372036854775807", true),
            ("9223372036854775808", false),
            ("0", false),
            ("01", false),
            ("-1", false),
            ("+1", false),
            ("", false),
            ("12a", false),
            ("10000000000000000000", false),
        ] {
            assert_eq!(text.parse::<TxId>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn an_id_tells_its_instance_and_its_time() {
        let now = Timestamp::from_rfc3339("2026-01-01T00:00:00.123Z").unwrap();
        let millisecond = std::time::Duration::from_millis(1);
        for instance in [0, 1, 512, IdGenerator::INSTANCE_MAX] {
            let id = IdGenerator::new(instance).next_tx(now);
            assert_eq!(id.shard(), instance);
            assert!(TxId::floor_of(now) <= id.get());
            assert!(id.get() < TxId::floor_of(now.after(millisecond)));
        }
        assert_eq!(TxId::new(1).unwrap().shard(), 0);
        assert_eq!(TxId::new(i64::MAX).unwrap().shard(), IdGenerator::INSTANCE_MAX);
        for (time, floor) in [("1970-01-01T00:00:00Z", 0), ("2024-01-01T00:00:00Z", 0)] {
            assert_eq!(TxId::floor_of(Timestamp::from_rfc3339(time).unwrap()), floor);
        }
        assert_eq!(TxId::floor_of(Timestamp::from_micros(i64::MAX)), i64::MAX);
    }

    #[test]
    fn numbers_of_other_programs_are_of_another_time() {
        let now = Timestamp::from_rfc3339("2026-11-26T00:00:00Z").unwrap();
        let issued = IdGenerator::new(7).next_tx(now).get();
        for (number, ours) in [
            (issued, true),
            (issued + (1 << 62), false),
            (999, false),
            (1_700_000_000, false),
            (1_700_000_000_000_000, false),
            (i64::MAX, false),
        ] {
            assert_eq!(TxId::new(number).unwrap().is_of_our_time(now), ours, "{number}");
        }
    }

    #[test]
    fn what_an_instance_can_have_issued_is_found_again() {
        let from = Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let after = |ms| from.after(std::time::Duration::from_millis(ms));
        let mut ids = IdGenerator::new(7);
        let issued = [0, 0, 1, 4].map(|ms| ids.next_tx(after(ms)));
        let found: Vec<_> = TxId::issued(7, from, after(5), 2).collect();
        assert_eq!(found.len(), 10);
        assert!(found.is_sorted() && issued.iter().all(|id| found.contains(id)));
        assert_eq!(TxId::issued(7, from, after(4), 2).filter(|id| issued.contains(id)).count(), 3);
        assert_eq!(TxId::issued(7, after(5), from, 2).count(), 0);
    }

    #[test]
    fn a_refund_is_in_its_payments_shard_and_no_two_instances_draw_the_same() {
        let now = Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let mut drawn = std::collections::BTreeSet::new();
        let payments =
            [0, 7, IdGenerator::INSTANCE_MAX].map(|of| IdGenerator::new(of).next_tx(now));
        for instance in [0, 7, 8, IdGenerator::INSTANCE_MAX] {
            let mut ids = IdGenerator::new(instance);
            for tx_id in payments {
                let mut before = 0;
                for _ in 0..100 {
                    let refund_id = ids.next_refund_of(tx_id, now);
                    assert_eq!(refund_id.shard(), tx_id.shard());
                    assert_eq!(refund_id.day(), tx_id.day());
                    assert!(refund_id.get() > before);
                    before = refund_id.get();
                    assert!(drawn.insert(refund_id), "{refund_id} was drawn twice");
                }
            }
        }
    }

    #[test]
    fn ids_grow_even_when_the_clock_does_not() {
        let mut ids = IdGenerator::new(3);
        let mut other = IdGenerator::new(4);
        let now = Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let mut before = 0;
        for step in 0..10_000_i64 {
            let at = Timestamp::from_micros(now.as_micros() - step);
            let id = ids.next(at);
            assert!(id > before);
            assert_ne!(id, other.next(at));
            before = id;
        }
        assert!(before.to_string().len() <= 19);
    }
}
