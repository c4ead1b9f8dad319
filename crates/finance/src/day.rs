//! The folder of a PSP's processing files of a day: the files under writing, and their manifest.

use gopay_core::journal::Kind;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::manifest;
use crate::processing::{ChargebackRow, DayFile, RefundRow, TransactionRow};
use crate::table::{Digested, FileFacts, Folder, WriteError, csv_writer, whole};

/// `manifest.json` of a day: what each file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayManifest {
    /// The version of this form.
    pub format: u32,
    /// Whose files they are: the login.
    pub psp: String,
    /// The day that they are about, in UTC.
    pub day: Date,
    /// The day after, which their names begin with.
    pub made: Date,
    /// The files, in the order of writing.
    pub files: Vec<FileFacts>,
}

impl DayManifest {
    /// The version of the form that this program writes.
    pub const FORMAT: u32 = 1;

    /// The file.
    ///
    /// # Errors
    /// None that can happen: every key is text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The name of its folder.
    #[must_use]
    pub fn folder(&self) -> String {
        day_folder(&self.psp, self.made)
    }
}

/// The name of the folder of a PSP's files.
#[must_use]
pub fn day_folder(psp: &str, made: Date) -> String {
    // Nothing that a login may hold leads out of the folder.
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => letter.to_string(),
        other => format!("%{:x}", u32::from(other)),
    };
    let psp: String = psp.chars().map(plain).collect();
    format!("{}Z-{psp}", made.strftime("%Y%m%d"))
}

/// A file of a day under writing.
struct Open<W: std::io::Write> {
    file: DayFile,
    rows: csv::Writer<Digested<W>>,
    count: u64,
}

/// The files of one day under writing.
pub struct DayWriter<F: Folder> {
    folder: F,
    psp: String,
    made: Date,
    files: Vec<Open<F::File>>,
}

impl<F: Folder> DayWriter<F> {
    /// Begins the files of a PSP of the day before `made`.
    ///
    /// # Errors
    /// Of the folder.
    pub fn begin(mut folder: F, psp: &str, made: Date) -> Result<Self, WriteError> {
        let mut files = Vec::new();
        for file in DayFile::ALL {
            let mut rows = csv_writer(Digested::new(folder.create(&file.name(made))?));
            rows.write_record(file.titles())?;
            files.push(Open { file, rows, count: 0 });
        }
        Ok(Self { folder, psp: psp.to_owned(), made, files })
    }

    /// Adds the rows of a payment's state.
    ///
    /// # Errors
    /// Of the folder.
    pub fn transaction(&mut self, row: &TransactionRow) -> Result<(), WriteError> {
        self.add(row.kind, &row.fields())
    }

    /// Adds the row of a refund's state.
    ///
    /// # Errors
    /// Of the folder.
    pub fn refund(&mut self, row: &RefundRow) -> Result<(), WriteError> {
        self.add(row.kind, &row.fields())
    }

    /// Adds a chargeback.
    ///
    /// # Errors
    /// Of the folder.
    pub fn chargeback(&mut self, row: &ChargebackRow) -> Result<(), WriteError> {
        self.add(Kind::ChargedBack, &row.fields())
    }

    fn add(&mut self, kind: Kind, fields: &[String]) -> Result<(), WriteError> {
        for open in self.files.iter_mut().filter(|open| DayFile::of(kind).contains(&open.file)) {
            open.rows.write_record(fields)?;
            open.count = open.count.saturating_add(1);
        }
        Ok(())
    }

    /// Writes the manifest; the folder, and how many rows there are.
    ///
    /// # Errors
    /// Of the folder.
    pub fn finish(self) -> Result<(F, u64), WriteError> {
        let Self { mut folder, psp, made, files } = self;
        let (mut facts, mut all) = (Vec::new(), 0_u64);
        for Open { file, rows, count } in files {
            let done =
                rows.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
            let (name, (written, bytes, sha256)) = (file.name(made), done.finish());
            folder.complete(&name, written)?;
            facts.push(FileFacts { name, bytes, rows: Some(count), total: None, sha256 });
            all = all.saturating_add(count);
        }
        let day = made.yesterday().unwrap_or(made);
        let manifest = DayManifest { format: DayManifest::FORMAT, psp, day, made, files: facts };
        whole(&mut folder, manifest::NAME, manifest.to_json()?.as_bytes())?;
        Ok((folder, all))
    }
}

#[cfg(test)]
mod tests {
    use gopay_core::ids::{RefundId, TxId};
    use gopay_core::payment::{Channel, FailReason};
    use gopay_core::time::Timestamp;
    use jiff::civil::date;

    use super::*;
    use crate::amount::Amount;
    use crate::processing::CallDetails;
    use crate::table::MemoryFolder;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    fn transaction(kind: Kind, second: u32) -> TransactionRow {
        let failed = matches!(kind, Kind::Failed | Kind::SucceededLate);
        TransactionRow {
            tx_id: TxId::new(77).unwrap(),
            kind,
            at: at(&format!("2026-01-31T23:59:{second}.9Z")),
            amount: Some(Amount::new(4_500_000)),
            channel: Some(Channel::Test),
            merchant_tx_id: Some("order 77".into()),
            contract: Some("SHOP".into()),
            details: CallDetails {
                account_holder: Some("Siti, Rahma".into()),
                country: Some("ID".into()),
                ..CallDetails::default()
            },
            called_at: Some(at("2026-01-31T23:00:00Z")),
            failed: failed.then(|| (at("2026-01-31T23:59:30Z"), FailReason::Timeout)),
        }
    }

    #[test]
    fn a_row_stands_in_the_file_of_each_state_that_was_entered() {
        let mut day = DayWriter::begin(MemoryFolder::default(), "psp", date(2026, 2, 1)).unwrap();
        day.transaction(&transaction(Kind::Opened, 10)).unwrap();
        day.transaction(&transaction(Kind::Failed, 30)).unwrap();
        day.transaction(&transaction(Kind::SucceededLate, 50)).unwrap();
        let refund = |kind| RefundRow {
            refund_id: RefundId::new(78).ok(),
            tx_id: TxId::new(77).unwrap(),
            kind,
            at: at("2026-01-31T23:59:55Z"),
            amount: Some(Amount::new(100)),
            merchant_refund_id: None,
            contract: Some("SHOP".into()),
            called_at: Some(at("2026-01-31T23:59:52Z")),
            succeeded_at: Some(at("2026-01-31T23:59:54Z")),
            reason: None,
            error: None,
            funds_sent_at: Some(at("2026-01-31T23:59:53Z")),
        };
        day.refund(&refund(Kind::RefundSucceeded)).unwrap();
        day.refund(&refund(Kind::RefundFundsConfirmed)).unwrap();
        let taken = |amount| ChargebackRow {
            id: RefundId::new(79).ok(),
            amount,
            account_holder: Some("Siti, Rahma".into()),
            tx_id: TxId::new(77).unwrap(),
            merchant_tx_id: Some("order 77".into()),
            charged_back_at: None,
            at: at("2026-01-31T23:59:57Z"),
            contract: Some("SHOP".into()),
        };
        day.chargeback(&taken(Some(Amount::new(4_499_900)))).unwrap();
        day.chargeback(&taken(None)).unwrap();
        let (folder, rows) = day.finish().unwrap();
        assert_eq!((folder.files.len(), rows), (12, 7));
        let pending = "77,PENDING,,WAITING,4500000,IDR,\"Siti, Rahma\",testchannel,order 77,ID,,,2026-01-31T23:00:00Z,,,,,,,,SHOP\n";
        let failed = "77,FAILED,TIMEOUT,NOT_EXPECTED,4500000,IDR,\"Siti, Rahma\",testchannel,order 77,ID,,,2026-01-31T23:00:00Z,,2026-01-31T23:59:30Z,,,,,,SHOP\n";
        let late = "77,SUCCEEDED,TIMEOUT,WAITING,4500000,IDR,\"Siti, Rahma\",testchannel,order 77,ID,,,2026-01-31T23:00:00Z,2026-01-31T23:59:50Z,2026-01-31T23:59:30Z,,,,,,SHOP\n";
        let back = |state, sent| {
            format!(
                "78,SUCCEEDED,,{state},100,IDR,77,,2026-01-31T23:59:52Z,2026-01-31T23:59:54Z,,{sent},,,SHOP\n"
            )
        };
        for (name, rows) in [
            ("transaction_pending", pending.to_owned()),
            ("transaction_failed", failed.to_owned()),
            ("transaction_succeeded", late.to_owned()),
            ("transaction_fundsreceived", String::new()),
            ("transaction_fundsmissing", String::new()),
            ("transaction_indoubt", String::new()),
            ("refund_succeeded", back("WAITING", "")),
            ("refund_fundssent", back("SENT", "2026-01-31T23:59:53Z")),
            ("refund_failed", String::new()),
            ("refund_fundsrejected", String::new()),
            (
                "chargeback",
                ["4499900", ""]
                    .map(|sen| {
                        format!(
                            "79,{sen},IDR,\"Siti, Rahma\",,77,order 77,,2026-01-31T23:59:57Z,SHOP\n"
                        )
                    })
                    .concat(),
            ),
        ] {
            let content = &folder.files[&format!("20260201Z_{name}.consolidated.csv")];
            let text = String::from_utf8_lossy(content);
            let (_, found) = text.split_once('\n').unwrap();
            assert_eq!(found, rows, "{name}");
        }
    }
}
