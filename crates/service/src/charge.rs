//! Opening a charge at Midtrans: at most one per payment, and a clear outcome or a hunt.

use std::time::Duration;

use bytes::Bytes;
use gopay_core::midtrans::{ChargeReply, Created, OrderId, Refusal, RefusalCause, StatusReply};
use gopay_core::payment::{Event, FailReason, Failure, Payment};
use gopay_midtrans_client::{CallError, MidtransClient};
use gopay_store::Note;
use serde_json::json;
use tokio::time::Instant;

use crate::{Service, note};

/// How long a call may take in all, so that the PSP has its answer within 30 s
/// (`docs/psp-guide.md`, "Transport").
pub(crate) const BUDGET: Duration = Duration::from_secs(25);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(300);

/// One after another within the budget; each under the same idempotency key.
const TRIES_MAX: u32 = 4;

/// What a try told.
enum Tried {
    Clear(Event),
    /// Nothing reached Midtrans.
    NotSent,
    /// A charge may exist.
    Unclear(&'static str),
}

impl Service {
    /// Sends the charge and says what came of it, with notes for the trail.
    ///
    /// A second try uses the same idempotency key and the same order id: Midtrans answers what it
    /// answered before, or refuses a duplicate, but never charges twice.
    pub(crate) async fn open_charge(&self, payment: &Payment, body: Bytes) -> (Event, Vec<Note>) {
        let Some(upstream) = self.0.upstreams.of(payment.channel) else {
            let failure = Failure::new(
                FailReason::LocalError,
                "channel: not connected to GoPay here; contact support",
            );
            return (Event::ChargeRefused(failure), vec![]);
        };
        let started = Instant::now();
        let key = format!("c{}", payment.tx_id);
        let mut notes = Vec::new();
        let mut may_exist = false;
        for attempt in 0..TRIES_MAX {
            if attempt > 0 {
                if started.elapsed() + PAUSE * attempt > BUDGET / 2 {
                    break;
                }
                tokio::time::sleep(PAUSE * attempt).await;
            }
            let reply = upstream.client.charge(body.clone(), &key, None).await;
            let (tried, said) = read(payment, reply);
            notes.push(note("charge_sent", json!({"attempt": attempt, "answer": said})));
            match tried {
                // After an unclear try, a refusal may be about the repeat.
                Tried::Clear(Event::ChargeRefused(_)) if may_exist => break,
                Tried::Clear(event) => return (event, notes),
                Tried::NotSent => {}
                Tried::Unclear("duplicate") => {
                    may_exist = true;
                    break;
                }
                Tried::Unclear(_) => may_exist = true,
            }
        }
        if !may_exist {
            let failure = Failure::new(
                FailReason::RemoteError,
                "GoPay cannot be reached; nothing was charged; try again later",
            );
            return (Event::ChargeRefused(failure), notes);
        }
        let event = self.ask_for_charge(&upstream.client, payment, started, &mut notes).await;
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
        let left = BUDGET.saturating_sub(started.elapsed());
        let asked = tokio::time::timeout(left, client.status(&payment.tx_id.to_string())).await;
        let event = match asked {
            Ok(Ok(StatusReply::Found(view))) => {
                match (crate::news::event(payment, &view), view.deeplink) {
                    (Ok(Event::StillOpen { midtrans_tx_id }), Some(deeplink)) => {
                        Event::ChargeCreated { midtrans_tx_id, deeplink }
                    }
                    _ => unclear(),
                }
            }
            _ => unclear(),
        };
        notes.push(note("asked", json!({"about": "charge", "event": event.word()})));
        event
    }
}

/// What an answer to a charge means, and a word for the trail.
fn read(payment: &Payment, reply: Result<ChargeReply, CallError>) -> (Tried, String) {
    match reply {
        Ok(ChargeReply::Created(created)) => created_event(payment, created),
        Ok(ChargeReply::Denied(refusal) | ChargeReply::Refused(refusal)) => {
            let said = describe(&refusal);
            (Tried::Clear(Event::ChargeRefused(failure(&refusal))), said)
        }
        Ok(ChargeReply::InProgress) => (Tried::Unclear("in progress"), "in progress".into()),
        Ok(ChargeReply::Duplicate) => (Tried::Unclear("duplicate"), "duplicate".into()),
        Ok(ChargeReply::Unclear) => (Tried::Unclear("unclear"), "unclear".into()),
        Err(error @ CallError::NotSent(_)) => (Tried::NotSent, chain(&error)),
        Err(error @ CallError::OutcomeUnknown(_)) => (Tried::Unclear("no answer"), chain(&error)),
    }
}

fn created_event(payment: &Payment, created: Created) -> (Tried, String) {
    let ours =
        created.order_id == OrderId::Ours(payment.tx_id) && Some(created.gross) == payment.amount;
    if created.deeplink.is_none() || !ours {
        tracing::error!(payment.tx_id = %payment.tx_id, ours, "a charge that nobody can be sent to");
    }
    match created.deeplink {
        Some(deeplink) if ours => {
            let midtrans_tx_id = created.midtrans_tx_id.as_str().to_owned();
            (Tried::Clear(Event::ChargeCreated { midtrans_tx_id, deeplink }), "created".into())
        }
        // Nobody could pay it on a phone, or it is not what we asked for: it must be closed.
        Some(_) => (Tried::Clear(unclear()), "created, but not our order or amount".into()),
        None => (Tried::Clear(unclear()), "created without a deeplink".into()),
    }
}

fn unclear() -> Event {
    Event::ChargeUnclear(Failure::new(
        FailReason::RemoteError,
        "GoPay did not confirm the charge in time; try again",
    ))
}

/// The PPRO failure of a clear refusal (`docs/midtrans.md`, "Refusals").
pub(crate) fn failure(refusal: &Refusal) -> Failure {
    let code = refusal.provider_code.as_deref().map_or_else(
        || refusal.status_code.to_string(),
        |provider| format!("{}/{provider}", refusal.status_code),
    );
    let (reason, text) = match refusal.cause {
        RefusalCause::InputData => (FailReason::InputData, "GoPay does not accept the data sent"),
        RefusalCause::Declined => (FailReason::RemoteDecline, "Declined by GoPay"),
        RefusalCause::Misconfigured => {
            (FailReason::LocalError, "The merchant is not set up at GoPay; contact support")
        }
        RefusalCause::Temporary => {
            (FailReason::RemoteError, "GoPay has a temporary fault; try again later")
        }
        RefusalCause::Unknown => (FailReason::Unknown, "Refused by GoPay"),
    };
    Failure::new(reason, &format!("{text} (code {code})"))
}

/// A refusal for the trail: codes and cause; the texts may quote what the shopper sent.
pub(crate) fn describe(refusal: &Refusal) -> String {
    let provider = refusal.provider_code.as_deref().unwrap_or("none");
    format!("refused {}, provider code {provider}, {}", refusal.status_code, refusal.cause.as_str())
}

/// An error with its sources, for the trail, the log and the operator.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
