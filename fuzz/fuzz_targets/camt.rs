//! A bank's statement, camt.053.
#![no_main]

use gopay_fuzz::in_a_file;
use gopay_reconcile::input::camt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    in_a_file("camt", bytes, |path| {
        let (one, other) = (camt::read(path), camt::read(path));
        match (one, other) {
            (Ok(one), Ok(other)) => assert_eq!(one.entries.len(), other.entries.len()),
            (Err(one), Err(other)) => {
                let said = one.to_string();
                assert!(!said.is_empty() && said == other.to_string(), "{said}");
            }
            (one, other) => panic!("{one:?}, then {other:?}"),
        }
    });
});
