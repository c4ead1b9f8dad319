//! The same store on PostgreSQL gives the same bytes.

use std::process::Command;

use gopay_store_postgres::cluster::{Cluster, Durability};

use crate::settle::filled;
use crate::shop::{Shop, ended, files, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_store_on_the_other_engine_gives_the_same_files() {
    let start = || Cluster::start(Durability::Off).expect("PostgreSQL starts");
    let cluster = tokio::task::spawn_blocking(start).await.expect("no panic");
    // It has said that nothing was tested.
    let Some(cluster) = cluster else { return };
    let mut shop = Shop::new();
    filled(&mut shop).await;
    shop.settle("2026-01-01").done();
    // What two people answer for, and a run of reconciliation, go with the store.
    let approved = shop.approved("adjustments.csv", &["p-1,SHOP,-1.00,x"]);
    let first = reconciled(&shop, "recon-1", &[]);
    let url = cluster.empty().await.expect("a database");
    let from = format!("sqlite:{}", shop.path("gopay.db").display());
    let mut copy = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
    copy.args(["--log", "warn", "copy-store", "--from", &from, "--to", &url]);
    ended(&copy.output().expect("it runs")).done();
    let config = std::fs::read_to_string(shop.path("config.toml")).expect("a file");
    let days = ["2026-01-02", "2026-01-03", "2026-01-04"];
    let settle = |day: &str| {
        let more = ["--adjustments", text(&approved)];
        shop.settle_with("D", day, if day == "2026-01-02" { &more } else { &[] }).done()
    };
    days.iter().for_each(|day| drop(settle(day)));
    let second = reconciled(&shop, "recon-2", &decision(&shop, &first));
    let on_sqlite = files(&shop.out());
    let day = |name: &str| {
        let out = shop.path(name);
        shop.run("process-files", &["--day", "2026-01-03", "--out", text(&out)]).done();
        files(&out)
    };
    let processed = day("days-sqlite");

    std::fs::remove_dir_all(shop.out()).expect("removed");
    let moved = config.replace(&from, &url);
    assert_ne!(moved, config);
    std::fs::write(shop.path("config.toml"), moved).expect("written");
    // The first was closed before it was copied; the others are closed here.
    assert!(shop.settle("2026-01-01").done().contains("written again"));
    for day in days {
        assert!(settle(day).contains(": closed: "));
    }
    assert_eq!(files(&shop.out()), on_sqlite);
    assert_eq!(day("days-postgres"), processed);
    let out = shop.out();
    shop.run("verify-files", &[text(&out)]).done();
    assert_eq!(reconciled(&shop, "recon-3", &decision(&shop, &first)), second);
    assert!(second.contains(",accept,known,Ana,,"), "{second}");
}

/// The list of breaks of a run against an export that lacks every payment.
fn reconciled(shop: &Shop, out: &str, more: &[String]) -> String {
    let row = |order: &str, at: &str| format!("{order},1.00,settlement,2026-01-{at}\n");
    let rows = row("X-1", "01 00:00:01") + &row("X-2", "20 00:00:01");
    let export = shop.path("export.csv");
    let titles = "Order ID,Amount,Status,Transaction Time\n";
    std::fs::write(&export, format!("{titles}{rows}")).expect("written");
    let out = shop.path(out);
    let args = ["--out", text(&out), "--report", text(&export), "--today", "2026-01-25"];
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let ended = shop.run("reconcile", &[&args[..], &more].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    std::fs::read_to_string(out.join("breaks.csv")).expect("a list")
}

/// Ana decides about the first break of a list.
fn decision(shop: &Shop, list: &str) -> [String; 2] {
    let id = list.lines().nth(1).and_then(|row| row.split(',').next()).expect("a break");
    let edited = format!("break_id,decision,reason,by,approved_by\n{id},accept,known,Ana,\n");
    std::fs::write(shop.path("edited.csv"), edited).expect("written");
    let path = shop.path("edited.csv");
    ["--decisions".to_owned(), text(&path).to_owned()]
}
