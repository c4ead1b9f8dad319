//! The log: to standard error, so that standard output is for results.

use std::io::{self, IsTerminal as _, Write};
use std::mem::take;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

/// Starts the log. It ends, with everything written, when the guard is dropped.
pub(crate) fn start(filter: &str) -> io::Result<Guard> {
    let terminal = io::stderr().is_terminal();
    let (lines, guard) = Lines::start(io::stderr())?;
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal)
        .with_writer(move || lines.clone())
        .init();
    Ok(guard)
}

/// How much may wait to be written, in bytes. Who logs more waits: no line is dropped.
const WAITING_MAX: usize = 1 << 20;

/// How long a line may wait for others.
const PAUSE: Duration = Duration::from_millis(2);

/// Takes lines for a thread of its own that writes all that wait at once, so that a call does not
/// wait for the disk or the terminal.
#[derive(Clone)]
struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write, or nothing more will come.
    news: Condvar,
    /// There is room again.
    room: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    ended: bool,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        loop {
            let idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.ended;
            let waiting = self.news.wait_while(self.waiting(), idle);
            let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            if waiting.bytes.is_empty() {
                return;
            }
            if !waiting.ended && waiting.bytes.len() < WAITING_MAX / 2 {
                // To be woken for each line would cost its writer more than the line.
                drop(waiting);
                std::thread::sleep(PAUSE);
                waiting = self.waiting();
            }
            taken.clear();
            std::mem::swap(&mut taken, &mut waiting.bytes);
            drop(waiting);
            self.room.notify_all();
            // There is nowhere to tell that the log cannot be written.
            let _ = out.write_all(&taken);
            if taken.capacity() > WAITING_MAX {
                drop(take(&mut taken));
            }
        }
    }
}

impl Lines {
    fn start(out: impl Write + Send + 'static) -> io::Result<(Self, Guard)> {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        let thread = Builder::new().name("log".to_owned()).spawn(move || writer.write_all(out))?;
        Ok((Self(Arc::clone(&shared)), Guard { shared, thread: Some(thread) }))
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let full = |waiting: &mut Waiting| waiting.bytes.len() >= WAITING_MAX && !waiting.ended;
        let waiting = self.0.room.wait_while(self.0.waiting(), full);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if first {
            self.0.news.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ends the log when dropped.
pub(crate) struct Guard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.waiting().ended = true;
        self.shared.news.notify_all();
        self.shared.room.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been told already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes slowly enough that lines have to wait.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A short write, as a pipe may do.
            let some = bytes.get(..bytes.len().min(1_000)).unwrap_or_default();
            self.0.lock().unwrap().extend_from_slice(some);
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_the_order_of_its_thread() {
        let page = Page::default();
        let (lines, guard) = Lines::start(page.clone()).unwrap();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut lines = lines.clone();
                std::thread::spawn(move || {
                    for number in 0..5_000 {
                        let line = format!("{writer} {number} {}\n", "x".repeat(100));
                        lines.write_all(line.as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        drop(guard);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let mut next = [0; 4];
        for line in text.lines() {
            let mut words = line.split(' ');
            let writer: usize = words.next().unwrap().parse().unwrap();
            assert_eq!(words.next().unwrap().parse(), Ok(next[writer]));
            next[writer] += 1;
        }
        assert_eq!(next, [5_000; 4]);
    }
}
