//! The rows of the journal.

use gopay_core::ids::RefundId;
use gopay_core::journal::{Entry, Kind, SignedSen};
use gopay_core::payment::{Channel, FailReason};

use super::{Cell, RowReader, SqlRow, table};
use crate::{JournalRecord, JournalSubject, StoreError};

table! {
    /// What happened to money, in the order of commits of each shard.
    JOURNAL = "journal", journal_columns,
    key { shard: Int, seq: Int, }
    changing {}
    fixed {
        at: Int,
        kind: Text,
        tx_id: Int,
        refund_id: Int,
        amount_sen: Int,
        reason: Text,
        midtrans_id: Text,
        midtrans_at: Int,
        payment_type: Text,
        payment_option: Text,
    }
    written {}
}

table! {
    /// The place of the last entry of each shard.
    JOURNAL_HEADS = "journal_heads", journal_head_columns,
    key { shard: Int, }
    changing { seq: Int, }
    fixed {}
    written {}
}

/// A row of [`JOURNAL`], followed by `client`, `contract`, `channel`, `merchant_tx_id` and
/// `merchant_refund_id` of what it is about.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn journal(row: &dyn SqlRow) -> Result<JournalRecord, StoreError> {
    let mut row = RowReader::new(row, JOURNAL.name);
    Ok(JournalRecord {
        shard: row.count("shard")?,
        seq: row.int("seq")?,
        entry: Entry {
            at: row.time("at")?,
            kind: row.parse("kind", Kind::from_word)?,
            tx_id: row.tx_id()?,
            refund_id: row.id_opt("refund_id", RefundId::new)?,
            amount: row.int_opt("amount_sen")?.map(SignedSen::new),
            reason: row.parse_opt("reason", FailReason::from_word)?,
            midtrans_id: row.text_opt("midtrans_id")?,
            midtrans_at: row.time_opt("midtrans_at")?,
            payment_type: row.text_opt("payment_type")?,
            payment_option: row.text_opt("payment_option")?,
        },
        about: JournalSubject {
            psp: row.text_opt("client")?,
            contract: row.text_opt("contract")?,
            channel: row.parse_opt("channel", Channel::from_word)?,
            merchant_tx_id: row.text_opt("merchant_tx_id")?,
            merchant_refund_id: row.text_opt("merchant_refund_id")?,
        },
    })
}

/// What [`journal`] reads, from rows of the journal that are called `j` in `from`. Whoever reads it
/// adds conditions and an order. `sharded`: keys begin with the shard.
#[must_use]
pub fn journal_select(from: &str, sharded: bool) -> String {
    let in_shard = |table: &str| match sharded {
        true => format!("{table}.shard = j.shard AND "),
        false => String::new(),
    };
    let (refund, payment) = (in_shard("r"), in_shard("p"));
    let own = JOURNAL.columns.iter().map(|(name, _)| format!("j.{name}"));
    let own = own.collect::<Vec<_>>().join(", ");
    format!(
        "SELECT {own}, coalesce(r.client, p.client), coalesce(r.contract, p.contract), p.channel,
            p.merchant_tx_id, r.merchant_refund_id
        FROM {from}
            LEFT JOIN refunds r ON {refund}r.refund_id = j.refund_id
            LEFT JOIN payments p ON {payment}p.tx_id = j.tx_id
                AND (r.contract IS NULL OR r.contract = p.contract)"
    )
}

/// A row of [`JOURNAL_HEADS`].
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn journal_head(row: &dyn SqlRow) -> Result<(u16, i64), StoreError> {
    let mut row = RowReader::new(row, JOURNAL_HEADS.name);
    Ok((row.count("shard")?, row.int("seq")?))
}

/// The shard of an entry, then the columns of [`JOURNAL`] after its key; the place in between is
/// the engine's to draw.
#[must_use]
pub fn journal_cells(entry: &Entry) -> [Cell<'_>; 11] {
    [
        i64::from(entry.shard()).into(),
        entry.at.into(),
        entry.kind.as_str().into(),
        entry.tx_id.get().into(),
        entry.refund_id.map(RefundId::get).into(),
        entry.amount.map(SignedSen::get).into(),
        entry.reason.map(FailReason::as_str).into(),
        (&entry.midtrans_id).into(),
        entry.midtrans_at.into(),
        (&entry.payment_type).into(),
        (&entry.payment_option).into(),
    ]
}
