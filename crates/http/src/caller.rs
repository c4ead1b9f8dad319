//! Who calls, as far as the connection proves it.

use std::sync::Arc;

use gopay_inbound::Peer;
use gopay_service::{Caller, Certificate};

pub(crate) fn caller(peer: &Peer) -> Caller {
    let certificate = peer.certificate.as_ref().map(|shown| Certificate {
        fingerprint: shown.fingerprint,
        subject: Arc::clone(&shown.subject),
    });
    Caller { source: peer.source, certificate }
}
