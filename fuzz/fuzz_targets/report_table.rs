//! A report or statement as CSV or XLSX, whose columns nobody has named: it is sampled, and a mapping is
//! proposed that must be one.
#![no_main]

use gopay_fuzz::in_a_file;
use gopay_reconcile::input::mapping::Mapping;
use gopay_reconcile::input::propose::propose;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    in_a_file("table", bytes, |path| match propose(path) {
        Ok(proposal) => {
            let read = Mapping::read(Some(&proposal.toml));
            assert!(!proposal.complete || read.is_ok(), "{}: {read:?}", proposal.toml);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    });
});
