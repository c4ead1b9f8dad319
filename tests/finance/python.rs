//! The same settlements by another program: `check_settlements.py`, with Python's `decimal`.

use std::process::Command;

use crate::settle::filled;
use crate::shop::{End, Shop, at, ended, text};

#[tokio::test(flavor = "multi_thread")]
async fn another_program_comes_to_the_same_amounts() {
    let terms = format!("valid_from = \"2026-01-01\"\n{}", crate::shop::TERMS);
    // Dearer from the third day on, for one of two contracts with one client number.
    let dearer = terms.replace("2026-01-01", "2026-01-03").replace("= 150\n", "= 295\n");
    let both = format!("{terms}\n[[contract.settlement.terms]]\n{dearer}");
    let mut shop = Shop::with(&[("SHOP", 999, &both), ("STALL", 999, &terms)]);
    filled(&mut shop).await;
    let store = shop.open();
    for hour in 0..40_u64 {
        let called = at("2026-01-01T03:00:00Z")
            .after(crate::shop::SECOND * 3_600 * u32::try_from(hour * 3).expect("small"));
        let paid = shop.pay(&store, "STALL", 2, (called, 1 + hour * hour * 97, End::Paid)).await;
        if hour % 5 == 0 {
            let rupiah = 1 + hour * 50;
            shop.refund(
                &store,
                "STALL",
                (paid, called.after(crate::shop::SECOND * 90_000), rupiah),
                false,
            )
            .await;
        }
    }
    store.close().await.expect("closed");
    let adjustments = shop.approved("adjustments.csv", &["x,STALL,-300.55,x"]);
    for day in 1..=9 {
        let more = ["--adjustments", text(&adjustments)];
        let more = if day == 4 { &more[..] } else { &[] };
        shop.settle_with("D", &format!("2026-01-0{day}"), more).done();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/finance/check_settlements.py");
    let (store, out) = (shop.path("gopay.db"), shop.out());
    let run = Command::new("python3").args([script, text(&store), text(&out)]).output();
    match run {
        Ok(output) => assert_eq!(ended(&output).done(), "9 settlements agree\n"),
        Err(error) => {
            gopay_testkit::not_tested(&format!("python3: {error}"));
        }
    }
}
