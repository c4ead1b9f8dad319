//! One seeded generator, so that equal seeds and calls give equal ids, jitter and faults.

use fastrand::Rng;
use uuid::{Builder, Uuid};

/// No source of secrets: whoever knows the seed knows every number.
#[derive(Clone, Debug)]
pub(crate) struct Random(Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// The seed that continues this sequence.
    pub(crate) fn state(&self) -> u64 {
        self.0.get_seed()
    }

    /// A number in `low..=high`; `low` if the range is empty.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        if low < high { self.0.u64(low..=high) } else { low }
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        Builder::from_random_bytes(self.0.u128(..).to_be_bytes()).into_uuid()
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
        assert_eq!(Random::new(one.state()).uuid(), two.uuid());
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
