//! The bank: the account in rupiah, which Midtrans pays into, and the one in dollars, which
//! settlements are transferred from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use super::Planted;
use super::reports::{decimal, grouped, payout_id, written};

/// The list of payouts, and a statement a month of the account in rupiah.
pub(crate) fn rupiah(
    folder: &Path,
    payouts: &BTreeMap<Date, i64>,
    planted: &mut Planted,
) -> (PathBuf, Vec<PathBuf>) {
    let mut list = String::from("REQUEST DATE,ID,PAID DATE,AMOUNT (NET),STATUS\n");
    let mut entries: Vec<(Date, i64, String)> = Vec::new();
    let mut note = |kind: &str, about: &str| {
        *planted.entry((kind.to_owned(), about.to_owned())).or_default() += 1;
    };
    let mut listed = |on: Date, id: &str, sen: i64| {
        let day = on.strftime("%m/%d/%Y");
        writeln!(list, "{day},{id},{day},\"Rp. {}\",Paid", grouped(sen, ',', '.'))
            .expect("it fits");
    };
    let (mut differs, mut absent) = (false, false);
    for (on, sen) in payouts {
        let id = payout_id(*on);
        let mut sen = *sen;
        if !differs && *on > date(2025, 12, 15) {
            (differs, sen) = (true, sen - 650_000);
            note("payout_differs", &id);
        }
        listed(*on, &id, sen);
        if !absent && *on > date(2025, 12, 20) {
            absent = true;
            note("payout_not_at_bank", &id);
        } else {
            entries.push((*on, sen, format!("KR OTOMATIS LLG-MIDTRANS {id} PT MIDTRANS")));
        }
    }
    for id in ["P777001", "P777002"] {
        listed(date(2026, 1, 5), id, 12_345_600);
        entries.push((date(2026, 1, 6), 12_345_600, "TRSF E-BANKING CR MIDTRANS".to_owned()));
        note("ambiguous", id);
    }
    // One without its id in the text, alone with its amount.
    listed(date(2026, 1, 7), "P777003", 7_654_321);
    entries.push((date(2026, 1, 8), 7_654_321, "TRSF E-BANKING CR".to_owned()));
    entries.push((date(2026, 1, 8), 99_900, "KR OTOMATIS LLG-MIDTRANS P999999".to_owned()));
    entries.push((date(2026, 1, 8), -250_000, "BIAYA ADM".to_owned()));
    note("bank_entry_unknown", "999.00");
    entries.sort();
    (written(folder, "payouts.csv", list.as_bytes()), statements(folder, &entries))
}

/// As the bank's page gives them: the year only above the rows.
fn statements(folder: &Path, entries: &[(Date, i64, String)]) -> Vec<PathBuf> {
    let mut balance = 10_000_000_000_i64;
    let mut paths = Vec::new();
    for first in [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)] {
        let (from, to) = (first.strftime("%d/%m/%Y"), first.last_of_month().strftime("%d/%m/%Y"));
        let mut out = format!(
            "Informasi Rekening - Mutasi Rekening\nNo. rekening : 0000012345\nPeriode : {from} - {to}\nKode Mata Uang : Rp\n\nTanggal Transaksi,Keterangan,Cabang,Jumlah,,Saldo\n"
        );
        let (opening, mut credits, mut debits) = (balance, 0, 0);
        let of_month = entries.iter().filter(|(on, _, _)| on.first_of_month() == first);
        for (on, sen, text) in of_month {
            balance += sen;
            let word = if *sen < 0 { "DB" } else { "CR" };
            if *sen < 0 {
                debits -= sen
            } else {
                credits += sen
            }
            let (day, sen) = (on.strftime("%d/%m"), grouped(sen.abs(), ',', '.'));
            let left = grouped(balance, ',', '.');
            writeln!(out, "'{day},\"{text}\",\"'0998\",\"{sen}\",{word},\"{left}\"")
                .expect("it fits");
        }
        for (label, sen) in [
            ("Saldo Awal", opening),
            ("Mutasi Kredit", credits),
            ("Mutasi Debet", debits),
            ("Saldo Akhir", balance),
        ] {
            writeln!(out, "\"{label} : {}\"", grouped(sen, ',', '.')).expect("it fits");
        }
        let name = format!("rupiah-{}.csv", first.strftime("%Y-%m"));
        paths.push(written(folder, &name, out.as_bytes()));
    }
    paths
}

/// A transfer of a settlement: set, day, cents.
pub(crate) type Transfer = (String, Date, i64);

/// The statement of the account in dollars; the closing balance is a dollar off.
pub(crate) fn dollars(folder: &Path, transfers: &[Transfer], planted: &mut Planted) -> PathBuf {
    let (mut entries, mut booked) = (String::new(), 0_i64);
    let mut entry = |set: &str, on: Date, cents: i64| {
        booked -= cents;
        write!(entries, "<Ntry><Amt Ccy=\"USD\">{}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{on}</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>{set}</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>", decimal(cents)).expect("it fits");
    };
    for (place, (set, on, cents)) in transfers.iter().enumerate() {
        match place {
            // The bank took its charge on top.
            1 => entry(set, *on, cents + 2_500),
            3 => {
                entry(set, *on, *cents);
                entry(set, on.checked_add(1.day()).expect("it fits"), *cents);
            }
            _ => entry(set, *on, *cents),
        }
    }
    for (place, kind) in [(1, "transfer_differs"), (3, "transfer_twice")] {
        planted.insert((kind.to_owned(), transfers[place].0.clone()), 1);
    }
    planted.insert(("balance_differs".to_owned(), "dollars.xml".to_owned()), 1);
    let opening = 10_000_000_000;
    let balance = |code: &str, cents: i64, on: &str| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"USD\">{}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{on}</Dt></Dt></Bal>",
            decimal(cents)
        )
    };
    let text = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt><Stmt><Id>S1</Id><Acct><Id><Othr><Id>999</Id></Othr></Id></Acct>{}{}{entries}</Stmt></BkToCstmrStmt></Document>",
        balance("OPBD", opening, "2025-11-01"),
        balance("CLBD", opening + booked - 100, "2026-02-15")
    );
    written(folder, "dollars.xml", text.as_bytes())
}
