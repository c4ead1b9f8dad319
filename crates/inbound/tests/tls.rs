//! Listeners under TLS and behind proxies, as a client sees them.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what is missing fails the test, as it should"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use gopay_inbound::{
    Bounds, ClientFiles, Listener, Patience, Peer, Proxies, Says, Tls, TlsFile, TlsFiles,
    TlsVersion, bind, serve,
};
use gopay_testkit::authority::{Authority, Signed, Valid};
use gopay_testkit::wait;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A folder with the files of a listener.
struct Files {
    folder: TempDir,
    authority: Authority,
    clients: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new("servers"),
            clients: Authority::new("clients"),
        };
        files.renew();
        files.write("clients.pem", files.clients.certificate());
        files.write("revoked.pem", &files.clients.revoking(&[13]));
        files
    }

    /// Another certificate and key for the listener.
    fn renew(&self) {
        let server = self.authority.server(&["localhost"]);
        self.write("server.pem", &server.certificate);
        self.write("server.key", &server.key);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn tls(&self, clients: Option<bool>) -> TlsFiles {
        let path = |name: &str| self.folder.path().join(name);
        TlsFiles {
            certificates: path("server.pem"),
            key: path("server.key"),
            oldest: TlsVersion::V12,
            clients: clients.map(|required| ClientFiles {
                authorities: path("clients.pem"),
                revoked: Some(path("revoked.pem")),
                required,
            }),
        }
    }

    fn connector(&self, client: Option<&Signed>) -> TlsConnector {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.authority.certificate().as_bytes());
        roots.add(root.unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let chain = CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        TlsConnector::from(Arc::new(config))
    }
}

struct Served {
    address: SocketAddr,
    tls: Option<Tls>,
    stop: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

/// A listener that says who asks.
async fn served(tls: Option<TlsFiles>, proxies: Option<Proxies>, bounds: Bounds) -> Served {
    let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let tls = tls.map(|files| Tls::new(files.load().unwrap()));
    let listener =
        Listener::new(socket, bounds).with_tls(tls.clone()).with_proxies(proxies.map(Arc::new));
    let address = listener.address().unwrap();
    let say = |Extension(peer): Extension<Peer>| async move {
        let certificate = peer.certificate.map(|it| {
            let hex: String = it.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{} {hex}", it.subject)
        });
        format!("{} {}", peer.source, certificate.unwrap_or_default())
    };
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    serve(&mut tasks, listener, Router::new().route("/", get(say)), &stopped);
    Served { address, tls, stop, _tasks: tasks }
}

/// Sends a request and reads its answer: head and body.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
) -> std::io::Result<String> {
    stream.write_all(request).await?;
    let mut text = String::new();
    let mut buffer = [0; 1_024];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        if text.contains("\r\n\r\n") {
            return Ok(text);
        }
    }
}

/// What a client with this certificate is told; with TLS 1.3 a refusal shows in its first answer.
async fn answer_of(served: &Served, connector: &TlsConnector) -> std::io::Result<String> {
    let stream = TcpStream::connect(served.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await?;
    let answer = ask(&mut stream, REQUEST).await?;
    Ok(answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let files = Files::new();
    let served = served(Some(files.tls(Some(true))), None, Bounds::connections(8)).await;
    let client = files.clients.client("alpha", 1, Valid::Now);
    let answer = answer_of(&served, &files.connector(Some(&client))).await.unwrap();
    let fingerprint: String =
        Sha256::digest(&client.der).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(answer, format!("127.0.0.1 CN=alpha,O=PSP {fingerprint}"));
}

#[tokio::test]
async fn a_certificate_that_is_not_good_ends_with_the_handshake() {
    let files = Files::new();
    let served = served(Some(files.tls(Some(true))), None, Bounds::connections(8)).await;
    let strangers = Authority::new("clients");
    for (what, client) in [
        ("none", None),
        ("expired", Some(files.clients.client("alpha", 2, Valid::Expired))),
        ("foreign", Some(strangers.client("alpha", 3, Valid::Now))),
        ("revoked", Some(files.clients.client("alpha", 13, Valid::Now))),
        ("a server's", Some(files.clients.server(&["alpha"]))),
    ] {
        assert!(answer_of(&served, &files.connector(client.as_ref())).await.is_err(), "{what}");
    }
    // None of it costs the next one anything.
    let good = files.clients.client("alpha", 1, Valid::Now);
    assert!(answer_of(&served, &files.connector(Some(&good))).await.is_ok());
}

#[tokio::test]
async fn where_certificates_are_only_requested_who_has_none_is_nobody() {
    let files = Files::new();
    let served = served(Some(files.tls(Some(false))), None, Bounds::connections(8)).await;
    assert_eq!(answer_of(&served, &files.connector(None)).await.unwrap(), "127.0.0.1 ");
    let expired = files.clients.client("alpha", 2, Valid::Expired);
    assert!(answer_of(&served, &files.connector(Some(&expired))).await.is_err());
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart_and_old_connections_end() {
    let files = Files::new();
    let served = served(Some(files.tls(None)), None, Bounds::connections(8)).await;
    let (tls, connector) = (served.tls.clone().unwrap(), files.connector(None));
    let connect = async || {
        let stream = TcpStream::connect(served.address).await.unwrap();
        connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    };
    let shown = |stream: &tokio_rustls::client::TlsStream<TcpStream>| {
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let mut first = connect().await;
    ask(&mut first, REQUEST).await.unwrap();
    // The same again changes nothing.
    tls.replace(files.tls(None).load().unwrap());
    ask(&mut first, REQUEST).await.unwrap();
    files.renew();
    tls.replace(files.tls(None).load().unwrap());
    let second = connect().await;
    assert_ne!(shown(&first), shown(&second));
    assert!(ask(&mut first, REQUEST).await.is_err(), "the old connection is closed");
}

#[tokio::test]
async fn files_are_read_again_and_bad_ones_are_not_used() {
    let files = Files::new();
    let served = served(Some(files.tls(Some(true))), None, Bounds::connections(8)).await;
    let tls = served.tls.clone().unwrap();
    tokio::spawn(tls.watch_files(Duration::from_millis(10), served.stop.subscribe()));
    let client = files.clients.client("alpha", 1, Valid::Now);
    let connector = files.connector(Some(&client));
    files.write("revoked.pem", "not a list");
    let holds = async || answer_of(&served, &connector).await.is_ok();
    wait::throughout(Duration::from_millis(100), "the old list holds", holds).await;
    files.write("revoked.pem", &files.clients.revoking(&[13, 1]));
    let refused = async { while answer_of(&served, &connector).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("revoked meanwhile");
}

#[test]
fn each_bad_file_is_named() {
    let cases: [(&str, Option<&str>, TlsFile, &str); 8] = [
        ("server.pem", None, TlsFile::Certificates, "No such file"),
        ("server.pem", Some("nothing"), TlsFile::Certificates, "holds none"),
        ("server.key", None, TlsFile::Key, "No such file"),
        ("server.key", Some("nothing"), TlsFile::Key, "not PEM"),
        ("clients.pem", Some(""), TlsFile::Authorities, "holds none"),
        ("clients.pem", None, TlsFile::Authorities, "No such file"),
        ("revoked.pem", Some("nothing"), TlsFile::Revoked, "holds none"),
        ("revoked.pem", None, TlsFile::Revoked, "No such file"),
    ];
    for (name, content, role, why) in cases {
        let files = Files::new();
        let path = files.folder.path().join(name);
        match content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = files.tls(Some(true)).load().unwrap_err();
        let said = error.described();
        assert_eq!((error.role, error.path.as_path()), (role, Path::new(&path)), "{said}");
        assert!(said.starts_with(&format!("{}: ", path.display())) && said.contains(why), "{said}");
    }
    let files = Files::new();
    files.write("server.key", &files.authority.server(&["localhost"]).key);
    let error = files.tls(None).load().unwrap_err();
    assert_eq!(error.role, TlsFile::Key, "a key of another certificate");
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_closed() {
    let files = Files::new();
    let long = Duration::from_secs(60);
    let patience = Patience { idle: long, head: Duration::from_millis(50), write: long };
    let bounds = Bounds { connections_max: 8, patience };
    let served = served(Some(files.tls(None)), None, bounds).await;
    // Nothing at all, the beginning of a hello, and no TLS.
    for begin in [&b""[..], b"\x16\x03\x01\x02\x00\x01", REQUEST] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        let mut rest = Vec::new();
        let closed = stream.read_to_end(&mut rest);
        let _ = tokio::time::timeout(Duration::from_secs(20), closed).await.expect("closed");
        assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    }
    // A handshake that is done does not begin the time anew.
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = files.connector(None).connect(name, stream).await.unwrap();
    let mut rest = Vec::new();
    let closed = stream.read_to_end(&mut rest);
    let _ = tokio::time::timeout(Duration::from_secs(20), closed).await.expect("closed");
}

#[tokio::test]
async fn old_versions_are_spoken_only_where_they_may_be() {
    let files = Files::new();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    for (oldest, works) in [(TlsVersion::V12, true), (TlsVersion::V13, false)] {
        let tls = TlsFiles { oldest, ..files.tls(None) };
        let served = served(Some(tls), None, Bounds::connections(8)).await;
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(files.authority.certificate().as_bytes());
        roots.add(root.unwrap()).unwrap();
        let old = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let answer = answer_of(&served, &TlsConnector::from(Arc::new(old))).await;
        assert_eq!(answer.is_ok(), works, "{oldest:?}");
        assert!(answer_of(&served, &files.connector(None)).await.is_ok(), "{oldest:?}");
    }
}

#[tokio::test]
async fn a_proxy_says_where_a_connection_comes_from_also_under_tls() {
    let files = Files::new();
    let proxies = Proxies { from: vec!["127.0.0.0/8".parse().unwrap()], says: Says::ProxyProtocol };
    let served = served(Some(files.tls(None)), Some(proxies), Bounds::connections(8)).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"PROXY TCP4 198.51.100.7 192.0.2.1 1 2\r\n").await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = files.connector(None).connect(name, stream).await.unwrap();
    assert!(ask(&mut stream, REQUEST).await.unwrap().ends_with("\r\n\r\n198.51.100.7 "));
    assert!(answer_of(&served, &files.connector(None)).await.is_err(), "without its header");
}

#[tokio::test]
async fn what_others_say_about_a_source_is_not_listened_to() {
    let header = Says::Header("x-forwarded-for".parse().unwrap());
    let from = |net: &str| vec![net.parse().unwrap()];
    let claimed = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.66, 198.51.100.7\r\n\r\n";
    for (proxies, source) in [
        (Some(Proxies { from: from("127.0.0.0/8"), says: header.clone() }), "198.51.100.7"),
        (Some(Proxies { from: from("10.0.0.0/8"), says: header }), "127.0.0.1"),
        (Some(Proxies { from: from("10.0.0.0/8"), says: Says::ProxyProtocol }), "127.0.0.1"),
        (None, "127.0.0.1"),
    ] {
        let served = served(None, proxies.clone(), Bounds::connections(8)).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let answer = ask(&mut stream, claimed).await.unwrap();
        assert!(answer.ends_with(&format!("\r\n\r\n{source} ")), "{proxies:?}: {answer}");
    }
}
