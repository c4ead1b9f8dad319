//! A connection over which one exchange at a time is made. hyper means the reading and writing to be a
//! task of its own, which whoever waits for an answer wakes and is woken by, for the request, for the
//! head, and for each part of the body. Here who waits does it, so that an exchange wakes nobody.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::message::{date, read};
use crate::origin::Origin;
use crate::{Incoming, TransportError};

pub(crate) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// See the module. Whoever gives up an exchange drops the connection.
pub(crate) struct Connection {
    pub(crate) origin: Arc<Origin>,
    /// Whether an exchange was made.
    pub(crate) is_used: bool,
    requests: SendRequest<Full<Bytes>>,
    /// Reads and writes; none once it has ended.
    wire: Option<http1::Connection<Stream, Full<Bytes>>>,
    /// Of the exchange under way. Putting it off, as each exchange does, takes no lock of the timers, which
    /// setting and clearing takes each time.
    deadline: Pin<Box<Sleep>>,
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// The connection ended before it took up the request, of which no byte was sent.
    Untouched(Box<Request<Full<Bytes>>>, hyper::Error),
    /// There was no answer until the deadline.
    TimedOut,
    /// Any other reason.
    Other(TransportError),
}

impl Connection {
    /// Speaks over a stream.
    ///
    /// # Errors
    /// Those of hyper.
    pub(crate) async fn over(stream: Stream, origin: Arc<Origin>) -> hyper::Result<Box<Self>> {
        // Head and body go into one buffer: a charge takes 1 to 2 KB, and one part is cheaper to send than
        // two.
        let (requests, wire) = http1::Builder::new().writev(false).handshake(stream).await?;
        let deadline = Box::pin(sleep_until(Instant::now()));
        Ok(Box::new(Self { origin, is_used: false, requests, wire: Some(wire), deadline }))
    }

    /// Whether it can take a request, as far as is known here: an end that has not arrived shows later.
    pub(crate) fn is_open(&mut self) -> bool {
        // Whoever waited for the last answer is not to be woken by what comes now.
        self.advance(&mut Context::from_waker(Waker::noop()));
        self.wire.is_some() && self.requests.is_ready()
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// [`Failure`]. The connection is of no further use.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        reply_bytes_max: usize,
        deadline: Instant,
    ) -> Result<Incoming, Failure> {
        self.deadline.as_mut().reset(deadline);
        self.is_used = true;
        let answer = self.requests.try_send_request(request);
        let answer = self.until(answer).await?.map_err(|mut error| match error.take_message() {
            Some(request) => Failure::Untouched(Box::new(request), error.into_error()),
            None => Failure::Other(TransportError::unknown(error.into_error())),
        })?;
        let (head, body) = Response::into_parts(answer);
        let body =
            self.until(read(body, reply_bytes_max, broken)).await?.map_err(Failure::Other)?;
        Ok(Incoming { status: head.status.as_u16(), body, date: date(&head.headers) })
    }

    /// Reads and writes until `step` is done.
    async fn until<T>(&mut self, step: impl Future<Output = T>) -> Result<T, Failure> {
        // Nothing but the wire moves it on, and it is polled after each step of that. So it needs to wake
        // nobody, and must not be put off when this task has had its share of polls.
        let mut step = pin!(tokio::task::unconstrained(step));
        std::future::poll_fn(|context| {
            self.advance(context);
            match step.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(done) => Poll::Ready(Ok(done)),
                Poll::Pending => {
                    self.deadline.as_mut().poll(context).map(|()| Err(Failure::TimedOut))
                }
            }
        })
        .await
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        let ended = self.wire.as_mut().is_some_and(|wire| Pin::new(wire).poll(context).is_ready());
        if ended {
            // With it ends what it has not taken up.
            self.wire = None;
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connection").field("origin", &self.origin.text).finish_non_exhaustive()
    }
}

fn broken(error: hyper::Error) -> TransportError {
    TransportError::unknown(error)
}
