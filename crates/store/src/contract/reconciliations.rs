//! Runs of reconciliation and what two people answer for: whole or not at all, in one order.

use tokio::task::JoinSet;

use super::UnderTest;
use super::samples::{is_conflict, start};
use crate::{ReconciliationInput, ReconciliationRun, ReviewAct, StoreError, StoredBreak};

const SCOPE: &str = "breaks/default";
const SERIES: &str = "default";

fn decided(subject: &str, version: i64, approved_by: Option<&str>) -> ReviewAct {
    ReviewAct {
        scope: SCOPE.into(),
        subject: subject.into(),
        version,
        content: "{\"decision\":\"claim\",\"reason\":\"ü\"}".into(),
        about: "4f2a".into(),
        decided_by: "Å. Controller".into(),
        approved_by: approved_by.map(str::to_owned),
        at: start(),
        source: "breaks.csv line 2".into(),
    }
}

fn run(number: i64) -> ReconciliationRun {
    let input = |name: &str| ReconciliationInput {
        name: name.into(),
        layout: "midtrans export".into(),
        sha256: format!("{number:064x}"),
        rows: number,
    };
    ReconciliationRun {
        run: number,
        series: SERIES.into(),
        day: "2026-11-03".into(),
        at: start(),
        by: "ana".into(),
        summary: "{}".into(),
        inputs: vec![input("the store"), input("october.csv")],
    }
}

fn found(break_id: &str, resolved: bool, content: &str) -> StoredBreak {
    StoredBreak {
        break_id: break_id.into(),
        resolved,
        first_seen: "2026-11-01".into(),
        content: content.into(),
    }
}

/// Acts are read as they were added; an approval without a decision before it takes all with it.
pub async fn decisions_and_approvals_are_acts_of_their_own(store: UnderTest) {
    store.reviews_add(&[]).await.unwrap();
    store.reviews_add(&[decided("B1", 1, None), decided("B2", 1, None)]).await.unwrap();
    let at_once = [decided("B3", 1, None), decided("B3", 2, Some("Budi"))];
    let forged = [decided("B1", 2, Some("Budi")), decided("B3", 1, Some("Budi"))];
    let own = [decided("B1", 2, Some("å. controller "))];
    for acts in [&at_once[..], &forged, &own] {
        let refused = store.reviews_add(acts).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    }
    store.reviews_add(&[decided("B1", 2, Some("Budi"))]).await.unwrap();
    let elsewhere = ReviewAct { scope: "adjustments/1-999".into(), ..decided("B1", 1, None) };
    store.reviews_add(std::slice::from_ref(&elsewhere)).await.unwrap();
    assert!(is_conflict(&store.reviews_add(&[decided("B1", 2, None)]).await));
    let all = [decided("B1", 1, None), decided("B2", 1, None), decided("B1", 2, Some("Budi"))];
    let placed: Vec<_> = (1..).zip(all).collect();
    assert_eq!(store.reviews_after(SCOPE, 0, 10).await.unwrap(), placed);
    assert_eq!(store.reviews_after(SCOPE, 1, 1).await.unwrap(), placed[1..2]);
    assert_eq!(store.reviews_after(&elsewhere.scope, 0, 10).await.unwrap(), [(4, elsewhere)]);
}

/// A break is as its last run left it; a run that does not follow leaves nothing.
pub async fn runs_of_reconciliation_are_recorded_whole(store: UnderTest) {
    assert_eq!(store.reconciliation_last().await.unwrap(), 0);
    let first = [found("B1", false, "{\"ours\":\"1\"}"), found("B2", false, "{}")];
    store.reconciliation_record(&run(1), &first, &[decided("B1", 1, None)]).await.unwrap();
    assert!(is_conflict(&store.reconciliation_record(&run(1), &[], &[]).await));
    let forged = store
        .reconciliation_record(&run(2), &[found("B3", false, "{}")], &[decided("B3", 2, None)])
        .await;
    assert!(matches!(forged, Err(StoreError::Invalid { .. })), "{forged:?}");
    let other = ReconciliationRun { series: "euro".into(), ..run(2) };
    let elsewhere = [found("B1", false, "{\"ours\":\"9\"}")];
    store.reconciliation_record(&other, &elsewhere, &[]).await.unwrap();
    let second = [found("B1", true, "{\"ours\":\"2\"}")];
    store.reconciliation_record(&run(3), &second, &[]).await.unwrap();
    assert_eq!(store.reconciliation_last().await.unwrap(), 3);
    assert_eq!(store.reconciliation_runs(SERIES, 0, 10).await.unwrap(), [run(1), run(3)]);
    assert_eq!(store.reconciliation_runs(SERIES, 1, 1).await.unwrap(), [run(3)]);
    assert_eq!(store.reconciliation_runs("euro", 0, 10).await.unwrap(), [other]);
    let now = [second[0].clone(), first[1].clone()];
    assert_eq!(store.reconciliation_breaks(SERIES, "", 10).await.unwrap(), now);
    assert_eq!(store.reconciliation_breaks(SERIES, "", 1).await.unwrap(), now[..1]);
    assert_eq!(store.reconciliation_breaks(SERIES, "B1", 10).await.unwrap(), now[1..]);
    assert_eq!(store.reconciliation_breaks("euro", "", 10).await.unwrap(), elsewhere);
    assert_eq!(store.reviews_after(SCOPE, 0, 10).await.unwrap().len(), 1);
}

/// Of runs that end at once one comes first, with all that it found and decided.
pub async fn runs_that_race_leave_one(store: UnderTest) {
    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let store = store.clone();
        racers.spawn(async move {
            let id = format!("B{racer}");
            let (changes, acts) = ([found(&id, false, "{}")], [decided("B", 1, None)]);
            (store.reconciliation_record(&run(1), &changes, &acts).await, changes)
        });
    }
    let mut winners = Vec::new();
    while let Some(raced) = racers.join_next().await {
        match raced.unwrap() {
            (Ok(()), changes) => winners.extend(changes),
            (result, _) => assert!(is_conflict(&result), "{result:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(store.reconciliation_breaks(SERIES, "", 10).await.unwrap(), winners);
    assert_eq!(store.reviews_after(SCOPE, 0, 10).await.unwrap().len(), 1);
}
