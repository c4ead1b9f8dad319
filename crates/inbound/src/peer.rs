//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service as HyperService;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::connection::Connection;

/// The other end of a connection, as far as the connection itself proves it. Every request has it
/// among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Where the connection comes from: a proxy's address if one stands in front.
    pub address: SocketAddr,
}

impl Peer {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

/// Puts the peer into each request of its connection, and tells the connection where the request
/// stands.
pub(crate) struct Identified<S> {
    service: TowerToHyperService<S>,
    peer: Peer,
    connection: Arc<Connection>,
}

impl<S> Identified<S> {
    pub(crate) fn new(service: S, peer: Peer, connection: Arc<Connection>) -> Self {
        Self { service: TowerToHyperService::new(service), peer, connection }
    }
}

impl<S> HyperService<Request<Incoming>> for Identified<S>
where
    S: Service<Request<RequestBody>> + Clone,
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
        request.extensions_mut().insert(self.peer);
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

impl<F: Future> Future for Answering<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(context));
        this.connection.answered();
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
