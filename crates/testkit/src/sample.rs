//! Payments and refunds as they are stored.

use std::time::Duration;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::money::Rupiah;
use gopay_core::payment::{Channel, NewPayment, Payment, PaymentRecord};
use gopay_core::refund::{MidtransRefund, Refund, RefundState};
use gopay_core::time::Timestamp;

/// The contract that everything here belongs to.
pub const CONTRACT: &str = "TESTCONTRACT";

/// A payment whose call came at `at` and whose charge is about to be sent: 10,000 rupiah, an hour
/// to pay, first poll after a minute.
///
/// # Panics
/// If the number is not positive.
#[must_use]
pub fn payment(number: i64, at: Timestamp) -> Payment {
    payment_with(number, at, |_| ())
}

/// The same with some fields changed.
///
/// # Panics
/// If the number is not positive, or the fields contradict each other.
#[must_use]
pub fn payment_with(
    number: i64,
    at: Timestamp,
    change: impl FnOnce(&mut PaymentRecord),
) -> Payment {
    let new = NewPayment {
        tx_id: TxId::new(number).expect("a positive number"),
        psp: "testclient".into(),
        contract: CONTRACT.into(),
        channel: Some(Channel::Test),
        account: None,
        merchant_tx_id: Some(format!("order-{number}")),
        redirect_secret: "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy".into(),
        merchant_redirect_url: Some("https://shop.example/back?a=b".into()),
        notification_url: Some("https://psp.example/notify".into()),
        nonce: None,
        created_at: at,
        session: Duration::from_secs(3_600),
    };
    let amount = Rupiah::new(10_000).expect("an amount in the limits");
    let mut record = Payment::open(new, amount).into_record();
    change(&mut record);
    Payment::restore(record).expect("a record that the rules could have made")
}

/// A refund of a payment whose call came at `at` and whose outcome is open: 1,000 rupiah.
///
/// # Panics
/// If the number is not positive.
#[must_use]
pub fn refund(number: i64, tx_id: TxId, at: Timestamp) -> Refund {
    Refund {
        refund_id: RefundId::new(number).expect("a positive number"),
        tx_id,
        psp: "testclient".into(),
        contract: CONTRACT.into(),
        merchant_refund_id: Some(format!("refund-{number}")),
        amount: Some(Rupiah::new(1_000).expect("an amount in the limits")),
        descriptor: None,
        state: RefundState::Unresolved,
        created_at: at,
        resolved_at: None,
        next_check_at: Some(at.after(Duration::from_secs(40))),
        checks: 0,
        midtrans: MidtransRefund::default(),
        made_elsewhere: None,
    }
}
