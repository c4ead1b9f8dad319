//! What Midtrans says about a payment after the charge: asked for, or notified.
//!
//! A notification is a hint: its signature does not cover the status, so every change waits for
//! GET status (`docs/midtrans.md`, "Signature").

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::midtrans::{
    CloseReply, Notification, NotificationError, OrderId, StatusReply, StatusView,
    TransactionStatus, UnverifiedNotification,
};
use gopay_core::payment::{Closure, Event, Payment, PaymentState, SILENCE_MAX, Upstream};
use gopay_core::time::Timestamp;
use gopay_store::{Note, StoreError};
use secrecy::ExposeSecret as _;
use serde_json::json;

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
    /// Our own trouble, try again: 503.
    Trouble,
}

/// How to end a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// Time is over.
    Expire,
    /// Somebody asked, or nobody may pay it.
    Cancel,
}

/// What GET status says about a payment as an event; or why it says nothing about this payment.
pub(crate) fn event(payment: &Payment, view: &StatusView) -> Result<Event, &'static str> {
    if view.order_id != OrderId::Ours(payment.tx_id) {
        return Err("other order id");
    }
    if Some(view.gross) != payment.amount {
        return Err("other amount");
    }
    if view.currency.as_deref().is_some_and(|currency| currency != "IDR") {
        return Err("other currency");
    }
    let known = payment.midtrans_tx_id.as_deref();
    if known.is_some_and(|known| known != view.midtrans_tx_id.as_str()) {
        return Err("other transaction id");
    }
    let midtrans_tx_id = view.midtrans_tx_id.as_str().to_owned();
    if view.is_paid() {
        return Ok(Event::Paid { midtrans_tx_id, paid_at: view.settlement_time });
    }
    Ok(match &view.status {
        TransactionStatus::Pending => Event::StillOpen { midtrans_tx_id },
        TransactionStatus::Deny => Event::Closed(Closure::Denied),
        TransactionStatus::Cancel => Event::Closed(Closure::Cancelled),
        TransactionStatus::Expire => Event::Closed(Closure::Expired),
        TransactionStatus::Failure => Event::Closed(Closure::Failed),
        TransactionStatus::Settlement => return Err("settled, but not accepted"),
        TransactionStatus::Capture | TransactionStatus::Authorize => return Err("card status"),
        TransactionStatus::Refund
        | TransactionStatus::PartialRefund
        | TransactionStatus::Chargeback
        | TransactionStatus::PartialChargeback => return Err("refunded, but not accepted"),
        TransactionStatus::Unknown(_) => return Err("unknown status"),
    })
}

impl Service {
    /// Handles a notification from Midtrans.
    pub async fn notification(&self, body: &[u8]) -> NotificationAnswer {
        let unverified = match Notification::parse(body) {
            Ok(unverified) => unverified,
            // The dashboard's test button sends such; there is nothing to do about it.
            Err(NotificationError::DoubleEncoded) => return NotificationAnswer::Done,
            Err(error) => {
                tracing::warn!(error = %error, "a body that is no notification");
                return NotificationAnswer::Malformed;
            }
        };
        let Some(place) = self.0.rooms.news() else {
            tracing::warn!("too many notifications at once; Midtrans sends this one again");
            return NotificationAnswer::Trouble;
        };
        let service = self.clone();
        // Applied to its end even if Midtrans hangs up.
        let task = tokio::spawn(async move {
            let answer = service.apply_notification(unverified).await;
            drop(place);
            answer
        });
        match task.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                crate::call::log_trouble(&error);
                NotificationAnswer::Trouble
            }
            Err(error) => {
                tracing::error!(error = %error, "a notification ended in a bug");
                NotificationAnswer::Trouble
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
            // Somebody else's order under one of our keys needs no retry.
            return Ok(self.verify_with_any(unverified));
        };
        let key = self.0.upstreams.of(payment.channel).map(|upstream| &upstream.server_key);
        let verified = key.and_then(|key| unverified.verify(key.expose_secret()).ok());
        let Some(notification) = verified else {
            tracing::warn!(payment.tx_id = %payment.tx_id, "a notification with a wrong signature");
            return Ok(NotificationAnswer::Forged);
        };
        self.heed(&payment, &notification).await
    }

    fn verify_with_any(&self, unverified: UnverifiedNotification) -> NotificationAnswer {
        let upstreams = &self.0.upstreams;
        let good =
            upstreams.test.iter().chain(&upstreams.live).any(|upstream| {
                unverified.clone().verify(upstream.server_key.expose_secret()).is_ok()
            });
        if good { NotificationAnswer::Done } else { NotificationAnswer::Forged }
    }

    /// Acts on a verified notification: asks whether what it claims is so.
    async fn heed(
        &self,
        payment: &Payment,
        notification: &Notification,
    ) -> Result<NotificationAnswer, StoreError> {
        let claimed = notification.claimed_status();
        let detail = json!({"claimed": claimed.as_str(), "code": notification.status_code().map(|code| code.get())});
        let notes = [note("notification", detail)];
        let money = matches!(
            claimed,
            TransactionStatus::Settlement
                | TransactionStatus::Refund
                | TransactionStatus::PartialRefund
        );
        let nothing_new = match payment.state {
            PaymentState::Succeeded => true,
            // The answer to the charge says the same and why, and is the call's to hear; if the
            // call is dead, a worker asks.
            PaymentState::Initialized => !money,
            PaymentState::Pending => matches!(claimed, TransactionStatus::Pending),
            PaymentState::Failed => false,
        };
        if nothing_new {
            self.insist(|| self.0.store.payment_note(payment.tx_id, &notes, self.now())).await?;
            if payment.state == PaymentState::Succeeded {
                self.resolve_open_refunds(payment).await?;
            }
            return Ok(NotificationAnswer::Done);
        }
        let (event, notes) = self.ask(payment, notes.to_vec()).await;
        self.apply(payment.tx_id, &event, None, &notes).await?;
        if event == Event::NoNews {
            self.look_again_soon(payment.tx_id).await?;
            return Ok(NotificationAnswer::Trouble);
        }
        let lags = money && !matches!(event, Event::Paid { .. });
        if lags || matches!(event, Event::StillOpen { .. } | Event::NotFound) {
            // The status lags behind its own notification, or the notification lied.
            self.look_again_soon(payment.tx_id).await?;
        }
        if lags && payment.state == PaymentState::Failed {
            // Late money is looked for ever more seldom, and in the end not at all: have Midtrans
            // tell us again.
            return Ok(NotificationAnswer::Trouble);
        }
        Ok(NotificationAnswer::Done)
    }

    pub(crate) async fn look_again_soon(&self, tx_id: TxId) -> Result<(), StoreError> {
        const SOON: Duration = Duration::from_secs(10);
        let at = self.now().after(SOON);
        self.insist(|| self.0.store.payment_check_at(tx_id, at)).await
    }

    /// Asks Midtrans for the status; never fails, `NoNews` says that it told nothing.
    pub(crate) async fn ask(&self, payment: &Payment, mut notes: Vec<Note>) -> (Event, Vec<Note>) {
        let Some(upstream) = self.0.upstreams.of(payment.channel) else {
            return (Event::NoNews, notes);
        };
        let (found, said) = match upstream.client.status(&payment.upstream_id()).await {
            Ok(StatusReply::Found(view)) => match event(payment, &view) {
                Ok(event) => (event, view.status.as_str().to_owned()),
                Err(why) => {
                    tracing::error!(payment.tx_id = %payment.tx_id, why, "a status that does not fit the payment");
                    (Event::NoNews, why.to_owned())
                }
            },
            Ok(StatusReply::NotFound) => (Event::NotFound, "not found".to_owned()),
            Ok(StatusReply::InProgress) => (Event::NoNews, "in progress".to_owned()),
            Ok(StatusReply::Misconfigured(refusal)) => {
                let said = crate::charge::describe(&refusal);
                tracing::error!(payment.tx_id = %payment.tx_id, said, "Midtrans did not let us in");
                (Event::NoNews, said)
            }
            Ok(StatusReply::Unclear) => (Event::NoNews, "unclear".to_owned()),
            Err(error) => (Event::NoNews, crate::charge::chain(&error)),
        };
        notes.push(note("asked", json!({"about": "status", "answer": said})));
        (found, notes)
    }

    /// Ends a charge at Midtrans and says what it is now.
    pub(crate) async fn close(&self, payment: &Payment, how: Close) -> (Event, Vec<Note>) {
        let Some(upstream) = self.0.upstreams.of(payment.channel) else {
            return (Event::NoNews, vec![]);
        };
        let id = payment.upstream_id();
        // A key of its own for every try: an answer from before must not come back.
        let salt = hex_word(self.0.mint.bytes::<4>());
        let key = format!("x{}-{salt}", payment.tx_id);
        let client = &upstream.client;
        let (word, reply) = match how {
            Close::Expire => ("expire", client.expire(&id, &key).await),
            Close::Cancel => ("cancel", client.cancel(&id, &key).await),
        };
        let (found, said) = match reply {
            Ok(CloseReply::Closed(view)) => {
                (event(payment, &view).unwrap_or(Event::NoNews), view.status.as_str().to_owned())
            }
            Ok(CloseReply::WrongState) => (Event::NoNews, "wrong state".to_owned()),
            Ok(CloseReply::NotFound) => (Event::NoNews, "not found".to_owned()),
            Ok(CloseReply::InProgress) => (Event::NoNews, "in progress".to_owned()),
            Ok(CloseReply::Misconfigured(refusal)) => {
                (Event::NoNews, crate::charge::describe(&refusal))
            }
            Ok(CloseReply::Unclear) => (Event::NoNews, "unclear".to_owned()),
            Err(error) => (Event::NoNews, crate::charge::chain(&error)),
        };
        let notes = vec![note("close_sent", json!({"how": word, "answer": said}))];
        if found == Event::NoNews {
            // Not pending any more, or the answer was lost: the status knows.
            return self.ask(payment, notes).await;
        }
        (found, notes)
    }

    /// Looks after a payment whose check is due: asks, closes what must not stay open, gives up
    /// what Midtrans keeps silent about.
    pub(crate) async fn check(&self, payment: Payment) -> Result<(), StoreError> {
        let (event, notes) = self.ask(&payment, vec![]).await;
        let applied = self.apply(payment.tx_id, &event, None, &notes).await?;
        let now = self.now();
        match next_step(&applied.payment, &event, now) {
            NextStep::Nothing => Ok(()),
            NextStep::Close(how) => {
                let (event, notes) = self.close(&applied.payment, how).await;
                let applied = self.apply(payment.tx_id, &event, None, &notes).await?;
                if may_give_up(&applied.payment, now) {
                    // It can be neither closed nor paid any more: it has an expiry of its own.
                    self.apply(payment.tx_id, &Event::GaveUp, None, &[]).await?;
                }
                Ok(())
            }
            NextStep::GiveUp => self.give_up(&applied.payment, event).await,
        }
    }

    /// Says FAILED without Midtrans, but not because of one bad moment: we may have been away
    /// ourselves while it answered well.
    async fn give_up(&self, payment: &Payment, mut event: Event) -> Result<(), StoreError> {
        const PAUSES: [Duration; 3] =
            [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
        for pause in PAUSES {
            if event != Event::NoNews {
                break;
            }
            tokio::time::sleep(pause).await;
            let (news, notes) = self.ask(payment, vec![]).await;
            self.apply(payment.tx_id, &news, None, &notes).await?;
            event = news;
        }
        if matches!(event, Event::NoNews | Event::NotFound) {
            self.apply(payment.tx_id, &Event::GaveUp, None, &[]).await?;
        }
        Ok(())
    }
}

/// What a worker does after asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextStep {
    Nothing,
    Close(Close),
    GiveUp,
}

/// Whether Midtrans had its time to help us end a payment.
fn may_give_up(payment: &Payment, now: Timestamp) -> bool {
    match payment.state {
        PaymentState::Initialized => now.since(payment.created_at) >= SILENCE_MAX,
        PaymentState::Pending => now.since(payment.deadline_at) >= SILENCE_MAX,
        PaymentState::Succeeded | PaymentState::Failed => false,
    }
}

fn next_step(payment: &Payment, event: &Event, now: Timestamp) -> NextStep {
    let open = matches!(event, Event::StillOpen { .. });
    match payment.state {
        // The call that made it is dead: nobody has its address, so nobody may pay it.
        PaymentState::Initialized if open => NextStep::Close(Close::Cancel),
        PaymentState::Initialized if *event == Event::NotFound => NextStep::GiveUp,
        PaymentState::Pending if open && payment.session_over(now) => {
            NextStep::Close(Close::Expire)
        }
        PaymentState::Pending if open && payment.cancel_requested => NextStep::Close(Close::Cancel),
        PaymentState::Initialized | PaymentState::Pending if may_give_up(payment, now) => {
            NextStep::GiveUp
        }
        PaymentState::Failed if open && payment.upstream == Upstream::Open => {
            NextStep::Close(Close::Cancel)
        }
        PaymentState::Initialized
        | PaymentState::Pending
        | PaymentState::Failed
        | PaymentState::Succeeded => NextStep::Nothing,
    }
}

fn hex_word(bytes: [u8; 4]) -> String {
    format!("{:08x}", u32::from_le_bytes(bytes))
}
