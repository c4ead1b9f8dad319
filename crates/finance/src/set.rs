//! The files of one settlement, written in one pass over its money events.

use std::io::Write as _;

use crate::amount::Amount;
use crate::balance::Balance;
use crate::basis::Basis;
use crate::event::{Money, MoneyEvent};
use crate::invoice;
use crate::manifest::{self, Manifest};
use crate::pdf;
use crate::table::{FileFacts, Folder, Table, WriteError, whole};
use crate::tally::{FeeType, Tally, discount, event_type, fixed_fees, indicative};
use crate::terms::{COUNTRY, PAYMENT_METHOD, PROCESSING_CURRENCY, Terms};

/// A CSV file of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Every payment.
    VolumePerTransaction,
    /// Every refund.
    VolumePerRefund,
    /// Every chargeback: GoPay has none as a rule.
    VolumePerChargeback,
    /// Fees of payments.
    FeePerTransaction,
    /// Fees of refunds.
    FeePerRefund,
    /// Fees of chargebacks.
    FeePerChargeback,
    /// The sums.
    Aggregate,
}

impl Part {
    /// All, in the order of the manifest.
    pub const ALL: [Self; 7] = [
        Self::VolumePerTransaction,
        Self::VolumePerRefund,
        Self::VolumePerChargeback,
        Self::FeePerTransaction,
        Self::FeePerRefund,
        Self::FeePerChargeback,
        Self::Aggregate,
    ];

    /// The end of its name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::VolumePerTransaction => "volume-per-transaction",
            Self::VolumePerRefund => "volume-per-refund",
            Self::VolumePerChargeback => "volume-per-chargeback",
            Self::FeePerTransaction => "fee-per-transaction",
            Self::FeePerRefund => "fee-per-refund",
            Self::FeePerChargeback => "fee-per-chargeback",
            Self::Aggregate => "aggregate",
        }
    }

    /// Its name in a set.
    #[must_use]
    pub fn file(self, set: &str) -> String {
        format!("{set}-{}.csv", self.suffix())
    }

    /// Its columns.
    #[must_use]
    pub const fn titles(self) -> &'static [&'static str] {
        match self {
            Self::VolumePerTransaction => &[
                "MERCHANT_TX_ID",
                "TX_ID",
                "PAYMENT_REFERENCE",
                "EVENT_TYPE",
                "EVENT_TIMESTAMP",
                "MERCHANT_ID",
                "PAYMENT_METHOD",
                "AMOUNT",
                "CURRENCY",
                "COUNTRY",
            ],
            Self::VolumePerRefund => &[
                "MERCHANT_TX_ID",
                "RF_ID",
                "PAYMENT_REFERENCE",
                "EVENT_TYPE",
                "EVENT_TIMESTAMP",
                "MERCHANT_ID",
                "PAYMENT_METHOD",
                "AMOUNT",
                "CURRENCY",
                "COUNTRY",
                "REFERENCE_TX_ID",
            ],
            Self::VolumePerChargeback => &[
                "MERCHANT_TX_ID",
                "CB_ID",
                "PAYMENT_REFERENCE",
                "EVENT_TIMESTAMP",
                "MERCHANT_ID",
                "PAYMENT_METHOD",
                "AMOUNT",
                "CURRENCY",
                "COUNTRY",
                "REFERENCE_TX_ID/REFERENCE_RF_ID",
                "CHARGEBACK_REASON",
            ],
            Self::FeePerTransaction => &[
                "MERCHANT_TX_ID",
                "TX_ID",
                "PAYMENT_REFERENCE",
                "EVENT_TYPE",
                "EVENT_TIMESTAMP",
                "MERCHANT_ID",
                "PAYMENT_METHOD",
                "FEE_TYPE",
                "AMOUNT",
                "CURRENCY",
                "COUNTRY",
            ],
            Self::FeePerRefund => &[
                "MERCHANT_TX_ID",
                "RF_ID",
                "PAYMENT_REFERENCE",
                "EVENT_TYPE",
                "EVENT_TIMESTAMP",
                "MERCHANT_ID",
                "PAYMENT_METHOD",
                "FEE_TYPE",
                "AMOUNT",
                "CURRENCY",
                "COUNTRY",
                "REFERENCE_TX_ID",
            ],
            Self::FeePerChargeback => &[
                "MERCHANT_TX_ID",
                "CB_ID",
                "EVENT_TIMESTAMP",
                "MERCHANT_ID",
                "PAYMENT_METHOD",
                "FEE_TYPE",
                "AMOUNT",
                "CURRENCY",
                "COUNTRY",
                "REFERENCE_TX_ID",
            ],
            Self::Aggregate => &[
                "MERCHANT_ID",
                "PAYMENT_METHOD",
                "EVENT_TYPE",
                "EVENT_COUNT",
                "AGGREGATE_AMOUNT",
                "CURRENCY",
            ],
        }
    }

    /// The column of amounts, from 0.
    #[must_use]
    pub fn amount_column(self) -> usize {
        let is_amount = |title: &&&str| matches!(**title, "AMOUNT" | "AGGREGATE_AMOUNT");
        self.titles().iter().take_while(|title| !is_amount(title)).count()
    }
}

/// The files of one settlement under writing.
pub struct SetWriter<'b, F: Folder> {
    basis: &'b Basis,
    set: String,
    folder: F,
    payments: Table<F::File>,
    refunds: Table<F::File>,
    chargebacks: Table<F::File>,
    payment_fees: Table<F::File>,
    refund_fees: Table<F::File>,
    tallies: Vec<Tally>,
    last: Option<(i64, i64, Money)>,
}

impl<'b, F: Folder> SetWriter<'b, F> {
    /// Begins the files.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn begin(basis: &'b Basis, mut folder: F) -> Result<Self, WriteError> {
        let set = basis.set();
        let mut begin = |part| begin(&mut folder, part, basis);
        let (payments, refunds) =
            (begin(Part::VolumePerTransaction)?, begin(Part::VolumePerRefund)?);
        let chargebacks = begin(Part::VolumePerChargeback)?;
        let (payment_fees, refund_fees) =
            (begin(Part::FeePerTransaction)?, begin(Part::FeePerRefund)?);
        let tallies = vec![Tally::default(); basis.contracts.len()];
        let last = None;
        Ok(Self {
            basis,
            set,
            folder,
            payments,
            refunds,
            chargebacks,
            payment_fees,
            refund_fees,
            tallies,
            last,
        })
    }

    /// Writes the rows of an event, which comes in the order of [`MoneyEvent::order`]. Those that do
    /// not concern the account are left out.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn add(&mut self, event: &MoneyEvent) -> Result<(), WriteError> {
        let Some((place, terms)) = self.basis.concerns(event) else { return Ok(()) };
        let order = event.order();
        if self.last.is_some_and(|last| last >= order) {
            return Err(WriteError::Order(event.id()));
        }
        self.last = Some(order);
        if let Some(tally) = self.tallies.get_mut(place) {
            tally.add(event, terms)?;
        }
        let row = EventRow::of(event);
        match event.money {
            Money::PaymentSucceeded => self.payments.row(row.volume(), event.amount)?,
            Money::RefundSucceeded => self.refunds.row(row.volume(), event.amount)?,
            Money::ChargedBack => self.chargebacks.row(row.chargeback(), event.amount)?,
            Money::PaymentStarted | Money::RefundStarted => {}
        }
        self.fees(event, &row, terms)
    }

    fn fees(
        &mut self,
        event: &MoneyEvent,
        row: &EventRow<'_>,
        terms: &Terms,
    ) -> Result<(), WriteError> {
        let to = match event.money {
            Money::PaymentStarted | Money::PaymentSucceeded => &mut self.payment_fees,
            Money::RefundStarted | Money::RefundSucceeded => &mut self.refund_fees,
            // No terms have fees of chargebacks.
            Money::ChargedBack => return Ok(()),
        };
        let fixed = fixed_fees(terms, event.money);
        let fixed = fixed.into_iter().map(|(fee, amount)| (fee, amount, terms.currency.as_str()));
        let mut fees: Vec<_> = fixed.collect();
        let discount = discount(terms, event);
        if discount != 0 {
            fees.push((FeeType::Discount, indicative(discount)?, PROCESSING_CURRENCY));
        }
        fees.sort_unstable_by_key(|(fee, _, _)| *fee);
        for (fee, amount, currency) in fees {
            to.row(row.fee(fee, &amount.to_string(), currency), amount)?;
        }
        Ok(())
    }

    /// Writes the sums, the invoice and the manifest.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(mut self) -> Result<(F, Finished), WriteError> {
        let balance = Balance::new(self.basis, &self.tallies)?;
        let mut files = Vec::new();
        let date = self.basis.settlement_date;
        let mut done = |folder: &mut F, table: Table<F::File>| -> Result<(), WriteError> {
            let (file, facts) = table.finish(date)?;
            folder.complete(&facts.name, file)?;
            files.push(facts);
            Ok(())
        };
        let folder = &mut self.folder;
        done(folder, self.payments)?;
        done(folder, self.refunds)?;
        done(folder, self.chargebacks)?;
        done(folder, self.payment_fees)?;
        done(folder, self.refund_fees)?;
        let none = begin(folder, Part::FeePerChargeback, self.basis)?;
        done(folder, none)?;
        let mut sums = begin(folder, Part::Aggregate, self.basis)?;
        for row in &balance.rows {
            let (count, amount) = (row.count.to_string(), row.amount.to_string());
            let fields =
                [&row.contract, PAYMENT_METHOD, row.kind.as_str(), &count, &amount, &row.currency];
            sums.row(fields, row.amount)?;
        }
        done(folder, sums)?;
        write_rest(self.basis, self.set, self.folder, balance, files)
    }
}

fn begin<F: Folder>(
    folder: &mut F,
    part: Part,
    basis: &Basis,
) -> Result<Table<F::File>, WriteError> {
    let name = part.file(&basis.set());
    let file = folder.create(&name)?;
    Table::begin(name, (part.titles(), part.amount_column()), basis.form, file)
}

/// A set that is complete.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The manifest.
    pub manifest: Manifest,
    /// As it was written.
    pub json: String,
    /// Its SHA-256.
    pub sha256: String,
    /// The aggregate, for messages.
    pub balance: Balance,
}

/// Invoice and manifest.
fn write_rest<F: Folder>(
    basis: &Basis,
    set: String,
    mut folder: F,
    balance: Balance,
    mut files: Vec<FileFacts>,
) -> Result<(F, Finished), WriteError> {
    let invoice = invoice::Invoice { basis, set: &set, balance: &balance };
    let html = invoice::html(&invoice);
    files.push(whole(&mut folder, &format!("{set}-invoice.html"), html.as_bytes())?);
    let pdf = pdf::pdf(&invoice);
    files.push(whole(&mut folder, &format!("{set}-invoice.pdf"), &pdf)?);
    let manifest = Manifest {
        format: Manifest::FORMAT,
        set,
        basis: basis.clone(),
        applied: balance.applied.clone(),
        roundings: balance.roundings.clone(),
        rows: balance.rows.clone(),
        rows_total: balance.rows_total,
        opening: basis.before.carry_forward,
        reserve_withheld: balance.withheld,
        reserve_released: balance.released,
        transfer: balance.transfer,
        carry_forward: balance.after.carry_forward,
        after: balance.after.clone(),
        files,
    };
    let json = manifest.to_json()?;
    let mut file = folder.create(manifest::NAME)?;
    file.write_all(json.as_bytes())?;
    folder.complete(manifest::NAME, file)?;
    let sha256 = manifest::sha256(json.as_bytes());
    Ok((folder, Finished { manifest, json, sha256, balance }))
}

/// `CHARGEBACK_REASON`: Midtrans gives none.
pub const CHARGED_BACK: &str = "charged back at Midtrans";
/// The same of an amount that Midtrans does not tell.
pub const CHARGED_BACK_IN_PART: &str =
    "charged back in part at Midtrans; its amount follows as an adjustment";

/// The columns that the rows of an event share.
struct EventRow<'e> {
    event: &'e MoneyEvent,
    id: String,
    at: String,
    amount: String,
    /// The payment, in rows about a refund.
    payment: Option<String>,
}

impl<'e> EventRow<'e> {
    fn of(event: &'e MoneyEvent) -> Self {
        Self {
            event,
            id: event.id().to_string(),
            at: event.at.utc_seconds(),
            amount: event.amount.to_string(),
            payment: event.refund_id.map(|_| event.tx_id.to_string()),
        }
    }

    fn head(&self) -> impl Iterator<Item = &str> {
        let event = self.event;
        [
            event.merchant_id.as_deref().unwrap_or_default(),
            self.id.as_str(),
            event.reference.as_deref().unwrap_or_default(),
            event_type(event.money),
            self.at.as_str(),
            event.contract.as_str(),
            PAYMENT_METHOD,
        ]
        .into_iter()
    }

    fn volume(&self) -> impl Iterator<Item = &str> {
        let tail = [self.amount.as_str(), PROCESSING_CURRENCY, COUNTRY];
        self.head().chain(tail).chain(self.payment.as_deref())
    }

    /// A chargeback has no `EVENT_TYPE`, but a reason.
    fn chargeback(&self) -> impl Iterator<Item = &str> {
        let event = self.event;
        let amount_told = event.amount != Amount::ZERO;
        [
            event.merchant_id.as_deref().unwrap_or_default(),
            self.id.as_str(),
            event.reference.as_deref().unwrap_or_default(),
            self.at.as_str(),
            event.contract.as_str(),
            PAYMENT_METHOD,
            self.amount.as_str(),
            PROCESSING_CURRENCY,
            COUNTRY,
            self.payment.as_deref().unwrap_or_default(),
            if amount_told { CHARGED_BACK } else { CHARGED_BACK_IN_PART },
        ]
        .into_iter()
    }

    fn fee<'r>(
        &'r self,
        fee: FeeType,
        amount: &'r str,
        currency: &'r str,
    ) -> impl Iterator<Item = &'r str> {
        let tail = [fee.as_str(), amount, currency, COUNTRY];
        self.head().chain(tail).chain(self.payment.as_deref())
    }
}

/// What a set's files of one part add up to, for those who compare.
#[must_use]
pub fn total_of(files: &[FileFacts], set: &str, part: Part) -> Option<Amount> {
    let name = part.file(set);
    files.iter().find(|file| file.name == name).and_then(|file| file.total)
}
