//! What could not be tested where a test ran.

use std::io::Write as _;

/// Says that something was not tested, past the capturing of a test that passes; where everything
/// must be there, that is a failure.
///
/// # Panics
/// If the environment variable `CI` is set.
pub fn not_tested(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "not tested: {why}");
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr(), "\n*** NOT TESTED: {why} ***");
}
