//! The config file: TOML of an operator.
#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the program uses more of it")]

#[path = "../../src/config/mod.rs"]
mod config;
#[path = "../../src/store/url.rs"]
mod place;
mod store {
    pub(crate) use crate::place::StoreUrl;
}

use config::{Outside, parse};
use libfuzzer_sys::fuzz_target;

/// What every variable and every file holds: nobody may be told of it.
const SECRET: &str = "a-secret-that-stands-nowhere-else";

fuzz_target!(|text: &str| {
    let told = read(text);
    assert_eq!(told, read(text), "the same file, the same answer");
    for line in told {
        assert!(!line.contains(SECRET), "{line}");
    }
});

/// Everything that is said of a config; a problem names its key.
fn read(text: &str) -> Vec<String> {
    let outside = Outside {
        variable: Box::new(|_| Some(SECRET.to_owned())),
        file: Box::new(|_| Ok(SECRET.to_owned())),
        open_to_all: Box::new(|_| false),
    };
    match parse(text, &outside) {
        Ok((config, _)) => config.warnings.iter().map(ToString::to_string).collect(),
        Err(problems) => {
            assert!(!problems.is_empty());
            let named = |problem: &config::Problem| {
                assert!(!problem.key.is_empty() && !problem.wrong.is_empty());
                problem.to_string()
            };
            problems.iter().map(named).collect()
        }
    }
}
