//! CANCELTX: ends a pending payment.

use bytes::Bytes;
use gopay_core::ids::TxId;
use gopay_core::payment::{Event, FailReason, Payment, PaymentState};
use gopay_core::ppro::call;
use gopay_core::ppro::reply::{self, Reply, RequestFailReason, Sent};

use gopay_core::translate::outcome::Close;
use gopay_store::{Note, StoreError};

use super::form::with_form;
use crate::Service;
use crate::answer::{status_fault, status_unavailable};
use crate::describe::log_store_error;
use crate::midtrans::Asked;

/// What became of a payment that was to be cancelled.
pub(crate) struct Cancelled {
    pub(crate) payment: Payment,
    /// It was pending when the wish was stored.
    pub(crate) was_pending: bool,
}

impl Service {
    pub(crate) async fn cancel(&self, contract: &str, tx_id: Option<TxId>, body: &Bytes) -> Reply {
        if self.0.answered.is_lost() {
            return status_fault();
        }
        let payment = match self.payment_of(contract, tx_id).await {
            Ok(Some(payment)) => payment,
            Ok(None) => return self.tx_not_found(),
            Err(error) => return status_unavailable(&error),
        };
        let request = match self.0.store.payment_request(payment.tx_id).await {
            Ok(request) => request,
            Err(error) => return status_unavailable(&error),
        };
        let same = with_form(body, |form, _| call::same_specin(form, &request));
        if let Err(rejection) = same {
            let message = rejection.failure().message;
            return reply::status_failed(RequestFailReason::Unknown, &message);
        }
        match payment.state {
            PaymentState::Pending => self.cancel_pending(payment).await,
            PaymentState::Initialized => reply::status_failed(
                RequestFailReason::SystemError,
                "The transaction is just being opened; try again in 10 seconds",
            ),
            PaymentState::Succeeded | PaymentState::Failed(_) => {
                reply::not_pending(&payment, &Sent::of(&request), || self.redirect_url(&payment))
            }
        }
    }

    async fn cancel_pending(&self, payment: Payment) -> Reply {
        match self.cancel_payment(payment.tx_id, &[]).await {
            Ok(Cancelled { payment, was_pending: true }) => self.cancelled(&payment),
            Ok(Cancelled { payment, was_pending: false }) => self.no_longer_pending(&payment),
            Err(error) => status_unavailable(&error),
        }
    }

    /// Ends a pending payment, whoever wishes it; `notes` say who.
    pub(crate) async fn cancel_payment(
        &self,
        tx_id: TxId,
        notes: &[Note],
    ) -> Result<Cancelled, StoreError> {
        // Durable first: if we die now, a worker finishes the cancellation.
        let payment = self.apply(tx_id, &Event::CancelRequested, None, notes).await?.payment;
        if payment.state != PaymentState::Pending {
            return Ok(Cancelled { payment, was_pending: false });
        }
        let Asked { event, notes, .. } = self.close(&payment, Close::Cancel).await;
        let payment = self.apply(tx_id, &event, None, &notes).await?.payment;
        if payment.state == PaymentState::Pending
            && let Err(error) = self.poll_soon(tx_id).await
        {
            // A worker comes by anyway, only later.
            log_store_error(&error);
        }
        Ok(Cancelled { payment, was_pending: true })
    }

    fn cancelled(&self, payment: &Payment) -> Reply {
        let canceled =
            payment.state.failure().is_some_and(|failure| failure.reason == FailReason::Canceled);
        match payment.state {
            PaymentState::Failed(_) if canceled => {
                reply::status(payment, &Sent::default(), || self.redirect_url(payment))
            }
            PaymentState::Succeeded | PaymentState::Failed(_) => self.no_longer_pending(payment),
            PaymentState::Initialized | PaymentState::Pending => reply::status_failed(
                RequestFailReason::SystemError,
                "GoPay did not confirm yet; ask GETTXSTATUS",
            ),
        }
    }

    /// About a payment that was pending before.
    fn no_longer_pending(&self, payment: &Payment) -> Reply {
        reply::not_pending(payment, &Sent::default(), || self.redirect_url(payment))
    }
}
