//! The keys that data keys are wrapped in: one for new payments, older ones for what is there.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use gopay_core::ids::TxId;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::value::{DataKey, KEY_LEN, Place, SealError, SecretKey, unwrap, wrap};

/// The data key of a payment as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Which key it is wrapped in.
    pub key_id: String,
    /// Salt, and the data key under a key that is derived from both.
    pub wrapped: Vec<u8>,
}

/// Shows that a key is the one of its id; kept in the store from the key's first use on.
pub type KeyProof = WrappedKey;

/// With or without what fills it up.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The length of the salt of a wrapped key, in bytes.
const SALT_LEN: usize = 16;

/// The id of no payment, for proofs.
const NO_PAYMENT: i64 = 1;

#[derive(Clone)]
struct WrappingKey {
    id: String,
    key: SecretKey,
}

/// The keys of a config, the one for new payments first. Without any, nothing is sealed.
#[derive(Clone, Default)]
pub struct KeyRing(Vec<WrappingKey>);

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeyRing").field(&self.ids().collect::<Vec<_>>()).finish()
    }
}

impl KeyRing {
    /// The longest id of a key, in characters.
    pub const ID_CHARS_MAX: usize = 64;

    /// Keys with their ids, the one for new payments first.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = (String, SecretKey)>) -> Self {
        Self(keys.into_iter().map(|(id, key)| WrappingKey { id, key }).collect())
    }

    /// A key as text: 32 bytes in base64, as `openssl rand -base64 32` writes them.
    #[must_use]
    pub fn key_from_text(text: &str) -> Option<SecretKey> {
        let mut key = SecretKey::default();
        // One byte more than fits tells a key that is too long.
        let mut bytes = Zeroizing::new([0; KEY_LEN + 3]);
        let length = BASE64.decode_slice(text, bytes.as_mut_slice()).ok()?;
        key.copy_from_slice(bytes.get(..length).filter(|bytes| bytes.len() == KEY_LEN)?);
        Some(key)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids, the one for new payments first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// A new data key for a payment, and as it is to be stored; none without keys.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn draw(&self, tx_id: TxId) -> Result<Option<(DataKey, WrappedKey)>, SealError> {
        self.draw_for(key_place(tx_id))
    }

    /// The same for a change of the directory.
    pub(super) fn draw_change(
        &self,
        change: TxId,
    ) -> Result<Option<(DataKey, WrappedKey)>, SealError> {
        self.draw_for(change_place(change))
    }

    fn draw_for(&self, place: Place<'_>) -> Result<Option<(DataKey, WrappedKey)>, SealError> {
        let Some(current) = self.0.first() else { return Ok(None) };
        let key = DataKey::draw()?;
        let wrapped = current.wrap(place, &key)?;
        Ok(Some((key, wrapped)))
    }

    /// The data key of a payment.
    ///
    /// # Errors
    /// [`SealError::NoKey`] if the key that it is wrapped in is not here; [`SealError::Broken`].
    pub fn unwrap(&self, tx_id: TxId, stored: &WrappedKey) -> Result<DataKey, SealError> {
        self.unwrap_at(key_place(tx_id), stored)
    }

    /// The data key of a change of the directory.
    pub(super) fn unwrap_change(
        &self,
        change: TxId,
        stored: &WrappedKey,
    ) -> Result<DataKey, SealError> {
        self.unwrap_at(change_place(change), stored)
    }

    fn unwrap_at(&self, place: Place<'_>, stored: &WrappedKey) -> Result<DataKey, SealError> {
        self.find(&stored.key_id)?.unwrap(place, &stored.wrapped)
    }

    /// The same data key, wrapped in the key for new payments; none if it is already.
    ///
    /// # Errors
    /// As [`Self::unwrap`].
    pub fn rewrap(
        &self,
        tx_id: TxId,
        stored: &WrappedKey,
    ) -> Result<Option<WrappedKey>, SealError> {
        self.rewrap_at(key_place(tx_id), stored)
    }

    /// The same of a change of the directory.
    pub(super) fn rewrap_change(
        &self,
        change: TxId,
        stored: &WrappedKey,
    ) -> Result<Option<WrappedKey>, SealError> {
        self.rewrap_at(change_place(change), stored)
    }

    fn rewrap_at(
        &self,
        place: Place<'_>,
        stored: &WrappedKey,
    ) -> Result<Option<WrappedKey>, SealError> {
        let Some(current) = self.0.first().filter(|current| current.id != stored.key_id) else {
            return Ok(None);
        };
        current.wrap(place, &self.unwrap_at(place, stored)?).map(Some)
    }

    /// The proof of the key for new payments; none without keys.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn prove(&self) -> Result<Option<KeyProof>, SealError> {
        let Some(current) = self.0.first() else { return Ok(None) };
        current.wrap(proof_place()?, &DataKey::draw()?).map(Some)
    }

    /// Holds a key against its proof.
    ///
    /// # Errors
    /// [`SealError::NoKey`] if it is not here; [`SealError::Broken`] if another key is here under its
    /// id.
    pub fn check(&self, proof: &KeyProof) -> Result<(), SealError> {
        self.find(&proof.key_id)?.unwrap(proof_place()?, &proof.wrapped).map(|_| ())
    }

    fn find(&self, key_id: &str) -> Result<&WrappingKey, SealError> {
        let found = self.0.iter().find(|key| key.id == key_id);
        found.ok_or_else(|| SealError::NoKey { key_id: key_id.to_owned() })
    }
}

const fn key_place(tx_id: TxId) -> Place<'static> {
    Place { tx_id, column: "payment_keys.data_key", row: "" }
}

const fn change_place(change: TxId) -> Place<'static> {
    Place { tx_id: change, column: "directory_keys.data_key", row: "" }
}

fn proof_place() -> Result<Place<'static>, SealError> {
    let tx_id = TxId::new(NO_PAYMENT).map_err(|_| SealError::Broken)?;
    Ok(Place { tx_id, column: "encryption_keys.proof", row: "" })
}

impl WrappingKey {
    fn wrap(&self, place: Place<'_>, key: &DataKey) -> Result<WrappedKey, SealError> {
        let mut salt = [0; SALT_LEN];
        SystemRandom::new().fill(&mut salt).map_err(|_| SealError::NoRandom)?;
        let wrapped = wrap(&self.once(place, &salt)?, place, &self.id, key)?;
        Ok(WrappedKey { key_id: self.id.clone(), wrapped: [salt.as_slice(), &wrapped].concat() })
    }

    fn unwrap(&self, place: Place<'_>, stored: &[u8]) -> Result<DataKey, SealError> {
        let (salt, wrapped) = stored.split_first_chunk().ok_or(SealError::Broken)?;
        unwrap(&self.once(place, salt)?, place, &self.id, wrapped)
    }

    /// A key for one wrapping. AES-GCM under one key with nonces drawn at random would be at its
    /// limit after some billions of payments; under a key for each it has none.
    fn once(&self, place: Place<'_>, salt: &[u8; SALT_LEN]) -> Result<SecretKey, SealError> {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &*self.key));
        context.update(b"gopay-adapter wrapping 1\0");
        context.update(place.column.as_bytes());
        context.update(&place.tx_id.get().to_be_bytes());
        context.update(salt);
        let derived = <[u8; KEY_LEN]>::try_from(context.sign().as_ref());
        derived.map(Zeroizing::new).map_err(|_| SealError::Broken)
    }
}
