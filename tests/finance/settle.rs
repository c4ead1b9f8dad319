//! `settle`: periods are closed once, in order, whole or not at all.

use std::collections::BTreeMap;

use gopay_core::time::Timestamp;

use crate::shop::{End, Shop, at, files, text};

/// Payments and refunds of the first days of January, in three shards.
pub(crate) async fn filled(shop: &mut Shop) {
    let store = shop.open();
    for day in 1..=6_u64 {
        for number in 0..6_u64 {
            let called = at(&format!("2026-01-0{day}T{:02}:00:00Z", 2 + number * 4 - number % 2));
            let end = match number {
                3 => End::Failed,
                4 => End::Late(90_000),
                _ => End::Paid,
            };
            let shard = usize::try_from(number % 3).expect("small");
            let paid = shop.pay(&store, "SHOP", shard, (called, 30_000 + number * 17, end)).await;
            if number == 1 && day > 1 {
                let now = called.after(crate::shop::SECOND * 3_600);
                shop.refund(&store, "SHOP", (paid, now, 5_000), day % 2 == 0).await;
            }
        }
    }
    store.close().await.expect("closed");
}

fn rows(content: &[u8]) -> usize {
    String::from_utf8_lossy(content).lines().count() - 4
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_closed_in_order_and_written_again_as_they_were() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    shop.settle("2026-01-02").refused(3, "close D-2026-001 first");
    shop.settle("2025-12-31").refused(1, "no client number is settled by D");
    shop.settle_with("W", "2026-01-02", &[]).refused(1, "no client number is settled by W");
    let told = shop.settle("2026-01-01").done();
    assert!(told.starts_with("1-999-D-2026-001: closed: no transfer, carried "), "{told}");
    for day in 2..=6 {
        shop.settle(&format!("2026-01-0{day}")).done();
    }
    let first = files(&shop.out());
    assert_eq!(first.len(), 6 * (9 * 2 + 1), "{:?}", first.keys());
    let payments: BTreeMap<&str, usize> = first
        .iter()
        .filter(|(name, _)| name.ends_with("volume-per-transaction.csv"))
        .map(|(name, content)| (name.split('/').next().unwrap_or_default(), rows(content)))
        .collect();
    // Of each day four are paid in time, and one a day and an hour late: on the day after.
    let counts: Vec<usize> = payments.values().copied().collect();
    assert_eq!(counts, [4, 5, 5, 5, 5, 5], "{payments:?}");

    let told = shop.settle("2026-01-04").done();
    assert!(told.contains("was closed before; written again"), "{told}");
    assert_eq!(files(&shop.out()), first);
    // What was lost or changed comes back as it was.
    std::fs::remove_dir_all(shop.out().join("1-999-D-2026-003")).expect("removed");
    let aggregate = shop.out().join("1-999-D-2026-004/1-999-D-2026-004-aggregate.csv");
    std::fs::write(&aggregate, "nothing").expect("written");
    shop.settle("2026-01-03").done();
    shop.settle("2026-01-04").done();
    assert_eq!(files(&shop.out()), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_over_or_has_no_rate_is_refused() {
    let shop = Shop::new();
    shop.open().close().await.expect("closed");
    // A period that is not over.
    let now = Timestamp::from_micros(
        i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_micros())
            .expect("a time"),
    );
    let today = now.utc_seconds();
    let today = today.split('T').next().expect("a day");
    let terms = format!("valid_from = \"{today}\"\n{}", crate::shop::TERMS);
    shop.write_config(&[("SHOP", 999, &terms)]);
    shop.settle(today).refused(3, "15 minutes later");
    // No rate, or a file that cannot be used.
    let terms = format!("valid_from = \"2026-02-20\"\n{}", crate::shop::TERMS);
    shop.write_config(&[("SHOP", 999, &terms)]);
    shop.settle("2026-02-20").refused(3, "no rate of USD in IDR");
    let fx = shop.path("fx.csv");
    std::fs::write(&fx, "date,base,quote,rate,source\n2026-02-19,USD,IDR,0,ECB\n")
        .expect("written");
    shop.settle_with("D", "2026-02-20", &["--fx", text(&fx)]).refused(3, "line 2: rate: 0");
    assert!(!shop.out().exists());
    std::fs::write(&fx, "date,base,quote,rate,source\n2026-02-19,USD,IDR,16000,ECB\n")
        .expect("written");
    shop.settle_with("D", "2026-02-20", &["--fx", text(&fx)]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_older_than_its_files_is_refused() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    shop.settle("2026-01-01").done();
    let (store, copy) = (shop.path("gopay.db"), shop.path("copy.db"));
    std::fs::copy(&store, &copy).expect("copied");
    shop.settle("2026-01-02").done();
    std::fs::copy(&copy, &store).expect("copied");
    shop.settle("2026-01-02").refused(3, "the store is an older copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_goes_into_the_next_settlement_and_is_used_once() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    let file = shop.path("adjustments.csv");
    let write = |rows: &str| {
        let text = format!("id,contract,amount,reason,by,approved_by\n{rows}\n");
        std::fs::write(&file, text).expect("written");
    };
    let with = |day: &str| shop.settle_with("D", day, &["--adjustments", text(&file)]);
    shop.settle("2026-01-01").done();
    write("a-1,SHOP,-12.34,\"fee, twice\",ana,budi");
    with("2026-01-01").refused(3, "never changes");
    write("a-1,OTHER,-12.34,fee twice,ana,budi");
    with("2026-01-02").refused(3, "contract \"OTHER\" is not settled by this run");
    write("a-1,SHOP,-12.34,fee twice,ana,Ana");
    with("2026-01-02").refused(3, "cannot approve");
    // Asking and approving are two acts of two people, and it is settled as it was approved.
    let adjust = || shop.run("adjust", &["--adjustments", text(&file)]);
    let line = |approved_by: &str| format!("a-1,SHOP,-12.34,\"fee, twice\",ana,{approved_by}");
    write(&line("budi"));
    with("2026-01-02").refused(3, "was not approved as it is here");
    adjust().refused(3, "let budi approve it in a later run");
    write(&line(""));
    assert!(adjust().done().contains("a-1: asked for by ana"));
    with("2026-01-02").refused(3, "was not approved as it is here");
    for (approved_by, word) in [("A N A", "cannot approve"), ("-", "names nobody")] {
        write(&line(approved_by));
        adjust().refused(3, word);
    }
    write("a-1,SHOP,-99.34,\"fee, twice\",ana,budi");
    adjust().refused(3, "let budi approve it");
    write(&line("budi"));
    assert!(adjust().done().contains("a-1: approved by budi"));
    assert!(adjust().done().contains("a-1: as it was"));
    write("a-1,SHOP,-99.34,\"fee, twice\",ana,budi");
    with("2026-01-02").refused(3, "was not approved as it is here");
    write(&line("budi"));
    with("2026-01-02").done();
    let aggregate = shop.out().join("1-999-D-2026-002/1-999-D-2026-002-aggregate.csv");
    let aggregate = std::fs::read_to_string(aggregate).expect("a file");
    assert!(aggregate.contains("\nSHOP,GoPay,ADJUSTMENT,1,-12.34,USD\n"), "{aggregate}");
    with("2026-01-02").done();
    with("2026-01-03").refused(3, "in an earlier settlement");
    write("a-1,SHOP,5.00,again,ana,");
    adjust().refused(3, "is in a closed settlement");
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_were_settled_by_stay() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    shop.settle("2026-01-01").done();
    let first = format!("valid_from = \"2026-01-01\"\n{}", crate::shop::TERMS);
    let dearer = first.replace("0.05", "0.50");
    shop.write_config(&[("SHOP", 999, &dearer)]);
    shop.settle("2026-01-02").refused(3, "are not those of the last settlement");
    // Under another client number its money would be settled twice.
    shop.write_config(&[("SHOP", 998, &first)]);
    shop.settle("2026-01-01").refused(3, "it is settled under 1-999 until 2026-01-01");
    // From the next day on it may go elsewhere.
    let second = first.replace("2026-01-01", "2026-01-02");
    shop.write_config(&[("SHOP", 998, &second)]);
    shop.settle("2026-01-02").done();
    assert!(shop.out().join("1-998-D-2026-002/manifest.json").exists());
}
