//! Which entries of a table changed since they were last saved.

use std::collections::BTreeSet;

/// Keys of changed entries. Off unless the state is saved to a file, so that a simulator in memory
/// pays nothing for it.
#[derive(Debug)]
pub(crate) struct Changes<K>(Option<BTreeSet<K>>);

impl<K> Default for Changes<K> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: Ord> Changes<K> {
    /// Begins to keep track.
    pub(crate) fn track(&mut self) {
        self.0.get_or_insert_with(BTreeSet::new);
    }

    pub(crate) fn mark(&mut self, key: impl FnOnce() -> K) {
        if let Some(changed) = &mut self.0 {
            changed.insert(key());
        }
    }

    /// The keys of entries that were added, changed or removed since the last call.
    pub(crate) fn take(&mut self) -> BTreeSet<K> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
