//! Listeners: bound first, so that an address that is taken is an error before anything begins.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tower_service::Service;

use crate::connection::{Connection, Patience, Source, Watched};
use crate::connections::{Connections, Permit};
use crate::drain::{Stop, stopped};
use crate::peer::{Identified, Peer, RequestBody};
use crate::proxy::{self, Proxies, Says};
use crate::stream::Stream;
use crate::tls::{ClientCertificate, Tls};

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
    /// Connections open at once. When there are more, those go that wait longest for something, first
    /// of all those that never had an answer; more than that wait with the system.
    pub connections_max: usize,
    /// How long a connection may be in a phase.
    pub patience: Patience,
}

impl Bounds {
    /// Idle connections: longer than the 60 s for which common proxies keep one. Who keeps one
    /// should be the one to close it, or a request can meet the closing. Who takes nothing is gone 15 s
    /// after the last byte that it took.
    pub const PATIENCE: Patience = Patience {
        idle: Duration::from_secs(75),
        head: Duration::from_secs(10),
        write: Duration::from_secs(14),
    };

    /// The longest head of a request, in bytes: ten times that of a browser with cookies. Longer ones
    /// are answered with 431.
    pub const HEAD_BYTES_MAX: usize = 16 * 1024;

    /// The most headers of a request; more are answered with 431.
    pub const HEADERS_MAX: usize = 64;

    /// So many connections, and the usual patience.
    #[must_use]
    pub const fn connections(connections_max: usize) -> Self {
        Self { connections_max, patience: Self::PATIENCE }
    }
}

/// A bound address with what holds for its connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    bounds: Bounds,
    tls: Option<Tls>,
    proxies: Option<Arc<Proxies>>,
}

impl Listener {
    /// A listener without TLS that believes no proxy.
    #[must_use]
    pub const fn new(socket: TcpListener, bounds: Bounds) -> Self {
        Self { socket, bounds, tls: None, proxies: None }
    }

    /// Speaks TLS, and nothing else.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }

    /// Believes these proxies about where something comes from.
    #[must_use]
    pub fn with_proxies(mut self, proxies: Option<Arc<Proxies>>) -> Self {
        self.proxies = proxies;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Serves within bounds, until told to stop; then finishes the requests that are under way.
pub fn serve<S, B>(tasks: &mut JoinSet<()>, listener: Listener, service: S, stop: &Stop)
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    tasks.spawn(accept(listener, service, stop.clone()));
}

async fn accept<S, B>(listener: Listener, service: S, stop: Stop)
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let Listener { socket, bounds, tls, proxies } = listener;
    let connections = Connections::new(bounds.connections_max);
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    // Time is kept by `close_overdue`.
    http.header_read_timeout(None)
        .max_buf_size(Bounds::HEAD_BYTES_MAX)
        .max_headers(Bounds::HEADERS_MAX);
    let door = Door { tls: tls.clone(), proxies };
    let mut stopping = std::pin::pin!(stopped(stop.clone()));
    let mut overdue = std::pin::pin!(close_overdue(&connections, bounds.patience));
    let mut retiring = std::pin::pin!(retire_after_changes(&connections, tls));
    loop {
        let (stream, address, permit) = tokio::select! {
            biased;
            () = &mut stopping => break,
            never = &mut overdue => match never {},
            never = &mut retiring => match never {},
            next = next(&socket, &connections) => next,
        };
        let connection = Arc::clone(&permit.connection);
        let (door, service, http) = (door.clone(), service.clone(), http.clone());
        let (watcher, stop) = (open.watcher(), stop.clone());
        let serving = async move {
            let entering = door.enter(stream, address, &permit.connection);
            let (stream, peer) = tokio::select! {
                entered = entering => entered?,
                () = stopped(stop) => return Ok(()),
            };
            let service =
                Identified::new(service, peer, door.proxies, Arc::clone(&permit.connection));
            watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        };
        tokio::spawn(async move {
            tokio::select! {
                ended = serving => {
                    if let Err(error) = ended {
                        tracing::debug!(error = %error, "a connection ended badly");
                    }
                }
                () = connection.closed() => {
                    tracing::debug!(peer = %address, "a connection is closed to make room");
                }
            }
        });
    }
    // New connections are refused from here on, so that a client goes elsewhere at once.
    drop(socket);
    tokio::select! {
        () = open.shutdown() => {}
        never = overdue => match never {},
    }
}

/// What each connection passes before its first request.
#[derive(Clone)]
struct Door {
    tls: Option<Tls>,
    proxies: Option<Arc<Proxies>>,
}

impl Door {
    /// Finds out where a connection comes from and, under TLS, whose it is. It has the time of a
    /// head for that and for the head of its first request.
    async fn enter(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        connection: &Arc<Connection>,
    ) -> io::Result<(Stream, Peer)> {
        let mut stream = Watched::new(stream, Arc::clone(connection));
        let mut peer = Peer::of(address);
        let announces = self.proxies.as_ref().is_some_and(|proxies| {
            proxies.says == Says::ProxyProtocol && proxies.include(address.ip())
        });
        if announces || self.tls.is_some() {
            connection.introduces();
        }
        if announces && let Some(source) = proxy::announced(&mut stream).await? {
            peer.source = source;
            connection.comes_from(Source::of(source));
        }
        let Some(tls) = &self.tls else { return Ok((Stream::Plain(stream), peer)) };
        let stream = tls.acceptor().accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        peer.certificate = shown.map(|shown| Arc::new(ClientCertificate::of(shown)));
        Ok((Stream::Tls(Box::new(stream)), peer))
    }
}

/// Ends connections whenever the files of their TLS have changed.
async fn retire_after_changes(connections: &Connections, tls: Option<Tls>) -> Infallible {
    let Some(tls) = tls else { return std::future::pending().await };
    let mut changes = tls.changes();
    while changes.changed().await.is_ok() {
        connections.retire();
    }
    std::future::pending().await
}

/// Closes connections that use up their patience, for ever.
async fn close_overdue(connections: &Connections, patience: Patience) -> Infallible {
    /// Of thousands of connections a look takes a fraction of a millisecond.
    const PAUSE: Duration = Duration::from_millis(500);
    let Patience { idle, head, write } = patience;
    let mut looks = tokio::time::interval(PAUSE.min(idle).min(head).min(write));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        connections.close_overdue(&patience);
    }
}

/// The next connection, and its permit.
async fn next(
    listener: &TcpListener,
    connections: &Arc<Connections>,
) -> (TcpStream, SocketAddr, Permit) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Answers are written whole: there is nothing to wait for.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = %error, "a connection without TCP_NODELAY");
                }
                let permit = connections.permit(address.ip()).await;
                return (stream, address, permit);
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
    use tokio::sync::{Notify, watch};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// A listener that says from which port a request comes, or says much.
    async fn served(bounds: Bounds) -> (SocketAddr, watch::Sender<bool>, JoinSet<()>) {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let say = |Extension(peer): Extension<Peer>| async move { peer.address.port().to_string() };
        let (sender, stop) = watch::channel(false);
        let mut tasks = JoinSet::new();
        serve(
            &mut tasks,
            Listener::new(listener, bounds),
            Router::new().route("/", get(say)).route("/much", get(async || vec![b'x'; 32 << 20])),
            &stop,
        );
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
    async fn who_never_asks_makes_room_for_who_does() {
        let (address, _stop, _tasks) = served(Bounds::connections(64)).await;
        let mut served = TcpStream::connect(address).await.unwrap();
        served.write_all(REQUEST).await.unwrap();
        answer(&mut served).await;
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        for _ in 0..10 {
            let mut late = TcpStream::connect(address).await.unwrap();
            late.write_all(REQUEST).await.unwrap();
            answer(&mut late).await;
        }
        // Who had an answer before stays connected all the while.
        served.write_all(REQUEST).await.unwrap();
        answer(&mut served).await;
    }

    #[tokio::test]
    async fn what_is_being_answered_is_not_closed() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, may_go) = (Arc::clone(&begun), Arc::clone(&go));
        let slow = move || async move {
            begins.notify_one();
            may_go.notified().await;
        };
        let (_sender, stop) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let routes = Router::new().route("/slow", get(slow)).route("/", get(|| async {}));
        serve(&mut tasks, Listener::new(listener, Bounds::connections(1)), routes, &stop);
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        begun.notified().await;
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(50), second.readable()).await;
        assert!(waiting.is_err(), "answered beside the first");
        go.notify_one();
        answer(&mut first).await;
        // The first is idle now, and goes.
        answer(&mut second).await;
    }

    fn patience(idle: u64, head: u64, write: u64) -> Bounds {
        let millis = Duration::from_millis;
        let patience = Patience { idle: millis(idle), head: millis(head), write: millis(write) };
        Bounds { connections_max: 4, patience }
    }

    #[tokio::test]
    async fn a_connection_that_uses_up_its_patience_is_closed() {
        const LONG: u64 = 60_000;
        for (sent, bounds) in
            [(&b""[..], patience(20, LONG, LONG)), (b"GET / HT", patience(LONG, 20, LONG))]
        {
            let (address, _stop, _tasks) = served(bounds).await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            let mut rest = Vec::new();
            // Closed with bytes unread, it is reset.
            let _ = stream.read_to_end(&mut rest).await;
            assert!(rest.is_empty(), "{rest:?}");
        }
    }

    #[tokio::test]
    async fn who_takes_no_answers_is_closed() {
        assert!(Bounds::PATIENCE.write < Duration::from_secs(15));
        let (address, _stop, _tasks) = served(patience(60_000, 60_000, 50)).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let (_unread, mut sending) = stream.into_split();
        let asked = async { while sending.write_all(&REQUEST.repeat(1_000)).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(20), asked).await.expect("closed");
    }

    #[tokio::test]
    async fn what_nobody_takes_is_not_kept_by_the_system_either() {
        let (address, _stop, _tasks) = served(patience(60_000, 60_000, 50)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // Until it is reset, without taking anything.
        let reset = stream.ready(Interest::ERROR);
        tokio::time::timeout(Duration::from_secs(20), reset).await.expect("reset").unwrap();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest).await;
        assert!(ended.is_err(), "closed in good order, after {} bytes", rest.len());
    }

    #[tokio::test]
    async fn heads_are_bounded() {
        let (address, _stop, _tasks) = served(Bounds::connections(4)).await;
        let long = format!("GET / HTTP/1.1\r\nHost: x\r\nx-a: {}\r\n\r\n", "a".repeat(20_000));
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "x-a: 1\r\n".repeat(64));
        for head in [long, many] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // It may be refused before all is sent.
            let _ = stream.write_all(head.as_bytes()).await;
            let mut status = [0; 12];
            stream.read_exact(&mut status).await.unwrap();
            assert_eq!(&status, b"HTTP/1.1 431");
        }
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
