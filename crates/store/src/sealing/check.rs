//! Whether the keys of a config are those that a store is sealed under, before anything is read.

use gopay_core::time::Timestamp;

use super::ring::KeyRing;
use super::value::SealError;
use crate::{Database, StoreError};

/// Why a store cannot be used with the keys that there are.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// One is not there.
    #[error(
        "personal data in this store is sealed under the key {key_id:?}, which [[store.encryption]] \
         does not have: add it, after the one for new payments"
    )]
    Missing {
        /// Its id.
        key_id: String,
    },
    /// Another one is there under its id.
    #[error(
        "the key {key_id:?} of [[store.encryption]] is not the key of that id that personal data in \
         this store is sealed under"
    )]
    Wrong {
        /// Its id.
        key_id: String,
    },
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Holds keys against the proofs that the store keeps; whether there are keys or proofs at all. With a
/// time, a proof of the key for new payments is kept from then on.
///
/// # Errors
/// [`KeysError`].
pub async fn check_keys(
    store: &dyn Database,
    ring: &KeyRing,
    now: Option<Timestamp>,
) -> Result<bool, KeysError> {
    let proofs = store.key_proofs().await?;
    for proof in &proofs {
        ring.check(proof).map_err(|error| match error {
            SealError::NoKey { key_id } => KeysError::Missing { key_id },
            SealError::Broken | SealError::NoRandom => {
                KeysError::Wrong { key_id: proof.key_id.clone() }
            }
        })?;
    }
    let proved = proofs.iter().any(|proof| Some(proof.key_id.as_str()) == ring.ids().next());
    if let Some(now) = now.filter(|_| !proved && !ring.is_empty()) {
        keep_proof(store, ring, now).await?;
    }
    Ok(!ring.is_empty() || !proofs.is_empty())
}

/// Where instances share a store, another may add the proof of another key, or of this one, at the
/// same time.
async fn keep_proof(store: &dyn Database, ring: &KeyRing, now: Timestamp) -> Result<(), KeysError> {
    const TRIES: usize = 5;
    let proof = ring.prove().map_err(|error| StoreError::Down(Box::new(error)))?;
    let Some(proof) = proof else { return Ok(()) };
    for _ in 0..TRIES {
        store.key_proof_add(&proof, now).await?;
        let kept = store.key_proofs().await?;
        if let Some(kept) = kept.iter().find(|kept| kept.key_id == proof.key_id) {
            let wrong = |_| KeysError::Wrong { key_id: proof.key_id.clone() };
            return ring.check(kept).map_err(wrong);
        }
    }
    Err(KeysError::Store(StoreError::Busy))
}
