//! The requests that are kept for editors and for Bruno, sent as they stand.

use std::path::Path;

use serde_json::json;

use crate::support::{Answer, Demo, decode, encode};

fn kept(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/requests").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What each call of a paid and partly refunded payment answers: its name, a key, a value.
const ANSWERS: [(&str, &str, &str); 8] = [
    ("TRANSACTION", "STATUS", "PENDING"),
    ("GETTXSTATUS", "STATUS", "SUCCEEDED"),
    ("GETTXSTATUSBYMERCHANTTXID", "STATUS", "SUCCEEDED"),
    ("REFUND", "STATUS", "SUCCEEDED"),
    ("GETREFUNDSTATUS", "STATUS", "SUCCEEDED"),
    ("GETREFUNDBYMERCHANTREFUNDID", "STATUS", "SUCCEEDED"),
    ("CANCELTX", "ERRMSG", "Transaction is not pending"),
    ("REQUESTDATA", "ERRMSG", "No data available"),
];

/// Sends a body for each call, in their order; the payment is paid in between.
async fn sent(demo: &Demo, body: impl Fn(&str, &str, &str) -> String) {
    let (mut txid, mut refundid) = (String::new(), String::new());
    for (name, key, wanted) in ANSWERS {
        let (status, text) = demo.post(body(name, &txid, &refundid)).await;
        assert_eq!(status, 200, "{name}: {text}");
        let answer: Answer = decode(&text);
        assert_eq!(answer[key], wanted, "{name}: {answer:?}");
        match name {
            "TRANSACTION" => {
                txid.clone_from(&answer["TXID"]);
                demo.wallet(&txid, "pay", json!({})).await;
                demo.until_status(&txid, "SUCCEEDED").await;
            }
            "REFUND" => refundid.clone_from(&answer["REFUNDID"]),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_requests_for_editors_do_what_they_are_kept_for() {
    let demo = Demo::start().await;
    let text = kept("simple-api.http");
    let requests: Vec<&str> = text.split("\n### ").skip(1).collect();
    sent(&demo, |name, txid, refundid| {
        let mine = requests.iter().find(|one| one.starts_with(&format!("{name}:")));
        let (_, body) = mine.expect(name).split_once("\n\n").expect("a body");
        let body = body.trim_end().replace("\n&", "&");
        body.replace("{{txid}}", txid).replace("{{refundid}}", refundid)
    })
    .await;
    let feed = requests.last().expect("the feed");
    let line = feed.lines().find_map(|line| line.strip_prefix("GET {{adapter}}")).expect("a line");
    let request = demo.http.get(format!("{}{line}", demo.adapter));
    let words: Vec<&str> = feed.split_whitespace().rev().take(2).collect();
    let answer = request.basic_auth(words[1], Some(words[0])).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.text().await.expect("text").lines().count(),
        3,
        "paid, refunded, and the end"
    );
}

#[tokio::test]
async fn the_collection_does_what_it_is_kept_for() {
    let demo = Demo::start().await;
    let environment = kept("bruno/environments/demo.bru");
    let fills: Vec<(&str, &str)> =
        environment.lines().filter_map(|line| line.trim().split_once(": ")).collect();
    sent(&demo, |name, txid, refundid| {
        let text = kept(&format!("bruno/{name}.bru"));
        let (_, form) = text.split_once("body:form-urlencoded {\n").expect("a form");
        let (form, _) = form.split_once("\n}").expect("its end");
        let pairs: Vec<(&str, String)> = form
            .lines()
            .filter_map(|line| line.trim().split_once(": "))
            .filter(|(key, _)| !key.starts_with('~'))
            .map(|(key, value)| {
                let filled = value.replace("{{txid}}", txid).replace("{{refundid}}", refundid);
                let fill = |text: String, (key, value): &(&str, &str)| {
                    text.replace(&format!("{{{{{key}}}}}"), value)
                };
                (key, fills.iter().fold(filled, fill))
            })
            .collect();
        encode(pairs.iter().map(|(key, value)| (*key, value.as_str())))
    })
    .await;
}
