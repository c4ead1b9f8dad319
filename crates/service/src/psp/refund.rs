//! REFUND: check, reserve, make durable, send, resolve. Never twice, never too much.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::payment::{FailReason, Failure, Payment};
use gopay_core::ppro::call;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::Form;
use gopay_core::ppro::reply::{self, Reply};
use gopay_core::refund::{MidtransRefund, Refund, RefundRequest, RefundState};
use gopay_core::translate::printable_descriptor;
use gopay_store::{Reserved, StoreError};

use crate::Service;
use crate::describe::log_store_error;
use crate::directory::Contract;

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
    UnknownPayment,
    /// Its `txid` is missing or has a fault.
    NoPayment(Failure),
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
            (Err(rejection), _) => RefundCall::NoPayment(rejection.failure()),
            (Ok(None), _) => RefundCall::UnknownPayment,
            (Ok(Some(tx_id)), Err(rejection)) => {
                let (contract, failure) = (contract.id.clone(), rejection.failure());
                RefundCall::Malformed { contract, tx_id, failure }
            }
            (Ok(Some(tx_id)), Ok(call)) => RefundCall::Request(RefundRequest {
                refund_id: self.0.ids.refund_id(tx_id, self.now()),
                tx_id,
                psp: login.to_owned(),
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
        // What the store has lost may have been a refund: none is made on its word.
        if self.0.answered.is_lost() {
            return not_now(reference.as_deref());
        }
        match self.try_refund(draft).await {
            Ok(reply) => reply,
            Err(error) => {
                log_store_error(&error);
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
            RefundCall::NoPayment(failure) => Ok(reply::refund_refused(&failure, reference)),
            RefundCall::UnknownPayment => Ok(not_found(reference)),
            RefundCall::Malformed { contract, tx_id, failure } => {
                match self.payment_of(&contract, Some(tx_id)).await? {
                    Some(payment) => {
                        self.record_refused(&payment, failure, merchant_refund_id).await
                    }
                    None => Ok(not_found(reference)),
                }
            }
            RefundCall::Request(request) => {
                // A store that is away is told from one that fails in the middle: nothing was begun.
                if let Err(error) = self.look_before_refund(&request).await {
                    log_store_error(&error);
                    return Ok(not_now(reference));
                }
                self.reserve_and_send(request).await
            }
        }
    }

    /// Learns what went back without us before a refund is admitted: somebody may have used Midtrans'
    /// dashboard, and its notification may be lost. If Midtrans does not say so soon, it has the last
    /// word when it is sent the refund.
    pub(crate) async fn look_before_refund(
        &self,
        request: &RefundRequest,
    ) -> Result<(), StoreError> {
        const PATIENCE: Duration = Duration::from_secs(3);
        let read = || self.0.store.payment_get(request.tx_id);
        let Some(payment) = self.retry_while_busy(read).await? else { return Ok(()) };
        if payment.reserve_refund(request, self.now()).is_err() {
            return Ok(());
        }
        match tokio::time::timeout(PATIENCE, self.look_at_refunds(&payment, true)).await {
            Ok(looked) => looked.map(drop),
            Err(_) => Ok(()),
        }
    }

    async fn reserve_and_send(&self, mut request: RefundRequest) -> Result<Reply, StoreError> {
        for _ in 0..3 {
            let reserve = || self.0.store.refund_reserve(&request, self.now());
            match self.retry_while_busy(reserve).await {
                Ok(Reserved::NoPayment) => {
                    return Ok(not_found(request.merchant_refund_id.as_deref()));
                }
                Ok(Reserved::Refused(refund)) => return Ok(reply::refund(&refund)),
                Ok(Reserved::Admitted(refund, payment)) => {
                    return Ok(self.answer_refund(*refund, &payment).await);
                }
                Err(StoreError::Conflict) => {
                    request.refund_id = self.0.ids.refund_id(request.tx_id, self.now());
                }
                Err(error @ StoreError::Down(_)) => {
                    // The reservation may have survived; then a worker sends the refund.
                    log_store_error(&error);
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
                log_store_error(&error);
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
            refund_id: self.0.ids.refund_id(payment.tx_id, now),
            tx_id: payment.tx_id,
            psp: payment.psp.clone(),
            contract: payment.contract.clone(),
            merchant_refund_id,
            amount: None,
            descriptor: None,
            state: RefundState::Failed(failure),
            created_at: now,
            resolved_at: Some(now),
            next_check_at: None,
            checks: 0,
            midtrans: MidtransRefund::default(),
            made_elsewhere: None,
        };
        self.retry_while_busy(|| self.0.store.refund_record_refused(&refund, now)).await?;
        Ok(reply::refund(&refund))
    }
}

/// The answer to a REFUND for which nothing was begun, because of a fault of ours.
fn not_now(reference: Option<&str>) -> Reply {
    let text = "Temporary fault; nothing was refunded; try again later";
    reply::refund_refused(&Failure::new(FailReason::LocalError, text), reference)
}

fn not_found(reference: Option<&str>) -> Reply {
    let failure = Failure::new(FailReason::InputData, "Transaction not found");
    reply::refund_refused(&failure, reference)
}
