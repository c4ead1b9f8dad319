//! The real way out: HTTP/1.1 over TCP and TLS.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, Sleep};
use url::{Position, Url};

use crate::address::literal;
use crate::kept::Kept;
use crate::names::{self, LookUp, Names};
use crate::{
    AddressPolicy, Incoming, Method, Outgoing, Pace, Refusal, Transport, TransportError,
    TransportReason,
};

/// Sends over the network, under an [`AddressPolicy`].
///
/// Cheap to clone; clones share the kept connections. Never follows a redirect, never repeats a
/// request, and ignores proxies of the environment, which would connect where the policy cannot
/// look.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    client: reqwest::Client,
    /// For ports that are allowed at some addresses only; none: at no address.
    other_ports: Option<reqwest::Client>,
    policy: AddressPolicy,
    /// None: connections to every host are kept.
    kept: Option<Kept>,
}

/// Settings of an [`HttpTransport`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpTransportBuilder {
    policy: AddressPolicy,
    connect_timeout: Duration,
    idle_timeout: Duration,
    user_agent: &'static str,
    look_up: LookUp,
    kept_hosts_max: Option<usize>,
}

/// The transport could not be set up, for example because the system has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("outgoing HTTP cannot be set up")]
pub struct BuildError(#[source] reqwest::Error);

/// Three round trips (name, TCP, TLS) over a bad line take well under a second; five leave room
/// for one lost packet in each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than the 60 s after which common servers and load balancers drop an idle connection:
/// a request on a connection that the peer is dropping ends with an unknown outcome.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

impl HttpTransport {
    /// The default settings under `policy`.
    pub const fn builder(policy: AddressPolicy) -> HttpTransportBuilder {
        HttpTransportBuilder {
            policy,
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            user_agent: concat!("gopay-adapter/", env!("CARGO_PKG_VERSION")),
            look_up: names::by_the_system,
            kept_hosts_max: None,
        }
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
        let (url, client) = self.checked_url(&request.url).map_err(TransportError::not_sent)?;
        let mut headers = headers(request.headers).map_err(TransportError::not_sent)?;
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
        let body = read(answer, request.reply_bytes_max).await?;
        Ok(Incoming { status, body, date })
    }

    /// The URL and who may call it, unless its host is an address that the policy refuses, or its
    /// port one that no address may be called at. Names are checked when they are looked up, by the
    /// resolver of who calls; addresses are not looked up, so they are checked here, in the form to
    /// which the parser reduced them (`2130706433` is `127.0.0.1`).
    fn checked_url(&self, text: &str) -> Result<(Url, &reqwest::Client), TransportReason> {
        let url = Url::parse(text).map_err(TransportReason::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TransportReason::Scheme);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        match (literal(&url), self.policy.refuses(&url)) {
            (Some(address), Some(Refusal::Address)) => {
                Err(TransportReason::AddressBlocked(address))
            }
            (_, Some(Refusal::Port)) => Err(TransportReason::PortBlocked(port)),
            // A name is refused when it is looked up.
            _ if self.policy.permits_port(port) => Ok((url, &self.client)),
            _ => match &self.other_ports {
                Some(client) => Ok((url, client)),
                None => Err(TransportReason::PortBlocked(port)),
            },
        }
    }
}

impl HttpTransportBuilder {
    /// The longest time to look up, connect and agree on TLS; 5 s unless set. Must be below the
    /// time-out of the requests, or a dead host counts as [`TransportError::Unknown`].
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an unused connection is kept; 30 s unless set.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// To how many hosts unused connections are kept at once; to all unless set. For where others name
    /// the hosts.
    pub const fn kept_hosts_max(mut self, hosts: usize) -> Self {
        self.kept_hosts_max = Some(hosts);
        self
    }

    /// The `User-Agent`; the name and version of this program unless set.
    pub const fn user_agent(mut self, user_agent: &'static str) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// Sets the transport up. Installs the process' cryptography first, see [`install_crypto`].
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<HttpTransport, BuildError> {
        install_crypto();
        let names = Names::new(self.look_up);
        let client = self.client(self.policy.clone(), names.clone())?;
        let other_ports = self.policy.for_other_ports().map(|policy| self.client(policy, names));
        let kept = self.kept_hosts_max.map(|max| Kept::new(max, self.idle_timeout));
        Ok(HttpTransport {
            client,
            other_ports: other_ports.transpose()?,
            policy: self.policy,
            kept,
        })
    }

    fn client(&self, policy: AddressPolicy, names: Names) -> Result<reqwest::Client, BuildError> {
        reqwest::Client::builder()
            .dns_resolver(Arc::new(PolicyResolver { policy, names }))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(self.idle_timeout)
            .user_agent(self.user_agent)
            .build()
            .map_err(BuildError)
    }
}

/// Makes ring the cryptography of TLS in this process, unless one is chosen already. May be
/// called any number of times.
pub fn install_crypto() {
    // The error is the provider that came too late, which is no fault.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
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

/// Looks names up, and keeps what the policy permits. Each connection is made to an address that was
/// looked up for it, so a name that changes its address between two gains nothing.
struct PolicyResolver {
    policy: AddressPolicy,
    names: Names,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, names) = (self.policy.clone(), self.names.clone());
        Box::pin(async move {
            let found = names.find(name.as_str().to_owned()).await?;
            let permitted = policy.only_permitted(found.into_iter())?;
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}

fn headers(list: Vec<(&'static str, String)>) -> Result<HeaderMap, TransportReason> {
    list.into_iter()
        .map(|(name, value)| {
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| TransportReason::Header(name))?;
            let mut value =
                HeaderValue::try_from(value).map_err(|_| TransportReason::Header(name))?;
            value.set_sensitive(true);
            Ok((key, value))
        })
        .collect()
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// Whatever fails before the connection stands is certain; all else may have reached the peer.
fn classified(error: reqwest::Error) -> TransportError {
    let unsent = error.is_builder() || error.is_connect();
    // The query of a URL can carry what must not reach the log.
    let error = error.without_url();
    if unsent { TransportError::not_sent(error) } else { TransportError::unknown(error) }
}

async fn read(mut answer: reqwest::Response, bytes_max: usize) -> Result<Bytes, TransportError> {
    let too_long = || TransportError::unknown(TransportReason::TooLong(bytes_max));
    let announced = answer.content_length().unwrap_or(0);
    if usize::try_from(announced).is_ok_and(|announced| announced <= bytes_max) {
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(after_sending)? {
            if chunk.len() > bytes_max.saturating_sub(body.len()) {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    } else {
        Err(too_long())
    }
}

fn after_sending(error: reqwest::Error) -> TransportError {
    TransportError::unknown(error.without_url())
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// What a peer does with a request.
    #[derive(Clone, Copy)]
    enum Peer {
        Answers(&'static str),
        /// Answers, then sends nothing more but keeps the connection.
        AnswersInPart(&'static str),
        HangsUp,
        StaysSilent,
    }

    #[derive(Default)]
    struct Seen {
        connections: usize,
        requests: Vec<String>,
    }

    /// A peer on loopback, and what it has seen.
    async fn peer(behaviour: Peer) -> (SocketAddr, Arc<Mutex<Seen>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                log.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, behaviour, Arc::clone(&log)));
            }
        });
        (address, seen)
    }

    async fn serve(mut stream: TcpStream, behaviour: Peer, log: Arc<Mutex<Seen>>) {
        while let Some(request) = read_request(&mut stream).await {
            log.lock().unwrap().requests.push(request);
            match behaviour {
                Peer::Answers(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                Peer::AnswersInPart(text) => {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    std::future::pending::<()>().await;
                }
                Peer::HangsUp => return,
                Peer::StaysSilent => std::future::pending().await,
            }
        }
    }

    /// Head and body of one request; `None` at the end of the connection.
    async fn read_request(stream: &mut TcpStream) -> Option<String> {
        let mut text = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
            text.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8_lossy(&text).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    return Some(text);
                }
            }
        }
    }

    fn transport(policy: AddressPolicy) -> HttpTransport {
        HttpTransport::builder(policy).build().unwrap()
    }

    fn get(url: impl Into<String>) -> Outgoing {
        Outgoing {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(20),
            reply_bytes_max: 10,
        }
    }

    async fn ask(behaviour: Peer, timeout: Duration) -> Result<Incoming, TransportError> {
        let (address, _) = peer(behaviour).await;
        let request = Outgoing { timeout, ..get(format!("http://{address}/")) };
        transport(AddressPolicy::any()).send(request).await
    }

    /// The fault at the bottom of an error.
    fn fault(error: &TransportError) -> Option<&TransportReason> {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(fault) = error.downcast_ref() {
                return Some(fault);
            }
            next = error.source();
        }
        None
    }

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_request_arrives_as_it_was_given_and_connections_are_kept() {
        let (address, seen) =
            peer(Peer::Answers("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")).await;
        let transport = transport(AddressPolicy::any());
        let request = Outgoing {
            method: Method::Post,
            headers: vec![("X-Some", "value".into()), ("content-type", "text/plain".into())],
            body: Bytes::from_static(b"hello"),
            ..get(format!("http://{address}/a%20b?c=d"))
        };
        for _ in 0..3 {
            let answer = transport.send(request.clone()).await.unwrap();
            let expected = Incoming { status: 404, body: Bytes::from_static(b"gone"), date: None };
            assert_eq!(answer, expected);
        }
        let empty = Outgoing { body: Bytes::new(), ..request };
        transport.send(empty).await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.connections, 1);
        assert_eq!(seen.requests.len(), 4);
        let first = &seen.requests[0];
        assert!(first.starts_with("POST /a%20b?c=d HTTP/1.1\r\n"), "{first}");
        for line in ["x-some: value", "content-type: text/plain", "content-length: 5"] {
            assert!(first.contains(&format!("\r\n{line}\r\n")), "{line} in {first}");
        }
        assert!(first.contains("\r\nuser-agent: gopay-adapter/"), "{first}");
        assert!(first.ends_with("\r\n\r\nhello"), "{first}");
        assert!(seen.requests[3].contains("\r\ncontent-length: 0\r\n"), "{}", seen.requests[3]);
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        for status in [301, 302, 303, 307, 308] {
            let (elsewhere, untouched) = peer(Peer::HangsUp).await;
            let answer = format!(
                "HTTP/1.1 {status} Moved\r\nLocation: http://{elsewhere}/\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            let (address, seen) = peer(Peer::Answers(answer.leak())).await;
            let request = Outgoing { method: Method::Post, ..get(format!("http://{address}/")) };
            let answer = transport(AddressPolicy::any()).send(request).await.unwrap();
            assert_eq!(answer.status, status);
            assert_eq!(seen.lock().unwrap().requests.len(), 1);
            assert_eq!(untouched.lock().unwrap().connections, 0);
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_bound() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let ten = format!("{chunked}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n").leak();
        let eleven = format!("{chunked}5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n").leak();
        let endless = format!("{chunked}ffff\r\n{}", "0".repeat(0xfff)).leak();
        for (behaviour, read) in [
            (Peer::Answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"), true),
            (Peer::Answers("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a"), false),
            // The announced length alone is enough; the rest is not waited for.
            (Peer::AnswersInPart("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), false),
            (Peer::Answers(ten), true),
            (Peer::Answers(eleven), false),
            (Peer::AnswersInPart(endless), false),
        ] {
            match ask(behaviour, LONG).await {
                Ok(answer) => {
                    assert!(read);
                    assert_eq!(answer.body, "0123456789");
                }
                Err(error @ TransportError::Unknown(_)) => {
                    assert!(!read);
                    assert_eq!(fault(&error), Some(&TransportReason::TooLong(10)));
                }
                Err(error @ TransportError::NotSent(_)) => panic!("{error:?}"),
            }
        }
    }

    #[tokio::test]
    async fn after_the_request_left_every_failure_is_unknown() {
        for (behaviour, timeout, timed_out) in [
            (Peer::StaysSilent, SHORT, true),
            (Peer::AnswersInPart("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0"), SHORT, true),
            (Peer::HangsUp, LONG, false),
            (Peer::Answers("not HTTP at all\r\n\r\n"), LONG, false),
        ] {
            let error = ask(behaviour, timeout).await.unwrap_err();
            assert!(matches!(error, TransportError::Unknown(_)), "{error:?}");
            assert_eq!(
                fault(&error) == Some(&TransportReason::TimedOut(SHORT)),
                timed_out,
                "{error:?}"
            );
        }
    }

    #[tokio::test]
    async fn without_a_connection_nothing_was_sent() {
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (plain, _) = peer(Peer::Answers("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")).await;
        // Accepts the connection and never takes part in the TLS handshake.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let transport =
            HttpTransport::builder(AddressPolicy::any()).connect_timeout(SHORT).build().unwrap();
        for url in [
            format!("http://{refusing}/"),
            format!("https://{plain}/"),
            format!("https://{}/", silent.local_addr().unwrap()),
            "http://name.invalid/".into(),
        ] {
            let error = transport.send(get(url.as_str())).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{url}: {error:?}");
        }
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_sent_is_not_sent() {
        let transport = transport(AddressPolicy::any());
        for (url, expected) in [
            ("", TransportReason::Url(url::ParseError::RelativeUrlWithoutBase)),
            ("/path", TransportReason::Url(url::ParseError::RelativeUrlWithoutBase)),
            ("http://", TransportReason::Url(url::ParseError::EmptyHost)),
            ("ftp://127.0.0.1/", TransportReason::Scheme),
            ("file:///etc/passwd", TransportReason::Scheme),
            ("gopher://127.0.0.1/", TransportReason::Scheme),
        ] {
            let error = transport.send(get(url)).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{url}: {error:?}");
            assert_eq!(fault(&error), Some(&expected), "{url}");
        }
        for (name, value) in [("a b", "x"), ("ok", "x\r\ny: z")] {
            let headers = vec![(name, value.to_owned())];
            let request = Outgoing { headers, ..get("http://127.0.0.1:9/") };
            let error = transport.send(request).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{name}: {error:?}");
            assert_eq!(fault(&error), Some(&TransportReason::Header(name)));
        }
    }

    #[tokio::test]
    async fn no_spelling_of_a_private_address_is_called() {
        let (address, seen) =
            peer(Peer::Answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
        let port = address.port();
        let public = transport(AddressPolicy::public(Vec::new()));
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "0",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "10.0.0.1",
            "169.254.169.254",
            "192.168.0.1",
            "[fe80::1]",
            "[fd00::1]",
            "100.64.0.1",
        ] {
            let error = public.send(get(format!("http://{host}:{port}/"))).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{host}: {error:?}");
            assert!(
                matches!(fault(&error), Some(TransportReason::AddressBlocked(_))),
                "{host}: {error:?}"
            );
            let known = public.refuses(&format!("http://{host}:{port}/"));
            assert_eq!(known, Some(Refusal::Address), "{host}");
        }
        for host in ["localhost", "LOCALHOST", "localhost."] {
            let error = public.send(get(format!("http://{host}:{port}/"))).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{host}: {error:?}");
            let known = public.refuses(&format!("http://{host}:{port}/"));
            assert_eq!(known, Some(Refusal::Address), "{host}");
        }
        for url in ["https://psp.example/notify", "http://8.8.8.8/", "http://[2606:4700::1]/"] {
            assert_eq!(public.refuses(url), None, "{url}");
        }
        let any_port = AddressPolicy::public(Vec::new()).with_ports(vec![port]);
        let error =
            transport(any_port).send(get(format!("http://localhost:{port}/"))).await.unwrap_err();
        assert_eq!(fault(&error), Some(&TransportReason::HostBlocked));
        assert_eq!(seen.lock().unwrap().connections, 0);

        let allowed = transport(AddressPolicy::public(vec!["127.0.0.0/8".parse().unwrap()]));
        assert_eq!(allowed.refuses("http://10.0.0.1/"), Some(Refusal::Address));
        for host in ["127.0.0.1", "localhost"] {
            assert_eq!(allowed.refuses(&format!("http://{host}:{port}/")), None);
            assert!(allowed.send(get(format!("http://{host}:{port}/"))).await.is_ok(), "{host}");
        }
    }

    /// A name server of somebody who means harm: a public address at first, this machine from then
    /// on, and now and then both.
    #[tokio::test]
    async fn a_name_that_changes_its_address_leads_to_no_private_one() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let (address, seen) =
            peer(Peer::Answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
        let policy = AddressPolicy::public(Vec::new()).with_ports(vec![address.port()]);
        let mut builder = HttpTransport::builder(policy).connect_timeout(Duration::from_millis(50));
        builder.look_up = |_| {
            let public = SocketAddr::from(([192, 88, 98, 1], 0));
            let private = SocketAddr::from(([127, 0, 0, 1], 0));
            let answer = match ASKED.fetch_add(1, Ordering::Relaxed) {
                0 => vec![public],
                1 | 2 => vec![private],
                _ => vec![private, public],
            };
            Ok(answer)
        };
        let transport = builder.build().unwrap();
        let url = format!("http://rebinding.example:{}/", address.port());
        for _ in 0..5 {
            let error = transport.send(get(url.clone())).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{error:?}");
        }
        assert!(ASKED.load(Ordering::Relaxed) >= 5, "each connection looks up anew");
        assert_eq!(seen.lock().unwrap().connections, 0);
    }

    #[tokio::test]
    async fn connections_to_more_hosts_than_may_be_kept_end_with_their_answer() {
        const ANSWER: Peer = Peer::Answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let builder = HttpTransport::builder(AddressPolicy::any()).kept_hosts_max(1);
        let transport = builder.build().unwrap();
        for connections in [1, 3] {
            let (address, seen) = peer(ANSWER).await;
            for _ in 0..3 {
                transport.send(get(format!("http://{address}/"))).await.unwrap();
            }
            assert_eq!(seen.lock().unwrap().connections, connections);
        }
    }

    #[tokio::test]
    async fn ports_of_other_services_are_not_called() {
        let private = vec!["127.0.0.0/8".parse().unwrap()];
        let usual = transport(AddressPolicy::public(Vec::new()));
        let more = transport(AddressPolicy::public(Vec::new()).with_ports(vec![8443]));
        let near = transport(AddressPolicy::public(private));
        for (url, refused) in [
            ("https://psp.example/", [false, false, false]),
            ("http://psp.example/", [false, false, false]),
            ("http://8.8.8.8:443/", [false, false, false]),
            ("https://psp.example:8443/", [true, false, false]),
            ("https://8.8.8.8:8443/", [true, false, true]),
            ("http://8.8.8.8:25/", [true, true, true]),
            // Whether it is near is known when it is looked up.
            ("http://psp.example:6379/", [true, true, false]),
            ("http://127.0.0.1:6379/", [true, true, false]),
        ] {
            let got = [&usual, &more, &near].map(|transport| transport.refuses(url).is_some());
            assert_eq!(got, refused, "{url}");
        }
        let error = usual.send(get("http://8.8.8.8:25/".to_owned())).await.unwrap_err();
        assert_eq!(fault(&error), Some(&TransportReason::PortBlocked(25)));
        // A name on another port may only lead to where any port may be called.
        let private = vec!["127.0.0.0/8".parse().unwrap()];
        let mut builder = HttpTransport::builder(AddressPolicy::public(private));
        builder.look_up = |_| Ok(vec![SocketAddr::from(([8, 8, 8, 8], 0))]);
        let far = builder.build().unwrap();
        let error = far.send(get("http://psp.example:6379/".to_owned())).await.unwrap_err();
        assert_eq!(fault(&error), Some(&TransportReason::HostBlocked));
    }

    #[test]
    fn cryptography_can_be_installed_again_and_again() {
        install_crypto();
        install_crypto();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
