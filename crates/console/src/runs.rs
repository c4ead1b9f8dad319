//! The runs of a reconciliation: what was read, what matched, and whether the books tie.

use gopay_http::asked::Asked;
use gopay_service::desk::{Numbered, RunRow};
use maud::{Markup, html};
use serde_json::Value;

use crate::show;

/// The runs, newest first; the first of them is open.
pub(crate) fn history(asked: &Asked, path: &str, runs: &Numbered<RunRow>) -> Markup {
    let next = runs.next.map(|next| next.to_string());
    html! {
        @if runs.rows.is_empty() {
            p { "There was no run of this series. " code { "gopay-adapter reconcile" } " makes them." }
        }
        @for (place, run) in runs.rows.iter().enumerate() {
            details.act open[place == 0] {
                summary {
                    "Run " (run.run) ", " (show::time(&run.at)) " UTC, by " (run.by) ", to " (run.day) " " (ties(run))
                }
                (counts(run))
                @for tie_out in entries(&run.summary, "/tie_outs") { (statement(tie_out)) }
                @let remarks = entries(&run.summary, "/remarks");
                @if !remarks.is_empty() {
                    ul { @for remark in remarks { li.note { (remark.as_str().unwrap_or_default()) } } }
                }
                (inputs(run))
                details {
                    summary { "All counts, as JSON" }
                    pre { (serde_json::to_string_pretty(&run.summary).unwrap_or_default()) }
                }
            }
        }
        (show::paging(asked, path, "before", next.as_deref(), Some("/console/runs.csv")))
    }
}

fn entries<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let entries = value.pointer(pointer).and_then(Value::as_array);
    entries.map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Something is left over.
fn has_residual(tie_out: &Value) -> bool {
    text(tie_out, "residual").chars().any(|char| ('1'..='9').contains(&char))
}

/// Whether nothing is left over in any of its tie-outs, if it has some.
fn tied(run: &RunRow) -> Option<bool> {
    let tie_outs = entries(&run.summary, "/tie_outs");
    (!tie_outs.is_empty()).then(|| !tie_outs.iter().any(has_residual))
}

fn ties(run: &RunRow) -> Markup {
    match tied(run) {
        None => html! {},
        Some(true) => html! { span.pill.good { "ties" } },
        Some(false) => html! { span.pill.fail { "does not tie" } },
    }
}

pub(crate) const TITLES: [&str; 9] =
    ["run", "series", "at", "by", "day", "ties", "payments_matched", "matched_amount", "inputs"];

/// A run as a row of a file; of each input its name and SHA-256.
pub(crate) fn cells(run: &RunRow) -> Vec<String> {
    let payments = run.summary.get("payments").unwrap_or(&Value::Null);
    let matched = payments.get("matched").and_then(Value::as_u64);
    let inputs: Vec<String> =
        run.inputs.iter().map(|input| format!("{} {}", input.name, input.sha256)).collect();
    vec![
        run.run.to_string(),
        run.series.clone(),
        run.at.clone(),
        run.by.clone(),
        run.day.clone(),
        tied(run).map(|ties| ties.to_string()).unwrap_or_default(),
        matched.map(|count| count.to_string()).unwrap_or_default(),
        text(payments, "matched_amount").to_owned(),
        inputs.join("; "),
    ]
}

/// What was compared: how many, and how much.
fn counts(run: &RunRow) -> Markup {
    let count = |pointer: &str| run.summary.pointer(pointer).and_then(Value::as_u64);
    let amount = |pointer: &str| {
        let amount = run.summary.pointer(pointer).and_then(Value::as_str);
        show::money("IDR", amount.unwrap_or_default())
    };
    html! {
        dl.facts {
            @for (title, number, sum) in [
                ("Payments matched", "/payments/matched", "/payments/matched_amount"),
                ("Without money on both sides", "/payments/without_money", ""),
                ("Rows of other orders", "/others/rows", "/others/paid"),
                ("Payouts", "/payouts/payouts_paid", "/payouts/payouts_paid_net"),
                ("Awaiting payout", "/payouts/awaiting", "/payouts/awaiting_amount"),
                ("Transfers at the bank", "/bank/transfers", ""),
            ] {
                @if let Some(number) = count(number).filter(|number| *number > 0) {
                    div { dt { (title) } dd { b { (number) } @if !sum.is_empty() { ", " (amount(sum)) } } }
                }
            }
        }
    }
}

/// From the opening over the movements to the closing, and what is left over.
fn statement(tie_out: &Value) -> Markup {
    let currency = text(tie_out, "currency");
    let name = text(tie_out, "name");
    let titles = [(name, false), (currency, true)];
    let line = |name: &str, amount: &str, class: &str| {
        html! { tr.(class) { td { (name) } td.num { (show::money(currency, amount)) } } }
    };
    let residual = text(tie_out, "residual");
    let rows = html! {
        (line("Opening", text(tie_out, "opening"), "part"))
        @for movement in entries(tie_out, "/movements") {
            (line(text(movement, "what"), text(movement, "amount"), "part"))
        }
        (line("Closing", text(tie_out, "closing"), "total"))
        @if has_residual(tie_out) {
            (line("Left over: it does not tie", residual, "total"))
        }
    };
    show::statement(name, &titles, &rows)
}

fn inputs(run: &RunRow) -> Markup {
    let titles = [("Read", false), ("As", false), ("Rows", true), ("SHA-256", false)];
    let rows = html! {
        @for input in &run.inputs {
            tr {
                td data-label="Read" { (input.name) }
                td data-label="As" { (input.layout) }
                td.num data-label="Rows" { (input.rows) }
                td data-label="SHA-256" { code.long { (input.sha256) } }
            }
        }
    };
    show::table("What was read", &titles, &rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(residual: &str) -> RunRow {
        RunRow {
            run: 7,
            series: "default".to_owned(),
            day: "2026-01-31".to_owned(),
            at: "2026-02-01T08:00:00Z".to_owned(),
            by: "<i>ana".to_owned(),
            summary: json!({
                "payments": {"matched": 4, "matched_amount": "130500.00", "without_money": 0},
                "remarks": ["no export has fees"],
                "tie_outs": [{"name": "our journal", "currency": "IDR", "opening": "0.00", "residual": residual,
                    "closing": "1489500.00", "movements": [{"what": "refunds", "amount": "-75000.00"}]}],
            }),
            inputs: Vec::new(),
        }
    }

    #[test]
    fn a_run_is_told_as_a_statement_and_says_whether_it_ties() {
        for (residual, says, not) in [
            ("0.00", "ties", "does not tie"),
            ("-0.01", "does not tie", "span class=\"pill good\""),
        ] {
            let runs = Numbered { rows: vec![run(residual)], next: None };
            let shown = history(&Asked::default(), "/console", &runs).into_string();
            for part in
                [says, "Rp\u{a0}130.500", "Rp\u{a0}-75.000", "no export has fees", "&lt;i&gt;ana"]
            {
                assert!(shown.contains(part), "{part} in {shown}");
            }
            assert!(!shown.contains(not), "{not} in {shown}");
            assert!(!shown.contains("Without money"), "there are none: {shown}");
            let cells = cells(&run(residual));
            assert_eq!(
                cells[5..8],
                [(says == "ties").to_string(), "4".to_owned(), "130500.00".to_owned()]
            );
        }
    }
}
