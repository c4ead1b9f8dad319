//! Two PSPs with several contracts at one adapter: each sees its own and nothing else.
use crate::support::receiver::{Receiver, Reply};
use crate::support::served::{Served, hash_password};
use crate::support::wire::{SERVER_KEY, expect, nested};
use crate::support::{Answer, decode, encode};
use serde_json::json;

type Who = (&'static str, &'static str, &'static str);

const A: Who = ("psp-a", "password-a", "A-1");
const A_OTHER: Who = ("psp-a", "password-a", "A-2");
const A_DISABLED: Who = ("psp-a", "password-a", "A-OFF");
const A_SMALL: Who = ("psp-a", "password-a", "A-SMALL");
const A_NO_REFUNDS: Who = ("psp-a", "password-a", "A-FINAL");
const A_BARE: Who = ("psp-a", "password-a", "A-BARE");
const B: Who = ("psp-b", "pass word+b&c=\u{e9}", "B-1");

/// `{simulator}` is filled in at the start.
fn config(to_a: &Receiver, to_b: &Receiver) -> String {
    let client = |login: &str, password: &str, rest: &str| {
        let hash = hash_password(password);
        format!("[[client]]\nlogin = \"{login}\"\npassword_hash = \"{hash}\"\n{rest}\n")
    };
    let contract = |who: Who, rest: &str| {
        format!("[[contract]]\nid = \"{}\"\nclient = \"{}\"\n{rest}\n", who.2, who.0)
    };
    let urls = |to: &Receiver| {
        format!(
            "notification_url = \"{}\"\nredirect_url = \"https://shop.example/{{x}}\"\n",
            to.url()
        )
        .replace("{x}", "return")
    };
    let (a, b) = (urls(to_a), urls(to_b));
    [
        format!(
            "[midtrans.test]\nbase_url = \"{{simulator}}\"\nserver_key = \"{SERVER_KEY}\"\n\
             [delivery]\nallow_private = [\"127.0.0.0/8\"]\nschedule = [\"20 x 1s\"]\n"
        ),
        client(
            A.0,
            A.1,
            "shared_secret = \"shared-a\"\nnotification_secrets = [\"new-a\", \"old-a\"]",
        ),
        client(
            B.0,
            B.1,
            "shared_secret = \"shared-b\"\nnotification_secrets = [\"only-b\"]\n\
             require_ok_body = true",
        ),
        contract(A, &format!("kyc = \"verified\"\n{a}")),
        contract(A_OTHER, &format!("kyc = \"verified\"\n{a}")),
        contract(A_DISABLED, &format!("enabled = false\n{a}")),
        contract(A_SMALL, &format!("kyc = \"unverified\"\n{a}")),
        contract(A_NO_REFUNDS, &format!("refunds = false\n{a}")),
        contract(A_BARE, ""),
        contract(B, &b),
    ]
    .concat()
}

struct Both {
    served: Served,
    to_a: Receiver,
    to_b: Receiver,
}

async fn start() -> Both {
    let (to_a, to_b) = (Receiver::start().await, Receiver::start().await);
    let served = Served::start(&config(&to_a, &to_b)).await;
    Both { served, to_a, to_b }
}

impl Both {
    async fn paid(&self, who: Who, changes: &[(&str, &str)]) -> Answer {
        let answer = self.served.open_as(who, changes).await;
        assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
        self.served.wallet(&answer["TXID"], "pay", json!({})).await;
        self.served
            .eventually("paid", async || {
                let pairs = [("txid", answer["TXID"].as_str())];
                self.served.call_as(who, "GETTXSTATUS", &pairs).await["STATUS"] == "SUCCEEDED"
            })
            .await;
        answer
    }

    async fn refund(&self, who: Who, txid: &str) -> Answer {
        let pairs = [
            ("txid", txid),
            ("currency", "IDR"),
            ("amount", "100000"),
            ("merchantrefundid", "RF-1"),
        ];
        self.served.call_as(who, "REFUND", &pairs).await
    }
}

fn total(amount: &str, price: &str) -> [(&'static str, String); 2] {
    let cart = format!(r#"[{{"name":"table","price":"{price}","quantity":1}}]"#);
    [("amount", amount.to_owned()), ("transientin.orderitems", cart)]
}

fn borrowed<'a>(pairs: &'a [(&'static str, String); 2]) -> Vec<(&'a str, &'a str)> {
    pairs.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn nobody_sees_the_transactions_and_refunds_of_another_contract() {
    let both = start().await;
    let reference = [("merchanttxid", "ORDER-1")];
    let paid = both.paid(A, &reference).await;
    let open = both.served.open_as(A, &[("merchanttxid", "ORDER-2")]).await;
    let made = both.refund(A, &paid["TXID"]).await;
    expect(&made, &[("STATUS", "SUCCEEDED")]);
    let (txid, refund_id) = (paid["TXID"].as_str(), made["REFUNDID"].as_str());
    for who in [B, A_OTHER] {
        let tx_not_found = [
            ("REQUESTSTATUS", "FAILED"),
            ("REQUESTFAILREASON", "TX_NOT_FOUND"),
            ("STATUS", "FAILED"),
            ("TXID", "0"),
        ];
        let refund_not_found = [
            ("REQUESTSTATUS", "FAILED"),
            ("REQUESTFAILREASON", "REFUND_NOT_FOUND"),
            ("STATUS", "FAILED"),
            ("REFUNDID", "0"),
        ];
        for (txtype, name, value, unknown, expected) in [
            ("GETTXSTATUS", "txid", txid, "999", tx_not_found),
            ("GETTXSTATUSBYMERCHANTTXID", "merchanttxid", "ORDER-1", "none", tx_not_found),
            ("CANCELTX", "txid", open["TXID"].as_str(), "999", tx_not_found),
            ("CANCELTX", "txid", txid, "999", tx_not_found),
            ("GETREFUNDSTATUS", "refundid", refund_id, "999", refund_not_found),
            (
                "GETREFUNDSTATUSBYMERCHANTREFUNDID",
                "merchantrefundid",
                "RF-1",
                "none",
                refund_not_found,
            ),
            ("GETREFUNDBYMERCHANTREFUNDID", "merchantrefundid", "RF-1", "none", refund_not_found),
        ] {
            let foreign = both.served.call_as(who, txtype, &[(name, value)]).await;
            expect(&foreign, &expected);
            // Byte for byte what an id that nobody has draws, but for the random pair.
            let nobodys = both.served.call_as(who, txtype, &[(name, unknown)]).await;
            let plain = |answer: &Answer| -> Vec<(String, String)> {
                let pairs = answer.iter().filter(|(key, _)| !key.starts_with("RAND"));
                pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
            };
            assert_eq!(plain(&foreign), plain(&nobodys), "{txtype} as {who:?}");
        }
        let refund = both.refund(who, txid).await;
        expect(
            &refund,
            &[
                ("STATUS", "FAILED"),
                ("REFUNDID", "0"),
                ("FAILREASON", "INPUT_DATA"),
                ("ERRMSG", "Transaction not found"),
            ],
        );
    }
    assert_eq!(both.served.upstream(txid).await["refunded"], 1_000);
    assert_eq!(both.served.upstream(&open["TXID"]).await["status"], "pending");
    expect(
        &both.served.call_as(A, "GETTXSTATUS", &[("txid", txid)]).await,
        &[("STATUS", "SUCCEEDED")],
    );
}

#[tokio::test]
async fn references_and_nonces_of_other_contracts_do_not_collide() {
    let both = start().await;
    let mut ids = Vec::new();
    for who in [A, A_OTHER, B] {
        let changes = [("merchanttxid", "ORDER-1"), ("nonce", "n-1")];
        let paid = both.paid(who, &changes).await;
        let made = both.refund(who, &paid["TXID"]).await;
        expect(&made, &[("STATUS", "SUCCEEDED")]);
        ids.push((who, paid["TXID"].clone(), made["REFUNDID"].clone()));
    }
    for (who, txid, refund_id) in &ids {
        let tx = [("merchanttxid", "order-1")];
        let found = both.served.call_as(*who, "GETTXSTATUSBYMERCHANTTXID", &tx).await;
        expect(&found, &[("REQUESTSTATUS", "SUCCEEDED"), ("TXID", txid)]);
        let refund = [("merchantrefundid", "rf-1")];
        let found = both.served.call_as(*who, "GETREFUNDBYMERCHANTREFUNDID", &refund).await;
        expect(&found, &[("REQUESTSTATUS", "SUCCEEDED"), ("REFUNDID", refund_id)]);
    }
    // Within one contract they do.
    both.served.open_as(A, &[("merchanttxid", "Order-1")]).await;
    let tx = [("merchanttxid", "order-1")];
    let found = both.served.call_as(A, "GETTXSTATUSBYMERCHANTTXID", &tx).await;
    expect(
        &found,
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
async fn wrong_credentials_are_refused_without_a_word_about_what_was_wrong() {
    let both = start().await;
    let open = both.served.open_as(A, &[]).await;
    let txid = open["TXID"].as_str();
    let mut answers = Vec::new();
    for who in [
        ("psp-a", "password-b", "A-1"),
        ("psp-a", "password-a ", "A-1"),
        ("psp-a", "Password-a", "A-1"),
        ("PSP-A", "password-a", "A-1"),
        ("nobody", "password-a", "A-1"),
        ("psp-a", "password-a", "B-1"),
        ("psp-a", "password-a", "a-1"),
        ("psp-a", "password-a", "NONE"),
        ("psp-b", "password-a", "A-1"),
        (B.0, B.1, "A-1"),
        // Another's disabled contract is as good as none.
        (B.0, B.1, "A-OFF"),
        ("psp-b", "password-a", "B-1"),
    ] {
        let transaction = both.served.open_as(who, &[]).await;
        expect(
            &transaction,
            &[
                ("STATUS", "FAILED"),
                ("TXID", "0"),
                ("FAILREASON", "INPUT_DATA"),
                ("ERRMSG", "Authentication failed"),
                ("CHANNEL", ""),
            ],
        );
        answers.push(transaction["ERRMSG"].clone());
        let refund = both.refund(who, txid).await;
        expect(
            &refund,
            &[("STATUS", "FAILED"), ("REFUNDID", "0"), ("ERRMSG", "Authentication failed")],
        );
        for (txtype, name, id) in [
            ("GETTXSTATUS", "txid", "TXID"),
            ("GETTXSTATUSBYMERCHANTTXID", "merchanttxid", "TXID"),
            ("CANCELTX", "txid", "TXID"),
            ("GETREFUNDSTATUS", "refundid", "REFUNDID"),
            ("GETREFUNDSTATUSBYMERCHANTREFUNDID", "merchantrefundid", "REFUNDID"),
        ] {
            let answer = both.served.call_as(who, txtype, &[(name, txid)]).await;
            expect(
                &answer,
                &[
                    ("REQUESTSTATUS", "FAILED"),
                    ("REQUESTFAILREASON", "AUTH_ERROR"),
                    ("STATUS", "FAILED"),
                    (id, "0"),
                    ("ERRMSG", "Authentication failed"),
                ],
            );
        }
    }
    assert_eq!(both.served.totals().await["payments"], json!({"pending": 1}));
    // The right ones still work, also after so many wrong ones.
    expect(&both.served.open_as(B, &[]).await, &[("STATUS", "PENDING")]);
    expect(&both.served.open_as(A, &[]).await, &[("STATUS", "PENDING")]);
}

#[tokio::test]
async fn credentials_that_are_missing_are_named() {
    let both = start().await;
    for name in ["login", "password", "contractid"] {
        for value in [Some(""), None] {
            let mut pairs = vec![
                ("returnmode", "urlencodeext"),
                ("txtype", "GETTXSTATUS"),
                ("login", A.0),
                ("password", A.1),
                ("contractid", A.2),
                ("txid", "1"),
            ];
            pairs.retain(|(other, _)| *other != name);
            pairs.extend(value.map(|value| (name, value)));
            let (status, text) = both.served.post(encode(pairs)).await;
            assert_eq!(status, 200);
            let answer = decode(&text);
            expect(&answer, &[("REQUESTSTATUS", "FAILED"), ("REQUESTFAILREASON", "AUTH_ERROR")]);
            assert_eq!(answer["ERRMSG"], format!("{name}: missing; send it with a value"));
        }
    }
}

#[tokio::test]
async fn a_disabled_contract_is_declined() {
    let both = start().await;
    let answer = both.served.open_as(A_DISABLED, &[]).await;
    expect(&answer, &[("STATUS", "FAILED"), ("FAILREASON", "LOCAL_DECLINE")]);
    assert!(answer["ERRMSG"].starts_with("contractid: the contract is disabled"), "{answer:?}");
    assert_ne!(answer["TXID"], "0", "it is on record");
    let txid = answer["TXID"].as_str();
    for (txtype, name) in [
        ("GETTXSTATUS", "txid"),
        ("GETTXSTATUSBYMERCHANTTXID", "merchanttxid"),
        ("CANCELTX", "txid"),
        ("GETREFUNDSTATUS", "refundid"),
        ("GETREFUNDSTATUSBYMERCHANTREFUNDID", "merchantrefundid"),
    ] {
        let answer = both.served.call_as(A_DISABLED, txtype, &[(name, txid)]).await;
        expect(&answer, &[("REQUESTSTATUS", "FAILED"), ("REQUESTFAILREASON", "AUTH_ERROR")]);
    }
    let refund = both.refund(A_DISABLED, txid).await;
    expect(&refund, &[("STATUS", "FAILED"), ("REFUNDID", "0"), ("FAILREASON", "LOCAL_DECLINE")]);
    assert!(both.served.all_upstream().await.is_empty());
}

#[tokio::test]
async fn a_channel_that_the_contract_does_not_use_is_refused() {
    let both = start().await;
    for who in [A, B] {
        let answer = both.served.open_as(who, &[("channel", "livechannel")]).await;
        expect(&answer, &[("STATUS", "FAILED"), ("FAILREASON", "INPUT_DATA")]);
        assert!(answer["ERRMSG"].starts_with("channel: not a channel of the contract"));
        assert_eq!(answer["CHANNEL"], "livechannel");
    }
    let answer = both.served.open_as(A, &[("channel", "otherchannel")]).await;
    expect(&answer, &[("FAILREASON", "INPUT_DATA"), ("CHANNEL", "otherchannel")]);
    assert!(both.served.all_upstream().await.is_empty());
}

#[tokio::test]
async fn the_limit_of_a_contract_depends_on_its_kyc() {
    let both = start().await;
    for (who, amount, price, code) in [
        (A_SMALL, "200000000", "2000000.00", None),
        (A_SMALL, "200000100", "2000001.00", Some("as the contract is without KYC")),
        (A_SMALL, "2000000100", "20000001.00", Some("at most 2000000000 (IDR 20,000,000)")),
        (A, "200000100", "2000001.00", None),
        (A, "2000000000", "20000000.00", None),
        (A, "2000000100", "20000001.00", Some("at most 2000000000 (IDR 20,000,000)")),
        (A, "100", "1.00", None),
        // A contract that says nothing about it is without KYC.
        (B, "200000100", "2000001.00", Some("as the contract is without KYC")),
    ] {
        let changes = total(amount, price);
        let answer = both.served.open_as(who, &borrowed(&changes)).await;
        match code {
            None => expect(&answer, &[("STATUS", "PENDING")]),
            Some(text) => {
                expect(&answer, &[("STATUS", "FAILED"), ("FAILREASON", "INPUT_DATA")]);
                assert!(answer["ERRMSG"].contains(text), "{who:?} {amount}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_contract_without_refunds_refunds_nothing() {
    let both = start().await;
    let paid = both.paid(A_NO_REFUNDS, &[]).await;
    let refund = both.refund(A_NO_REFUNDS, &paid["TXID"]).await;
    expect(
        &refund,
        &[
            ("STATUS", "FAILED"),
            ("FAILREASON", "LOCAL_DECLINE"),
            ("ERRMSG", "The contract does not allow refunds"),
        ],
    );
    assert_ne!(refund["REFUNDID"], "0", "it is on record");
    assert_eq!(both.served.upstream(&paid["TXID"]).await["refunded"], 0);
}

#[tokio::test]
async fn a_contract_without_addresses_needs_them_in_the_call() {
    let both = start().await;
    let notify = both.to_a.url();
    let home = ("merchantredirecturl", "https://shop.example/r");
    let notification = ("notificationurl", notify.as_str());
    for (changes, missing) in [
        (&[][..], "merchantredirecturl"),
        (&[notification][..], "merchantredirecturl"),
        (&[home][..], "notificationurl"),
        (&[home, ("notificationurl", "")][..], "notificationurl"),
    ] {
        let answer = both.served.open_as(A_BARE, changes).await;
        expect(&answer, &[("STATUS", "FAILED"), ("FAILREASON", "INPUT_DATA")]);
        let text = format!("{missing}: missing; send it with a value");
        assert_eq!(answer["ERRMSG"], text, "{changes:?}");
    }
    let paid = both.paid(A_BARE, &[home, notification]).await;
    let txid = paid["TXID"].as_str();
    both.served.eventually("told", async || both.to_a.seen_of(txid).len() == 1).await;
}

#[tokio::test]
async fn each_client_has_its_own_secrets_and_receiver() {
    let both = start().await;
    for (who, receiver, notification_secret, shared_secret) in
        [(A, &both.to_a, "new-a", "shared-a"), (B, &both.to_b, "only-b", "shared-b")]
    {
        let paid = both.paid(who, &[]).await;
        let txid = paid["TXID"].as_str();
        both.served.eventually("told", async || !receiver.seen_of(txid).is_empty()).await;
        let seen = receiver.seen_of(txid);
        let hash = nested(txid, seen[0].field("finaltimestamp"), notification_secret);
        assert_eq!(seen[0].field("sha256hash"), hash, "{who:?}");
        let (_, location, _) = both.served.browse(&paid["REDIRECTURL"], "Android").await;
        let cs = nested(txid, &paid["REDIRECTSECRET"], shared_secret);
        assert_eq!(location, format!("https://shop.example/return?txid={txid}&cs={cs}"));
    }
    both.served.until_outbox_empty().await;
    assert_eq!((both.to_a.seen().len(), both.to_b.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_client_that_wants_ok_in_the_body_is_told_until_it_says_so() {
    let both = start().await;
    let bodies = ["", "ok", "accepted", " OK"];
    both.to_b.then(bodies.map(|body| Reply::Body(200, body.to_owned())));
    both.to_b.then([Reply::Body(500, "OK".to_owned()), Reply::Body(200, "OK, thanks".to_owned())]);
    let txid = both.paid(B, &[]).await["TXID"].clone();
    both.served.until_outbox_empty().await;
    assert_eq!(both.to_b.seen_of(&txid).len(), 6);
    assert_eq!(both.served.totals().await["deliveries"], json!({"delivered": 1}));
}
