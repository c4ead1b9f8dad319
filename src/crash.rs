//! What a crash leaves behind: a line that says where, and no memory.
//!
//! Memory of a process that keeps payments holds names of shoppers and secrets, and so may the words of a
//! panic: what it was made of is in it.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write as _;
use std::panic::PanicHookInfo;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// What is told of a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    /// Words of the source code; those that were put together at run time are left out.
    words: &'static str,
    /// File, line and column.
    place: String,
    thread: String,
}

impl Told {
    fn of(panic: &PanicHookInfo<'_>) -> Self {
        Self {
            words: words(panic.payload()),
            place: panic.location().map(ToString::to_string).unwrap_or_default(),
            thread: std::thread::current().name().unwrap_or("unnamed").to_owned(),
        }
    }
}

fn words(payload: &(dyn Any + Send)) -> &'static str {
    let fixed = payload.downcast_ref::<&'static str>().copied();
    fixed.unwrap_or("left out, since they may hold what is private")
}

/// From here on a panic is a line of the log, or of standard error where nothing is logged.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let Told { words, place, thread } = Told::of(panic);
        // Names of functions, where RUST_BACKTRACE asks for them; nothing of what they were given.
        let backtrace = Backtrace::capture();
        let calls = match backtrace.status() {
            BacktraceStatus::Captured => Some(backtrace.to_string()),
            _ => None,
        };
        if tracing::enabled!(tracing::Level::ERROR) {
            tracing::error!(thread, place, words, calls, "panicked: a bug");
        } else {
            let calls = calls.map(|calls| format!("\n{calls}")).unwrap_or_default();
            let mut err = std::io::stderr();
            let _ = writeln!(err, "thread {thread} panicked at {place}: a bug: {words}{calls}");
        }
    }));
}

/// From here on the system writes no memory of this process to a disk, neither to a file nor through a
/// program that takes dumps; and only root looks into it while it runs.
pub(crate) fn keep_memory_private() {
    let dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // A unit may have seen to it, and then forbid the call.
    let limit = match getrlimit(Resource::Core).current {
        Some(0) => Ok(()),
        _ => setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }),
    };
    for (what, done) in [("PR_SET_DUMPABLE", dumpable), ("RLIMIT_CORE", limit)] {
        if let Err(error) = done {
            tracing::warn!(what, error = %error, "a crash may leave memory on a disk");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    const MARKER: &str = "Kartini Wulandari";

    /// Not a test of its own: what [`what_a_panic_was_made_of_is_not_told`] runs as another process.
    #[test]
    #[ignore = "another test runs it"]
    fn panics_as_the_program_does() {
        report_panics();
        let name = std::env::var("GOPAY_TEST_NAME").unwrap_or_default();
        let cut = |at: usize| name.split_at(at).0.len();
        let _ = std::panic::catch_unwind(|| panic!("no payment of {name}"));
        let _ = std::panic::catch_unwind(|| cut(name.len() + 1));
        let _ = std::panic::catch_unwind(|| Err::<(), _>(name.clone()).expect("it was checked"));
        let _ = std::panic::catch_unwind(|| panic!("words of the source"));
    }

    #[test]
    fn what_a_panic_was_made_of_is_not_told() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::tests::panics_as_the_program_does"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env("GOPAY_TEST_NAME", MARKER)
            .env("RUST_BACKTRACE", "1")
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(told.matches("panicked at src/crash.rs:").count(), 4, "{told}");
        assert!(told.contains("a bug: words of the source"), "{told}");
        assert_eq!(told.matches("a bug: left out").count(), 3, "{told}");
        assert!(told.contains("panics_as_the_program_does"), "the calls are named: {told}");
        for part in MARKER.split(' ') {
            assert!(!told.contains(part), "{told}");
        }
    }
}
