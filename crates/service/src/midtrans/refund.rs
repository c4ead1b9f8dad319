//! Refunds at Midtrans: sent under one key until their outcome is clear, and looked for in GET
//! status. Never called failed while the money may go back.

use std::time::Duration;

use gopay_core::midtrans::{StatusReply, StatusView};
use gopay_core::money::Rupiah;
use gopay_core::payment::{Failure, Payment};
use gopay_core::refund::{MidtransRefund, Refund, RefundOutcome, RefundState, SeenBack};
use gopay_core::translate::outcome::{
    Listed, RefundAnswer, claims_money_back, refund_answer, refund_listed, refund_not_sent,
    seen_back,
};
use gopay_midtrans_client::CallError;
use gopay_store::{Note, StoreError};
use metrics::counter;
use serde_json::json;
use tokio::time::Instant;

use super::CALL_DEADLINE;
use crate::describe::{chain, describe_refund};
use crate::{Service, meters, note, observe};

/// A refusal that follows an unclear try may be about the repeat, and the status may lag: only
/// after this long is its word taken.
const REFUSAL_FINAL_AFTER: Duration = Duration::from_secs(15 * 60);

/// What one try told.
enum Tried {
    Answered(RefundAnswer),
    /// Nothing reached Midtrans.
    NotSent,
}

impl Service {
    /// Sends a reserved refund until its outcome is clear or the budget is used up; what is still
    /// open then is a worker's to finish. `sent_before`: an earlier try may have taken effect.
    pub(crate) async fn send_refund(
        &self,
        refund: Refund,
        payment: &Payment,
        sent_before: bool,
    ) -> Result<Refund, StoreError> {
        const TRIES_MAX: u32 = 3;
        const PAUSE: Duration = Duration::from_millis(300);
        let Some(amount) = refund.amount else { return Ok(refund) };
        let started = Instant::now();
        let mut may_exist = sent_before;
        let mut notes = Vec::new();
        for attempt in 0..TRIES_MAX {
            if attempt > 0 {
                if started.elapsed() > CALL_DEADLINE / 3 {
                    break;
                }
                tokio::time::sleep(PAUSE * attempt).await;
            }
            let (tried, said) = self.refund_once(&refund, payment, amount).await;
            notes.push(note(
                "refund_sent",
                json!({"refund": refund.refund_id.to_string(), "attempt": attempt, "answer": said}),
            ));
            match tried {
                Tried::Answered(RefundAnswer::Accepted(said)) => {
                    return self.resolve(&refund, Ok(said), notes).await;
                }
                Tried::Answered(RefundAnswer::Refused(failure)) if !may_exist => {
                    let resolved = self.resolve(&refund, Err(failure), notes).await?;
                    // Perhaps there is less left than we know.
                    self.look_at_refunds(payment, true).await?;
                    return Ok(resolved);
                }
                Tried::Answered(RefundAnswer::Refused(failure)) => {
                    let Some(outcome) =
                        self.after_refusal(&refund, payment, failure, &mut notes).await
                    else {
                        break;
                    };
                    return self.resolve(&refund, outcome, notes).await;
                }
                Tried::NotSent => {}
                Tried::Answered(RefundAnswer::Unknown(_)) => {
                    may_exist = true;
                    if let Some(Some(said)) =
                        self.refund_exists(&refund, payment, amount, &mut notes).await
                    {
                        return self.resolve(&refund, Ok(said), notes).await;
                    }
                }
            }
        }
        if !may_exist {
            return self.resolve(&refund, Err(refund_not_sent()), notes).await;
        }
        self.retry_while_busy(|| self.0.store.payment_note(refund.tx_id, &notes, self.now()))
            .await?;
        Ok(refund)
    }

    /// The outcome of a refund that is refused after a try that may have taken effect; none if it
    /// is still open.
    async fn after_refusal(
        &self,
        refund: &Refund,
        payment: &Payment,
        failure: Failure,
        notes: &mut Vec<Note>,
    ) -> Option<Result<MidtransRefund, Failure>> {
        let amount = refund.amount?;
        let mut listed = self.refund_exists(refund, payment, amount, notes).await;
        let is_final = self.now().since(refund.created_at) >= REFUSAL_FINAL_AFTER;
        if listed == Some(None) && is_final {
            // The clock may have jumped, so that the first try is still under way.
            tokio::time::sleep(self.settings().under_way_max).await;
            listed = self.refund_exists(refund, payment, amount, notes).await;
        }
        match listed {
            Some(Some(said)) => Some(Ok(said)),
            Some(None) if is_final => Some(Err(failure)),
            Some(None) | None => None,
        }
    }

    async fn refund_once(
        &self,
        refund: &Refund,
        payment: &Payment,
        amount: Rupiah,
    ) -> (Tried, String) {
        let parties = self.parties();
        let Some(account) = parties.midtrans.of_payment(payment) else {
            return (Tried::NotSent, "channel not connected".to_owned());
        };
        let id = payment.upstream_id();
        // The same key for every try of one refund: Midtrans repeats what it answered before.
        let key = format!("r{}", refund.refund_id);
        let reason = refund.descriptor.as_deref();
        let request = account.client.refund(&id, refund.refund_id, amount, reason, &key);
        match observe::upstream("refund", request).await {
            Ok(reply) => (Tried::Answered(refund_answer(&reply)), describe_refund(account, &reply)),
            Err(error @ CallError::NotSent(_)) => (Tried::NotSent, chain(&error)),
            Err(error @ CallError::OutcomeUnknown(_)) => {
                (Tried::Answered(RefundAnswer::Unknown("no answer")), chain(&error))
            }
        }
    }

    /// What Midtrans says of the refund, if it lists it; none if it could not be asked.
    pub(crate) async fn refund_exists(
        &self,
        refund: &Refund,
        payment: &Payment,
        amount: Rupiah,
        notes: &mut Vec<Note>,
    ) -> Option<Option<MidtransRefund>> {
        let parties = self.parties();
        let account = parties.midtrans.of_payment(payment)?;
        let id = payment.upstream_id();
        let found = match observe::upstream("status", account.client.status(&id)).await {
            Ok(StatusReply::Found(view)) => listed(&view, refund, amount),
            _ => None,
        };
        let listed = found.as_ref().map(Option::is_some);
        let detail =
            json!({"about": "refund", "refund": refund.refund_id.to_string(), "listed": listed});
        notes.push(note("asked", detail));
        found
    }

    pub(crate) async fn resolve(
        &self,
        refund: &Refund,
        outcome: Result<MidtransRefund, Failure>,
        notes: Vec<Note>,
    ) -> Result<Refund, StoreError> {
        let id = refund.refund_id;
        let outcome = match outcome {
            Ok(said) => RefundOutcome::Made(said),
            Err(failure) => RefundOutcome::Refused { failure, checks: refund.checks },
        };
        let resolved = self
            .retry_while_busy(|| {
                self.0.store.refund_resolve(id, outcome.clone(), &notes, self.now())
            })
            .await?;
        if resolved.state != refund.state {
            counter!(meters::REFUNDS, "state" => resolved.state.as_str()).increment(1);
        }
        observe::learn(|seen| {
            seen.tx_id = Some(refund.tx_id);
            seen.refund_id = Some(id);
            seen.outcome = resolved.state.as_str();
            if resolved.state != refund.state {
                seen.moved = Some((refund.state.as_str(), resolved.state.as_str()));
            }
        });
        Ok(resolved)
    }

    /// Learns what became of the refunds of a payment, after Midtrans notified us of it: whether it
    /// lists those that are open, whether the money of those that it accepted is back, and, if it
    /// `claims` so, what went back without us. False if Midtrans must tell it again.
    pub(crate) async fn look_at_refunds(
        &self,
        payment: &Payment,
        claims: bool,
    ) -> Result<bool, StoreError> {
        let mut refunds = self.0.store.refunds_of(payment.tx_id).await?;
        refunds.retain(|refund| match refund.state {
            RefundState::Unresolved => true,
            RefundState::Succeeded => refund.midtrans.funds_confirmed_at.is_none(),
            RefundState::Failed(_) => false,
        });
        let parties = self.parties();
        let Some(account) = parties.midtrans.of_payment(payment) else { return Ok(true) };
        if refunds.is_empty() && !claims {
            return Ok(true);
        }
        let id = payment.upstream_id();
        let asked = observe::upstream("status", account.client.status(&id)).await;
        let Ok(StatusReply::Found(view)) = asked else {
            return Ok(!claims);
        };
        for refund in refunds {
            let said = refund.amount.and_then(|amount| listed(&view, &refund, amount));
            let Some(Some(said)) = said else { continue };
            let id = refund.refund_id.to_string();
            let detail = json!({"about": "refund", "refund": id, "listed": true});
            self.resolve(&refund, Ok(said), vec![note("asked", detail)]).await?;
        }
        let recorded = self.record_elsewhere(payment, &view).await?;
        // GET status may lag behind the notification, or not say how much went back.
        Ok(!claims || (recorded && claims_money_back(&view.status)))
    }

    /// Records what went back without us: refunds in Midtrans' dashboard, chargebacks.
    pub(crate) async fn record_elsewhere(
        &self,
        payment: &Payment,
        view: &StatusView,
    ) -> Result<bool, StoreError> {
        let Some(seen) = seen_back(view) else {
            let tx_id = payment.tx_id;
            tracing::error!(payment.tx_id = %tx_id, "money went back, and how much cannot be read");
            return Ok(false);
        };
        if seen == SeenBack::default() {
            return Ok(true);
        }
        let count = seen.refunds.len().saturating_add(1);
        let (store, tx_id) = (&self.0.store, payment.tx_id);
        let ids: Vec<_> = (0..count).map(|_| self.0.ids.refund_id(tx_id, self.now())).collect();
        let record = || store.refund_record_elsewhere(tx_id, &seen, &ids, self.now());
        for refund in self.retry_while_busy(record).await? {
            let how = refund.made_elsewhere.as_ref().map_or("", |made| made.how.as_str());
            let amount_sen = refund.amount.map(|amount| amount.sen().get());
            counter!(meters::REFUNDS, "state" => how.to_owned()).increment(1);
            tracing::warn!(payment.tx_id = %tx_id, refund.id = %refund.refund_id, how, amount_sen, "money went back that nobody asked us for");
        }
        Ok(true)
    }
}

/// What GET status says of the refund, if it lists it as ours; none if its list cannot be read.
fn listed(view: &StatusView, refund: &Refund, amount: Rupiah) -> Option<Option<MidtransRefund>> {
    match refund_listed(view, refund, amount) {
        Listed::Yes(said) => Some(Some(said)),
        Listed::No => Some(None),
        Listed::OtherAmount => {
            tracing::error!(refund.id = %refund.refund_id, "a refund is listed with another amount");
            Some(None)
        }
        Listed::Unreadable => {
            tracing::error!(refund.id = %refund.refund_id, "the list of refunds cannot be read");
            None
        }
    }
}
