//! Calls about what is there: by reference, by both names, cancelling.

use super::*;

#[tokio::test]
async fn look_ups_by_reference_ignore_case_and_refuse_to_guess() {
    let demo = Demo::start().await;
    let by_reference = async |reference: &str| {
        call(&demo, "GETTXSTATUSBYMERCHANTTXID", &[("merchanttxid", reference)]).await
    };
    let first = demo.transaction(&[("merchanttxid", "Order.1,a-_Z")]).await;
    for reference in ["Order.1,a-_Z", "ORDER.1,A-_Z", "order.1,a-_z"] {
        let found = by_reference(reference).await;
        expect(
            &found,
            &[
                ("REQUESTSTATUS", "SUCCEEDED"),
                ("TXID", &first["TXID"]),
                ("MERCHANTTXID", "Order.1,a-_Z"),
            ],
        );
    }
    // Nothing in a reference is a wildcard, and letters that only look or fold alike are others.
    for reference in [
        "%",
        "_____________",
        "Order.1,a-_",
        "Order.1,a-_Z ",
        "Order_1,a-_Z",
        "*",
        "\u{212a}",
        "Order.1,\u{430}-_Z",
        "x'--",
        &"x".repeat(41),
        &"x".repeat(100_000),
    ] {
        let none = by_reference(reference).await;
        expect(
            &none,
            &[
                ("REQUESTSTATUS", "FAILED"),
                ("REQUESTFAILREASON", "TX_NOT_FOUND"),
                ("STATUS", "FAILED"),
                ("TXID", "0"),
            ],
        );
    }
    // A refused call counts, too: it has a TXID of its own.
    let second = demo.transaction(&[("merchanttxid", "ORDER.1,A-_Z"), ("amount", "1")]).await;
    assert_eq!(second["STATUS"], "FAILED");
    let many = by_reference("order.1,a-_z").await;
    expect(
        &many,
        &[
            ("REQUESTSTATUS", "FAILED"),
            ("REQUESTFAILREASON", "TX_NOT_UNIQUE"),
            ("STATUS", "FAILED"),
            ("TXID", "0"),
            ("ERRMSG", "Ambiguous MerchantTxId"),
        ],
    );
}

#[tokio::test]
async fn refunds_are_found_by_both_names_of_the_look_up() {
    let demo = Demo::start().await;
    let txid = demo.paid().await;
    let refund = async |reference: &str, sen: &str| {
        let pairs = [
            ("txid", txid.as_str()),
            ("currency", "IDR"),
            ("amount", sen),
            ("merchantrefundid", reference),
        ];
        call(&demo, "REFUND", &pairs).await
    };
    let names = ["GETREFUNDBYMERCHANTREFUNDID", "GETREFUNDSTATUSBYMERCHANTREFUNDID"];
    let one = refund("Ms123R", "100000").await;
    expect(&one, &[("STATUS", "SUCCEEDED"), ("MERCHANTREFUNDID", "Ms123R"), ("ERRMSG", "")]);
    for txtype in names {
        let found = call(&demo, txtype, &[("merchantrefundid", "mS123r")]).await;
        expect(
            &found,
            &[
                ("REQUESTSTATUS", "SUCCEEDED"),
                ("STATUS", "SUCCEEDED"),
                ("REFUNDID", &one["REFUNDID"]),
                ("MERCHANTREFUNDID", "Ms123R"),
            ],
        );
        let none = call(&demo, txtype, &[("merchantrefundid", "other")]).await;
        expect(&none, &[("REQUESTFAILREASON", "REFUND_NOT_FOUND"), ("REFUNDID", "0")]);
    }
    // Neither id is unique by force: the same reference makes a second refund.
    let two = refund("MS123R", "100000").await;
    assert_eq!(two["STATUS"], "SUCCEEDED");
    assert_ne!(two["REFUNDID"], one["REFUNDID"]);
    for txtype in names {
        let many = call(&demo, txtype, &[("merchantrefundid", "MS123R")]).await;
        expect(&many, &[("REQUESTFAILREASON", "REFUND_NOT_UNIQUE"), ("REFUNDID", "0")]);
    }
    // A transaction's id is not a refund's, nor the other way round.
    let crossed = call(&demo, "GETREFUNDSTATUS", &[("refundid", &txid)]).await;
    assert_eq!(crossed["REQUESTFAILREASON"], "REFUND_NOT_FOUND");
    let crossed = call(&demo, "GETTXSTATUS", &[("txid", &one["REFUNDID"])]).await;
    assert_eq!(crossed["REQUESTFAILREASON"], "TX_NOT_FOUND");
}

#[tokio::test]
async fn refund_refusals_name_the_parameter_and_are_recorded() {
    let demo = Demo::start().await;
    let txid = demo.paid().await;
    let good = [("currency", "IDR"), ("amount", "100000"), ("merchantrefundid", "R-1")];
    for (name, value) in [
        ("currency", "-"),
        ("currency", "idr"),
        ("currency", "USD"),
        ("amount", "-"),
        ("amount", ""),
        ("amount", "0"),
        ("amount", "50"),
        ("amount", "-100"),
        ("amount", "1e2"),
        ("amount", "1000100"),
        ("amount", "18446744073709551616"),
        ("merchantrefundid", ""),
        ("merchantrefundid", "a b"),
        ("merchantrefundid", "\u{e9}"),
    ] {
        let mut pairs = vec![("txid", txid.as_str())];
        pairs.extend(good.iter().filter(|(other, _)| *other != name));
        if value != "-" {
            pairs.push((name, value));
        }
        let answer = call(&demo, "REFUND", &pairs).await;
        expect(&answer, &[("STATUS", "FAILED"), ("FAILREASON", "INPUT_DATA")]);
        let named = answer["ERRMSG"].starts_with(&format!("{name}: "));
        assert!(named && answer["REFUNDID"] != "0", "{name}={value:?}: {answer:?}");
        let kept = call(&demo, "GETREFUNDSTATUS", &[("refundid", &answer["REFUNDID"])]).await;
        for key in ["STATUS", "REFUNDID", "ERRMSG", "FAILREASON"] {
            assert_eq!(kept[key], answer[key], "{name}={value:?}");
        }
    }
    assert_eq!(demo.upstream(&txid).await["refunded"], 0, "none of them reached GoPay");
    let all = demo.refund(&txid, 1_000_000).await;
    assert_eq!(all["STATUS"], "SUCCEEDED", "none of them reserved anything: {all:?}");
}

#[tokio::test]
async fn cancelling_takes_only_the_parameters_of_the_transaction() {
    let demo = Demo::start().await;
    let pairs = [("specin.email", "siti@example.org"), ("specin.own", "1")];
    let txid = demo.transaction(&pairs).await["TXID"].clone();
    for (name, value) in [
        ("specin.email", "other@example.org"),
        ("specin.email", ""),
        ("specin.own", "2"),
        ("specin.phone", "+628123456789"),
        ("specin.new", "1"),
    ] {
        let answer = call(&demo, "CANCELTX", &[("txid", &txid), (name, value)]).await;
        assert_eq!(answer["REQUESTSTATUS"], "FAILED", "{name}={value}: {answer:?}");
        assert!(!answer["ERRMSG"].contains("example.org"), "{answer:?}");
        assert_eq!(demo.status(&txid).await["STATUS"], "PENDING", "{name}={value}");
    }
    let same = [&[("txid", txid.as_str())][..], &pairs[..]].concat();
    let answer = call(&demo, "CANCELTX", &same).await;
    expect(&answer, &[("REQUESTSTATUS", "SUCCEEDED"), ("FAILREASON", "CANCELED")]);
    demo.until_upstream(&txid, "cancel").await;
    let again = call(&demo, "CANCELTX", &same).await;
    expect(
        &again,
        &[
            ("REQUESTSTATUS", "FAILED"),
            ("REQUESTFAILREASON", "UNKNOWN"),
            ("STATUS", "FAILED"),
            ("FAILREASON", "CANCELED"),
            ("TXID", &txid),
            ("ERRMSG", "Transaction is not pending"),
        ],
    );
}
