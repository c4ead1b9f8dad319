//! Crashes of the built program, stops, upgrades, and stores in trouble: in the end both sides agree
//! to the last sen, and everybody was told.
//!
//! Needs Debian's `faketime` (moves the clock of the program under test) and `strace` (kills it at a
//! chosen system call); without them the tests that need them say so and pass, except when `CI` is
//! set. `docs/RELIABILITY.md`, "Real crashes", has the commands of the long runs.

#![allow(clippy::indexing_slicing, reason = "a missing key fails the test, as it should")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a long run found is read there"
)]

mod support;

#[path = "crashes/books.rs"]
mod books;
#[path = "crashes/databases.rs"]
mod databases;
#[path = "crashes/gate.rs"]
mod gate;
#[path = "crashes/kills.rs"]
mod kills;
#[path = "crashes/life.rs"]
mod life;
#[path = "crashes/program.rs"]
mod program;
#[path = "crashes/receivers.rs"]
mod receivers;
#[path = "crashes/stops.rs"]
mod stops;
#[path = "crashes/strace.rs"]
mod strace;
#[path = "crashes/sweep.rs"]
mod sweep;
#[path = "crashes/time.rs"]
mod time;
#[path = "crashes/trouble.rs"]
mod trouble;
#[path = "crashes/upgrades.rs"]
mod upgrades;
#[path = "crashes/world.rs"]
mod world;

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}
