//! The log: to standard error, so that standard output is for results.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// How many lines may wait to be written. Who logs more waits: no line is dropped.
const WAITING_MAX: usize = 4_096;

/// How long a line may wait for others.
const PAUSE: Duration = Duration::from_millis(2);

/// Starts the log. It ends, with everything written, when the guard is dropped.
pub(crate) fn start(filter: &str) -> WorkerGuard {
    let terminal = io::stderr().is_terminal();
    let (lines, guard) = NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(WAITING_MAX)
        .thread_name("log")
        .finish(Paced(BufWriter::with_capacity(64 << 10, io::stderr())));
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(terminal).with_writer(lines).init();
    guard
}

/// Writes together what comes within a pause. The thread of the log flushes when it has nothing
/// more to write; without the pause, each line would have to wake it, and that costs its caller
/// more than the line.
struct Paced<W: Write>(BufWriter<W>);

impl<W: Write> Write for Paced<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(PAUSE);
        Ok(())
    }
}
