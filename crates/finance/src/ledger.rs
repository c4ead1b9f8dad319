//! The double entry of money events and settlements, balanced in each currency.
//!
//! Accounts: `Assets:Midtrans` (rupiah that Midtrans owes us), `Liabilities:Merchants:CONTRACT`
//! (what we owe, in rupiah until it is converted, then in the settlement currency),
//! `Liabilities:Reserves`, `Equity:Conversion` (both sides of an exchange), `Income:Fees:KIND`,
//! `Expenses:Adjustments`, `Assets:Bank`.

use std::io::{self, Write};

use gopay_core::journal::Kind;
use jiff::civil::Date;

use crate::amount::{Amount, Overflow};
use crate::balance::RowType;
use crate::event::{Money, MoneyEvent};
use crate::manifest::Manifest;
use crate::period::day_of;
use crate::table::csv_writer;
use crate::terms::PROCESSING_CURRENCY;

/// One side of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: String,
    /// Above zero: debit.
    pub amount: Amount,
    /// In what.
    pub currency: String,
}

/// What is booked together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The day in UTC.
    pub date: Date,
    /// What it is about: an id or a set.
    pub code: String,
    /// In words.
    pub text: String,
    /// They add up to nothing in each currency.
    pub postings: Vec<Posting>,
}

impl Booking {
    fn new(date: Date, code: String, text: String) -> Self {
        Self { date, code, text, postings: Vec::new() }
    }

    /// Books from one account to another; nothing if it is nothing.
    fn book(
        &mut self,
        debit: &str,
        credit: &str,
        amount: Amount,
        currency: &str,
    ) -> Result<(), Overflow> {
        if amount == Amount::ZERO {
            return Ok(());
        }
        for (account, amount) in [(debit, amount), (credit, amount.negative()?)] {
            let (account, currency) = (account.to_owned(), currency.to_owned());
            self.postings.push(Posting { account, amount, currency });
        }
        Ok(())
    }
}

fn merchant(contract: &str) -> String {
    format!("Liabilities:Merchants:{contract}")
}

const MIDTRANS: &str = "Assets:Midtrans";
const BANK: &str = "Assets:Bank";
const CONVERSION: &str = "Equity:Conversion";
const RESERVES: &str = "Liabilities:Reserves";

/// The booking of a payment or refund; none of what moves no money.
///
/// # Errors
/// [`Overflow`].
pub fn of_event(event: &MoneyEvent, kind: Kind) -> Result<Option<Booking>, Overflow> {
    let owed = merchant(&event.contract);
    let (word, debit, credit) = match event.money {
        Money::PaymentSucceeded => ("payment", MIDTRANS, owed.as_str()),
        Money::RefundSucceeded => ("refund", owed.as_str(), MIDTRANS),
        Money::ChargedBack => ("chargeback", owed.as_str(), MIDTRANS),
        Money::PaymentStarted | Money::RefundStarted => return Ok(None),
    };
    let late = if kind == Kind::SucceededLate { ", late" } else { "" };
    let text = format!("{word} of {}{late}", event.contract);
    let mut booking = Booking::new(day_of(event.at), event.id().to_string(), text);
    booking.book(debit, credit, event.amount, PROCESSING_CURRENCY)?;
    Ok(Some(booking))
}

/// The bookings of a settlement: conversion, fees and reserves on the last day of the period, the
/// transfer on its own day.
///
/// # Errors
/// [`Overflow`].
pub fn of_settlement(manifest: &Manifest) -> Result<Vec<Booking>, Overflow> {
    let basis = &manifest.basis;
    let (set, currency) = (&manifest.set, basis.currency.as_str());
    let mut closing = Booking::new(basis.last_day, set.clone(), "settlement".to_owned());
    for row in &manifest.rows {
        let owed = merchant(&row.contract);
        match row.kind {
            // Rupiah that are owed become rupiah that were exchanged, and the other way round.
            RowType::Transaction | RowType::Refund | RowType::Chargeback => {
                closing.book(&owed, CONVERSION, row.amount, &row.currency)?;
            }
            RowType::ClearedToMerchant => {
                closing.book(CONVERSION, &owed, row.amount, currency)?;
            }
            RowType::Adjustment => {
                closing.book("Expenses:Adjustments", &owed, row.amount, currency)?;
            }
            RowType::AcquiringFee
            | RowType::DiscountFee
            | RowType::ProcessingFee
            | RowType::SucceededFee
            | RowType::MerchantSetupFee
            | RowType::MerchantMonthlyFee
            | RowType::WireFee => {
                let income = format!("Income:Fees:{}", row.kind.as_str());
                closing.book(&owed, &income, row.amount.negative()?, currency)?;
            }
        }
    }
    let first = basis.contracts.first().map_or("", |one| one.contract.as_str());
    for reserve in manifest.after.reserves.iter().filter(|one| one.set == *set) {
        closing.book(&merchant(&reserve.contract), RESERVES, reserve.amount, currency)?;
    }
    for reserve in basis.before.reserves.iter().filter(|one| !manifest.after.reserves.contains(one))
    {
        closing.book(RESERVES, &merchant(&reserve.contract), reserve.amount, currency)?;
    }
    let mut transfer = Booking::new(
        basis.settlement_date,
        set.clone(),
        format!("transfer to {}", basis.account()),
    );
    transfer.book(&merchant(first), BANK, manifest.transfer, currency)?;
    let bookings = [closing, transfer];
    Ok(bookings.into_iter().filter(|booking| !booking.postings.is_empty()).collect())
}

/// Where bookings go.
pub trait Books {
    /// Writes one.
    ///
    /// # Errors
    /// Of what is written to.
    fn add(&mut self, booking: &Booking) -> io::Result<()>;
}

/// A plain-text ledger, as `ledger` and `hledger` read it.
pub struct PlainText<W: Write>(pub W);

impl<W: Write> Books for PlainText<W> {
    fn add(&mut self, booking: &Booking) -> io::Result<()> {
        let Self(to) = self;
        writeln!(to, "{} * ({}) {}", booking.date, booking.code, booking.text)?;
        for Posting { account, amount, currency } in &booking.postings {
            writeln!(to, "    {account}  {amount} {currency}")?;
        }
        writeln!(to)
    }
}

/// Rows with the same columns for every program.
pub struct Rows<W: Write>(csv::Writer<W>);

impl<W: Write> Rows<W> {
    /// Begins with the titles.
    ///
    /// # Errors
    /// Of what is written to.
    pub fn begin(to: W) -> io::Result<Self> {
        let mut rows = csv_writer(to);
        rows.write_record(["date", "code", "text", "account", "amount", "currency"])?;
        Ok(Self(rows))
    }

    /// What was written to.
    ///
    /// # Errors
    /// Of what is written to.
    pub fn finish(self) -> io::Result<W> {
        self.0.into_inner().map_err(|error| io::Error::other(error.to_string()))
    }
}

impl<W: Write> Books for Rows<W> {
    fn add(&mut self, booking: &Booking) -> io::Result<()> {
        for Posting { account, amount, currency } in &booking.postings {
            let (date, amount) = (booking.date.to_string(), amount.to_string());
            let row = [&date, &booking.code, &booking.text, account, &amount, currency];
            self.0.write_record(row)?;
        }
        Ok(())
    }
}
