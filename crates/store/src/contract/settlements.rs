//! Settlements: closed once, in order, whole or not at all.

use tokio::task::JoinSet;

use super::UnderTest;
use super::samples::{CONTRACT, DAY, is_conflict, start};
use crate::{ClosedSettlement, Cursor, SettlementAccount, StoreError, StoredAdjustment};

const ACCOUNT: SettlementAccount = SettlementAccount { entity: 1, client: 999 };

/// The settlement of a day, where the one before carried 5.00 forward.
fn closed(ordinal: u32) -> ClosedSettlement {
    let (place, from) = (i64::from(ordinal), start().after(ordinal * DAY));
    ClosedSettlement {
        account: ACCOUNT,
        ordinal: place,
        frequency: "D".into(),
        year: 2026,
        number: 7,
        from,
        until: from.after(DAY),
        settlement_date: "2026-01-08".into(),
        currency: "USD".into(),
        opening: if ordinal == 1 { 0 } else { 500 },
        reserve: -20,
        transfer: 70,
        carry_forward: 500,
        read_from: if ordinal == 1 { Cursor::default() } else { reading(place - 1) },
        read_to: reading(place).advanced(7, place),
        read_on: reading(place),
        manifest: format!("{{\"ordinal\": {ordinal}, \"ü\": null}}\n"),
        manifest_sha256: format!("{ordinal:064x}"),
        closed_at: from.after(2 * DAY),
        closed_by: "Å. Controller".into(),
        adjustments: Vec::new(),
    }
}

fn reading(place: i64) -> Cursor {
    Cursor::default().advanced(3, place * 10).advanced(1_023, 4)
}

fn adjustment(id: &str) -> StoredAdjustment {
    StoredAdjustment {
        id: id.to_owned(),
        contract: CONTRACT.to_owned(),
        amount: -1_250,
        reason: "fee of a day charged twice".into(),
        by: "one".into(),
        approved_by: "other".into(),
    }
}

/// Each is read as it was closed; what does not follow is refused and changes nothing.
pub async fn settlements_are_closed_in_a_chain_for_each_account(store: UnderTest) {
    assert_eq!(store.settlement_head(ACCOUNT).await.unwrap(), None);
    assert_eq!(store.settlement_heads().await.unwrap(), []);
    assert!(store.settlement_close(&closed(2)).await.is_err());
    let first = ClosedSettlement { adjustments: vec![adjustment("a")], ..closed(1) };
    let third =
        ClosedSettlement { adjustments: vec![adjustment("b"), adjustment("c")], ..closed(3) };
    let chain = [first, closed(2), third];
    for closed in &chain {
        store.settlement_close(closed).await.unwrap();
        assert_eq!(store.settlement_head(ACCOUNT).await.unwrap().as_ref(), Some(closed));
        assert!(is_conflict(&store.settlement_close(closed).await));
    }
    let other = SettlementAccount { entity: 106, client: 999 };
    let elsewhere = ClosedSettlement { account: other, ..closed(1) };
    store.settlement_close(&elsewhere).await.unwrap();
    let head = ClosedSettlement { adjustments: Vec::new(), ..chain[2].clone() };
    assert_eq!(store.settlement_heads().await.unwrap(), [head, elsewhere.clone()]);
    let gap = ClosedSettlement { from: closed(5).from, until: closed(5).until, ..closed(4) };
    let refused = store.settlement_close(&gap).await;
    assert!(matches!(refused, Err(StoreError::Invalid { column: "from_at", .. })), "{refused:?}");
    for (account, after, limit, wanted) in [
        (ACCOUNT, 0, 100, &chain[..]),
        (ACCOUNT, 0, 2, &chain[..2]),
        (ACCOUNT, 2, 100, &chain[2..]),
        (ACCOUNT, 3, 100, &[]),
        (other, 0, 100, std::slice::from_ref(&elsewhere)),
        (SettlementAccount { entity: 1, client: 998 }, 0, 100, &[]),
    ] {
        assert_eq!(store.settlements_after(account, after, limit).await.unwrap(), wanted);
    }
}

/// Of those that close one period at once, one does.
pub async fn closings_that_race_leave_one(store: UnderTest) {
    store.settlement_close(&closed(1)).await.unwrap();
    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let (store, closed_by) = (store.clone(), format!("racer {racer}"));
        let adjustments = vec![adjustment(&closed_by)];
        let closed = ClosedSettlement { closed_by, adjustments, ..closed(2) };
        racers.spawn(async move { (store.settlement_close(&closed).await, closed) });
    }
    let mut winners = Vec::new();
    while let Some(raced) = racers.join_next().await {
        match raced.unwrap() {
            (Ok(()), closed) => winners.push(closed),
            (result, _) => assert!(is_conflict(&result), "{result:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(store.settlements_after(ACCOUNT, 1, 10).await.unwrap(), winners);
}

/// An id that was used takes the whole closing with it.
pub async fn an_adjustment_is_used_once(store: UnderTest) {
    let with = |ordinal, ids: &[&str]| ClosedSettlement {
        adjustments: ids.iter().map(|id| adjustment(id)).collect(),
        ..closed(ordinal)
    };
    assert!(is_conflict(&store.settlement_close(&with(1, &["a", "a"])).await));
    assert_eq!(store.settlement_head(ACCOUNT).await.unwrap(), None);
    store.settlement_close(&with(1, &["a"])).await.unwrap();
    assert!(is_conflict(&store.settlement_close(&with(2, &["b", "a"])).await));
    assert_eq!(store.settlement_head(ACCOUNT).await.unwrap(), Some(with(1, &["a"])));
    store.settlement_close(&with(2, &["b"])).await.unwrap();
    let other = SettlementAccount { entity: 1, client: 1 };
    let elsewhere = ClosedSettlement { account: other, ..with(1, &["a"]) };
    store.settlement_close(&elsewhere).await.unwrap();
}
