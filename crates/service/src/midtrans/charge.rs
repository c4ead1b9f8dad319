//! Opening a charge at Midtrans: at most one per payment, and a clear outcome or a recovery.

use std::time::Duration;

use bytes::Bytes;
use gopay_core::midtrans::ChargeReply;
use gopay_core::payment::{Event, FailReason, Failure, Payment};
use gopay_core::translate::outcome::{
    ChargeAnswer, charge_after_status, charge_answer, charge_not_sent, charge_unusable,
};
use gopay_midtrans_client::{CallError, MidtransClient};
use gopay_store::Note;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::CALL_DEADLINE;
use crate::describe::{chain, describe_charge};
use crate::{MidtransAccount, Service, note, observe};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(300);

/// One after another within [`CALL_DEADLINE`]; each under the same idempotency key.
const TRIES_MAX: u32 = 4;

/// What a try told.
enum Tried {
    Answered(ChargeAnswer),
    /// Nothing reached Midtrans.
    NotSent,
}

impl Service {
    /// Sends the charge and says what came of it, with notes for the trail.
    ///
    /// A second try uses the same idempotency key and the same order id: Midtrans answers what it
    /// answered before, or refuses a duplicate, but never charges twice.
    pub(crate) async fn open_charge(&self, payment: &Payment, body: Bytes) -> (Event, Vec<Note>) {
        let parties = self.parties();
        let Some(account) = parties.midtrans.of_payment(payment) else {
            let failure = Failure::new(
                FailReason::LocalError,
                "channel: not connected to GoPay here; contact support",
            );
            return (Event::ChargeRefused(failure), vec![]);
        };
        let started = Instant::now();
        let key = ["c", &String::from(payment.tx_id)].concat();
        let mut notes = Vec::new();
        let mut may_exist = false;
        for attempt in 0..TRIES_MAX {
            if attempt > 0 {
                if started.elapsed() + PAUSE * attempt > CALL_DEADLINE / 2 {
                    break;
                }
                tokio::time::sleep(PAUSE * attempt).await;
            }
            let reply = account.client.charge(body.clone(), &key, None);
            let reply = observe::upstream("charge", reply).await;
            let (tried, said) = read(account, payment, &body, reply);
            notes.push(note("charge_sent", json!({"attempt": attempt, "answer": said})));
            match tried {
                // After an unclear try, a refusal may be about the repeat.
                Tried::Answered(ChargeAnswer::Outcome(Event::ChargeRefused(_))) if may_exist => {
                    break;
                }
                Tried::Answered(ChargeAnswer::Outcome(event)) => return (event, notes),
                Tried::Answered(ChargeAnswer::Unusable(why)) => {
                    tracing::error!(payment.tx_id = %payment.tx_id, why, "a charge that nobody can be sent to");
                    return (charge_unusable(), notes);
                }
                Tried::NotSent => {}
                Tried::Answered(ChargeAnswer::Duplicate) => {
                    may_exist = true;
                    break;
                }
                Tried::Answered(ChargeAnswer::Unknown(_)) => may_exist = true,
            }
        }
        if !may_exist {
            return (charge_not_sent(), notes);
        }
        let event = self.ask_for_charge(&account.client, payment, started, &mut notes).await;
        (event, notes)
    }

    /// Asks for the status of a charge whose answer is missing.
    async fn ask_for_charge(
        &self,
        client: &MidtransClient,
        payment: &Payment,
        started: Instant,
        notes: &mut Vec<Note>,
    ) -> Event {
        let id = payment.tx_id.to_string();
        let left = CALL_DEADLINE.saturating_sub(started.elapsed());
        let asked =
            tokio::time::timeout(left, observe::upstream("status", client.status(&id))).await;
        let event = charge_after_status(payment, asked.ok().and_then(Result::ok));
        notes.push(note("asked", json!({"about": "charge", "event": event.word()})));
        event
    }
}

/// What a try told, and a word for the trail.
fn read(
    account: &MidtransAccount,
    payment: &Payment,
    body: &[u8],
    reply: Result<ChargeReply, CallError>,
) -> (Tried, String) {
    match reply {
        Ok(reply) => {
            let is_refusal = matches!(reply, ChargeReply::Denied(_) | ChargeReply::Refused(_));
            let personal = if is_refusal { personal_texts(body) } else { Vec::new() };
            let refusal = describe_charge(account, &reply, &personal);
            let answer = charge_answer(payment, reply);
            let said = refusal.unwrap_or_else(|| answer.as_str().to_owned());
            (Tried::Answered(answer), said)
        }
        Err(error @ CallError::NotSent(_)) => (Tried::NotSent, chain(&error)),
        Err(error @ CallError::OutcomeUnknown(_)) => {
            (Tried::Answered(ChargeAnswer::Unknown("no answer")), chain(&error))
        }
    }
}

/// The texts of a charge that tell of a person: Midtrans may repeat them in a refusal.
fn personal_texts(body: &[u8]) -> Vec<String> {
    let charge = serde_json::from_slice::<Map<String, Value>>(body).ok();
    let customer = charge.and_then(|mut charge| charge.remove("customer_details"));
    let mut texts = Vec::new();
    let mut left: Vec<_> = customer.into_iter().collect();
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) => texts.push(text),
            Value::Array(list) => left.extend(list),
            Value::Object(members) => left.extend(members.into_iter().map(|(_, value)| value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    texts
}
