//! The config file: TOML of an operator.
#![no_main]

use gopay_adapter::check_config_text;
use libfuzzer_sys::fuzz_target;

/// What every variable and every file holds: nobody may be told of it.
const SECRET: &str = "a-secret-that-stands-nowhere-else";

fuzz_target!(|text: &str| {
    let said = check_config_text(text, SECRET);
    assert_eq!(said, check_config_text(text, SECRET), "the same file, the same answer");
    if let Err(problems) = &said {
        assert!(!problems.is_empty());
        for problem in problems {
            let (key, wrong) = problem.split_once(": ").expect("a key and what is wrong with it");
            assert!(!key.is_empty() && !wrong.is_empty());
        }
    }
    for line in said.unwrap_or_else(|problems| problems) {
        assert!(!line.contains(SECRET), "{line}");
    }
});
