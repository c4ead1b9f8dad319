//! Every backend decodes a body alike: the call, its faults, and its charge.
#![no_main]

use std::time::Duration;

use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::{Backend, Form, Scratch};
use gopay_core::ppro::transaction::Terms;
use gopay_core::rejection::Rejection;
use gopay_core::time::Timestamp;
use gopay_core::translate::{ChargeTerms, translate_into};
use libfuzzer_sys::fuzz_target;

/// All that a form says.
#[derive(Debug, PartialEq)]
struct Read {
    known: Vec<(Option<String>, Option<Rejection>)>,
    others: Vec<(String, String)>,
    other_fault: Option<Rejection>,
    specin: u32,
}

fn read(backend: Backend, body: &[u8]) -> Read {
    // A scratch that was used before must not show through.
    let mut scratch = Scratch::with_backend(backend);
    Form::decode(b"tag=before&foo=before&specin.email=%C3%A9%0A%00%", &mut scratch);
    let (form, _) = Form::decode(body, &mut scratch);
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Read {
        known: Field::ALL
            .iter()
            .map(|field| (form.get(*field).map(str::to_owned), form.fault(*field)))
            .collect(),
        others: form.other_specin().map(owned).collect(),
        other_fault: form.other_fault(),
        specin: form.specin_count(),
    }
}

fn translated(backend: Backend, body: &[u8]) -> Result<Vec<u8>, Rejection> {
    let terms = ChargeTerms {
        order_id: "123887123".parse().expect("a constant id"),
        order_time: Timestamp::from_micros(1_750_494_860_000_000),
        session: Duration::from_secs(3_600),
        return_url: "https://pay.example/return/gopay/123887123/",
    };
    let (mut scratch, mut out) = (Scratch::with_backend(backend), Vec::new());
    translate_into(body, Terms::OPEN, &terms, &mut scratch, &mut out).map(|()| out)
}

fuzz_target!(|body: &[u8]| {
    // Short bodies do not fill a block; the same further on crosses other borders.
    for shift in [0, 1, 61, 62, 63, 1_022] {
        let mut shifted = vec![b'x'; shift];
        if shift > 0 {
            shifted.push(b'&');
        }
        shifted.extend_from_slice(body);
        let expected = read(Backend::Scalar, &shifted);
        let charge = translated(Backend::Scalar, &shifted);
        for backend in Backend::available() {
            assert_eq!(read(backend, &shifted), expected, "{backend:?} after {shift}");
            assert_eq!(translated(backend, &shifted), charge, "{backend:?} after {shift}");
        }
    }
});
