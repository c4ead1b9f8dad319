//! Bars that lie, as SVG within the page.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use super::{grouped, summary};
use crate::money::Money;
use crate::run::Report;

/// Days up to which ages are put together.
const AGES: [(i32, &str); 5] =
    [(1, "0 to 1"), (7, "2 to 7"), (30, "8 to 30"), (90, "31 to 90"), (i32::MAX, "over 90")];

/// What a bar shows: its name, how long it is, and what is written behind it.
type Bar = (String, i64, String);

/// Breaks by kind, money at risk by kind, breaks by age.
pub(super) fn charts(report: &Report) -> Markup {
    let kinds = summary::by_kind(report);
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let by_count: Vec<Bar> = kinds
        .iter()
        .map(|(kind, (n, _, _))| (kind.as_str().to_owned(), count(*n), n.to_string()))
        .collect();
    let by_risk: Vec<Bar> = kinds
        .iter()
        .filter(|(_, (_, _, risk))| !risk.is_zero())
        .map(|(kind, (_, _, risk))| (kind.as_str().to_owned(), risk.whole(), grouped(*risk)))
        .collect();
    let mut ages: BTreeMap<usize, usize> = BTreeMap::new();
    for one in &report.breaks {
        let age = one.age_days(report.today);
        let place = AGES.iter().position(|(bound, _)| age <= *bound).unwrap_or(0);
        *ages.entry(place).or_default() += 1;
    }
    let by_age = AGES.iter().enumerate().map(|(at, (_, name))| {
        let number = ages.get(&at).copied().unwrap_or(0);
        ((*name).to_owned(), count(number), number.to_string())
    });
    html! {
        div class="charts" {
            (chart("Breaks by kind", &by_count))
            (chart("IDR at risk by kind", &by_risk))
            (chart("Breaks by age in days", &by_age.collect::<Vec<Bar>>()))
        }
    }
}

/// A chart with its title; empty if it cannot be drawn.
fn chart(title: &str, bars: &[Bar]) -> Markup {
    let mut svg = String::new();
    if bars.is_empty() || draw(&mut svg, bars).is_err() {
        return html! {};
    }
    html! {
        figure role="img" aria-label=(title) {
            figcaption { (title) }
            (PreEscaped(svg))
        }
    }
}

/// Pixels of names, of bars, of what is written behind them, and of a row.
const NAMES: i32 = 160;
const BARS: i32 = 230;
const VALUES: i32 = 130;
const ROW: i32 = 22;

/// The colours are those of the page: see its style.
fn draw(svg: &mut String, bars: &[Bar]) -> Result<(), Box<dyn std::error::Error>> {
    let rows = i32::try_from(bars.len())?;
    let size = ((NAMES + BARS + VALUES).unsigned_abs(), (rows * ROW + 4).unsigned_abs());
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    let most = bars.iter().map(|(_, length, _)| *length).max().unwrap_or(0).max(1);
    for (row, (name, length, value)) in (0_i32..).zip(bars) {
        let top = row * ROW + 2;
        let width =
            i32::try_from(i128::from((*length).max(0)) * i128::from(BARS) / i128::from(most))?;
        let font = || ("sans-serif", 13).into_font();
        area.draw(&Text::new(name.clone(), (0, top + 1), font()))?;
        let bar = [(NAMES, top), (NAMES + 1 + width, top + 15)];
        area.draw(&Rectangle::new(bar, RGBColor(55, 111, 165).filled()))?;
        area.draw(&Text::new(value.clone(), (NAMES + 8 + width, top + 1), font()))?;
    }
    area.present()?;
    drop(area);
    Ok(())
}

/// The money at risk of all kinds.
pub(super) fn at_risk(report: &Report) -> Money {
    summary::by_kind(report).values().map(|(_, _, risk)| *risk).sum()
}
