//! The mapping of a report: TOML of an operator.
#![no_main]

use gopay_reconcile::input::mapping::Mapping;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let known = Mapping::read(None).expect("the default mapping is good");
    if let Err(error) = Mapping::read(Some(text)) {
        assert!(!error.to_string().is_empty());
    }
    // A file of the operator's never breaks what is there without it.
    drop(known);
});
