//! Values as people read them.

use gopay_http::asked::{Asked, place_of};
use gopay_service::desk::{Listing, Walk};
use maud::{Markup, html};

/// `Rp 1.250.000`, with its sen if it has some.
pub(crate) fn rupiah(sen: u64) -> String {
    let whole = gopay_pages::rupiah(sen / 100);
    match sen % 100 {
        0 => whole,
        rest => format!("{whole},{rest:02}"),
    }
}

/// Hundredths of a currency: `EUR -1,250.00`.
pub(crate) fn hundredths(currency: &str, amount: i64) -> String {
    let (sign, amount) = (if amount < 0 { "-" } else { "" }, amount.unsigned_abs());
    let digits = (amount / 100).to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && digits.len().saturating_sub(position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{currency}\u{a0}{sign}{grouped}.{:02}", amount % 100)
}

/// An amount as files have it, `-1250.00`, as [`rupiah`] and [`hundredths`] show it. What is no amount,
/// such as a state, stays.
pub(crate) fn money(currency: &str, text: &str) -> String {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (sign, amount) = text.strip_prefix('-').map_or(("", text), |amount| ("-", amount));
    let parts = amount.split_once('.').filter(|(whole, part)| digits(whole) && part.len() == 2);
    let read = parts.and_then(|(whole, part)| format!("{sign}{whole}{part}").parse::<i64>().ok());
    match read {
        None => text.to_owned(),
        Some(amount) if currency == "IDR" => {
            let shown = rupiah(amount.unsigned_abs());
            if amount < 0 { shown.replace('\u{a0}', "\u{a0}-") } else { shown }
        }
        Some(amount) => hundredths(currency, amount),
    }
}

/// A time in RFC 3339, UTC, to the second.
pub(crate) fn time(text: &str) -> Markup {
    let shown = text.get(..19).map_or_else(|| text.to_owned(), |text| text.replace('T', " "));
    html! { time datetime=(text) { (shown) } }
}

/// How long something has taken or waits: `3 min`, `2 h`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// So many of something: `1 payment`, `2 payments`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The word of a state, in a colour that goes with it.
pub(crate) fn state(word: &str) -> Markup {
    let class = match word {
        "succeeded" | "delivered" | "paid" | "holds" | "resolved" => "good",
        "failed" | "given_up" | "open_doubt" => "fail",
        "initialized" | "pending" | "unresolved" | "waiting" | "returning" => "wait",
        _ => "off",
    };
    html! { span.pill.(class) { (word.replace('_', " ")) } }
}

/// A transaction, by its id.
pub(crate) fn transaction(id: &str) -> Markup {
    html! { a href={ "/console/transactions/" (id) } { code { (id) } } }
}

/// A choice of words; the empty one is any.
pub(crate) fn select(asked: &Asked, name: &str, label: &str, words: &[&str]) -> Markup {
    let chosen = asked.get(name).unwrap_or_default();
    html! {
        div.field {
            label for=(name) { (label) }
            select #(name) name=(name) {
                @for word in words {
                    option value=(word) selected[*word == chosen] {
                        @if word.is_empty() { "any" } @else { (word.replace('_', " ")) }
                    }
                }
            }
        }
    }
}

/// A field of a filter.
pub(crate) fn field(asked: &Asked, name: &str, label: &str, hint: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input #(name) name=(name) value=[asked.get(name)] placeholder=[(!hint.is_empty()).then_some(hint)] autocomplete="off";
        }
    }
}

/// A day.
pub(crate) fn day(asked: &Asked, name: &str, label: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input #(name) name=(name) type="date" value=[asked.get(name)];
        }
    }
}

/// The filters of a list, open as soon as one is used.
pub(crate) fn filters(asked: &Asked, path: &str, names: &[&str], fields: &Markup) -> Markup {
    let used = names.iter().any(|name| asked.get(name).is_some());
    html! {
        details.filters open[used] {
            summary { "Filter and order" }
            form method="get" action=(path) {
                div.fields { (fields) }
                div.bar {
                    button.button.small type="submit" { "Show" }
                    a href=(path) { "All" }
                }
            }
        }
    }
}

/// What was asked is wrong.
pub(crate) fn wrong(why: &str) -> Markup {
    html! { p.alert.fail role="alert" { (why) } }
}

/// Below a list: where it goes on, back to its beginning, and as a file.
pub(crate) fn paging(
    asked: &Asked,
    path: &str,
    place: &str,
    next: Option<&str>,
    file: Option<&str>,
) -> Markup {
    let query = |changes: &[(&str, &str)]| asked.with(&[&[("done", "")], changes].concat());
    html! {
        div.bar {
            @if asked.get(place).is_some() {
                a href={ (path) "?" (query(&[(place, "")])) } { "First page" }
            }
            @if let Some(next) = next {
                a.button.plain.small href={ (path) "?" (query(&[(place, next)])) } rel="next" { "Next page" }
            }
            @if let Some(file) = file {
                a href={ (file) "?" (query(&[(place, ""), ("limit", "")])) } download { "Download as CSV" }
            }
        }
    }
}

/// Below a list whose rows have numbers.
pub(crate) fn walking(
    asked: &Asked,
    path: &str,
    (walk, next): (Walk, Option<i64>),
    file: Option<&str>,
) -> Markup {
    let next = next.map(|next| next.to_string());
    paging(asked, path, place_of(walk.order), next.as_deref(), file)
}

/// One page of a list, and where it goes on; the whole of it is in a file.
pub(crate) fn listing<T>(
    asked: &Asked,
    path: &str,
    caption: &str,
    titles: &[(&str, bool)],
    listing: &Listing<T>,
    file: &str,
    line: impl Fn(&T) -> Markup,
) -> Markup {
    let rows = html! { @for row in &listing.rows { (line(row)) } };
    html! {
        @if listing.rows.is_empty() {
            @match &listing.next {
                Some(_) => p { "Nothing so far; there is more to look through." },
                None => p { "There is none." },
            }
        } @else {
            (table(caption, titles, &rows))
        }
        (paging(asked, path, "after", listing.next.as_deref(), Some(file)))
    }
}

/// A table that becomes a list of cards on a narrow screen.
pub(crate) fn table(caption: &str, titles: &[(&str, bool)], rows: &Markup) -> Markup {
    table_of("cards", caption, titles, rows)
}

/// A table of few and short columns, which stays one on a narrow screen and scrolls within itself.
pub(crate) fn compact(caption: &str, titles: &[(&str, bool)], rows: &Markup) -> Markup {
    table_of("compact", caption, titles, rows)
}

/// A statement: like [`compact`], and no wider than the eye can follow from a name to its amount.
pub(crate) fn statement(caption: &str, titles: &[(&str, bool)], rows: &Markup) -> Markup {
    html! { div.sheet { (compact(caption, titles, rows)) } }
}

fn table_of(class: &str, caption: &str, titles: &[(&str, bool)], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table.(class) {
                caption.away { (caption) }
                thead { tr { @for (title, number) in titles { th.num[*number] scope="col" { (title) } } } }
                tbody { (rows) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_every_sen() {
        for (sen, text) in
            [(0, "Rp\u{a0}0"), (12_500_000, "Rp\u{a0}125.000"), (101, "Rp\u{a0}1,01")]
        {
            assert_eq!(rupiah(sen), text);
        }
        for (amount, text) in [
            (0, "EUR\u{a0}0.00"),
            (-12_500_007, "EUR\u{a0}-125,000.07"),
            (i64::MIN, "EUR\u{a0}-92,233,720,368,547,758.08"),
        ] {
            assert_eq!(hundredths("EUR", amount), text);
        }
    }

    #[test]
    fn amounts_of_files_are_shown_like_all_others_and_words_stay() {
        for (currency, text, shown) in [
            ("IDR", "1564500.00", "Rp\u{a0}1.564.500"),
            ("IDR", "-75000.50", "Rp\u{a0}-75.000,50"),
            ("USD", "-0.05", "USD\u{a0}-0.05"),
            ("USD", "12345.00", "USD\u{a0}12,345.00"),
            ("IDR", "settlement", "settlement"),
            ("IDR", "1.5", "1.5"),
            ("IDR", "", ""),
            ("IDR", "-", "-"),
        ] {
            assert_eq!(money(currency, text), shown);
        }
    }

    #[test]
    fn one_is_no_plural() {
        for (number, text) in [(0, "0 calls"), (1, "1 call"), (2, "2 calls")] {
            assert_eq!(count(number, "call", "calls"), text);
        }
    }

    #[test]
    fn spans_are_told_in_the_largest_unit_that_says_something() {
        for (seconds, text) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 days")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
