//! The file of exchange rates: what is read is one, and what is not names why.
#![no_main]

use gopay_finance::rates::Rates;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = Rates::read(bytes) {
        assert!(!error.to_string().is_empty());
    }
});
