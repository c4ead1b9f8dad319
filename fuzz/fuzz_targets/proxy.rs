//! What proxies say about a source: the PROXY protocol, and headers.
#![no_main]

use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use gopay_inbound::{Proxies, Says, announced};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

/// The longest header: signature, command, family, length, and the rest of version 2.
const HEADER_BYTES_MAX: usize = 16 + 4 * 1024;

fuzz_target!(|bytes: &[u8]| {
    if let Some((source, taken)) = protocol(bytes) {
        assert!(taken <= HEADER_BYTES_MAX, "{taken}");
        assert!(source.is_none_or(|source| source == source.to_canonical()));
        // What comes behind it changes nothing, and is left there.
        let (header, _) = bytes.split_at(taken);
        assert_eq!(protocol(header), Some((source, taken)));
        assert_eq!(protocol(&[header, b"GET /"].concat()), Some((source, taken)));
        for cut in 0..taken.min(200) {
            assert_eq!(protocol(header.split_at(cut).0), None, "cut after {cut}");
        }
    }
    header(bytes);
});

/// What a header of the protocol says, and how long it is.
fn protocol(bytes: &[u8]) -> Option<(Option<IpAddr>, usize)> {
    let mut rest = bytes;
    let read = {
        let mut reading = pin!(announced(&mut rest));
        match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => read,
            Poll::Pending => panic!("all bytes are there"),
        }
    };
    Some((read.ok()?, bytes.len() - rest.len()))
}

/// What the last proxy added counts, whatever stands before it.
fn header(bytes: &[u8]) {
    const NAME: HeaderName = HeaderName::from_static("x-forwarded-for");
    let proxies =
        Proxies { from: vec!["10.0.0.0/8".parse().expect("a network")], says: Says::Header(NAME) };
    let source = |text: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.append(NAME, HeaderValue::from_bytes(text).ok()?);
        Some(proxies.source(&headers))
    };
    let Some(said) = source(bytes) else { return };
    let added = |address: &str| source(&[bytes, b", ", address.as_bytes()].concat());
    let stranger = "198.51.100.7";
    assert_eq!(added(stranger), Some(Some(stranger.parse().expect("an address"))));
    assert_eq!(added("10.0.0.9"), Some(said), "a proxy of ours says nothing of itself");
}
