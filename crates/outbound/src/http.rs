//! The way out for every peer: HTTP/1.1 over TCP and TLS, by reqwest.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use tokio::time::{Instant, Sleep};
use url::{Position, Url};

use crate::kept::Kept;
use crate::message::{date, header, read};
use crate::{
    AddressPolicy, HttpTransportBuilder, Incoming, Method, Outgoing, Pace, Refusal, Transport,
    TransportError, TransportReason,
};

/// Sends over the network, under an [`AddressPolicy`].
///
/// Cheap to clone; clones share the kept connections. Never follows a redirect, never repeats a
/// request, and ignores proxies of the environment, which would connect where the policy cannot
/// look.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    pub(crate) client: reqwest::Client,
    /// For ports that are allowed at some addresses only; none: at no address.
    pub(crate) other_ports: Option<reqwest::Client>,
    pub(crate) policy: AddressPolicy,
    /// None: connections to every host are kept.
    pub(crate) kept: Option<Kept>,
}

impl HttpTransport {
    /// The default settings under `policy`.
    pub const fn builder(policy: AddressPolicy) -> HttpTransportBuilder {
        HttpTransportBuilder::new(policy)
    }

    /// Sends a request as over a bad line, for trying out what a peer makes of that.
    ///
    /// # Errors
    /// As [`Transport::send`].
    pub async fn send_in_pieces(
        &self,
        request: Outgoing,
        pace: Pace,
    ) -> Result<Incoming, TransportError> {
        in_time(request.timeout, self.exchange(request, Some(pace))).await
    }

    async fn exchange(
        &self,
        request: Outgoing,
        pace: Option<Pace>,
    ) -> Result<Incoming, TransportError> {
        let clients = (&self.client, self.other_ports.as_ref());
        let (url, client) =
            self.policy.checked(&request.url, clients).map_err(TransportError::not_sent)?;
        let headers = request.headers.into_iter().map(header).collect::<Result<HeaderMap, _>>();
        let mut headers = headers.map_err(TransportError::not_sent)?;
        let host = &url[..Position::BeforePath];
        if self.kept.as_ref().is_some_and(|kept| !kept.keeps(host)) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let sending = match request.method {
            Method::Get => client.get(url),
            Method::Post => client.post(url),
        };
        let sending = match (request.method, request.body.is_empty()) {
            (Method::Get, true) => sending,
            // Left to itself hyper sends no length for an empty body, which some servers refuse
            // on a POST (411).
            (Method::Post, true) => sending.header(CONTENT_LENGTH, 0),
            (Method::Get | Method::Post, false) => match pace {
                Some(pace) => sending.body(reqwest::Body::wrap(Pieces::new(request.body, pace))),
                None => sending.body(request.body),
            },
        };
        let answer = sending.headers(headers).send().await.map_err(classified)?;
        let status = answer.status().as_u16();
        let date = date(answer.headers());
        let body =
            read(reqwest::Body::from(answer), request.reply_bytes_max, after_sending).await?;
        Ok(Incoming { status, body, date })
    }
}

#[async_trait::async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
        in_time(request.timeout, self.exchange(request, None)).await
    }

    fn refuses(&self, url: &str) -> Option<Refusal> {
        self.policy.refuses(&Url::parse(url).ok()?)
    }

    fn is_near(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| self.policy.is_near(&url))
    }
}

async fn in_time(
    timeout: Duration,
    exchange: impl Future<Output = Result<Incoming, TransportError>>,
) -> Result<Incoming, TransportError> {
    tokio::time::timeout(timeout, exchange)
        .await
        .unwrap_or_else(|_| Err(TransportError::unknown(TransportReason::TimedOut(timeout))))
}

/// A body in pieces, with a pause before each.
struct Pieces {
    rest: Bytes,
    pace: Pace,
    pause: Pin<Box<Sleep>>,
}

impl Pieces {
    fn new(body: Bytes, pace: Pace) -> Self {
        Self { rest: body, pace, pause: Box::pin(tokio::time::sleep(pace.pause)) }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.pause.as_mut().poll(context));
        let (piece, pause) = (self.pace.piece_bytes.clamp(1, self.rest.len()), self.pace.pause);
        let piece = self.rest.split_to(piece);
        self.pause.as_mut().reset(Instant::now() + pause);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}

/// Whatever fails before the connection stands is certain; all else may have reached the peer.
fn classified(error: reqwest::Error) -> TransportError {
    let unsent = error.is_builder() || error.is_connect();
    // The query of a URL can carry what must not reach the log.
    let error = error.without_url();
    if unsent { TransportError::not_sent(error) } else { TransportError::unknown(error) }
}

fn after_sending(error: reqwest::Error) -> TransportError {
    TransportError::unknown(error.without_url())
}
