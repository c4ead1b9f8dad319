//! Lists whose rows have numbers, from either end, a page at a time.

use gopay_store::Order;
use serde::Serialize;

/// Where one is in such a list, and which way one goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Which way.
    pub order: Order,
    /// The number of the last row of the page before.
    pub from: Option<i64>,
}

/// A page of such a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Numbered<T> {
    /// Those that fit.
    pub rows: Vec<T>,
    /// `before` of the next page, or its `after` if the oldest come first; none at the end.
    pub next: Option<i64>,
}

impl Walk {
    /// Whether a row of this number is still to come.
    const fn is_ahead(self, number: i64) -> bool {
        match (self.order, self.from) {
            (_, None) => true,
            (Order::NewestFirst, Some(from)) => number < from,
            (Order::OldestFirst, Some(from)) => number > from,
        }
    }

    /// Of rows in any order, the next page.
    #[must_use]
    pub fn page<T>(
        self,
        mut rows: Vec<T>,
        limit: usize,
        number: impl Fn(&T) -> i64,
    ) -> Numbered<T> {
        rows.retain(|row| self.is_ahead(number(row)));
        rows.sort_by_key(&number);
        if self.order == Order::NewestFirst {
            rows.reverse();
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(number);
        Numbered { rows, next }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_pages_of_either_order_are_the_list_without_gap_or_repeat(
            numbers in proptest::collection::btree_set(-50_i64..50, 0..40),
            limit in 1_usize..9,
            oldest in any::<bool>(),
        ) {
            let order = if oldest { Order::OldestFirst } else { Order::NewestFirst };
            let mut wanted: Vec<i64> = numbers.iter().copied().collect();
            if !oldest {
                wanted.reverse();
            }
            let (mut seen, mut from) = (Vec::new(), None);
            loop {
                let any_order: Vec<i64> = numbers.iter().copied().collect();
                let page = Walk { order, from }.page(any_order, limit, |number| *number);
                prop_assert!(page.rows.len() <= limit);
                seen.extend(page.rows);
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
            prop_assert_eq!(seen, wanted);
        }
    }
}
