//! `report.html`: one file for screen and paper, without anything from elsewhere.

use std::collections::BTreeMap;
use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotters::prelude::*;

use super::{COLUMNS, cells, summary};
use crate::money::Money;
use crate::run::Report;
use crate::tie_out::TieOut;

/// Breaks that are shown; the lists have all.
const ROWS_MAX: usize = 2_000;

const STYLE: &str = "
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:78rem;padding:0 1rem;color:#1c2733}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.state{padding:.5rem .8rem;border-left:.4rem solid #2e7d32;background:#eef6ee;margin:1rem 0}
.state.due{border-color:#c62828;background:#fbeeee}
table{border-collapse:collapse;width:100%}th,td{padding:.25rem .5rem;border-bottom:1px solid #d8dee6;text-align:left;vertical-align:top}
th{background:#eef2f6}th[data-sort]{cursor:pointer}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.id{font-family:ui-monospace,monospace;font-size:12px}.charts{display:flex;flex-wrap:wrap;gap:1rem}.charts svg{max-width:100%;height:auto}
.bad{color:#c62828;font-weight:600}.wide{overflow-x:auto}
@media print{body{margin:0;max-width:none;font-size:9pt}.wide{overflow:visible}tr,svg{break-inside:avoid}thead{display:table-header-group}h2{break-after:avoid}@page{size:A4 landscape;margin:12mm}}
";

/// Sorts a table by the column that is clicked; numbers by value.
const SCRIPT: &str = "
document.querySelectorAll('th[data-sort]').forEach(function(h){h.addEventListener('click',function(){
var t=h.closest('table'),b=t.tBodies[0],i=h.cellIndex,d=h.dataset.d==='1'?-1:1;h.dataset.d=d===1?'1':'0';
var v=function(r){var x=r.cells[i].textContent;return h.dataset.sort==='n'?(parseFloat(x)||0):x};
Array.from(b.rows).sort(function(p,q){var x=v(p),y=v(q);return x<y?-d:x>y?d:0}).forEach(function(r){b.appendChild(r)})})});
";

/// Writes the page.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    out.write_all(page(report).into_string().as_bytes())
}

fn page(report: &Report) -> Markup {
    let due = report.due();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Reconciliation " (report.today) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Reconciliation" }
                p { "Day of the run: " (report.today) ". Times in UTC; Midtrans' reports are in GMT+7." }
                div class=(if due == 0 { "state" } else { "state due" }) {
                    @if report.breaks.is_empty() { "No breaks." }
                    @else if due == 0 { (report.breaks.len()) " breaks, none of them due: decided, or not due yet." }
                    @else { (due) " breaks are due, of " (report.breaks.len()) "." }
                }
                (inputs(report))
                (counts(report))
                h2 { "Balances" }
                @for tie in &report.tie_outs { (tie_out(tie)) }
                h2 { "Breaks by kind" }
                (kinds(report))
                @if !report.breaks.is_empty() { div class="charts" { (charts(report)) } }
                h2 { "Breaks" }
                (breaks(report))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn inputs(report: &Report) -> Markup {
    html! {
        h2 { "Inputs" }
        table {
            thead { tr { th { "file" } th { "layout" } th class="n" { "rows" } th { "SHA-256" } } }
            tbody {
                @for file in std::iter::once(&report.journal).chain(&report.files) {
                    tr {
                        td {
                            (file.path.display())
                            @for remark in &file.remarks { br; small { (remark) } }
                        }
                        td { (file.layout) }
                        td class="n" { (file.rows) }
                        td class="id" { (file.sha256.get(..16).unwrap_or(&file.sha256)) }
                    }
                }
            }
        }
        @for remark in &report.remarks { p { "Note: " (remark) "." } }
    }
}

fn counts(report: &Report) -> Markup {
    let lines = summary::counts(report);
    html! {
        h2 { "Counted" }
        table {
            thead { tr { th { "what" } th class="n" { "rows" } th class="n" { "IDR" } } }
            tbody {
                @for (what, count, amount) in lines {
                    tr {
                        td { (what) }
                        td class="n" { (count) }
                        td class="n" { @if let Some(amount) = amount { (amount.to_string()) } }
                    }
                }
            }
        }
    }
}

fn tie_out(tie: &TieOut) -> Markup {
    let bad = if tie.residual.is_zero() { "n" } else { "n bad" };
    html! {
        table {
            thead { tr { th { (tie.name) } th class="n" { (tie.currency) } } }
            tbody {
                tr { td { "opening" } td class="n" { (tie.opening.to_string()) } }
                @for movement in &tie.movements {
                    tr { td { (movement.what) } td class="n" { (movement.amount.to_string()) } }
                }
                tr { td { "closing" } td class="n" { (tie.closing.to_string()) } }
                tr { td { "residual" } td class=(bad) { (tie.residual.to_string()) } }
            }
        }
    }
}

fn kinds(report: &Report) -> Markup {
    html! {
        table {
            thead { tr {
                th data-sort="t" { "kind" } th class="n" data-sort="n" { "breaks" }
                th class="n" data-sort="n" { "due" } th class="n" data-sort="n" { "at risk, IDR" }
            } }
            tbody {
                @for (kind, (count, due, at_risk)) in summary::by_kind(report) {
                    tr {
                        td { (kind.as_str()) } td class="n" { (count) }
                        td class="n" { (due) } td class="n" { (at_risk.to_string()) }
                    }
                }
            }
        }
    }
}

fn breaks(report: &Report) -> Markup {
    let numeric = ["difference", "age_days", "at_risk", "version"];
    html! {
        @if report.breaks.len() > ROWS_MAX {
            p { "The first " (ROWS_MAX) " of " (report.breaks.len()) "; breaks.csv and breaks.xlsx have all." }
        }
        div class="wide" { table {
            thead { tr {
                @for column in COLUMNS {
                    th class=(if numeric.contains(&column) { "n" } else { "" })
                        data-sort=(if numeric.contains(&column) { "n" } else { "t" }) { (column) }
                }
            } }
            tbody {
                @for one in report.breaks.iter().take(ROWS_MAX) {
                    tr {
                        @for (column, cell) in COLUMNS.iter().zip(cells(one, report.today)) {
                            td class=(class(column)) { (cell) }
                        }
                    }
                }
            }
        } }
    }
}

fn class(column: &str) -> &'static str {
    match column {
        "difference" | "age_days" | "at_risk" | "version" => "n",
        "break_id" | "txid" | "refundid" => "id",
        _ => "",
    }
}

fn charts(report: &Report) -> Markup {
    let kinds = summary::by_kind(report);
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let by_count = kinds.iter().map(|(kind, (n, _, _))| (kind.as_str().to_owned(), count(*n)));
    let by_risk = kinds.iter().map(|(kind, (_, _, risk))| (kind.as_str().to_owned(), risk.whole()));
    let mut ages: BTreeMap<usize, (i64, Money)> = BTreeMap::new();
    const BOUNDS: [(i32, &str); 5] =
        [(1, "0 to 1"), (7, "2 to 7"), (30, "8 to 30"), (90, "31 to 90"), (i32::MAX, "over 90")];
    for one in &report.breaks {
        let age = one.age_days(report.today);
        let place = BOUNDS.iter().position(|(bound, _)| age <= *bound).unwrap_or(0);
        let (n, risk) = ages.entry(place).or_default();
        *n += 1;
        *risk += one.at_risk;
    }
    let by_age = BOUNDS
        .iter()
        .enumerate()
        .map(|(at, (_, name))| ((*name).to_owned(), ages.get(&at).map_or(0, |(n, _)| *n)));
    html! {
        (PreEscaped(bars("Breaks by kind", by_count.collect())))
        (PreEscaped(bars("IDR at risk by kind", by_risk.collect())))
        (PreEscaped(bars("Breaks by age in days", by_age.collect())))
    }
}

/// Bars that lie, each with its name and value; empty if it cannot be drawn.
fn bars(title: &str, values: Vec<(String, i64)>) -> String {
    let mut svg = String::new();
    if draw(&mut svg, title, &values).is_err() {
        svg.clear();
    }
    svg
}

fn draw(
    svg: &mut String,
    title: &str,
    values: &[(String, i64)],
) -> Result<(), Box<dyn std::error::Error>> {
    let rows = i32::try_from(values.len())?.max(1);
    let height = 50 + rows * 24;
    let area = SVGBackend::with_string(svg, (600, height.unsigned_abs())).into_drawing_area();
    let most = values.iter().map(|(_, value)| *value).max().unwrap_or(0).max(1);
    area.draw(&Text::new(title.to_owned(), (10, 10), ("sans-serif", 16).into_font()))?;
    for (row, (name, value)) in (0_i32..).zip(values) {
        let top = 40 + row * 24;
        // Of 260 pixels.
        let width = i32::try_from(i128::from((*value).max(0)) * 260 / i128::from(most))?;
        area.draw(&Text::new(name.clone(), (10, top), ("sans-serif", 13).into_font()))?;
        let bar = [(170, top), (171 + width, top + 15)];
        area.draw(&Rectangle::new(bar, RGBColor(55, 111, 165).filled()))?;
        area.draw(&Text::new(
            value.to_string(),
            (180 + width, top),
            ("sans-serif", 13).into_font(),
        ))?;
    }
    area.present()?;
    drop(area);
    Ok(())
}
