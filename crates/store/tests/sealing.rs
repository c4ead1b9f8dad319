//! Laws of sealed values and wrapped keys.
#![expect(clippy::unwrap_used, reason = "a test")]

use gopay_core::ids::TxId;
use gopay_store::sealing::{DataKey, KeyRing, Place, SealError, WrappedKey, is_sealed};
use proptest::prelude::*;

const COLUMN: &str = "payments.deeplink";

fn place(number: i64) -> Place<'static> {
    Place { tx_id: TxId::new(number).unwrap(), column: COLUMN, row: "" }
}

fn ring(keys: &[(&str, u8)]) -> KeyRing {
    KeyRing::new(keys.iter().map(|(id, byte)| ((*id).to_owned(), [*byte; 32].into())))
}

proptest! {
    #[test]
    fn what_is_sealed_opens_as_it_was(bytes: Vec<u8>, text: String, number in 1..i64::MAX) {
        let key = DataKey::draw().unwrap();
        let sealed = key.seal_bytes(place(number), &bytes).unwrap();
        prop_assert!(is_sealed(&sealed));
        prop_assert_eq!(key.open_bytes(place(number), &sealed).unwrap(), bytes.clone());
        let sealed = key.seal_text(place(number), &text).unwrap();
        prop_assert!(is_sealed(sealed.as_bytes()));
        prop_assert_eq!(key.open_text(place(number), &sealed).unwrap(), text.clone());
        // The same content never looks the same.
        prop_assert_ne!(key.seal_text(place(number), &text).unwrap(), sealed);
    }

    #[test]
    fn a_changed_byte_does_not_open(bytes: Vec<u8>, at: prop::sample::Index, bit in 0..8_u32) {
        let key = DataKey::draw().unwrap();
        let sealed = key.seal_bytes(place(1), &bytes).unwrap();
        let mut changed = sealed.clone();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert_eq!(key.open_bytes(place(1), &changed), Err(SealError::Broken));
        let cut = &sealed[..at];
        prop_assert_eq!(key.open_bytes(place(1), cut), Err(SealError::Broken));
    }

    #[test]
    fn a_changed_letter_does_not_open(text: String, at: prop::sample::Index, to in "[A-Za-z0-9+/=]") {
        let key = DataKey::draw().unwrap();
        let sealed = key.seal_text(place(1), &text).unwrap();
        let at = at.index(sealed.len());
        let changed = format!("{}{to}{}", &sealed[..at], &sealed[at + 1..]);
        if changed != sealed {
            prop_assert_eq!(key.open_text(place(1), &changed), Err(SealError::Broken));
        }
    }
}

#[test]
fn a_value_opens_only_at_its_own_place() {
    let key = DataKey::draw().unwrap();
    let own = Place { row: "asked", ..place(7) };
    let sealed = key.seal_text(own, "Siti").unwrap();
    for (other, opens) in [
        (own, true),
        (Place { tx_id: TxId::new(8).unwrap(), ..own }, false),
        (Place { column: "payments.answer", ..own }, false),
        (Place { row: "charge_sent", ..own }, false),
        (Place { row: "", ..own }, false),
    ] {
        assert_eq!(key.open_text(other, &sealed).is_ok(), opens, "{other:?}");
    }
    assert_eq!(DataKey::draw().unwrap().open_text(own, &sealed), Err(SealError::Broken));
}

#[test]
fn a_wrapped_key_opens_for_its_payment_under_its_key_only() {
    let (one, two) = (TxId::new(1).unwrap(), TxId::new(2).unwrap());
    let old = ring(&[("old", 1)]);
    let (key, wrapped) = old.draw(one).unwrap().unwrap();
    let sealed = key.seal_text(place(1), "Siti").unwrap();
    let renamed = WrappedKey { key_id: "new".into(), ..wrapped.clone() };
    let both = ring(&[("new", 2), ("old", 1)]);
    for (ring, tx_id, wrapped, wrong) in [
        (&old, one, &wrapped, None),
        (&both, one, &wrapped, None),
        (&old, two, &wrapped, Some(SealError::Broken)),
        (&ring(&[("old", 2)]), one, &wrapped, Some(SealError::Broken)),
        (&ring(&[("new", 2)]), one, &wrapped, Some(SealError::NoKey { key_id: "old".into() })),
        (&ring(&[("new", 1)]), one, &renamed, Some(SealError::Broken)),
    ] {
        assert_eq!(ring.unwrap(tx_id, wrapped).err(), wrong, "{ring:?}");
    }
    let again = both.rewrap(one, &wrapped).unwrap().unwrap();
    assert_eq!(again.key_id, "new");
    let opened = ring(&[("new", 2)]).unwrap(one, &again).unwrap();
    assert_eq!(opened.open_text(place(1), &sealed).unwrap(), "Siti");
    assert_eq!(both.rewrap(one, &again).unwrap(), None);
    assert!(KeyRing::default().draw(one).unwrap().is_none());
}

#[test]
fn a_proof_shows_another_key_under_the_same_id() {
    let proof = ring(&[("one", 1)]).prove().unwrap().unwrap();
    assert_eq!(ring(&[("two", 2), ("one", 1)]).check(&proof), Ok(()));
    assert_eq!(ring(&[("one", 2)]).check(&proof), Err(SealError::Broken));
    let none = Err(SealError::NoKey { key_id: "one".into() });
    assert_eq!(ring(&[("two", 1)]).check(&proof), none);
    assert_eq!(KeyRing::default().check(&proof), none);
}

#[test]
fn keys_are_not_printed() {
    let shown = format!("{:?} {:?}", ring(&[("one", 65)]), DataKey::draw().unwrap());
    assert_eq!(shown, r#"KeyRing(["one"]) DataKey(..)"#);
}
