//! REFUND: check, reserve, make durable, send, resolve. Never twice, never too much.

use std::time::Duration;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::midtrans::{RefundReply, StatusReply, StatusView};
use gopay_core::money::Rupiah;
use gopay_core::payment::{FailReason, Failure, Payment};
use gopay_core::ppro::call;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::Form;
use gopay_core::ppro::reply::{self, Reply, RequestFailReason};
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, RefundState};
use gopay_core::translate::printable_descriptor;
use gopay_midtrans_client::CallError;
use gopay_store::{Found, Note, Reserved, StoreError};
use serde_json::json;
use tokio::time::Instant;

use crate::call::log_trouble;
use crate::charge::{BUDGET, chain, describe, failure};
use crate::directory::Contract;
use crate::{Service, note};

/// A decoded REFUND call; owns what it needs.
pub(crate) struct RefundDraft {
    merchant_refund_id: Option<String>,
    call: RefundCall,
}

/// How far a REFUND call could be read.
enum RefundCall {
    Request(RefundRequest),
    /// It names a payment, but is not well-formed.
    Malformed {
        contract: String,
        tx_id: TxId,
        failure: Failure,
    },
    /// Its `txid` is no id of ours.
    Nowhere,
    /// It has no `txid`.
    Unnamed(Failure),
}

/// A refusal that follows an unclear try may be about the repeat, and the status may lag: only
/// after this long is its word taken.
const SETTLED_AFTER: Duration = Duration::from_secs(15 * 60);

/// What one try told.
enum Tried {
    Accepted,
    Refused(Failure),
    NotSent,
    Unclear,
}

impl Service {
    pub(crate) fn refund_draft(
        &self,
        form: &Form<'_>,
        login: &str,
        contract: &Contract,
    ) -> RefundDraft {
        let reference = form.get(Field::Merchantrefundid);
        let good = reference.filter(|value| gopay_core::ppro::check::reference(value).is_ok());
        let merchant_refund_id = good.map(str::to_owned);
        let call = match (call::tx_id(form), call::refund(form)) {
            (Err(rejection), _) => RefundCall::Unnamed(rejection.failure()),
            (Ok(None), _) => RefundCall::Nowhere,
            (Ok(Some(tx_id)), Err(rejection)) => {
                let (contract, failure) = (contract.id.clone(), rejection.failure());
                RefundCall::Malformed { contract, tx_id, failure }
            }
            (Ok(Some(tx_id)), Ok(call)) => RefundCall::Request(RefundRequest {
                refund_id: self.0.mint.refund_id(self.now()),
                tx_id,
                client: login.to_owned(),
                contract: contract.id.clone(),
                merchant_refund_id: merchant_refund_id.clone(),
                currency: call.currency.to_owned(),
                amount: call.amount,
                descriptor: call.descriptor.and_then(printable_descriptor),
                terms: contract.refund_terms(self.settings().refund_window),
            }),
        };
        RefundDraft { merchant_refund_id, call }
    }

    pub(crate) async fn refund(&self, draft: RefundDraft) -> Reply {
        let reference = draft.merchant_refund_id.clone();
        match self.try_refund(draft).await {
            Ok(reply) => reply,
            Err(error) => {
                log_trouble(&error);
                let failure = Failure::new(
                    FailReason::LocalError,
                    "Temporary fault; ask GETREFUNDSTATUSBYMERCHANTREFUNDID before trying again",
                );
                reply::refund_refused(&failure, reference.as_deref())
            }
        }
    }

    async fn try_refund(&self, draft: RefundDraft) -> Result<Reply, StoreError> {
        let RefundDraft { merchant_refund_id, call } = draft;
        let reference = merchant_refund_id.as_deref();
        match call {
            RefundCall::Unnamed(failure) => Ok(reply::refund_refused(&failure, reference)),
            RefundCall::Nowhere => Ok(not_found(reference)),
            RefundCall::Malformed { contract, tx_id, failure } => {
                match self.payment_of(&contract, Some(tx_id)).await? {
                    Some(payment) => {
                        self.record_refused(&payment, failure, merchant_refund_id).await
                    }
                    None => Ok(not_found(reference)),
                }
            }
            RefundCall::Request(request) => self.reserve_and_send(request).await,
        }
    }

    async fn reserve_and_send(&self, mut request: RefundRequest) -> Result<Reply, StoreError> {
        for _ in 0..3 {
            match self.insist(|| self.0.store.refund_reserve(&request, self.now())).await {
                Ok(Reserved::NoPayment) => {
                    return Ok(not_found(request.merchant_refund_id.as_deref()));
                }
                Ok(Reserved::Refused(refund)) => return Ok(reply::refund(&refund)),
                Ok(Reserved::Admitted(refund, payment)) => {
                    return Ok(self.answer_refund(*refund, &payment).await);
                }
                Err(StoreError::Conflict) => {
                    request.refund_id = self.0.mint.refund_id(self.now());
                }
                Err(error @ StoreError::Down(_)) => {
                    // The reservation may have survived; then a worker sends the refund.
                    log_trouble(&error);
                    let reference = request.merchant_refund_id.as_deref();
                    return Ok(reply::refund_open(request.refund_id, reference));
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Sends an admitted refund. From here on money may move, so whatever happens, the answer
    /// names the refund and never invites a repeat.
    async fn answer_refund(&self, refund: Refund, payment: &Payment) -> Reply {
        let open = reply::refund(&refund);
        match self.send_refund(refund, payment, false).await {
            Ok(sent) => reply::refund(&sent),
            Err(error) => {
                log_trouble(&error);
                open
            }
        }
    }

    /// Records a call that is not well-formed, so that its REFUNDID can be asked for.
    async fn record_refused(
        &self,
        payment: &Payment,
        failure: Failure,
        merchant_refund_id: Option<String>,
    ) -> Result<Reply, StoreError> {
        let now = self.now();
        let refund = Refund {
            refund_id: self.0.mint.refund_id(now),
            tx_id: payment.tx_id,
            client: payment.client.clone(),
            contract: payment.contract.clone(),
            merchant_refund_id,
            amount: None,
            descriptor: None,
            state: RefundState::Failed(failure),
            created_at: now,
            resolved_at: Some(now),
            next_check_at: None,
            checks: 0,
        };
        self.insist(|| self.0.store.refund_record_refused(&refund, now)).await?;
        Ok(reply::refund(&refund))
    }

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
                if started.elapsed() > BUDGET / 3 {
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
                Tried::Accepted => return self.resolve(&refund, Ok(()), notes).await,
                Tried::Refused(failure) if !may_exist => {
                    return self.resolve(&refund, Err(failure), notes).await;
                }
                Tried::Refused(failure) => {
                    let mut listed = self.refund_exists(&refund, payment, amount, &mut notes).await;
                    let settled = self.now().since(refund.created_at) >= SETTLED_AFTER;
                    if listed == Some(false) && settled {
                        // The clock may have jumped, so that the first try is still under way.
                        tokio::time::sleep(self.settings().under_way_max).await;
                        listed = self.refund_exists(&refund, payment, amount, &mut notes).await;
                    }
                    match listed {
                        Some(true) => return self.resolve(&refund, Ok(()), notes).await,
                        Some(false) if settled => {
                            return self.resolve(&refund, Err(failure), notes).await;
                        }
                        Some(false) | None => break,
                    }
                }
                Tried::NotSent => {}
                Tried::Unclear => {
                    may_exist = true;
                    if self.refund_exists(&refund, payment, amount, &mut notes).await == Some(true)
                    {
                        return self.resolve(&refund, Ok(()), notes).await;
                    }
                }
            }
        }
        if !may_exist {
            let failure = Failure::new(
                FailReason::RemoteError,
                "GoPay cannot be reached; nothing was refunded; try again later",
            );
            return self.resolve(&refund, Err(failure), notes).await;
        }
        self.insist(|| self.0.store.payment_note(refund.tx_id, &notes, self.now())).await?;
        Ok(refund)
    }

    async fn refund_once(
        &self,
        refund: &Refund,
        payment: &Payment,
        amount: Rupiah,
    ) -> (Tried, String) {
        let Some(upstream) = self.0.upstreams.of(payment.channel) else {
            return (Tried::NotSent, "channel not connected".to_owned());
        };
        let id = payment.upstream_id();
        // The same key for every try of one refund: Midtrans repeats what it answered before.
        let key = format!("r{}", refund.refund_id);
        let reason = refund.descriptor.as_deref();
        match upstream.client.refund(&id, refund.refund_id, amount, reason, &key).await {
            Ok(RefundReply::Accepted(_)) => (Tried::Accepted, "accepted".to_owned()),
            Ok(RefundReply::Refused(refusal)) => {
                (Tried::Refused(failure(&refusal)), describe(&refusal))
            }
            Ok(RefundReply::Duplicate) => (Tried::Unclear, "duplicate".to_owned()),
            Ok(RefundReply::InProgress) => (Tried::Unclear, "in progress".to_owned()),
            Ok(RefundReply::Unclear) => (Tried::Unclear, "unclear".to_owned()),
            Err(error @ CallError::NotSent(_)) => (Tried::NotSent, chain(&error)),
            Err(error @ CallError::OutcomeUnknown(_)) => (Tried::Unclear, chain(&error)),
        }
    }

    /// Whether Midtrans lists the refund; none if it could not be asked.
    async fn refund_exists(
        &self,
        refund: &Refund,
        payment: &Payment,
        amount: Rupiah,
        notes: &mut Vec<Note>,
    ) -> Option<bool> {
        let upstream = self.0.upstreams.of(payment.channel)?;
        let found = match upstream.client.status(&payment.upstream_id()).await {
            Ok(StatusReply::Found(view)) => Some(listed(&view, refund, amount)),
            _ => None,
        };
        let detail =
            json!({"about": "refund", "refund": refund.refund_id.to_string(), "listed": found});
        notes.push(note("asked", detail));
        found
    }

    async fn resolve(
        &self,
        refund: &Refund,
        outcome: Result<(), Failure>,
        notes: Vec<Note>,
    ) -> Result<Refund, StoreError> {
        let id = refund.refund_id;
        let outcome = match outcome {
            Ok(()) => RefundOutcome::Made,
            Err(failure) => RefundOutcome::Refused { failure, checks: refund.checks },
        };
        let resolved = self
            .insist(|| self.0.store.refund_resolve(id, outcome.clone(), &notes, self.now()))
            .await?;
        tracing::info!(
            payment.tx_id = %refund.tx_id,
            refund.id = %id,
            state = resolved.state.as_str(),
            "refund resolved"
        );
        Ok(resolved)
    }

    /// Looks after a refund whose outcome is open: asks first, then sends it again under its key.
    pub(crate) async fn check_refund(&self, refund: Refund) -> Result<(), StoreError> {
        let (Some(payment), Some(amount)) =
            (self.0.store.payment_get(refund.tx_id).await?, refund.amount)
        else {
            return Ok(());
        };
        let mut notes = Vec::new();
        if self.refund_exists(&refund, &payment, amount, &mut notes).await == Some(true) {
            return self.resolve(&refund, Ok(()), notes).await.map(|_| ());
        }
        self.insist(|| self.0.store.payment_note(refund.tx_id, &notes, self.now())).await?;
        self.send_refund(refund, &payment, true).await.map(|_| ())
    }

    /// Resolves the open refunds that Midtrans lists, after it notified us of one.
    pub(crate) async fn resolve_open_refunds(&self, payment: &Payment) -> Result<(), StoreError> {
        let refunds = self.0.store.refunds_of(payment.tx_id).await?;
        for refund in refunds.into_iter().filter(|refund| refund.state == RefundState::Unresolved) {
            let Some(amount) = refund.amount else { continue };
            let mut notes = Vec::new();
            if self.refund_exists(&refund, payment, amount, &mut notes).await == Some(true) {
                self.resolve(&refund, Ok(()), notes).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn refund_status(&self, contract: &str, id: Option<RefundId>) -> Reply {
        let found = match id {
            Some(id) => self.0.store.refund_get(id).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(refund)) if refund.contract == contract => about(&refund),
            Ok(_) => refund_not_found(),
            Err(error) => refund_trouble(&error),
        }
    }

    pub(crate) async fn refund_status_by_reference(
        &self,
        contract: &str,
        reference: &str,
    ) -> Reply {
        match self.0.store.refund_find(contract, reference).await {
            Ok(Found::One(refund)) => about(&refund),
            Ok(Found::None) => refund_not_found(),
            Ok(Found::Many) => reply::refund_status_failed(
                RequestFailReason::RefundNotUnique,
                "Ambiguous MerchantRefundId",
            ),
            Err(error) => refund_trouble(&error),
        }
    }
}

/// Whether GET status lists this refund with its amount. Another amount under our key would mean
/// that somebody else uses our keys: it is not ours.
fn listed(view: &StatusView, refund: &Refund, amount: Rupiah) -> bool {
    let Some(entry) = view.refund(&refund.refund_id.to_string()) else { return false };
    if entry.amount != amount.sen() {
        tracing::error!(refund.id = %refund.refund_id, "a refund is listed with another amount");
    }
    entry.amount == amount.sen()
}

/// The state of a refund. PPRO has no word for an open one, so the question fails, not the refund.
fn about(refund: &Refund) -> Reply {
    match refund.state {
        RefundState::Unresolved => {
            reply::refund_status_failed(RequestFailReason::SystemError, reply::REFUND_OPEN)
        }
        RefundState::Succeeded | RefundState::Failed(_) => reply::refund_status(refund),
    }
}

fn not_found(reference: Option<&str>) -> Reply {
    let failure = Failure::new(FailReason::InputData, "Transaction not found");
    reply::refund_refused(&failure, reference)
}

fn refund_not_found() -> Reply {
    reply::refund_status_failed(RequestFailReason::RefundNotFound, "Refund not found")
}

fn refund_trouble(error: &StoreError) -> Reply {
    log_trouble(error);
    reply::refund_status_failed(
        RequestFailReason::SystemError,
        "Temporary fault; ask again in 10 seconds",
    )
}
