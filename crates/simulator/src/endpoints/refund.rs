//! Both refund endpoints.

use std::time::Duration;

use gopay_core::time::Timestamp;
use serde::Deserialize;

use super::{Call, Success};
use crate::charge;
use crate::config::RepeatedRefundKey;
use crate::engine::{Engine, RefundOrder};
use crate::faults::Action as Fault;
use crate::lenient::{Object, Scalar};
use crate::transaction::{QrisKind, Refund, RefundSource, Status, Transaction};
use crate::validation::{Need, Violations};
use crate::wire::{Body, Refusal, decimal};

const REFUND_WINDOW: Duration = Duration::from_secs(45 * 86_400);
const REFUND_WINDOW_OFF_US: Duration = Duration::from_secs(7 * 86_400);
/// How long the same key may retry the same refund.
const REFUND_KEY_LIFETIME: Duration = Duration::from_secs(7 * 86_400);
const REFUND_TEXT_CHARS_MAX: usize = 255;
/// Refunds that one payment may have here: with each, its entry and its change of status are kept.
pub(crate) const REFUNDS_MAX: usize = 200;
/// Refused refund keys remembered per transaction; beyond it the oldest is forgotten.
const REFUND_ATTEMPTS_MAX: usize = 64;

impl Engine {
    pub(super) fn refund(&mut self, call: &Call<'_>, index: usize) -> Result<Success, Refusal> {
        let wanted = RefundRequest::parse(&call.request.body)?;
        let generated = self.random.uuid();
        let key = wanted.key.unwrap_or_else(|| generated.to_string());
        let repeat = self.config.repeated_refund_key;
        let transaction = self.transactions.get(index).ok_or_else(Refusal::unknown_transaction)?;
        let paid_from = self.merchants.get(transaction.merchant).and_then(|found| found.balance);

        if let Some(earlier) = transaction.refunds.iter().find(|refund| refund.key == key) {
            let fresh = call.now.since(earlier.created_at) <= REFUND_KEY_LIFETIME;
            return match repeat {
                RepeatedRefundKey::Repeat if fresh => {
                    Ok(self.refund_success(transaction, earlier, call.now))
                }
                RepeatedRefundKey::Repeat | RepeatedRefundKey::Refuse => {
                    Err(duplicate_refund_key())
                }
            };
        }
        if first_attempt(transaction, &key)
            .is_some_and(|at| call.now.since(at) > REFUND_KEY_LIFETIME)
        {
            return Err(duplicate_refund_key());
        }
        if transaction.history.len() >= REFUNDS_MAX {
            return Err(Refusal::full("a payment may have 200 refunds"));
        }
        let checked = check_refund(transaction, wanted.amount, paid_from, call);
        self.record_refund_attempt(index, &key, call.now);
        let amount = checked?;
        if let Some(Fault::RefundRefused { status_code }) = call.fault {
            return self.refund_refused(index, status_code, call.now);
        }
        let confirmation = match call.fault {
            Some(Fault::BankConfirms { after_ms }) => Some(Duration::from_millis(after_ms)),
            Some(_) | None => None,
        };
        let (reason, source) = (wanted.reason, RefundSource::Api);
        let order = RefundOrder { key, amount, reason, source, confirmation };
        self.record_refund(call.now, index, order);
        let transaction = self.transactions.get(index).ok_or_else(Refusal::internal)?;
        let refund = transaction.refunds.last().ok_or_else(Refusal::internal)?;
        Ok(self.refund_success(transaction, refund, call.now))
    }

    pub(super) fn record_refund_attempt(&mut self, index: usize, key: &str, now: Timestamp) {
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        if first_attempt(transaction, key).is_none() {
            if transaction.refund_attempts.len() >= REFUND_ATTEMPTS_MAX {
                transaction.refund_attempts.remove(0);
            }
            transaction.refund_attempts.push((key.to_owned(), now));
        }
    }

    /// `refund_amount` at the top is this refund's here (as the refund page has it), and the sum
    /// in GET status and notifications.
    pub(super) fn refund_success(
        &self,
        transaction: &Transaction,
        refund: &Refund,
        now: Timestamp,
    ) -> Success {
        let message = "Success, refund request is approved";
        let body = self.body(transaction, transaction.status, "200", message, now);
        Success::new(&Body {
            refund_chargeback_id: Some(refund.chargeback_id),
            refund_chargeback_uuid: Some(refund.chargeback_uuid.to_string()),
            refund_amount: Some(decimal(refund.amount)),
            refund_key: Some(&refund.key),
            refunds: Vec::new(),
            expiry_time: None,
            ..body.without_echo()
        })
    }

    pub(super) fn refund_refused(
        &self,
        index: usize,
        status_code: u16,
        now: Timestamp,
    ) -> Result<Success, Refusal> {
        let transaction = self.transactions.get(index).ok_or_else(Refusal::internal)?;
        match status_code {
            202 => {
                let message = "Refund request is denied by the provider";
                let body = self.body(transaction, transaction.status, "202", message, now);
                let body = Body {
                    refund_amount: Some("0.00".to_owned()),
                    refunds: Vec::new(),
                    ..body.without_echo()
                };
                Ok(Success::new(&body))
            }
            412 => Err(Refusal::wrong_state()),
            _ => Err(insufficient_funds()),
        }
    }
}

struct RefundRequest {
    key: Option<String>,
    amount: Option<u64>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct RawRefund<'a> {
    #[serde(borrow, default)]
    refund_key: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    amount: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    reason: Option<Scalar<'a>>,
}

impl RefundRequest {
    /// No body at all asks for the whole amount.
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if charge::too_long(body) {
            return Err(Refusal::malformed());
        }
        if matches!(body.trim_ascii(), b"" | b"null") {
            return Ok(Self { key: None, amount: None, reason: None });
        }
        let Object::Good(raw) = serde_json::from_slice::<Object<RawRefund<'_>>>(body)
            .map_err(|_| Refusal::malformed())?
        else {
            return Err(Refusal::malformed());
        };
        let mut violations = Violations::default();
        let key = violations.text(raw.refund_key, || "refund_key", REFUND_TEXT_CHARS_MAX);
        let key = key.filter(|key| !key.is_empty());
        let is_key_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if key.as_ref().is_some_and(|key| !key.bytes().all(is_key_byte)) {
            violations.add("refund_key contains characters that are not allowed");
        }
        let amount = violations.whole(raw.amount.as_ref(), || "amount", Need::Optional);
        if amount.is_some_and(|amount| amount < 1) {
            violations.add("amount must be greater than or equal to 1");
        }
        let reason = violations.text(raw.reason, || "reason", REFUND_TEXT_CHARS_MAX);
        if violations.0.is_empty() {
            let amount = amount.and_then(|amount| u64::try_from(amount).ok());
            Ok(Self { key, amount, reason })
        } else {
            Err(Refusal::invalid(violations.0))
        }
    }
}

/// The amount to give back, if the rules allow it: state, window, amount, funds, in this order.
fn check_refund(
    transaction: &Transaction,
    wanted: Option<u64>,
    merchant_balance: Option<u64>,
    call: &Call<'_>,
) -> Result<u64, Refusal> {
    let payment = match transaction.status {
        Status::Settlement | Status::PartialRefund => transaction.payment,
        Status::Pending
        | Status::Expire
        | Status::Cancel
        | Status::Deny
        | Status::Failure
        | Status::Refund
        | Status::PartialChargeback
        | Status::Chargeback => None,
    };
    let payment = payment.ok_or_else(Refusal::wrong_state)?;
    let window = match payment.qris {
        Some(QrisKind::OffUs) => REFUND_WINDOW_OFF_US,
        Some(QrisKind::OnUs) | None => REFUND_WINDOW,
    };
    if call.now.since(payment.at) > window {
        let message = "Transaction status cannot be updated: the refund window is over.";
        return Err(Refusal::new(412, message));
    }
    let remaining = transaction.remaining();
    let amount = wanted.unwrap_or(remaining);
    if amount > remaining {
        return Err(Refusal::new(414, "The refund amount is above the remaining amount."));
    }
    if merchant_balance.is_some_and(|balance| balance < amount) {
        return Err(insufficient_funds());
    }
    Ok(amount)
}

fn first_attempt(transaction: &Transaction, key: &str) -> Option<Timestamp> {
    transaction.refund_attempts.iter().find(|(known, _)| known == key).map(|(_, at)| *at)
}

fn duplicate_refund_key() -> Refusal {
    Refusal::new(406, "The request could not be completed due to a conflict: duplicate refund_key.")
}

fn insufficient_funds() -> Refusal {
    Refusal::new(414, "The merchant has insufficient funds to refund.")
}
