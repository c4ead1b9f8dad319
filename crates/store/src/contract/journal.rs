//! The journal: every money event once, in order, with its state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gopay_core::ids::{IdGenerator, TxId};
use gopay_core::journal::{Entry, Kind, SignedSen, Sums};
use gopay_core::money::Rupiah;
use gopay_core::payment::{Event, FailReason, Failure, Payment, PaymentRecord, PaymentState};
use gopay_core::refund::{MidtransRefund, RefundOutcome, RefundRequest};
use gopay_core::time::Timestamp;
use gopay_testkit::sample;
use tokio::task::JoinHandle;

use super::UnderTest;
use super::samples::{
    CONTRACT, DAY, MINUTE, REQUEST, SECOND, admitted, apply, charge_created, create, create_paid,
    expired, failed_refund, failure, is_conflict, made, nonce, note, paid, payment, refund_request,
    refused, restored, rf, start, stored, tx,
};
use crate::{Created, Cursor, Database, JOURNAL_PAGE_MAX, JournalRecord, JournalSubject, Reserved};

/// The whole journal, by pages of so many.
async fn journal(store: &dyn Database, limit: usize) -> Vec<JournalRecord> {
    let (mut records, mut cursor) = (Vec::new(), Cursor::default());
    loop {
        let page = store.journal_read(&cursor, limit).await.unwrap();
        assert!(page.records.len() <= limit);
        if page.records.is_empty() {
            assert_eq!(page.next, cursor);
            assert_eq!(store.journal_end().await.unwrap(), cursor);
            return records;
        }
        records.extend(page.records);
        cursor = page.next;
    }
}

async fn kinds(store: &UnderTest) -> Vec<(i64, Kind)> {
    let records = journal(&**store, 100).await;
    records.iter().map(|record| (record.entry.tx_id.get(), record.entry.kind)).collect()
}

/// The life of a payment as entries, with what each says.
pub async fn money_events_are_entered_with_what_is_known_of_them(store: UnderTest) {
    let begun = payment(1);
    create(&store, &begun).await;
    let at = |minutes: u32| start().after(minutes * MINUTE);
    apply(&store, tx(1), &charge_created(), at(1)).await;
    apply(&store, tx(1), &expired(), at(2)).await;
    apply(&store, tx(1), &paid(), at(3)).await;
    let entry = Entry {
        at: at(1),
        kind: Kind::Opened,
        tx_id: tx(1),
        refund_id: None,
        amount: Some(SignedSen::new(1_000_000)),
        reason: None,
        midtrans_id: Some("m-1".into()),
        midtrans_at: None,
        payment_type: None,
        payment_option: None,
    };
    let failed =
        Entry { at: at(2), kind: Kind::Failed, reason: Some(FailReason::Timeout), ..entry.clone() };
    let late = Entry {
        at: at(3),
        kind: Kind::SucceededLate,
        midtrans_at: Some(start().after(SECOND)),
        payment_type: Some("gopay".into()),
        payment_option: Some("GOPAY_WALLET".into()),
        ..entry.clone()
    };
    let about = JournalSubject {
        psp: Some("testclient".into()),
        contract: Some(CONTRACT.into()),
        channel: begun.channel,
        merchant_tx_id: begun.merchant_tx_id.clone(),
        merchant_refund_id: None,
    };
    let expected: Vec<_> = [entry, failed, late]
        .into_iter()
        .zip(1..)
        .map(|(entry, seq)| JournalRecord { shard: 0, seq, entry, about: about.clone() })
        .collect();
    assert_eq!(journal(&*store, 100).await, expected);
    assert_eq!(stored(&store, tx(1)).await.first_failure.unwrap().at, at(2));
}

/// What changes no money changes no journal; what is refused at once is in it.
pub async fn nothing_else_is_entered(store: UnderTest) {
    let refused_at_once = restored(PaymentRecord {
        amount: None,
        state: PaymentState::Failed(failure("amount: not a number")),
        final_at: Some(start()),
        ..payment(1).into_record()
    });
    create(&store, &refused_at_once).await;
    let with_nonce =
        restored(PaymentRecord { nonce: Some(nonce("n")), ..payment(2).into_record() });
    create(&store, &with_nonce).await;
    create_paid(&store, &payment(3)).await;
    let expected = [(1, Kind::Failed), (3, Kind::Succeeded)];
    assert_eq!(kinds(&store).await, expected);

    let again = restored(PaymentRecord {
        nonce: Some(nonce("n")),
        state: PaymentState::Failed(failure("no")),
        final_at: Some(start()),
        ..payment(9).into_record()
    });
    let created = store.payment_create(&again, REQUEST, &[]).await.unwrap();
    assert!(matches!(created, Created::NonceTaken(_)));
    let taken = restored(PaymentRecord { nonce: None, ..again.into_record() });
    let taken = restored(PaymentRecord { tx_id: tx(3), ..taken.into_record() });
    assert!(is_conflict(&store.payment_create(&taken, REQUEST, &[]).await));
    for event in [paid(), expired(), charge_created(), Event::NoAnswer] {
        apply(&store, tx(3), &event, start().after(DAY)).await;
    }
    apply(&store, tx(2), &Event::NoAnswer, start().after(DAY)).await;
    store.payment_answer(tx(2), b"x").await.unwrap();
    store.payment_note(tx(2), &[note("x")], start()).await.unwrap();
    store.payment_check_at(tx(2), start()).await.unwrap();
    store.payment_claim_due(start().after(DAY), 100).await.unwrap();
    store.ping(start()).await.unwrap();
    assert_eq!(kinds(&store).await, expected);
}

/// Refunds are entered when they are requested and when they end, and once more when their money
/// is back; calls for one that were refused are entered as failed.
pub async fn refunds_are_entered_beside_their_payment(store: UnderTest) {
    let number = IdGenerator::new(5).next_tx(start()).get();
    let of = create_paid(&store, &payment(number)).await.tx_id;
    let now = start().after(MINUTE);
    let later = now.after(MINUTE);
    let request = |number, sen| RefundRequest {
        merchant_refund_id: Some(format!("back-{number}")),
        ..refund_request(number, of, sen)
    };
    for number in 1..=3 {
        admitted(&store, &request(number, 100_000), now).await;
    }
    assert!(matches!(
        store.refund_reserve(&request(4, 1), now).await.unwrap(),
        Reserved::Refused(_)
    ));
    assert!(is_conflict(&store.refund_reserve(&request(1, 100), now).await));
    let said = MidtransRefund { id: Some("71".into()), at: Some(now), funds_confirmed_at: None };
    let back = MidtransRefund { funds_confirmed_at: Some(later), ..said.clone() };
    let outcomes = [
        (1, RefundOutcome::Made(said.clone())),
        (1, RefundOutcome::Made(said)),
        (2, refused("no", 0)),
        (1, RefundOutcome::Made(back.clone())),
        (2, RefundOutcome::Made(back.clone())),
        (3, RefundOutcome::Made(back.clone())),
        (3, RefundOutcome::Made(back.clone())),
    ];
    for (number, outcome) in outcomes {
        store.refund_resolve(rf(number), outcome, &[note("x")], later).await.unwrap();
    }
    assert_eq!(store.refund_get(rf(1)).await.unwrap().unwrap().midtrans, back);
    let told: Vec<_> = journal(&*store, 100)
        .await
        .into_iter()
        .map(|record| {
            assert_eq!((record.shard, record.entry.tx_id), (5, of));
            assert_eq!(record.about.merchant_tx_id, Some(format!("order-{number}")));
            let entry = record.entry;
            let id = entry.refund_id.map_or(0, |id| id.get());
            let back = entry.refund_id.map(|id| format!("back-{id}"));
            assert_eq!(record.about.merchant_refund_id, back);
            let amount = entry.amount.map(SignedSen::get);
            (id, entry.kind, amount, entry.midtrans_id, entry.midtrans_at)
        })
        .collect();
    let id = || Some("71".to_owned());
    let hundred = Some(100_000);
    assert_eq!(
        told,
        [
            (0, Kind::Succeeded, Some(1_000_000), Some("m-1".into()), Some(start().after(SECOND))),
            (1, Kind::RefundRequested, hundred, None, None),
            (2, Kind::RefundRequested, hundred, None, None),
            (3, Kind::RefundRequested, hundred, None, None),
            (4, Kind::RefundFailed, None, None, None),
            (1, Kind::RefundSucceeded, hundred, id(), Some(now)),
            (2, Kind::RefundFailed, hundred, None, None),
            (1, Kind::RefundFundsConfirmed, hundred, id(), Some(later)),
            (3, Kind::RefundSucceeded, hundred, id(), Some(now)),
            (3, Kind::RefundFundsConfirmed, hundred, id(), Some(later)),
        ]
    );
    assert_eq!(stored(&store, of).await.refund_reserved.get(), 200_000);
}

/// A call that names another contract's payment, or none, is entered without telling of it.
pub async fn what_a_refused_refund_names_is_not_told(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    for (number, of, contract) in [(1, 1, CONTRACT), (2, 1, "OTHER"), (3, 404, "OTHER")] {
        store
            .refund_record_refused(&failed_refund(number, tx(of), contract), start())
            .await
            .unwrap();
    }
    let records = journal(&*store, 100).await;
    let told: Vec<_> = records
        .iter()
        .filter(|record| record.entry.kind == Kind::RefundFailed)
        .map(|record| {
            let about = &record.about;
            (record.entry.tx_id, about.contract.as_deref(), about.merchant_tx_id.as_deref())
        })
        .collect();
    assert_eq!(
        told,
        [
            (tx(1), Some(CONTRACT), Some("order-1")),
            (tx(1), Some("OTHER"), None),
            (tx(404), Some("OTHER"), None)
        ]
    );
}

/// Each shard has its own sequence from 1 without gaps; pages of any size have every entry once,
/// merged by time.
pub async fn shards_are_read_together_in_pages(store: UnderTest) {
    let mut made = BTreeMap::new();
    for (instance, count) in [(0, 7), (3, 40), (1_023, 20)] {
        let mut ids = IdGenerator::new(instance);
        for number in 0..count {
            let at = start().after(Duration::from_secs(number * 60 + u64::from(instance)));
            let payment = sample::payment(ids.next_tx(at).get(), at);
            create(&store, &payment).await;
            apply(&store, payment.tx_id, &charge_created(), at).await;
            apply(&store, payment.tx_id, &paid(), at.after(SECOND)).await;
            made.insert(instance, 2 * count);
        }
    }
    let all = journal(&*store, JOURNAL_PAGE_MAX).await;
    let times: Vec<_> = all.iter().map(|record| (record.entry.at, record.shard)).collect();
    assert!(times.is_sorted(), "{times:?}");
    for limit in [1, 3, 17, 50] {
        let mut paged = journal(&*store, limit).await;
        assert!(numbered(&paged, &made), "by {limit}");
        paged.sort_by_key(|record| (record.entry.at, record.shard, record.seq));
        assert_eq!(paged, all, "by {limit}");
    }
    let end = store.journal_end().await.unwrap();
    assert_eq!((end.position(3), end.position(4)), (80, 0));
    let text = end.to_string();
    assert_eq!(text.parse(), Ok(end.clone()), "{text}");
    create_paid(&store, &payment(1)).await;
    let new = store.journal_read(&end, 10).await.unwrap();
    assert_eq!(new.records.len(), 1);
    assert_eq!(new.next, end.advanced(0, 15));
}

/// Whether the records of each shard are numbered from 1, in order and without gaps.
fn numbered(records: &[JournalRecord], made: &BTreeMap<u16, u64>) -> bool {
    let mut next: BTreeMap<u16, i64> = BTreeMap::new();
    let in_order = records.iter().all(|record| {
        let seq = next.entry(record.shard).or_insert(0);
        *seq += 1;
        record.seq == *seq
    });
    let counts: BTreeMap<u16, u64> =
        next.into_iter().map(|(shard, seq)| (shard, seq.unsigned_abs())).collect();
    in_order && counts == *made
}

/// A reader that follows many writers at once sees every entry once and none late, whatever it
/// was doing when the entry came; and what it has read adds up to the state.
pub async fn a_reader_that_follows_writers_misses_nothing(store: UnderTest) {
    follow(store.clone(), vec![store]).await;
}

/// The same for writers on several handles, as of several instances, with their own numbers.
pub async fn follow(reader: UnderTest, writers: Vec<UnderTest>) {
    const WORKERS: u16 = 12;
    const PAYMENTS: usize = 12;
    let tasks: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let store = Arc::clone(&writers[usize::from(worker) % writers.len()]);
            // Three shards, each with several workers on several handles.
            let ids: Vec<TxId> = ids_of(worker, PAYMENTS);
            tokio::spawn(async move {
                for tx_id in &ids {
                    live(&store, *tx_id).await;
                }
                ids
            })
        })
        .collect();
    let (mut read, mut cursor) = (Vec::new(), Cursor::default());
    loop {
        // Asked before the page, so that the last page has everything.
        let done = tasks.iter().all(JoinHandle::is_finished);
        let page = reader.journal_read(&cursor, 37).await.unwrap();
        if page.records.is_empty() {
            if done {
                break;
            }
            tokio::task::yield_now().await;
        }
        read.extend(page.records);
        cursor = page.next;
    }
    let mut entries: BTreeMap<TxId, Vec<Entry>> = BTreeMap::new();
    let mut places: BTreeMap<u16, i64> = BTreeMap::new();
    for record in read {
        let place = places.entry(record.shard).or_insert(0);
        *place += 1;
        assert_eq!(record.seq, *place, "shard {}", record.shard);
        entries.entry(record.entry.tx_id).or_default().push(record.entry);
    }
    let mut lived = BTreeSet::new();
    for task in tasks {
        lived.extend(task.await.unwrap());
    }
    assert_eq!(entries.keys().copied().collect::<BTreeSet<_>>(), lived);
    for (tx_id, entries) in entries {
        let payment = stored(&reader, tx_id).await;
        let sums = Sums::of(&entries);
        assert_eq!(sums.succeeded, payment.amount.map_or_else(Default::default, Rupiah::sen));
        assert_eq!(sums.reserved, payment.refund_reserved, "{entries:?}");
        let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds[..2], [Kind::Opened, Kind::Succeeded]);
        assert_eq!(kinds.len(), 6, "{kinds:?}");
    }
}

/// Ids of one of three instances, apart from those of other workers.
fn ids_of(worker: u16, count: usize) -> Vec<TxId> {
    let at = start().after(Duration::from_secs(3_600 * u64::from(worker)));
    let mut ids = IdGenerator::new(worker % 3);
    (0..count).map(|_| ids.next_tx(at)).collect()
}

/// Opened, paid, one refund made and another refused.
async fn live(store: &UnderTest, tx_id: TxId) {
    let payment: Payment = sample::payment(tx_id.get(), start());
    create(store, &payment).await;
    apply(store, tx_id, &charge_created(), start().after(SECOND)).await;
    apply(store, tx_id, &paid(), start().after(MINUTE)).await;
    let now: Timestamp = start().after(2 * MINUTE);
    let no = RefundOutcome::Refused {
        failure: Failure::new(FailReason::RemoteDecline, "no"),
        checks: 0,
    };
    for (turn, outcome) in [(0, made()), (1, no)] {
        let request = refund_request(tx_id.get() * 2 + turn, tx_id, 300_000);
        let refund = admitted(store, &request, now).await;
        store.refund_resolve(refund.refund_id, outcome, &[], now).await.unwrap();
    }
}
