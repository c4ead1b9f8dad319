//! Personal data: replaced as a whole or not at all, sealed by the layer before the engine, wrapped anew
//! under another key, erased.

use std::sync::Arc;

use gopay_core::payment::{Payment, PaymentRecord};
use gopay_core::refund::RefundRequest;

use super::UnderTest;
use super::samples::{
    DAY, SECOND, apply, charge_created, create, nonce, note, paid, payment, refund_request,
    restored, start, stored, trail, tx,
};
use crate::sealing::{KeyRing, SealedStore, WrappedKey, is_sealed, rekey};
use crate::{Created, Erasure, KeyChange, Personal, Rewrapping, StoreError};

/// The keys of the suite; whoever runs it through the layer gives the layer the same.
#[must_use]
pub fn keys(ids: &[&str]) -> KeyRing {
    let key = |id: &&str| ((*id).to_owned(), [id.as_bytes()[0]; 32].into());
    KeyRing::new(ids.iter().map(key))
}

/// The layer before an engine, with keys of the suite.
#[must_use]
pub fn behind_the_layer(engine: UnderTest) -> UnderTest {
    Arc::new(SealedStore::new(engine, keys(&["alpha"])))
}

fn wrapped(key_id: &str, byte: u8) -> WrappedKey {
    WrappedKey { key_id: key_id.to_owned(), wrapped: vec![byte; 65] }
}

fn erasure(number: i64) -> Erasure {
    let (by, reason) = ("Sri".to_owned(), "asked by the shopper: ß".to_owned());
    Erasure { tx_id: tx(number), at: start().after(DAY), by, reason }
}

fn with_nonce(number: i64) -> Payment {
    let nonce = Some(nonce(&format!("n-{number}")));
    restored(PaymentRecord { nonce, ..payment(number).into_record() })
}

/// A payment with everything that can be personal.
async fn create_full(store: &UnderTest, number: i64) {
    let payment = with_nonce(number);
    let request = r#"{"specin.accountholdername":"Siti"}"#;
    store.payment_create(&payment, request, &[note("accepted")]).await.unwrap();
    let (event, answer) = (charge_created(), b"STATUS=PENDING".as_slice());
    let notes = [note("charge_sent")];
    let now = start().after(SECOND);
    store.payment_apply(payment.tx_id, &event, Some(answer), &notes, now).await.unwrap();
    apply(store, payment.tx_id, &paid(), now).await;
    let descriptor = Some("sorry, Siti".into());
    let request = RefundRequest { descriptor, ..refund_request(number, tx(number), 100) };
    store.refund_reserve(&request, now.after(SECOND)).await.unwrap();
}

async fn personal(store: &UnderTest, number: i64) -> Personal {
    store.personal_get(tx(number)).await.unwrap().expect("the payment is there")
}

fn emptied(from: &Personal) -> Personal {
    let mut to = from.clone();
    to.redirect_secret = "another".into();
    to.fingerprint = [0; 32];
    to.request = "{}".into();
    (to.merchant_redirect_url, to.deeplink, to.answer) = (None, None, None);
    for record in &mut to.records {
        record.detail = r#"{"erased":true}"#.into();
    }
    to.descriptors.iter_mut().for_each(|(_, descriptor)| *descriptor = None);
    to
}

/// All of it changes, together with the key; if any of it has changed since it was read, nothing does.
pub async fn personal_data_is_replaced_only_as_it_was_read(engine: UnderTest) {
    create_full(&engine, 1).await;
    create_full(&engine, 2).await;
    let other = personal(&engine, 2).await;
    let from = personal(&engine, 1).await;
    let kinds: Vec<&str> = from.records.iter().map(|record| record.kind.as_str()).collect();
    assert_eq!(kinds, ["accepted", "state", "charge_sent", "state", "refund"]);
    let change = KeyChange::Erase(erasure(1));
    engine.payment_note(tx(1), &[note("late")], start().after(DAY)).await.unwrap();
    let to = emptied(&from);
    assert!(!engine.personal_replace(tx(1), (&from, &to), &change).await.unwrap());
    assert_eq!(engine.erasure_get(tx(1)).await.unwrap(), None);

    let from = personal(&engine, 1).await;
    let to = emptied(&from);
    assert!(engine.personal_replace(tx(1), (&from, &to), &change).await.unwrap());
    assert_eq!(personal(&engine, 1).await, to);
    assert_eq!(personal(&engine, 2).await, other);
    assert_eq!(engine.erasure_get(tx(1)).await.unwrap(), Some(erasure(1)));
    assert_eq!(engine.erasure_get(tx(2)).await.unwrap(), None);
    let after = stored(&engine, tx(1)).await;
    assert_eq!((after.deeplink.as_ref(), after.answer.as_ref()), (None, None));
    assert_eq!(after.state.as_str(), "succeeded");
    assert!(!engine.personal_replace(tx(3), (&from, &to), &change).await.unwrap());
    assert_eq!(engine.personal_get(tx(3)).await.unwrap(), None);
}

/// A payment has a data key or none; it is wrapped anew only if it is still as it was read.
pub async fn data_keys_are_kept_listed_and_wrapped_anew(engine: UnderTest) {
    let key = wrapped("one", 1);
    let first = with_nonce(1);
    let create_sealed = |payment: Payment| {
        let (engine, key) = (Arc::clone(&engine), key.clone());
        async move { engine.payment_create_sealed(&payment, "{}", &[], &key).await }
    };
    assert_eq!(create_sealed(first.clone()).await.unwrap(), Created::New);
    assert!(matches!(create_sealed(first.clone()).await, Ok(Created::NonceTaken(_))));
    assert!(matches!(create_sealed(payment(1)).await, Err(StoreError::Conflict)));
    create(&engine, &payment(2)).await;
    assert_eq!(create_sealed(payment(3)).await.unwrap(), Created::New);
    assert_eq!(engine.data_key(tx(1)).await.unwrap(), Some(key.clone()));
    assert_eq!(engine.data_key(tx(2)).await.unwrap(), None);

    let from = personal(&engine, 3).await;
    let change = KeyChange::Erase(erasure(3));
    assert!(engine.personal_replace(tx(3), (&from, &emptied(&from)), &change).await.unwrap());
    let listed = |after, limit| {
        let engine = Arc::clone(&engine);
        async move {
            let listed = engine.data_keys_after(after, limit).await.unwrap();
            let short = listed.into_iter().map(|one| (one.tx_id, one.key.is_some(), one.erased));
            short.collect::<Vec<_>>()
        }
    };
    let (one, two, three) = ((tx(1), true, false), (tx(2), false, false), (tx(3), false, true));
    assert_eq!(listed(0, 9).await, [one, two, three]);
    assert_eq!(listed(1, 1).await, [two]);
    assert_eq!(listed(3, 9).await, []);

    let to = wrapped("two", 2);
    let of = |number, from: &WrappedKey| Rewrapping {
        tx_id: tx(number),
        from: from.clone(),
        to: to.clone(),
    };
    assert_eq!(
        engine.data_keys_rewrap(&[of(1, &wrapped("one", 9)), of(2, &key)]).await.unwrap(),
        0
    );
    assert_eq!(engine.data_keys_rewrap(&[of(1, &key), of(3, &key)]).await.unwrap(), 1);
    assert_eq!(engine.data_key(tx(1)).await.unwrap(), Some(to));
}

/// A proof stays for as long as anything is wrapped in its key.
pub async fn proofs_of_keys_stay_while_they_are_used(engine: UnderTest) {
    let (one, two) = (wrapped("one", 1), wrapped("two", 2));
    engine.key_proof_add(&one, start()).await.unwrap();
    engine.key_proof_add(&two, start()).await.unwrap();
    engine.key_proof_add(&wrapped("one", 3), start()).await.unwrap();
    assert_eq!(engine.key_proofs().await.unwrap(), [one.clone(), two.clone()]);
    engine.payment_create_sealed(&payment(1), "{}", &[], &one).await.unwrap();
    assert!(!engine.key_proof_remove("one").await.unwrap());
    assert!(engine.key_proof_remove("two").await.unwrap());
    assert!(engine.key_proof_remove("three").await.unwrap());
    assert_eq!(engine.key_proofs().await.unwrap(), [one]);
}

fn all_sealed(personal: &Personal) -> bool {
    let texts = [&personal.merchant_redirect_url, &personal.deeplink];
    let details = personal.records.iter().filter(|record| record.kind != "state");
    let details = details.filter(|record| record.kind != "refund");
    is_sealed(personal.redirect_secret.as_bytes())
        && is_sealed(personal.request.as_bytes())
        && personal.answer.as_deref().is_some_and(is_sealed)
        && texts.into_iter().flatten().all(|text| is_sealed(text.as_bytes()))
        && details.map(|record| record.detail.as_bytes()).all(|detail| is_sealed(&detail[1..]))
        && personal
            .descriptors
            .iter()
            .flat_map(|(_, text)| text)
            .all(|text| is_sealed(text.as_bytes()))
}

/// What goes through the layer comes back as it was, and lies in the engine sealed; what was stored
/// before it had keys is read all the same, and sealed when that is asked for.
pub async fn what_is_sealed_is_read_as_it_was_written(engine: UnderTest) {
    create_full(&engine, 1).await;
    let old: UnderTest = Arc::new(SealedStore::new(Arc::clone(&engine), keys(&["alpha"])));
    let plain = stored(&old, tx(1)).await;
    create_full(&old, 2).await;
    let (payment, lines) = (stored(&old, tx(2)).await, trail(&old, tx(2)).await);
    assert_eq!(payment.deeplink.as_deref(), Some("gojek://gopay?x=1"));
    assert_eq!(payment.answer.as_deref(), Some(b"STATUS=PENDING".as_slice()));
    assert_eq!(payment.redirect_secret, with_nonce(2).redirect_secret);
    assert_eq!(lines[0].detail, note("accepted").detail);
    assert_eq!(
        old.payment_request(tx(2)).await.unwrap(),
        old.payment_request(tx(1)).await.unwrap()
    );
    assert_eq!(old.refunds_of(tx(2)).await.unwrap()[0].descriptor.as_deref(), Some("sorry, Siti"));
    assert!(all_sealed(&personal(&engine, 2).await), "{:?}", personal(&engine, 2).await);

    let ring = keys(&["beta", "alpha"]);
    let new: UnderTest = Arc::new(SealedStore::new(Arc::clone(&engine), ring.clone()));
    let none = keys(&["beta"]);
    let without: UnderTest = Arc::new(SealedStore::new(Arc::clone(&engine), none));
    let refused = without.payment_get(tx(2)).await.unwrap_err();
    let why = std::error::Error::source(&refused).map(ToString::to_string).unwrap_or_default();
    assert!(why.contains("alpha"), "{why}");
    for (proof, at) in [(keys(&["alpha"]).prove(), start()), (ring.prove(), start())] {
        engine.key_proof_add(&proof.unwrap().unwrap(), at).await.unwrap();
    }
    let done = rekey(new.as_ref(), &ring, &mut |_| {}).await.unwrap();
    assert_eq!((done.seen, done.sealed, done.rewrapped, done.left), (2, 1, 1, 0));
    assert_eq!(done.unused, ["alpha"]);
    assert!(all_sealed(&personal(&engine, 1).await));
    assert_eq!(stored(&without, tx(1)).await, plain);
    assert_eq!(stored(&without, tx(2)).await, payment);
    assert_eq!(trail(&without, tx(2)).await, lines);
    let again = rekey(new.as_ref(), &ring, &mut |_| {}).await.unwrap();
    assert_eq!((again.seen, again.sealed, again.rewrapped), (2, 0, 0));
}

/// A sealed value of another payment does not open; the rest of a list is not stopped by it.
pub async fn a_value_in_the_place_of_another_does_not_open(engine: UnderTest) {
    let sealed: UnderTest = Arc::new(SealedStore::new(Arc::clone(&engine), keys(&["alpha"])));
    for number in [1, 2] {
        create_full(&sealed, number).await;
    }
    let from = personal(&engine, 1).await;
    let other = personal(&engine, 2).await;
    let to = Personal { deeplink: other.deeplink, ..from.clone() };
    // The layer before it would destroy the key with the values.
    let key = engine.data_key(tx(1)).await.unwrap().unwrap();
    let erased = KeyChange::Erase(erasure(1));
    assert!(engine.personal_replace(tx(1), (&from, &to), &erased).await.unwrap());
    assert!(engine.personal_replace(tx(1), (&to, &to), &KeyChange::Seal(key)).await.unwrap());
    let fresh = SealedStore::new(Arc::clone(&engine), keys(&["alpha"]));
    let fresh: UnderTest = Arc::new(fresh);
    let refused = fresh.payment_get(tx(1)).await;
    let corrupt = StoreError::Corrupt { table: "payments", column: "deeplink", row: "1".into() };
    assert_eq!(refused.unwrap_err().to_string(), corrupt.to_string());
    let page = crate::Page::first(crate::Order::OldestFirst, 9);
    let listed = fresh.payments_list(&crate::PaymentFilter::default(), &page).await.unwrap();
    let listed: Vec<_> = listed.rows.iter().map(|row| row.tx_id).collect();
    assert_eq!(listed, [tx(2)]);
}
