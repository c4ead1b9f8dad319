//! TLS: whom a certificate is believed, and what is said to whom it is not.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::peer::read_request;
use super::*;

/// A peer that has a certificate of nobody whom the system knows; how many requests it has seen.
async fn unknown_peer() -> (SocketAddr, Arc<AtomicUsize>) {
    install_crypto();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await
                && read_request(&mut stream).await.is_some()
            {
                log.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    (address, seen)
}

#[tokio::test]
async fn a_peer_without_a_certificate_that_the_system_believes_is_sent_nothing() {
    for transport in under(AddressPolicy::any()) {
        let (address, seen) = unknown_peer().await;
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("https://{host}:{}/", address.port());
            let error = transport.send(get(url.as_str())).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{url}: {error:?}");
            assert!(format!("{error:?}").contains("UnknownIssuer"), "{url}: {error:?}");
        }
        assert_eq!(seen.load(Ordering::Relaxed), 0);
    }
}
