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
        let captured = backtrace.status() == BacktraceStatus::Captured;
        let calls = captured.then(|| backtrace.to_string());
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

    use std::path::{Path, PathBuf};

    use rustix::process::dumpable_behavior;

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
        let _ = std::panic::catch_unwind(|| {
            name.parse::<u64>().map_err(|_| &name).expect("it was checked")
        });
        let _ = std::panic::catch_unwind(|| panic!("words of the source"));
    }

    /// Not a test of its own either: it changes the process.
    #[test]
    #[ignore = "another test runs it"]
    fn keeps_its_memory_private() {
        keep_memory_private();
        println!("{:?} {:?}", dumpable_behavior().unwrap(), getrlimit(Resource::Core).current);
    }

    #[test]
    fn no_memory_of_what_keeps_payments_is_written_to_a_disk() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::tests::keeps_its_memory_private"])
            .args(["--ignored", "--nocapture"])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains("NotDumpable Some(0)"), "{told}");
    }

    /// The files of the product's source in a folder.
    fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                into.push(path);
            }
        }
    }

    /// Fields that hold what is private, as text that is no secret's own type.
    fn is_private(field: &str) -> bool {
        const PERSONAL: [&str; 9] = [
            "account_holder",
            "first_name",
            "last_name",
            "phone",
            "email",
            "city",
            "call",
            "request",
            "deeplink",
        ];
        let Some((name, kind)) = field.trim_start_matches("pub ").split_once(": ") else {
            return false;
        };
        let name = name.trim_start_matches("pub(crate) ");
        let texts = ["String", "&'f str", "Vec<u8>"];
        let text = texts.iter().any(|text| kind.contains(text)) && !kind.contains("SecretString");
        let secret = name.contains("password") || name.contains("secret");
        text && (secret || PERSONAL.contains(&name))
    }

    #[test]
    fn nothing_that_prints_itself_holds_what_is_private() {
        /// What `explain` shows of a call, without what is private.
        const SHOWN: [&str; 2] = ["FromArchive", "Story"];
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        for room in ["core", "store", "store-sqlite", "store-postgres", "service", "http"] {
            sources(&root.join("crates").join(room).join("src"), &mut files);
        }
        for room in ["console", "finance", "inbound", "midtrans-client", "outbound"] {
            sources(&root.join("crates").join(room).join("src"), &mut files);
        }
        sources(&root.join("src"), &mut files);
        let (mut structs, mut found) = (0, Vec::new());
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let (mut prints, mut inside) = (false, None);
            for line in text.lines() {
                if line.starts_with("#[derive(") {
                    prints = line.contains("Debug");
                } else if let Some((_, name)) = line.split_once("struct ") {
                    let name = name.split(['<', ' ', '(', ';']).next().unwrap_or_default();
                    inside = prints.then(|| name.to_owned());
                    structs += usize::from(prints);
                } else if line == "}" {
                    (prints, inside) = (false, None);
                }
                let named = inside.as_ref().filter(|name| !SHOWN.contains(&name.as_str()));
                if let Some(name) = named.filter(|_| is_private(line.trim())) {
                    found.push(format!("{}: {name} has {}", file.display(), line.trim()));
                }
            }
        }
        assert!(structs > 200, "{structs} structs were looked at");
        assert!(is_private("pub phone: Option<&'f str>,") && is_private("password: String,"));
        assert!(found.is_empty(), "{found:#?}");
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
        assert_eq!(told.matches(" panicked at ").count(), 4, "{told}");
        assert!(told.contains("panicked at src/crash.rs:"), "{told}");
        assert!(told.contains("a bug: words of the source"), "{told}");
        assert_eq!(told.matches("a bug: left out").count(), 3, "{told}");
        assert!(told.contains("panics_as_the_program_does"), "the calls are named: {told}");
        for part in MARKER.split(' ') {
            assert!(!told.contains(part), "{told}");
        }
    }
}
