//! REFUND: check, reserve, make durable, send, resolve. Never twice, never too much.

use gopay_core::ids::TxId;
use gopay_core::payment::{FailReason, Failure, Payment};
use gopay_core::ppro::call;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::Form;
use gopay_core::ppro::reply::{self, Reply};
use gopay_core::refund::{Refund, RefundState};
use gopay_core::translate::printable_descriptor;
use gopay_store::{NewRefund, Reserved, StoreError};

use crate::Service;
use crate::answer::local_fault;
use crate::describe::log_store_error;
use crate::directory::Contract;

/// A decoded REFUND call; owns what it needs.
pub(crate) struct RefundDraft {
    client: String,
    contract: Contract,
    /// None if the text is no id of ours.
    tx_id: Result<Option<TxId>, Failure>,
    order: Result<Order, Failure>,
    merchant_refund_id: Option<String>,
}

struct Order {
    currency: String,
    amount: gopay_core::money::Sen,
    descriptor: Option<String>,
}

impl Service {
    pub(crate) fn refund_draft(
        &self,
        form: &Form<'_>,
        login: &str,
        contract: &Contract,
    ) -> RefundDraft {
        let failed = |rejection: gopay_core::rejection::Rejection| rejection.failure();
        let order = call::refund(form).map_err(failed).map(|call| Order {
            currency: call.currency.to_owned(),
            amount: call.amount,
            descriptor: call.descriptor.and_then(printable_descriptor),
        });
        let reference = form.get(Field::Merchantrefundid);
        let good = reference.filter(|value| gopay_core::ppro::check::reference(value).is_ok());
        RefundDraft {
            client: login.to_owned(),
            contract: contract.clone(),
            tx_id: call::tx_id(form).map_err(failed),
            order,
            merchant_refund_id: good.map(str::to_owned),
        }
    }

    pub(crate) async fn refund(&self, draft: RefundDraft) -> Reply {
        let reference = draft.merchant_refund_id.clone();
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
        let RefundDraft { client, contract, tx_id, order, merchant_refund_id } = draft;
        let reference = merchant_refund_id.as_deref();
        let tx_id = match tx_id {
            Ok(tx_id) => tx_id,
            Err(failure) => return Ok(reply::refund_refused(&failure, reference)),
        };
        let Some(payment) = self.payment_of(&contract.id, tx_id).await? else {
            return Ok(not_found(reference));
        };
        let order = match order {
            Ok(order) => order,
            Err(failure) => {
                return self.record_refused(&payment, failure, merchant_refund_id).await;
            }
        };
        for _ in 0..3 {
            let new = NewRefund {
                refund_id: self.0.ids.refund_id(self.now()),
                tx_id: payment.tx_id,
                client: &client,
                contract: &contract.id,
                merchant_refund_id: reference,
                currency: &order.currency,
                amount: order.amount,
                descriptor: order.descriptor.as_deref(),
                terms: contract.refund_terms(self.settings().refund_window),
            };
            match self.retry_while_busy(|| self.0.store.refund_reserve(&new, self.now())).await {
                Ok(Reserved::NoPayment) => return Ok(not_found(reference)),
                Ok(Reserved::Refused(_)) => {
                    let stored = self.0.store.refund_get(new.refund_id).await?;
                    return Ok(stored.map_or_else(
                        || reply::refund_refused(&local_fault(), reference),
                        |refund| reply::refund(&refund),
                    ));
                }
                Ok(Reserved::Admitted(refund, payment)) => {
                    return Ok(self.answer_refund(*refund, &payment).await);
                }
                Err(StoreError::Conflict) => {}
                Err(error @ StoreError::Down(_)) => {
                    // The reservation may have survived; then a worker sends the refund.
                    log_store_error(&error);
                    return Ok(reply::refund_open(new.refund_id, reference));
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
            refund_id: self.0.ids.refund_id(now),
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
        self.retry_while_busy(|| self.0.store.refund_record_refused(&refund, now)).await?;
        Ok(reply::refund(&refund))
    }
}

fn not_found(reference: Option<&str>) -> Reply {
    let failure = Failure::new(FailReason::InputData, "Transaction not found");
    reply::refund_refused(&failure, reference)
}
