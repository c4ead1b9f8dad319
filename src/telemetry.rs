//! Log and metrics. The log goes to standard error, so that standard output is for results.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use gopay_inbound::Stop;

/// How many lines may wait to be written. Who logs more waits: no line is dropped.
const WAITING_MAX: usize = 4_096;

/// How long a line may wait for others.
const PAUSE: Duration = Duration::from_millis(2);

/// Starts the log. It ends, with everything written, when the guard is dropped.
pub(crate) fn start_log(filter: &str) -> WorkerGuard {
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

/// Installs the recorder of metrics; once a process.
pub(crate) fn metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new().install_recorder()?)
}

/// Sums up what was recorded until the stop. The recorder keeps each single value until it is
/// asked for the metrics or told to do this; where nobody asks, it would grow for ever.
pub(crate) async fn keep_up(metrics: PrometheusHandle, stop: Stop) {
    const PAUSE: Duration = Duration::from_secs(2);
    let mut stopped = std::pin::pin!(gopay_inbound::stopped(stop));
    while tokio::time::timeout(PAUSE, &mut stopped).await.is_err() {
        metrics.run_upkeep();
    }
}
