//! Charts, drawn here: what they show is also in words, and no script is needed.

use gopay_service::desk::OneMinute;
use maud::{Markup, html};

const WIDTH: u64 = 600;
const HEIGHT: u64 = 180;
/// Left of the plot, for the scale.
const LEFT: u64 = 96;
/// Below it, for the times.
const BELOW: u64 = 28;
const TOP: u64 = 12;
/// Minutes shown.
const COUNT: u64 = 60;

const PLOT: u64 = HEIGHT - BELOW - TOP;
const STEP: u64 = (WIDTH - LEFT) / COUNT;

/// A number that a scale can end with: 1, 2 or 5 and zeros, at least as large.
fn round_up(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let end = unit.saturating_mul(factor);
            if end >= most || end == u64::MAX {
                return end.max(1);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// How high a value is in the plot.
fn height(value: u64, most: u64) -> u64 {
    let high = u128::from(value).saturating_mul(u128::from(PLOT)) / u128::from(most.max(1));
    u64::try_from(high).unwrap_or(PLOT).min(PLOT)
}

fn left(position: usize) -> u64 {
    LEFT.saturating_add(STEP.saturating_mul(u64::try_from(position).unwrap_or(0)))
}

fn hour(at: &str) -> &str {
    at.get(11..16).unwrap_or_default()
}

fn frame(minutes: &[OneMinute], lines: &[(u64, String)], label: &str, inside: &Markup) -> Markup {
    let right = LEFT.saturating_add(STEP * COUNT);
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            @for (high, text) in lines {
                @let y = TOP + PLOT.saturating_sub(*high);
                line.grid x1=(LEFT) y1=(y) x2=(right) y2=(y) {}
                text x=(LEFT - 8) y=(y + 4) text-anchor="end" { (text) }
            }
            (inside)
            @for position in [0, 20, 40] {
                @if let Some(minute) = minutes.get(position) {
                    text x=(left(position)) y=(HEIGHT - 4) { (hour(&minute.at)) }
                }
            }
            text x=(right) y=(HEIGHT - 4) text-anchor="end" { "now" }
        }
    }
}

/// A sign of a colour, for the key of a chart.
fn sign(class: &str) -> Markup {
    html! { svg viewBox="0 0 10 10" aria-hidden="true" { rect.(class) width="10" height="10" rx="2" {} } }
}

fn dash(class: &str) -> Markup {
    html! { svg viewBox="0 0 10 10" aria-hidden="true" { path.(class) d="M0 5h10" {} } }
}

/// How many payments ended in each minute: paid, and unpaid on top.
pub(crate) fn volume(minutes: &[OneMinute]) -> Markup {
    let ended = |minute: &OneMinute| minute.succeeded.saturating_add(minute.failed);
    let most = round_up(minutes.iter().map(ended).max().unwrap_or(0));
    let (paid, unpaid) = minutes.iter().fold((0_u64, 0_u64), |(paid, unpaid), minute| {
        (paid.saturating_add(minute.succeeded), unpaid.saturating_add(minute.failed))
    });
    let label = format!(
        "Payments that ended in the last hour, by the minute: {paid} paid, {unpaid} unpaid"
    );
    let bars = html! {
        @for (position, minute) in minutes.iter().enumerate() {
            @let good = height(minute.succeeded, most);
            @let all = height(ended(minute), most);
            @if good > 0 {
                rect.one x=(left(position) + 1) y=(TOP + PLOT - good) width=(STEP - 2) height=(good) {}
            }
            @if all > good {
                rect.two x=(left(position) + 1) y=(TOP + PLOT - all) width=(STEP - 2) height=(all - good) {}
            }
        }
    };
    let lines = [(0, "0".to_owned()), (PLOT, most.to_string())];
    html! {
        figure.chart {
            figcaption {
                span { "Payments a minute" }
                span.key { (sign("one")) "paid" (sign("two")) "unpaid" }
            }
            (frame(minutes, &lines, &label, &bars))
        }
    }
}

/// The classes of times, lowest first: each is as high as the next.
const SCALE_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

fn height_of_time(ms: u64) -> u64 {
    let class = SCALE_MS.iter().position(|bound| ms <= *bound).unwrap_or(SCALE_MS.len() - 1);
    height(u64::try_from(class).unwrap_or(0), 12)
}

/// A line through the values; it breaks where there is none.
fn path(values: impl Iterator<Item = Option<u64>>) -> String {
    let (mut path, mut broken) = (String::new(), true);
    for (position, value) in values.enumerate() {
        let Some(ms) = value else {
            broken = true;
            continue;
        };
        let (x, y) = (left(position) + STEP / 2, TOP + PLOT - height_of_time(ms));
        // A single minute is a dash.
        path.push_str(&if broken {
            format!("M{} {y}H{x}", x - STEP / 2)
        } else {
            format!("L{x} {y}")
        });
        broken = false;
    }
    path
}

/// Within which time 95 of a hundred calls stayed, ours and GoPay's.
pub(crate) fn latency(minutes: &[OneMinute]) -> Markup {
    let worst = |of: fn(&OneMinute) -> Option<u64>| minutes.iter().filter_map(of).max();
    let text =
        |ms: Option<u64>| ms.map_or("nothing timed".to_owned(), |ms| format!("at most {ms} ms"));
    let ours = text(worst(|minute| minute.ours_p95_ms));
    let gopay = text(worst(|minute| minute.gopay_p95_ms));
    let label =
        format!("Time of calls in the last hour, 95 of a hundred: ours {ours}, GoPay's {gopay}");
    let inside = html! {
        path.line1 d=(path(minutes.iter().map(|minute| minute.ours_p95_ms))) {}
        path.line2 d=(path(minutes.iter().map(|minute| minute.gopay_p95_ms))) {}
    };
    let line = |ms: u64, text: &str| (height_of_time(ms), text.to_owned());
    let lines = [
        line(1, "1 ms"),
        line(10, "10 ms"),
        line(100, "100 ms"),
        line(1_000, "1 s"),
        line(10_000, "10 s"),
    ];
    html! {
        figure.chart {
            figcaption {
                span { "Time of calls, 95 %" }
                span.key { (dash("line1")) "ours" (dash("line2")) "GoPay's" }
            }
            (frame(minutes, &lines, &label, &inside))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(succeeded: u64, failed: u64, ours: Option<u64>) -> OneMinute {
        OneMinute {
            at: "2026-01-31T08:05:00Z".to_owned(),
            opened: 0,
            succeeded,
            succeeded_sen: 0,
            failed,
            ours_p95_ms: ours,
            gopay_p95_ms: None,
        }
    }

    #[test]
    fn scales_end_with_a_round_number() {
        for (most, end) in [(0, 1), (1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (999, 1_000)] {
            assert_eq!(round_up(most), end);
        }
        assert!(round_up(u64::MAX) >= 1 << 63);
    }

    #[test]
    fn bars_stand_on_each_other_and_say_in_words_what_they_show() {
        let minutes = vec![minute(0, 0, None), minute(3, 1, Some(5)), minute(0, 5, Some(20))];
        let chart = volume(&minutes).into_string();
        assert_eq!(
            (chart.matches("class=\"one\" x").count(), chart.matches("class=\"two\" x").count()),
            (1, 2)
        );
        assert!(chart.contains("3 paid, 6 unpaid"), "{chart}");
        assert!(!chart.contains("style="), "the policy forbids it: {chart}");
        let lines = latency(&minutes).into_string();
        assert!(lines.contains("ours at most 20 ms, GoPay's nothing timed"), "{lines}");
    }

    #[test]
    fn a_line_breaks_where_nothing_was_timed() {
        let drawn = path([Some(1), Some(10), None, Some(10_000)].into_iter());
        assert_eq!((drawn.matches('M').count(), drawn.matches('L').count()), (2, 1), "{drawn}");
    }
}
