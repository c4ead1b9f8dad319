//! Planted against found, by kind: all of them, and none invented.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure is a failed test")]

mod world;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use gopay_reconcile::breaks::{Break, Kind};
use gopay_reconcile::input::mapping::Mapping;
use gopay_reconcile::options::Options;
use gopay_reconcile::run::{Inputs, JournalSource, Report, reconcile};
use world::{LAYOUTS, Layout, Planted, World};

const MAPPING: &str = "[[bank.known]]\ntext = \"biaya adm\"\nname = \"bank charges\"\n";

fn run(world: &mut World, layout: Layout) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let journal = world.journal(folder.path());
    let reports = world.exports(folder.path(), layout);
    let money = world.money(folder.path());
    let inputs = Inputs {
        reports,
        payouts: money.payouts,
        banks: money.banks,
        transfers: vec![money.transfers],
        ..Inputs::default()
    };
    let options =
        Options { today: "2027-02-01".parse().unwrap(), from: None, to: None, threads: 2 };
    let mapping = Mapping::read(Some(MAPPING)).unwrap();
    reconcile(JournalSource::File(journal), &inputs, &mapping, &options, &AtomicU64::new(0))
        .unwrap()
}

/// What a break is about, as the world has written it down.
fn about(one: &Break) -> String {
    if let Some(txid) = &one.txid {
        return txid.clone();
    }
    if one.kind == Kind::BankEntryUnknown {
        return one.theirs.clone();
    }
    one.place.split(' ').next().unwrap_or_default().to_owned()
}

fn found(report: &Report) -> Planted {
    let mut found = BTreeMap::new();
    for one in &report.breaks {
        *found.entry((one.kind.to_string(), about(one))).or_default() += 1;
    }
    found
}

#[test]
fn every_kind_that_was_planted_is_found_in_every_layout_and_none_is_invented() {
    for layout in LAYOUTS {
        let mut world = World::new(4_000, 7);
        let report = run(&mut world, layout);
        let found = found(&report);
        let missed: Vec<_> =
            world.planted.iter().filter(|(key, _)| !found.contains_key(*key)).collect();
        let invented: Vec<_> = report
            .breaks
            .iter()
            .filter(|one| !world.planted.contains_key(&(one.kind.to_string(), about(one))))
            .collect();
        assert!(
            missed.is_empty() && invented.is_empty(),
            "{layout:?}: missed {missed:?}, invented {invented:#?}"
        );
        assert_eq!(found, world.planted, "{layout:?}");
        let kinds: std::collections::BTreeSet<_> =
            report.breaks.iter().map(|one| one.kind).collect();
        let wanted = if layout == Layout::Default { Kind::ALL.len() - 3 } else { Kind::ALL.len() };
        assert_eq!(kinds.len(), wanted, "{layout:?} {kinds:?}");
        for tie in report.tie_outs.iter().filter(|tie| !tie.name.contains("999")) {
            assert!(tie.residual.is_zero(), "{layout:?} {tie:?}");
        }
        assert_eq!(report.payments.before_exports, 20);
        assert!(report.payments.folded_rows > 0 && report.others.rows > 0);
    }
}

#[test]
fn the_same_run_gives_the_same_names_in_the_same_order() {
    let names = |seed| {
        let report = run(&mut World::new(2_000, seed), Layout::Everything);
        report.breaks.iter().map(|one| one.break_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(3), names(3));
    let names = names(3);
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
}
