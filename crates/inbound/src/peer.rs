//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::Service as HyperService;
use hyper::{Request, Response};
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::connection::{Connection, Source};
use crate::proxy::Proxies;
use crate::tls::ClientCertificate;

/// The other end of a connection, as far as the connection itself proves it. Every request has it
/// among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Where the connection comes from: a proxy's address if one stands in front.
    pub address: SocketAddr,
    /// Where the request comes from: what a proxy says that is believed, else the connection's
    /// address. Limits, delays and logs go by it.
    pub source: IpAddr,
    /// The certificate that the client has shown.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Peer {
    /// A peer that has said nothing about itself.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        Self { address, source: address.ip().to_canonical(), certificate: None }
    }

    /// Whom what it takes is counted for: its source, or the 64 bits of an IPv6 address that a network
    /// is given as a whole.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        Source::of(self.source).address()
    }
}

/// Puts the peer into each request of its connection, and tells the connection where the request
/// stands.
pub(crate) struct Identified<S> {
    service: TowerToHyperService<S>,
    peer: Peer,
    /// Proxies that say by a header where each request comes from.
    proxies: Option<Arc<Proxies>>,
    connection: Arc<Connection>,
}

impl<S> Identified<S> {
    pub(crate) fn new(
        service: S,
        peer: Peer,
        proxies: Option<Arc<Proxies>>,
        connection: Arc<Connection>,
    ) -> Self {
        let proxies = proxies.filter(|proxies| proxies.include(peer.address.ip()));
        Self { service: TowerToHyperService::new(service), peer, proxies, connection }
    }
}

impl<S, B> HyperService<Request<Incoming>> for Identified<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answering<TowerToHyperServiceFuture<S, Request<RequestBody>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = &self.connection;
        connection.begin();
        if request.body().is_end_stream() {
            connection.whole();
        }
        let mut request =
            request.map(|body| RequestBody { body, connection: Arc::clone(connection) });
        let mut peer = self.peer.clone();
        if let Some(proxies) = &self.proxies
            && let Some(source) = proxies.source(request.headers())
        {
            peer.source = source;
        }
        request.extensions_mut().insert(peer);
        let answer = self.service.call(request);
        Answering { answer, connection: Arc::clone(connection) }
    }
}

pin_project! {
    /// An answer on its way; the connection is told when it is there.
    pub(crate) struct Answering<F> {
        #[pin]
        answer: F,
        connection: Arc<Connection>,
    }
}

impl<B, E, F: Future<Output = Result<Response<B>, E>>> Future for Answering<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut answer = ready!(this.answer.poll(context));
        if this.connection.answered()
            && let Ok(answer) = &mut answer
        {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(answer)
    }
}

/// The body of a request; its connection is told when it is there as a whole.
#[derive(Debug)]
pub struct RequestBody {
    body: Incoming,
    connection: Arc<Connection>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.connection.whole();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
