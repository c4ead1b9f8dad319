//! `report.html`: one file for screen and paper, without anything from elsewhere.

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::charts::{at_risk, charts};
use super::{for_people, grouped, place, summary};
use crate::breaks::Break;
use crate::run::Report;
use crate::tie_out::TieOut;

/// Breaks that are shown; the lists have all.
const ROWS_MAX: usize = 2_000;

/// Every text has a contrast of 4.5 to 1 or more, by day and by night.
const STYLE: &str = "
:root{color-scheme:light dark;--text:#1c2733;--faint:#4d5b69;--line:#d3dae2;--head:#eaeff4;--paper:#fff;--bar:#376fa5;--good:#1f6b2a;--goodbg:#eaf5eb;--bad:#b01c1c;--badbg:#fbecec}
@media screen and (prefers-color-scheme:dark){:root{--text:#e6ebf0;--faint:#aab6c2;--line:#3a444f;--head:#222c36;--paper:#12181e;--bar:#6ea8dc;--good:#8fd49a;--goodbg:#17301b;--bad:#ff9a94;--badbg:#3a1b1b}}
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:84rem;padding:0 1rem;color:var(--text);background:var(--paper)}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.3rem 0}small,.faint{color:var(--faint);font-size:.85em}
.state{padding:.6rem .9rem;border-left:.4rem solid var(--good);background:var(--goodbg);margin:1rem 0;font-size:1.05rem}.state.due{border-color:var(--bad);background:var(--badbg)}
.facts{display:flex;flex-wrap:wrap;gap:.5rem 2.5rem;margin:0 0 1rem}.facts div{display:flex;flex-direction:column-reverse}.facts dt{color:var(--faint)}.facts dd{margin:0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%}th,td{padding:.25rem .5rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{background:var(--head);font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th [role=button]{cursor:pointer}th [role=button]::after{content:' \\2195';color:var(--faint)}th[aria-sort=ascending] [role=button]::after{content:' \\2191'}th[aria-sort=descending] [role=button]::after{content:' \\2193'}
.id{font-family:ui-monospace,monospace;font-size:.85em}.id .faint{overflow-wrap:anywhere}.whole{white-space:nowrap}.wide{overflow-x:auto}.cause{min-width:16rem}
.charts{display:flex;flex-wrap:wrap;gap:1rem 2rem;margin-top:1rem}figure{margin:0;max-width:100%}figcaption{font-weight:600;margin-bottom:.3rem}svg{max-width:100%;height:auto}svg text{fill:var(--text)}svg rect{fill:var(--bar)}
.balances{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(26rem,100%),1fr));gap:1rem 1.5rem;align-items:start}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good)}.last td{border-top:2px solid var(--line)}
@media(max-width:40rem){body{margin:1rem auto;font-size:13px}th,td{padding:.2rem .3rem}}
@media print{@page{size:A4 landscape;margin:11mm}body{margin:0;padding:0;max-width:none;font-size:8.5pt;line-height:1.3}.wide{overflow:visible}tr,figure,.balances table{break-inside:avoid}thead{display:table-header-group}h2{break-after:avoid;margin-top:1.2rem}th [role=button]::after{content:''!important}.cause{min-width:0}.charts svg{width:86mm}th,td{padding:.12rem .3rem}.balances{grid-template-columns:repeat(3,1fr)}}
";

/// Sorts a table by the title that is pressed; amounts by value.
const SCRIPT: &str = "
document.querySelectorAll('th [role=button]').forEach(function(k){k.addEventListener('keydown',function(e){if(e.key==='Enter'||e.key===' '){e.preventDefault();k.click()}});k.addEventListener('click',function(){
var h=k.parentNode,t=h.closest('table'),b=t.tBodies[0],i=h.cellIndex,d=h.getAttribute('aria-sort')==='ascending'?-1:1;
t.querySelectorAll('th[aria-sort]').forEach(function(o){o.removeAttribute('aria-sort')});h.setAttribute('aria-sort',d===1?'ascending':'descending');
var v=function(r){var x=r.cells[i].textContent;return h.classList.contains('n')?(parseFloat(x.replace(/,/g,''))||0):x};
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
                h1 { "Reconciliation " (report.today) }
                p class="faint" { "Times are UTC; Midtrans' reports are in GMT+7. Amounts are exact." }
                (state(report))
                @if !report.breaks.is_empty() {
                    h2 { "Breaks by kind" }
                    div class="wide" { (kinds(report)) }
                    (charts(report))
                }
                h2 { "Balances" }
                div class="balances" { @for tie in &report.tie_outs { (tie_out(tie)) } }
                @if !report.breaks.is_empty() {
                    h2 { "Breaks" }
                    (breaks(report))
                }
                (counts(report))
                (inputs(report))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// What has to be known first.
fn state(report: &Report) -> Markup {
    let (due, all) = (report.due(), report.breaks.len());
    let open = report.tie_outs.iter().filter(|tie| !tie.residual.is_zero()).count();
    html! {
        div class=(if due == 0 { "state" } else { "state due" }) role="status" {
            @if all == 0 { "No breaks." }
            @else if due == 0 { (all) " breaks, none of them due: decided, or not due yet." }
            @else { (due) " of " (all) " breaks are due." }
        }
        dl class="facts" {
            div { dt { "payments matched" } dd { (for_people(&report.payments.matched.to_string())) } }
            div { dt { "IDR matched" } dd { (grouped(report.payments.matched_amount)) } }
            div { dt { "IDR at risk" } dd { (grouped(at_risk(report))) } }
            div {
                dt { "balances that tie out" }
                dd { (report.tie_outs.len() - open) " of " (report.tie_outs.len()) }
            }
        }
    }
}

fn inputs(report: &Report) -> Markup {
    html! {
        h2 { "Inputs" }
        div class="wide" { table {
            thead { tr {
                th scope="col" { "file" } th scope="col" { "layout" }
                th class="n" scope="col" { "rows" } th scope="col" { "SHA-256" }
            } }
            tbody {
                @for file in report.inputs() {
                    tr {
                        td {
                            (file.path.display())
                            @for remark in &file.remarks { br; small { (remark) } }
                        }
                        td { (file.layout) }
                        td class="n" { (for_people(&file.rows.to_string())) }
                        td class="id" { (file.sha256.get(..16).unwrap_or(&file.sha256)) }
                    }
                }
            }
        } }
        @for remark in &report.remarks { p { "Note: " (remark) "." } }
    }
}

fn counts(report: &Report) -> Markup {
    let lines = summary::counts(report);
    html! {
        h2 { "Counted" }
        table {
            thead { tr {
                th scope="col" { "what" } th class="n" scope="col" { "rows" }
                th class="n" scope="col" { "IDR" }
            } }
            tbody {
                @for (what, count, amount) in lines {
                    tr {
                        td { (what) }
                        td class="n" { (for_people(&count.to_string())) }
                        td class="n" { @if let Some(amount) = amount { (grouped(amount)) } }
                    }
                }
            }
        }
    }
}

fn tie_out(tie: &TieOut) -> Markup {
    let ties = tie.residual.is_zero();
    html! {
        table {
            thead { tr {
                th scope="col" { (tie.name) } th class="n" scope="col" { (tie.currency) }
            } }
            tbody {
                tr { td { "opening" } td class="n" { (grouped(tie.opening)) } }
                @for movement in &tie.movements {
                    tr { td { (movement.what) } td class="n" { (grouped(movement.amount)) } }
                }
                tr class="last" { td { "closing" } td class="n" { (grouped(tie.closing)) } }
                @if ties {
                    tr { td class="good" colspan="2" { "\u{2713} ties out" } }
                } @else {
                    tr {
                        td class="bad" { "residual" }
                        td class="n bad" { (grouped(tie.residual)) }
                    }
                }
            }
        }
    }
}

/// A title that sorts by its column.
fn sorted(title: &str, class: &str) -> Markup {
    // A button proper is not printed again on the pages after the first.
    html! { th scope="col" class=(class) { span role="button" tabindex="0" { (title) } } }
}

fn kinds(report: &Report) -> Markup {
    html! {
        table {
            thead { tr {
                (sorted("kind", "")) (sorted("breaks", "n")) (sorted("due", "n"))
                (sorted("at risk, IDR", "n"))
            } }
            tbody {
                @for (kind, (count, due, at_risk)) in summary::by_kind(report) {
                    tr {
                        td { (kind.as_str()) } td class="n" { (count) }
                        td class="n" { (due) } td class="n" { (grouped(at_risk)) }
                    }
                }
            }
        }
    }
}

fn breaks(report: &Report) -> Markup {
    html! {
        @if report.breaks.len() > ROWS_MAX {
            p { "The first " (ROWS_MAX) " of " (report.breaks.len()) "; breaks.csv and breaks.xlsx have all." }
        }
        div class="wide" { table {
            thead { tr {
                (sorted("break", "")) (sorted("about", "")) (sorted("ours", "n"))
                (sorted("theirs", "n")) (sorted("difference", "n")) (sorted("likely cause", ""))
                (sorted("age, days", "n")) (sorted("at risk", "n")) (sorted("decision", ""))
            } }
            tbody {
                @for one in report.breaks.iter().take(ROWS_MAX) { (row(one, report)) }
            }
        } }
    }
}

fn row(one: &Break, report: &Report) -> Markup {
    let difference = one.difference.map(grouped).unwrap_or_default();
    html! {
        tr {
            td { (one.kind.as_str()) br; span class="id faint" { (one.break_id) } }
            td class="id" {
                @if let Some(txid) = &one.txid { span class="whole" { (txid) } br; }
                @if let Some(refundid) = &one.refundid { "refund " (refundid) br; }
                span class="faint" { (place(one)) }
            }
            td class="n" { (for_people(&one.ours)) }
            td class="n" { (for_people(&one.theirs)) }
            td class="n" { (difference) @if !difference.is_empty() { " " (one.currency) } }
            td class="cause" {
                (one.cause)
                @if let Some(due) = one.due { br; small { "due after " (due) } }
            }
            td class="n" { (one.age_days(report.today)) }
            td class="n" { (grouped(one.at_risk)) }
            td { (decision(one)) }
        }
    }
}

fn decision(one: &Break) -> Markup {
    html! {
        @if let Some(decided) = &one.decided {
            (decided.decision.as_str()) ": " (decided.reason)
            br;
            small {
                "by " (decided.by)
                @if decided.approved_by.is_empty() { ", not approved" }
                @else { ", approved by " (decided.approved_by) }
            }
        }
    }
}
