//! Processing files: for each UTC day, a row for each state that a payment or refund entered.
//!
//! A row tells what was known when the state was entered: the row of a PENDING that succeeded a
//! minute later has no SUCCEEDEDTS. So the files of a day are the same whenever they are made.

use gopay_core::ids::{RefundId, TxId};
use gopay_core::journal::Kind;
use gopay_core::payment::{Channel, FailReason};
use gopay_core::time::Timestamp;
use jiff::civil::Date;

use crate::amount::Amount;
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
#[derive(Clone, Default, PartialEq, Eq)]
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

gopay_core::shows_nothing!("CallDetails", CallDetails);

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
#[derive(Clone, PartialEq, Eq)]
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

gopay_core::shows_nothing!("ChargebackRow", ChargebackRow);

impl ChargebackRow {
    pub(crate) fn fields(&self) -> [String; 10] {
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
    pub(crate) fn fields(&self) -> [String; 21] {
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
    pub(crate) fn fields(&self) -> [String; 15] {
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
