//! Clients' certificates: fingerprint and subject.
#![no_main]

use gopay_inbound::ClientCertificate;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};

fuzz_target!(|der: &[u8]| {
    let read = ClientCertificate::of(der);
    assert_eq!(read.fingerprint, <[u8; 32]>::from(Sha256::digest(der)));
    assert_eq!(read, ClientCertificate::of(der));
    // A subject is bound to a login as it stands, so what is no certificate must have none.
    if !der.starts_with(&[0x30]) {
        assert_eq!(&*read.subject, "");
    }
    // A text in the log is one line of it.
    assert!(read.subject.len() <= 10 * der.len() + 100, "{} bytes", read.subject.len());
});
