//! Notifications: from Midtrans to the adapter, which believes nothing that it did not ask for; and from
//! the adapter to the PSP, which hears everything at least once and in order.
use crate::support::Demo;
use crate::support::postgres::{Engine, on_both_engines};
use crate::support::receiver::{Receiver, Reply, Seen};
use crate::support::served::{Served, hash_password};
use crate::support::wire::{NOTIFICATION_SECRET, SERVER_KEY, expect, nested, signature};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

on_both_engines! {
    a_forged_notification_is_refused_and_changes_nothing,
    what_the_signature_does_not_cover_is_not_believed,
    a_replayed_expire_about_a_paid_payment_brings_out_that_it_is_paid,
    a_notification_about_an_unknown_order_changes_nothing,
    duplicates_are_taken_and_told_once,
    notifications_out_of_order_leave_the_true_state,
    a_notification_with_a_wrong_amount_or_signature_is_made_good_by_asking,
    a_body_that_is_no_notification_is_answered_as_documented,
    a_notification_that_cannot_be_checked_is_asked_for_again,
    a_status_that_lags_behind_its_notification_is_asked_for_again_soon,
    a_get_of_the_notification_address_is_not_allowed,
    a_notification_has_the_published_form,
    any_2xx_confirms_and_nothing_else_does,
    an_answer_above_256_kib_does_not_confirm,
    a_failing_receiver_is_tried_again_after_fifteen_minutes,
    a_redirect_is_not_followed_but_tried_again,
    a_receiver_that_refuses_connections_is_tried_again,
    a_receiver_that_does_not_answer_in_time_is_tried_again,
    the_second_notification_of_a_payment_waits_for_the_first,
    a_dead_receiver_does_not_hold_up_the_others,
    a_receiver_is_given_up_after_193_tries,
    a_payment_without_news_is_not_told,
}

const ALWAYS: Value = Value::Null;

fn with(notification: &Value, changes: &[(&str, Value)]) -> String {
    let mut notification = notification.clone();
    for (name, value) in changes {
        notification[*name] = value.clone();
    }
    notification.to_string()
}

/// Nothing about the payment has changed, and nobody was told anything.
async fn still_pending(demo: &Demo, txid: &str, why: &str) {
    let status = demo.status(txid).await;
    assert_eq!(status["STATUS"], "PENDING", "{why}: {status:?}");
    assert_eq!(demo.received(txid).await.len(), 0, "{why}");
}

/// What is due by now has been sent: payments opened and paid afterwards were told.
async fn all_due_is_out(demo: &Demo) {
    for _ in 0..2 {
        let canary = demo.paid().await;
        demo.until_notified(&canary, 1).await;
    }
}

// --- Midtrans to us ------------------------------------------------------------------------------

#[tokio::test]
async fn the_signature_of_midtrans_is_computed_as_published() {
    let (order, gross, key) = ("PPGO-000001", "125000.00", "SB-Mid-server-EXAMPLE");
    assert!(signature(order, "200", gross, key).starts_with("5d0727f455e0929f6a68a578ebad1ff6"));
    assert!(signature(order, "202", gross, key).ends_with("ecbc678d7b2b251b466b8e33ac80baf4"));
}

async fn a_forged_notification_is_refused_and_changes_nothing(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    demo.silence().await;
    let txid = demo.pending().await;
    // The money is there: a forged notification must not even make the adapter look.
    demo.wallet(&txid, "pay", json!({})).await;
    let notification = demo.notification(&txid, "200", "settlement").await;
    let good = notification["signature_key"].as_str().expect("text").to_owned();
    let flipped = if good.starts_with('0') { "1" } else { "0" };
    for (why, signature) in [
        ("another key", signature(&txid, "200", "10000.00", "SB-Mid-server-other")),
        ("no key", signature(&txid, "200", "10000.00", "")),
        ("another code", signature(&txid, "202", "10000.00", SERVER_KEY)),
        ("another amount", signature(&txid, "200", "10001.00", SERVER_KEY)),
        ("amount without decimals", signature(&txid, "200", "10000", SERVER_KEY)),
        ("one digit", format!("{flipped}{}", good.get(1..).expect("digits"))),
        ("cut", good.get(..127).expect("digits").to_owned()),
        ("longer", format!("{good}0")),
        ("empty-like", " ".to_owned()),
    ] {
        let status = demo.notify(with(&notification, &[("signature_key", json!(signature))])).await;
        assert_eq!(status, 403, "{why}");
        still_pending(&demo, &txid, why).await;
    }
    assert_eq!(demo.notify(notification.to_string()).await, 200, "the genuine one");
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
}

async fn what_the_signature_does_not_cover_is_not_believed(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.pending().await;
    // Signed by whoever has the key, or captured from another time: every claim is asked about.
    for (code, status) in [
        ("200", "settlement"),
        ("200", "capture"),
        ("200", "refund"),
        ("200", "partial_refund"),
        ("201", "pending"),
        ("201", "settlement"),
        ("202", "expire"),
        ("202", "cancel"),
        ("202", "deny"),
        ("202", "failure"),
        ("407", "expire"),
        ("200", "something_new"),
    ] {
        let notification = demo.notification(&txid, code, status).await;
        assert_eq!(demo.notify(notification.to_string()).await, 200, "{code} {status}");
        still_pending(&demo, &txid, status).await;
    }
    let notification = demo.notification(&txid, "200", "settlement").await;
    for change in [
        ("transaction_id", json!("00000000-0000-4000-8000-000000000000")),
        ("fraud_status", json!("deny")),
        ("payment_type", json!("qris")),
        ("currency", json!("USD")),
        ("settlement_time", json!("2020-01-01 00:00:00")),
    ] {
        let why = change.0;
        assert_eq!(demo.notify(with(&notification, &[change])).await, 200, "{why}");
        still_pending(&demo, &txid, why).await;
    }
    demo.wallet(&txid, "pay", json!({})).await;
    demo.until_status(&txid, "SUCCEEDED").await;
}

async fn a_replayed_expire_about_a_paid_payment_brings_out_that_it_is_paid(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    demo.silence().await;
    let txid = demo.pending().await;
    let expire = demo.notification(&txid, "202", "expire").await.to_string();
    demo.wallet(&txid, "pay", json!({})).await;
    assert_eq!(demo.notify(expire.clone()).await, 200);
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
    assert_eq!(demo.notify(expire).await, 200);
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
    demo.until_notified(&txid, 1).await;
}

async fn a_notification_about_an_unknown_order_changes_nothing(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.pending().await;
    let notification = demo.notification(&txid, "200", "settlement").await;
    for order in ["999", "ORDER-1", "0", "99999999999999999999999999", "%2e%2e"] {
        let good = signature(order, "200", "10000.00", SERVER_KEY);
        let change = [("order_id", json!(order)), ("signature_key", json!(good))];
        assert_eq!(demo.notify(with(&notification, &change)).await, 200, "{order}: needs no retry");
        let change = [("order_id", json!(order)), ("signature_key", json!("ab"))];
        assert_eq!(demo.notify(with(&notification, &change)).await, 403, "{order}");
    }
    still_pending(&demo, &txid, "notification of others").await;
    assert_eq!(demo.totals().await["payments"], json!({"pending": 1}));
}

async fn duplicates_are_taken_and_told_once(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.pending().await;
    let many = json!({"duplicate": {"n": 20}});
    demo.fault(json!({"on": "notification", "action": many, "order_id": txid})).await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.eventually("all copies are taken", async || {
        let upstream = demo.upstream(&txid).await;
        let notification = &upstream["notifications"];
        notification["delivered"] == notification["queued"]
            && notification["queued"].as_u64() >= Some(21)
    })
    .await;
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
    all_due_is_out(&demo).await;
    demo.until_notified(&txid, 1).await;
}

async fn notifications_out_of_order_leave_the_true_state(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    // `pending` is held back until `settlement` went ahead.
    demo.fault(json!({"on": "notification", "action": "reorder"})).await;
    let txid = demo.pending().await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.eventually("both are taken", async || {
        demo.upstream(&txid).await["notifications"]["delivered"] == 2
    })
    .await;
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
    all_due_is_out(&demo).await;
    demo.until_notified(&txid, 1).await;
    // The notification of the refunds, the second of which confirms the first, move nothing.
    demo.fault(json!({"on": "notification", "action": "reorder"})).await;
    assert_eq!(demo.refund(&txid, 400_000).await["STATUS"], "SUCCEEDED");
    demo.advance("2m").await;
    demo.eventually("all are taken", async || {
        let upstream = demo.upstream(&txid).await;
        let notification = &upstream["notifications"];
        notification["delivered"] == notification["queued"]
            && notification["queued"].as_u64() >= Some(4)
    })
    .await;
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
    demo.until_notified(&txid, 1).await;
}

async fn a_notification_with_a_wrong_amount_or_signature_is_made_good_by_asking(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    for action in ["wrong_amount", "forge_signature"] {
        let txid = demo.pending().await;
        demo.fault(json!({"on": "notification", "action": action, "order_id": txid})).await;
        demo.wallet(&txid, "pay", json!({})).await;
        demo.advance("1m").await;
        demo.until_status(&txid, "SUCCEEDED").await;
        demo.until_notified(&txid, 1).await;
    }
    assert_eq!(demo.totals().await["succeeded_sen"], 2_000_000);
}

async fn a_body_that_is_no_notification_is_answered_as_documented(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.pending().await;
    let notification = demo.notification(&txid, "200", "settlement").await;
    let text = notification.to_string();
    let twice = Value::String(text.clone()).to_string();
    assert_eq!(demo.notify(twice).await, 200, "JSON in a string needs no retry");
    let half = text.get(..text.len() / 2).expect("ASCII").to_owned();
    let form = "order_id=1&status_code=200".to_owned();
    let deep = "[".repeat(20_000);
    let repeated = text.replacen('{', "{\"order_id\":\"7\",", 1);
    for (why, body) in [
        ("empty", String::new()),
        ("blank", "  ".to_owned()),
        ("cut", half),
        ("form", form),
        ("null", "null".to_owned()),
        ("list", "[]".to_owned()),
        ("number", "7".to_owned()),
        ("text", "\"hello\"".to_owned()),
        ("no fields", "{}".to_owned()),
        ("deep", deep),
        ("a signed field twice", repeated),
    ] {
        assert_eq!(demo.notify(body).await, 400, "{why}");
    }
    for field in ["order_id", "status_code", "gross_amount", "signature_key"] {
        let mut less = notification.clone();
        less.as_object_mut().expect("an object").remove(field);
        assert_eq!(demo.notify(less.to_string()).await, 400, "without {field}");
        assert_eq!(
            demo.notify(with(&notification, &[(field, json!(""))])).await,
            400,
            "empty {field}"
        );
        assert_eq!(
            demo.notify(with(&notification, &[(field, json!([1]))])).await,
            400,
            "list as {field}"
        );
    }
    assert_eq!(demo.notify(vec![0xff, 0xfe, b'{', b'}']).await, 400, "not UTF-8");
    assert_eq!(
        demo.notify(with(&notification, &[("metadata", json!("x".repeat(70_000)))])).await,
        400
    );
    // Large, but within what metadata may make of it.
    assert_eq!(
        demo.notify(with(&notification, &[("metadata", json!("x".repeat(30_000)))])).await,
        200
    );
    still_pending(&demo, &txid, "no notification").await;
}

async fn a_notification_that_cannot_be_checked_is_asked_for_again(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    demo.silence().await;
    let txid = demo.pending().await;
    demo.wallet(&txid, "pay", json!({})).await;
    let notification = demo.notification(&txid, "200", "settlement").await.to_string();
    for action in
        [json!({"http": {"status": 503}}), json!("lost_after"), json!("garbage"), json!("empty")]
    {
        demo.fault(json!({"on": "status", "action": action, "times": ALWAYS})).await;
        assert_eq!(demo.notify(notification.clone()).await, 503, "{action}");
        still_pending(&demo, &txid, "nothing is confirmed").await;
        demo.clear_faults().await;
        demo.silence().await;
    }
    assert_eq!(demo.notify(notification).await, 200);
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
}

async fn a_status_that_lags_behind_its_notification_is_asked_for_again_soon(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    demo.silence().await;
    let txid = demo.pending().await;
    // The next regular check is minutes away by then.
    demo.fault(json!({"on": "status", "action": {"delay": {"ms": 0}}, "times": 6})).await;
    for _ in 0..6 {
        let before = demo.fired(1).await;
        // The longest wait between checks: five minutes and a quarter of that.
        demo.advance("7m").await;
        demo.eventually("a check", async || demo.fired(1).await > before).await;
    }
    demo.wallet(&txid, "pay", json!({})).await;
    demo.fault(json!({"on": "status", "action": {"stale_status": {"seconds": 60}}})).await;
    let notification = demo.notification(&txid, "200", "settlement").await.to_string();
    assert_eq!(demo.notify(notification).await, 200);
    assert_eq!(demo.status(&txid).await["STATUS"], "PENDING");
    demo.advance("11s").await;
    demo.until_status(&txid, "SUCCEEDED").await;
}

async fn a_get_of_the_notification_address_is_not_allowed(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let (status, _) = demo.get(&format!("{}/midtrans/notification", demo.adapter)).await;
    assert_eq!(status, 405);
}

// --- us to the PSP -------------------------------------------------------------------------------

async fn until_seen(demo: &Demo, receiver: &Receiver, txid: &str, times: usize) -> Vec<Seen> {
    demo.eventually(&format!("{txid} seen {times} times"), async || {
        receiver.seen_of(txid).len() >= times
    })
    .await;
    let seen = receiver.seen_of(txid);
    assert_eq!(seen.len(), times, "{seen:?}");
    seen
}

/// The 15 minutes after a failed try: nothing just before their end, one more try at it.
async fn again_after_a_quarter_of_an_hour(
    demo: &Demo,
    receiver: &Receiver,
    txid: &str,
    times: usize,
) {
    all_due_is_out(demo).await;
    demo.advance("14m30s").await;
    all_due_is_out(demo).await;
    assert_eq!(receiver.seen_of(txid).len(), times, "too early");
    demo.advance("31s").await;
    until_seen(demo, receiver, txid, times + 1).await;
}

async fn a_notification_has_the_published_form(engine: Engine) {
    assert_eq!(
        nested("123887123", "2025-06-21T08:34:20Z", NOTIFICATION_SECRET),
        "bd06f63211d4f3b15c65c032d65d8301d187f265eb761c0189df0e0ebdb4df04"
    );
    let demo = Demo::start_on(engine).await;
    let receiver = Receiver::start().await;
    let txid = demo.pending_for(&receiver.url()).await;
    demo.wallet(&txid, "pay", json!({})).await;
    let seen = until_seen(&demo, &receiver, &txid, 1).await;
    let one = &seen[0];
    assert_eq!((one.method.as_str(), one.path.as_str()), ("POST", "/notify"));
    let kind = one.content_type.split(';').next();
    assert_eq!(kind, Some("application/x-www-form-urlencoded"), "{one:?}");
    let mut names: Vec<&str> = one.fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["finaltimestamp", "sha256hash", "txid"]);
    let time = one.field("finaltimestamp");
    let form = regex::Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$").expect("a pattern");
    assert!(form.is_match(time), "{time}");
    assert_eq!(one.field("sha256hash"), nested(&txid, time, NOTIFICATION_SECRET));
    demo.until_outbox_empty().await;
    assert_eq!(
        demo.received(&txid).await.len(),
        0,
        "the call's own address replaces the contract's"
    );
}

async fn any_2xx_confirms_and_nothing_else_does(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let receiver = Receiver::start().await;
    for (reply, confirms) in [
        (Reply::Status(200), true),
        (Reply::Status(201), true),
        (Reply::Status(204), true),
        (Reply::Body(200, String::new()), true),
        (Reply::Body(202, "ERROR".to_owned()), true),
        (Reply::Body(200, "x".repeat(4_000)), true),
        // The guide: a longer answer does not confirm, whatever its status.
        (Reply::Body(200, "x".repeat(300_000)), false),
        (Reply::Status(304), false),
        (Reply::Status(400), false),
        (Reply::Status(404), false),
        (Reply::Status(410), false),
        (Reply::Status(500), false),
        (Reply::Status(503), false),
    ] {
        receiver.then([reply.clone()]);
        let txid = demo.pending_for(&receiver.url()).await;
        demo.wallet(&txid, "pay", json!({})).await;
        until_seen(&demo, &receiver, &txid, 1).await;
        all_due_is_out(&demo).await;
        demo.advance("15m1s").await;
        if confirms {
            all_due_is_out(&demo).await;
        }
        let times = if confirms { 1 } else { 2 };
        let seen = until_seen(&demo, &receiver, &txid, times).await;
        assert_eq!(seen.len(), times, "{reply:?}");
        demo.until_outbox_empty().await;
    }
}

async fn an_answer_above_256_kib_does_not_confirm(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let receiver = Receiver::start().await;
    receiver.then([Reply::Body(200, "x".repeat(262_145))]);
    let txid = demo.pending_for(&receiver.url()).await;
    demo.wallet(&txid, "pay", json!({})).await;
    until_seen(&demo, &receiver, &txid, 1).await;
    all_due_is_out(&demo).await;
    demo.advance("15m1s").await;
    all_due_is_out(&demo).await;
    assert_eq!(receiver.seen_of(&txid).len(), 2, "the answer was too long to confirm");
}

async fn a_failing_receiver_is_tried_again_after_fifteen_minutes(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let receiver = Receiver::start().await;
    receiver.then([Reply::Status(500), Reply::Status(503)]);
    let txid = demo.pending_for(&receiver.url()).await;
    demo.wallet(&txid, "pay", json!({})).await;
    let first = until_seen(&demo, &receiver, &txid, 1).await;
    again_after_a_quarter_of_an_hour(&demo, &receiver, &txid, 1).await;
    again_after_a_quarter_of_an_hour(&demo, &receiver, &txid, 2).await;
    demo.until_outbox_empty().await;
    demo.advance("1h").await;
    all_due_is_out(&demo).await;
    let seen = until_seen(&demo, &receiver, &txid, 3).await;
    // Each try says the same: the time is that of the state, not of the try.
    assert!(seen.iter().all(|one| one.fields == first[0].fields), "{seen:?}");
}

async fn a_redirect_is_not_followed_but_tried_again(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    for status in [301, 302, 303, 307, 308] {
        let receiver = Receiver::start().await;
        receiver.then([Reply::Redirect(status, format!("{}/elsewhere", receiver.base))]);
        let txid = demo.pending_for(&receiver.url()).await;
        demo.wallet(&txid, "pay", json!({})).await;
        until_seen(&demo, &receiver, &txid, 1).await;
        again_after_a_quarter_of_an_hour(&demo, &receiver, &txid, 1).await;
        let paths: Vec<String> = receiver.seen().into_iter().map(|one| one.path).collect();
        assert_eq!(paths, ["/notify", "/notify"], "{status}");
        demo.until_outbox_empty().await;
    }
}

async fn a_receiver_that_refuses_connections_is_tried_again(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    // Bound, so that nobody else gets the port, and not listening yet.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("bound");
    let txid = demo.pending_for(&format!("http://{address}/notify")).await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.until_status(&txid, "SUCCEEDED").await;
    all_due_is_out(&demo).await;
    demo.eventually("one is owed", async || demo.totals().await["deliveries"]["waiting"] == 1)
        .await;
    let receiver = Receiver::on(socket.listen(16).expect("a listener"));
    again_after_a_quarter_of_an_hour(&demo, &receiver, &txid, 0).await;
    demo.until_outbox_empty().await;
}

async fn a_receiver_that_does_not_answer_in_time_is_tried_again(engine: Engine) {
    let receiver = Receiver::start().await;
    receiver.then([Reply::Hang]);
    let served = Served::start_on(
        engine,
        &format!(
            r#"
        [midtrans.test]
        base_url = "{{simulator}}"
        server_key = "{SERVER_KEY}"
        [delivery]
        timeout = "1s"
        schedule = ["1s", "1s"]
        allow_private = ["127.0.0.0/8"]
        [[client]]
        login = "testclient"
        password_hash = "{}"
        shared_secret = "examplesharedsecret"
        notification_secrets = ["{NOTIFICATION_SECRET}"]
        [[contract]]
        id = "TESTCONTRACT"
        client = "testclient"
        channels = ["testchannel"]
        notification_url = "{}"
        redirect_url = "https://shop.example/return"
        "#,
            hash_password("test123"),
            receiver.url(),
        ),
    )
    .await;
    let txid = served.pending().await;
    served.wallet(&txid, "pay", json!({})).await;
    let seen = until_seen(&served, &receiver, &txid, 2).await;
    assert_eq!(seen[0].fields, seen[1].fields);
    served.until_outbox_empty().await;
    assert_eq!(served.totals().await["deliveries"], json!({"delivered": 1}));
}

async fn the_second_notification_of_a_payment_waits_for_the_first(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let receiver = Receiver::start().await;
    receiver.then([Reply::Status(500), Reply::Status(500)]);
    let txid = demo.pending_for(&receiver.url()).await;
    demo.advance("1h1s").await;
    demo.until_status(&txid, "FAILED").await;
    until_seen(&demo, &receiver, &txid, 1).await;
    // That it was tried is stored before the clock goes past its lease.
    all_due_is_out(&demo).await;
    demo.advance("5m").await;
    demo.wallet(&txid, "settle-late", json!({})).await;
    demo.until_status(&txid, "SUCCEEDED").await;
    all_due_is_out(&demo).await;
    assert_eq!(receiver.seen_of(&txid).len(), 1, "the second waits");
    let (_, page) = demo.get(&format!("{}/console/transactions/{txid}", demo.admin)).await;
    assert_eq!(page.matches("once the one before is over").count(), 1, "{page}");
    demo.advance("10m1s").await;
    until_seen(&demo, &receiver, &txid, 2).await;
    all_due_is_out(&demo).await;
    assert_eq!(receiver.seen_of(&txid).len(), 2, "the second waits on");
    demo.advance("15m1s").await;
    let seen = until_seen(&demo, &receiver, &txid, 4).await;
    let times: Vec<&str> = seen.iter().map(|one| one.field("finaltimestamp")).collect();
    assert!(times[0] == times[1] && times[1] == times[2] && times[2] < times[3], "{times:?}");
    for one in &seen {
        let hash = nested(&txid, one.field("finaltimestamp"), NOTIFICATION_SECRET);
        assert_eq!(one.field("sha256hash"), hash);
    }
    demo.until_outbox_empty().await;
}

async fn a_dead_receiver_does_not_hold_up_the_others(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let dead = Receiver::start().await;
    dead.always(Reply::Hang);
    let mut stuck = Vec::new();
    // More than a worker claims at once.
    for _ in 0..200 {
        let txid = demo.pending_for(&dead.url()).await;
        demo.wallet(&txid, "pay", json!({})).await;
        stuck.push(txid);
    }
    let good = Receiver::start().await;
    let txid = demo.pending_for(&good.url()).await;
    demo.wallet(&txid, "pay", json!({})).await;
    until_seen(&demo, &good, &txid, 1).await;
    // Nobody has hung up on the dead one yet, so the good one did not wait for it.
    let tried = stuck.iter().filter(|txid| !dead.seen_of(txid).is_empty()).count();
    assert!(tried <= 16, "{tried} at once at one receiver");
    demo.eventually("all of them are owed", async || {
        demo.totals().await["deliveries"]["waiting"] == 200
    })
    .await;
}

async fn a_receiver_is_given_up_after_193_tries(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let receiver = Receiver::start().await;
    receiver.always(Reply::Status(500));
    let txid = demo.pending_for(&receiver.url()).await;
    demo.wallet(&txid, "pay", json!({})).await;
    until_seen(&demo, &receiver, &txid, 1).await;
    let given_up = async || demo.totals().await["deliveries"]["given_up"] == 1;
    let mut jumps = 0;
    while !given_up().await {
        jumps += 1;
        assert!(jumps < 1_000, "{} tries and no end", receiver.seen_of(&txid).len());
        demo.move_clock("15m1s").await;
        demo.run_due().await;
    }
    assert_eq!(receiver.seen_of(&txid).len(), 193);
    demo.advance("2d").await;
    all_due_is_out(&demo).await;
    assert_eq!(receiver.seen_of(&txid).len(), 193);
    expect(&demo.status(&txid).await, &[("STATUS", "SUCCEEDED")]);
}

async fn a_payment_without_news_is_not_told(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let receiver = Receiver::start().await;
    // Refused at once, refused by GoPay, and still pending: the answer has said it.
    let invalid = demo.transaction(&[("notificationurl", &receiver.url()), ("amount", "7")]).await;
    assert_eq!(invalid["STATUS"], "FAILED");
    demo.fault(json!({"on": "charge", "action": {"provider_error": {"code": 201}}})).await;
    let denied = demo.transaction(&[("notificationurl", &receiver.url())]).await;
    assert_eq!(denied["FAILREASON"], "REMOTE_DECLINE");
    demo.pending_for(&receiver.url()).await;
    demo.advance("10m").await;
    all_due_is_out(&demo).await;
    assert!(receiver.seen().is_empty(), "{:?}", receiver.seen());
}
