//! The data keys of the payments that were last at work, so that a step needs no look-up of its own.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gopay_core::ids::TxId;

use super::value::DataKey;

/// Payments at hand in all: those of a minute at a thousand a second, some 10 MB.
const PAYMENTS_MAX: usize = 65_536;

/// Parts, each behind a lock of its own.
const PARTS: usize = 16;

/// See the module.
pub(super) struct DataKeys([Mutex<Part>; PARTS]);

#[derive(Default)]
struct Part {
    keys: HashMap<i64, DataKey>,
    /// The oldest first.
    order: VecDeque<i64>,
}

impl Default for DataKeys {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl DataKeys {
    pub(super) fn get(&self, tx_id: TxId) -> Option<DataKey> {
        self.part(tx_id)?.keys.get(&tx_id.get()).cloned()
    }

    pub(super) fn put(&self, tx_id: TxId, key: DataKey) {
        let Some(mut part) = self.part(tx_id) else { return };
        if part.keys.insert(tx_id.get(), key).is_some() {
            return;
        }
        part.order.push_back(tx_id.get());
        if part.order.len() > PAYMENTS_MAX / PARTS
            && let Some(oldest) = part.order.pop_front()
        {
            part.keys.remove(&oldest);
        }
    }

    /// The key of one that goes leaves its place in the order, which comes up by itself.
    pub(super) fn forget(&self, tx_id: TxId) {
        if let Some(mut part) = self.part(tx_id) {
            part.keys.remove(&tx_id.get());
        }
    }

    /// By the bits of the id that differ from call to call: its milliseconds.
    fn part(&self, tx_id: TxId) -> Option<MutexGuard<'_, Part>> {
        const MILLIS_AT: u32 = 22;
        let millis = usize::try_from(tx_id.get() >> MILLIS_AT).unwrap_or(0);
        let part = self.0.get(millis % PARTS)?;
        Some(part.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_keys_make_room_and_one_that_is_forgotten_is_gone() {
        let keys = DataKeys::default();
        let id = |number: i64| TxId::new(number << 22).unwrap();
        let last = i64::try_from(PAYMENTS_MAX).unwrap() + 16;
        for number in 1..=last {
            keys.put(id(number), DataKey::draw().unwrap());
        }
        assert!(keys.get(id(1)).is_none());
        assert!(keys.get(id(last)).is_some());
        keys.forget(id(last));
        assert!(keys.get(id(last)).is_none());
    }
}
