//! The bodies that answers and notifications share, and the URLs in them.

use std::borrow::Cow;

use gopay_core::time::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Engine;
use crate::transaction::{Refund, Status, Transaction};
use crate::wire::{Action, Body, QrisFields, RefundEntry, decimal};

/// RFC 3986 unreserved characters stay as they are.
const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Engine {
    /// The fields all bodies share, as of a time; refunds and settlement included if they apply.
    pub(crate) fn body<'a>(
        &'a self,
        transaction: &'a Transaction,
        status: Status,
        status_code: &'a str,
        status_message: &'a str,
        at: Timestamp,
    ) -> Body<'a> {
        let payment = transaction.payment.filter(|payment| status.is_paid() && payment.at <= at);
        let qris = payment.and_then(|payment| payment.qris);
        let known = || transaction.refunds.iter().filter(|refund| refund.created_at <= at);
        let refunds: Vec<RefundEntry<'_>> =
            known().map(|refund| refund_entry(refund, at)).collect();
        let refunded = known().fold(0_u64, |sum, refund| sum.saturating_add(refund.amount));
        let denied = matches!(status, Status::Deny | Status::Failure);
        let channel = transaction.channel.as_ref().filter(|_| denied);
        let echo = transaction.echo.as_deref();
        let [field1, field2, field3] = echo
            .map_or([None, None, None], |echo| echo.custom_fields.each_ref().map(Option::as_deref));
        Body {
            status_code,
            status_message,
            transaction_id: Some(transaction.id.to_string()),
            order_id: &transaction.order_id,
            merchant_id: self
                .merchants
                .get(transaction.merchant)
                .map_or("", |merchant| &merchant.id),
            gross_amount: decimal(transaction.amount),
            currency: "IDR",
            payment_type: if qris.is_some() { "qris" } else { "gopay" },
            transaction_time: transaction.created_at.wib_seconds(),
            transaction_status: status.word(),
            fraud_status: if transaction.fraud_denied { "deny" } else { "accept" },
            expiry_time: Some(transaction.expires_at.wib_seconds()),
            settlement_time: payment.map(|payment| payment.at.wib_seconds()),
            payment_option_type: payment.map(|payment| Cow::Borrowed(payment.option.word())),
            channel_response_code: channel.map(|(code, _)| code.to_string()),
            channel_response_message: channel.map(|(_, message)| message.as_ref()),
            qris: qris.map(|kind| QrisFields {
                transaction_type: kind.word(),
                issuer: kind.issuer(),
                acquirer: "gopay",
                merchant_cross_reference_id: transaction.reference.to_string(),
            }),
            refund_amount: (!refunds.is_empty()).then(|| decimal(refunded)),
            refunds,
            custom_field1: field1,
            custom_field2: field2,
            custom_field3: field3,
            metadata: echo.and_then(|echo| echo.metadata.as_ref()),
            ..Body::default()
        }
    }

    /// Where the shopper pays.
    pub(crate) fn checkout_url(&self, transaction: &Transaction) -> String {
        let base = &self.config.base_url;
        let reference = transaction.reference;
        let callback = transaction.callback.as_deref().map_or_else(String::new, |callback| {
            format!("&callback_url={}", utf8_percent_encode(callback, QUERY_VALUE))
        });
        format!("{base}/gopay/ui/checkout?referenceid={reference}{callback}")
    }

    /// What the QR code says: the checkout page, paid as by scanning.
    ///
    /// Upstream it is a QRIS payload, which banking apps understand. This one is not, so that no
    /// real app can be led to pay a simulated charge. It has no return URL: scanning never leads
    /// back (`docs/midtrans.md`, "Return redirect").
    pub(crate) fn scan_url(&self, transaction: &Transaction) -> String {
        let (base, reference) = (&self.config.base_url, transaction.reference);
        format!("{base}/gopay/ui/checkout?referenceid={reference}&via=qris")
    }

    pub(crate) fn actions(&self, transaction: &Transaction) -> Vec<Action> {
        let (base, id) = (&self.config.base_url, transaction.id);
        let action = |name, method, url| Action { name, method, url, fields: None };
        vec![
            action("generate-qr-code", "GET", format!("{base}/v2/gopay/{id}/qr-code")),
            action("deeplink-redirect", "GET", self.checkout_url(transaction)),
            action("get-status", "GET", format!("{base}/v2/{id}/status")),
            Action {
                fields: Some([]),
                ..action("cancel", "POST", format!("{base}/v2/{id}/cancel"))
            },
        ]
    }
}

/// An entry as it looked at that time.
fn refund_entry(refund: &Refund, at: Timestamp) -> RefundEntry<'_> {
    let bank_confirmed_at = refund.bank_confirmed_at.filter(|confirmed_at| *confirmed_at <= at);
    RefundEntry {
        refund_chargeback_id: refund.chargeback_id,
        refund_chargeback_uuid: refund.chargeback_uuid.to_string(),
        refund_amount: decimal(refund.amount),
        created_at: refund.created_at.wib_seconds(),
        reason: refund.reason.as_deref(),
        refund_key: Some(&refund.key),
        refund_method: "online",
        bank_confirmed_at: bank_confirmed_at.map(Timestamp::wib_seconds),
    }
}
