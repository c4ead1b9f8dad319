//! The pages in a real browser: Debian's Chromium, driven by `flows.js` through playwright-core, and
//! looked at by axe-core.
//!
//! Without `chromium`, `node` and `npm` there is nothing to drive; then the tests say so and pass, but
//! not under `CI=true`. `CHROMIUM` names another Chromium than the one in the path.
#![allow(clippy::indexing_slicing, reason = "a missing key fails the test, as it should")]

#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use support::Demo;
use support::node::{self, said, works};
use support::served::{Served, rates_of, settled_day, with_operators, with_settlements};

#[tokio::test]
async fn shoppers_pay_decline_and_come_back() {
    flows("paying", 12).await;
}

#[tokio::test]
async fn the_simulator_is_used_by_clicking() {
    flows("simulator", 5).await;
}

#[tokio::test]
async fn no_page_has_a_serious_fault_in_light_or_in_dark() {
    flows("accessible", 1).await;
}

#[tokio::test]
async fn operators_find_act_and_decide_in_the_console() {
    if tools().is_none() {
        return;
    }
    let operators =
        [("reader", "read"), ("ops", "operate"), ("ana", "finance"), ("budi", "finance")];
    let day = settled_day();
    let config = with_settlements(&with_operators("http://127.0.0.1:1/notify", &operators), &day);
    let served = Served::start_with(&config, &[("rates.csv", &rates_of(&day))]).await;
    // A settlement with a correction by two people.
    for approver in ["", "budi"] {
        let lines = format!(
            "id,contract,amount,reason,by,approved_by\nC-1,TESTCONTRACT,12.50,Charged twice,ana,{approver}\n"
        );
        std::fs::write(served.folder().join("corrections.csv"), lines).expect("written");
        run(&served, &["adjust", "--adjustments", "corrections.csv"], 0);
    }
    let settle = ["settle", "--frequency", "D", "--period", &day, "--out", "sets", "--by", "ana"];
    run(&served, &[settle.as_slice(), &["--approved"]].concat(), 0);
    // Money of an order that the journal does not have.
    let report = "Order ID,Payment type,Currency,Amount,Transaction status,Transaction Time\n\
                  7300000000000000002,gopay,IDR,9800.00,settlement,2026-10-05 13:15:00\n";
    std::fs::write(served.folder().join("report.csv"), report).expect("written");
    run(&served, &["reconcile", "--report", "report.csv", "--out", "out"], 1);
    flows_at(&served, "console", 12).await;
}

/// Runs the program in the folder of a config, beside what runs there.
fn run(served: &Served, args: &[&str], code: i32) {
    let run = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .current_dir(served.folder())
        .args(args)
        .args(["--config", "config.toml"])
        .status();
    assert_eq!(run.expect("the program starts").code(), Some(code), "{args:?}");
}

/// Runs a group of flows, so many at least, against a demo of its own.
async fn flows(group: &'static str, least: usize) {
    if tools().is_some() {
        flows_at(&Demo::start().await, group, least).await;
    }
}

/// Runs a group of flows against what is there.
async fn flows_at(demo: &Demo, group: &'static str, least: usize) {
    let Some((folder, chromium)) = tools() else { return };
    let mut command = Command::new("node");
    command
        .args(["flows.js", group])
        .current_dir(folder)
        .env("ADAPTER", &demo.adapter)
        .env("SIMULATOR", &demo.simulator)
        .env("ADMIN", &demo.admin)
        .env("CHROMIUM", chromium)
        .stdin(Stdio::null());
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.expect("it ran").expect("node starts");
    assert!(output.status.success(), "{group}: {}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let flows: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for flow in &flows {
        assert!(
            flow["error"].is_null(),
            "{}: {}",
            flow["name"],
            flow["error"].as_str().unwrap_or_default()
        );
    }
    assert!(flows.len() >= least, "{group}: only {} flows: {text}", flows.len());
}

/// Where the driver is installed, and the browser.
fn tools() -> Option<&'static (PathBuf, PathBuf)> {
    static TOOLS: OnceLock<Option<(PathBuf, PathBuf)>> = OnceLock::new();
    TOOLS.get_or_init(|| Some((installed()?, chromium()?))).as_ref()
}

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("chromium"));
    let all = named.into_iter().chain(found);
    let first = all.into_iter().find(|program| works(program));
    first.or_else(|| skip("chromium is not installed"))
}

/// A copy of `tests/browser` with the driver in it.
fn installed() -> Option<PathBuf> {
    node::installed("browser", "browser", "flows.js").map_or_else(|why| skip(&why), Some)
}

/// Says loudly why nothing was tested; that is a failure where all tools must be there.
fn skip<T>(why: &str) -> Option<T> {
    gopay_testkit::not_tested(&format!("the pages in a real browser: {why}"));
    None
}
