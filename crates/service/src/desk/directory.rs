//! The directory in the store, as operators see and change it. What stands in it is known to whoever
//! reads configs.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gopay_store::{EntryKind, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sections to be entered: new ones, and others in place of those that are there. No `Debug`: it
/// holds secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryChange {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// From when on they count, RFC 3339; at once if absent.
    pub valid_from: Option<String>,
    /// Only checks them.
    #[serde(default)]
    pub dry_run: bool,
    /// Accounts at Midtrans, by name.
    #[serde(default)]
    pub accounts: BTreeMap<String, Value>,
    /// PSPs.
    #[serde(default)]
    pub clients: Vec<Value>,
    /// Contracts.
    #[serde(default)]
    pub contracts: Vec<Value>,
}

/// What came of a change.
#[derive(Clone, Debug, Serialize)]
pub struct DirectoryChanged {
    /// Its number; none if nothing was entered.
    pub change: Option<i64>,
    /// Sections that were new or different.
    pub entered: usize,
    /// Sections that were as they are.
    pub unchanged: usize,
    /// From when on it counts.
    pub valid_from: Option<String>,
    /// What is dangerous though it works.
    pub warnings: Vec<String>,
}

/// Why nothing was entered.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The service goes by the config file.
    #[error(
        "PSPs and contracts stand in the config file: `gopay-adapter directory import`, then \
         directory.source = \"store\""
    )]
    Elsewhere,
    /// Each problem, with its key.
    #[error("it is not valid; nothing has changed")]
    Wrong(Vec<String>),
    /// Others entered something each time.
    #[error("others entered something at the same time: try again")]
    Others,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which entries are asked for.
#[derive(Clone, Debug)]
pub struct EntriesAsked {
    /// Of this kind.
    pub kind: Option<EntryKind>,
    /// Of this name.
    pub name: Option<String>,
    /// After this number.
    pub after: i64,
    /// At most so many.
    pub limit: usize,
}

/// What was entered, in order.
#[derive(Clone, Debug, Serialize)]
pub struct EntryPage {
    /// At most as many as asked for; perhaps fewer although there are more.
    pub rows: Vec<EntryRow>,
    /// Where to go on, if there may be more.
    pub next: Option<i64>,
}

/// An entry, without secrets.
#[derive(Clone, Debug, Serialize)]
pub struct EntryRow {
    /// Its number.
    pub entry: i64,
    /// The number of the first that came with it.
    pub change: i64,
    /// `account`, `client`, `contract`.
    pub kind: &'static str,
    /// Name, login, `contractid`.
    pub name: String,
    /// From when on it counts.
    pub valid_from: String,
    /// When it was entered.
    pub at: String,
    /// Who entered it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The keys of the section; `stored:1` and so on stand for secrets. None if it does not parse.
    pub keys: Option<Value>,
    /// Which keys are others than in the entry before it; none where not one subject alone was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
}

/// Which accounts, PSPs or contracts are asked for.
#[derive(Clone, Debug)]
pub struct SubjectsAsked {
    /// Of this kind.
    pub kind: EntryKind,
    /// Whose names begin so.
    pub begins: String,
    /// Behind this name.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// Accounts, PSPs or contracts, in the order of their names.
#[derive(Clone, Debug, Serialize)]
pub struct SubjectPage {
    /// At most as many as asked for.
    pub rows: Vec<SubjectRow>,
    /// Where to go on, if there are more.
    pub next: Option<String>,
}

/// An account, a PSP or a contract as the store has it.
#[derive(Clone, Debug, Serialize)]
pub struct SubjectRow {
    /// `account`, `client`, `contract`.
    pub kind: &'static str,
    /// Name, login, `contractid`.
    pub name: String,
    /// How many entries there are about it.
    pub entries: usize,
    /// What is in force now; none if all is to come.
    pub in_force: Option<EntryRow>,
    /// What takes over when, in that order.
    pub coming: Vec<EntryRow>,
}

/// The directory, for whoever reads and changes it while the service runs.
#[async_trait]
pub trait DirectoryDesk: Send + Sync {
    /// Whether the service goes by it, and not by the config file.
    fn is_in_force(&self) -> bool;

    /// Accounts, PSPs or contracts with what is in force of each, and what is to come.
    async fn subjects(&self, asked: &SubjectsAsked) -> Result<SubjectPage, StoreError>;

    /// What was entered.
    async fn entries(&self, asked: &EntriesAsked) -> Result<EntryPage, StoreError>;

    /// Enters sections: all of them, or none.
    async fn change(&self, change: DirectoryChange) -> Result<DirectoryChanged, DirectoryError>;
}
