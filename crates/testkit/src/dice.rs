//! Chance from a seed.

/// A generator of numbers: the same seed gives the same numbers in every run.
#[derive(Clone, Debug)]
pub struct Dice(fastrand::Rng);

impl Dice {
    /// All chance of one test.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// The chance of one party of a test, independent of all others.
    #[must_use]
    pub fn of(seed: u64, number: u64) -> Self {
        // Seeds of neighbours must not be neighbours: the factor is odd and has bits everywhere.
        let mut mixed = Self::new(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        Self::new(mixed.roll())
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.u64(..end) }
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high.max(low))
    }

    /// An index below `end`; 0 if there is none.
    pub fn index(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.usize(..end) }
    }

    /// As [`Self::between`], for lengths.
    pub fn length(&mut self, low: usize, high: usize) -> usize {
        self.0.usize(low..=high.max(low))
    }

    /// True this often in a thousand.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.index(times) == 0
    }

    /// One of them.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let index = self.index(from.len());
        *from.get(index).expect("something to pick from")
    }

    /// One of them, each as likely as its weight.
    ///
    /// # Panics
    /// If there are none.
    pub fn weighted<T: Copy>(&mut self, from: &[(u64, T)]) -> T {
        let mut left = self.below(from.iter().map(|(weight, _)| weight).sum());
        for (weight, one) in from {
            if left < *weight {
                return *one;
            }
            left -= weight;
        }
        from.last().expect("something to pick from").1
    }

    /// Puts them into another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        self.0.shuffle(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_gives_others() {
        let of = |mut dice: Dice| [dice.roll(), dice.roll(), dice.roll()];
        assert_eq!(of(Dice::new(7)), of(Dice::new(7)));
        assert_eq!(of(Dice::of(7, 1)), of(Dice::of(7, 1)));
        let all = [Dice::new(7), Dice::new(8), Dice::of(7, 0), Dice::of(7, 1), Dice::of(8, 1)];
        let all: std::collections::BTreeSet<_> = all.map(of).into();
        assert_eq!(all.len(), 5);
    }

    #[test]
    fn every_bound_is_kept_and_reached() {
        let mut dice = Dice::new(1);
        let seen = |mut draw: Box<dyn FnMut() -> u64>| -> std::collections::BTreeSet<u64> {
            (0..200).map(|_| draw()).collect()
        };
        let mut other = dice.clone();
        assert_eq!(seen(Box::new(move || other.below(3))), [0, 1, 2].into());
        let mut other = dice.clone();
        assert_eq!(seen(Box::new(move || other.between(4, 6))), [4, 5, 6].into());
        let mut other = dice.clone();
        let weights = [(1, 10), (0, 20), (3, 30)];
        assert_eq!(seen(Box::new(move || other.weighted(&weights))), [10, 30].into());
        assert_eq!((dice.below(0), dice.index(0), dice.between(5, 4)), (0, 0, 5));
        let mut all = [1, 2, 3, 4, 5, 6, 7, 8];
        dice.shuffle(&mut all);
        assert_ne!(all, [1, 2, 3, 4, 5, 6, 7, 8]);
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
