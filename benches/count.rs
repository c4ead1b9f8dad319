//! How many instructions each call takes, counted by callgrind, so that a slow-down is seen in
//! review on any machine. Valgrind knows no AVX-512: counted is the AVX2
//! backend, and on a processor without AVX2 the SSE2 one, which takes a fifth to a half more.
//!
//! `cargo bench --bench count` compares with `benches/counts.txt` and fails if a call of the product
//! has become more than 2% dearer; `cargo bench --bench count -- --record` writes the file anew.
#![allow(clippy::print_stdout, reason = "a table of figures")]

mod wired;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use gopay_core::ppro::call;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::transaction::Terms;
use gopay_core::translate::translate_into;
use gopay_testkit::{baseline, payloads, product, ready_made};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.txt");

/// Counts may differ this much by where the linker puts things.
const TOLERANCE_PERCENT: u64 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["repeat", case, times] => {
            let times: u32 = times.parse().expect("how often");
            let mut call = case_of(case);
            (0..times).for_each(|_| call());
            ExitCode::SUCCESS
        }
        ["--record"] => {
            std::fs::write(FILE, table(&counted())).expect("a place for the counts");
            ExitCode::SUCCESS
        }
        _ => compare(),
    }
}

fn cases() -> Vec<String> {
    let mut cases = Vec::new();
    for (name, _) in payloads::all() {
        cases.push(format!("translate/{name}"));
        cases.push(format!("translate/{name}/baseline"));
        cases.push(format!("translate/{name}/ready_made"));
        cases.push(format!("beside/{name}"));
    }
    cases.push("reject/full".to_owned());
    for (name, _) in wired::all() {
        cases.push(format!("wire/{name}"));
        cases.push(format!("wire/{name}/baseline"));
    }
    cases
}

fn case_of(case: &str) -> Box<dyn FnMut()> {
    let words: Vec<&str> = case.split('/').collect();
    let payload = |name: &str| {
        payloads::all().into_iter().find(|(known, _)| *known == name).expect("a payload").1
    };
    let terms = product::charge_terms();
    match words.as_slice() {
        ["translate", name] => own(payload(name)),
        ["translate", name, "baseline"] => {
            let body = payload(name);
            Box::new(move || {
                black_box(baseline::translate(black_box(&body), Terms::OPEN, &terms))
                    .expect("good");
            })
        }
        ["translate", name, "ready_made"] => {
            let (body, mut buffers) = (payload(name), ready_made::Buffers::default());
            Box::new(move || {
                let done = buffers.translate(black_box(&body), Terms::OPEN, &terms);
                black_box(done).expect("good");
            })
        }
        ["beside", name] => beside(&payload(name)),
        ["reject", name] => {
            let body = String::from_utf8(payload(name)).expect("ASCII");
            own(body.replace("amount=38750000", "amount=38750100").into_bytes())
        }
        [_, name, rest @ ..] => {
            let pair = wired::all().into_iter().find(|(known, _)| known == name).expect("a case").1;
            if rest.is_empty() { pair.product } else { pair.obvious }
        }
        _ => panic!("no such case: {case}"),
    }
}

/// What the service does with a call beside its translation: one call of each, over the form that is
/// decoded once.
fn beside(body: &[u8]) -> Box<dyn FnMut()> {
    let scratch: &'static mut Scratch = Box::leak(Box::default());
    let (form, _) = Form::decode(body, scratch);
    Box::new(move || {
        let form = black_box(&form);
        black_box((call::record(form), call::fingerprint(form)));
    })
}

fn own(body: Vec<u8>) -> Box<dyn FnMut()> {
    let terms = product::charge_terms();
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    Box::new(move || {
        let done = translate_into(black_box(&body), Terms::OPEN, &terms, &mut scratch, &mut out);
        let _ = black_box(done);
        black_box(out.as_slice());
    })
}

/// Instructions of one call of each case.
fn counted() -> BTreeMap<String, u64> {
    cases().into_iter().map(|case| (case.clone(), one_call(&case))).collect()
}

/// The difference between many calls and fewer, so that the start costs nothing.
fn one_call(case: &str) -> u64 {
    const FEW: u64 = 20;
    const MANY: u64 = 60;
    let total = |times: u64| {
        let own = std::env::current_exe().expect("this program");
        let done = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(own)
            .args(["repeat", case, &times.to_string()])
            .output()
            .expect("valgrind, which must be installed");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let count = said.lines().find_map(|line| line.split("Collected :").nth(1));
        count.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or_else(|| panic!("{said}"))
    };
    total(MANY).saturating_sub(total(FEW)) / (MANY - FEW)
}

fn table(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().fold(String::new(), |mut table, (case, count)| {
        let _ = writeln!(table, "{case} {count}");
        table
    })
}

fn compare() -> ExitCode {
    let recorded = std::fs::read_to_string(FILE).unwrap_or_default();
    let recorded: BTreeMap<&str, u64> = recorded
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(case, count)| Some((case, count.parse().ok()?)))
        .collect();
    let counts = counted();
    let mut good = true;
    println!("{:34} {:>9} {:>9} {:>11}", "instructions a call", "recorded", "now", "of baseline");
    for (case, count) in &counts {
        let before = recorded.get(case.as_str()).copied().unwrap_or(0);
        let obvious = counts.get(&format!("{case}/baseline"));
        let share = obvious.map_or(String::new(), |obvious| {
            format!("{}.{:02}", count / obvious, count * 100 / obvious % 100)
        });
        let dearer = count * 100 > before * (100 + TOLERANCE_PERCENT);
        let ours = !case.ends_with("/baseline") && !case.ends_with("/ready_made");
        let bad = dearer && ours;
        good &= !bad;
        let mark = if bad { "  DEARER" } else { "" };
        println!("{case:34} {before:9} {count:9} {share:>11}{mark}");
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
