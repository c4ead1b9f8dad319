//! The journal as CSV: the money events, as reconciliation and accountants read them.

use std::io::{self, Write};

use gopay_core::journal::{Kind, SignedSen};
use gopay_core::payment::{Channel, FailReason};
use gopay_core::time::Timestamp;
use gopay_store::JournalRecord;

use crate::table::csv_writer;

/// The titles. Readers go by them: more may follow.
pub const TITLES: [&str; 16] = [
    "at",
    "kind",
    "channel",
    "psp",
    "contract",
    "txid",
    "merchanttxid",
    "refundid",
    "merchantrefundid",
    "midtrans_id",
    "payment_type",
    "amount_sen",
    "currency",
    "midtrans_at",
    "payment_option_type",
    "failreason",
];

/// The file under writing.
pub struct JournalWriter<W: Write> {
    rows: csv::Writer<W>,
}

impl<W: Write> JournalWriter<W> {
    /// Begins with the titles.
    ///
    /// # Errors
    /// Of what is written to.
    pub fn begin(to: W) -> io::Result<Self> {
        let mut rows = csv_writer(to);
        rows.write_record(TITLES).map_err(io::Error::from)?;
        Ok(Self { rows })
    }

    /// Adds an entry. Times have microseconds, so that they are in the order of the journal.
    ///
    /// # Errors
    /// Of what is written to.
    pub fn add(&mut self, record: &JournalRecord) -> io::Result<()> {
        let (entry, about) = (&record.entry, &record.about);
        // Late money is money: whoever must know reads that it had failed before.
        let late = entry.kind == Kind::SucceededLate;
        let kind = if late { Kind::Succeeded } else { entry.kind };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let time = |at: Timestamp| at.to_string();
        self.rows
            .write_record([
                time(entry.at),
                kind.as_str().to_owned(),
                about.channel.map_or("", Channel::as_str).to_owned(),
                text(&about.psp),
                text(&about.contract),
                entry.tx_id.to_string(),
                text(&about.merchant_tx_id),
                entry.refund_id.map_or(String::new(), |id| id.to_string()),
                text(&about.merchant_refund_id),
                text(&entry.midtrans_id),
                text(&entry.payment_type),
                entry.amount.map_or(String::new(), |sen| SignedSen::get(sen).to_string()),
                crate::terms::PROCESSING_CURRENCY.to_owned(),
                entry.midtrans_at.map_or(String::new(), time),
                text(&entry.payment_option),
                entry.reason.map_or("", FailReason::as_str).to_owned(),
            ])
            .map_err(io::Error::from)
    }

    /// What was written to.
    ///
    /// # Errors
    /// Of what is written to.
    pub fn finish(self) -> io::Result<W> {
        self.rows.into_inner().map_err(|error| io::Error::other(error.to_string()))
    }
}
