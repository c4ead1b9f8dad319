//! The summary on screen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::breaks::Kind;
use crate::money::Money;
use crate::run::Report;
use crate::tie_out::TieOut;

/// Breaks of a kind: how many, of them due, and the money at risk.
#[must_use]
pub fn by_kind(report: &Report) -> BTreeMap<Kind, (usize, usize, Money)> {
    let mut kinds = BTreeMap::new();
    for one in &report.breaks {
        let (count, due, at_risk) = kinds.entry(one.kind).or_insert((0, 0, Money::ZERO));
        *count += 1;
        *due += usize::from(one.is_due(report.today));
        // Amounts of other currencies are in the list; a sum of two currencies says nothing.
        if one.currency == "IDR" {
            *at_risk += one.at_risk;
        }
    }
    kinds
}

/// What was counted: its name, how many, and the amount in IDR where there is one.
#[must_use]
pub fn counts(report: &Report) -> Vec<(&'static str, u64, Option<Money>)> {
    let (payments, payouts) = (&report.payments, &report.payouts);
    let all = [
        ("payments matched", payments.matched, Some(payments.matched_amount)),
        ("failed or pending on both sides", payments.without_money, None),
        (
            "made before the first export",
            payments.before_exports,
            Some(payments.before_exports_net),
        ),
        (
            "in the exports, before the journal",
            payments.before_journal,
            Some(payments.before_journal_net),
        ),
        ("on the test channel", payments.test, None),
        ("rows that repeat others", payments.folded_rows + payouts.folded_rows, None),
        ("rows without money, unknown here", payments.strays_without_money, None),
        ("rows of other orders", report.others.rows, Some(report.others.paid)),
        ("fees not checked for lack of terms", payments.fee_unchecked, None),
        ("payments paid out", payouts.paid_out, Some(payouts.paid_out_amount)),
        ("payments awaiting their payout", payouts.awaiting, Some(payouts.awaiting_amount)),
        ("rows of other orders in payouts", payouts.other_rows, Some(payouts.other_worth)),
        ("payouts paid", payouts.payouts_paid, Some(payouts.payouts_paid_net)),
        ("payouts found at the bank", report.bank.payouts, None),
        ("transfers found at the bank", report.bank.transfers, None),
        ("bank entries not booked yet", report.bank.pending, None),
    ];
    all.into_iter().filter(|(_, count, _)| *count > 0).collect()
}

/// The summary, line by line.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, report);
    out
}

fn write_all(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "Inputs")?;
    for file in std::iter::once(&report.journal).chain(&report.files) {
        writeln!(out, "  {:>12} rows  {}  ({})", file.rows, file.path.display(), file.layout)?;
        for remark in &file.remarks {
            writeln!(out, "                     {remark}")?;
        }
    }
    for remark in &report.remarks {
        writeln!(out, "  note: {remark}")?;
    }
    writeln!(out, "Counted")?;
    for (what, count, amount) in counts(report) {
        let amount = amount.map(|amount| format!("  IDR {:>20}", amount.to_string()));
        writeln!(out, "  {count:>12}  {what:<38}{}", amount.unwrap_or_default())?;
    }
    for (name, (count, sum)) in &report.bank.known {
        writeln!(out, "  {count:>12}  {name:<38}  {:>24}", sum.to_string())?;
    }
    writeln!(out, "Tie-outs")?;
    for tie in &report.tie_outs {
        tie_out(out, tie)?;
    }
    writeln!(out, "Breaks")?;
    for (kind, (count, due, at_risk)) in by_kind(report) {
        let waits = if due < count {
            format!("  ({} decided or not due yet)", count - due)
        } else {
            String::new()
        };
        writeln!(
            out,
            "  {count:>12}  {:<38}  IDR {:>20} at risk{waits}",
            kind.as_str(),
            at_risk.to_string()
        )?;
    }
    let kept = report.breaks.iter().filter(|one| one.not_covered).count();
    if kept > 0 {
        writeln!(out, "  {kept:>12}  of them are of earlier runs, in no file of this one")?;
    }
    match (report.breaks.len(), report.due()) {
        (0, _) => writeln!(out, "  none"),
        (all, 0) => writeln!(out, "  {all} in all, none of them due: decided, or not due yet"),
        (all, due) => writeln!(out, "  {all} in all, {due} of them due"),
    }
}

fn tie_out(out: &mut String, tie: &TieOut) -> std::fmt::Result {
    let TieOut { name, currency, opening, closing, residual, .. } = tie;
    let line = |out: &mut String, what: &str, amount: &Money| {
        writeln!(out, "    {what:<50}  {currency} {:>22}", amount.to_string())
    };
    writeln!(out, "  {name}")?;
    line(out, "opening", opening)?;
    for movement in &tie.movements {
        line(out, &movement.what, &movement.amount)?;
    }
    line(out, "closing", closing)?;
    if residual.is_zero() { writeln!(out, "    ties") } else { line(out, "RESIDUAL", residual) }
}
