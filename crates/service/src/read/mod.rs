//! What only people read.

mod explain;
mod find;
mod story;

pub use find::{FOUND_MAX, find};
pub use story::{Failed, Happened, Owed, Refunded, Story, Transaction, story};
