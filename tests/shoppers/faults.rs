//! What goes wrong at Midtrans and on the way to it, sprinkled over the whole run.

use serde_json::{Value, json};

use gopay_testkit::Dice;

/// Faults for every call of a kind, each with its likelihood in thousandths.
pub(crate) fn everywhere() -> Vec<Value> {
    let mut faults = Vec::new();
    let mut add = |on: &str, permille: u64, action: Value| {
        faults.push(json!({
            "on": on, "action": action, "times": null, "probability_permille": permille,
        }));
    };
    for (on, permille) in
        [("charge", 12), ("status", 8), ("cancel", 20), ("expire", 20), ("refund", 18)]
    {
        add(on, permille, json!("lost_before"));
        add(on, permille, json!("lost_after"));
        add(on, permille, json!({"http": {"status": 500}}));
        add(on, permille, json!({"http": {"status": 503}}));
        add(on, permille, json!({"http": {"status": 429}}));
        add(on, permille, json!({"http": {"status": 502, "body": "<html>Bad Gateway</html>"}}));
        add(on, permille, json!({"http_after": {"status": 504}}));
        add(on, permille, json!({"delay": {"ms": 120, "when": "before"}}));
        add(on, permille, json!({"delay": {"ms": 180, "when": "after"}}));
        add(on, permille, json!("garbage"));
        add(on, permille, json!("truncate"));
        add(on, permille, json!("empty"));
    }
    for (code, shape) in [
        (900, "error"),
        (900, "deny"),
        (201, "error"),
        (4060, "error"),
        (112, "error"),
        (101, "error"),
        (303, "error"),
        (132, "error"),
        (2901, "error"),
    ] {
        add("charge", 5, json!({"provider_error": {"code": code, "shape": shape}}));
    }
    for seconds in [5, 300, 3_900] {
        add("status", 10, json!({"stale_status": {"seconds": seconds}}));
    }
    for code in [202, 412, 414] {
        add("refund", 15, json!({"refund_refused": {"status_code": code}}));
    }
    add("notification", 60, json!("drop"));
    add("notification", 40, json!({"duplicate": {"n": 2}}));
    add("notification", 40, json!("reorder"));
    add("notification", 40, json!({"delay": {"ms": 20_000}}));
    add("notification", 30, json!("forge_signature"));
    add("notification", 30, json!("wrong_amount"));
    add("notification", 20, json!("as_qris"));
    faults
}

/// A few faults that follow one order. Some orders that are never paid look open for long after
/// their end, so that the adapter tries to end them.
pub(crate) fn for_order(txid: &str, unpaid: bool, dice: &mut Dice) -> Vec<Value> {
    if unpaid && dice.chance(400) {
        let stale = json!({"stale_status": {"seconds": dice.between(600, 3_000)}});
        return vec![json!({"on": "status", "action": stale, "times": 10, "order_id": txid})];
    }
    if !dice.chance(250) {
        return Vec::new();
    }
    let (on, times, action) = match dice.below(18) {
        0 => ("status", 3, json!({"stale_status": {"seconds": dice.between(60, 4_000)}})),
        1 => ("status", 4, json!("lost_after")),
        2 => ("status", 2, json!("truncate")),
        3 => ("cancel", 2, json!("lost_after")),
        4 => ("cancel", 1, json!({"http": {"status": 500}})),
        5 => ("expire", 2, json!("lost_after")),
        6 => ("expire", 2, json!("empty")),
        8 => ("refund", 1, json!("lost_after")),
        9 => ("refund", 3, json!({"http": {"status": 503}})),
        10 => ("notification", 9, json!("drop")),
        11 => ("notification", 2, json!("reorder")),
        12 => ("notification", 3, json!("forge_signature")),
        13 => ("notification", 1, json!({"delay": {"ms": 600_000}})),
        // More often than the adapter tries in one call, so that the outcome stays open.
        7 | 14.. => ("refund", 4, json!("lost_after")),
    };
    let mut faults = vec![json!({"on": on, "action": action, "times": times, "order_id": txid})];
    if on == "refund" && dice.chance(500) {
        // Nor does any notification come to the rescue.
        faults.push(json!({"on": "notification", "action": "drop", "times": 12, "order_id": txid}));
    }
    faults
}
