//! Faults, sums and views for tests and for the control API.

use serde::Serialize;

use super::Engine;
use crate::faults::{Armed, Fault};
use crate::transaction::{
    NotificationCounts, Refund, RefundView, Status, Totals, Transaction, TransactionView,
};
use gopay_core::time::Timestamp;

/// The state of the notification queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotificationQueue {
    /// Waiting, retries included.
    pub queued: usize,
    /// Handed out and not reported back.
    pub in_flight: usize,
    /// When the next one is due.
    pub next_at: Option<String>,
    /// Sums over all transactions.
    pub totals: NotificationCounts,
}

impl Engine {
    /// Arms a fault and gives its number.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn add_fault(&mut self, fault: Fault) -> Result<u64, String> {
        fault.check()?;
        Ok(self.faults.add(fault))
    }

    /// The faults, in the order they are tried.
    #[must_use]
    pub fn faults(&self) -> &[Armed] {
        self.faults.list()
    }

    /// Removes every fault and says how many there were.
    pub fn clear_faults(&mut self) -> usize {
        self.faults.clear()
    }

    /// The state of the notification queue.
    #[must_use]
    pub fn notification_queue(&self) -> NotificationQueue {
        NotificationQueue {
            queued: self.outbox.queued(),
            in_flight: self.outbox.in_flight(),
            next_at: self.outbox.next_due().map(|at| at.to_string()),
            totals: self.counts,
        }
    }

    /// Sums over all transactions.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let count =
            |status| (Status::word(status), self.statuses.get(&status).copied().unwrap_or(0));
        Totals {
            transactions: u64::try_from(self.transactions.len()).unwrap_or(u64::MAX),
            charged: self.charged,
            refunded: self.refunded,
            refunds: self.refund_count,
            statuses: Status::ALL.into_iter().map(count).collect(),
        }
    }

    /// Transactions in order of creation.
    #[must_use]
    pub fn transactions(&self, offset: usize, limit: usize) -> Vec<TransactionView> {
        self.transactions.iter().skip(offset).take(limit).map(|found| self.view(found)).collect()
    }

    /// One transaction by `transaction_id`, or the newest of an `order_id`.
    #[must_use]
    pub fn transaction(&self, id: &str) -> Option<TransactionView> {
        self.transactions.get(self.find_any(id)?).map(|found| self.view(found))
    }

    fn view(&self, transaction: &Transaction) -> TransactionView {
        let payment = transaction.payment;
        let qris = payment.is_some_and(|payment| payment.qris.is_some());
        TransactionView {
            order_id: transaction.order_id.clone(),
            transaction_id: transaction.id.to_string(),
            reference_id: transaction.reference.to_string(),
            merchant_id: self
                .merchants
                .get(transaction.merchant)
                .map_or_else(String::new, |merchant| merchant.id.clone()),
            gross_amount: transaction.amount,
            status: transaction.status,
            payment_type: if qris { "qris" } else { "gopay" },
            payment_option_type: payment.map(|payment| payment.option),
            transaction_time: transaction.created_at.wib_seconds(),
            expiry_time: transaction.expires_at.wib_seconds(),
            settlement_time: payment.map(|payment| payment.at.wib_seconds()),
            refunded: transaction.refunded(),
            refunds: transaction.refunds.iter().map(refund_view).collect(),
            charges_of_order: transaction.charges_of_order,
            charge_repeats: transaction.charge_repeats,
            notifications: transaction.notifications,
            checkout_url: self.checkout_url(transaction),
            qr_string: self.scan_url(transaction),
        }
    }
}

fn refund_view(refund: &Refund) -> RefundView {
    RefundView {
        refund_key: refund.key.clone(),
        amount: refund.amount,
        refund_chargeback_id: refund.chargeback_id,
        created_at: refund.created_at.wib_seconds(),
        bank_confirmed_at: refund.bank_confirmed_at.map(Timestamp::wib_seconds),
        reason: refund.reason.clone(),
    }
}
