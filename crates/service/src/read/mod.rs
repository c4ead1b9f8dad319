//! What only people read.

mod explain;
mod find;
mod paced;
mod story;

pub(crate) use paced::Paced;

pub use paced::Dated;

pub use find::{FOUND_MAX, find};

pub(crate) use find::find_by_index;
pub use story::{
    Archived, Erased, Failed, FromArchive, Happened, Owed, Refunded, Story, Transaction, story,
    story_with,
};
