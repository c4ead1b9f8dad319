//! Sets of settlement files: their exact bytes, and the laws that hold for every set.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::as_conversions, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use gopay_core::ids::{RefundId, TxId};
use gopay_core::time::Timestamp;
use gopay_finance::SettlementAccount;
use gopay_finance::amount::Amount;
use gopay_finance::balance::RowType;
use gopay_finance::basis::{Adjustment, Basis, BasisError, Before, Previous};
use gopay_finance::calendar::Calendar;
use gopay_finance::event::{Money, MoneyEvent};
use gopay_finance::form::Form;
use gopay_finance::manifest::Manifest;
use gopay_finance::period::{Frequency, Period, midnight};
use gopay_finance::rates::Rates;
use gopay_finance::set::{Finished, Part, SetWriter};
use gopay_finance::table::MemoryFolder;
use gopay_finance::terms::{AccountTerms, ContractTerms, Due, Fees, Fixed, Terms};
use gopay_finance::verify::read_table;
use jiff::civil::{Date, date};
use proptest::prelude::*;

fn cents(cents: i64) -> Amount {
    Amount::new(cents)
}

fn terms(valid_from: Date) -> Terms {
    Terms {
        valid_from,
        valid_until: None,
        currency: "USD".into(),
        frequency: Frequency::Daily,
        delay_days: 0,
        minimum_transfer: cents(100),
        wire_fee: cents(150),
        monthly_fee: cents(2_000),
        setup_fee: cents(700),
        reserve_basis_points: 500,
        reserve_days: 2,
        discount_basis_points: 150,
        margin_basis_points: 100,
        payment: Fees {
            acquiring: Fixed { amount: cents(5), due: Due::Success },
            processing: Fixed { amount: cents(2), due: Due::Start },
            succeeded: cents(1),
        },
        refund: Fees {
            acquiring: Fixed { amount: cents(10), due: Due::Start },
            processing: Fixed { amount: cents(3), due: Due::Success },
            succeeded: cents(0),
        },
    }
}

fn account(contracts: Vec<(&str, Vec<Terms>)>) -> AccountTerms {
    let contract = |(name, terms): (&str, _)| ContractTerms { contract: name.to_owned(), terms };
    AccountTerms {
        form: Form::default(),
        account: SettlementAccount { entity: 1, client: 999 },
        contracts: contracts.into_iter().map(contract).collect(),
    }
}

fn rates() -> Rates {
    let mut lines = "date,base,quote,rate,source\n".to_owned();
    let mut day = date(2025, 12, 24);
    while day < date(2026, 3, 1) {
        lines += &format!("{day},USD,IDR,16{:03}.25,ECB\n", day.day_of_year());
        day = day.tomorrow().unwrap();
    }
    Rates::read(lines.as_bytes()).unwrap()
}

fn event(at: &str, money: Money, id: i64, sen: i64) -> MoneyEvent {
    let back = [Money::RefundStarted, Money::RefundSucceeded, Money::ChargedBack];
    let refund = back.contains(&money);
    MoneyEvent {
        at: Timestamp::from_rfc3339(at).unwrap(),
        money,
        // Refunds give back of the payment before them.
        tx_id: TxId::new(if refund { id - 1 } else { id }).unwrap(),
        refund_id: refund.then(|| RefundId::new(id).unwrap()),
        amount: cents(sen),
        contract: "SHOP".into(),
        merchant_id: Some(format!("order,{id}")),
        reference: Some(format!("m-{id}")),
    }
}

fn write(basis: &Basis, mut events: Vec<MoneyEvent>) -> (MemoryFolder, Finished) {
    events.sort_by_key(MoneyEvent::order);
    let mut set = SetWriter::begin(basis, MemoryFolder::default()).unwrap();
    events.iter().for_each(|event| set.add(event).unwrap());
    set.finish().unwrap()
}

fn basis(account: &AccountTerms, period: Period, before: Before) -> Result<Basis, BasisError> {
    Basis::new(account, period, before, &rates(), &Calendar::default(), Vec::new())
}

fn daily(day: Date) -> Period {
    Period::containing(Frequency::Daily, day).unwrap()
}

fn before(finished: &Finished) -> Before {
    Before {
        previous: Some(Previous {
            set: finished.manifest.set.clone(),
            sha256: finished.sha256.clone(),
        }),
        currency: Some(finished.manifest.basis.currency.clone()),
        state: finished.manifest.after.clone(),
    }
}

/// `UPDATE_GOLDEN=1` writes them.
fn compare(name: &str, found: &[u8]) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read(&path).unwrap_or_default();
    let shown = String::from_utf8_lossy;
    assert_eq!(shown(found), shown(&wanted), "{name}");
}

#[test]
fn a_set_is_these_bytes() {
    use Money::{PaymentStarted, PaymentSucceeded, RefundStarted, RefundSucceeded};
    let account = account(vec![("SHOP", vec![terms(date(2026, 1, 31))])]);
    let basis = basis(&account, daily(date(2026, 1, 31)), Before::default()).unwrap();
    let events = vec![
        event("2026-01-31T00:00:00Z", PaymentStarted, 101, 4_500_000),
        event("2026-01-31T00:00:40.5Z", PaymentSucceeded, 101, 4_500_000),
        event("2026-01-31T09:00:00Z", PaymentStarted, 103, 200_000_000),
        event("2026-01-31T23:59:59.999999Z", PaymentSucceeded, 103, 200_000_000),
        // One rupiah: 0.015 of discount.
        event("2026-01-31T12:00:00Z", PaymentSucceeded, 105, 100),
        event("2026-01-31T10:00:00Z", RefundStarted, 102, 1_000_000),
        event("2026-01-31T10:00:01Z", RefundSucceeded, 102, 1_000_000),
        // Started, and no more.
        event("2026-01-31T11:00:00Z", PaymentStarted, 104, 100),
    ];
    let (folder, finished) = write(&basis, events);
    assert_eq!(finished.manifest.set, "1-999-D-2026-031");
    assert_eq!(folder.files.len(), 10);
    for (name, content) in &folder.files {
        compare(name, content);
    }
    assert_eq!(Manifest::from_json(&finished.json).unwrap(), finished.manifest);
}

/// The example of `docs/FINANCE.md` is the set above.
#[test]
fn the_worked_example_is_what_the_program_makes() {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/../../docs/FINANCE.md")).unwrap();
    let shown = text.split("```csv\n").nth(1).unwrap().split("```").next().unwrap();
    let made = format!("{root}/tests/golden/1-999-D-2026-031-aggregate.csv");
    assert_eq!(shown, std::fs::read_to_string(made).unwrap());
    let manifest = std::fs::read_to_string(format!("{root}/tests/golden/manifest.json")).unwrap();
    let manifest = Manifest::from_json(&manifest).unwrap();
    for (amount, shown) in [
        (manifest.rows_total, "rows in USD are 94.92"),
        (manifest.reserve_withheld, "6.28 (5 % of 125.68) are held back"),
        (manifest.transfer, "88.64 are transferred"),
    ] {
        assert!(shown.contains(&amount.to_string()) && text.contains(shown), "{shown}");
    }
    for remainder in manifest.roundings.iter().take(1) {
        assert!(text.contains(&remainder.remainder), "{remainder:?}");
    }
}

#[test]
fn a_set_without_money_has_every_file_too() {
    let account = account(vec![("SHOP", vec![terms(date(2026, 1, 1))])]);
    let mut first = basis(&account, daily(date(2026, 1, 1)), Before::default()).unwrap();
    first.contracts[0].terms[0].setup_fee = Amount::ZERO;
    let (folder, finished) = write(&first, Vec::new());
    for part in Part::ALL {
        let text = String::from_utf8(folder.files[&part.file("1-999-D-2026-001")].clone()).unwrap();
        let footer = "SETTLEMENT_DATE,2026-01-02\nRECORD_COUNT,0\nCHECKSUM_AGGREGATE_AMOUNT,0.00\n";
        assert_eq!(text, format!("{}\n{footer}", part.titles().join(",")));
    }
    assert_eq!(finished.manifest.transfer, Amount::ZERO);
    assert_eq!(finished.balance.rows, []);
}

fn row(finished: &Finished, kind: RowType) -> Option<i64> {
    let of_kind = finished.balance.rows.iter().filter(|row| row.kind == kind);
    let amounts: Vec<i64> = of_kind.map(|row| row.amount.get()).collect();
    (!amounts.is_empty()).then(|| amounts.iter().sum())
}

#[test]
fn a_chargeback_is_in_its_file_and_in_what_is_cleared_once_its_set_knows_chargebacks() {
    let account = account(vec![("SHOP", vec![terms(date(2026, 1, 1))])]);
    let with = |edition| {
        let basis = basis(&account, daily(date(2026, 1, 5)), Before::default()).unwrap();
        let basis = Basis { edition, ..basis };
        let events = vec![
            event("2026-01-05T01:00:00Z", Money::PaymentSucceeded, 7, 10_000_000),
            event("2026-01-05T02:00:00Z", Money::ChargedBack, 8, 10_000_000),
            // In part: Midtrans does not say how much.
            event("2026-01-05T03:00:00Z", Money::ChargedBack, 9, 0),
        ];
        let (folder, finished) = write(&basis, events);
        let name = Part::VolumePerChargeback.file(&basis.set());
        (String::from_utf8(folder.files[&name].clone()).unwrap(), finished)
    };
    let (file, finished) = with(Basis::EDITION);
    let rows = "\"order,8\",8,m-8,2026-01-05T02:00:00Z,SHOP,GoPay,100000.00,IDR,ID,7,charged back at Midtrans\n\
                \"order,9\",9,m-9,2026-01-05T03:00:00Z,SHOP,GoPay,0.00,IDR,ID,8,charged back in part at Midtrans; its amount follows as an adjustment\n\
                SETTLEMENT_DATE,2026-01-06\nRECORD_COUNT,2\nCHECKSUM_AGGREGATE_AMOUNT,100000.00\n";
    assert!(file.ends_with(rows), "{file}");
    assert_eq!(row(&finished, RowType::Chargeback), Some(-10_000_000));
    assert_eq!(row(&finished, RowType::ClearedToMerchant), Some(0));
    // No fee of it, and that of the payment stays.
    assert_eq!(row(&finished, RowType::AcquiringFee), Some(-5));
    // A set of an earlier program is made again as it was.
    let (file, finished) = with(1);
    assert!(file.contains("RECORD_COUNT,0\n"), "{file}");
    assert_eq!(row(&finished, RowType::Chargeback), None);
    assert!(!finished.json.contains("edition"));
}

#[test]
fn a_client_gets_its_files_in_its_form() {
    let mut account = account(vec![("SHOP", vec![terms(date(2026, 1, 1))])]);
    account.form = Form { delimiter: ';', decimal_mark: ',' };
    let basis = basis(&account, daily(date(2026, 1, 5)), Before::default()).unwrap();
    let paid = event("2026-01-05T01:00:00Z", Money::PaymentSucceeded, 7, 10_000_050);
    let (folder, finished) = write(&basis, vec![paid]);
    let text =
        |part: Part| String::from_utf8(folder.files[&part.file(&basis.set())].clone()).unwrap();
    let payments = text(Part::VolumePerTransaction);
    assert!(payments.starts_with("MERCHANT_TX_ID;TX_ID;"), "{payments}");
    let row = "order,7;7;m-7;SUCCEEDED;2026-01-05T01:00:00Z;SHOP;GoPay;100000,50;IDR;ID\n";
    assert!(payments.contains(row), "{payments}");
    assert!(payments.ends_with("CHECKSUM_AGGREGATE_AMOUNT;100000,50\n"), "{payments}");
    assert!(text(Part::Aggregate).contains("SHOP;GoPay;ACQUIRING_FEE;1;-0,05;USD\n"));
    for part in Part::ALL {
        let read = read_table(part, &basis, text(part).as_bytes()).unwrap();
        let facts = finished.manifest.files.iter().find(|one| one.name == part.file(&basis.set()));
        assert_eq!((read.findings.len(), Some(read.total)), (0, facts.unwrap().total), "{part:?}");
        // A point is not of this form.
        let other = text(part).replace("100000,50", "100000.50");
        let found = read_table(part, &basis, other.as_bytes()).unwrap().findings;
        assert_eq!(found.is_empty(), !text(part).contains("100000,50"), "{part:?}");
    }
    assert!(finished.json.contains("\"decimal_mark\": \",\""));
}

#[test]
fn an_event_pays_by_the_terms_of_its_time() {
    let dearer = Terms {
        payment: Fees { succeeded: cents(9), ..terms(date(2026, 1, 5)).payment },
        discount_basis_points: 300,
        ..terms(date(2026, 1, 5))
    };
    let account = account(vec![("SHOP", vec![terms(date(2026, 1, 1)), dearer])]);
    let paid = |at| event(at, Money::PaymentSucceeded, 7, 10_000_000);
    let basis = basis(&account, daily(date(2026, 1, 5)), Before::default()).unwrap();
    // The second is of the day before, and committed late.
    for (at, fee, discount) in
        [("2026-01-05T00:00:00Z", -9, -19), ("2026-01-04T23:59:59.999999Z", -1, -9)]
    {
        let (_, finished) = write(&basis, vec![paid(at)]);
        assert_eq!(row(&finished, RowType::SucceededFee), Some(fee), "{at}");
        assert_eq!(row(&finished, RowType::DiscountFee), Some(discount), "{at}");
    }
    // Before the contract's start nothing is settled.
    let early = paid("2025-12-31T23:59:59.999999Z");
    assert_eq!(basis.concerns(&early), None);
}

#[test]
fn fees_of_time_are_taken_once() {
    let account = account(vec![("SHOP", vec![terms(date(2026, 1, 30))])]);
    let mut last = Before::default();
    let mut seen = Vec::new();
    for day in [date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1)] {
        let (_, finished) = write(&basis(&account, daily(day), last).unwrap(), Vec::new());
        seen.push((
            row(&finished, RowType::MerchantSetupFee),
            row(&finished, RowType::MerchantMonthlyFee),
        ));
        last = before(&finished);
    }
    assert_eq!(seen, [(Some(-700), None), (None, Some(-2_000)), (None, None)]);
    // A week that is split: the part that ends the month pays for it.
    let weekly = Terms { frequency: Frequency::Weekly, ..terms(date(2026, 1, 1)) };
    let account = self::account(vec![("SHOP", vec![weekly])]);
    for (day, fee) in
        [(date(2026, 1, 30), None), (date(2026, 1, 31), Some(-2_000)), (date(2026, 2, 1), None)]
    {
        let period = account.period_of(day).unwrap();
        let (_, finished) = write(&basis(&account, period, Before::default()).unwrap(), Vec::new());
        assert_eq!(row(&finished, RowType::MerchantMonthlyFee), fee, "{period}");
    }
}

#[test]
fn what_is_too_little_or_owed_is_carried_and_costs_no_wire_fee() {
    // After the second day 2.72 are due: 1.22 after the fee of a transfer.
    for (minimum, ends) in
        [(123, [(0, -1_003), (0, 272), (215, 0)]), (122, [(0, -1_003), (122, 0), (0, 93)])]
    {
        let terms = Terms {
            setup_fee: Amount::ZERO,
            reserve_basis_points: 0,
            minimum_transfer: cents(minimum),
            ..terms(date(2026, 1, 1))
        };
        let account = account(vec![("SHOP", vec![terms])]);
        let mut last = Before::default();
        for (day, (transfer, carried)) in (1_u8..).zip(ends) {
            // Refunds only: owed, and no fee.
            let (money, dollars) = [
                (Money::RefundSucceeded, 10),
                (Money::PaymentSucceeded, 13),
                (Money::PaymentSucceeded, 1),
            ][usize::from(day - 1)];
            let at = format!("2026-01-0{day}T10:00:00Z");
            let period = daily(date(2026, 1, day.try_into().unwrap()));
            let basis = basis(&account, period, last).unwrap();
            let paid = event(&at, money, 50 + i64::from(day), 1_616_126 * dollars);
            let (_, finished) = write(&basis, vec![paid]);
            let manifest = &finished.manifest;
            assert_eq!(manifest.transfer, cents(transfer), "{minimum} on {period}");
            assert_eq!(manifest.carry_forward, cents(carried), "{minimum} on {period}");
            assert_eq!(row(&finished, RowType::WireFee), (transfer > 0).then_some(-150));
            last = before(&finished);
        }
    }
}

#[test]
fn a_reserve_comes_back_after_its_days() {
    let held = Terms { setup_fee: Amount::ZERO, ..terms(date(2026, 1, 1)) };
    let account = account(vec![("SHOP", vec![held])]);
    let mut last = Before::default();
    let mut seen = Vec::new();
    for day in 1..=4 {
        let at = format!("2026-01-0{day}T10:00:00Z");
        let paid = event(&at, Money::PaymentSucceeded, i64::from(day), 161_612_625 * 10);
        let events = if day == 1 { vec![paid] } else { Vec::new() };
        let (_, finished) =
            write(&basis(&account, daily(date(2026, 1, day)), last).unwrap(), events);
        let manifest = &finished.manifest;
        seen.push((manifest.reserve_withheld.get(), manifest.reserve_released.get()));
        last = before(&finished);
    }
    assert_eq!(seen, [(5_000, 0), (0, 0), (0, 5_000), (0, 0)]);
    assert_eq!(last.state.reserves, []);
}

#[test]
fn what_cannot_be_settled_says_why() {
    let usd = account(vec![("SHOP", vec![terms(date(2026, 1, 1))])]);
    let euro = Terms { currency: "EUR".into(), ..terms(date(2026, 1, 1)) };
    let euro = account(vec![("SHOP", vec![euro])]);
    let day = daily(date(2026, 1, 2));
    assert!(matches!(
        basis(&usd, daily(date(2026, 3, 20)), Before::default()),
        Err(BasisError::Rate(_))
    ));
    assert!(matches!(basis(&euro, day, Before::default()), Err(BasisError::Rate(_))));
    assert!(matches!(
        basis(&usd, daily(date(2025, 12, 31)), Before::default()),
        Err(BasisError::NoTerms(_))
    ));
    let mut changed = Before { currency: Some("IDR".into()), ..Before::default() };
    assert!(basis(&usd, day, changed.clone()).is_ok());
    changed.state.carry_forward = cents(1);
    assert!(matches!(basis(&usd, day, changed), Err(BasisError::CurrencyChanges { .. })));
    let foreign = Adjustment {
        id: "a".into(),
        contract: "OTHER".into(),
        amount: cents(1),
        reason: "x".into(),
    };
    let refused =
        Basis::new(&usd, day, Before::default(), &rates(), &Calendar::default(), vec![foreign]);
    assert!(matches!(refused, Err(BasisError::Adjustment { .. })));
}

/// The rows of a CSV file without titles and footer.
fn rows(folder: &MemoryFolder, finished: &Finished, part: Part) -> Vec<BTreeMap<String, String>> {
    let content = &folder.files[&part.file(&finished.manifest.set)];
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(content.as_slice());
    let titles = reader.headers().unwrap().clone();
    let all: Vec<_> = reader.records().map(Result::unwrap).collect();
    let (rows, footer) = all.split_at(all.len() - 3);
    assert_eq!(&footer[0][0], "SETTLEMENT_DATE");
    assert_eq!(footer[1][1], rows.len().to_string());
    let pairs = |row: &csv::StringRecord| {
        titles.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
    };
    let rows: Vec<BTreeMap<String, String>> = rows.iter().map(pairs).collect();
    let column = part.titles()[part.amount_column()];
    assert_eq!(footer[2][1], sum(&rows, column, |_| true).to_string());
    rows
}

fn sum(
    rows: &[BTreeMap<String, String>],
    column: &str,
    wanted: impl Fn(&BTreeMap<String, String>) -> bool,
) -> Amount {
    let amounts = rows.iter().filter(|row| wanted(row)).map(|row| row[column].parse().unwrap());
    Amount::sum(amounts).unwrap()
}

/// Events of a chain of days: payments, and refunds of them, of two contracts and a foreign one.
fn events() -> impl Strategy<Value = Vec<(u8, u8, u8, u32, i64)>> {
    prop::collection::vec((0_u8..5, 0_u8..3, 1_u8..20, 0_u32..86_400, 1_i64..20_000_000), 0..60)
}

fn made(drawn: &[(u8, u8, u8, u32, i64)]) -> Vec<MoneyEvent> {
    let make =
        |(place, (kind, contract, day, second, rupiah)): (usize, &(u8, u8, u8, u32, i64))| {
            let money = [
                Money::PaymentStarted,
                Money::PaymentSucceeded,
                Money::RefundStarted,
                Money::RefundSucceeded,
                Money::ChargedBack,
            ][usize::from(*kind)];
            let at =
                midnight(date(2026, 1, *day as i8)).as_micros() + i64::from(*second) * 1_000_000;
            let mut event = event("2026-01-01T00:00:00Z", money, place as i64 + 2, *rupiah * 100);
            event.at = Timestamp::from_micros(at);
            event.contract = ["BIG", "SHOP", "FOREIGN"][usize::from(*contract)].into();
            event
        };
    drawn.iter().enumerate().map(make).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Whatever happens on whichever day, and whatever was carried forward, held back and released:
    /// every set ties out, and all sets together hold every event once.
    #[test]
    fn every_set_ties_out(drawn in events(), weekly: bool, late in 0_u8..20) {
        let frequency = if weekly { Frequency::Weekly } else { Frequency::Daily };
        let big = Terms { frequency, margin_basis_points: 35, ..terms(date(2026, 1, 1)) };
        let shop = [1_u8, 10].map(|day| Terms {
            frequency,
            discount_basis_points: day.into(),
            ..terms(date(2026, 1, day as i8))
        });
        let account = account(vec![("BIG", vec![big]), ("SHOP", shop.to_vec())]);
        let all = made(&drawn);
        let (mut period, mut last) = (account.period_of(date(2026, 1, 1)).unwrap(), Before::default());
        let (mut open, mut ids, mut paid) = (all.clone(), BTreeSet::new(), Amount::ZERO);
        let (mut rows_total, mut transfers) = (Amount::ZERO, Amount::ZERO);
        while period.first() < date(2026, 2, 1) {
            // One event of each period commits late, with the time that it has.
            let kept = open.iter().position(|event| event.at < period.until() && period.number() % 3 == u16::from(late) % 3);
            let (mut now, mut later): (Vec<_>, Vec<_>) = open.into_iter().partition(|event| event.at < period.until());
            if kept.is_some() && period.last() < date(2026, 1, 25) {
                later.extend(now.pop());
            }
            open = later;
            let basis = basis(&account, period, last).unwrap();
            let (folder, finished) = write(&basis, now.clone());
            let manifest = &finished.manifest;
            let [payments, refunds, chargebacks, payment_fees, refund_fees, sums] = [
                Part::VolumePerTransaction, Part::VolumePerRefund, Part::VolumePerChargeback,
                Part::FeePerTransaction, Part::FeePerRefund, Part::Aggregate,
            ].map(|part| rows(&folder, &finished, part));
            for name in ["BIG", "SHOP"] {
                let of = |row: &BTreeMap<String, String>| row["MERCHANT_ID"] == name;
                let aggregate = |kind: &str| sum(&sums, "AGGREGATE_AMOUNT", |row| of(row) && row["EVENT_TYPE"] == kind);
                prop_assert_eq!(sum(&payments, "AMOUNT", of), aggregate("TRANSACTION"));
                prop_assert_eq!(sum(&refunds, "AMOUNT", of).negative().unwrap(), aggregate("REFUND"));
                prop_assert_eq!(sum(&chargebacks, "AMOUNT", of).negative().unwrap(), aggregate("CHARGEBACK"));
                for fee in ["ACQUIRING_FEE", "PROCESSING_FEE", "SUCCEEDED_FEE"] {
                    let wanted = |row: &BTreeMap<String, String>| of(row) && row["FEE_TYPE"] == fee;
                    let both = sum(&payment_fees, "AMOUNT", wanted).plus(sum(&refund_fees, "AMOUNT", wanted)).unwrap();
                    prop_assert_eq!(both.negative().unwrap(), aggregate(fee));
                }
            }
            for (rows, id) in [(&payments, "TX_ID"), (&refunds, "RF_ID"), (&chargebacks, "CB_ID")] {
                for row in rows {
                    prop_assert!(ids.insert(row[id].clone()), "{} twice", row[id]);
                }
                prop_assert!(rows.is_sorted_by_key(|row| row["EVENT_TIMESTAMP"].clone()));
            }
            let in_currency = sum(&sums, "AGGREGATE_AMOUNT", |row| row["CURRENCY"] == "USD");
            prop_assert_eq!(in_currency, manifest.rows_total);
            let left = in_currency.plus(manifest.opening).unwrap().plus(manifest.reserve()).unwrap();
            prop_assert_eq!(left, manifest.transfer.plus(manifest.carry_forward).unwrap());
            let held = Amount::sum(basis.before.reserves.iter().map(|one| one.amount)).unwrap();
            let holds = Amount::sum(manifest.after.reserves.iter().map(|one| one.amount)).unwrap();
            prop_assert_eq!(held.minus(manifest.reserve()).unwrap(), holds);
            prop_assert!(manifest.transfer >= Amount::ZERO);
            paid = paid.plus(sum(&payments, "AMOUNT", |_| true)).unwrap();
            rows_total = rows_total.plus(in_currency).unwrap();
            transfers = transfers.plus(manifest.transfer).unwrap();
            last = before(&finished);
            period = period.next().unwrap();
        }
        let settled = all.iter().filter(|event| event.contract != "FOREIGN");
        let moved: Vec<_> = settled
            .filter(|event| !matches!(event.money, Money::PaymentStarted | Money::RefundStarted))
            .collect();
        prop_assert_eq!(ids.len(), moved.len());
        let in_store = moved.iter().filter(|event| event.money == Money::PaymentSucceeded);
        prop_assert_eq!(paid, Amount::sum(in_store.map(|event| event.amount)).unwrap());
        let held = Amount::sum(last.state.reserves.iter().map(|one| one.amount)).unwrap();
        let left = transfers.plus(last.state.carry_forward).unwrap().plus(held).unwrap();
        prop_assert_eq!(left, rows_total);
    }
}
