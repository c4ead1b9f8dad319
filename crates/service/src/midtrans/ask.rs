//! GET status, cancel and expire: asked, read, and noted in the trail.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::midtrans::{CloseReply, StatusReply, StatusView};
use gopay_core::payment::{Event, Payment};
use gopay_core::translate::outcome::{Close, close_event, status_event};
use gopay_store::{Applied, Note, StoreError};
use serde_json::json;

use crate::describe::{chain, describe};
use crate::observe;
use crate::{Service, note};

impl Service {
    pub(crate) async fn poll_soon(&self, tx_id: TxId) -> Result<(), StoreError> {
        const SOON: Duration = Duration::from_secs(10);
        let at = self.now().after(SOON);
        self.retry_while_busy(|| self.0.store.payment_check_at(tx_id, at)).await
    }

    /// As [`Service::ask`], and applies what it told; money that went back before we knew that it
    /// came is recorded too.
    pub(crate) async fn ask_and_apply(
        &self,
        payment: &Payment,
        notes: Vec<Note>,
    ) -> Result<(Event, Applied), StoreError> {
        let (event, notes, view) = self.ask_for_view(payment, notes).await;
        let applied = self.apply(payment.tx_id, &event, None, &notes).await?;
        if let (Event::Paid { .. }, Some(view)) = (&event, view) {
            self.record_elsewhere(&applied.payment, &view).await?;
        }
        Ok((event, applied))
    }

    /// Asks Midtrans for the status; never fails, `NoAnswer` says that it told nothing.
    pub(crate) async fn ask(&self, payment: &Payment, notes: Vec<Note>) -> (Event, Vec<Note>) {
        let (event, notes, _) = self.ask_for_view(payment, notes).await;
        (event, notes)
    }

    async fn ask_for_view(
        &self,
        payment: &Payment,
        mut notes: Vec<Note>,
    ) -> (Event, Vec<Note>, Option<Box<StatusView>>) {
        let parties = self.parties();
        let Some(account) = parties.midtrans.of(payment.channel) else {
            return (Event::NoAnswer, notes, None);
        };
        let id = payment.upstream_id();
        let mut seen = None;
        let (found, said) = match observe::upstream("status", account.client.status(&id)).await {
            Ok(StatusReply::Found(view)) => match status_event(payment, &view) {
                Ok(event) => {
                    let mut said = view.status.as_str().to_owned();
                    if let Event::Doubted(finding) = &event {
                        let (what, expected) = (finding.what.as_str(), &finding.expected);
                        let found = &finding.found;
                        said.push_str(&format!("; {what}: expected {expected:?}, found {found:?}"));
                    }
                    seen = Some(view);
                    (event, said)
                }
                Err(unclear) => {
                    let (tx_id, why) = (payment.tx_id, unclear.as_str());
                    tracing::error!(payment.tx_id = %tx_id, why, "a status of another payment");
                    (Event::NoAnswer, format!("of another payment: {why}"))
                }
            },
            Ok(StatusReply::NotFound) => (Event::NotFound, "not found".to_owned()),
            Ok(StatusReply::InProgress) => (Event::NoAnswer, "in progress".to_owned()),
            Ok(StatusReply::Misconfigured(refusal)) => {
                (Event::NoAnswer, describe("status", &refusal))
            }
            Ok(StatusReply::Unclear) => (Event::NoAnswer, "unclear".to_owned()),
            Err(error) => (Event::NoAnswer, chain(&error)),
        };
        notes.push(note("asked", json!({"about": "status", "answer": said})));
        (found, notes, seen)
    }

    /// Ends a charge at Midtrans and says what it is now.
    pub(crate) async fn close(&self, payment: &Payment, how: Close) -> (Event, Vec<Note>) {
        let parties = self.parties();
        let Some(account) = parties.midtrans.of(payment.channel) else {
            return (Event::NoAnswer, vec![]);
        };
        let id = payment.upstream_id();
        // A key of its own for every try: an answer from before must not come back.
        let salt = hex_word(self.0.ids.bytes::<4>());
        let key = format!("x{}-{salt}", payment.tx_id);
        let client = &account.client;
        let reply = match how {
            Close::Expire => observe::upstream("expire", client.expire(&id, &key)).await,
            Close::Cancel => observe::upstream("cancel", client.cancel(&id, &key)).await,
        };
        let (found, said) = match reply {
            Ok(reply) => (close_event(payment, &reply), closed(&reply)),
            Err(error) => (Event::NoAnswer, chain(&error)),
        };
        let notes = vec![note("close_sent", json!({"how": how.as_str(), "answer": said}))];
        if found == Event::NoAnswer {
            // Not pending any more, or the answer was lost: the status knows.
            return self.ask(payment, notes).await;
        }
        (found, notes)
    }
}

/// The answer to a cancel or expire, for the trail.
fn closed(reply: &CloseReply) -> String {
    match reply {
        CloseReply::Closed(view) => view.status.as_str().to_owned(),
        CloseReply::WrongState => "wrong state".to_owned(),
        CloseReply::NotFound => "not found".to_owned(),
        CloseReply::InProgress => "in progress".to_owned(),
        CloseReply::Misconfigured(refusal) => describe("close", refusal),
        CloseReply::Unclear => "unclear".to_owned(),
    }
}

fn hex_word(bytes: [u8; 4]) -> String {
    format!("{:08x}", u32::from_le_bytes(bytes))
}
