//! Notifications: what is owed to whom, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gopay_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Engine;
use crate::faults::{Action as FaultAction, On};
use crate::outbox::{AllInFlight, NotificationOutcome, OutgoingNotification, retry_delay};
use crate::sent::Sent;
use crate::transaction::{NotificationCounts, RefundSource, Status};
use crate::variant::Variant;
use crate::wallet::WalletError;
use crate::wire::signature;

/// How long a held notification waits for the next one of its transaction.
const REORDER_MAX: Duration = Duration::from_secs(60);

/// What a forged notification is signed with.
const FORGED_KEY: &str = "not-the-server-key";

/// A notification to send on demand: the usual one of the present status, unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationRequest {
    /// Send the last one of this transaction again, byte for byte; the rest is ignored then.
    pub repeat: bool,
    /// Fields that say something else than the truth.
    pub set: Map<String, Value>,
    /// Fields that are left out, such as `transaction_id`.
    pub remove: Vec<String>,
    /// Sign it with another key.
    pub forge: bool,
}

impl Engine {
    /// Queues a notification of the present status to each receiver of a transaction.
    pub(crate) fn notify(&mut self, now: Timestamp, index: usize) {
        let Some(transaction) = self.transactions.get(index) else { return };
        let delays = self.config.notification_delays;
        let delay_ms = match transaction.status {
            Status::Pending => delays.pending_ms,
            Status::Settlement => delays.settlement_ms,
            Status::Expire => delays.expire_ms,
            Status::Cancel
            | Status::Deny
            | Status::Failure
            | Status::PartialRefund
            | Status::Refund
            | Status::PartialChargeback
            | Status::Chargeback => delays.other_ms,
        };
        let due = now.after(Duration::from_millis(delay_ms));
        for url in self.receivers(index).iter() {
            self.notify_one(index, url, now, due);
        }
    }

    /// Where notifications of a transaction go.
    fn receivers(&self, index: usize) -> Arc<[Arc<str>]> {
        let own = self.transactions.get(index).and_then(|found| found.notify.as_ref());
        match (own, &self.dashboard) {
            (Some(urls), _) => Arc::clone(urls),
            (None, Some(dashboard)) => Arc::from([Arc::clone(dashboard)]),
            (None, None) => Arc::from([]),
        }
    }

    /// Sends a notification on demand, past delays and faults, and says to how many receivers.
    ///
    /// # Errors
    /// [`WalletError::Unknown`], [`WalletError::NothingSent`] or [`WalletError::NoReceiver`].
    pub fn send_notification(
        &mut self,
        now: Timestamp,
        id: &str,
        wanted: &NotificationRequest,
    ) -> Result<usize, WalletError> {
        self.tick(now);
        let index = self.find_any(id).ok_or(WalletError::Unknown)?;
        let body = if wanted.repeat {
            let mut newest_first = self.sent.iter().rev();
            let last = newest_first.find(|sent| sent.transaction == index);
            last.map(|sent| sent.body.clone()).ok_or(WalletError::NothingSent)?
        } else {
            self.requested_body(index, now, wanted)
        };
        let receivers = self.receivers(index);
        if receivers.is_empty() {
            return Err(WalletError::NoReceiver);
        }
        for url in receivers.iter() {
            self.count(index, NotificationCounts { queued: 1, ..Default::default() });
            self.queue(index, Arc::clone(url), body.clone(), now, false);
        }
        Ok(receivers.len())
    }

    /// The usual body with other fields, signed over what it says then.
    fn requested_body(&self, index: usize, now: Timestamp, wanted: &NotificationRequest) -> Bytes {
        let usual = self.notification_body(index, now, None);
        let mut fields: Map<String, Value> = serde_json::from_slice(&usual).unwrap_or_default();
        fields.extend(wanted.set.clone());
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let key = if wanted.forge { Some(FORGED_KEY) } else { self.signing_key(index) };
        let signed = signature(
            text("order_id"),
            text("status_code"),
            text("gross_amount"),
            key.unwrap_or_default(),
        );
        if !wanted.set.contains_key("signature_key") {
            fields.insert("signature_key".to_owned(), Value::String(signed));
        }
        for name in &wanted.remove {
            fields.remove(name);
        }
        Bytes::from(serde_json::to_vec(&fields).unwrap_or_default())
    }

    fn signing_key(&self, index: usize) -> Option<&str> {
        let key = self.transactions.get(index)?.key;
        self.keys.get(key).map(|key| key.text.as_str())
    }

    fn notify_one(&mut self, index: usize, url: &Arc<str>, now: Timestamp, due: Timestamp) {
        let Some(transaction) = self.transactions.get(index) else { return };
        let fault =
            self.faults.pick(On::Notification, Some(&transaction.order_id), &mut self.random);
        let (mut copies, mut due, mut hold) = (1_u64, due, false);
        match &fault {
            Some(FaultAction::Drop {}) => copies = 0,
            Some(FaultAction::Duplicate { n }) => copies += u64::from(*n),
            Some(FaultAction::Delay { ms, .. }) => due = due.after(Duration::from_millis(*ms)),
            Some(FaultAction::Reorder {}) => (due, hold) = (due.after(REORDER_MAX), true),
            // A variant of the body, or none.
            Some(_) | None => {}
        }
        let variant = fault.as_ref().and_then(Variant::of);
        let body = self.notification_body(index, now, variant.as_ref());
        let count = NotificationCounts {
            queued: copies,
            dropped: u64::from(copies == 0),
            ..NotificationCounts::default()
        };
        self.count(index, count);
        if copies > 0 && !hold {
            self.outbox.release(index, due);
        }
        for _ in 0..copies {
            self.queue(index, Arc::clone(url), body.clone(), due, hold);
        }
    }

    /// Puts a notification into the outbox. If that is full, the one that waits longest is given
    /// up; if all of it is being sent, this one is.
    fn queue(&mut self, index: usize, url: Arc<str>, body: Bytes, due: Timestamp, hold: bool) {
        let given_up = match self.outbox.make_room() {
            Ok(dropped) => {
                self.outbox.push(index, url, body, due, hold);
                dropped
            }
            Err(AllInFlight) => Some(index),
        };
        if let Some(transaction) = given_up {
            self.dropped.notifications += 1;
            self.count(transaction, NotificationCounts { given_up: 1, ..Default::default() });
        }
    }

    fn notification_body(&self, index: usize, now: Timestamp, variant: Option<&Variant>) -> Bytes {
        let Some(transaction) = self.transactions.get(index) else { return Bytes::new() };
        let status = transaction.status;
        let code = status.notification_code();
        let mut body = self.body(transaction, status, code, "midtrans payment notification", now);
        if let Some(variant) = variant {
            variant.apply(&mut body, transaction);
        }
        for (entry, refund) in body.refunds.iter_mut().zip(&transaction.refunds) {
            if refund.source == RefundSource::Dashboard {
                entry.refund_key = None;
            }
        }
        let forged = variant == Some(&Variant::Forged);
        let key = if forged { FORGED_KEY } else { self.signing_key(index).unwrap_or_default() };
        body.signature_key = Some(signature(&transaction.order_id, code, &body.gross_amount, key));
        Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
    }

    fn count(&mut self, index: usize, more: NotificationCounts) {
        self.counts.add(more);
        if let Some(transaction) = self.transactions.get_mut(index) {
            transaction.notifications.add(more);
        }
    }

    /// Takes every notification that is due. Each must be answered by
    /// [`Self::notification_result`]; until then it counts as in flight.
    pub fn due_notifications(&mut self, now: Timestamp) -> Vec<OutgoingNotification> {
        self.due_notifications_up_to(now, usize::MAX)
    }

    /// Takes at most `max` notifications that are due, oldest first.
    pub fn due_notifications_up_to(
        &mut self,
        now: Timestamp,
        max: usize,
    ) -> Vec<OutgoingNotification> {
        self.tick(now);
        self.outbox.take_due(now, max)
    }

    /// Reports what became of an attempt; schedules the next one if the answer allows it.
    pub fn notification_result(&mut self, id: u64, now: Timestamp, outcome: NotificationOutcome) {
        let jitter = self.config.retry_jitter;
        let random = &mut self.random;
        let retry_in = |attempt| retry_delay(outcome, attempt, jitter, random);
        let Some(finished) = self.outbox.finish(id, now, retry_in) else { return };
        let delivered = outcome.delivered();
        let count = NotificationCounts {
            attempts: 1,
            delivered: u64::from(delivered),
            failed: u64::from(!delivered),
            given_up: u64::from(!delivered && !finished.retried),
            ..NotificationCounts::default()
        };
        self.count(finished.transaction, count);
        self.sent.record(Sent {
            number: 0,
            at: now,
            transaction: finished.transaction,
            url: finished.url,
            body: finished.body,
            attempt: finished.attempt,
            outcome,
        });
    }
}
