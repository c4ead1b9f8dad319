//! Processing files: for each UTC day, a row for each state that a payment or refund entered.
//!
//! A row tells what was known when the state was entered: the row of a PENDING that succeeded a
//! minute later has no SUCCEEDEDTS. So the files of a day are the same whenever they are made.

use gopay_core::ids::{RefundId, TxId};
use gopay_core::journal::Kind;
use gopay_core::payment::{Channel, FailReason};
use gopay_core::time::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::manifest;
use crate::table::{Digested, FileFacts, Folder, WriteError, csv_writer, whole};
use crate::terms::PROCESSING_CURRENCY;

/// A file of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DayFile {
    /// Payments that succeeded, late ones too.
    TransactionSucceeded,
    /// Payments that failed.
    TransactionFailed,
    /// Payments that shoppers could pay.
    TransactionPending,
    /// An old state, which no payment enters.
    TransactionIndoubt,
    /// Payments whose funds were received: known by payout, which reconciliation reads; none here.
    TransactionFundsreceived,
    /// Payments whose funds are missing: GoPay has none.
    TransactionFundsmissing,
    /// Refunds that succeeded.
    RefundSucceeded,
    /// Refunds that failed.
    RefundFailed,
    /// Refunds whose money is back.
    RefundFundssent,
    /// Refunds whose money could not be given back. Midtrans confirms funds (`bank_confirmed_at`)
    /// and never says that it could not send them, so that there are no rows.
    RefundFundsrejected,
    /// Chargebacks: GoPay has none as a rule.
    Chargeback,
}

impl DayFile {
    /// All.
    pub const ALL: [Self; 11] = [
        Self::TransactionSucceeded,
        Self::TransactionFailed,
        Self::TransactionPending,
        Self::TransactionIndoubt,
        Self::TransactionFundsreceived,
        Self::TransactionFundsmissing,
        Self::RefundSucceeded,
        Self::RefundFailed,
        Self::RefundFundssent,
        Self::RefundFundsrejected,
        Self::Chargeback,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::TransactionSucceeded => "transaction_succeeded",
            Self::TransactionFailed => "transaction_failed",
            Self::TransactionPending => "transaction_pending",
            Self::TransactionIndoubt => "transaction_indoubt",
            Self::TransactionFundsreceived => "transaction_fundsreceived",
            Self::TransactionFundsmissing => "transaction_fundsmissing",
            Self::RefundSucceeded => "refund_succeeded",
            Self::RefundFailed => "refund_failed",
            Self::RefundFundssent => "refund_fundssent",
            Self::RefundFundsrejected => "refund_fundsrejected",
            Self::Chargeback => "chargeback",
        }
    }

    /// Its name; `made` is the day after the one that it is about.
    #[must_use]
    pub fn name(self, made: Date) -> String {
        format!("{}Z_{}.consolidated.csv", made.strftime("%Y%m%d"), self.word())
    }

    /// Its columns.
    #[must_use]
    pub const fn titles(self) -> &'static [&'static str] {
        match self {
            Self::TransactionSucceeded
            | Self::TransactionFailed
            | Self::TransactionPending
            | Self::TransactionIndoubt
            | Self::TransactionFundsreceived
            | Self::TransactionFundsmissing => &TRANSACTION,
            Self::RefundSucceeded
            | Self::RefundFailed
            | Self::RefundFundssent
            | Self::RefundFundsrejected => &REFUND,
            Self::Chargeback => &CHARGEBACK,
        }
    }

    /// The files that get a row when this happens.
    #[must_use]
    pub const fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Opened => &[Self::TransactionPending],
            Kind::Succeeded | Kind::SucceededLate => &[Self::TransactionSucceeded],
            Kind::Failed => &[Self::TransactionFailed],
            Kind::RefundSucceeded | Kind::RefundedElsewhere => &[Self::RefundSucceeded],
            Kind::RefundFailed => &[Self::RefundFailed],
            Kind::RefundFundsConfirmed => &[Self::RefundFundssent],
            Kind::ChargedBack => &[Self::Chargeback],
            // A refund has no state before its outcome (PPRO: there is no PENDING).
            Kind::RefundRequested | Kind::Adjustment => &[],
        }
    }
}

const TRANSACTION: [&str; 21] = [
    "TXID",
    "TXSTATE",
    "FAILTYPE",
    "FUNDSTATE",
    "AMOUNT",
    "CURRENCY",
    "ACCOUNTHOLDER",
    "TAG",
    "MERCHANTTXID",
    "COUNTRYCODE",
    "SELLINGPOINT",
    "SOLDSERVICE",
    "INITTS",
    "SUCCEEDEDTS",
    "FAILEDTS",
    "INDOUBTTS",
    "FUNDSRECEIVEDTS",
    "FUNDSMISSINGTS",
    "PAYMENTPURPOSE",
    "ERRORTEXT",
    "MCONTRACT",
];

const REFUND: [&str; 15] = [
    "REFUNDID",
    "REFUNDSTATE",
    "FAILTYPE",
    "FUNDSSTATE",
    "AMOUNT",
    "CURRENCY",
    "REFTXID",
    "MERCHANTREFUNDID",
    "INITTS",
    "SUCCEEDEDTS",
    "FAILEDTS",
    "FUNDSSENTTS",
    "FUNDSREJECTEDTS",
    "ERRORTEXT",
    "MCONTRACT",
];

const CHARGEBACK: [&str; 10] = [
    "CBID",
    "AMOUNT",
    "CURRENCY",
    "ACCOUNTHOLDER",
    "PAYMENTPURPOSE",
    "TXID",
    "MERCHANTTXID",
    "CHARGEBACKTS",
    "IMPORTEDTS",
    "MCONTRACT",
];

/// What its call said of a payment: personal data among it, so that it may be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallDetails {
    /// `accountholdername`.
    pub account_holder: Option<String>,
    /// `countrycode`.
    pub country: Option<String>,
    /// `sellingpoint`.
    pub selling_point: Option<String>,
    /// `soldservice`.
    pub sold_service: Option<String>,
}

/// A payment that entered a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRow {
    /// `TXID`.
    pub tx_id: TxId,
    /// What happened: opened, succeeded or failed.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
    /// In sen; none if its call was refused because of it.
    pub amount: Option<Amount>,
    /// `TAG`: the channel's name.
    pub channel: Option<Channel>,
    /// `MERCHANTTXID`.
    pub merchant_tx_id: Option<String>,
    /// The contract.
    pub contract: Option<String>,
    /// What its call said.
    pub details: CallDetails,
    /// `INITTS`.
    pub called_at: Option<Timestamp>,
    /// When it failed first, and why, if it had by then.
    pub failed: Option<(Timestamp, FailReason)>,
}

/// A refund that entered a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRow {
    /// `REFUNDID`.
    pub refund_id: Option<RefundId>,
    /// `REFTXID`.
    pub tx_id: TxId,
    /// What happened: succeeded, failed, or its money is back.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
    /// In sen; none if its call was refused because of it.
    pub amount: Option<Amount>,
    /// `MERCHANTREFUNDID`.
    pub merchant_refund_id: Option<String>,
    /// The contract.
    pub contract: Option<String>,
    /// `INITTS`.
    pub called_at: Option<Timestamp>,
    /// When it succeeded, if it had by then.
    pub succeeded_at: Option<Timestamp>,
    /// Why it failed.
    pub reason: Option<FailReason>,
    /// Why, in words.
    pub error: Option<String>,
    /// `bank_confirmed_at`.
    pub funds_sent_at: Option<Timestamp>,
}

/// Money that the shopper's side took back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargebackRow {
    /// `CBID`.
    pub id: Option<RefundId>,
    /// In sen; none if Midtrans does not say how much.
    pub amount: Option<Amount>,
    /// `ACCOUNTHOLDER`: personal data, so that it may be gone.
    pub account_holder: Option<String>,
    /// The payment.
    pub tx_id: TxId,
    /// Its `MERCHANTTXID`.
    pub merchant_tx_id: Option<String>,
    /// `CHARGEBACKTS`, if Midtrans said when.
    pub charged_back_at: Option<Timestamp>,
    /// `IMPORTEDTS`: when it was recorded here.
    pub at: Timestamp,
    /// The contract.
    pub contract: Option<String>,
}

impl ChargebackRow {
    fn fields(&self) -> [String; 10] {
        [
            self.id.map_or(String::new(), |id| id.to_string()),
            minor(self.amount),
            PROCESSING_CURRENCY.to_owned(),
            plain(self.account_holder.as_ref()),
            String::new(),
            self.tx_id.to_string(),
            plain(self.merchant_tx_id.as_ref()),
            seconds(self.charged_back_at),
            seconds(Some(self.at)),
            plain(self.contract.as_ref()),
        ]
    }
}

fn seconds(at: Option<Timestamp>) -> String {
    at.map_or(String::new(), Timestamp::utc_seconds)
}

fn minor(amount: Option<Amount>) -> String {
    amount.map_or(String::new(), |amount| amount.get().to_string())
}

fn plain(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

impl TransactionRow {
    fn fields(&self) -> [String; 21] {
        let succeeded = matches!(self.kind, Kind::Succeeded | Kind::SucceededLate);
        let (state, funds) = match self.kind {
            Kind::Opened => ("PENDING", "WAITING"),
            Kind::Succeeded | Kind::SucceededLate => ("SUCCEEDED", "WAITING"),
            Kind::Failed
            | Kind::RefundRequested
            | Kind::RefundSucceeded
            | Kind::RefundFailed
            | Kind::RefundFundsConfirmed
            | Kind::RefundedElsewhere
            | Kind::ChargedBack
            | Kind::Adjustment => ("FAILED", "NOT_EXPECTED"),
        };
        let failed = self.failed;
        [
            self.tx_id.to_string(),
            state.to_owned(),
            failed.map_or(String::new(), |(_, reason)| reason.as_str().to_owned()),
            funds.to_owned(),
            minor(self.amount),
            PROCESSING_CURRENCY.to_owned(),
            plain(self.details.account_holder.as_ref()),
            self.channel.map_or("", Channel::as_str).to_owned(),
            plain(self.merchant_tx_id.as_ref()),
            plain(self.details.country.as_ref()),
            plain(self.details.selling_point.as_ref()),
            plain(self.details.sold_service.as_ref()),
            seconds(self.called_at),
            seconds(succeeded.then_some(self.at)),
            seconds(failed.map(|(at, _)| at)),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            plain(self.contract.as_ref()),
        ]
    }
}

impl RefundRow {
    fn fields(&self) -> [String; 15] {
        let failed = self.kind == Kind::RefundFailed;
        let sent = self.kind == Kind::RefundFundsConfirmed;
        let funds = match (failed, sent) {
            (true, _) => "NOT_EXPECTED",
            (false, true) => "SENT",
            (false, false) => "WAITING",
        };
        [
            self.refund_id.map_or(String::new(), |id| id.to_string()),
            if failed { "FAILED" } else { "SUCCEEDED" }.to_owned(),
            self.reason.map_or(String::new(), |reason| reason.as_str().to_owned()),
            funds.to_owned(),
            minor(self.amount),
            PROCESSING_CURRENCY.to_owned(),
            self.tx_id.to_string(),
            plain(self.merchant_refund_id.as_ref()),
            seconds(self.called_at),
            seconds(self.succeeded_at),
            seconds(failed.then_some(self.at)),
            seconds(self.funds_sent_at.filter(|_| sent)),
            String::new(),
            plain(self.error.as_ref()),
            plain(self.contract.as_ref()),
        ]
    }
}

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
    use jiff::civil::date;

    use super::*;
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
