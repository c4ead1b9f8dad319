//! A winter over New Year, generated: payments, Midtrans' files in four layouts, bank statements,
//! and every kind of difference planted where it is written down.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gopay_reconcile::date::{Day, JAKARTA_SECS, Moment};

/// How an export is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The columns that are ticked by default: no Midtrans id, fee or refund.
    Default,
    /// Semicolons, decimal commas, UTF-16, lines above the titles.
    Everything,
    /// Tabs, CP1252, an order's items in rows of their own.
    Items,
    /// A workbook.
    Sheet,
}

pub(crate) const LAYOUTS: [Layout; 4] =
    [Layout::Default, Layout::Everything, Layout::Items, Layout::Sheet];

/// What was planted: kind and what it is about.
pub(crate) type Planted = BTreeMap<(String, String), u32>;

/// Kinds that are planted in single payments, in turn.
const IN_PAYMENTS: [&str; 14] = [
    "missing_at_midtrans",
    "missing_here",
    "amount_differs",
    "status_differs",
    "refund_differs",
    "fee_differs",
    "wrong_currency",
    "duplicate",
    "id_differs",
    "late_success",
    "chargeback",
    "not_paid_out",
    "paid_out_twice",
    "timing",
];

struct Payment {
    id: i64,
    midtrans: String,
    made: i64,
    sen: i64,
    refunded: i64,
    failed: bool,
    kind: &'static str,
}

impl Payment {
    fn paid(&self) -> i64 {
        self.made + 30
    }

    fn fee(&self) -> i64 {
        // 2 %, half up; amounts are whole rupiah, so it is whole sen.
        self.sen / 50
    }

    fn paid_out_on(&self) -> Day {
        Moment::from_secs(self.paid()).day_at(JAKARTA_SECS).plus_business(3)
    }
}

/// Everything that is written.
pub(crate) struct World {
    payments: Vec<Payment>,
    pub(crate) planted: Planted,
    first: Day,
    last: Day,
}

/// Chance from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % sides).unwrap()
    }
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn rupiah(sen: i64) -> String {
    format!("{}{}.{:02}", if sen < 0 { "-" } else { "" }, sen.abs() / 100, sen.abs() % 100)
}

/// `1.002.157,77` or `1,002,157.77`.
fn grouped(sen: i64, group: char, mark: char) -> String {
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

fn jakarta(secs: i64) -> String {
    Moment::from_secs(secs + i64::from(JAKARTA_SECS)).to_string().replace('T', " ").replace('Z', "")
}

impl World {
    pub(crate) fn new(count: i64, seed: u64) -> Self {
        let (first, last) = (day("2026-12-01"), day("2027-01-20"));
        let mut dice = Dice(seed);
        let start = first.start().secs() - i64::from(JAKARTA_SECS);
        let span = (last.plus(1).start().secs() - i64::from(JAKARTA_SECS)) - start;
        let cutoff = last.start().secs();
        let mut world = Self { payments: Vec::new(), planted: Planted::new(), first, last };
        for n in 0..count {
            let made = start + 60 + n * (span - 600) / count;
            let milliseconds = (made - 1_704_067_200) * 1_000;
            let mut payment = Payment {
                id: (milliseconds << 22) | (n & 4_095),
                midtrans: format!(
                    "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
                    dice.roll(1 << 31),
                    dice.roll(65_536),
                    dice.roll(4_096),
                    dice.roll(4_096),
                    dice.roll(1 << 31)
                ),
                made,
                sen: (1 + dice.roll(2_000_000)) * 100,
                refunded: 0,
                failed: dice.roll(100) < 6,
                kind: "",
            };
            if !payment.failed && dice.roll(100) < 4 {
                payment.refunded = (payment.sen / 300).max(1) * 100;
            }
            // Away from the edges, and from New Year's Eve, which two exports have.
            let edge = n < count / 50
                || made > cutoff - 10 * 86_400
                || jakarta(made).starts_with("2026-12-31");
            if n % 40 == 0 && !edge {
                let kind = IN_PAYMENTS[usize::try_from(n / 40).unwrap() % (IN_PAYMENTS.len() - 1)];
                world.plant(&mut payment, kind);
            } else if n % 40 == 0 && made >= cutoff + 3_600 {
                world.plant(&mut payment, "timing");
            }
            world.payments.push(payment);
        }
        world
    }

    fn plant(&mut self, payment: &mut Payment, kind: &'static str) {
        payment.kind = kind;
        payment.failed = kind == "late_success";
        if payment.failed || kind == "paid_out_twice" {
            payment.refunded = 0;
        }
        self.note(kind, &payment.id.to_string());
    }

    fn note(&mut self, kind: &str, about: &str) {
        *self.planted.entry((kind.to_owned(), about.to_owned())).or_default() += 1;
    }

    /// The journal, with payments from before the exports.
    pub(crate) fn journal(&self, folder: &Path) -> PathBuf {
        let mut out = String::from(
            "at,kind,channel,psp,contract,txid,merchanttxid,refundid,merchantrefundid,midtrans_id,payment_type,amount_sen,currency,midtrans_at\n",
        );
        let earlier = self.first.start().secs() - 5 * 86_400;
        for n in 0..20_i64 {
            let at = Moment::from_secs(earlier + n * 3_600);
            let id = (((earlier + n * 3_600 - 1_704_067_200) * 1_000) << 22) | 7;
            writeln!(out, "{at},succeeded,livechannel,psp,C1,{id},m,,,,gopay,500000,IDR,{at}")
                .unwrap();
        }
        for one in self.payments.iter().filter(|one| one.kind != "missing_here") {
            let (made, paid) = (Moment::from_secs(one.made), Moment::from_secs(one.paid()));
            let (id, midtrans, sen) = (one.id, &one.midtrans, one.sen);
            writeln!(out, "{made},opened,livechannel,psp,C1,{id},m,,,{midtrans},,{sen},IDR,")
                .unwrap();
            if one.failed {
                writeln!(out, "{paid},failed,livechannel,psp,C1,{id},m,,,{midtrans},,{sen},IDR,")
                    .unwrap();
                continue;
            }
            writeln!(
                out,
                "{paid},succeeded,livechannel,psp,C1,{id},m,,,{midtrans},gopay,{sen},IDR,{paid}"
            )
            .unwrap();
            if one.refunded > 0 {
                let (back, refund) = (Moment::from_secs(one.paid() + 600), one.id + 5_000_000);
                writeln!(
                    out,
                    "{back},refund_succeeded,livechannel,psp,C1,{id},m,{refund},r,,,{},IDR,{back}",
                    one.refunded
                )
                .unwrap();
            }
        }
        written(folder, "journal.csv", out.as_bytes())
    }

    /// Two exports that overlap on New Year's Eve.
    pub(crate) fn exports(&mut self, folder: &Path, layout: Layout) -> Vec<PathBuf> {
        let turn = "2026-12-31";
        let halves = [("december", "", "2026-12-31 23:59:59"), ("january", turn, "9")];
        let mut paths = Vec::new();
        for (name, from, to) in halves {
            let mut rows: Vec<Vec<String>> = Vec::new();
            for one in &self.payments {
                let made = jakarta(one.made);
                if made.as_str() >= from && made.as_str() <= to {
                    rows.extend(row(one, layout));
                }
            }
            rows.push(foreign(&jakarta(self.last.start().secs()), layout));
            if name == "january" {
                let mut bad = foreign(&jakarta(self.last.start().secs()), layout);
                (bad[0], bad[4]) = ("424242".to_owned(), "12..34".to_owned());
                rows.push(bad);
            }
            paths.push(export(folder, name, layout, &rows));
        }
        let last = paths.last().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        self.note("unreadable", &last);
        self.planted.retain(|(kind, _), _| {
            layout != Layout::Default
                || !["fee_differs", "id_differs", "refund_differs"].contains(&kind.as_str())
        });
        paths
    }

    /// The list of payouts and their rows, the statement in rupiah of two months, our transfers and
    /// the statement of the account in dollars.
    pub(crate) fn money(&mut self, folder: &Path) -> Money {
        let mut payouts: BTreeMap<Day, i64> = BTreeMap::new();
        let mut rows =
            String::from("Payout ID,Order ID,Transaction ID,Amount,Total fee,Net,Refund type\n");
        for one in self.payments.iter().filter(|one| one.paid_out_on() <= self.last) {
            let absent =
                ["missing_at_midtrans", "status_differs", "timing", "chargeback", "not_paid_out"];
            if absent.contains(&one.kind) || (one.failed && one.kind != "late_success") {
                continue;
            }
            let twice = if one.kind == "paid_out_twice" { 2 } else { 1 };
            for again in 0..twice {
                let on = one.paid_out_on().plus_business(again);
                let (id, midtrans, fee) = (one.id, &one.midtrans, one.fee());
                *payouts.entry(on).or_default() += one.sen - fee;
                writeln!(
                    rows,
                    "{},{id},{midtrans},{},{},{},",
                    payout_id(on),
                    rupiah(one.sen),
                    rupiah(fee),
                    rupiah(one.sen - fee)
                )
                .unwrap();
                if one.refunded > 0 {
                    *payouts.entry(on).or_default() -= one.refunded;
                    writeln!(
                        rows,
                        "{},{id},{midtrans},{},0.00,{},Normal Refund",
                        payout_id(on),
                        rupiah(-one.refunded),
                        rupiah(-one.refunded)
                    )
                    .unwrap();
                }
            }
        }
        let rows = written(folder, "payout-rows.csv", rows.as_bytes());
        let mut list = String::from("REQUEST DATE,ID,PAID DATE,AMOUNT (NET),STATUS\n");
        let mut bank: Vec<(Day, i64, String)> = Vec::new();
        let (mut differs, mut not_at_bank) = (false, false);
        for (on, sen) in payouts {
            let id = payout_id(on);
            let listed = if !differs && on > day("2026-12-15") {
                differs = true;
                self.note("payout_differs", &id);
                sen - 650_000
            } else {
                sen
            };
            listed_payout(&mut list, on, &id, listed);
            if !not_at_bank && on > day("2026-12-20") {
                not_at_bank = true;
                self.note("payout_not_at_bank", &id);
            } else {
                bank.push((on, listed, format!("KR OTOMATIS LLG-MIDTRANS {id} PT MIDTRANS")));
            }
        }
        for id in ["P777001", "P777002"] {
            listed_payout(&mut list, day("2027-01-05"), id, 12_345_600);
            bank.push((day("2027-01-06"), 12_345_600, "TRSF E-BANKING CR MIDTRANS".to_owned()));
            self.note("ambiguous", id);
        }
        // One without its id in the text, alone with its amount.
        listed_payout(&mut list, day("2027-01-07"), "P777003", 7_654_321);
        bank.push((day("2027-01-08"), 7_654_321, "TRSF E-BANKING CR".to_owned()));
        list.push_str("01/10/2027,P777004,,\"Rp. 1,000.00\",Cancelled\n");
        bank.push((day("2027-01-08"), 99_900, "KR OTOMATIS LLG-MIDTRANS P999999".to_owned()));
        bank.push((day("2027-01-08"), -250_000, "BIAYA ADM".to_owned()));
        self.note("bank_entry_unknown", "999.00");
        let list = written(folder, "payouts.csv", list.as_bytes());
        let banks = bca(folder, bank);
        let (transfers, dollars) = self.transfers(folder);
        Money { payouts: vec![list, rows], banks: [banks, vec![dollars]].concat(), transfers }
    }

    fn transfers(&mut self, folder: &Path) -> (PathBuf, PathBuf) {
        let mut list = String::from("reference,date,amount,currency\n");
        let mut entries = String::new();
        let mut booked = 0_i64;
        let mut entry = |reference: &str, on: Day, sen: i64| {
            booked -= sen;
            write!(entries, "<Ntry><Amt Ccy=\"USD\">{}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{on}</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>", rupiah(sen)).unwrap();
        };
        for n in 1..=6_i32 {
            let (reference, on, sen) = (
                format!("SET-2026-{n:02}"),
                day("2026-12-07").plus(7 * (n - 1)),
                1_000_000 + i64::from(n) * 1_111,
            );
            writeln!(list, "{reference},{on},{},USD", rupiah(sen)).unwrap();
            match n {
                2 => {
                    // The bank took its charge on top.
                    entry(&reference, on, sen + 2_500);
                    self.planted.insert(("transfer_differs".to_owned(), reference), 1);
                }
                4 => {
                    entry(&reference, on, sen);
                    entry(&reference, on.plus(1), sen);
                    self.planted.insert(("transfer_twice".to_owned(), reference), 1);
                }
                _ => entry(&reference, on, sen),
            }
        }
        let opening = 100_000_000;
        // A dollar off: the statement lacks an entry.
        let closing = opening + booked - 100;
        self.planted.insert(("balance_differs".to_owned(), "dollars.xml".to_owned()), 1);
        let balance = |code: &str, sen: i64, on: &str| {
            format!(
                "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"USD\">{}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{on}</Dt></Dt></Bal>",
                rupiah(sen)
            )
        };
        let text = format!(
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt><Stmt><Id>S1</Id><Acct><Id><Othr><Id>999</Id></Othr></Id></Acct>{}{}{entries}</Stmt></BkToCstmrStmt></Document>",
            balance("OPBD", opening, "2026-12-01"),
            balance("CLBD", closing, "2027-01-31")
        );
        (
            written(folder, "transfers.csv", list.as_bytes()),
            written(folder, "dollars.xml", text.as_bytes()),
        )
    }
}

/// The files about money that moved.
pub(crate) struct Money {
    pub(crate) payouts: Vec<PathBuf>,
    pub(crate) banks: Vec<PathBuf>,
    pub(crate) transfers: PathBuf,
}

fn payout_id(on: Day) -> String {
    format!("P{}", on.to_string().replace('-', ""))
}

fn listed_payout(list: &mut String, on: Day, id: &str, sen: i64) {
    let (year, month, of_month) = on.ymd();
    let date = format!("{month:02}/{of_month:02}/{year}");
    writeln!(list, "{date},{id},{date},\"Rp. {}\",Paid", grouped(sen, ',', '.')).unwrap();
}

/// A month a file, as the bank's page gives them: the year only above the rows.
fn bca(folder: &Path, mut entries: Vec<(Day, i64, String)>) -> Vec<PathBuf> {
    entries.sort();
    let mut balance = 10_000_000_000_i64;
    let mut paths = Vec::new();
    for (name, period, month) in [
        ("bca-12.csv", "01/12/2026 - 31/12/2026", "2026-12"),
        ("bca-01.csv", "01/01/2027 - 31/01/2027", "2027-01"),
    ] {
        let mut out = format!(
            "Informasi Rekening - Mutasi Rekening\nNo. rekening : 0000012345\nPeriode : {period}\nKode Mata Uang : Rp\n\nTanggal Transaksi,Keterangan,Cabang,Jumlah,,Saldo\n"
        );
        let opening = balance;
        let (mut credits, mut debits) = (0, 0);
        for (on, sen, text) in entries.iter().filter(|(on, _, _)| on.to_string().starts_with(month))
        {
            let (_, month, of_month) = on.ymd();
            balance += sen;
            let word = if *sen < 0 { "DB" } else { "CR" };
            if *sen < 0 {
                debits -= sen
            } else {
                credits += sen
            }
            writeln!(
                out,
                "'{of_month:02}/{month:02},\"{text}\",\"'0998\",\"{}\",{word},\"{}\"",
                grouped(sen.abs(), ',', '.'),
                grouped(balance, ',', '.')
            )
            .unwrap();
        }
        for (label, sen) in [
            ("Saldo Awal", opening),
            ("Mutasi Kredit", credits),
            ("Mutasi Debet", debits),
            ("Saldo Akhir", balance),
        ] {
            writeln!(out, "\"{label} : {}\"", grouped(sen, ',', '.')).unwrap();
        }
        paths.push(written(folder, name, out.as_bytes()));
    }
    paths
}

/// Order id, Midtrans' id, time, status, amount, refund, fee, currency, item.
fn row(one: &Payment, layout: Layout) -> Vec<Vec<String>> {
    if matches!(one.kind, "missing_at_midtrans" | "timing") {
        return Vec::new();
    }
    let settled = !one.failed || one.kind == "late_success";
    let status = match (one.kind, settled, one.refunded) {
        ("status_differs", _, _) => "pending",
        ("chargeback", _, _) => "chargeback",
        (_, false, _) => "expire",
        (_, true, 0) => "settlement",
        (_, true, refunded) if refunded == one.sen => "refund",
        (_, true, _) => "partial_refund",
    };
    let amount = if one.kind == "amount_differs" { one.sen + 10_000 } else { one.sen };
    let refund = if one.kind == "refund_differs" { one.refunded + 10_000 } else { one.refunded };
    let fee = match (settled, one.kind) {
        (false, _) => 0,
        (_, "fee_differs") => one.fee() + 100,
        _ => one.fee(),
    };
    let midtrans =
        if one.kind == "id_differs" { one.midtrans.to_uppercase() } else { one.midtrans.clone() };
    let currency = if one.kind == "wrong_currency" { "USD" } else { "IDR" };
    let written = |sen: i64| match layout {
        Layout::Everything => grouped(sen, '.', ','),
        Layout::Default | Layout::Items | Layout::Sheet => rupiah(sen),
    };
    let cells = vec![
        one.id.to_string(),
        midtrans,
        jakarta(one.made),
        status.to_owned(),
        written(amount),
        written(refund),
        written(fee),
        currency.to_owned(),
        "Kopi, Caf\u{e9}".to_owned(),
    ];
    let items = layout == Layout::Items && one.id % 3 == 0 && one.kind != "duplicate";
    // With items an order's row may repeat; what is planted is another row of the same order.
    let copies = if items || one.kind == "duplicate" { 2 } else { 1 };
    let mut rows = vec![cells; copies];
    if one.kind == "duplicate" && layout == Layout::Items {
        rows[1][2] = jakarta(one.made + 60);
    }
    rows
}

fn foreign(time: &str, layout: Layout) -> Vec<String> {
    let (amount, none) =
        if layout == Layout::Everything { ("1.234,00", "0,00") } else { ("1234.00", "0.00") };
    ["SHOP-1", "x", time, "settlement", amount, none, none, "IDR", "Teh"]
        .map(str::to_owned)
        .to_vec()
}

fn export(folder: &Path, name: &str, layout: Layout, rows: &[Vec<String>]) -> PathBuf {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let with = |titles: &[(&str, usize)], delimiter: char| {
        let line = |cells: Vec<String>| cells.join(&delimiter.to_string()) + "\r\n";
        let mut out = line(titles.iter().map(|(title, _)| (*title).to_owned()).collect());
        for row in rows {
            out.push_str(&line(titles.iter().map(|(_, at)| quoted(&row[*at])).collect()));
        }
        out
    };
    match layout {
        Layout::Default => {
            let titles = [
                ("Order ID", 0),
                ("Currency", 7),
                ("Amount", 4),
                ("Transaction status", 3),
                ("Transaction Time", 2),
                ("Customer email", 8),
            ];
            written(folder, &format!("{name}.csv"), with(&titles, ',').as_bytes())
        }
        Layout::Everything => {
            let titles = [
                ("Order ID", 0),
                ("Currency", 7),
                ("Amount", 4),
                ("Transaction ID", 1),
                ("Transaction status", 3),
                ("Transaction Time", 2),
                ("Mdr amount", 6),
                ("Refund amount", 5),
            ];
            let text = format!("Laporan transaksi\r\nPT CONTOH;;\r\n\r\n{}", with(&titles, ';'));
            let wide: Vec<u8> = std::iter::once(0xFEFF)
                .chain(text.encode_utf16())
                .flat_map(u16::to_le_bytes)
                .collect();
            written(folder, &format!("{name}.csv"), &wide)
        }
        Layout::Items => {
            let titles = [
                ("order_id", 0),
                ("transaction_id", 1),
                ("gross_amount", 4),
                ("currency", 7),
                ("transaction_status", 3),
                ("transaction_time", 2),
                ("Mdr amount", 6),
                ("refund_amount", 5),
                ("Item name", 8),
            ];
            let text = with(&titles, '\t');
            let bytes: Vec<u8> =
                text.chars().map(|sign| u8::try_from(u32::from(sign)).unwrap()).collect();
            written(folder, &format!("{name}.txt"), &bytes)
        }
        Layout::Sheet => {
            let titles = [
                ("Order ID", 0),
                ("Transaction ID", 1),
                ("Amount", 4),
                ("Status", 3),
                ("Transaction Time", 2),
                ("Refund amount", 5),
                ("Fee", 6),
                ("Currency", 7),
            ];
            let mut book = rust_xlsxwriter::Workbook::new();
            let sheet = book.add_worksheet();
            for (column, (title, at)) in (0_u16..).zip(titles) {
                sheet.write_string(0, column, title).unwrap();
                for (line, row) in (1_u32..).zip(rows) {
                    // Amounts as numbers, as dashboards write them.
                    match row[at].parse::<f64>() {
                        Ok(number) if (4..=6).contains(&at) => {
                            sheet.write_number(line, column, number).unwrap()
                        }
                        _ => sheet.write_string(line, column, &row[at]).unwrap(),
                    };
                }
            }
            let path = folder.join(format!("{name}.xlsx"));
            book.save(&path).unwrap();
            path
        }
    }
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
