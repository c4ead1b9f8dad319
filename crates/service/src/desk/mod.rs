//! What operators see and do while the service runs: the console and the JSON of the admin listener
//! are two faces of this, and hold no rules of their own.
//!
//! Reading order: `acts` (refund, cancel, ask, redeliver), `lists`, `walk`, `figures` and `recent`, `parties`
//! (receivers, clients, contracts), `books` (settlements, reconciliations), `adjustments`, `directory`
//! (PSPs, contracts and accounts in the store), `audit`.

mod acts;
mod adjustments;
mod audit;
mod books;
mod directory;
mod figures;
mod lists;
mod parties;
mod recent;
mod walk;

/// What lists are asked for by.
pub use gopay_store::{
    DeliveryFilter, DeliveryState, EntryKind, Order, Page, PaymentFilter, PaymentStateWord,
    RefundFilter, RefundStateWord, Times,
};

pub use acts::{ActError, Asked, Deed, RefundOrder, RefundRoom, check_texts};
pub use adjustments::{
    AdjustmentAct, AdjustmentFilter, AdjustmentState, AdjustmentView, Adjustments, SettledContract,
};
pub use audit::{Attempt, AuditDay, AuditFilter, AuditRow, Recorded};
pub use books::{
    AdjustmentRow, BookError, BreakAct, BreakFilter, BreakOrder, BreakReview, BreakRow, DecidedRow,
    InputRow, RunRow, SettlementRow, Which,
};
pub use directory::{
    DirectoryChange, DirectoryChanged, DirectoryDesk, DirectoryError, EntriesAsked, EntryPage,
    EntryRow,
};
pub use figures::{Barred, Figures, Queue};
pub use lists::{DeliveryRow, Listing, OnDesk, RefundRow, given_up};
pub use parties::{ClientView, ContractView, LastTry, ReceiverView};
pub use recent::{LastHour, Latency, MINUTES, OneMinute};
pub use walk::{Numbered, Walk};

pub(crate) use parties::Board;
pub(crate) use recent::{Happening, Recent};
