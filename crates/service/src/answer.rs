//! Answers to PSPs that are not about the outcome of a payment or refund: refusals, faults of
//! ours, and what was not found.

use std::time::Duration;

use gopay_core::payment::{FailReason, Failure};
use gopay_core::ppro::call::{self, TxType};
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::reply::{self, Reply, RequestFailReason};
use gopay_core::rejection::{Rejection, Rule, Subject};
use gopay_store::StoreError;

use crate::describe::log_store_error;
use crate::observe::learn;

/// An answer to a PSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The line to send.
    pub body: Vec<u8>,
    /// The call was not taken because too many are running.
    pub overloaded: bool,
    /// The part of its time that was spent waiting for Midtrans.
    pub upstream: Duration,
}

impl Answer {
    /// An answer to a call that was taken. How long others took, its use case says.
    pub(crate) const fn of(body: Vec<u8>) -> Self {
        Self { body, overloaded: false, upstream: Duration::ZERO }
    }
}

pub(crate) fn tx_not_found() -> Reply {
    reply::status_failed(RequestFailReason::TxNotFound, "Transaction not found")
}

/// A status call that the store could not serve.
pub(crate) fn status_unavailable(error: &StoreError) -> Reply {
    log_store_error(error);
    status_fault()
}

/// A call about a transaction that cannot be answered now.
pub(crate) fn status_fault() -> Reply {
    reply::status_failed(RequestFailReason::SystemError, TEMPORARY)
}

/// A question about a refund that cannot be answered now.
pub(crate) fn refund_status_fault() -> Reply {
    reply::refund_status_failed(RequestFailReason::SystemError, TEMPORARY)
}

const TEMPORARY: &str = "Temporary fault; ask again in 10 seconds";

/// A TRANSACTION that the store could not take: nothing was sent to GoPay.
pub(crate) fn transaction_unavailable(error: &StoreError) -> Reply {
    log_store_error(error);
    learn(|seen| seen.outcome = "unavailable");
    reply::transaction_refused(&local_fault())
}

pub(crate) fn local_fault() -> Failure {
    Failure::new(
        FailReason::LocalError,
        "Temporary fault; this call was not sent to GoPay; try again in 10 seconds",
    )
}

pub(crate) fn credentials() -> Rejection {
    Rejection::of(Field::Login, Rule::Credentials)
}

pub(crate) fn overload(kind: TxType) -> Reply {
    let text = "Too many calls at once; nothing was done; try again in 10 seconds";
    fault(Some(kind), text)
}

/// A call beyond the quotas of PPRO's test host.
pub(crate) fn over_quota(kind: TxType) -> Reply {
    learn(|seen| seen.outcome = "over_quota");
    let failure = Failure::new(FailReason::LocalDecline, "Quota exceeded");
    refused_with(Some(kind), &failure, RequestFailReason::SystemError)
}

pub(crate) fn crashed(body: &[u8]) -> Reply {
    // Buffers of its own: a call that crashed may have left the thread's in use.
    let mut scratch = Scratch::new();
    let (form, _) = Form::decode(body, &mut scratch);
    fault(call::tx_type(&form), "Internal fault; ask for the status before trying again")
}

/// An answer in the shape of the call, about a fault of ours.
fn fault(kind: Option<TxType>, message: &str) -> Reply {
    let failure = Failure::new(FailReason::LocalError, message);
    refused_with(kind, &failure, RequestFailReason::SystemError)
}

/// The answer to a call that was refused before its own rules came up: no id is assigned.
pub(crate) fn refused(kind: Option<TxType>, rejection: &Rejection) -> Reply {
    learn(|seen| (seen.outcome, seen.code) = ("refused", Some(rejection.code())));
    let about_credentials = matches!(
        rejection.subject,
        Subject::Field(Field::Login | Field::Password | Field::Contractid)
    );
    let reason =
        if about_credentials { RequestFailReason::AuthError } else { RequestFailReason::Unknown };
    refused_with(kind, &rejection.failure(), reason)
}

fn refused_with(kind: Option<TxType>, failure: &Failure, reason: RequestFailReason) -> Reply {
    match kind {
        None | Some(TxType::Transaction) => reply::transaction_refused(failure),
        Some(TxType::Refund) => reply::refund_refused(failure, None),
        Some(TxType::GetTxStatus | TxType::GetTxStatusByMerchantTxId | TxType::CancelTx) => {
            reply::status_failed(reason, &failure.message)
        }
        Some(TxType::GetRefundStatus | TxType::GetRefundStatusByMerchantRefundId) => {
            reply::refund_status_failed(reason, &failure.message)
        }
        Some(TxType::RequestData) => reply::request_failed(reason, &failure.message),
    }
}

pub(crate) fn refund_not_found() -> Reply {
    reply::refund_status_failed(RequestFailReason::RefundNotFound, "Refund not found")
}

pub(crate) fn refund_status_unavailable(error: &StoreError) -> Reply {
    log_store_error(error);
    refund_status_fault()
}
