//! Questions about payments and refunds: GETTXSTATUS, GETREFUNDSTATUS, and both by the PSP's
//! reference.

use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::Payment;
use gopay_core::ppro::reply::{self, Reply, RequestFailReason, Sent};
use gopay_core::refund::{Refund, RefundState};
use gopay_store::{Lookup, StoreError};

use crate::Service;
use crate::answer::{
    refund_not_found, refund_status_fault, refund_status_unavailable, status_fault,
    status_unavailable, tx_not_found,
};

impl Service {
    pub(crate) async fn status(&self, contract: &str, tx_id: Option<TxId>) -> Reply {
        match self.payment_of(contract, tx_id).await {
            Ok(Some(payment)) => self.status_of(&payment).await,
            Ok(None) => self.tx_not_found(),
            Err(error) => status_unavailable(&error),
        }
    }

    pub(crate) async fn status_by_reference(&self, contract: &str, reference: &str) -> Reply {
        let find = || self.0.store.payment_find(contract, reference);
        match self.retry_while_busy(find).await {
            Ok(Lookup::One(payment)) => self.status_of(&payment).await,
            Ok(Lookup::None) => self.tx_not_found(),
            Ok(Lookup::Many) => {
                reply::status_failed(RequestFailReason::TxNotUnique, "Ambiguous MerchantTxId")
            }
            Err(error) => status_unavailable(&error),
        }
    }

    async fn status_of(&self, payment: &Payment) -> Reply {
        match self.sent(payment).await {
            Ok(sent) => reply::status(payment, &sent, || self.redirect_url(payment)),
            Err(error) => status_unavailable(&error),
        }
    }

    /// "Not found" is no answer of a store that has lost payments.
    pub(crate) fn tx_not_found(&self) -> Reply {
        if self.0.answered.is_lost() { status_fault() } else { tx_not_found() }
    }

    fn refund_not_found(&self) -> Reply {
        if self.0.answered.is_lost() { refund_status_fault() } else { refund_not_found() }
    }

    /// What answers echo of a payment's call.
    async fn sent(&self, payment: &Payment) -> Result<Sent, StoreError> {
        if payment.refused_at_once() {
            Ok(Sent::of(&self.0.store.payment_request(payment.tx_id).await?))
        } else {
            Ok(Sent::default())
        }
    }

    /// A payment of this contract; another's is as good as none.
    pub(crate) async fn payment_of(
        &self,
        contract: &str,
        tx_id: Option<TxId>,
    ) -> Result<Option<Payment>, StoreError> {
        let Some(tx_id) = tx_id else { return Ok(None) };
        let payment = self.retry_while_busy(|| self.0.store.payment_get(tx_id)).await?;
        Ok(payment.filter(|payment| payment.contract == contract))
    }

    pub(crate) async fn refund_status(&self, contract: &str, id: Option<RefundId>) -> Reply {
        let found = match id {
            Some(id) => self.retry_while_busy(|| self.0.store.refund_get(id)).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(refund)) if refund.contract == contract => about(&refund),
            Ok(_) => self.refund_not_found(),
            Err(error) => refund_status_unavailable(&error),
        }
    }

    pub(crate) async fn refund_status_by_reference(
        &self,
        contract: &str,
        reference: &str,
    ) -> Reply {
        let find = || self.0.store.refund_find(contract, reference);
        match self.retry_while_busy(find).await {
            Ok(Lookup::One(refund)) => about(&refund),
            Ok(Lookup::None) => self.refund_not_found(),
            Ok(Lookup::Many) => reply::refund_status_failed(
                RequestFailReason::RefundNotUnique,
                "Ambiguous MerchantRefundId",
            ),
            Err(error) => refund_status_unavailable(&error),
        }
    }
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
