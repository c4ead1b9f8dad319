//! Errors and refusals in words, for the log and the trail.

use gopay_core::midtrans::{ChargeReply, RefundReply, Refusal};
use gopay_store::StoreError;

/// A refusal for the trail: codes and cause; the texts may quote what the shopper sent.
pub(crate) fn describe(refusal: &Refusal) -> String {
    let provider = refusal.provider_code.as_deref().unwrap_or("none");
    format!("refused {}, provider code {provider}, {}", refusal.status_code, refusal.cause.as_str())
}

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
    tracing::error!(error = chain(error), "the store did not take a step");
}

/// The refusal of a charge for the trail, if it is one.
pub(crate) fn describe_charge(reply: &ChargeReply) -> Option<String> {
    match reply {
        ChargeReply::Denied(refusal) | ChargeReply::Refused(refusal) => Some(describe(refusal)),
        ChargeReply::Created(_)
        | ChargeReply::InProgress
        | ChargeReply::Duplicate
        | ChargeReply::Unclear => None,
    }
}

/// An answer to a refund for the trail.
pub(crate) fn describe_refund(reply: &RefundReply) -> String {
    match reply {
        RefundReply::Accepted(_) => "accepted".to_owned(),
        RefundReply::Refused(refusal) => describe(refusal),
        RefundReply::Duplicate => "duplicate".to_owned(),
        RefundReply::InProgress => "in progress".to_owned(),
        RefundReply::Unclear => "unclear".to_owned(),
    }
}
