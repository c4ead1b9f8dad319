//! Who is at the other end of a connection.

use std::net::SocketAddr;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service as HyperService;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use tower_service::Service;

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

/// Puts the peer into each request of its connection.
pub(crate) struct Identified<S> {
    service: TowerToHyperService<S>,
    peer: Peer,
}

impl<S> Identified<S> {
    pub(crate) fn new(service: S, peer: Peer) -> Self {
        Self { service: TowerToHyperService::new(service), peer }
    }
}

impl<S> HyperService<Request<Incoming>> for Identified<S>
where
    S: Service<Request<Incoming>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TowerToHyperServiceFuture<S, Request<Incoming>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.service.call(request)
    }
}
