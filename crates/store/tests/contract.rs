//! The suite on the model: a case that the plainest store fails is a wrong case.
#![cfg(feature = "contract")]

use std::sync::Arc;

use gopay_store::contract::{CASES, Model, UnderTest, run_all};

async fn open() -> (UnderTest, ()) {
    (Arc::new(Model::default()), ())
}

gopay_store::contract_tests!(open);
gopay_store::sealing_tests!(open);

#[tokio::test]
async fn all_cases_run_in_a_row() {
    run_all(async || open().await.0).await;
}

/// A case that the list does not name would never run.
#[test]
fn every_case_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/contract");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let mut written: Vec<&str> = lines
        .filter_map(|line| line.strip_prefix("pub async fn ")?.strip_suffix("(store: UnderTest) {"))
        .collect();
    let mut listed = CASES.to_vec();
    written.sort_unstable();
    listed.sort_unstable();
    assert_eq!(written, listed);
}
