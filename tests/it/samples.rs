//! The published samples of Midtrans' charge answers, through the whole system: as they stand they
//! belong to another order, and must open nothing; with our order in them they open a payment that
//! leads to their deeplink.

use crate::support::Demo;
use crate::support::served::{Served, hash_password};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

const PHONE: &str = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Mobile";

/// File, its order and amount, its deeplink.
const SAMPLES: [(&str, &str, &str, &str); 3] = [
    (
        "charge-created-docs-core-api-e-wallet.json",
        "order-101h-1570513296",
        "44000.00",
        "https://simulator.sandbox.midtrans.com/gopay/ui/checkout?referenceid=Y0xwjoQ9uy&callback_url=someapps%3A%2F%2Fcallback%3Forder_id%3Dorder-101h-1570513296",
    ),
    (
        "charge-created-mt-alt-doc-core-api-gopay.json",
        "order-101h-1570513296",
        "44000.00",
        "https://simulator.sandbox.midtrans.com/gopay/ui/checkout?referenceid=Y0xwjoQ9uy&callback_url=someapps%3A%2F%2Fcallback%3Forder_id%3Dorder-101h-1570513296",
    ),
    (
        "charge-created-mt-alt-doc-gopay-qris-pos.json",
        "SAMPLE-ORDER-ID-01",
        "10000.00",
        "gojek://gopay/merchanttransfer?tref=1509110800474199656LMVO&amount=10000&activity=GP:RR&callback_url=someapps://callback?order_id=SAMPLE-ORDER-ID-01",
    ),
];

fn sample(name: &str) -> String {
    let path = format!("{}/tests/fixtures/midtrans/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("a fixture")
}

#[tokio::test]
async fn a_sample_as_it_stands_is_about_another_order_and_opens_nothing() {
    let demo = Demo::start().await;
    for (name, ..) in SAMPLES {
        let answer = json!({"http": {"status": 200, "body": sample(name)}});
        demo.fault(json!({"on": "charge", "action": answer, "times": null})).await;
        let answer = demo.transaction(&[]).await;
        assert_eq!(answer["STATUS"], "FAILED", "{name}");
        assert_eq!(answer["FAILREASON"], "REMOTE_ERROR", "{name}");
        assert!(!answer.contains_key("REDIRECTURL"), "{name}");
        demo.simulate("DELETE", "faults", Value::Null).await;
    }
}

/// An upstream that answers every charge with a sample, its order and amount replaced by ours in
/// the text, every other byte as published.
async fn upstream(sample: String, order_id: &'static str, gross: &'static str) -> String {
    let charge = move |State(sample): State<String>, body: Bytes| async move {
        let charge: Value = serde_json::from_slice(&body).expect("a charge in JSON");
        let details = charge.get("transaction_details").expect("details");
        let ours = details.get("order_id").and_then(Value::as_str).expect("text");
        let amount = format!("\"{}.00\"", details.get("gross_amount").expect("an amount"));
        sample
            .replace(&format!("\"order_id\": \"{order_id}\""), &format!("\"order_id\": \"{ours}\""))
            .replace(&format!("\"{gross}\""), &amount)
    };
    let router = Router::new().route("/v2/charge", post(charge)).with_state(sample);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The program in front of this upstream.
async fn served(upstream: &str, hash: &str) -> Served {
    Served::start(&format!(
        r#"
        [midtrans.test]
        base_url = "{upstream}"
        server_key = "SB-Mid-server-demo"
        [[client]]
        login = "testclient"
        password_hash = "{hash}"
        shared_secret = "examplesharedsecret"
        notification_secrets = ["examplenotificationsecret"]
        [[contract]]
        id = "TESTCONTRACT"
        client = "testclient"
        notification_url = "https://psp.example/notify"
        redirect_url = "https://shop.example/return"
        "#
    ))
    .await
}

#[tokio::test]
async fn a_sample_with_our_order_in_it_leads_to_its_deeplink() {
    let hash = hash_password("test123");
    for (name, order_id, gross, deeplink) in SAMPLES {
        let upstream = upstream(sample(name), order_id, gross).await;
        let served = served(&upstream, &hash).await;
        let answer = served.transaction(&[]).await;
        assert_eq!(answer["STATUS"], "PENDING", "{name}: {answer:?}");
        let (status, location, _) = served.browse(&answer["REDIRECTURL"], PHONE).await;
        assert_eq!((status, location.as_str()), (302, deeplink), "{name}");
    }
}

#[tokio::test]
async fn a_deeplink_with_a_blank_or_a_letter_beyond_ascii_is_encoded_and_followed() {
    let hash = hash_password("test123");
    let (name, order_id, gross, deeplink) = SAMPLES[2];
    let spelled = format!("{deeplink}&shop=Toko Kopi Caf\u{e9}");
    let text = sample(name).replace(deeplink, &spelled);
    assert!(text.contains(&spelled), "the sample names the deeplink as it is");
    let served = served(&upstream(text, order_id, gross).await, &hash).await;
    let answer = served.transaction(&[]).await;
    assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
    let (status, location, _) = served.browse(&answer["REDIRECTURL"], PHONE).await;
    let expected = format!("{deeplink}&shop=Toko%20Kopi%20Caf%C3%A9");
    assert_eq!((status, location), (302, expected));
}

#[tokio::test]
async fn on_the_live_channel_a_browser_that_looks_like_a_computers_can_open_the_app() {
    const IPAD: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15";
    let hash = hash_password("test123");
    let (name, order_id, gross, deeplink) = SAMPLES[2];
    let upstream = upstream(sample(name), order_id, gross).await;
    let served = Served::start(&format!(
        r#"
        [midtrans.live]
        base_url = "{upstream}"
        server_key = "Mid-server-demo"
        [[client]]
        login = "testclient"
        password_hash = "{hash}"
        shared_secret = "examplesharedsecret"
        notification_secrets = ["examplenotificationsecret"]
        [[contract]]
        id = "TESTCONTRACT"
        client = "testclient"
        channels = ["livechannel"]
        notification_url = "https://psp.example/notify"
        redirect_url = "https://shop.example/return"
        "#
    ))
    .await;
    let refused = served.transaction(&[]).await;
    assert_eq!(refused["ERRMSG"], "channel: not a channel of the contract; livechannel");
    let answer = served.transaction(&[("channel", "livechannel")]).await;
    assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
    let (status, _, page) = served.browse(&answer["REDIRECTURL"], IPAD).await;
    assert_eq!(status, 200);
    let href = format!("href=\"{}\"", deeplink.replace('&', "&amp;"));
    assert!(page.contains(&href) && page.contains("Open the GoPay app"), "{page}");
    assert!(page.contains("https://shop.example/return?txid="), "{page}");
}
