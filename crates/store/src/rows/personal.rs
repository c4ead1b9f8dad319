//! The rows of data keys, of the keys that they are wrapped in, and of erasures; and the columns that
//! hold personal data.

use gopay_core::ids::RefundId;

use super::{Cell, RowReader, SqlRow, table};
use crate::sealing::{KeyProof, WrappedKey};
use crate::spelling::{CALL, DETAIL};
use crate::{Erasure, KeyOf, Personal, PersonalRecord, StoreError};

table! {
    /// The data keys of payments whose values are sealed.
    PAYMENT_KEYS = "payment_keys", payment_key_columns,
    key { tx_id: Int, }
    changing {
        key_id: Text,
        data_key: Bytes,
    }
    fixed {}
    written {}
}

table! {
    /// The keys that data keys were ever wrapped in.
    ENCRYPTION_KEYS = "encryption_keys", encryption_key_columns,
    key { number: Int, }
    changing {}
    fixed {
        key_id: Text,
        proof: Bytes,
        added_at: Int,
    }
    written {}
}

table! {
    /// Payments whose personal data was erased.
    ERASURES = "erasures", erasure_columns,
    key { tx_id: Int, }
    changing {}
    fixed {
        at: Int,
        by_name: Text,
        reason: Text,
    }
    written {}
}

/// What a statement reads for [`personal`], of `payments p` and `payment_requests r`.
#[macro_export]
macro_rules! personal_columns {
    () => {
        "p.tx_id, p.redirect_secret, p.merchant_redirect_url, p.deeplink, p.answer, p.fingerprint, \
         r.request"
    };
}

/// A row of [`PAYMENT_KEYS`].
///
/// # Errors
/// [`StoreError::Corrupt`]; the same below.
pub fn payment_key(row: &dyn SqlRow) -> Result<WrappedKey, StoreError> {
    let mut row = RowReader::new(row, PAYMENT_KEYS.name);
    row.tx_id()?;
    let wrapped = (row.text("key_id")?, row.bytes_opt("data_key")?);
    let (key_id, Some(wrapped)) = wrapped else { return Err(row.corrupt("data_key")) };
    Ok(WrappedKey { key_id, wrapped })
}

/// A data key as a row of [`PAYMENT_KEYS`], for a payment with this number.
#[must_use]
pub fn payment_key_cells(tx_id: i64, key: &WrappedKey) -> [Cell<'_>; 3] {
    [tx_id.into(), key.key_id.as_str().into(), key.wrapped.as_slice().into()]
}

/// A payment with what it has of [`PAYMENT_KEYS`], and with the time of its erasure.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn key_of(row: &dyn SqlRow) -> Result<KeyOf, StoreError> {
    let mut row = RowReader::new(row, PAYMENT_KEYS.name);
    let tx_id = row.tx_id()?;
    let (key_id, wrapped) = (row.text_opt("key_id")?, row.bytes_opt("data_key")?);
    let key = key_id.zip(wrapped).map(|(key_id, wrapped)| WrappedKey { key_id, wrapped });
    Ok(KeyOf { tx_id, key, erased: row.int_opt("erased_at")?.is_some() })
}

/// A row of [`ENCRYPTION_KEYS`].
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn key_proof(row: &dyn SqlRow) -> Result<KeyProof, StoreError> {
    let mut row = RowReader::new(row, ENCRYPTION_KEYS.name);
    row.int("number")?;
    let (key_id, proof) = (row.text("key_id")?, row.bytes_opt("proof")?);
    let wrapped = proof.ok_or_else(|| row.corrupt("proof"))?;
    row.int("added_at")?;
    Ok(KeyProof { key_id, wrapped })
}

/// A row of [`ERASURES`].
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn erasure(row: &dyn SqlRow) -> Result<Erasure, StoreError> {
    let mut row = RowReader::new(row, ERASURES.name);
    Ok(Erasure {
        tx_id: row.tx_id()?,
        at: row.time("at")?,
        by: row.text("by_name")?,
        reason: row.text("reason")?,
    })
}

/// An erasure as a row of [`ERASURES`].
#[must_use]
pub fn erasure_cells(erasure: &Erasure) -> [Cell<'_>; 4] {
    [
        erasure.tx_id.get().into(),
        erasure.at.into(),
        erasure.by.as_str().into(),
        erasure.reason.as_str().into(),
    ]
}

/// The [`personal_columns!`] of a payment, without its records and refunds.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn personal(row: &dyn SqlRow) -> Result<Personal, StoreError> {
    let mut row = RowReader::new(row, "payments");
    row.tx_id()?;
    Ok(Personal {
        redirect_secret: row.text("redirect_secret")?,
        merchant_redirect_url: row.text_opt("merchant_redirect_url")?,
        deeplink: row.text_opt("deeplink")?,
        answer: row.bytes_opt("answer")?,
        fingerprint: row.digest("fingerprint")?,
        request: CALL.lengthen(row.text("request")?),
        records: Vec::new(),
        descriptors: Vec::new(),
    })
}

/// The columns of [`personal`] that are of the payment's own row, its key first.
#[must_use]
pub fn personal_cells(tx_id: i64, personal: &Personal) -> [Cell<'_>; 6] {
    [
        tx_id.into(),
        personal.redirect_secret.as_str().into(),
        (&personal.merchant_redirect_url).into(),
        (&personal.deeplink).into(),
        personal.answer.as_deref().into(),
        personal.fingerprint.as_slice().into(),
    ]
}

/// A record by its place: `seq, kind, detail`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn personal_record(row: &dyn SqlRow) -> Result<PersonalRecord, StoreError> {
    let mut row = RowReader::new(row, "events");
    Ok(PersonalRecord {
        seq: row.int("seq")?,
        kind: row.text("kind")?,
        detail: DETAIL.lengthen(row.text("detail")?),
    })
}

/// A refund's text for the shopper: `refund_id, descriptor`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn descriptor(row: &dyn SqlRow) -> Result<(RefundId, Option<String>), StoreError> {
    let mut row = RowReader::new(row, "refunds");
    Ok((row.id("refund_id", RefundId::new)?, row.text_opt("descriptor")?))
}
