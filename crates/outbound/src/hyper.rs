//! The way out for peers that every payment calls: HTTP/1.1 over TCP and TLS, by hyper alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::{Instant, timeout, timeout_at};
use tower_service::Service as _;
use url::Url;

use crate::connection::{Connection, Failure};
use crate::message::header;
use crate::names::PolicyResolver;
use crate::origin::{Origin, path_from, path_of_plain};
use crate::pool::Pool;
use crate::{
    AddressPolicy, HttpTransportBuilder, Incoming, Method, Outgoing, Refusal, Transport,
    TransportError, TransportReason,
};

pub(crate) type Connector = HttpsConnector<HttpConnector<PolicyResolver>>;

/// Sends over the network, under an [`AddressPolicy`], as [`HttpTransport`](crate::HttpTransport) does;
/// but it sends no headers of its own except `Host`, `User-Agent` and the length, and URLs with
/// credentials are refused.
///
/// Cheap to clone; clones share the kept connections.
#[derive(Clone, Debug)]
pub struct HyperTransport {
    pub(crate) usual: Connector,
    /// For ports that are allowed at some addresses only; none: at no address.
    pub(crate) other_ports: Option<Connector>,
    pub(crate) policy: AddressPolicy,
    pub(crate) connect_timeout: Duration,
    pub(crate) user_agent: &'static str,
    pub(crate) pool: Arc<Pool>,
}

impl HyperTransport {
    /// The default settings under `policy`.
    pub const fn builder(policy: AddressPolicy) -> HttpTransportBuilder {
        HttpTransportBuilder::new(policy)
    }

    async fn exchange(&self, request: Outgoing) -> Result<Incoming, TransportError> {
        let Outgoing { method, url, headers, body, timeout, reply_bytes_max } = request;
        let deadline = Instant::now() + timeout;
        let timed_out = || TransportError::unknown(TransportReason::TimedOut(timeout));
        let headers = self.headers(method, headers, &body).map_err(TransportError::not_sent)?;
        let (mut connection, path) = match self.kept(&url) {
            Some((connection, path)) => {
                (connection, path_from(url, path).map_err(TransportError::not_sent)?)
            }
            None => {
                timeout_at(deadline, self.open(&url)).await.unwrap_or_else(|_| Err(timed_out()))?
            }
        };
        let mut request = message(method, path, headers, body, &connection.origin);
        loop {
            let repeatable = connection.is_used;
            match connection.exchange(request, reply_bytes_max, deadline).await {
                Ok(answer) => {
                    self.pool.put(connection);
                    return Ok(answer);
                }
                // Its peer has ended it while it was not used.
                Err(Failure::Untouched(back, _)) if repeatable => request = *back,
                Err(Failure::Untouched(_, error)) => return Err(TransportError::unknown(error)),
                Err(Failure::TimedOut) => return Err(timed_out()),
                Err(Failure::Other(error)) => return Err(error),
            }
            let origin = Arc::clone(&connection.origin);
            let next = timeout_at(deadline, self.connection(origin)).await;
            connection = next.unwrap_or_else(|_| Err(timed_out()))?;
        }
    }

    fn headers(
        &self,
        method: Method,
        given: Vec<(&'static str, String)>,
        body: &Bytes,
    ) -> Result<HeaderMap, TransportReason> {
        /// Host, agent, length.
        const OWN: usize = 3;
        let mut headers = HeaderMap::with_capacity(given.len() + OWN);
        for one in given {
            let (name, value) = header(one)?;
            headers.append(name, value);
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(self.user_agent));
        // Left to itself hyper sends no length for an empty body, which some servers refuse on a POST
        // (411).
        if method == Method::Post && body.is_empty() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(headers)
    }

    /// A kept connection for a URL, and where its path begins. The origin was checked when it was made.
    fn kept(&self, url: &str) -> Option<(Box<Connection>, usize)> {
        let path = path_of_plain(url)?;
        Some((self.pool.take(url.get(..path)?)?, path))
    }

    /// A connection for a URL, and what is asked for over it.
    async fn open(&self, url: &str) -> Result<(Box<Connection>, Uri), TransportError> {
        let ways = (&false, self.other_ports.as_ref().map(|_| &true));
        let (url, is_other_port) =
            self.policy.checked(url, ways).map_err(TransportError::not_sent)?;
        let (origin, path) = Origin::of(&url, *is_other_port).map_err(TransportError::not_sent)?;
        Ok((self.connection(origin).await?, path))
    }

    /// A kept connection, or a new one.
    async fn connection(&self, origin: Arc<Origin>) -> Result<Box<Connection>, TransportError> {
        if let Some(connection) = self.pool.take(&origin.text) {
            return Ok(connection);
        }
        let other_ports = self.other_ports.as_ref().filter(|_| origin.is_other_port);
        let mut connector = other_ports.unwrap_or(&self.usual).clone();
        let stream = timeout(self.connect_timeout, connector.call(origin.uri.clone())).await;
        let late = TransportReason::NotConnected(self.connect_timeout);
        let stream =
            stream.unwrap_or_else(|_| Err(late.into())).map_err(TransportError::not_sent)?;
        Connection::over(stream, origin).await.map_err(TransportError::unknown)
    }
}

#[async_trait::async_trait]
impl Transport for HyperTransport {
    async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
        self.exchange(request).await
    }

    fn refuses(&self, url: &str) -> Option<Refusal> {
        self.policy.refuses(&Url::parse(url).ok()?)
    }

    fn is_near(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| self.policy.is_near(&url))
    }
}

fn message(
    method: Method,
    path: Uri,
    mut headers: HeaderMap,
    body: Bytes,
    origin: &Origin,
) -> Request<Full<Bytes>> {
    headers.insert(HOST, origin.host.clone());
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = match method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
    };
    *request.uri_mut() = path;
    *request.headers_mut() = headers;
    request
}
