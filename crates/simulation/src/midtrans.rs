//! Midtrans' part that calls us: notifications, on a bad wire too, and those who forge them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gopay_service::NotificationAnswer;
use gopay_simulator::{
    Engine, EngineConfig, MerchantKey, NotificationDelays, NotificationOutcome,
    OutgoingNotification, RepeatedRefundKey,
};
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::world::World;
use crate::{parties, people};

pub(crate) fn engine(plan: &Plan, seed: u64) -> Engine {
    let merchants = [(parties::TEST_KEY, "G1"), (parties::LIVE_KEY, "G2")]
        .map(|(key, id)| MerchantKey { server_key: key.into(), merchant_id: id.into() });
    let mut engine = Engine::new(EngineConfig {
        merchants: merchants.into(),
        base_url: parties::MIDTRANS.into(),
        notification_delays: NotificationDelays {
            pending_ms: 10,
            settlement_ms: 300,
            expire_ms: 60_000,
            other_ms: 1_000,
        },
        seed,
        merchant_balance: plan.merchant_balance,
        repeated_refund_key: if plan.repeated_refund_key_repeats {
            RepeatedRefundKey::Repeat
        } else {
            RepeatedRefundKey::Refuse
        },
        ..EngineConfig::default()
    });
    for fault in &plan.faults {
        engine.add_fault(fault.clone()).expect("the fault is well-formed");
    }
    engine
}

/// Sends what is due, for ever.
pub(crate) async fn pump(world: Arc<World>) {
    loop {
        for notification in world.engine(|engine, now| engine.due_notifications(now)) {
            let world = Arc::clone(&world);
            tokio::spawn(async move { notify(&world, notification).await });
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn notify(world: &Arc<World>, notification: OutgoingNotification) {
    let forged = world.rates().forged;
    if world.chance(|chance| chance.of_10_000(forged)) {
        forge(world, &notification.body).await;
    }
    let status = post(world, notification.body.clone()).await;
    if status == Some(200) {
        people::taken(world, &notification.body);
    }
    let outcome = status.map_or(NotificationOutcome::Failed, NotificationOutcome::Status);
    world.engine(|engine, now| engine.notification_result(notification.id, now, outcome));
}

/// The signature covers order, code and amount only: whoever has seen one notification can send
/// another that says something else under the same signature.
async fn forge(world: &Arc<World>, body: &Bytes) {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else { return };
    let lie = world.chance(|chance| {
        chance.pick(&["settlement", "expire", "cancel", "deny", "refund", "pending"])
    });
    fields.insert("transaction_status".into(), json!(lie));
    if world.chance(|chance| chance.percent(30)) {
        fields.insert("gross_amount".into(), json!("1.00"));
    }
    world.count("forged notifications");
    post(world, Bytes::from(Value::Object(fields).to_string())).await;
}

async fn post(world: &Arc<World>, body: Bytes) -> Option<u16> {
    let side = Arc::clone(world);
    let adapter = async move {
        let process = side.any_process()?;
        let service = process.service.clone();
        tokio::select! {
            biased;
            () = process.life.until_dead() => None,
            answer = service.notification(&body) => Some(match answer {
                NotificationAnswer::Done => 200_u16,
                NotificationAnswer::Forged => 403,
                NotificationAnswer::Malformed => 400,
                NotificationAnswer::Unavailable => 503,
            }),
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(15), world.exchange(adapter)).await;
    let said = said.ok().flatten();
    world.count(if said == Some(200) {
        "midtrans notifications taken"
    } else {
        "midtrans notifications not taken"
    });
    said
}
