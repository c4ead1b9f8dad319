//! The time of program and simulator: real time plus an offset that the test moves.
//!
//! The program under test is the one that is released; it has no clock to be set. So `libfaketime`
//! stands between it and the wall clock. The monotonic clock, by which it waits, stays real.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gopay_simulator::{MovableClock as _, OffsetClock};

/// Where Debian puts the library, by architecture.
const PLACES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// Moves both clocks.
pub(crate) struct Time {
    pub(crate) simulator: Arc<OffsetClock>,
    file: PathBuf,
    offset: Mutex<Duration>,
}

impl Time {
    pub(crate) fn new(folder: &Path) -> Self {
        let file = folder.join("clock");
        std::fs::write(&file, "+0\n").expect("the clock is written");
        Self { simulator: Arc::new(OffsetClock::new()), file, offset: Mutex::default() }
    }

    /// Whole seconds only.
    pub(crate) fn advance(&self, span: Duration) {
        let mut offset = self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        *offset += span;
        self.simulator.advance(span);
        // Renamed into place, because it is read at any moment.
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("+{}\n", offset.as_secs())).expect("the clock is written");
        std::fs::rename(&next, &self.file).expect("the clock is put into place");
    }

    /// Lets a program go by this clock.
    pub(crate) fn apply(&self, command: &mut Command) {
        let Some(library) = library() else { return };
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

fn library() -> Option<&'static str> {
    PLACES.into_iter().find(|place| Path::new(place).exists())
}

/// Whether a tool of these tests is here. Its absence is a failure only where everything must run.
pub(crate) fn have(tool: &str) -> bool {
    let here = match tool {
        "faketime" => library().is_some(),
        _ => Command::new(tool).arg("-V").output().is_ok(),
    };
    if !here {
        gopay_testkit::not_tested(&format!("{tool} is missing; apt-get install {tool}"));
    }
    here
}

/// What `libfaketime` leaves behind when its process is killed.
pub(crate) fn clean_up_after(process: u32) {
    for name in [format!("faketime_shm_{process}"), format!("sem.faketime_sem_{process}")] {
        // Not there if the process ended by itself.
        let _ = std::fs::remove_file(Path::new("/dev/shm").join(name));
    }
}
