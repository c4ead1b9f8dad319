//! The directory in the store: PSPs, contracts and accounts at Midtrans as sections of the config that
//! stand in the store, checked by the reader of the config.
//!
//! Reading order: `book` (what was entered, and what is valid when), `secrets`, `document` (what
//! somebody wants entered), `change` (checks and enters it), `follow` (a running `serve` goes by it),
//! `subjects` (one by one, by name), `desk` (over the admin listener). The command is `commands/directory.rs`.

mod book;
mod change;
mod desk;
mod document;
mod follow;
mod secrets;
mod subjects;

pub(crate) use book::Book;
pub(crate) use change::{ChangeError, Changed, Changing, Entering, enter};
pub(crate) use desk::Desk;
pub(crate) use document::{Document, exported};
pub(crate) use follow::{Follower, Whole, read_whole};
