//! Refunds: admitted, resolved, found.

use std::sync::Arc;
use std::time::Duration;

use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::PaymentRecord;
use gopay_core::refund::{
    ChargedBack, Elsewhere, MadeElsewhere, MidtransRefund, Refund, RefundRejection, RefundRequest,
    RefundState, RefundTerms, SeenBack, SeenRefund,
};
use gopay_core::time::Timestamp;
use serde_json::json;

use super::UnderTest;
use super::samples::{
    CONTRACT, DAY, MINUTE, TERMS, admitted, create, create_paid, failed_refund, is_conflict,
    is_missing, kinds, made, note, payment, refund_request, refused, restored, rf, start, stored,
    trail, tx,
};
use crate::{Cursor, Lookup, Reserved, StoreError};

/// Every rejection in its order, and an admission; all are stored and on the trail.
pub async fn refunds_are_admitted_or_recorded_as_refused(store: UnderTest) {
    use RefundRejection as R;
    let before = create_paid(&store, &payment(1)).await;
    create(&store, &payment(2)).await;
    let now = start().after(MINUTE);
    let late = start().after(31 * DAY);
    let none = RefundTerms { allowed: false, ..TERMS };
    let left = Sen::new(1_000_000);
    #[rustfmt::skip]
    let rows = [
        (RefundRequest { terms: none, ..refund_request(1, tx(2), 100) }, now, R::NotAllowed),
        (RefundRequest { currency: "USD".into(), ..refund_request(2, tx(2), 0) }, now, R::NotSucceeded),
        (RefundRequest { currency: "USD".into(), ..refund_request(3, tx(1), 0) }, late, R::WrongCurrency),
        (refund_request(4, tx(1), u64::MAX), late, R::NotWhole),
        (refund_request(5, tx(1), 1_000_100), late, R::TooMuch(left)),
        (refund_request(6, tx(1), 1_000_000), late, R::TooLate),
    ];
    for (request, at, rejection) in rows {
        let reserved = store.refund_reserve(&request, at).await.unwrap();
        let refund = request.refused(rejection, at);
        assert_eq!(reserved, Reserved::Refused(Box::new(refund.clone())), "{request:?}");
        assert_eq!(store.refund_get(request.refund_id).await.unwrap(), Some(refund));
        let record = trail(&store, request.tx_id).await.pop().unwrap();
        assert_eq!((record.at, record.kind.as_str()), (at, "refund"));
        assert_eq!(record.detail["to"], "failed");
        assert_eq!(record.detail["refund_id"], request.refund_id.to_string());
        assert_eq!(record.detail["reason"], rejection.failure().reason.as_str());
    }
    assert_eq!(stored(&store, tx(1)).await, before);

    let request = RefundRequest {
        merchant_refund_id: Some("r-7".into()),
        ..refund_request(7, tx(1), 400_000)
    };
    let reserved = store.refund_reserve(&request, now).await.unwrap();
    let expected = Refund {
        refund_id: rf(7),
        tx_id: tx(1),
        psp: "testclient".into(),
        contract: CONTRACT.into(),
        merchant_refund_id: Some("r-7".into()),
        amount: Some(Rupiah::new(4_000).unwrap()),
        descriptor: Some("sorry".into()),
        state: RefundState::Unresolved,
        created_at: now,
        resolved_at: None,
        next_check_at: request.admitted(Rupiah::new(4_000).unwrap(), now).next_check_at,
        checks: 0,
        midtrans: MidtransRefund::default(),
        made_elsewhere: None,
    };
    assert!(expected.next_check_at > Some(now));
    let reserving =
        restored(PaymentRecord { refund_reserved: Sen::new(400_000), ..before.into_record() });
    let admitted = Reserved::Admitted(Box::new(expected.clone()), Box::new(reserving.clone()));
    assert_eq!(reserved, admitted);
    assert_eq!(store.refund_get(rf(7)).await.unwrap(), Some(expected));
    assert_eq!(stored(&store, tx(1)).await, reserving);
    let record = trail(&store, tx(1)).await.pop().unwrap();
    assert_eq!(
        (record.kind.as_str(), record.detail),
        ("refund", json!({ "refund_id": "7", "to": "unresolved", "amount_sen": 400_000 }))
    );
    let request = refund_request(8, tx(1), 600_100);
    let too_much = request.refused(R::TooMuch(Sen::new(600_000)), now);
    let reserved = store.refund_reserve(&request, now).await.unwrap();
    assert_eq!(reserved, Reserved::Refused(Box::new(too_much)));
    let ids: Vec<i64> = store
        .refunds_of(tx(1))
        .await
        .unwrap()
        .iter()
        .map(|refund| refund.refund_id.get())
        .collect();
    assert_eq!(ids, [7, 8, 3, 4, 5, 6]);
    // A taken id reserves nothing, admitted or not.
    for request in [refund_request(7, tx(1), 100), refund_request(7, tx(1), 1)] {
        let taken = store.refund_reserve(&request, now).await;
        assert!(is_conflict(&taken), "{taken:?}");
    }
    assert_eq!(stored(&store, tx(1)).await, reserving);
    assert_eq!(trail(&store, tx(1)).await.len(), 7);
}

/// Another contract's payment is answered as if it did not exist, and nothing is stored.
pub async fn a_refund_of_a_foreign_payment_leaves_no_trace(store: UnderTest) {
    let before = create_paid(&store, &payment(1)).await;
    let lines = trail(&store, tx(1)).await;
    let foreign = RefundRequest { contract: "OTHER".into(), ..refund_request(1, tx(1), 100) };
    let reserved = store.refund_reserve(&foreign, start().after(MINUTE)).await.unwrap();
    assert_eq!(reserved, Reserved::NoPayment);
    assert_eq!(store.refund_get(rf(1)).await.unwrap(), None);
    assert_eq!(store.refunds_of(tx(1)).await.unwrap(), []);
    assert_eq!(stored(&store, tx(1)).await, before);
    assert_eq!(trail(&store, tx(1)).await, lines);
}

/// A failure gives the reservation back, once; a success keeps it for good.
pub async fn a_refund_is_resolved_once(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let now = start().after(MINUTE);
    let good = admitted(&store, &refund_request(1, tx(1), 300_000), now).await;
    let bad = admitted(&store, &refund_request(2, tx(1), 200_000), now).await;
    let later = now.after(MINUTE);
    let no = refused("refused", 0);
    for (refund, outcome, reserved) in [(&good, made(), 500_000), (&bad, no.clone(), 300_000)] {
        let id = refund.refund_id;
        let notes = [note("refund_answer")];
        let resolved = store.refund_resolve(id, outcome.clone(), &notes, later).await.unwrap();
        assert_eq!(Some(&resolved), refund.resolve(outcome, later).as_ref());
        assert_eq!(store.refund_get(id).await.unwrap().as_ref(), Some(&resolved));
        assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(reserved));
        // The opposite, told later, changes nothing.
        for outcome in [made(), refused("late", 0)] {
            let again = store.refund_resolve(id, outcome, &[], later.after(DAY)).await.unwrap();
            assert_eq!(again, resolved);
        }
        assert_eq!(store.refund_get(id).await.unwrap(), Some(resolved));
        assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(reserved));
    }
    let told = [note("told_again")];
    store.refund_resolve(good.refund_id, no, &told, later).await.unwrap();
    assert_eq!(
        kinds(&store, tx(1)).await,
        [
            "state",
            "refund",
            "refund",
            "refund",
            "refund_answer",
            "refund",
            "refund_answer",
            "told_again"
        ]
    );
    let lines = trail(&store, tx(1)).await;
    let success = json!({ "refund_id": "1", "to": "succeeded", "amount_sen": 300_000 });
    let failed = json!({ "refund_id": "2", "to": "failed", "amount_sen": 200_000,
        "reason": "REMOTE_DECLINE" });
    assert_eq!((&lines[3].detail, &lines[5].detail), (&success, &failed));
    assert_eq!(lines[3].at, later);
    // What was given back can be refunded.
    admitted(&store, &refund_request(3, tx(1), 700_000), later).await;
}

/// Who was too slow does not know what the worker after him has sent: his refusal does not count.
pub async fn a_refund_that_was_taken_over_is_not_refused_by_another(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let now = start().after(MINUTE);
    let known = admitted(&store, &refund_request(1, tx(1), 300_000), now).await;
    let due = known.next_check_at.expect("an open refund is looked after");
    let taken = store.refund_claim_due(due, 1).await.unwrap().remove(0);
    for outcome in [refused("slow", known.checks), refused("slow", taken.checks + 1)] {
        let kept = store.refund_resolve(rf(1), outcome, &[note("slow")], due).await.unwrap();
        assert_eq!(kept, taken);
        assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(300_000));
    }
    let done = store.refund_resolve(rf(1), refused("no", taken.checks), &[], due).await.unwrap();
    assert!(matches!(done.state, RefundState::Failed(_)));
    assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::ZERO);
    // A success counts whoever brings it.
    let known = admitted(&store, &refund_request(2, tx(1), 300_000), now).await;
    store.refund_claim_due(known.next_check_at.unwrap(), 1).await.unwrap();
    let done = store.refund_resolve(rf(2), made(), &[], due).await.unwrap();
    assert_eq!(done.state, RefundState::Succeeded);
}

/// 64 at once, of which a third fits: exactly as many are admitted.
pub async fn refunds_that_race_never_exceed_the_payment(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let now = start().after(MINUTE);
    let race = async |from: i64, sen: u64| {
        let calls = (from..from + 64).map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store.refund_reserve(&refund_request(number, tx(1), sen), now).await.unwrap()
            })
        });
        let calls: Vec<_> = calls.collect();
        let mut won = Vec::new();
        for call in calls {
            match call.await.unwrap() {
                Reserved::Admitted(refund, _) => won.push(refund.refund_id),
                Reserved::Refused(refund) => {
                    let too_much = RefundRejection::TooMuch(Sen::ZERO).failure().reason;
                    let RefundState::Failed(failure) = refund.state else { panic!("{refund:?}") };
                    assert_eq!(failure.reason, too_much);
                }
                Reserved::NoPayment => panic!("the payment is there"),
            }
        }
        won
    };
    let won = race(1, 47_600).await;
    assert_eq!(won.len(), 21);
    assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(999_600));
    assert_eq!(race(101, 500).await.len(), 0);
    for refund_id in &won[..10] {
        store.refund_resolve(*refund_id, refused("no", 0), &[], now).await.unwrap();
    }
    assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(523_600));
    assert_eq!(race(201, 47_600).await.len(), 10);
    let totals = store.totals().await.unwrap();
    assert_eq!(totals.refunds["unresolved"], 21);
    assert_eq!(totals.refunds["failed"], 3 * 64 - 21);
}

/// As for payments.
pub async fn refunds_are_found_without_case_within_a_contract(store: UnderTest) {
    for (number, contract) in [(1, CONTRACT), (2, "OTHER")] {
        create_paid(
            &store,
            &restored(PaymentRecord { contract: contract.into(), ..payment(number).into_record() }),
        )
        .await;
    }
    let now = start().after(MINUTE);
    for (number, of, contract, reference) in [
        (1, 1, CONTRACT, "Rückgabe-1"),
        (2, 1, CONTRACT, "twice"),
        (3, 1, CONTRACT, "TWICE"),
        (4, 2, "OTHER", "Twice"),
    ] {
        let (contract, merchant_refund_id) = (contract.to_owned(), Some(reference.to_owned()));
        let request =
            RefundRequest { contract, merchant_refund_id, ..refund_request(number, tx(of), 100) };
        admitted(&store, &request, now).await;
    }
    admitted(&store, &refund_request(5, tx(1), 100), now).await;
    for (contract, reference, expected) in [
        (CONTRACT, "RÜCKGABE-1", Lookup::One(1)),
        (CONTRACT, "rückgabe-1", Lookup::One(1)),
        (CONTRACT, "rueckgabe-1", Lookup::None),
        (CONTRACT, "Twice", Lookup::Many),
        ("OTHER", "twice", Lookup::One(4)),
        ("OTHER", "Rückgabe-1", Lookup::None),
        (CONTRACT, "", Lookup::None),
    ] {
        let found = match store.refund_find(contract, reference).await.unwrap() {
            Lookup::None => Lookup::None,
            Lookup::One(refund) => Lookup::One(refund.refund_id.get()),
            Lookup::Many => Lookup::Many,
        };
        assert_eq!(found, expected, "{contract} {reference:?}");
    }
}

/// Unresolved refunds are looked after until they are resolved.
pub async fn due_refunds_are_claimed_oldest_first(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let mut due = Vec::new();
    for (number, seconds) in [(1, 300), (2, 100), (3, 200)] {
        let at = start().after(Duration::from_secs(seconds));
        due.push(admitted(&store, &refund_request(number, tx(1), 100), at).await);
    }
    let first = due[1].next_check_at.unwrap();
    let last = due[0].next_check_at.unwrap();
    let claim = async |now: Timestamp, limit: usize| {
        let claimed = store.refund_claim_due(now, limit).await.unwrap();
        for refund in &claimed {
            assert_eq!(store.refund_get(refund.refund_id).await.unwrap().as_ref(), Some(refund));
            assert!(refund.next_check_at > Some(now));
        }
        claimed.iter().map(|refund| refund.refund_id.get()).collect::<Vec<_>>()
    };
    assert_eq!(claim(first.before(Duration::from_micros(1)), 10).await, [0; 0]);
    assert_eq!(claim(first, 10).await, [2]);
    assert_eq!(store.refund_get(rf(2)).await.unwrap(), Some(due[1].checked(first)));
    assert_eq!(claim(last, 0).await, [0; 0]);
    let overdue = last.after(DAY);
    assert_eq!(claim(overdue, 2).await, [2, 3]);
    assert_eq!(claim(overdue, 10).await, [1]);
    assert_eq!(claim(overdue, 10).await, [0; 0]);
    store.refund_resolve(rf(1), made(), &[], overdue).await.unwrap();
    store.refund_resolve(rf(3), refused("no", 1), &[], overdue).await.unwrap();
    assert_eq!(claim(overdue.after(31 * DAY), 10).await, [2]);
}

/// A refund that never reached a payment is on record all the same.
pub async fn calls_refused_early_are_recorded_as_failed_refunds(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let lines = trail(&store, tx(1)).await;
    let own = failed_refund(1, tx(1), CONTRACT);
    let foreign = failed_refund(2, tx(1), "OTHER");
    let nowhere = Refund { resolved_at: None, ..failed_refund(3, tx(404), CONTRACT) };
    let now = start().after(MINUTE);
    for refund in [&own, &foreign, &nowhere] {
        store.refund_record_refused(refund, now).await.unwrap();
        let resolved_at = Some(refund.resolved_at.unwrap_or(now));
        let expected = Refund { resolved_at, ..refund.clone() };
        assert_eq!(store.refund_get(refund.refund_id).await.unwrap(), Some(expected));
        assert!(is_conflict(&store.refund_record_refused(refund, now).await));
        let told = store.refund_resolve(refund.refund_id, made(), &[], now).await.unwrap();
        assert!(matches!(told.state, RefundState::Failed(_)));
    }
    // What another contract asked for about a payment is not part of its story.
    assert_eq!(store.refunds_of(tx(1)).await.unwrap(), [own]);
    assert_eq!(store.refunds_of(tx(404)).await.unwrap(), []);
    assert_eq!(trail(&store, tx(1)).await, lines);
    assert_eq!(store.refund_find(CONTRACT, "BACK-ß-1").await.unwrap(), Lookup::Many);
    let open = Refund { state: RefundState::Unresolved, ..failed_refund(4, tx(1), CONTRACT) };
    let stored = store.refund_record_refused(&open, now).await;
    assert!(matches!(stored, Err(StoreError::Invalid { table: "refunds", .. })), "{stored:?}");
    assert_eq!(store.refund_get(rf(4)).await.unwrap(), None);
}

/// What went back without us is stored once, counted, and in the journal.
pub async fn refunds_that_nobody_asked_for_are_recorded_once(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let now = start().after(MINUTE);
    admitted(&store, &refund_request(1, tx(1), 300_000), now).await;
    let entry = |key: &str, rupiah: u64, id: &str| SeenRefund {
        key: Some(key.into()),
        amount: Rupiah::new(rupiah).unwrap(),
        midtrans: MidtransRefund { id: Some(id.into()), ..MidtransRefund::default() },
    };
    let seen = SeenBack {
        refunds: vec![entry("1", 3_000, "7"), entry("ß", 2_000, "8")],
        total: None,
        charged_back: None,
    };
    let ids = [rf(50), rf(51), rf(52)];
    let found = store.refund_record_elsewhere(tx(1), &seen, &ids, now).await.unwrap();
    let [refund] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(store.refund_get(rf(50)).await.unwrap().as_ref(), Some(refund));
    let made = MadeElsewhere { how: Elsewhere::Dashboard, key: Some("ß".into()) };
    assert_eq!(refund.made_elsewhere, Some(made));
    assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(500_000));
    assert_eq!(store.refunds_of(tx(1)).await.unwrap().len(), 2);
    let again = store.refund_record_elsewhere(tx(1), &seen, &ids[1..], now).await.unwrap();
    assert_eq!(again, []);
    let all = SeenBack { charged_back: Some(ChargedBack::Whole), ..seen };
    let rest = store.refund_record_elsewhere(tx(1), &all, &ids[1..], now).await.unwrap();
    assert_eq!(rest[0].amount.map(Rupiah::get), Some(5_000));
    let kinds: Vec<_> = store
        .journal_read(&Cursor::default(), 100)
        .await
        .unwrap()
        .records
        .into_iter()
        .map(|record| (record.entry.kind.as_str(), record.entry.refund_id))
        .collect();
    assert_eq!(
        kinds[kinds.len() - 2..],
        [("refunded_elsewhere", Some(rf(50))), ("charged_back", Some(rf(51)))]
    );
    let none = store.refund_record_elsewhere(tx(404), &all, &ids, now).await;
    assert!(is_missing(none, "payments"));
    let too_much = store.refund_reserve(&refund_request(2, tx(1), 100), now).await.unwrap();
    assert!(matches!(too_much, Reserved::Refused(_)), "{too_much:?}");
}
