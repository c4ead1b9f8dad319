//! Proposed mappings for titles that Midtrans, banks and others use: see `samples/headers.json`.
#![expect(clippy::unwrap_used, reason = "a failure is a failed test")]

use std::path::Path;

use gopay_reconcile::input::mapping::{Mapping, Role};
use gopay_reconcile::input::propose::{Proposal, propose};
use serde_json::Value;

fn proposed(text: &str) -> Proposal {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.csv");
    std::fs::write(&path, text).unwrap();
    propose(&path).unwrap()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_known_title_gets_the_role_that_it_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/headers.json");
    let headers: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for header in headers.as_array().unwrap() {
        let line = |cells: Vec<String>| {
            let quoted: Vec<String> = cells.iter().map(|cell| format!("\"{cell}\"")).collect();
            quoted.join(",") + "\n"
        };
        let rows = header["sample_rows"].as_array().unwrap().iter().map(|row| line(texts(row)));
        let proposal = proposed(&(line(texts(&header["header"])) + &rows.collect::<String>()));
        for (role, title) in header["roles"].as_object().unwrap() {
            let title = title.as_str().unwrap();
            let role = match role.as_str() {
                // Adyen's columns of net amounts, for which there is no role.
                "net_credit" | "net_debit" => continue,
                "kind" => "type",
                other => other,
            };
            let title = if title == "(untitled)" { "" } else { title };
            let found =
                proposal.chosen.iter().any(|(one, column)| one.word() == role && column == title);
            assert!(found, "{}: {role} is {title:?}, not in {:?}", header["name"], proposal.chosen);
        }
        // What a shopper is called must not be read at all, and an item's price is no amount.
        assert!(
            !proposal
                .chosen
                .iter()
                .any(|(_, title)| title.contains("Customer") || title.contains("Item"))
        );
    }
}

#[test]
fn a_complete_proposal_is_a_mapping_and_an_open_question_is_left_to_a_person() {
    let good = proposed(
        "Order ID,Status,Tanggal Transaksi,Jumlah\n42,settlement,28/10/2026 10:00,\"44.000,00\"\n",
    );
    assert!(good.complete, "{}", good.toml);
    assert!(
        good.toml.contains("order = \"dmy\"") && good.toml.contains("decimal = \"comma\""),
        "{}",
        good.toml
    );
    assert!(Mapping::read(Some(&good.toml)).is_ok(), "{}", good.toml);
    for (text, wanted) in [
        ("Order ID,Status,Date,Amount\n42,settlement,05/10/2026,44000.00\n", "\"dmy\" or \"mdy\""),
        (
            "Order ID,Status,Date,Amount\n42,settlement,2026-10-05,44.000\n",
            "\"point\" or \"comma\"",
        ),
        (
            "Order ID,Status,Date,Amount,Gross amount\n42,settlement,2026-10-05,980.00,1000.00\n",
            "amount = one of",
        ),
        (
            "Order ID,Status,Date,Amount,Amount\n42,settlement,2026-10-05,980.00,1000.00\n",
            "\"Amount#2\"",
        ),
        (
            "Tanggal,Keterangan,Jumlah,,Saldo\n'05/10,x,\"1,000.00\",CR,\"1,000.00\"\n\"Saldo Awal : 1\"\n\"Saldo Akhir : 1\"\n",
            "order = \"dmy\" or",
        ),
        ("Order ID,Status,Date\n42,settlement,2026-10-05\n", "MISSING: amount"),
        ("Order ID,Status,Date,Amount\n42,settlement,2026-10-05,many\n", "do not fit"),
    ] {
        let open = proposed(text);
        assert!(!open.complete && open.toml.contains(wanted), "{}", open.toml);
    }
    assert!(good.chosen.contains(&(Role::Amount, "Jumlah".to_owned())));
}
