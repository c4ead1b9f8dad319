//! Personal data in the model.

use async_trait::async_trait;
use gopay_core::ids::TxId;
use gopay_core::payment::Payment;
use gopay_core::time::Timestamp;

use super::model::{Model, Rows};
use crate::sealing::{KeyProof, WrappedKey};
use crate::{
    Created, Erasure, EventRecord, KeyChange, KeyOf, Note, Personal, PersonalData, PersonalRecord,
    Rewrapping, Store as _, StoreError,
};

impl Rows {
    fn personal(&self, tx_id: TxId) -> Option<Personal> {
        let payment = self.payments.get(&tx_id)?;
        let record = |(seq, record): (i64, &EventRecord)| PersonalRecord {
            seq,
            kind: record.kind.clone(),
            detail: record.detail.to_string(),
        };
        let trail = self.trails.get(&tx_id).map(Vec::as_slice).unwrap_or_default();
        let refunds = self.refunds.values().filter(|refund| refund.tx_id == tx_id);
        let none = [0; 32];
        Some(Personal {
            redirect_secret: payment.redirect_secret.clone(),
            merchant_redirect_url: payment.merchant_redirect_url.clone(),
            deeplink: payment.deeplink.clone(),
            answer: payment.answer.clone(),
            fingerprint: payment.nonce.as_ref().map_or(none, |nonce| nonce.fingerprint),
            request: self.requests.get(&tx_id).cloned().unwrap_or_default(),
            records: (1..).zip(trail).map(record).collect(),
            descriptors: refunds
                .map(|refund| (refund.refund_id, refund.descriptor.clone()))
                .collect(),
        })
    }

    fn put(&mut self, tx_id: TxId, personal: &Personal) {
        if let Some(payment) = self.payments.get_mut(&tx_id) {
            let mut record = payment.clone().into_record();
            record.redirect_secret.clone_from(&personal.redirect_secret);
            record.merchant_redirect_url.clone_from(&personal.merchant_redirect_url);
            record.deeplink.clone_from(&personal.deeplink);
            record.answer.clone_from(&personal.answer);
            if let Some(nonce) = &mut record.nonce {
                nonce.fingerprint = personal.fingerprint;
            }
            *payment = Payment::restore(record).unwrap();
        }
        self.requests.insert(tx_id, personal.request.clone());
        let trail = self.trails.entry(tx_id).or_default();
        for (record, to) in trail.iter_mut().zip(&personal.records) {
            record.detail = serde_json::from_str(&to.detail).unwrap();
        }
        for (id, descriptor) in &personal.descriptors {
            if let Some(refund) = self.refunds.get_mut(id) {
                refund.descriptor.clone_from(descriptor);
            }
        }
    }
}

#[async_trait]
impl PersonalData for Model {
    async fn payment_create_sealed(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
        key: &WrappedKey,
    ) -> Result<Created, StoreError> {
        let created = self.payment_create(payment, request, notes).await?;
        if created == Created::New {
            self.rows().keys.insert(payment.tx_id, key.clone());
        }
        Ok(created)
    }

    async fn data_key(&self, tx_id: TxId) -> Result<Option<WrappedKey>, StoreError> {
        Ok(self.rows().keys.get(&tx_id).cloned())
    }

    async fn data_keys_after(&self, after: i64, limit: usize) -> Result<Vec<KeyOf>, StoreError> {
        let rows = self.rows();
        let later = rows.payments.keys().filter(|tx_id| tx_id.get() > after).take(limit);
        let key_of = |tx_id: &TxId| KeyOf {
            tx_id: *tx_id,
            key: rows.keys.get(tx_id).cloned(),
            erased: rows.erasures.contains_key(tx_id),
        };
        Ok(later.map(key_of).collect())
    }

    async fn data_keys_rewrap(&self, keys: &[Rewrapping]) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let mut count = 0;
        for Rewrapping { tx_id, from, to } in keys {
            if let Some(key) = rows.keys.get_mut(tx_id).filter(|key| *key == from) {
                key.clone_from(to);
                count += 1;
            }
        }
        Ok(count)
    }

    async fn personal_get(&self, tx_id: TxId) -> Result<Option<Personal>, StoreError> {
        Ok(self.rows().personal(tx_id))
    }

    async fn personal_replace(
        &self,
        tx_id: TxId,
        (from, to): (&Personal, &Personal),
        key: &KeyChange,
    ) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        if rows.personal(tx_id).as_ref() != Some(from) {
            return Ok(false);
        }
        rows.put(tx_id, to);
        match key {
            KeyChange::Seal(key) => drop(rows.keys.insert(tx_id, key.clone())),
            KeyChange::Erase(erasure) => {
                rows.keys.remove(&tx_id);
                rows.erasures.insert(tx_id, erasure.clone());
            }
        }
        Ok(true)
    }

    async fn erasure_get(&self, tx_id: TxId) -> Result<Option<Erasure>, StoreError> {
        Ok(self.rows().erasures.get(&tx_id).cloned())
    }

    async fn key_proofs(&self) -> Result<Vec<KeyProof>, StoreError> {
        Ok(self.rows().proofs.clone())
    }

    async fn key_proof_add(&self, proof: &KeyProof, _now: Timestamp) -> Result<(), StoreError> {
        let mut rows = self.rows();
        if !rows.proofs.iter().any(|known| known.key_id == proof.key_id) {
            rows.proofs.push(proof.clone());
        }
        Ok(())
    }

    async fn key_proof_remove(&self, key_id: &str) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let of_changes = rows.directory.iter().filter_map(|entry| entry.key.as_ref());
        if rows.keys.values().chain(of_changes).any(|key| key.key_id == key_id) {
            return Ok(false);
        }
        rows.proofs.retain(|proof| proof.key_id != key_id);
        Ok(true)
    }
}
