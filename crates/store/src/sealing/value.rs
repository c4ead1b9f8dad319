//! One value under the data key of its payment: AES-256-GCM, bound to payment and column.
//!
//! Pure but for the random bytes that a nonce and a key are drawn from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use gopay_core::ids::TxId;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

/// The length of every key, in bytes.
pub const KEY_LEN: usize = 32;

/// What a sealed value begins with. Nothing that is stored plain does: calls and details are JSON,
/// addresses are URLs, a secret has letters and digits, and an answer is a form.
pub(super) const MARK: &str = "sealed1:";

/// A secret of 32 bytes, wiped when it is dropped.
pub type SecretKey = Zeroizing<[u8; KEY_LEN]>;

/// Why a value is not sealed or not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was changed, belongs to another payment or column, or was sealed under another key.
    #[error("the sealed value does not open")]
    Broken,
    /// The key that it is sealed under is not there.
    #[error("it is sealed under the key {key_id:?}, which [[store.encryption]] does not have")]
    NoKey {
        /// Its id.
        key_id: String,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// Where a value belongs. What is sealed for one place does not open at another.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The payment; of the directory the entry or the change.
    pub tx_id: TxId,
    /// Table and column, such as `payments.deeplink`.
    pub column: &'static str,
    /// What tells rows of the payment apart, if it has several: the kind of a record.
    pub row: &'a str,
}

impl Place<'_> {
    fn bound(&self, also: &str) -> Vec<u8> {
        let id = self.tx_id.get().to_be_bytes();
        [id.as_slice(), self.column.as_bytes(), b"\0", self.row.as_bytes(), b"\0", also.as_bytes()]
            .concat()
    }
}

/// The key of one payment's personal data.
#[derive(Clone)]
pub struct DataKey(SecretKey);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl DataKey {
    /// A new one.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn draw() -> Result<Self, SealError> {
        random().map(Self)
    }

    pub(super) const fn of(key: SecretKey) -> Self {
        Self(key)
    }

    /// Seals text as text.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal_text(&self, place: Place<'_>, plain: &str) -> Result<String, SealError> {
        let sealed = self.seal(place, plain.as_bytes())?;
        let mut text = String::with_capacity(MARK.len().saturating_add(sealed.len() / 3 * 4 + 4));
        text.push_str(MARK);
        BASE64.encode_string(sealed, &mut text);
        Ok(text)
    }

    /// Opens text that [`is_sealed`].
    ///
    /// # Errors
    /// [`SealError::Broken`].
    pub fn open_text(&self, place: Place<'_>, sealed: &str) -> Result<String, SealError> {
        let encoded = sealed.strip_prefix(MARK).ok_or(SealError::Broken)?;
        let sealed = BASE64.decode(encoded).map_err(|_| SealError::Broken)?;
        String::from_utf8(self.open(place, sealed)?).map_err(|_| SealError::Broken)
    }

    /// Seals bytes.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal_bytes(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok([MARK.as_bytes(), &self.seal(place, plain)?].concat())
    }

    /// Opens bytes that [`is_sealed`].
    ///
    /// # Errors
    /// [`SealError::Broken`].
    pub fn open_bytes(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let sealed = sealed.strip_prefix(MARK.as_bytes()).ok_or(SealError::Broken)?;
        self.open(place, sealed.to_vec())
    }

    /// Nonce, content, tag. A payment has some dozens of values, so that nonces drawn at random
    /// never meet.
    fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
        let mut sealed = Vec::with_capacity(
            NONCE_LEN.saturating_add(plain.len()).saturating_add(AES_256_GCM.tag_len()),
        );
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (_, content) = sealed.split_at_mut(NONCE_LEN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = cipher(&self.0)?
            .seal_in_place_separate_tag(nonce, Aad::from(place.bound("")), content)
            .map_err(|_| SealError::Broken)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    fn open(&self, place: Place<'_>, mut sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let (nonce, content) = sealed.split_first_chunk_mut().ok_or(SealError::Broken)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = cipher(&self.0)?
            .open_in_place(nonce, Aad::from(place.bound("")), content)
            .map_err(|_| SealError::Broken)?;
        let length = plain.len();
        sealed.drain(..NONCE_LEN);
        sealed.truncate(length);
        Ok(sealed)
    }
}

/// Whether a stored value is sealed.
#[must_use]
pub fn is_sealed(stored: &[u8]) -> bool {
    stored.starts_with(MARK.as_bytes())
}

fn cipher(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| SealError::Broken)
}

/// 32 digits and letters that nobody can guess.
///
/// # Errors
/// [`SealError::NoRandom`].
pub fn unguessable() -> Result<String, SealError> {
    let bytes = random()?;
    Ok(bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

pub(super) fn random() -> Result<SecretKey, SealError> {
    let mut key = SecretKey::default();
    SystemRandom::new().fill(key.as_mut_slice()).map_err(|_| SealError::NoRandom)?;
    Ok(key)
}

/// A data key under a key that is used for it alone, so that the nonce needs no chance.
pub(super) fn wrap(
    once: &SecretKey,
    place: Place<'_>,
    key_id: &str,
    key: &DataKey,
) -> Result<Vec<u8>, SealError> {
    let mut wrapped = key.0.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    cipher(once)?
        .seal_in_place_append_tag(nonce, Aad::from(place.bound(key_id)), &mut wrapped)
        .map_err(|_| SealError::Broken)?;
    Ok(wrapped)
}

/// The reverse of [`wrap`].
pub(super) fn unwrap(
    once: &SecretKey,
    place: Place<'_>,
    key_id: &str,
    wrapped: &[u8],
) -> Result<DataKey, SealError> {
    let mut wrapped = Zeroizing::new(wrapped.to_vec());
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let key = cipher(once)?
        .open_in_place(nonce, Aad::from(place.bound(key_id)), wrapped.as_mut_slice())
        .map_err(|_| SealError::Broken)?;
    let key = <[u8; KEY_LEN]>::try_from(&*key).map_err(|_| SealError::Broken)?;
    Ok(DataKey::of(Zeroizing::new(key)))
}
