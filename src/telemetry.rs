//! Log and metrics. The log goes to standard error, so that standard output is for results.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use gopay_http::Exposition;
use gopay_service::meters;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged: a level for all, and levels for parts of the program.
#[derive(Clone, Debug)]
pub(crate) struct LogFilter(Targets);

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut targets = Targets::new();
        for part in text.split(',').map(str::trim) {
            targets = match part.split_once('=') {
                None => targets.with_default(level(part)?),
                Some((target, word)) if is_target(target) => {
                    targets.with_target(target, level(word)?)
                }
                Some((target, _)) => {
                    return Err(format!(
                        "{target:?} is no part of the program; its parts: {}",
                        PARTS.join(", ")
                    ));
                }
            };
        }
        Ok(Self(targets))
    }
}

fn level(word: &str) -> Result<LevelFilter, String> {
    match word.to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(format!(
            "{word:?} is not a level; valid: off, error, warn, info, debug, trace, and for a part \
             of the program gopay_service=debug"
        )),
    }
}

/// The parts of the program that log under a name of ours.
const PARTS: [&str; 10] = [
    "gopay_adapter",
    "gopay_console",
    "gopay_demo",
    "gopay_http",
    "gopay_inbound",
    "gopay_service",
    "gopay_simulator",
    "gopay_store",
    "gopay_store_postgres",
    "gopay_store_sqlite",
];

/// The path of a module, such as `gopay_service::deliver`: ours, or a library's.
fn is_target(text: &str) -> bool {
    let part = text.split(':').next().unwrap_or_default();
    !part.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
        && (!part.starts_with("gopay") || PARTS.contains(&part))
}

/// How many lines may wait to be written, a few megabytes. Further ones are dropped and counted:
/// calls must not wait for whoever reads the log.
const WAITING_MAX: usize = 16_384;

/// How long a line may wait for others. Without it, each line would have to wake the thread of the
/// log, and that costs its caller more than the line.
const PAUSE: Duration = Duration::from_millis(2);

/// How long the end of the process waits for the last lines to be taken.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// What the thread of the log is sent.
enum Message {
    Line(Vec<u8>),
    End,
}

/// Sends lines to the thread of the log, without waiting.
#[derive(Clone)]
struct Lines {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    /// The subscriber writes each line at once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Disconnected: the log has ended.
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Message::Line(bytes.to_vec())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            meters::count(meters::LOG_LINES_DROPPED, &[]);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log that runs. It ends when this is dropped, with everything written, unless nobody takes it.
pub(crate) struct Log {
    lines: Lines,
    ended: Receiver<()>,
}

impl Drop for Log {
    fn drop(&mut self) {
        let until = Instant::now() + END_PATIENCE;
        while let Err(TrySendError::Full(_)) = self.lines.sender.try_send(Message::End) {
            if Instant::now() >= until {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = self.ended.recv_timeout(END_PATIENCE);
    }
}

/// Starts the log.
///
/// # Errors
/// If the system gives no thread.
pub(crate) fn start_log(filter: LogFilter, format: LogFormat) -> io::Result<Log> {
    let terminal = io::stderr().is_terminal();
    let (sender, lines) = sync_channel(WAITING_MAX);
    let (end, ended) = sync_channel(1);
    let writer = BufWriter::with_capacity(64 << 10, io::stderr());
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&dropped);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        write_lines(&lines, &counted, writer);
        // Nobody may be waiting any more.
        let _ = end.try_send(());
    })?;
    let lines = Lines { sender, dropped };
    let registry = tracing_subscriber::registry().with(filter.0);
    let layer = tracing_subscriber::fmt::layer().with_writer(lines.clone());
    match format {
        LogFormat::Text => registry.with(layer.with_ansi(terminal)).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
    Ok(Log { lines, ended })
}

/// Writes together what comes within a pause, and says how much did not fit. That standard error is
/// closed stops nothing.
fn write_lines(lines: &Receiver<Message>, dropped: &AtomicU64, mut out: impl Write) {
    while let Ok(first) = lines.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => drop(out.write_all(&line)),
                Message::End => return drop(out.flush()),
            }
            next = lines.try_recv().ok();
        }
        drop(out.flush());
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::error!(lines = lost, "lines of the log were dropped: its reader is too slow");
        }
        std::thread::sleep(PAUSE);
    }
}

/// Installs the recorder of metrics; once a process.
pub(crate) fn metrics() -> anyhow::Result<Exposition> {
    let exposition = Exposition::install()?;
    meters::describe();
    meters::begin_at_zero();
    let build = [("version", env!("CARGO_PKG_VERSION")), ("commit", env!("GOPAY_ADAPTER_COMMIT"))];
    metrics::gauge!(meters::BUILD_INFO, &build).set(1.0);
    Ok(exposition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_for_all_and_for_parts() {
        for (text, wrong) in [
            ("off", None),
            ("INFO", None),
            ("info,gopay_service=debug", None),
            ("warn, gopay_service::deliver=trace", None),
            ("gopay_service=debug", None),
            ("", Some("\"\" is not a level")),
            ("inof", Some("\"inof\" is not a level")),
            ("info,,warn", Some("\"\" is not a level")),
            ("gopay_service=loud", Some("\"loud\" is not a level")),
            ("gopay_service", Some("\"gopay_service\" is not a level")),
            ("=debug", Some("\"\" is no part")),
            ("a b=debug", Some("\"a b\" is no part")),
            ("[span]=debug", Some("\"[span]\" is no part")),
            ("gopay_svc=debug", Some("\"gopay_svc\" is no part")),
            ("gopay-service=debug", Some("\"gopay-service\" is no part")),
            ("gopay_services::deliver=debug", Some("\"gopay_services::deliver\" is no part")),
            ("hyper::proto=debug", None),
        ] {
            match (text.parse::<LogFilter>(), wrong) {
                (Ok(_), None) => {}
                (Err(error), Some(wrong)) => assert!(error.starts_with(wrong), "{text}: {error}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn every_part_that_logs_is_named() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
        let manifest = read("Cargo.toml");
        let (_, product) = manifest.split_once("\n[dependencies]\n").unwrap();
        let (product, _) = product.split_once("\n[dev-dependencies]").unwrap();
        let logs = |package: &&str| {
            read(&format!("crates/{package}/Cargo.toml"))
                .lines()
                .any(|line| line.starts_with("tracing.") || line.starts_with("tracing "))
        };
        let mut parts: Vec<String> = product
            .lines()
            .filter_map(|line| line.strip_prefix("gopay-")?.split(['.', ' ']).next())
            .filter(logs)
            .map(|package| format!("gopay_{}", package.replace('-', "_")))
            .collect();
        parts.insert(0, "gopay_adapter".to_owned());
        assert_eq!(parts, PARTS);
    }

    #[test]
    fn all_lines_before_the_end_are_written() {
        let (sender, lines) = sync_channel(8);
        for line in ["one\n", "two\n"] {
            sender.send(Message::Line(line.into())).unwrap();
        }
        sender.send(Message::End).unwrap();
        let mut out = Vec::new();
        write_lines(&lines, &AtomicU64::new(0), &mut out);
        assert_eq!(out, b"one\ntwo\n");
    }

    #[test]
    fn a_log_that_nobody_reads_holds_up_nobody() {
        let (sender, waiting) = sync_channel(2);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut lines = Lines { sender, dropped: Arc::clone(&dropped) };
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            assert_eq!(lines.write(line.as_bytes()).unwrap(), line.len());
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
        drop(lines);
        let mut out = Vec::new();
        write_lines(&waiting, &dropped, &mut out);
        assert_eq!((out.as_slice(), dropped.load(Ordering::Relaxed)), (&b"one\ntwo\n"[..], 0));
    }
}
