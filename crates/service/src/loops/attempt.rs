//! One delivery attempt: a notification is sent to a PSP, and how that ended is stored.

use std::time::Duration;

use bytes::Bytes;
use gopay_core::ppro::hash::notification_body;
use gopay_core::translate::outcome::delivery_confirmed;
use gopay_outbound::{Incoming, Method, Outgoing, TransportError};
use gopay_store::{AttemptOutcome, Delivery, StoreError, receiver_of};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::Service;
use crate::describe::chain;
use crate::observe::{self, UseCase};
use crate::trace::{self, TraceContext};

/// Answers are read to see `OK`; some receivers send a whole page with it.
const REPLY_BYTES_MAX: usize = 256 * 1024;

impl Service {
    /// Sends one delivery, which the receiver has `timeout` for, and stores how that ended; true if it
    /// was confirmed.
    pub(crate) async fn deliver(
        &self,
        delivery: Delivery,
        timeout: Duration,
    ) -> Result<bool, StoreError> {
        let context = self.trace_of(&delivery).await;
        let attempt = observe::observed(UseCase::Delivery, self.deliver_once(delivery, timeout));
        trace::within(context, attempt).await
    }

    /// The trace of the call that made the payment, which its trail has; not looked for as long as
    /// no call has one.
    async fn trace_of(&self, delivery: &Delivery) -> Option<TraceContext> {
        if !trace::are_used() {
            return None;
        }
        // Without it, the receiver is told all the same.
        let trail = self.0.store.payment_trail(delivery.tx_id).await.ok()?;
        let accepted = trail.iter().find(|line| line.kind == "accepted")?;
        TraceContext::of_trail(accepted.detail.get("trace")?.as_str()?)
    }

    async fn deliver_once(
        &self,
        delivery: Delivery,
        timeout: Duration,
    ) -> Result<bool, StoreError> {
        observe::learn(|seen| {
            (seen.tx_id, seen.psp) = (Some(delivery.tx_id), Some(delivery.psp.clone()));
        });
        let (good, detail) = self.attempt(&delivery, timeout).await;
        let now = self.now();
        self.0.board.tried(&receiver_of(&delivery.url), &detail, now);
        let retry = usize::try_from(delivery.attempts).ok();
        let wait = retry.and_then(|retry| self.settings().delivery_schedule.get(retry));
        let outcome = match (good, wait) {
            (true, _) => AttemptOutcome::Delivered,
            (false, Some(wait)) => AttemptOutcome::Retry(now.after(*wait)),
            (false, None) => {
                tracing::error!(
                    payment.tx_id = %delivery.tx_id,
                    attempts = delivery.attempts.saturating_add(1),
                    "a notification is given up"
                );
                AttemptOutcome::GiveUp
            }
        };
        observe::learn(|seen| {
            seen.outcome = match &outcome {
                AttemptOutcome::Delivered => "delivered",
                AttemptOutcome::Retry(_) | AttemptOutcome::Postpone(_) => "retry",
                AttemptOutcome::GiveUp => "given_up",
            };
        });
        let record =
            || self.0.store.delivery_record(&delivery, &outcome, detail.clone(), self.now());
        self.retry_while_busy(record).await?;
        Ok(good)
    }

    async fn attempt(&self, delivery: &Delivery, timeout: Duration) -> (bool, Value) {
        let parties = self.parties();
        let Some(psp) = parties.directory.psp(&delivery.psp) else {
            return (
                false,
                json!({"error": "the client is no longer configured", "delivered": false}),
            );
        };
        let Some(secret) = psp.notification_secrets.first() else {
            return (
                false,
                json!({"error": "the client has no notification secret", "delivered": false}),
            );
        };
        let body = notification_body(delivery.tx_id, delivery.final_at, secret.expose_secret());
        let request = Outgoing {
            method: Method::Post,
            url: delivery.url.clone(),
            headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
            body: Bytes::from(body),
            timeout,
            reply_bytes_max: REPLY_BYTES_MAX,
        };
        outcome(observe::receiver(self.0.receivers.send(request)).await, psp.require_ok_body)
    }
}

fn outcome(reply: Result<Incoming, TransportError>, require_ok_body: bool) -> (bool, Value) {
    match reply {
        Ok(reply) => {
            let good = delivery_confirmed(reply.status, &reply.body, require_ok_body);
            (good, json!({"status": reply.status, "delivered": good}))
        }
        Err(error) => (false, json!({"error": chain(&error), "delivered": false})),
    }
}
