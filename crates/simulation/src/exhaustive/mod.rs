//! Every order of events, in worlds small enough for that.
//!
//! The simulation draws large worlds by chance; here small ones are looked at whole. Real are the use
//! cases and workers of `gopay-service`, the rules of `gopay-core`, the store of the contract suite,
//! the wire formats, and the Midtrans of `gopay-simulator`. Whenever a process is about to touch
//! anything outside of itself, it waits; what then happens, to whom first, and what goes wrong with it, is a
//! choice, and `stateright` tries all of them. Two histories that lead to the same moment, by all that is
//! durable, under way and known to anybody, are gone on with once.
//!
//! At every moment no party may have been told a lie; and from every moment, if nothing goes wrong any
//! more, all must come to its end and all books must agree.
//!
//! Reading order: `action`, `cast` (the worlds), `stage` (what is shared), `steps` and `wires` (what a
//! process does to the outside), `play` (one history), `choices` (what can happen next), `books` (what
//! must hold), `check` (all histories).

mod action;
mod books;
mod cast;
mod check;
mod choices;
mod play;
mod stage;
mod steps;
mod wires;

pub use action::{Action, Budget, Fate, Outside, Who};
pub use cast::{SmallWorld, WORLDS};
pub use check::{Explored, explore, explore_all};
