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
        let shown = |amount: Amount| format!("{amount} {currency}");
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
            (title, format!("{} {}", one.amount, self.basis.currency))
        };
        self.basis.adjustments.iter().map(line).collect()
    }

    /// What is still held back.
    #[must_use]
    pub fn reserves(&self) -> Vec<Line> {
        let line = |one: &crate::basis::Reserve| {
            let title = format!("{} of {}, until {}", one.set, one.contract, one.release_on);
            (title, format!("{} {}", one.amount, self.basis.currency))
        };
        self.balance.after.reserves.iter().map(line).collect()
    }

    /// Whether there is a transfer, in a sentence.
    #[must_use]
    pub fn outcome(&self) -> String {
        let (balance, basis) = (self.balance, self.basis);
        let currency = &basis.currency;
        if balance.transfer > Amount::ZERO {
            let (transfer, date) = (balance.transfer, basis.settlement_date);
            return format!("{transfer} {currency} will be transferred on {date}.");
        }
        let left = balance.after.carry_forward;
        format!("No transfer: {left} {currency} is carried forward to the next settlement.")
    }
}

/// What rows mean, for people.
#[must_use]
pub const fn meaning(kind: RowType) -> &'static str {
    match kind {
        RowType::Transaction => "Payments",
        RowType::Refund => "Refunds",
        RowType::ClearedToMerchant => "Payments less refunds, converted",
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

/// The style, within the file: it needs nothing else, on screen or paper.
const STYLE: &str = "\
:root{color-scheme:light}body{font:15px/1.45 system-ui,sans-serif;color:#1a1a1a;max-width:52rem;\
margin:2rem auto;padding:0 1rem}h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.05rem;\
margin:1.6rem 0 .4rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:\
.3rem .5rem;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}\
th{font-weight:600}thead th{border-bottom:2px solid #444}.n{text-align:right;\
font-variant-numeric:tabular-nums;white-space:nowrap}.outcome{font-size:1.15rem;font-weight:600;\
margin:.6rem 0 1rem}.strong td,.strong th{font-weight:700;border-top:2px solid #444}\
footer{margin-top:2rem;color:#555;font-size:.85rem}@media print{@page{size:A4;margin:18mm}\
body{margin:0;max-width:none;font-size:10.5pt}tr{break-inside:avoid}h2{break-after:avoid}\
thead{display:table-header-group}}";

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
        table {
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
                    th { "Contract" }
                    th { "Row" }
                    th.n { "Count" }
                    th.n { "Amount" }
                    th { "Currency" }
                }
            }
            tbody {
                @for row in &balance.rows {
                    tr {
                        td { (row.contract) }
                        td { (meaning(row.kind)) " (" (row.kind.as_str()) ")" }
                        td.n { (row.count) }
                        td.n { (row.amount) }
                        td { (row.currency) }
                    }
                }
                @if balance.rows.is_empty() {
                    tr { td colspan="5" { "Nothing in this period." } }
                }
            }
        }
    }
}
