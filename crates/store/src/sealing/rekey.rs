//! Wraps every data key in the key for new payments, and seals what is plain: payments from before the
//! first key. Safe beside running instances, and to be run again after it was cut short.

use gopay_core::ids::TxId;

use super::directory::rekey_directory;
use super::ring::{KeyRing, WrappedKey};
use super::store::{
    ANSWER, DEEPLINK, DESCRIPTOR, DETAIL, MERCHANT_REDIRECT_URL, REDIRECT_SECRET, REQUEST, Sealer,
};
use super::value::DataKey;
use crate::engine::{KIND_REFUND, KIND_STATE};
use crate::{Database, KeyChange, KeyOf, Personal, PersonalRecord, Rewrapping, StoreError};

/// Payments in one batch.
const BATCH: usize = 200;

/// How often a payment that is at work is tried.
const TRIES: usize = 3;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Payments that were looked at.
    pub seen: u64,
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// Payments that were plain and are sealed now.
    pub sealed: u64,
    /// Changes of the directory whose keys were wrapped anew.
    pub changes_rewrapped: u64,
    /// Changes of the directory that were plain and are sealed now.
    pub changes_sealed: u64,
    /// Payments that were at work each time; the next run takes them.
    pub left: u64,
    /// Keys that nothing is wrapped in any more: they may go from the config.
    pub unused: Vec<String>,
}

/// See the module. `seen` is told how far it is after every batch.
///
/// # Errors
/// Of the store; what was done until then stays. Without keys nothing is done.
pub async fn rekey(
    store: &dyn Database,
    ring: &KeyRing,
    seen: &mut (dyn FnMut(&Rekeyed) + Send),
) -> Result<Rekeyed, StoreError> {
    let mut done = Rekeyed::default();
    let mut after = 0;
    loop {
        let batch = store.data_keys_after(after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = last.tx_id.get();
        rekey_batch(store, ring, batch, &mut done).await?;
        seen(&done);
    }
    (done.changes_sealed, done.changes_rewrapped) = rekey_directory(store, ring).await?;
    let current = ring.ids().next();
    for proof in store.key_proofs().await? {
        if Some(proof.key_id.as_str()) != current && store.key_proof_remove(&proof.key_id).await? {
            done.unused.push(proof.key_id);
        }
    }
    Ok(done)
}

async fn rekey_batch(
    store: &dyn Database,
    ring: &KeyRing,
    batch: Vec<KeyOf>,
    done: &mut Rekeyed,
) -> Result<(), StoreError> {
    let mut rewrappings = Vec::new();
    for KeyOf { tx_id, key, erased } in batch {
        done.seen = done.seen.saturating_add(1);
        match key {
            Some(from) => {
                let to = ring.rewrap(tx_id, &from);
                let to = to.map_err(|error| error.at("payment_keys.data_key", tx_id))?;
                rewrappings.extend(to.map(|to| Rewrapping { tx_id, from, to }));
            }
            None if erased => {}
            None if seal(store, ring, tx_id).await? => done.sealed = done.sealed.saturating_add(1),
            None => done.left = done.left.saturating_add(1),
        }
    }
    if !rewrappings.is_empty() {
        let rewrapped = store.data_keys_rewrap(&rewrappings).await?;
        done.rewrapped = done.rewrapped.saturating_add(rewrapped);
    }
    Ok(())
}

/// Seals a plain payment; false if it changed each time meanwhile.
async fn seal(store: &dyn Database, ring: &KeyRing, tx_id: TxId) -> Result<bool, StoreError> {
    let drawn = ring.draw(tx_id).map_err(|error| error.at(REQUEST, tx_id))?;
    let Some((key, wrapped)) = drawn else { return Ok(false) };
    for _ in 0..TRIES {
        let Some(plain) = store.personal_get(tx_id).await? else { return Ok(false) };
        let sealed = sealed(&key, tx_id, &plain)?;
        let change = KeyChange::Seal(WrappedKey::clone(&wrapped));
        if store.personal_replace(tx_id, (&plain, &sealed), &change).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn sealed(key: &DataKey, tx_id: TxId, plain: &Personal) -> Result<Personal, StoreError> {
    let sealer = Sealer { key, tx_id };
    let text = |column, text: &Option<String>| {
        text.as_deref().map(|text| sealer.text(column, text)).transpose()
    };
    let record = |record: &PersonalRecord| {
        // What the engine itself says has nothing of a person.
        if [KIND_STATE, KIND_REFUND].contains(&record.kind.as_str()) {
            return Ok(record.clone());
        }
        let detail = sealer.row(DETAIL, &record.kind, &record.detail)?;
        Ok(PersonalRecord { detail: serde_json::Value::from(detail).to_string(), ..record.clone() })
    };
    let records: Result<_, StoreError> = plain.records.iter().map(record).collect();
    let descriptor =
        |(id, descriptor): &(_, Option<String>)| Ok((*id, text(DESCRIPTOR, descriptor)?));
    let descriptors: Result<_, StoreError> = plain.descriptors.iter().map(descriptor).collect();
    Ok(Personal {
        redirect_secret: sealer.text(REDIRECT_SECRET, &plain.redirect_secret)?,
        merchant_redirect_url: text(MERCHANT_REDIRECT_URL, &plain.merchant_redirect_url)?,
        deeplink: text(DEEPLINK, &plain.deeplink)?,
        answer: plain.answer.as_deref().map(|answer| sealer.bytes(ANSWER, answer)).transpose()?,
        fingerprint: plain.fingerprint,
        request: sealer.text(REQUEST, &plain.request)?,
        records: records?,
        descriptors: descriptors?,
    })
}
