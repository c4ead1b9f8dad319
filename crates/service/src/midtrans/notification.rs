//! Notifications of Midtrans.
//!
//! A notification is unconfirmed: its signature does not cover the status, so every change waits
//! for GET status (`docs/midtrans.md`, "Signature").

use gopay_core::midtrans::{
    MidtransTxId, Notification, NotificationError, TransactionStatus, UnverifiedNotification,
};
use gopay_core::payment::{Event, Payment, PaymentState};
use gopay_core::translate::outcome::{
    after_notification, claims_money, claims_money_back, notification_needs_status, unconfirmed,
};
use gopay_store::{Note, StoreError};
use serde_json::json;

use crate::describe::log_store_error;
use crate::observe::{self, UseCase};
use crate::thin::{self, UNAUTHENTICATED_PAUSE};
use crate::unbroken::unbroken;
use crate::{Service, note};

/// How to answer a notification, so that Midtrans does the right thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationAnswer {
    /// No retry needed: 200.
    Done,
    /// The signature is wrong: 403.
    Forged,
    /// Not a notification: 400.
    Malformed,
    /// Our own fault, try again: 503.
    Unavailable,
}

impl Service {
    /// Handles a notification from Midtrans.
    pub async fn notification(&self, body: &[u8]) -> NotificationAnswer {
        let unverified = match Notification::parse(body) {
            Ok(unverified) => unverified,
            // The dashboard's test button sends such; there is nothing to do about it.
            Err(NotificationError::DoubleEncoded) => return NotificationAnswer::Done,
            Err(error) => {
                if let Some(repeats) =
                    thin::due("a body that is no notification", UNAUTHENTICATED_PAUSE)
                {
                    tracing::warn!(error = %error, repeats, "a body that is no notification");
                }
                return NotificationAnswer::Malformed;
            }
        };
        let Some(permit) = self.0.admission.notification() else {
            if let Some(repeats) =
                thin::due("too many notifications at once", UNAUTHENTICATED_PAUSE)
            {
                tracing::warn!(
                    repeats,
                    "too many notifications at once; Midtrans sends this one again"
                );
            }
            return NotificationAnswer::Unavailable;
        };
        let service = self.clone();
        // Applied to its end even if Midtrans hangs up.
        let ended = unbroken(async move {
            let work = Box::pin(service.apply_notification(unverified));
            let answer = observe::observed(UseCase::Notification, work).await;
            drop(permit);
            answer
        });
        match ended.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                log_store_error(&error);
                NotificationAnswer::Unavailable
            }
            Err(error) => {
                tracing::error!(error = %error, "a notification ended in a bug");
                NotificationAnswer::Unavailable
            }
        }
    }

    async fn apply_notification(
        &self,
        unverified: UnverifiedNotification,
    ) -> Result<NotificationAnswer, StoreError> {
        let payment = match unverified.order_id().tx_id() {
            Some(tx_id) => self.0.store.payment_get(tx_id).await?,
            None => None,
        };
        let Some(payment) = payment else {
            return self.unknown_order(unverified).await;
        };
        let parties = self.parties();
        let account = parties.midtrans.of_payment(&payment);
        let verified = account.and_then(|account| account.verify(&unverified));
        let Some(notification) = verified else {
            if let Some(repeats) =
                thin::due("a notification with a wrong signature", UNAUTHENTICATED_PAUSE)
            {
                let tx_id = payment.tx_id;
                tracing::warn!(payment.tx_id = %tx_id, repeats, "a notification with a wrong signature");
            }
            return Ok(NotificationAnswer::Forged);
        };
        self.handle_notification(&payment, &notification).await
    }

    /// Asks GET status about what a notification claims. Money that it claims and that nobody can find
    /// in the answer is for a person, as is money of another transaction of the same order.
    async fn ask_about(
        &self,
        payment: &Payment,
        notification: &Notification,
        notes: Vec<Note>,
    ) -> (Event, Vec<Note>) {
        let mut asked = self.ask(payment, notes).await;
        let claimed = notification.claimed_status();
        if !claims_money(claimed) || matches!(asked.event, Event::Paid { .. } | Event::Doubted(_)) {
            return (asked.event, asked.notes);
        }
        let named = notification.claimed_tx_id().map(MidtransTxId::as_str);
        if named.is_some() && named != payment.midtrans_tx_id.as_deref() {
            let id = payment.tx_id.to_string();
            asked = self.ask_by(&id, payment, asked.notes).await;
        }
        // Not found, it would end unpaid now.
        let undecided = (asked.event == Event::NoAnswer && asked.unreadable)
            || (asked.event == Event::NotFound && payment.session_over(self.now()));
        if undecided {
            asked.event = Event::Doubted(unconfirmed(Some(claimed.as_str()), &asked.said));
        }
        (asked.event, asked.notes)
    }

    /// Acts on a verified notification: asks whether what it claims is so.
    async fn handle_notification(
        &self,
        payment: &Payment,
        notification: &Notification,
    ) -> Result<NotificationAnswer, StoreError> {
        let claimed = notification.claimed_status();
        observe::learn(|seen| {
            (seen.tx_id, seen.outcome) = (Some(payment.tx_id), "recorded");
        });
        let detail = json!({"claimed": claimed.as_str(), "code": notification.status_code().map(|code| code.get())});
        let notes = [note("notification", detail)];
        let said = said(notification);
        let Some(question) = self.0.questions.begin(payment.tx_id, &said).await else {
            return Ok(turned_away());
        };
        // Whoever asked before may have found out.
        let known =
            if question.waited { self.0.store.payment_get(payment.tx_id).await? } else { None };
        let payment = known.as_ref().unwrap_or(payment);
        let needs_status = notification_needs_status(&payment.state, claimed);
        let other = other_transaction(payment, notification);
        if question.repeats && !needs_status && !claims_money_back(claimed) && other.is_none() {
            // It is in the trail already, and tells nothing new however often it comes.
            return Ok(NotificationAnswer::Done);
        }
        if !self.0.questions.may_ask(&question) {
            return Ok(turned_away());
        }
        if let Some(other) = other {
            let store = &self.0.store;
            self.retry_while_busy(|| store.payment_note(payment.tx_id, &notes, self.now())).await?;
            return self.money_beside(payment, other, notification).await;
        }
        if !needs_status {
            let store = &self.0.store;
            self.retry_while_busy(|| store.payment_note(payment.tx_id, &notes, self.now())).await?;
            if payment.state == PaymentState::Succeeded
                && !self.look_at_refunds(payment, claims_money_back(claimed)).await?
            {
                return Ok(NotificationAnswer::Unavailable);
            }
            return Ok(NotificationAnswer::Done);
        }
        let (event, notes) = self.ask_about(payment, notification, notes.to_vec()).await;
        let applied = self.apply(payment.tx_id, &event, None, &notes).await?;
        if applied.payment.state == PaymentState::Succeeded && claims_money_back(claimed) {
            self.look_at_refunds(&applied.payment, true).await?;
        }
        observe::learn(|seen| seen.outcome = event.word());
        let after = after_notification(&payment.state, claimed, &event);
        if after.poll_soon {
            self.poll_soon(payment.tx_id).await?;
        }
        Ok(if after.send_again {
            NotificationAnswer::Unavailable
        } else {
            NotificationAnswer::Done
        })
    }
}

/// The transaction that a notification names as having money, if that is another one than the paid
/// one of the order. Nothing signs its name.
fn other_transaction<'n>(
    payment: &Payment,
    notification: &'n Notification,
) -> Option<&'n MidtransTxId> {
    let own = payment.midtrans_tx_id.as_deref()?;
    let named = notification.claimed_tx_id()?;
    let decided = payment.doubt.as_ref().and_then(|doubt| doubt.finding.midtrans_tx_id.as_deref());
    let is_other = named.as_str() != own && Some(named.as_str()) != decided;
    (payment.state == PaymentState::Succeeded
        && claims_money(notification.claimed_status())
        && is_other)
        .then_some(named)
}

/// What tells a new notification from a repeat. What the signature does not cover can be changed by whoever repeats
/// it, so of that only the words count that there are.
pub(super) fn said(notification: &Notification) -> String {
    let claimed = notification.claimed_status();
    let known = !matches!(claimed, TransactionStatus::Unknown(_));
    let word = if known { claimed.as_str() } else { "unknown" };
    format!("{word} {:?}", notification.status_code())
}

/// The answer to a notification that repeats too fast to be looked into; Midtrans sends it again.
pub(super) fn turned_away() -> NotificationAnswer {
    // Without an id its line stays out of the log.
    observe::learn(|seen| (seen.outcome, seen.tx_id) = ("turned_away", None));
    if let Some(repeats) = thin::due("notifications that repeat", UNAUTHENTICATED_PAUSE) {
        tracing::warn!(repeats, "notifications repeat faster than Midtrans is asked");
    }
    NotificationAnswer::Unavailable
}
