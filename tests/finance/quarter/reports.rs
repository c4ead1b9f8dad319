//! Midtrans' exports of the quarter in four layouts, and its payouts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gopay_core::time::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;

use super::Planted;
use super::life::{Back, Sale};

pub(crate) fn decimal(sen: i64) -> String {
    format!("{}{}.{:02}", if sen < 0 { "-" } else { "" }, sen.abs() / 100, sen.abs() % 100)
}

/// `1.002.157,77` or `1,002,157.77`.
pub(crate) fn grouped(sen: i64, group: char, mark: char) -> String {
    let whole = (sen.abs() / 100).to_string();
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(group);
        }
        out.push(digit);
    }
    format!("{}{out}{mark}{:02}", if sen < 0 { "-" } else { "" }, sen.abs() % 100)
}

fn jakarta(at: Timestamp) -> jiff::civil::DateTime {
    let utc = jiff::Timestamp::from_microsecond(at.as_micros()).expect("a time");
    utc.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(7))).datetime()
}

fn shown(at: Timestamp) -> String {
    jakarta(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// So many business days later.
fn business(day: Date, days: u32) -> Date {
    let mut day = day;
    for _ in 0..days {
        day = day.tomorrow().expect("a day");
        while day.weekday().to_monday_zero_offset() > 4 {
            day = day.tomorrow().expect("a day");
        }
    }
    day
}

/// 2 % until New Year, then 1.5 % and 11 % of VAT on it, each half up to the sen.
pub(crate) fn fee(sale: &Sale) -> i64 {
    let sen = i64::try_from(sale.sen()).expect("it fits");
    let share = |of: i64, points: i64| (of * points + 5_000) / 10_000;
    if jakarta(sale.called).date() < jiff::civil::date(2026, 1, 1) {
        return share(sen, 200);
    }
    let fee = share(sen, 150);
    fee + share(fee, 1_100)
}

/// How an export is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// A workbook.
    Sheet,
    /// Semicolons, decimal commas, UTF-16, lines above the titles.
    Wide,
    /// Tabs, CP1252, an order's items in rows of their own.
    Items,
    /// As it is ticked by default: no Midtrans id, fee or refund.
    Plain,
}

/// Name, layout, first and last day in Jakarta. Neighbours have a day in common.
const EXPORTS: [(&str, Layout, &str, &str); 4] = [
    ("november", Layout::Sheet, "2025-11-01", "2025-11-30"),
    ("december", Layout::Wide, "2025-11-30", "2025-12-31"),
    ("new-year", Layout::Items, "2025-12-31", "2026-01-15"),
    ("january", Layout::Plain, "2026-01-15", "2026-01-30"),
];

/// Writes the exports.
pub(crate) fn exports(folder: &Path, sales: &[Sale], planted: &mut Planted) -> Vec<PathBuf> {
    let write = |(name, layout, first, last): (&str, Layout, &str, &str)| {
        let mut rows: Vec<Vec<String>> =
            vec![foreign("SHOP-1", &format!("{first} 12:00:00"), layout)];
        for sale in sales {
            let day = jakarta(sale.called).date().to_string();
            if day.as_str() >= first && day.as_str() <= last {
                rows.extend(row(sale, layout));
            }
        }
        // Until the last second, so that the span of the exports is known.
        rows.push(foreign("SHOP-2", &format!("{last} 23:59:59"), layout));
        if layout == Layout::Plain {
            let mut bad = foreign("424242", &format!("{last} 23:59:00"), layout);
            bad[4] = "12..34".to_owned();
            rows.push(bad);
        }
        export(folder, name, layout, &rows)
    };
    planted.insert(("unreadable".to_owned(), "january.csv".to_owned()), 1);
    EXPORTS.map(write).to_vec()
}

/// Order id, Midtrans' id, time, status, amount, refund, fee, currency, item.
fn row(sale: &Sale, layout: Layout) -> Vec<Vec<String>> {
    if matches!(sale.planted, "missing_at_midtrans" | "timing") {
        return Vec::new();
    }
    let sen = i64::try_from(sale.sen()).expect("it fits");
    let settled = !sale.failed || sale.planted == "late_success";
    let charged_back = sale.back.is_some_and(|(_, _, how, _)| how == Back::Chargeback);
    let mut refund = match sale.back {
        Some((_, rupiah, how, _)) if how != Back::Chargeback => {
            i64::try_from(rupiah * 100).expect("it fits")
        }
        _ => 0,
    };
    let status = match (sale.planted, settled, refund) {
        ("status_differs", _, _) => "pending",
        ("chargeback", _, _) => "chargeback",
        _ if charged_back => "chargeback",
        (_, false, _) => "expire",
        (_, true, 0) => "settlement",
        (_, true, refund) if refund == sen => "refund",
        (_, true, _) => "partial_refund",
    };
    let amount = if sale.planted == "amount_differs" { sen + 10_000 } else { sen };
    if sale.planted == "refund_differs" {
        refund += 10_000;
    }
    let fee = match (settled, sale.planted) {
        (false, _) => 0,
        (_, "fee_differs") => fee(sale) + 100,
        _ => fee(sale),
    };
    let differs = sale.planted == "id_differs";
    let id = if differs { sale.midtrans_id().to_uppercase() } else { sale.midtrans_id() };
    let money = |sen: i64| match layout {
        Layout::Wide => grouped(sen, '.', ','),
        Layout::Sheet | Layout::Items | Layout::Plain => decimal(sen),
    };
    let cells = vec![
        sale.tx_id.to_string(),
        id,
        shown(sale.called),
        status.to_owned(),
        money(amount),
        money(refund),
        money(fee),
        if sale.planted == "wrong_currency" { "USD" } else { "IDR" }.to_owned(),
        "Kopi, Caf\u{e9}".to_owned(),
    ];
    let duplicate = sale.planted == "duplicate";
    let items = layout == Layout::Items && sale.tx_id.get() % 3 == 0 && !duplicate;
    let mut rows = vec![cells; if items || duplicate { 2 } else { 1 }];
    if duplicate && layout == Layout::Items {
        rows[1][2] = shown(sale.called.after(std::time::Duration::from_secs(60)));
    }
    rows
}

fn foreign(order: &str, time: &str, layout: Layout) -> Vec<String> {
    let (amount, none) =
        if layout == Layout::Wide { ("1.234,00", "0,00") } else { ("1234.00", "0.00") };
    [order, "x", time, "settlement", amount, none, none, "IDR", "Teh"].map(str::to_owned).to_vec()
}

fn export(folder: &Path, name: &str, layout: Layout, rows: &[Vec<String>]) -> PathBuf {
    let columns: &[(&str, usize)] = match layout {
        Layout::Plain => &[
            ("Order ID", 0),
            ("Currency", 7),
            ("Amount", 4),
            ("Transaction status", 3),
            ("Transaction Time", 2),
            ("Customer email", 8),
        ],
        Layout::Wide => &[
            ("Order ID", 0),
            ("Currency", 7),
            ("Amount", 4),
            ("Transaction ID", 1),
            ("Transaction status", 3),
            ("Transaction Time", 2),
            ("Mdr amount", 6),
            ("Refund amount", 5),
        ],
        Layout::Items => &[
            ("order_id", 0),
            ("transaction_id", 1),
            ("gross_amount", 4),
            ("currency", 7),
            ("transaction_status", 3),
            ("transaction_time", 2),
            ("Mdr amount", 6),
            ("refund_amount", 5),
            ("Item name", 8),
        ],
        Layout::Sheet => &[
            ("Order ID", 0),
            ("Transaction ID", 1),
            ("Amount", 4),
            ("Status", 3),
            ("Transaction Time", 2),
            ("Refund amount", 5),
            ("Fee", 6),
            ("Currency", 7),
        ],
    };
    let text = |delimiter: &str| {
        let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
        let mut out = titles.join(delimiter) + "\r\n";
        for row in rows {
            let cells: Vec<String> =
                columns.iter().map(|(_, at)| format!("\"{}\"", row[*at])).collect();
            out += &(cells.join(delimiter) + "\r\n");
        }
        out
    };
    match layout {
        Layout::Plain => written(folder, &format!("{name}.csv"), text(",").as_bytes()),
        Layout::Wide => {
            let text = format!("Laporan transaksi\r\nPT CONTOH;;\r\n\r\n{}", text(";"));
            let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
            let wide: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
            written(folder, &format!("{name}.csv"), &wide)
        }
        Layout::Items => {
            let text = text("\t");
            let bytes: Vec<u8> =
                text.chars().map(|sign| u8::try_from(u32::from(sign)).expect("it fits")).collect();
            written(folder, &format!("{name}.txt"), &bytes)
        }
        Layout::Sheet => workbook(folder, name, columns, rows),
    }
}

fn workbook(folder: &Path, name: &str, columns: &[(&str, usize)], rows: &[Vec<String>]) -> PathBuf {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (column, (title, at)) in (0_u16..).zip(columns) {
        sheet.write_string(0, column, *title).expect("it fits");
        for (line, row) in (1_u32..).zip(rows) {
            // Amounts as numbers, as dashboards write them.
            match row[*at].parse::<f64>() {
                Ok(number) if (4..=6).contains(at) => {
                    sheet.write_number(line, column, number).expect("it fits")
                }
                _ => sheet.write_string(line, column, &row[*at]).expect("it fits"),
            };
        }
    }
    let path = folder.join(format!("{name}.xlsx"));
    book.save(&path).expect("it fits");
    path
}

pub(crate) fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("it fits");
    path
}

/// Midtrans' payouts: by day, what each comes to, and the file of their rows.
pub(crate) fn payouts(
    folder: &Path,
    sales: &[Sale],
    until: Date,
) -> (BTreeMap<Date, i64>, PathBuf) {
    let mut payouts: BTreeMap<Date, i64> = BTreeMap::new();
    let mut rows =
        String::from("Payout ID,Order ID,Transaction ID,Amount,Total fee,Net,Refund type\n");
    let mut row = |on: Date, sale: &Sale, sen: i64, fee: i64, kind: &str| {
        *payouts.entry(on).or_default() += sen - fee;
        let (id, midtrans) = (sale.tx_id, sale.midtrans_id());
        let [sen, fee, net] = [sen, fee, sen - fee].map(decimal);
        writeln!(rows, "{},{id},{midtrans},{sen},{fee},{net},{kind}", payout_id(on))
            .expect("it fits");
    };
    let absent = ["missing_at_midtrans", "status_differs", "timing", "chargeback", "not_paid_out"];
    for sale in sales {
        let charged_back = sale.back.is_some_and(|(_, _, how, _)| how == Back::Chargeback);
        let unpaid = sale.failed && sale.planted != "late_success";
        if absent.contains(&sale.planted) || charged_back || unpaid {
            continue;
        }
        let sen = i64::try_from(sale.sen()).expect("it fits");
        let on = business(jakarta(sale.paid_at()).date(), 3);
        for again in 0..if sale.planted == "paid_out_twice" { 2 } else { 1 } {
            let on = business(on, again);
            if on <= until {
                row(on, sale, sen, fee(sale), "");
            }
        }
        if let Some((at, rupiah, _, _)) = sale.back {
            let on = business(jakarta(at).date(), 3);
            if on <= until {
                row(on, sale, -i64::try_from(rupiah * 100).expect("it fits"), 0, "Normal Refund");
            }
        }
    }
    (payouts, written(folder, "payout-rows.csv", rows.as_bytes()))
}

pub(crate) fn payout_id(on: Date) -> String {
    on.strftime("P%Y%m%d").to_string()
}

/// The last day of payouts.
pub(crate) fn until() -> Date {
    jakarta(crate::shop::at(super::life::LAST)).date().checked_add(1.day()).expect("a day")
}
