//! Faults, sums and views for tests and for the control API.

use std::sync::Arc;

use gopay_core::time::Timestamp;
use serde::Serialize;

use super::Engine;
use crate::faults::{Armed, Fault};
use crate::outbox::NotificationOutcome;
use crate::sent::Sent;
use crate::transaction::{
    Dropped, NotificationCounts, Refund, RefundView, Status, Totals, Transaction, TransactionView,
};

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

/// One attempt at one notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SentView {
    /// Ascending; pages of lists go by it.
    pub number: u64,
    /// When its outcome was known (UTC).
    pub at: String,
    /// Whose it was; none once the transaction was dropped.
    pub order_id: Option<String>,
    /// As `order_id`.
    pub transaction_id: Option<String>,
    /// The receiver.
    pub url: Arc<str>,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// What became of it.
    pub outcome: NotificationOutcome,
    /// What was sent.
    pub body: serde_json::Value,
}

impl Engine {
    /// Arms a fault and gives its number.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn add_fault(&mut self, fault: Fault) -> Result<u64, String> {
        fault.check()?;
        self.faults.add(fault)
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
            transactions: u64::try_from(self.transactions.added()).unwrap_or(u64::MAX),
            charged: self.charged,
            refunded: self.refunded,
            refunds: self.refund_count,
            charged_back: self.charged_back,
            statuses: Status::ALL.into_iter().map(count).collect(),
            held: u64::try_from(self.transactions.len()).unwrap_or(u64::MAX),
            dropped: Dropped { idempotency_keys: self.idempotency.dropped, ..self.dropped },
        }
    }

    /// Transactions in order of creation.
    #[must_use]
    pub fn transactions(&self, offset: usize, limit: usize) -> Vec<TransactionView> {
        self.transactions
            .iter()
            .skip(offset)
            .take(limit)
            .map(|(number, found)| self.view(number, found))
            .collect()
    }

    /// One transaction by `transaction_id`, or the newest of an `order_id`.
    #[must_use]
    pub fn transaction(&self, id: &str) -> Option<TransactionView> {
        let number = self.find_any(id)?;
        self.transactions.get(number).map(|found| self.view(number, found))
    }

    /// Transactions, newest first, from below the number `before` on; at most `limit`.
    #[must_use]
    pub fn newest_transactions(&self, before: Option<u64>, limit: usize) -> Vec<TransactionView> {
        let before = before.and_then(|before| usize::try_from(before).ok()).unwrap_or(usize::MAX);
        self.transactions
            .newest_before(before)
            .take(limit)
            .map(|(number, found)| self.view(number, found))
            .collect()
    }

    /// Notifications that were sent, newest first, from below the number `before` on; at most
    /// `limit`.
    #[must_use]
    pub fn sent_notifications(&self, before: Option<u64>, limit: usize) -> Vec<SentView> {
        self.sent
            .iter()
            .rev()
            .filter(|sent| before.is_none_or(|before| sent.number < before))
            .take(limit)
            .map(|sent| self.sent_view(sent))
            .collect()
    }

    fn sent_view(&self, sent: &Sent) -> SentView {
        let transaction = self.transactions.get(sent.transaction);
        SentView {
            number: sent.number,
            at: sent.at.to_string(),
            order_id: transaction.map(|found| found.order_id.clone()),
            transaction_id: transaction.map(|found| found.id.to_string()),
            url: Arc::clone(&sent.url),
            attempt: sent.attempt,
            outcome: sent.outcome,
            body: serde_json::from_slice(&sent.body).unwrap_or_default(),
        }
    }

    fn view(&self, number: usize, transaction: &Transaction) -> TransactionView {
        let payment = transaction.payment;
        let qris = payment.is_some_and(|payment| payment.qris.is_some());
        TransactionView {
            number: u64::try_from(number).unwrap_or(u64::MAX),
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
            charged_back: transaction.charged_back,
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
        source: refund.source,
        amount: refund.amount,
        refund_chargeback_id: refund.chargeback_id,
        created_at: refund.created_at.wib_seconds(),
        bank_confirmed_at: refund.bank_confirmed_at.map(Timestamp::wib_seconds),
        reason: refund.reason.clone(),
    }
}
