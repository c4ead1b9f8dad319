//! What each connection is doing, so that those that only take up space can be closed.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a connection may be in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Between two requests, and before the first.
    pub idle: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// While the peer takes nothing of an answer.
    pub write: Duration,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between two requests.
    Idle,
    /// A head has begun.
    Head,
    /// The head is there, the body is not.
    Body,
    /// A whole request is being answered.
    Busy,
}

#[derive(Debug)]
struct State {
    /// Whom it is counted for; a proxy tells only after it was taken.
    source: Source,
    phase: Phase,
    since: Instant,
    /// Has had an answer: what only fills the listener has not.
    served: bool,
    /// Since when the peer takes nothing.
    stalled: Option<Instant>,
    /// Ends as soon as nothing is under way.
    retired: bool,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    state: Mutex<State>,
    close: Notify,
}

/// Whom connections are counted for: an IPv4 address, or the 64 bits of an IPv6 address that a
/// network is given as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

impl Source {
    /// The address, or the first one of the network.
    pub(crate) const fn address(self) -> IpAddr {
        self.0
    }

    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Self(IpAddr::V6(network.into()))
            }
        }
    }
}

/// How dispensable a connection is: the smaller, the sooner it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) served: bool,
    pub(crate) since: Instant,
}

impl Connection {
    pub(crate) fn new(source: Source) -> Self {
        let state = State {
            source,
            phase: Phase::Idle,
            since: Instant::now(),
            served: false,
            stalled: None,
            retired: false,
        };
        Self { state: Mutex::new(state), close: Notify::new() }
    }

    pub(crate) fn source(&self) -> Source {
        self.state().source
    }

    /// A proxy has told where it really comes from.
    pub(crate) fn comes_from(&self, source: Source) {
        self.state().source = source;
    }

    /// Something is due before the first request, such as a handshake: it counts to the head.
    pub(crate) fn introduces(&self) {
        self.enter(Phase::Head);
    }

    /// Ends the connection now, or after the request that is under way.
    pub(crate) fn retire(&self) {
        let mut state = self.state();
        state.retired = true;
        if matches!(state.phase, Phase::Idle | Phase::Head) {
            self.close.notify_one();
        }
    }

    /// The head of a request is there.
    pub(crate) fn begin(&self) {
        self.enter(Phase::Body);
    }

    /// The body of a request is there.
    pub(crate) fn whole(&self) {
        self.enter(Phase::Busy);
    }

    /// A request has its answer; true if it is the last of a connection that ends.
    pub(crate) fn answered(&self) -> bool {
        let mut state = self.state();
        (state.phase, state.since, state.served) = (Phase::Idle, Instant::now(), true);
        state.retired
    }

    /// Ends the connection.
    pub(crate) fn close(&self) {
        self.close.notify_one();
    }

    /// Waits for [`Self::close`].
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }

    /// Its rank, unless it is being answered.
    pub(crate) fn rank(&self) -> Option<Rank> {
        let state = self.state();
        (state.phase != Phase::Busy).then_some(Rank { served: state.served, since: state.since })
    }

    /// Whether it has used up a patience. How long a body may take is for whoever reads it.
    pub(crate) fn overdue(&self, patience: &Patience, now: Instant) -> bool {
        let state = self.state();
        let lasts = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let phase = match state.phase {
            Phase::Idle => lasts(state.since, patience.idle),
            Phase::Head => lasts(state.since, patience.head),
            Phase::Body | Phase::Busy => false,
        };
        phase || state.stalled.is_some_and(|since| lasts(since, patience.write))
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        (state.phase, state.since) = (phase, Instant::now());
    }

    fn has_read(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Head, Instant::now());
        }
    }

    fn may_not_write(&self) {
        self.state().stalled.get_or_insert_with(Instant::now);
    }

    fn has_written(&self) {
        self.state().stalled = None;
    }

    /// The peer takes nothing of what it was sent last.
    fn is_stalled(&self) -> bool {
        self.state().stalled.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that tells its [`Connection`] of each byte that moves.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Watched {
    pub(crate) const fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(_) => self.connection.has_written(),
            Poll::Pending => self.connection.may_not_write(),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Closed in good order, the system would hold what the peer does not take for minutes.
        if self.connection.is_stalled() {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.connection.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
