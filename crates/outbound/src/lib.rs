//! How anything leaves the process: one request, one bounded answer, and whether the peer may
//! have seen the request.
//!
//! Deliberately not here: retries, redirects, proxies, cookies, compression, any knowledge of
//! what is sent. A redirect is an answer like any other, and a request is sent at most once.
//!
//! Two ways over the network keep the same rules: [`HttpTransport`], by reqwest, for peers of all kinds;
//! and [`HyperTransport`], which costs less a call, for those that every payment calls.
//!
//! Reading order: [`Transport`], [`AddressPolicy`], [`HttpTransport`], [`HyperTransport`].

mod address;
mod builder;
mod connection;
mod http;
mod hyper;
mod kept;
mod message;
mod names;
mod origin;
mod pool;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

pub use crate::address::AddressPolicy;
pub use crate::builder::{BuildError, HttpTransportBuilder, install_crypto};
pub use crate::http::HttpTransport;
pub use crate::hyper::HyperTransport;

/// The way out. The program has [`HttpTransport`] and [`HyperTransport`]; the deterministic simulation puts a peer in
/// the same process behind it.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// Sends `request` at most once and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    /// [`TransportError`] if there is no complete answer within the bounds of the request.
    async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError>;

    /// Why every request to this URL would be refused, as far as its text tells, so that the URL can
    /// be refused when it is given, and not at each try. A name is never refused for its address:
    /// what it stands for is known when it is looked up.
    fn refuses(&self, _url: &str) -> Option<Refusal> {
        None
    }

    /// Whether the host is an address of a private network that may be called all the same: what is
    /// sent there without TLS goes over no foreign network.
    fn is_near(&self, _url: &str) -> bool {
        false
    }
}

/// Why a URL is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its address is private.
    Address,
    /// Its port is none that may be called.
    Port,
}

/// The methods that are ever used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks; changes nothing at the peer.
    Get,
    /// Tells; may change something at the peer.
    Post,
}

/// A request. `Debug` shows neither header values, nor the body, nor the path and query.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Get or post.
    pub method: Method,
    /// An absolute `http` or `https` URL.
    pub url: String,
    /// Header names in any case, and their values.
    pub headers: Vec<(&'static str, String)>,
    /// Sent with its length; an empty one of a GET is left out.
    pub body: Bytes,
    /// Of the whole exchange, from looking up the name to the last byte of the answer.
    pub timeout: Duration,
    /// The longest answer that is read; a longer one is [`TransportError::Unknown`].
    pub reply_bytes_max: usize,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        let origin = url::Url::parse(&self.url).map(|url| url.origin().ascii_serialization());
        out.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("origin", &origin.unwrap_or_default())
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .field("reply_bytes_max", &self.reply_bytes_max)
            .finish()
    }
}

/// How a body is sent in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Of each piece but the last.
    pub piece_bytes: usize,
    /// Before each piece.
    pub pause: Duration,
}

/// A complete answer. `Debug` does not show the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The HTTP status.
    pub status: u16,
    /// At most [`Outgoing::reply_bytes_max`] bytes.
    pub body: Bytes,
    /// The peer's time when it answered (`Date`, RFC 9110 section 6.6.1), in whole seconds; none
    /// if it does not say.
    pub date: Option<SystemTime>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Incoming")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// What stands behind a [`TransportError`].
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why there is no answer, told apart by what the peer may have seen.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Certainly no byte of the request reached the peer: a bad request, a blocked address, no
    /// such name, connection refused, no connection in time, TLS not agreed.
    #[error("the request was not sent")]
    NotSent(#[source] Cause),
    /// The peer may have acted on the request: time-out, reset, a bad or too long answer.
    #[error("it is unknown whether the request arrived")]
    Unknown(#[source] Cause),
}

impl TransportError {
    /// A [`TransportError::NotSent`] for this reason.
    pub fn not_sent(cause: impl Into<Cause>) -> Self {
        Self::NotSent(cause.into())
    }

    /// A [`TransportError::Unknown`] for this reason.
    pub fn unknown(cause: impl Into<Cause>) -> Self {
        Self::Unknown(cause.into())
    }
}

/// The reasons that are found here and not in the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportReason {
    /// Not an absolute URL.
    #[error("not a URL: {0}")]
    Url(url::ParseError),
    /// Neither `http` nor `https`.
    #[error("neither http nor https")]
    Scheme,
    /// A URL that HTTP cannot carry.
    #[error("the URL cannot be sent")]
    Uri,
    /// A user or password, which [`HyperTransport`] does not turn into a header.
    #[error("a user or password stands in the URL")]
    Credentials,
    /// A header that HTTP cannot carry.
    #[error("the header {0} cannot be sent")]
    Header(&'static str),
    /// The host is an address that the policy refuses.
    #[error("the address {0} is not allowed")]
    AddressBlocked(IpAddr),
    /// The policy refuses the port.
    #[error("the port {0} is not allowed")]
    PortBlocked(u16),
    /// The policy refuses every address of the host.
    #[error("no address of the host is allowed")]
    HostBlocked,
    /// No connection stood after the time that the transport has for it.
    #[error("no connection within {} ms", .0.as_millis())]
    NotConnected(Duration),
    /// The exchange took longer than [`Outgoing::timeout`].
    #[error("no complete answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The answer is longer than [`Outgoing::reply_bytes_max`].
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}
