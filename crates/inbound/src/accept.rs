//! Listeners: bound first, so that an address that is taken is an error before anything begins.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::drain::{Stop, stopped};
use crate::peer::{Identified, Peer};

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// Listens on an address; port 0 takes any free one.
///
/// # Errors
/// [`BindError`], which names the address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

/// Bounds of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections open at once; more wait with the system.
    pub connections_max: usize,
    /// How long the head of a request may take; also how long a connection may be idle.
    pub head_timeout: Duration,
}

impl Bounds {
    /// Longer than the 60 s for which common proxies keep an idle connection: who keeps one
    /// should be the one to close it, or a request can meet the closing.
    pub const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

    /// So many connections, and the usual time for a head.
    #[must_use]
    pub const fn connections(connections_max: usize) -> Self {
        Self { connections_max, head_timeout: Self::HEAD_TIMEOUT }
    }
}

/// Serves within bounds, until told to stop; then finishes the requests that are under way.
pub fn serve<S, B>(
    tasks: &mut JoinSet<()>,
    listener: TcpListener,
    service: S,
    bounds: Bounds,
    stop: &Stop,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    tasks.spawn(accept(listener, service, bounds, stop.clone()));
}

async fn accept<S, B>(listener: TcpListener, service: S, bounds: Bounds, stop: Stop)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(bounds.connections_max));
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.head_timeout);
    let mut stopped = std::pin::pin!(stopped(stop));
    loop {
        let (stream, peer, permit) = tokio::select! {
            biased;
            () = &mut stopped => break,
            next = next(&listener, &permits) => next,
        };
        let service = Identified::new(service.clone(), peer);
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "a connection ended badly");
            }
            drop(permit);
        });
    }
    // New connections are refused from here on, so that a client goes elsewhere at once.
    drop(listener);
    open.shutdown().await;
}

/// The next connection, once there is a permit for it; until then it waits with the system.
async fn next(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, Peer, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = Arc::clone(permits).acquire_owned().await else {
            // The semaphore is never closed.
            std::future::pending().await
        };
        match listener.accept().await {
            Ok((stream, address)) => {
                // Answers are written whole: there is nothing to wait for.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = %error, "a connection without TCP_NODELAY");
                }
                return (stream, Peer::new(address), permit);
            }
            Err(error) => {
                // Gone before it was taken, or out of file descriptors, which pass.
                tracing::warn!(error = %error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::watch;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// A listener that says from which port a request comes.
    async fn served(bounds: Bounds) -> (SocketAddr, watch::Sender<bool>, JoinSet<()>) {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let say = |Extension(peer): Extension<Peer>| async move { peer.address.port().to_string() };
        let (sender, stop) = watch::channel(false);
        let mut tasks = JoinSet::new();
        serve(&mut tasks, listener, Router::new().route("/", get(say)), bounds, &stop);
        (address, sender, tasks)
    }

    /// The body of the next answer on a connection.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let mut buffer = [0; 1_024];
        while !text.contains("\r\n\r\n") {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        text.split("\r\n\r\n").nth(1).unwrap().to_owned()
    }

    #[tokio::test]
    async fn each_request_says_where_it_comes_from() {
        let (address, _stop, _tasks) = served(Bounds::connections(4)).await;
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let port = stream.local_addr().unwrap().port().to_string();
            for _ in 0..2 {
                stream.write_all(REQUEST).await.unwrap();
                assert_eq!(answer(&mut stream).await, port);
            }
        }
    }

    #[tokio::test]
    async fn a_connection_above_the_bound_waits_until_one_is_closed() {
        let (address, _stop, _tasks) = served(Bounds::connections(1)).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        answer(&mut first).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(50), second.readable()).await;
        assert!(waiting.is_err(), "answered beside the first");
        drop(first);
        answer(&mut second).await;
    }

    #[tokio::test]
    async fn a_connection_that_sends_no_request_is_closed() {
        let bounds = Bounds { connections_max: 1, head_timeout: Duration::from_millis(20) };
        let (address, _stop, _tasks) = served(bounds).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        // Its permit is free again.
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(REQUEST).await.unwrap();
        answer(&mut next).await;
    }

    #[tokio::test]
    async fn a_stop_closes_idle_connections_and_refuses_new_ones() {
        let (address, stop, mut tasks) = served(Bounds::connections(4)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        answer(&mut stream).await;
        stop.send_replace(true);
        while tasks.join_next().await.is_some() {}
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let taken = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(
            bind(address).await.unwrap_err().to_string(),
            format!("cannot listen on {address}")
        );
    }
}
