//! `[settlement]`, and the terms of contracts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use gopay_finance::SettlementAccount;
use gopay_finance::amount::Amount;
use gopay_finance::calendar::Calendar;
use gopay_finance::form::Form;
use gopay_finance::period::Frequency;
use gopay_finance::terms::{
    AccountTerms, ContractTerms, Due, Fees, Fixed, MidtransFee, Terms, TermsProblem,
};
use jiff::civil::Date;

use super::section::Section;

/// What settlements need.
#[derive(Debug, Default)]
pub(crate) struct Settlement {
    /// The file of exchange rates, unless a command names another.
    pub(crate) rates: Option<PathBuf>,
    /// The days on which transfers start.
    pub(crate) calendar: Calendar,
    /// What Midtrans should charge.
    pub(crate) midtrans_fees: Vec<MidtransFee>,
    /// By client number.
    pub(crate) accounts: Vec<AccountTerms>,
}

const DAY: &str = "a day such as \"2026-12-31\"";
const AMOUNT: &str = "an amount of the settlement currency such as \"12.50\"";

/// A hundred percent, in hundredths of a percent.
const WHOLE: i64 = 10_000;

pub(super) fn read_settlement(section: &mut Section<'_>, settlement: &mut Settlement) {
    settlement.rates = section.text("rates").map(PathBuf::from);
    let days = section.texts("closed_days").unwrap_or_default();
    let closed: Vec<Date> = days
        .iter()
        .filter_map(|day| {
            let read = day.parse().ok();
            if read.is_none() {
                section.problem("closed_days", &format!("{day:?} is not a day"), DAY);
            }
            read
        })
        .collect();
    settlement.calendar = Calendar::new(closed);
    settlement.midtrans_fees =
        section.list("midtrans_fee", "name", &mut BTreeSet::new(), read_midtrans_fee);
}

fn read_midtrans_fee(fee: &mut Section<'_>) -> Option<MidtransFee> {
    // Only for messages.
    fee.required("name");
    let valid_from = read_day(fee, "valid_from");
    let payment_type = fee.required("payment_type");
    let (mut basis_points, mut vat_basis_points, mut given_back) = (0, 0, false);
    fee.number("basis_points", 0, WHOLE, &mut basis_points);
    fee.number("vat_basis_points", 0, WHOLE, &mut vat_basis_points);
    fee.flag("given_back", &mut given_back);
    Some(MidtransFee {
        valid_from: valid_from?,
        payment_type: payment_type?,
        basis_points,
        vat_basis_points,
        given_back,
    })
}

fn read_day(section: &mut Section<'_>, key: &str) -> Option<Date> {
    let text = section.required(key)?;
    let day = text.parse().ok();
    if day.is_none() {
        section.problem(key, &format!("{text:?} is not a day"), DAY);
    }
    day
}

/// The terms of contracts as they are read, with their accounts.
pub(super) type ReadTerms = RefCell<Vec<(SettlementAccount, Form, ContractTerms)>>;

/// `[contract.settlement]`.
pub(super) fn read_terms(contract: &mut Section<'_>, id: Option<&str>, read: &ReadTerms) {
    contract.section("settlement", |section| {
        let mut account = SettlementAccount { entity: 1, client: 0 };
        section.number("entity", 1, 999, &mut account.entity);
        if !section.number("client_number", 1, 9999, &mut account.client)
            && !section.reported("client_number")
        {
            section.problem("client_number", "missing", "PPRO's number of the client: 1 to 9999");
        }
        let form = read_form(section);
        let terms = section.list("terms", "valid_from", &mut BTreeSet::new(), read_one);
        if terms.is_empty() && !section.reported_within(&section.key("terms")) {
            section.problem("terms", "missing", "at least one [[contract.settlement.terms]]");
        }
        if let Some(id) = id {
            let contract = ContractTerms { contract: id.to_owned(), terms };
            read.borrow_mut().push((account, form, contract));
        }
    });
}

/// The form of the client's files.
fn read_form(section: &mut Section<'_>) -> Form {
    let mut form = Form::default();
    for (key, to, allowed, wanted) in [
        (
            "delimiter",
            &mut form.delimiter,
            &Form::DELIMITERS[..],
            "a comma, a semicolon or a tab, in quotes",
        ),
        ("decimal_mark", &mut form.decimal_mark, &Form::DECIMAL_MARKS[..], "\".\" or \",\""),
    ] {
        let Some(text) = section.text(key) else { continue };
        match allowed.iter().find(|mark| text == mark.to_string()) {
            Some(mark) => *to = *mark,
            None => section.problem(key, &format!("{text:?}"), wanted),
        }
    }
    if form.delimiter == form.decimal_mark {
        section.problem("decimal_mark", "the same as delimiter", "two different marks");
    }
    form
}

fn read_one(section: &mut Section<'_>) -> Option<Terms> {
    let valid_from = read_day(section, "valid_from");
    let valid_until = match section.table.contains_key("valid_until") {
        true => read_day(section, "valid_until"),
        false => None,
    };
    let currency = section.required("currency");
    let frequency = section.required("frequency").and_then(|letter| {
        let frequency = Frequency::from_letter(&letter);
        if frequency.is_none() {
            section.problem("frequency", &format!("{letter:?}"), "D, W or M");
        }
        frequency
    });
    let mut amount = |key: &str| {
        let mut amount = Amount::ZERO;
        section.parsed(key, AMOUNT, &mut amount);
        amount
    };
    let (minimum_transfer, wire_fee) = (amount("minimum_transfer"), amount("wire_fee"));
    let (monthly_fee, setup_fee) = (amount("monthly_fee"), amount("setup_fee"));
    let mut number = |key: &str, max| {
        let mut number = 0_u32;
        section.number(key, 0, max, &mut number);
        number
    };
    let reserve_basis_points = number("reserve_basis_points", WHOLE);
    let discount_basis_points = number("discount_basis_points", WHOLE);
    let margin_basis_points = number("margin_basis_points", WHOLE);
    let (mut delay_days, mut reserve_days) = (0, 0);
    section.number("delay_days", 0, 365, &mut delay_days);
    section.number("reserve_days", 0, 3_650, &mut reserve_days);
    let (mut payment, mut refund) = (Fees::default(), Fees::default());
    section.section("payment", |fees| read_fees(fees, &mut payment));
    section.section("refund", |fees| read_fees(fees, &mut refund));
    Some(Terms {
        valid_from: valid_from?,
        valid_until,
        currency: currency?,
        frequency: frequency?,
        delay_days,
        minimum_transfer,
        wire_fee,
        monthly_fee,
        setup_fee,
        reserve_basis_points,
        reserve_days,
        discount_basis_points,
        margin_basis_points,
        payment,
        refund,
    })
}

fn read_fees(section: &mut Section<'_>, fees: &mut Fees) {
    for (name, due, fixed) in [
        ("acquiring_fee", "acquiring_due", &mut fees.acquiring),
        ("processing_fee", "processing_due", &mut fees.processing),
    ] {
        let Fixed { amount, due: when } = fixed;
        section.parsed(name, AMOUNT, amount);
        match section.text(due).as_deref() {
            None => {}
            Some("start") => *when = Due::Start,
            Some("success") => *when = Due::Success,
            Some(other) => section.problem(due, &format!("{other:?}"), "start or success"),
        }
    }
    section.parsed("succeeded_fee", AMOUNT, &mut fees.succeeded);
}

/// The accounts of the terms that were read; what they cannot mean is reported, unless the terms
/// have problems of their own.
pub(super) fn accounts(root: &mut Section<'_>, read: ReadTerms) -> Vec<AccountTerms> {
    let mut accounts: BTreeMap<SettlementAccount, AccountTerms> = BTreeMap::new();
    for (account, form, contract) in read.into_inner() {
        let begun = AccountTerms { account, form, contracts: Vec::new() };
        let whole = accounts.entry(account).or_insert(begun);
        if whole.form != form {
            let key = format!("contract {:?}.settlement.delimiter", contract.contract);
            let wrong = "another form than that of the other contracts of its client number";
            root.problem(&key, wrong, "the same delimiter and decimal_mark");
        }
        whole.contracts.push(contract);
    }
    let accounts: Vec<_> = accounts.into_values().collect();
    if !root.reported_within("contract") {
        for account in &accounts {
            for TermsProblem { contract, place, key, wrong, wanted } in account.problems() {
                let terms = account.contracts.iter().find(|one| one.contract == contract);
                let day = terms.and_then(|one| one.terms.get(place)).map(|one| one.valid_from);
                let day = day.map_or(String::new(), |day| day.to_string());
                let key = format!("contract {contract:?}.settlement.terms {day:?}.{key}");
                root.problem(&key, &wrong, wanted);
            }
        }
    }
    accounts
}
