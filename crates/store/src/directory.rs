//! The directory in the store: what was entered about PSPs, contracts and accounts at Midtrans.
//!
//! Entries are only ever added; the last that is valid counts, so the past stays as it was. Entries
//! that come together are a change: all of it is there, or none. What an entry holds is not known
//! here: the keys of its section of the config, as JSON.

use async_trait::async_trait;
use gopay_core::time::Timestamp;

use crate::StoreError;
use crate::sealing::WrappedKey;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// An account at Midtrans.
    Account,
    /// A PSP.
    Client,
    /// A contract of a PSP.
    Contract,
}

impl EntryKind {
    /// All of them, those first that others refer to.
    pub const ALL: &'static [Self] = &[Self::Account, Self::Client, Self::Contract];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Client => "client",
            Self::Contract => "contract",
        }
    }

    /// The kind of a stable word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// One entry. `Debug` does not show what it holds, which may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// 1, 2, 3 ... in the order in which they came.
    pub entry: i64,
    /// The number of the first entry that came with it.
    pub change: i64,
    /// Of what.
    pub kind: EntryKind,
    /// Login, `contractid`, or name of the account.
    pub name: String,
    /// From when on it counts.
    pub valid_from: Timestamp,
    /// When it was entered.
    pub at: Timestamp,
    /// Who entered it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What it holds, as JSON.
    pub content: String,
    /// What the contents of its change are sealed under; above the layer that seals there is none.
    pub key: Option<WrappedKey>,
}

impl std::fmt::Debug for DirectoryEntry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { entry, change, kind, name, valid_from, at, by, reason, .. } = self;
        write!(
            out,
            "DirectoryEntry({entry} of {change}: {} {name:?} from {valid_from}, at {at} by {by:?}: \
             {reason:?})",
            kind.as_str()
        )
    }
}

/// The entries of a store.
#[async_trait]
pub trait Directories: Send + Sync {
    /// The number of the last entry; 0 if there is none.
    async fn directory_last(&self) -> Result<i64, StoreError>;

    /// The entries after a number as they are stored, in order, at most `limit`.
    async fn directory_stored(
        &self,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError>;

    /// The same as they were added.
    async fn directory_after(
        &self,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        self.directory_stored(entry, limit).await
    }

    /// The entries of a kind in the order of the bytes of their names, then of their numbers: those
    /// behind a name and a number, at most `limit`.
    async fn directory_named(
        &self,
        kind: EntryKind,
        name: &str,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError>;

    /// Adds a change: all of it is durable, or none.
    ///
    /// [`StoreError::Conflict`] if another came first; [`StoreError::Invalid`] as
    /// [`DirectoryEntry::all_follow`] says.
    async fn directory_add(&self, change: &[DirectoryEntry]) -> Result<(), StoreError>;

    /// Gives a change another key, and entries of it the contents that are sealed under it; false if
    /// its key is not `from` any more.
    async fn directory_seal(
        &self,
        change: i64,
        from: Option<&WrappedKey>,
        to: &WrappedKey,
        contents: &[(i64, String)],
    ) -> Result<bool, StoreError>;
}

impl DirectoryEntry {
    /// Whether entries are one change that may follow the last entry of a store; the engines ask in
    /// the transaction that adds them.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the first number is not the next; [`StoreError::Invalid`] if they
    /// are not one change of one moment, or one would be valid before it was entered.
    pub fn all_follow(change: &[Self], last: i64) -> Result<(), StoreError> {
        let invalid = |column, why| StoreError::Invalid { table: "directory_entries", column, why };
        let Some(first) = change.first() else { return Ok(()) };
        if last.checked_add(1) != Some(first.entry) {
            return Err(StoreError::Conflict);
        }
        for (entry, number) in change.iter().zip(first.entry..) {
            if entry.entry != number {
                return Err(invalid("entry", "it leaves a gap"));
            }
            let of_change = |entry: &Self| (entry.at, entry.valid_from, entry.key.is_some());
            if entry.change != first.entry || of_change(entry) != of_change(first) {
                return Err(invalid("change", "it is of another change"));
            }
            if entry.valid_from < entry.at {
                return Err(invalid("valid_from", "the past is not altered"));
            }
        }
        Ok(())
    }
}
