//! Errors and refusals in words, for the log and the trail.

use gopay_core::midtrans::{ChargeReply, RefundReply, Refusal, RefusalCause};
use gopay_store::StoreError;
use metrics::counter;

use crate::thin::{self, FAULT_PAUSE};
use crate::{MidtransAccount, meters};

/// An error with its sources, for the trail, the log and the operator.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Logs a step that the store did not take.
pub(crate) fn log_store_error(error: &StoreError) {
    counter!(meters::STORE_ERRORS, "reason" => reason(error)).increment(1);
    let error = chain(error);
    if let Some(repeats) = thin::due(&error, FAULT_PAUSE) {
        tracing::error!(error, repeats, "the store did not take a step");
    }
}

/// The refusal of a charge for the trail, if it is one.
///
/// `personal` are texts of the call that Midtrans may repeat.
pub(crate) fn describe_charge(
    account: &MidtransAccount,
    reply: &ChargeReply,
    personal: &[String],
) -> Option<String> {
    match reply {
        ChargeReply::Denied(refusal) | ChargeReply::Refused(refusal) => {
            count(account, "charge", refusal);
            Some(refusal.described(personal))
        }
        ChargeReply::Created(_)
        | ChargeReply::InProgress
        | ChargeReply::Duplicate
        | ChargeReply::Unclear => None,
    }
}

/// An answer to a refund for the trail.
pub(crate) fn describe_refund(account: &MidtransAccount, reply: &RefundReply) -> String {
    match reply {
        RefundReply::Accepted(_) => "accepted".to_owned(),
        RefundReply::Refused(refusal) => describe(account, "refund", refusal),
        RefundReply::Duplicate => "duplicate".to_owned(),
        RefundReply::InProgress => "in progress".to_owned(),
        RefundReply::Unclear => "unclear".to_owned(),
    }
}

const fn reason(error: &StoreError) -> &'static str {
    match error {
        StoreError::Busy => "busy",
        StoreError::Conflict => "conflict",
        StoreError::Missing { .. } => "missing",
        StoreError::Corrupt { .. } => "corrupt",
        StoreError::Schema { .. } => "schema",
        StoreError::Invalid { .. } => "invalid",
        StoreError::Away(_) => "away",
        StoreError::Down(_) => "down",
    }
}

/// Counts a refusal of Midtrans and gives it in words, for the trail.
pub(crate) fn describe(account: &MidtransAccount, call: &'static str, refusal: &Refusal) -> String {
    count(account, call, refusal);
    refusal.described(&[])
}

/// Counts a refusal of Midtrans. One that only the operator can mend (keys, permissions, merchant
/// set-up) is logged as an error; what Midtrans wrote may be personal, and is in the trail only.
fn count(account: &MidtransAccount, call: &'static str, refusal: &Refusal) {
    counter!(meters::MIDTRANS_REFUSALS, "call" => call, "cause" => refusal.cause.as_str())
        .increment(1);
    if refusal.cause != RefusalCause::Misconfigured {
        return;
    }
    let (said, account) = (refusal.coded(), account.label());
    if let Some(repeats) = thin::due(&format!("{account} {call}: {said}"), FAULT_PAUSE) {
        tracing::error!(account, call, said, repeats, "Midtrans did not let us in");
    }
}
