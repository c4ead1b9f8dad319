//! Money that needs a person: of which GET status shows another amount, of orders that the store does
//! not know, and money that goes back in Midtrans' dashboard; and the person who decides.

use std::sync::Arc;

use bytes::Bytes;
use gopay_core::doubt::Verdict;
use gopay_core::ids::{IdGenerator, TxId};
use gopay_core::time::Timestamp;
use gopay_service::Decision;
use gopay_simulator::{Action, ApiRequest, DashboardRefund, Fault, On, Payer};
use serde_json::{Value, json};

use crate::parties;
use crate::world::World;

/// From now on GET status shows a rupiah too many of this order, now and then.
pub(crate) fn make_doubtful(world: &World, txid: &str) {
    let percent = world.plan.doubtful_percent;
    if world.chance(|chance| chance.percent(percent)) {
        world.mark_doubtful(txid);
        show_wrong_amount(world, txid);
    }
}

fn show_wrong_amount(world: &World, txid: &str) {
    let fault = Fault {
        on: On::Status,
        action: Action::WrongAmount {},
        times: None,
        probability_permille: None,
        order_id: Some(txid.to_owned()),
        skip: 0,
    };
    world.engine(|engine, _| engine.add_fault(fault)).expect("the fault is well-formed");
}

/// After all other faults have ended: what was unclear stays so.
pub(crate) fn keep_doubtful(world: &World) {
    world.doubtful().iter().for_each(|txid| show_wrong_amount(world, txid));
}

/// GET status shows what is so of this order; the other doubtful ones stay so.
fn clear_up(world: &World, txid: &str) {
    world.unmark_doubtful(txid);
    world.engine(|engine, _| engine.clear_faults());
    keep_doubtful(world);
}

/// Orders of a store that is gone, paid at Midtrans, which notifies us of them.
pub(crate) async fn lost_orders(world: Arc<World>) {
    let mut ids = IdGenerator::new(77);
    let before = Timestamp::from_rfc3339("2025-12-24T00:00:00Z").expect("a time");
    for _ in 0..world.plan.lost_orders {
        let span = world.chance(|chance| chance.millis(1_000, 600_000));
        tokio::time::sleep(span).await;
        let id = ids.next_tx(before).to_string();
        let charge = json!({
            "payment_type": "gopay",
            "transaction_details": {"order_id": id, "gross_amount": 25_000},
        });
        let request = ApiRequest::new("POST", "/v2/charge", charge.to_string())
            .with_header("authorization", &authorization())
            .with_header("content-type", "application/json")
            .with_header("x-override-notification", "https://adapter.example/midtrans");
        let paid = world.engine(|engine, now| {
            engine.handle(now, &request);
            engine.pay(now, &id, &Payer::default())
        });
        world.trace(format_args!("an order of a store that is gone, {id}: {paid:?}"));
        if paid.is_ok() {
            world.count("lost orders paid");
        }
    }
}

fn authorization() -> String {
    use base64::Engine as _;
    let text = format!("{}:", parties::TEST_KEY);
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

/// Money goes back past us.
pub(crate) fn refund_at_dashboard(world: &World, txid: &str, rupiah: u64) {
    let percent = world.plan.dashboard_percent;
    if !world.chance(|chance| chance.percent(percent)) {
        return;
    }
    let amount = Some(world.chance(|chance| chance.between(1, rupiah)));
    let refund = DashboardRefund { amount, ..DashboardRefund::default() };
    let made = world.engine(|engine, now| engine.refund_at_dashboard(now, txid, &refund));
    world.trace(format_args!("a refund in the dashboard of {txid}: {made:?}"));
    if made.is_ok() {
        world.count("refunds in the dashboard");
    }
}

/// What a notification told that was taken: it must not be forgotten.
pub(crate) fn taken(world: &World, body: &Bytes) {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return };
    let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (order, status) = (word("order_id"), word("transaction_status"));
    let paid = world
        .engine(|engine, _| engine.transaction(&order).is_some_and(|found| found.status.is_paid()));
    if paid && status == "settlement" {
        world.mark_notified(&order);
    }
}

/// A person decides about all that is listed. Where GET status has come to be clear, money may go
/// back; where it has not, Midtrans refuses.
pub(crate) async fn decide(world: &Arc<World>) {
    use gopay_store::Search as _;
    let doubtful = world.durable.payments_in_doubt(usize::MAX).await.unwrap_or_default();
    for payment in doubtful {
        let verdict = world.chance(|chance| {
            chance.pick(&[Verdict::Paid, Verdict::Failed, Verdict::Refund, Verdict::Refund])
        });
        if world.chance(|chance| chance.percent(50)) {
            clear_up(world, &payment.tx_id.to_string());
        }
        say(world, payment.tx_id, verdict).await;
    }
    for order in world.durable.orders_open(usize::MAX).await.unwrap_or_default() {
        if world.chance(|chance| chance.percent(50)) {
            say(world, order.tx_id, Verdict::Failed).await;
        }
    }
}

async fn say(world: &Arc<World>, tx_id: TxId, verdict: Verdict) {
    let Some(process) = world.any_process() else { return };
    let decision = Decision { verdict, reason: "asked the shop".into(), by: "Sri".into() };
    let decided = process.service.decide(tx_id, &decision).await;
    world.count("decisions");
    world.trace(format_args!("{verdict:?} about {tx_id}: {}", decided.is_ok()));
}
