//! The snippets of `docs/snippets`, in each language that is at hand: the vectors, and a call.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gopay_core::ppro::hash::nested;
use serde_json::Value;

use crate::support::Demo;

/// A program, and what it is given.
type Language = (&'static str, &'static [&'static str]);

/// How a snippet is run.
const LANGUAGES: [Language; 7] = [
    ("bash", &["snippet.sh"]),
    ("python3", &["snippet.py"]),
    ("node", &["snippet.js"]),
    ("php", &["snippet.php"]),
    ("ruby", &["snippet.rb"]),
    ("go", &["run", "snippet.go"]),
    ("java", &["Snippet.java"]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/snippets")
}

fn vectors() -> Value {
    let text = std::fs::read_to_string(folder().join("vectors.json")).expect("the vectors");
    serde_json::from_str(&text).expect("JSON")
}

fn run(language: &Language, args: &[&str]) -> Output {
    let (program, script) = language;
    Command::new(program)
        .args(*script)
        .args(args)
        .current_dir(folder())
        // Go keeps what it has built; nothing is fetched.
        .env("GOFLAGS", "-mod=mod")
        .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"))
        .output()
        .expect("it runs")
}

fn said(language: &Language, args: &[&str]) -> String {
    let output = run(language, args);
    assert!(output.status.success(), "{} {args:?}: {output:?}", language.0);
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// Those that are at hand. Which are not is told, and fails under `CI=true`.
fn at_hand() -> Vec<&'static Language> {
    let mut there = Vec::new();
    for language in &LANGUAGES {
        let (program, _) = language;
        let asked = if *program == "go" { "version" } else { "--version" };
        let works = Command::new(program).arg(asked).output();
        if works.is_ok_and(|output| output.status.success()) {
            there.push(language);
        } else {
            gopay_testkit::not_tested(&format!("{program} is missing: its snippet"));
        }
    }
    assert!(!there.is_empty(), "not even a shell");
    there
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn the_vectors_are_what_the_adapter_computes() {
    let vectors = vectors();
    for one in vectors["return"].as_array().expect("a list") {
        let hash =
            nested(text(one, "txid"), text(one, "redirectsecret"), text(one, "sharedsecret"));
        assert_eq!(hash, text(one, "cs"));
        assert!(text(one, "query").ends_with(&format!("&cs={hash}")));
    }
    for one in vectors["notification"].as_array().expect("a list") {
        let (txid, time) = (text(one, "txid"), text(one, "finaltimestamp"));
        let hash = nested(txid, time, text(one, "notificationsecret"));
        assert_eq!(hash, text(one, "sha256hash"));
        let id = txid.parse().expect("an id");
        let at = gopay_core::time::Timestamp::from_rfc3339(time).expect("a time");
        let secret = text(one, "notificationsecret");
        let body = gopay_core::ppro::hash::notification_body(id, at, secret);
        assert_eq!(body, text(one, "body"));
    }
}

#[test]
fn every_language_computes_the_vectors_and_refuses_what_is_forged() {
    let vectors = vectors();
    let (back, told) = (&vectors["return"][0], &vectors["notification"][0]);
    let (redirect, shared) = (text(back, "redirectsecret"), text(back, "sharedsecret"));
    let secret = text(told, "notificationsecret");
    for language in at_hand() {
        let name = language.0;
        let hash = said(language, &["hash", text(back, "txid"), redirect, shared]);
        assert_eq!(hash, text(back, "cs"), "{name}");
        let returned = |query: &str| said(language, &["return", query, redirect, shared]);
        assert_eq!(returned(text(back, "query")), "genuine", "{name}");
        for query in vectors["forged_return"].as_array().expect("a list") {
            assert_eq!(returned(query.as_str().expect("text")), "forged", "{name}: {query}");
        }
        let notified = |body: &str| said(language, &["notification", body, secret]);
        assert_eq!(notified(text(told, "body")), "200 OK", "{name}");
        for body in vectors["forged_notification"].as_array().expect("a list") {
            let answer = notified(body.as_str().expect("text"));
            assert_eq!(answer, "403 wrong sha256hash", "{name}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_opens_a_payment() {
    let demo = Demo::start().await;
    for language in at_hand() {
        let txid = said(language, &["call", &demo.adapter]);
        assert_eq!(demo.status(&txid).await["STATUS"], "PENDING", "{}: {txid}", language.0);
    }
}
