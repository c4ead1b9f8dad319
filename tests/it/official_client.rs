//! Midtrans' own client for Node against the simulator: what the client returns or throws is what
//! its users know from the real service (`docs/midtrans.md`), so the simulator can stand in for it.
//!
//! Without `node` and `npm` there is nothing to drive; then the test says so and passes, but not
//! under `CI=true`.
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::support::Running;
use crate::support::node::{self, said};
use serde_json::Value;

/// What a step came to.
enum Expected {
    /// The client returned a body with this `status_code` and `transaction_status`.
    Returns(&'static str, &'static str),
    /// The client threw: its `httpStatusCode`, and a part of `status_message` or of the first
    /// validation message.
    Throws(&'static str, &'static str),
}

use Expected::{Returns, Throws};

const STEPS: [(&str, Expected); 38] = [
    ("charge", Returns("201", "pending")),
    ("chargeAsText", Returns("201", "pending")),
    ("statusPending", Returns("201", "pending")),
    ("statusByTransactionId", Returns("201", "pending")),
    ("duplicateOrder", Throws("406", "order_id has already been used")),
    ("refundPending", Throws("412", "cannot be updated")),
    ("cancel", Returns("200", "cancel")),
    ("statusCancelled", Returns("200", "cancel")),
    ("cancelAgain", Throws("412", "cannot be updated")),
    ("chargeAfterCancel", Returns("201", "pending")),
    ("expire", Returns("407", "expire")),
    ("statusExpired", Returns("407", "expire")),
    ("wrongKey", Throws("401", "unauthorized")),
    ("wrongKeyStatus", Throws("401", "unauthorized")),
    ("unknown_status", Throws("404", "exist")),
    ("unknown_cancel", Throws("404", "exist")),
    ("unknown_expire", Throws("404", "exist")),
    ("unknown_refund", Throws("404", "exist")),
    ("unknown_refundDirect", Throws("404", "exist")),
    ("sumDiffers", Throws("400", "transaction_details.gross_amount is not equal to the sum")),
    ("noOrderId", Throws("400", "transaction_details.order_id is required")),
    ("noPaymentType", Throws("400", "payment_type is required")),
    ("amountIsZero", Throws("400", "transaction_details.gross_amount must be greater")),
    ("statusOfRefused", Throws("404", "exist")),
    ("statusPaid", Returns("200", "settlement")),
    ("cancelPaid", Throws("412", "cannot be updated")),
    ("refundTooMuch", Throws("414", "refund amount")),
    ("refundPart", Returns("200", "partial_refund")),
    ("refundSameKey", Throws("406", "refund_key")),
    ("refundDirectRest", Returns("200", "refund")),
    ("refundNothingLeft", Throws("412", "cannot be updated")),
    ("statusRefunded", Returns("200", "refund")),
    ("notification", Returns("200", "settlement")),
    ("notificationAsText", Returns("200", "settlement")),
    ("notificationForged", Throws("404", "exist")),
    ("approvePaid", Throws("412", "cannot be updated")),
    ("denyPaid", Throws("412", "cannot be updated")),
    ("unreachable", Throws("", "")),
];

#[test]
fn the_official_node_client_sees_what_it_knows() {
    let Some(steps) = run_client() else { return };
    for (name, expected) in STEPS {
        let step = &steps[name];
        match expected {
            Returns(code, status) => {
                let body = &step["returned"];
                assert_eq!(body["status_code"], code, "{name}: {step:#}");
                assert_eq!(body["transaction_status"], status, "{name}: {step:#}");
            }
            Throws("", _) => {
                assert_eq!(step["thrown"], "MidtransError", "{name}: {step:#}");
                assert!(step["httpStatusCode"].is_null(), "{name}: {step:#}");
            }
            Throws(code, words) => {
                assert_eq!(step["thrown"], "MidtransError", "{name}: {step:#}");
                assert_eq!(as_text(&step["httpStatusCode"]), code, "{name}: {step:#}");
                let body = &step["body"];
                assert_eq!(body["status_code"], code, "{name}: {step:#}");
                let validation = body["validation_messages"][0].as_str();
                let message = validation.or(body["status_message"].as_str()).unwrap_or_default();
                assert!(message.contains(words), "{name}: {step:#}");
            }
        }
    }
    let known = STEPS.len() + 1;
    assert_eq!(steps.as_object().map(serde_json::Map::len), Some(known), "each step is checked");
    charges_carry_what_a_merchant_needs(&steps);
    refunds_add_up(&steps);
    notifications_agree_with_status(&steps);
}

fn charges_carry_what_a_merchant_needs(steps: &Value) {
    let charge = &steps["charge"]["returned"];
    assert_eq!(charge["order_id"], "N-1");
    assert_eq!(charge["gross_amount"], "10000.00");
    assert_eq!((&charge["currency"], &charge["payment_type"]), (&"IDR".into(), &"gopay".into()));
    let actions = charge["actions"].as_array().expect("actions");
    let names: Vec<&Value> = actions.iter().map(|action| &action["name"]).collect();
    for name in ["generate-qr-code", "deeplink-redirect", "get-status", "cancel"] {
        assert!(names.contains(&&name.into()), "{name} is among {names:?}");
    }
    // One order, two transactions: the first was cancelled.
    let again = &steps["chargeAfterCancel"]["returned"];
    assert_eq!(again["order_id"], charge["order_id"]);
    assert_ne!(again["transaction_id"], charge["transaction_id"]);
    assert_eq!(
        steps["statusByTransactionId"]["returned"]["transaction_id"],
        charge["transaction_id"]
    );
    // Validation faults come under HTTP 400, so that the client gives the number of HTTP.
    assert_eq!(steps["sumDiffers"]["httpStatusCode"], 400);
    // The others come under HTTP 200, so that the client gives the text of the body.
    assert_eq!(steps["duplicateOrder"]["httpStatusCode"], "406");
}

fn refunds_add_up(steps: &Value) {
    assert_eq!(steps["refundPart"]["returned"]["refund_amount"], "4000.00");
    assert_eq!(steps["refundPart"]["returned"]["refund_key"], "r-1");
    let status = &steps["statusRefunded"]["returned"];
    assert_eq!(status["refund_amount"], "10000.00");
    let refunds = status["refunds"].as_array().expect("refunds");
    let parts: Vec<(&Value, &Value, &Value)> = refunds
        .iter()
        .map(|refund| (&refund["refund_key"], &refund["refund_amount"], &refund["reason"]))
        .collect();
    assert_eq!(
        parts,
        [
            (&"r-1".into(), &"4000.00".into(), &"one table back".into()),
            (&"r-2".into(), &"6000.00".into(), &"the rest".into()),
        ]
    );
}

fn notifications_agree_with_status(steps: &Value) {
    let body = &steps["notificationBody"];
    let status = &steps["notification"]["returned"];
    for key in ["order_id", "transaction_id", "transaction_status", "gross_amount", "signature_key"]
    {
        assert!(body[key].is_string(), "{key}: {body:#}");
        assert_eq!(body[key], status[key], "{key}");
    }
}

fn as_text(code: &Value) -> String {
    code.as_str().map_or_else(|| code.to_string(), str::to_owned)
}

/// What each step came to; none if it cannot be tried here.
fn run_client() -> Option<Value> {
    let folder = match node::installed("node", "official-client", "client.js") {
        Ok(folder) => folder,
        Err(why) => return skip(&why),
    };
    let (_simulator, url) = simulator();
    let output = Command::new("node")
        .args(["client.js", &url])
        .current_dir(&folder)
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .expect("node starts");
    assert!(output.status.success(), "{}", said(&output));
    Some(serde_json::from_slice(&output.stdout).expect("one JSON object"))
}

fn simulator() -> (Running, String) {
    let mut child = Running(
        Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
            .args(["--log", "warn", "simulate", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator starts"),
    );
    let lines = child.0.stdout.take().expect("piped");
    let line = BufReader::new(lines).lines().next().expect("a line").expect("text");
    let url = line.split_whitespace().find(|word| word.starts_with("http")).expect("a URL");
    (child, url.to_owned())
}

/// Says loudly why nothing was tested; that is a failure where all tools must be there.
fn skip<T>(why: &str) -> Option<T> {
    gopay_testkit::not_tested(&format!("the official Midtrans client: {why}"));
    None
}
