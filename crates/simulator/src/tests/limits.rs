//! Memory is bounded: what happens when each limit is reached.

use serde_json::json;

use super::{Bench, charge_body, request};
use crate::{EngineConfig, Limits, NotificationOutcome, Payer};

fn limited(limits: Limits) -> Bench {
    Bench::with(EngineConfig { limits, ..EngineConfig::default() })
}

#[test]
fn the_oldest_transaction_that_is_not_pending_makes_room_and_sums_stay_whole() {
    let mut bench = limited(Limits { transactions: 3, ..Limits::default() });
    for order in ["A-1", "A-2", "A-3"] {
        bench.charge(order, 1_000);
    }
    for order in ["A-3", "A-2"] {
        bench.engine.pay(bench.now, order, &Payer::default()).unwrap();
    }
    for round in 4..100 {
        let order = format!("A-{round}");
        assert_eq!(bench.paid(&order, 1_000)["status_code"], "201");
        assert_eq!(bench.engine.totals().held, 3);
    }
    assert_eq!(bench.status("A-1")["transaction_status"], "pending", "never a pending one");
    assert_eq!(bench.status("A-2")["status_code"], "404");
    assert_eq!(bench.charge("A-2", 5)["status_code"], "201", "its order id is free");
    let totals = bench.engine.totals();
    assert_eq!((totals.transactions, totals.dropped.transactions), (100, 97));
    assert_eq!((totals.charged, totals.statuses["settlement"]), (98_000, 98));
}

#[test]
fn a_charge_is_refused_while_every_transaction_is_pending() {
    let mut bench = limited(Limits { transactions: 2, ..Limits::default() });
    bench.charge("A-1", 1_000);
    bench.pass(1);
    bench.charge("A-2", 1_000);
    let call = request("POST", "/v2/charge", &charge_body("A-3", 1_000).to_string())
        .with_header("idempotency-key", "k");
    let (http, refused) = bench.json(&call);
    assert_eq!((http, refused["status_code"].as_str()), (503, Some("503")));
    assert!(refused["status_message"].as_str().unwrap().starts_with("The simulator is full"));
    assert_eq!(bench.engine.totals().dropped.transactions, 0);
    // The first one's time to pay is over.
    bench.pass(15 * 60 - 1);
    assert_eq!(bench.json(&call).1["status_code"], "201");
    assert_eq!(bench.status("A-2")["transaction_status"], "pending");
    assert_eq!(bench.status("A-1")["status_code"], "404");
}

#[test]
fn a_key_whose_transaction_was_dropped_is_a_new_key() {
    let mut bench = limited(Limits { transactions: 1, ..Limits::default() });
    let keyed = |order: &str, key: &str| {
        request("POST", "/v2/charge", &charge_body(order, 1_000).to_string())
            .with_header("idempotency-key", key)
    };
    let first = bench.json(&keyed("A-1", "k-1")).1;
    bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
    bench.json(&keyed("A-2", "k-2"));
    bench.engine.cancel(bench.now, "A-2").unwrap();
    let again = bench.json(&keyed("A-1", "k-1")).1;
    assert_eq!(again["status_code"], "201");
    assert_ne!(again["transaction_id"], first["transaction_id"]);
}

#[test]
fn notifications_beyond_the_limit_are_given_up_and_counted() {
    let mut bench = limited(Limits {
        notifications: 5,
        sent_notifications: 3,
        idempotency_keys: 4,
        ..Limits::default()
    });
    for round in 0..50 {
        let call =
            request("POST", "/v2/charge", &charge_body(&format!("A-{round}"), 1).to_string())
                .with_header("idempotency-key", &round.to_string());
        bench.json(&call);
    }
    let (queue, dropped) = (bench.engine.notification_queue(), bench.engine.totals().dropped);
    assert_eq!((queue.queued, queue.totals.queued, queue.totals.given_up), (5, 50, 45));
    assert_eq!((dropped.notifications, dropped.idempotency_keys), (45, 46));
    let due = bench.engine.due_notifications(bench.now);
    // All are being sent: the next one finds no room.
    bench.charge("B-1", 1);
    assert_eq!(bench.engine.totals().dropped.notifications, 46);
    for notification in due {
        let outcome = NotificationOutcome::Status(200);
        bench.engine.notification_result(notification.id, bench.now, outcome);
    }
    assert_eq!(bench.engine.sent_notifications(None, 99).len(), 3);
    assert_eq!(bench.engine.notification_queue().totals.delivered, 5);
}

#[test]
fn deferred_calls_refunds_and_faults_have_limits() {
    let mut bench = limited(Limits { deferred_calls: 1, faults: 2, ..Limits::default() });
    let late = json!({"delay": {"ms": 10, "when": "before"}});
    bench.fault(json!({"on": "charge", "action": late, "times": 2}));
    bench.send(&request("POST", "/v2/charge", &charge_body("A-1", 1).to_string()));
    assert_eq!(bench.charge("A-2", 1)["status_code"], "503");
    let add = |bench: &mut Bench| {
        let fault = json!({"on": "status", "action": "empty"});
        bench.engine.add_fault(serde_json::from_value(fault).unwrap())
    };
    assert_eq!(add(&mut bench), Ok(2));
    assert_eq!(add(&mut bench), Ok(3), "the first one is used up");
    assert_eq!(add(&mut bench), Err("2 faults are armed already".to_owned()));

    bench.paid("A-3", 2_000);
    for number in 1..200 {
        let refund = bench.post("/v2/A-3/refund", &json!({"amount": 1}));
        assert_eq!(refund["status_code"], "200", "{number}");
    }
    assert_eq!(bench.post("/v2/A-3/refund", &json!({"amount": 1}))["status_code"], "503");
}
