//! Stores of released schemas, kept as fixtures: today's program opens each and goes on with it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gopay_store_sqlite::SqliteStore;
use serde::{Deserialize, Serialize};

use crate::gate::Way;
use crate::life::{Fate, GiveBack, Life, about, live};
use crate::program::binary;
use crate::support::{body, decode};
use crate::time::have;
use crate::world::World;
use gopay_testkit::Dice;

/// A payment of a fixture, as its PSP knew it.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    txid: String,
    /// The TRANSACTION call.
    call: String,
    answer: String,
    /// By GETTXSTATUS when the fixture was made.
    status: String,
    refunds: Vec<KnownRefund>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KnownRefund {
    reference: String,
    /// None while its outcome was open.
    status: Option<String>,
}

fn fixture(version: i64, ending: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/fixtures/stores/sqlite-schema-{version}.{ending}"))
}

fn life(number: u64, fate: Fate, back: GiveBack) -> Life {
    Life::of(number, fate, back, Dice::of(3, number))
}

/// Its notifications wait: nobody listens there.
fn unheard(mut life: Life) -> Life {
    life.call += "&notificationurl=http%3A%2F%2F127.0.0.1%3A9%2Faway";
    life
}

/// Makes the fixture of the schema that this program writes. Run it once for each schema that is
/// released, with the program that is released, and commit what it writes:
///
/// `cargo test --test crashes -- --ignored make_the_fixture_of_this_schema`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes into tests/fixtures"]
async fn make_the_fixture_of_this_schema() {
    let version = SqliteStore::schema_version_known();
    assert!(!fixture(version, "db").exists(), "a released schema has its fixture already");
    let world = World::new("drain = \"0s\"").await;
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let mut lives = Vec::new();
    for (number, fate, back) in [
        (0, Fate::Pays, GiveBack::Nothing),
        (1, Fate::Pays, GiveBack::Whole),
        (2, Fate::Pays, GiveBack::Parts),
        (3, Fate::Pays, GiveBack::AtOnce),
        (4, Fate::Cancelled, GiveBack::Nothing),
    ] {
        lives.push(live(&world, life(number, fate, back)).await);
    }
    // Told already, so that only what follows waits.
    world.eventually("told", async || world.receivers.receipts().len() >= 5).await;
    for (number, fate) in [(5, Fate::Abandons), (9, Fate::Pays)] {
        lives.push(live(&world, unheard(life(number, fate, GiveBack::Nothing))).await);
    }
    let reference = "R-open".to_owned();
    world.gate.turn(Way::Hanging);
    let pairs = [
        ("txid", lives[0].txid.as_str()),
        ("currency", "IDR"),
        ("amount", "100000"),
        ("merchantrefundid", &reference),
    ];
    let answer = decode(&world.send(&body("REFUND", &pairs)).await.expect("an answer"));
    assert!(answer["ERRMSG"].starts_with("Outcome not known"), "{answer:?}");
    lives[0].refunds.push(crate::life::RefundTry { reference, sen: 100_000, answer: Some(answer) });
    // Refused by rule, and failed by silence.
    let wrong = life(6, Fate::Pays, GiveBack::Nothing).call.replace("=IDR", "=USD");
    let refused = world.send(&wrong).await.expect("an answer");
    assert_eq!(decode(&refused)["FAILREASON"], "INPUT_DATA");
    lives.push(live(&world, life(7, Fate::Pays, GiveBack::Nothing)).await);
    // A call that is cut off while its charge is on the way.
    let call = unheard(life(8, Fate::Pays, GiveBack::Nothing)).call;
    let cutting = Arc::clone(&world);
    let lost = tokio::spawn(async move { cutting.send(&call).await });
    world
        .eventually("initialized", async || {
            world.admin("/admin/v1/totals").await.1.contains("\"initialized\":1")
        })
        .await;
    world.program.kill();
    assert_eq!(lost.await.expect("it ends"), None);

    let mut known = Vec::new();
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    for life in &lives {
        let status = world.ask("GETTXSTATUS", &[("txid", &life.txid)]).await["STATUS"].clone();
        let mut refunds = Vec::new();
        for one in &life.refunds {
            let answer = about(&world, &one.reference).await;
            let clear = answer["REQUESTSTATUS"] == "SUCCEEDED";
            let status = clear.then(|| answer["STATUS"].clone());
            refunds.push(KnownRefund { reference: one.reference.clone(), status });
        }
        known.push(Known {
            txid: life.txid.clone(),
            call: life.call.clone(),
            answer: life.answer.clone(),
            status,
            refunds,
        });
    }
    // An orderly end leaves one file.
    world.program.signal("TERM");
    world.program.until_ended().await;
    let store = world.settings.engine.file();
    let target = fixture(version, "db");
    std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
    std::fs::copy(store, &target).expect("the fixture is written");
    let text = serde_json::to_string_pretty(&known).expect("JSON") + "\n";
    std::fs::write(fixture(version, "json"), text).expect("the fixture is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_every_released_schema_opens_and_goes_on() {
    if !have("faketime") {
        return;
    }
    // One release brought the schemas 7 and 8: no store has stood at 7.
    let released = |version: &i64| *version != 7;
    for version in (1..=SqliteStore::schema_version_known()).filter(released) {
        assert!(fixture(version, "db").exists(), "schema {version} has no fixture; see this file");
        opens_and_goes_on(version).await;
    }
}

async fn opens_and_goes_on(version: i64) {
    let world = World::new("").await;
    let store = world.settings.engine.file();
    std::fs::create_dir_all(store.parent().expect("a folder")).expect("a folder");
    std::fs::copy(fixture(version, "db"), store).expect("a copy");
    // However fresh the fixture is, its sessions are over.
    world.time.advance(Duration::from_secs(31 * 60));
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let text = std::fs::read_to_string(fixture(version, "json")).expect("the fixture's content");
    let known: Vec<Known> = serde_json::from_str(&text).expect("JSON");
    assert!(known.len() >= 7, "{known:?}");
    for one in &known {
        let status = world.ask("GETTXSTATUS", &[("txid", &one.txid)]).await["STATUS"].clone();
        // What was pending is past its session by now.
        let ended = one.status == "PENDING" && status == "FAILED";
        assert!(status == one.status || ended, "{status}; {one:?}");
        assert_eq!(world.send(&one.call).await.as_ref(), Some(&one.answer), "{one:?}");
        for refund in &one.refunds {
            let answer = about(&world, &refund.reference).await;
            match &refund.status {
                Some(status) => assert_eq!(&answer["STATUS"], status, "{answer:?}"),
                None => assert_ne!(answer["STATUS"], "SUCCEEDED", "{answer:?}"),
            }
        }
        let story = Command::new(binary())
            .args(["--log", "off", "explain", &one.txid, "--config"])
            .arg(world.program.config())
            .output()
            .expect("explain runs");
        let story = String::from_utf8_lossy(&story.stdout).into_owned();
        assert!(story.contains(&one.txid), "{story}");
    }
    // What was being opened or paid when the fixture was made is brought to an end.
    world
        .eventually("nothing is pending", async || {
            let totals = world.admin("/admin/v1/totals").await.1;
            let of =
                |word: &str| totals.contains(&format!("\"{word}\":0")) || !totals.contains(word);
            of("initialized") && of("pending")
        })
        .await;
    let new = live(&world, life(1_000, Fate::Pays, GiveBack::Parts)).await;
    assert_eq!(new.problems, Vec::<String>::new());
    assert_eq!(new.sightings, ["PENDING", "SUCCEEDED"]);
    assert!(new.refunds.iter().all(|one| one.word() == Some("SUCCEEDED")), "{new:?}");
    world.eventually("told", async || world.receivers.receipts().contains_key(&new.txid)).await;
    assert_eq!(SqliteStore::schema_version(store).ok(), Some(SqliteStore::schema_version_known()));
}
