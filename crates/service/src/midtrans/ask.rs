//! GET status, cancel and expire: asked, read, and noted in the trail.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::midtrans::{CloseReply, StatusReply, StatusView, TransactionStatus};
use gopay_core::payment::{Event, Payment};
use gopay_core::translate::outcome::{Close, claims_money, close_event, status_event, unconfirmed};
use gopay_store::{Applied, Note, StoreError};
use serde_json::json;

use crate::describe::{chain, describe};
use crate::observe;
use crate::{MidtransAccount, Service, note};

/// What came of a question about a payment.
pub(crate) struct Asked {
    /// What it told; [`Event::NoAnswer`] if nothing.
    pub(crate) event: Event,
    /// For the trail.
    pub(crate) notes: Vec<Note>,
    /// The answer in words.
    pub(crate) said: String,
    /// Midtrans answered, and nobody can tell what: that is no silence.
    pub(crate) unreadable: bool,
    view: Option<Box<StatusView>>,
}

impl Asked {
    fn silence(notes: Vec<Note>) -> Self {
        let said = "not asked".to_owned();
        Self { event: Event::NoAnswer, notes, said, unreadable: false, view: None }
    }
}

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
    ) -> Result<(Asked, Applied), StoreError> {
        let asked = self.ask(payment, notes).await;
        let applied = self.apply(payment.tx_id, &asked.event, None, &asked.notes).await?;
        if let (Event::Paid { .. }, Some(view)) = (&asked.event, &asked.view) {
            self.record_elsewhere(&applied.payment, view).await?;
        }
        Ok((asked, applied))
    }

    /// Asks Midtrans for the status, by its own number of the payment if that is known.
    pub(crate) async fn ask(&self, payment: &Payment, notes: Vec<Note>) -> Asked {
        self.ask_by(&payment.upstream_id(), payment, notes).await
    }

    /// Asks by one of the numbers of a payment: our own can name another transaction than Midtrans'.
    pub(crate) async fn ask_by(&self, id: &str, payment: &Payment, notes: Vec<Note>) -> Asked {
        let parties = self.parties();
        let Some(account) = parties.midtrans.of_payment(payment) else {
            return Asked::silence(notes);
        };
        let mut asked = Self::read_status(account, id, payment).await;
        let detail = json!({"about": "status", "answer": asked.said});
        asked.notes = notes;
        asked.notes.push(note("asked", detail));
        if asked.event == Event::NotFound && payment.session_over(self.now()) {
            // It would end unpaid now.
            match self.claimed_money(payment.tx_id).await {
                Ok(None) => {}
                Ok(Some(claimed)) => {
                    asked.event = Event::Doubted(unconfirmed(Some(&claimed), &asked.said));
                }
                Err(_) => asked.event = Event::NoAnswer,
            }
        }
        asked
    }

    async fn read_status(account: &MidtransAccount, id: &str, payment: &Payment) -> Asked {
        let nothing = |said: String| Asked { said, ..Asked::silence(vec![]) };
        match observe::upstream("status", account.client.status(id)).await {
            Ok(StatusReply::Found(view)) => match status_event(payment, &view) {
                Ok(event) => {
                    let mut said = view.status.as_str().to_owned();
                    if let Event::Doubted(finding) = &event {
                        let (what, expected) = (finding.what.as_str(), &finding.expected);
                        let found = &finding.found;
                        said.push_str(&format!("; {what}: expected {expected:?}, found {found:?}"));
                    }
                    Asked { event, view: Some(view), ..nothing(said) }
                }
                Err(unclear) => {
                    let (tx_id, why) = (payment.tx_id, unclear.as_str());
                    tracing::error!(payment.tx_id = %tx_id, why, "a status of another payment");
                    nothing(format!("of another payment: {why}"))
                }
            },
            Ok(StatusReply::NotFound) => {
                Asked { event: Event::NotFound, ..nothing("not found".to_owned()) }
            }
            Ok(StatusReply::InProgress) => nothing("in progress".to_owned()),
            Ok(StatusReply::Misconfigured(refusal)) => {
                nothing(describe(account, "status", &refusal))
            }
            Ok(StatusReply::Unclear) => nothing("unclear".to_owned()),
            Ok(StatusReply::Unreadable(said)) => {
                Asked { unreadable: true, ..nothing(format!("not to be understood: {said}")) }
            }
            Err(error) => nothing(chain(&error)),
        }
    }

    /// The money that a rightly signed notification told of, if one did: the word of its status.
    pub(crate) async fn claimed_money(&self, tx_id: TxId) -> Result<Option<String>, StoreError> {
        let trail = self.0.store.payment_trail(tx_id).await?;
        let claims = trail.iter().filter(|record| record.kind == "notification");
        let mut words = claims.filter_map(|record| record.detail.get("claimed")?.as_str());
        let money = words.rfind(|word| claims_money(&TransactionStatus::from_wire(word)));
        Ok(money.map(str::to_owned))
    }

    /// Ends a payment that Midtrans does not help to end: unpaid, unless something tells of money.
    pub(crate) async fn end_without_midtrans(
        &self,
        tx_id: TxId,
        asked: &Asked,
    ) -> Result<(), StoreError> {
        let claimed = self.claimed_money(tx_id).await?;
        let end = if claimed.is_some() || asked.unreadable {
            Event::Doubted(unconfirmed(claimed.as_deref(), &asked.said))
        } else {
            Event::GaveUp
        };
        self.apply(tx_id, &end, None, &[]).await.map(drop)
    }

    /// Ends a charge at Midtrans and says what it is now.
    pub(crate) async fn close(&self, payment: &Payment, how: Close) -> Asked {
        let parties = self.parties();
        let Some(account) = parties.midtrans.of_payment(payment) else {
            return Asked::silence(vec![]);
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
            Ok(reply) => (close_event(payment, &reply), closed(account, &reply)),
            Err(error) => (Event::NoAnswer, chain(&error)),
        };
        let notes = vec![note("close_sent", json!({"how": how.as_str(), "answer": said}))];
        if found == Event::NoAnswer {
            // Not pending any more, or the answer was lost: the status knows.
            return self.ask(payment, notes).await;
        }
        Asked { event: found, said, ..Asked::silence(notes) }
    }
}

/// The answer to a cancel or expire, for the trail.
fn closed(account: &MidtransAccount, reply: &CloseReply) -> String {
    match reply {
        CloseReply::Closed(view) => view.status.as_str().to_owned(),
        CloseReply::WrongState => "wrong state".to_owned(),
        CloseReply::NotFound => "not found".to_owned(),
        CloseReply::InProgress => "in progress".to_owned(),
        CloseReply::Misconfigured(refusal) => describe(account, "close", refusal),
        CloseReply::Unclear => "unclear".to_owned(),
    }
}

fn hex_word(bytes: [u8; 4]) -> String {
    format!("{:08x}", u32::from_le_bytes(bytes))
}
