//! How the body of a GET status or of a notification may differ from the usual one, as Midtrans
//! varies it or as a liar would.

use std::borrow::Cow;

use serde_json::json;

use crate::faults::Action;
use crate::transaction::Transaction;
use crate::wire::{Body, QrisFields, decimal};

/// One difference; a scripted fault names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Signed with another key.
    Forged,
    /// One rupiah more than charged, without explanation.
    WrongAmount,
    /// The charge and a fee for the shopper, in rupiah, explained in `extra_info`.
    CustomerFee(u64),
    /// As after a scan of the QR code.
    AsQris,
    /// `"fraud_status": ""`.
    EmptyFraudStatus,
    /// Fields of every JSON type that no documentation names.
    UnknownFields,
    /// Another `payment_option_type`.
    PaymentOption(String),
    /// Without `transaction_id`, as Midtrans' own replay tool sends it.
    WithoutTransactionId,
    /// Without `refund_key` in `refunds[]`.
    WithoutRefundKey,
}

impl Variant {
    /// The variant that a fault asks for, if it asks for one.
    pub(crate) fn of(action: &Action) -> Option<Self> {
        Some(match action {
            Action::ForgeSignature {} => Self::Forged,
            Action::WrongAmount {} => Self::WrongAmount,
            Action::CustomerFee { rupiah } => Self::CustomerFee(*rupiah),
            Action::AsQris {} => Self::AsQris,
            Action::EmptyFraudStatus {} => Self::EmptyFraudStatus,
            Action::UnknownFields {} => Self::UnknownFields,
            Action::PaymentOption { option } => Self::PaymentOption(option.clone()),
            Action::WithoutTransactionId {} => Self::WithoutTransactionId,
            Action::WithoutRefundKey {} => Self::WithoutRefundKey,
            Action::LostBefore {}
            | Action::LostAfter {}
            | Action::Delay { .. }
            | Action::Http { .. }
            | Action::HttpAfter { .. }
            | Action::ProviderError { .. }
            | Action::Garbage {}
            | Action::Truncate {}
            | Action::Empty {}
            | Action::StaleStatus { .. }
            | Action::RefundRefused { .. }
            | Action::BankConfirms { .. }
            | Action::Drop {}
            | Action::Duplicate { .. }
            | Action::Reorder {} => return None,
        })
    }

    /// Changes a body that is not signed yet: all but a forged one are signed rightly.
    pub(crate) fn apply<'a>(&'a self, body: &mut Body<'a>, transaction: &Transaction) {
        match self {
            Self::Forged => {}
            Self::WrongAmount => body.gross_amount = decimal(transaction.amount.saturating_add(1)),
            Self::CustomerFee(fee) => add_fee(body, transaction.amount, *fee),
            Self::AsQris => {
                body.payment_type = "qris";
                body.qris = Some(QrisFields {
                    transaction_type: "on-us",
                    issuer: "gopay",
                    acquirer: "gopay",
                    merchant_cross_reference_id: transaction.reference.to_string(),
                });
            }
            Self::EmptyFraudStatus => body.fraud_status = "",
            Self::UnknownFields => {
                let fields = json!({
                    "new_text": "text", "new_number": 1.5, "new_flag": true, "new_null": null,
                    "new_list": [1, "two", {"three": 3}], "new_object": {"deep": {"er": []}},
                });
                body.unknown = fields.as_object().cloned();
            }
            Self::PaymentOption(option) => {
                body.payment_option_type = Some(Cow::Borrowed(option));
            }
            Self::WithoutTransactionId => body.transaction_id = None,
            Self::WithoutRefundKey => {
                for refund in &mut body.refunds {
                    refund.refund_key = None;
                }
            }
        }
    }
}

/// A fee that the shopper pays on top of the charge: in `gross_amount`, and explained with a
/// number and two texts, as the Snap documentation shows it.
fn add_fee(body: &mut Body<'_>, amount: u64, fee: u64) {
    let gross = amount.saturating_add(fee);
    body.gross_amount = decimal(gross);
    body.extra_info = Some(json!({"gross_amount_info": {
        "original_amount": amount.to_string(),
        "gross_amount": gross,
        "customer_imposed_payment_fee": fee.to_string(),
    }}));
}
