//! A small seeded generator, so that equal seeds and calls give equal ids, jitter and faults.

use uuid::{Builder, Uuid};

/// SplitMix64: one addition and a mix per number; quality is ample for ids and jitter, and it is
/// no source of secrets.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `low..=high`; `low` if the range is empty.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        match high.saturating_sub(low).saturating_add(1) {
            0 | 1 => low,
            width => low.saturating_add(self.next() % width),
        }
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_numbers_and_ids_are_version_four() {
        let (mut one, mut two, mut other) = (Random::new(7), Random::new(7), Random::new(8));
        for _ in 0..100 {
            let id = one.uuid();
            assert_eq!(id, two.uuid());
            assert_ne!(id, other.uuid());
            assert_eq!(id.get_version_num(), 4);
        }
    }

    #[test]
    fn between_keeps_its_bounds() {
        let mut random = Random::new(1);
        let drawn: Vec<u64> = (0..1_000).map(|_| random.between(3, 5)).collect();
        assert!(drawn.iter().all(|number| (3..=5).contains(number)));
        assert!((3..=5).all(|wanted| drawn.contains(&wanted)));
        assert_eq!(random.between(9, 9), 9);
        assert_eq!(random.between(9, 2), 9);
    }
}
