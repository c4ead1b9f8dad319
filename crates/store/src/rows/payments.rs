//! The rows of payments and of the calls that made them.

use gopay_core::account::AccountName;
use gopay_core::doubt::Doubt;
use gopay_core::payment::{
    Channel, ChargeState, FailReason, FirstFailure, Nonce, PaidAtSource, Payment, PaymentRecord,
    PaymentState,
};
use serde_json::json;

use super::{Cell, RowReader, SqlRow, failure, sen, table};
use crate::StoreError;
use crate::engine::case_key;
use crate::spelling::CALL;

table! {
    /// Payments.
    PAYMENTS = "payments", payment_columns,
    key { tx_id: Int, }
    changing {
        state: Text,
        fail_reason: Text,
        fail_message: Text,
        upstream: Text,
        midtrans_tx_id: Text,
        deeplink: Text,
        answer: Bytes,
        final_at: Int,
        paid_at: Int,
        paid_at_source: Text,
        payment_type: Text,
        payment_option: Text,
        first_failed_at: Int,
        first_fail_reason: Text,
        cancel_requested: Flag,
        refund_reserved_sen: Int,
        next_check_at: Int,
        checks: Int,
        doubt: Text,
        at_risk_sen: Int,
    }
    fixed {
        client: Text,
        contract: Text,
        channel: Text,
        merchant_tx_id: Text,
        amount_sen: Int,
        redirect_secret: Text,
        merchant_redirect_url: Text,
        notification_url: Text,
        nonce: Text,
        fingerprint: Bytes,
        created_at: Int,
        deadline_at: Int,
        midtrans_account: Text,
    }
    written { merchant_tx_key: Text, }
}

table! {
    /// The calls that made payments.
    PAYMENT_REQUESTS = "payment_requests", payment_request_columns,
    key { tx_id: Int, }
    changing {}
    fixed { request: Text, }
    written { archive: Int, }
}

/// The column `fingerprint` of a payment without a nonce.
const NO_FINGERPRINT: &[u8; 32] = &[0; 32];

/// A row of [`PAYMENTS`] as a payment.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn payment(row: &dyn SqlRow) -> Result<Payment, StoreError> {
    let mut row = RowReader::new(row, PAYMENTS.name);
    let record = PaymentRecord {
        tx_id: row.tx_id()?,
        state: state(&mut row)?,
        charge_state: row.parse("upstream", ChargeState::from_word)?,
        midtrans_tx_id: row.text_opt("midtrans_tx_id")?,
        deeplink: row.text_opt("deeplink")?,
        answer: row.bytes_opt("answer")?,
        final_at: row.time_opt("final_at")?,
        paid_at: row.time_opt("paid_at")?,
        paid_at_source: row.parse_opt("paid_at_source", PaidAtSource::from_word)?,
        payment_type: row.text_opt("payment_type")?,
        payment_option: row.text_opt("payment_option")?,
        first_failure: first_failure(&mut row)?,
        cancel_requested: row.flag("cancel_requested")?,
        refund_reserved: row.sen("refund_reserved_sen")?,
        next_check_at: row.time_opt("next_check_at")?,
        checks: row.count("checks")?,
        doubt: doubt(&mut row)?,
        psp: row.text("client")?,
        contract: row.text("contract")?,
        channel: row.parse_opt("channel", Channel::from_word)?,
        merchant_tx_id: row.text_opt("merchant_tx_id")?,
        amount: row.rupiah_opt("amount_sen")?,
        redirect_secret: row.text("redirect_secret")?,
        merchant_redirect_url: row.text_opt("merchant_redirect_url")?,
        notification_url: row.text_opt("notification_url")?,
        nonce: nonce(&mut row)?,
        created_at: row.time("created_at")?,
        deadline_at: row.time("deadline_at")?,
        account: row.parse_opt("midtrans_account", |name| name.parse().ok())?,
    };
    Payment::restore(record).map_err(|broken| row.corrupt(broken.0))
}

/// The columns `state`, `fail_reason` and `fail_message`.
fn state(row: &mut RowReader<'_>) -> Result<PaymentState, StoreError> {
    let word = row.text("state")?;
    let failure = row.failure()?;
    PaymentState::from_word(&word, failure).ok_or_else(|| row.corrupt("state"))
}

/// The columns `first_failed_at` and `first_fail_reason`: both or neither.
fn first_failure(row: &mut RowReader<'_>) -> Result<Option<FirstFailure>, StoreError> {
    let at = row.time_opt("first_failed_at")?;
    match (at, row.parse_opt("first_fail_reason", FailReason::from_word)?) {
        (Some(at), Some(reason)) => Ok(Some(FirstFailure { at, reason })),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(row.corrupt("first_fail_reason")),
    }
}

/// The columns `doubt` and `at_risk_sen`, of which the second is there for sums and lists.
fn doubt(row: &mut RowReader<'_>) -> Result<Option<Doubt>, StoreError> {
    let doubt = row.parse_opt("doubt", |text| serde_json::from_str(text).ok())?;
    row.int_opt("at_risk_sen")?;
    Ok(doubt)
}

/// The columns `nonce` and `fingerprint`.
fn nonce(row: &mut RowReader<'_>) -> Result<Option<Nonce>, StoreError> {
    let value = row.text_opt("nonce")?;
    let fingerprint = row.digest("fingerprint")?;
    Ok(value.map(|value| Nonce { value, fingerprint }))
}

/// The key of a payment and what an update writes, in the order of [`PAYMENTS`].
///
/// # Errors
/// [`StoreError::Invalid`] if an amount is too large for a database.
pub fn payment_changes(payment: &Payment) -> Result<[Cell<'_>; 21], StoreError> {
    let [fail_reason, fail_message] = failure(payment.state.failure());
    let at_risk = payment.at_risk().map(|at_risk| sen(PAYMENTS.name, "at_risk_sen", at_risk));
    Ok([
        payment.tx_id.get().into(),
        payment.state.as_str().into(),
        fail_reason,
        fail_message,
        payment.charge_state.as_str().into(),
        (&payment.midtrans_tx_id).into(),
        (&payment.deeplink).into(),
        payment.answer.as_deref().into(),
        payment.final_at.into(),
        payment.paid_at.into(),
        payment.paid_at_source.map(PaidAtSource::as_str).into(),
        (&payment.payment_type).into(),
        (&payment.payment_option).into(),
        payment.first_failure.map(|first| first.at).into(),
        payment.first_failure.map(|first| first.reason.as_str()).into(),
        payment.cancel_requested.into(),
        sen(PAYMENTS.name, "refund_reserved_sen", payment.refund_reserved)?,
        payment.next_check_at.into(),
        payment.checks.into(),
        payment.doubt.as_ref().map(|doubt| json!(doubt).to_string()).into(),
        at_risk.transpose()?.unwrap_or(Cell::Null),
    ])
}

/// A payment as a row of [`PAYMENTS`].
///
/// # Errors
/// As [`payment_changes`].
pub fn payment_cells(payment: &Payment) -> Result<Vec<Cell<'_>>, StoreError> {
    let amount = payment.amount.map(|amount| sen(PAYMENTS.name, "amount_sen", amount.sen()));
    let mut cells = Vec::with_capacity(PAYMENTS.columns.len());
    cells.extend(payment_changes(payment)?);
    cells.extend([
        payment.psp.as_str().into(),
        payment.contract.as_str().into(),
        payment.channel.map(Channel::as_str).into(),
        (&payment.merchant_tx_id).into(),
        amount.transpose()?.unwrap_or(Cell::Null),
        payment.redirect_secret.as_str().into(),
        (&payment.merchant_redirect_url).into(),
        (&payment.notification_url).into(),
        payment.nonce.as_ref().map(|nonce| nonce.value.as_str()).into(),
        payment.nonce.as_ref().map_or(NO_FINGERPRINT, |nonce| &nonce.fingerprint).as_slice().into(),
        payment.created_at.into(),
        payment.deadline_at.into(),
        payment.account.as_ref().map(AccountName::as_str).into(),
        payment.merchant_tx_id.as_deref().map(case_key).into(),
    ]);
    Ok(cells)
}

/// The call in a row of [`PAYMENT_REQUESTS`].
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn payment_request(row: &dyn SqlRow) -> Result<String, StoreError> {
    let mut row = RowReader::new(row, PAYMENT_REQUESTS.name);
    row.tx_id()?;
    Ok(CALL.lengthen(row.text("request")?))
}
