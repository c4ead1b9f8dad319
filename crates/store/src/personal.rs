//! What a store keeps of persons, and the keys that it is sealed under: what the sealing layer, the
//! command that seals anew, and erasure ask of an engine. Engines keep texts and bytes as they are
//! given and know no keys.

use async_trait::async_trait;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::Payment;
use gopay_core::time::Timestamp;

use crate::sealing::{KeyProof, WrappedKey};
use crate::{Created, Note, StoreError};

/// Everything that the store has of the persons of one payment, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal {
    /// `payments.redirect_secret`.
    pub redirect_secret: String,
    /// `payments.merchant_redirect_url`.
    pub merchant_redirect_url: Option<String>,
    /// `payments.deeplink`.
    pub deeplink: Option<String>,
    /// `payments.answer`.
    pub answer: Option<Vec<u8>>,
    /// `payments.fingerprint`.
    pub fingerprint: [u8; 32],
    /// `payment_requests.request`.
    pub request: String,
    /// The trail, in its order.
    pub records: Vec<PersonalRecord>,
    /// The refunds that name it, by id: `refunds.descriptor`.
    pub descriptors: Vec<(RefundId, Option<String>)>,
}

gopay_core::shows_nothing!("Personal", Personal);

/// A record of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalRecord {
    /// Its place.
    pub seq: i64,
    /// `events.kind`.
    pub kind: String,
    /// `events.detail`: JSON.
    pub detail: String,
}

/// That the personal data of a payment was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The payment.
    pub tx_id: TxId,
    /// When.
    pub at: Timestamp,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What becomes of the data key of a payment when its values are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// It gets one.
    Seal(WrappedKey),
    /// It is destroyed, and that is recorded.
    Erase(Erasure),
}

/// A payment, and its data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOf {
    /// The payment.
    pub tx_id: TxId,
    /// None if nothing of it is sealed.
    pub key: Option<WrappedKey>,
    /// Whether its personal data was erased.
    pub erased: bool,
}

/// A data key to be wrapped anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapping {
    /// The payment.
    pub tx_id: TxId,
    /// As it is stored.
    pub from: WrappedKey,
    /// As it is to be stored.
    pub to: WrappedKey,
}

/// See the module. Every method is one transaction.
#[async_trait]
pub trait PersonalData: Send + Sync {
    /// As [`crate::Store::payment_create`], with the data key that its values are sealed under.
    async fn payment_create_sealed(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
        key: &WrappedKey,
    ) -> Result<Created, StoreError>;

    /// The data key of a payment; none if nothing of it is sealed, or it was erased.
    async fn data_key(&self, tx_id: TxId) -> Result<Option<WrappedKey>, StoreError>;

    /// Payments after this id, in its order, at most `limit`.
    async fn data_keys_after(&self, after: i64, limit: usize) -> Result<Vec<KeyOf>, StoreError>;

    /// Replaces wrapped data keys that are still as they are named; how many that were.
    async fn data_keys_rewrap(&self, keys: &[Rewrapping]) -> Result<u64, StoreError>;

    /// The personal data of a payment; none if there is no such payment.
    async fn personal_get(&self, tx_id: TxId) -> Result<Option<Personal>, StoreError>;

    /// Replaces the personal data of a payment, if it is still as it was read; false if it is not, and
    /// then nothing is written. Records and refunds are those of `from`, in the same order.
    ///
    /// With [`KeyChange::Erase`] what was there before is overwritten in the files that the engine
    /// writes, as far as it can; see `docs/OPERATIONS.md`.
    async fn personal_replace(
        &self,
        tx_id: TxId,
        (from, to): (&Personal, &Personal),
        key: &KeyChange,
    ) -> Result<bool, StoreError>;

    /// Whether the personal data of a payment was erased, by whom and why.
    async fn erasure_get(&self, tx_id: TxId) -> Result<Option<Erasure>, StoreError>;

    /// The proofs of all keys that data keys are wrapped in.
    async fn key_proofs(&self) -> Result<Vec<KeyProof>, StoreError>;

    /// Keeps a proof, unless there is one of this id.
    async fn key_proof_add(&self, proof: &KeyProof, now: Timestamp) -> Result<(), StoreError>;

    /// Forgets the proof of a key in which nothing is wrapped any more; false if something is.
    async fn key_proof_remove(&self, key_id: &str) -> Result<bool, StoreError>;
}
