//! Notifications: what is owed to whom, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gopay_core::time::Timestamp;

use super::Engine;
use crate::faults::{Action as FaultAction, On};
use crate::outbox::{NotificationOutcome, OutgoingNotification, retry_delay};
use crate::transaction::{NotificationCounts, Status};
use crate::variant::Variant;
use crate::wire::signature;

/// How long a held notification waits for the next one of its transaction.
const REORDER_MAX: Duration = Duration::from_secs(60);

impl Engine {
    /// Queues a notification of the present status to each receiver of a transaction.
    pub(crate) fn notify(&mut self, now: Timestamp, index: usize) {
        let Some(transaction) = self.transactions.get(index) else { return };
        let urls: Arc<[Arc<str>]> = match (&transaction.notify, &self.dashboard) {
            (Some(urls), _) => Arc::clone(urls),
            (None, Some(dashboard)) => Arc::from([Arc::clone(dashboard)]),
            (None, None) => return,
        };
        let delays = self.config.notification_delays;
        let delay_ms = match transaction.status {
            Status::Pending => delays.pending_ms,
            Status::Settlement => delays.settlement_ms,
            Status::Expire => delays.expire_ms,
            Status::Cancel
            | Status::Deny
            | Status::Failure
            | Status::PartialRefund
            | Status::Refund => delays.other_ms,
        };
        let due = now.after(Duration::from_millis(delay_ms));
        for url in urls.iter() {
            self.notify_one(index, url, now, due);
        }
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
            let id = self.outbox.push(index, Arc::clone(url), body.clone(), due);
            if hold {
                self.outbox.hold(index, id);
            }
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
        let forged = variant == Some(&Variant::Forged);
        let key = self.keys.get(transaction.key).map_or("", |key| &key.text);
        let key = if forged { "not-the-server-key" } else { key };
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

    /// Reports what became of a try; schedules the next one if the answer allows it.
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
    }
}
