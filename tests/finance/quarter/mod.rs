//! A quarter over New Year, whole: payments through the real store with everything that may become
//! of them, all settlements closed, Midtrans' files and the bank's written with every kind of
//! difference planted; what is found must be what was planted, and every sum must tie out.

mod bank;
mod life;
mod reports;

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::shop::{Ended, Shop, at, ended, text};
use bank::Transfer;
use life::{Back, Sale};

/// What was planted: kind, and what it is about.
pub(crate) type Planted = BTreeMap<(String, String), u32>;

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_is_settled_and_reconciled_to_the_last_sen() {
    whole(1_500).await;
}

/// `cargo test --release --test finance -- --ignored a_large_quarter`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_large_quarter_is_settled_and_reconciled_to_the_last_sen() {
    whole(150_000).await;
}

async fn whole(count: u64) {
    let sales = life::quarter(count);
    let shop = shop();
    let (held, now): (Vec<&Sale>, Vec<&Sale>) =
        sales.iter().filter(|sale| sale.planted != "missing_here").partition(|sale| late(sale));
    assert!(!held.is_empty());
    let store = shop.open();
    life::play(&store, &now).await;
    store.close().await.expect("closed");
    shop.settle_with("M", "2025-11-30", &[]).done();
    // Commits after November was closed, with its time: it belongs to December.
    let store = shop.open();
    life::play(&store, &held).await;
    store.close().await.expect("closed");
    settle_rest(&shop);
    let sets = manifests(&shop);
    check_sets(&shop, &sales, &sets);
    let told = verify(&shop).done();
    assert!(told.contains(&format!("{} sets with ", sets.len())), "{told}");
    let by_decimal = python(&shop);
    assert!(by_decimal.is_none_or(|told| told == format!("{} settlements agree\n", sets.len())));
    reconciled(&shop, &sales, &sets);
}

/// One of the shop's last payments of November, paid or not.
fn late(sale: &Sale) -> bool {
    sale.contract == "SHOP"
        && sale.planted.is_empty()
        && sale.back.is_none()
        && sale.late.is_none()
        && sale.called > at("2025-11-29T12:00:00Z")
        && sale.called < at("2025-11-29T18:00:00Z")
}

/// A shop that is settled monthly, with terms that change within a month and at New Year, and a stall that
/// is settled weekly.
fn shop() -> Shop {
    let month = crate::shop::TERMS
        .replace("frequency = \"D\"", "frequency = \"M\"")
        .replace("reserve_days = 2", "reserve_days = 40");
    let dearer = month.replace("\"0.05\"", "\"0.07\"").replace("= 150\n", "= 175\n");
    let new_year = dearer.replace("margin_basis_points = 100", "margin_basis_points = 45");
    let next = "[[contract.settlement.terms]]";
    let shop = format!(
        "valid_from = \"2025-11-01\"\n{month}\n{next}\nvalid_from = \"2025-12-10\"\n{dearer}\n{next}\nvalid_from = \"2026-01-01\"\n{new_year}"
    );
    let week = crate::shop::TERMS.replace("frequency = \"D\"", "frequency = \"W\"");
    let stall = format!("valid_from = \"2025-11-01\"\n{week}");
    let made = Shop::with(&[("SHOP", 999, &shop), ("STALL", 7, &stall)]);
    let mut rates = "date,base,quote,rate,source\n".to_owned();
    for day in 0..31_u32 {
        let on = at("2025-10-31T00:00:00Z").after(crate::shop::SECOND * 86_400 * 3 * day);
        let on = on.utc_seconds();
        rates += &format!("{},USD,IDR,{}.{},ECB\n", &on[..10], 16_050 + day * 7, day * 3);
    }
    std::fs::write(made.path("rates.csv"), rates).expect("written");
    let config = std::fs::read_to_string(made.path("config.toml")).expect("a config");
    let fee = |name: &str, from: &str, points: u32, vat: u32| {
        format!(
            "[[settlement.midtrans_fee]]\nname = \"{name}\"\nvalid_from = \"{from}\"\npayment_type = \"gopay\"\nbasis_points = {points}\nvat_basis_points = {vat}\n"
        )
    };
    let fees = fee("old", "2025-01-01", 200, 0) + &fee("new", "2026-01-01", 150, 1_100);
    std::fs::write(made.path("config.toml"), config + &fees).expect("written");
    made
}

fn settle_rest(shop: &Shop) {
    for day in ["2025-12-31", "2026-01-31"] {
        shop.settle_with("M", day, &[]).done();
    }
    // Saturday to Friday, cut where a month ends.
    for day in [
        "2025-11-07",
        "2025-11-14",
        "2025-11-21",
        "2025-11-28",
        "2025-11-30",
        "2025-12-05",
        "2025-12-12",
        "2025-12-19",
        "2025-12-26",
        "2025-12-31",
        "2026-01-02",
        "2026-01-09",
        "2026-01-16",
        "2026-01-23",
        "2026-01-30",
        "2026-01-31",
    ] {
        shop.settle_with("W", day, &[]).done();
    }
}

/// The manifests of all sets, by name.
fn manifests(shop: &Shop) -> BTreeMap<String, Value> {
    let entries = std::fs::read_dir(shop.out()).expect("sets");
    let read = |entry: Result<std::fs::DirEntry, std::io::Error>| {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(path.join("manifest.json")).expect("a manifest");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, serde_json::from_str(&text).expect("JSON"))
    };
    entries.map(read).collect()
}

fn hundredths(value: &Value) -> i64 {
    value.as_str().expect("text").replace('.', "").parse().expect("an amount")
}

/// The sets hold what the shop has sold and given back, once; what is negative is carried forward.
fn check_sets(shop: &Shop, sales: &[Sale], sets: &BTreeMap<String, Value>) {
    let mut rows: BTreeMap<(String, String), i64> = BTreeMap::new();
    for set in sets.values() {
        for row in set["rows"].as_array().expect("rows") {
            let key = (row["contract"].as_str(), row["kind"].as_str());
            let (contract, kind) =
                (key.0.expect("text").to_owned(), key.1.expect("text").to_owned());
            *rows.entry((contract, kind)).or_default() += hundredths(&row["amount"]);
        }
    }
    for contract in ["SHOP", "STALL"] {
        let own =
            || sales.iter().filter(|one| one.contract == contract && one.planted != "missing_here");
        let sum =
            |of: &dyn Fn(&Sale) -> u64| i64::try_from(own().map(of).sum::<u64>()).expect("it fits");
        let back = |wanted: &[Back]| {
            -sum(&|sale| {
                sale.back
                    .filter(|(_, _, how, _)| wanted.contains(how))
                    .map_or(0, |back| back.1 * 100)
            })
        };
        for (kind, wanted) in [
            ("TRANSACTION", sum(&|sale| if sale.failed { 0 } else { sale.sen() })),
            ("REFUND", back(&[Back::Refund, Back::Dashboard])),
            ("CHARGEBACK", back(&[Back::Chargeback])),
        ] {
            let found = rows.get(&(contract.to_owned(), kind.to_owned())).copied();
            assert_eq!(found.unwrap_or(0), wanted, "{kind} of {contract}");
        }
    }
    // The week in which the stall only gave back.
    let christmas = sets.values().find(|set| {
        set["basis"]["client_number"] == 7 && set["basis"]["first_day"] == "2025-12-20"
    });
    let christmas = christmas.expect("the week before Christmas");
    let negative = &christmas["carry_forward"];
    assert!(hundredths(negative) < 0, "{negative}");
    let next = sets.values().find(|set| set["basis"]["previous"]["set"] == christmas["set"]);
    assert_eq!(next.expect("the next")["opening"], *negative);
    let late = sales.iter().find(|sale| late(sale) && !sale.failed).expect("one");
    let december = shop.out().join("1-999-M-2025-12/1-999-M-2025-12-volume-per-transaction.csv");
    let december = std::fs::read_to_string(december).expect("a file");
    assert!(december.contains(&late.tx_id.to_string()));
}

fn verify(shop: &Shop) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
    command.args(["--log", "warn", "verify-files", text(&shop.out())]);
    ended(&command.args(["--config", text(&shop.path("config.toml"))]).output().expect("it runs"))
}

/// What Python's `decimal` says; nothing without Python.
fn python(shop: &Shop) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/finance/check_settlements.py");
    let (store, out) = (shop.path("gopay.db"), shop.out());
    match Command::new("python3").args([script, text(&store), text(&out)]).output() {
        Ok(output) => Some(ended(&output).done()),
        Err(error) => {
            gopay_testkit::not_tested(&format!("python3: {error}"));
            None
        }
    }
}

/// The transfers of the sets, as the bank is asked for them.
fn transfers(sets: &BTreeMap<String, Value>) -> Vec<Transfer> {
    let one = |(name, set): (&String, &Value)| {
        let day = set["basis"]["settlement_date"].as_str()?.parse().ok()?;
        let cents = hundredths(&set["transfer"]);
        (cents > 0).then(|| (name.clone(), day, cents))
    };
    sets.iter().filter_map(one).collect()
}

/// Which difference of a payment an export without Midtrans' id, refund and fee can show.
fn can_be_seen(sale: &Sale) -> bool {
    let hidden = ["fee_differs", "id_differs", "refund_differs"];
    let plain = sale.called >= at("2026-01-15T17:00:00Z");
    !plain || !hidden.contains(&sale.planted)
}

fn reconciled(shop: &Shop, sales: &[Sale], sets: &BTreeMap<String, Value>) {
    let folder = shop.folder.path();
    let mut planted = Planted::new();
    for sale in sales {
        let charged_back = sale.back.is_some_and(|(_, _, how, _)| how == Back::Chargeback);
        let kind = if charged_back { "chargeback" } else { sale.planted };
        if !kind.is_empty() && can_be_seen(sale) {
            planted.insert((kind.to_owned(), sale.tx_id.to_string()), 1);
        }
    }
    let exports = reports::exports(folder, sales, &mut planted);
    let (payouts, rows) = reports::payouts(folder, sales, reports::until());
    let (list, mut banks) = bank::rupiah(folder, &payouts, &mut planted);
    banks.push(bank::dollars(folder, &transfers(sets), &mut planted));
    let mapping = "[[bank.known]]\ntext = \"biaya adm\"\nname = \"bank charges\"\n";
    let mapping = reports::written(folder, "mapping.toml", mapping.as_bytes());
    let out = shop.path("recon");
    let mut command = shop.command("reconcile");
    command.args(["--out", text(&out), "--today", "2026-02-15", "--mapping", text(&mapping)]);
    for (option, files) in
        [("--report", &exports), ("--payouts", &vec![list, rows]), ("--bank", &banks)]
    {
        files.iter().for_each(|file| {
            command.args([option, text(file)]);
        });
    }
    let run = ended(&command.output().expect("it runs"));
    assert_eq!((run.code, run.err.as_str()), (Some(1), ""), "{}", run.out);
    let report = std::fs::read_to_string(out.join("breaks.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let mut found = Planted::new();
    for one in report["breaks"].as_array().expect("breaks") {
        let key = (one["kind"].as_str().expect("text").to_owned(), about(one));
        *found.entry(key).or_default() += 1;
    }
    let differ = |one: &Planted, other: &Planted| -> Vec<String> {
        let only = one.iter().filter(|(key, count)| other.get(*key) != Some(count));
        only.map(|(key, count)| format!("{key:?} {count}")).take(20).collect()
    };
    let (missed, invented) = (differ(&planted, &found), differ(&found, &planted));
    assert!(missed.is_empty() && invented.is_empty(), "missed {missed:?}, invented {invented:?}");
    let kinds: std::collections::BTreeSet<&String> = found.keys().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.len(), 22, "{kinds:?}");
    let ties = report["tie_outs"].as_array().expect("tie-outs");
    assert!(ties.len() >= 4, "{ties:?}");
    for tie in
        ties.iter().filter(|tie| !tie["name"].as_str().is_some_and(|name| name.contains("999")))
    {
        assert_eq!(tie["residual"], "0.00", "{tie:?}");
    }
}

/// What a break is about, as it was written down.
fn about(one: &Value) -> String {
    match (one["txid"].as_str(), one["kind"].as_str()) {
        (Some(txid), _) => txid.to_owned(),
        (None, Some("bank_entry_unknown")) => one["theirs"].as_str().unwrap_or_default().to_owned(),
        (None, _) => {
            let place = one["place"].as_str().unwrap_or_default();
            place.split(' ').next().unwrap_or_default().to_owned()
        }
    }
}
