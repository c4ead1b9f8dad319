//! What both ways over the network keep to, whoever is at the other end.

mod kept;
mod peer;
mod rules;
mod tls;

use std::error::Error;
use std::sync::Arc;

use crate::*;

/// Both ways with the same settings.
fn both(settings: &HttpTransportBuilder) -> [Arc<dyn Transport>; 2] {
    [Arc::new(settings.clone().build().unwrap()), Arc::new(settings.clone().build_hyper().unwrap())]
}

fn under(policy: AddressPolicy) -> [Arc<dyn Transport>; 2] {
    both(&HttpTransport::builder(policy))
}

fn get(url: impl Into<String>) -> Outgoing {
    Outgoing {
        method: Method::Get,
        url: url.into(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: LONG,
        reply_bytes_max: 10,
    }
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

#[test]
fn nothing_confidential_is_printed() {
    let request = Outgoing {
        method: Method::Post,
        url: "https://user:hidden1@example.com/hidden2?a=hidden3".into(),
        headers: vec![("authorization", "hidden4".into())],
        body: Bytes::from_static(b"hidden5"),
        timeout: Duration::from_secs(1),
        reply_bytes_max: 10,
    };
    let answer = Incoming { status: 200, body: Bytes::from_static(b"hidden6"), date: None };
    let shown = format!("{request:?} {answer:?}");
    assert!(!shown.contains("hidden"), "{shown}");
    for part in ["Post", "https://example.com", "authorization", "200", "body_bytes: 7"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}
