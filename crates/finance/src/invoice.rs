//! The invoice: the aggregate for people, with rate, roundings, balances and transfer.

use maud::{DOCTYPE, html};

use crate::amount::Amount;
use crate::balance::{Balance, RowType};
use crate::basis::Basis;
use crate::terms::PAYMENT_METHOD;

/// What an invoice tells.
pub struct Invoice<'a> {
    /// Terms and rate.
    pub basis: &'a Basis,
    /// The name of the set.
    pub set: &'a str,
    /// Sums.
    pub balance: &'a Balance,
}

/// A title and its value.
pub type Line = (String, String);

impl Invoice<'_> {
    /// What is at the head.
    #[must_use]
    pub fn head(&self) -> Vec<Line> {
        let basis = self.basis;
        let lines = [
            ("Settlement", self.set.to_owned()),
            ("Entity and client number", basis.account().to_string()),
            ("Payment method", PAYMENT_METHOD.to_owned()),
            ("Period (UTC)", format!("{} to {}", basis.first_day, basis.last_day)),
            ("Settlement date", basis.settlement_date.to_string()),
            ("Settlement currency", basis.currency.clone()),
        ];
        lines.map(|(title, value)| (title.to_owned(), value)).to_vec()
    }

    /// How the transfer comes about, ending with what is left.
    #[must_use]
    pub fn balances(&self) -> Vec<Line> {
        let (balance, currency) = (self.balance, &self.basis.currency);
        let shown = |amount: Amount| format!("{} {currency}", amount.grouped());
        let negative = |amount: Amount| amount.negative().unwrap_or_default();
        let lines = [
            ("Carried forward from before", self.basis.before.carry_forward),
            ("Rows of this settlement", balance.rows_total),
            ("Reserve released", balance.released),
            ("Reserve held back", negative(balance.withheld)),
            ("Transfer", balance.transfer),
            ("Carried forward to the next", balance.after.carry_forward),
        ];
        lines.map(|(title, amount)| (title.to_owned(), shown(amount))).to_vec()
    }

    /// The rate, and what each contract's amounts were divided by.
    #[must_use]
    pub fn rates(&self) -> Vec<Line> {
        let rate = &self.basis.rate;
        let published = format!(
            "1 {} = {} {} on {}, {}",
            rate.base, rate.rate, rate.quote, rate.date, rate.source
        );
        let applied = self.balance.applied.iter().map(|one| {
            let margin = Amount::new(one.margin_basis_points.into());
            let title = format!("Applied to {}", one.contract);
            (title, format!("{} {} (margin {margin} %)", one.rate, rate.quote))
        });
        std::iter::once(("Rate".to_owned(), published)).chain(applied).collect()
    }

    /// What was lost or gained by rounding.
    #[must_use]
    pub fn roundings(&self) -> Vec<Line> {
        let line = |one: &crate::balance::Rounding| {
            let title = format!("{} of {}", one.row, one.contract);
            (title, format!("{} {}", one.remainder, self.basis.currency))
        };
        self.balance.roundings.iter().map(line).collect()
    }

    /// Corrections, with their reasons.
    #[must_use]
    pub fn adjustments(&self) -> Vec<Line> {
        let line = |one: &crate::basis::Adjustment| {
            let title = format!("{} of {}: {}", one.id, one.contract, one.reason);
            (title, format!("{} {}", one.amount.grouped(), self.basis.currency))
        };
        self.basis.adjustments.iter().map(line).collect()
    }

    /// What is still held back.
    #[must_use]
    pub fn reserves(&self) -> Vec<Line> {
        let line = |one: &crate::basis::Reserve| {
            let title = format!("{} of {}, until {}", one.set, one.contract, one.release_on);
            (title, format!("{} {}", one.amount.grouped(), self.basis.currency))
        };
        self.balance.after.reserves.iter().map(line).collect()
    }

    /// Whether there is a transfer, in a sentence.
    #[must_use]
    pub fn outcome(&self) -> String {
        let (balance, basis) = (self.balance, self.basis);
        let currency = &basis.currency;
        if balance.transfer > Amount::ZERO {
            let (transfer, date) = (balance.transfer.grouped(), basis.settlement_date);
            return format!("{transfer} {currency} will be transferred on {date}.");
        }
        let left = balance.after.carry_forward.grouped();
        format!("No transfer: {left} {currency} is carried forward to the next settlement.")
    }
}

/// What rows mean, for people.
#[must_use]
pub const fn meaning(kind: RowType) -> &'static str {
    match kind {
        RowType::Transaction => "Payments",
        RowType::Refund => "Refunds",
        RowType::Chargeback => "Chargebacks",
        RowType::ClearedToMerchant => "Payments less what went back, converted",
        RowType::AcquiringFee => "Acquiring fees",
        RowType::DiscountFee => "Discount fee",
        RowType::ProcessingFee => "Processing fees",
        RowType::SucceededFee => "Fees of success",
        RowType::MerchantSetupFee => "Set-up fee",
        RowType::MerchantMonthlyFee => "Monthly fee",
        RowType::WireFee => "Fee of the transfer",
        RowType::Adjustment => "Adjustment",
    }
}

/// The style, within the file: it needs nothing else, on screen or paper. Every text has a contrast
/// of 7 to 1 or more, by day and by night.
const STYLE: &str = "\
:root{color-scheme:light dark;--text:#1a1a1a;--faint:#4a4a4a;--line:#d0d0d0;--rule:#444;--paper:#fff}\
@media screen and (prefers-color-scheme:dark){:root{--text:#ececec;--faint:#b8b8b8;--line:#3c3c3c;\
--rule:#8a8a8a;--paper:#161616}}body{font:15px/1.45 system-ui,sans-serif;color:var(--text);\
background:var(--paper);max-width:52rem;margin:2rem auto;padding:0 1rem}h1{font-size:1.5rem;\
margin:0 0 .2rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}table{border-collapse:collapse;\
width:100%}th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid var(--line);\
vertical-align:top}th:first-child,td:first-child{padding-left:0}th:last-child,td:last-child{\
padding-right:0}tbody th{font-weight:400}thead th{font-weight:600;border-bottom:2px solid \
var(--rule)}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
small{color:var(--faint);font-size:.8rem;overflow-wrap:anywhere}.outcome{font-size:1.15rem;\
font-weight:600;margin:.6rem 0 1rem}.strong td,.strong th{font-weight:700;border-top:2px solid \
var(--rule);border-bottom:2px solid var(--rule)}footer{margin-top:2rem;color:var(--faint);\
font-size:.85rem}@media(max-width:30rem){body{font-size:14px;margin:1rem auto}th,td{\
padding:.3rem .25rem}.lines .n{white-space:normal}}@media print{@page{size:A4;margin:18mm}\
body{margin:0;padding:0;max-width:none;font-size:10pt;line-height:1.35}h2{margin-top:1.1rem;\
break-after:avoid}th,td{padding:.18rem .4rem}tr{break-inside:avoid}thead{display:\
table-header-group}footer{margin-top:1rem}}";

/// The invoice as one HTML file.
#[must_use]
pub fn html(invoice: &Invoice<'_>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Invoice " (invoice.set) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "Settlement invoice " (invoice.set) }
                p.outcome { (invoice.outcome()) }
                (lines(&invoice.head(), None))
                h2 { "Rows of the aggregate" }
                (rows(invoice.balance))
                h2 { "From rows to transfer" }
                (lines(&invoice.balances(), Some("Transfer")))
                h2 { "Exchange rate" }
                (lines(&invoice.rates(), None))
                (section("Adjustments", &invoice.adjustments()))
                (section("Held back", &invoice.reserves()))
                (section("Rounding: exact value less the rounded one", &invoice.roundings()))
                footer {
                    "Amounts are exact and rounded half away from zero once, in the row that "
                    "shows them. Times are UTC."
                }
            }
        }
    };
    page.into_string()
}

fn section(title: &str, of: &[Line]) -> maud::Markup {
    html! {
        @if !of.is_empty() {
            h2 { (title) }
            (lines(of, None))
        }
    }
}

fn lines(of: &[Line], strong: Option<&str>) -> maud::Markup {
    html! {
        table.lines {
            tbody {
                @for (title, value) in of {
                    tr.strong[strong == Some(title.as_str())] {
                        th scope="row" { (title) }
                        td.n { (value) }
                    }
                }
            }
        }
    }
}

fn rows(balance: &Balance) -> maud::Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Contract" }
                    th scope="col" { "Row" }
                    th.n scope="col" { "Count" }
                    th.n scope="col" { "Amount" }
                }
            }
            tbody {
                @for row in &balance.rows {
                    tr {
                        td { (row.contract) }
                        td { (meaning(row.kind)) br; small { (row.kind.as_str()) } }
                        td.n { (row.count) }
                        td.n { (row.amount.grouped()) " " (row.currency) }
                    }
                }
                @if balance.rows.is_empty() {
                    tr { td colspan="4" { "Nothing in this period." } }
                }
            }
        }
    }
}
