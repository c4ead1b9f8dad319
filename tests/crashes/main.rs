//! Crashes of the built program, stops, upgrades, and stores and peers that are unavailable: in the end both sides agree
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

#[path = "../support/mod.rs"]
mod support;

mod astray;
mod books;
mod databases;
mod gate;
mod kills;
mod life;
mod program;
mod receivers;
mod reclaims;
mod stops;
mod strace;
mod sweep;
mod time;
mod unavailable;
mod upgrades;
mod world;

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}
