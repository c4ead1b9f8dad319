//! What the simulator knows of one transaction.

use std::borrow::Cow;
use std::sync::Arc;

use gopay_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::charge::Echo;

/// Where a transaction stands (`docs/midtrans.md`, "State machine").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waiting for the shopper.
    Pending,
    /// Paid.
    Settlement,
    /// Ran out of time.
    Expire,
    /// Cancelled by the merchant.
    Cancel,
    /// Refused by the provider or for fraud.
    Deny,
    /// Ended by an unexpected error.
    Failure,
    /// Paid and partly given back.
    PartialRefund,
    /// Paid and wholly given back.
    Refund,
    /// Paid, and partly taken back after a dispute.
    PartialChargeback,
    /// Paid, and wholly taken back after a dispute.
    Chargeback,
}

impl Status {
    /// Every status, in the order totals list them.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Settlement,
        Self::Expire,
        Self::Cancel,
        Self::Deny,
        Self::Failure,
        Self::PartialRefund,
        Self::Refund,
        Self::PartialChargeback,
        Self::Chargeback,
    ];

    /// The wire word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Settlement => "settlement",
            Self::Expire => "expire",
            Self::Cancel => "cancel",
            Self::Deny => "deny",
            Self::Failure => "failure",
            Self::PartialRefund => "partial_refund",
            Self::Refund => "refund",
            Self::PartialChargeback => "partial_chargeback",
            Self::Chargeback => "chargeback",
        }
    }

    /// The code of GET status: 407 for an expired payment, 200 for a cancelled one. `failure` is
    /// documented nowhere and goes with `deny`.
    #[must_use]
    pub const fn status_code(self) -> &'static str {
        match self {
            Self::Pending => "201",
            Self::Settlement
            | Self::PartialRefund
            | Self::Refund
            | Self::PartialChargeback
            | Self::Chargeback
            | Self::Cancel => "200",
            Self::Expire => "407",
            Self::Deny | Self::Failure => "202",
        }
    }

    /// The code of a notification, which differs for `expire` and `cancel`.
    #[must_use]
    pub const fn notification_code(self) -> &'static str {
        match self {
            Self::Pending => "201",
            Self::Settlement
            | Self::PartialRefund
            | Self::Refund
            | Self::PartialChargeback
            | Self::Chargeback => "200",
            Self::Expire | Self::Cancel | Self::Deny | Self::Failure => "202",
        }
    }

    /// Whether money was taken, even if it has been given back.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        match self {
            Self::Settlement
            | Self::PartialRefund
            | Self::Refund
            | Self::PartialChargeback
            | Self::Chargeback => true,
            Self::Pending | Self::Expire | Self::Cancel | Self::Deny | Self::Failure => false,
        }
    }

    /// Whether the order id may be charged again: not while it is active, and never once paid.
    #[must_use]
    pub const fn frees_order_id(self) -> bool {
        match self {
            Self::Expire | Self::Cancel | Self::Deny | Self::Failure => true,
            Self::Pending
            | Self::Settlement
            | Self::PartialRefund
            | Self::Refund
            | Self::PartialChargeback
            | Self::Chargeback => false,
        }
    }
}

/// What the shopper paid from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentOption {
    /// The wallet's balance.
    GopayWallet,
    /// GoPayLater.
    PayLater,
}

impl PaymentOption {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::GopayWallet => "GOPAY_WALLET",
            Self::PayLater => "PAY_LATER",
        }
    }
}

/// Whether the QR code was scanned with the acquirer's own app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QrisKind {
    /// GoPay's own.
    #[default]
    OnUs,
    /// Another issuer's.
    OffUs,
}

impl QrisKind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::OnUs => "on-us",
            Self::OffUs => "off-us",
        }
    }

    pub(crate) const fn issuer(self) -> &'static str {
        match self {
            Self::OnUs => "gopay",
            Self::OffUs => "bca",
        }
    }
}

/// How it was paid.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Payment {
    pub(crate) at: Timestamp,
    pub(crate) option: PaymentOption,
    pub(crate) qris: Option<QrisKind>,
    /// The wallet, by position, so that refunds flow back; none for an amount given by a test.
    pub(crate) wallet: Option<usize>,
}

/// Where a refund was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundSource {
    /// The Core API.
    Api,
    /// Midtrans' dashboard: its notifications have no `refund_key`.
    Dashboard,
}

/// One accepted refund.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) chargeback_id: u64,
    pub(crate) chargeback_uuid: Uuid,
    pub(crate) key: String,
    pub(crate) amount: u64,
    pub(crate) reason: Option<String>,
    pub(crate) source: RefundSource,
    pub(crate) created_at: Timestamp,
    /// When the bank will confirm it, or did.
    pub(crate) confirmation_at: Timestamp,
    pub(crate) bank_confirmed_at: Option<Timestamp>,
}

/// Notifications of a transaction, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationCounts {
    /// Notifications queued, each to one URL.
    pub queued: u64,
    /// Of these, dropped by a fault.
    pub dropped: u64,
    /// Attempts that ended, well or badly.
    pub attempts: u64,
    /// Attempts the receiver took (2xx).
    pub delivered: u64,
    /// Attempts it did not.
    pub failed: u64,
    /// Notifications given up.
    pub given_up: u64,
}

impl NotificationCounts {
    pub(crate) const fn add(&mut self, other: Self) {
        self.queued += other.queued;
        self.dropped += other.dropped;
        self.attempts += other.attempts;
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.given_up += other.given_up;
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) id: Uuid,
    pub(crate) reference: Uuid,
    pub(crate) merchant: usize,
    /// Position of the server key that charged; it signs the notifications.
    pub(crate) key: usize,
    pub(crate) order_id: String,
    pub(crate) amount: u64,
    pub(crate) status: Status,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) payment: Option<Payment>,
    /// Denied by the charge itself, so it was never pending.
    pub(crate) denied_by_charge: bool,
    pub(crate) fraud_denied: bool,
    pub(crate) channel: Option<(u16, Cow<'static, str>)>,
    /// The registered return URL, already with `?order_id=`.
    pub(crate) callback: Option<String>,
    pub(crate) notify: Option<Arc<[Arc<str>]>>,
    pub(crate) echo: Option<Box<Echo>>,
    pub(crate) refunds: Vec<Refund>,
    /// Rupiah taken back after disputes.
    pub(crate) charged_back: u64,
    /// When each refund key was first tried, refused ones included.
    pub(crate) refund_attempts: Vec<(String, Timestamp)>,
    /// Status changes after the first status.
    pub(crate) history: Vec<(Timestamp, Status)>,
    pub(crate) charge_repeats: u64,
    /// How many transactions of this order existed when this one was made, itself included.
    pub(crate) charges_of_order: u64,
    pub(crate) notifications: NotificationCounts,
}

impl Transaction {
    pub(crate) fn refunded(&self) -> u64 {
        self.refunds.iter().fold(0, |sum, refund| sum.saturating_add(refund.amount))
    }

    /// What is left of the payment after refunds and chargebacks, in rupiah.
    pub(crate) fn remaining(&self) -> u64 {
        self.amount.saturating_sub(self.refunded()).saturating_sub(self.charged_back)
    }

    pub(crate) const fn first_status(&self) -> Status {
        if self.denied_by_charge { Status::Deny } else { Status::Pending }
    }

    /// The status it had at that time.
    pub(crate) fn status_at(&self, at: Timestamp) -> Status {
        self.history
            .iter()
            .rev()
            .find(|(since, _)| *since <= at)
            .map_or(self.first_status(), |(_, status)| *status)
    }
}

/// A refund, for reconciliation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefundView {
    /// The merchant's key, or one that Midtrans made.
    pub refund_key: String,
    /// Where it was asked for.
    pub source: RefundSource,
    /// Rupiah.
    pub amount: u64,
    /// Midtrans' number.
    pub refund_chargeback_id: u64,
    /// When it was accepted (GMT+7).
    pub created_at: String,
    /// When the bank confirmed it (GMT+7).
    pub bank_confirmed_at: Option<String>,
    /// The reason given.
    pub reason: Option<String>,
}

/// A transaction, for reconciliation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransactionView {
    /// Ascending by creation; pages of lists go by it.
    pub number: u64,
    /// The merchant's id.
    pub order_id: String,
    /// Midtrans' id.
    pub transaction_id: String,
    /// `referenceid` of the checkout page.
    pub reference_id: String,
    /// Whose it is.
    pub merchant_id: String,
    /// Rupiah.
    pub gross_amount: u64,
    /// Where it stands.
    pub status: Status,
    /// `gopay`, or `qris` once a QR code was scanned.
    pub payment_type: &'static str,
    /// What it was paid from.
    pub payment_option_type: Option<PaymentOption>,
    /// GMT+7.
    pub transaction_time: String,
    /// GMT+7.
    pub expiry_time: String,
    /// GMT+7.
    pub settlement_time: Option<String>,
    /// Sum of the refunds, in rupiah.
    pub refunded: u64,
    /// Every accepted refund.
    pub refunds: Vec<RefundView>,
    /// Sum of the chargebacks, in rupiah.
    pub charged_back: u64,
    /// Charges accepted for this order up to this one: above 1, the order was charged again.
    pub charges_of_order: u64,
    /// Charge calls answered from the idempotency store instead of charging again.
    pub charge_repeats: u64,
    /// What became of its notifications.
    pub notifications: NotificationCounts,
    /// Where the shopper pays.
    pub checkout_url: String,
    /// What the QR code says.
    pub qr_string: String,
}

/// Sums over all transactions, in rupiah.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Transactions that were ever made.
    pub transactions: u64,
    /// Everything that was ever paid, refunded or not.
    pub charged: u64,
    /// Everything given back.
    pub refunded: u64,
    /// Accepted refunds.
    pub refunds: u64,
    /// Everything taken back after disputes.
    pub charged_back: u64,
    /// Transactions by status word, dropped ones included.
    pub statuses: std::collections::BTreeMap<&'static str, u64>,
    /// Transactions that are still held.
    pub held: u64,
    /// What was dropped because a limit was reached.
    pub dropped: Dropped,
}

/// What was dropped to stay within the limits of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Transactions, none of which was pending.
    pub transactions: u64,
    /// Idempotency keys before their five minutes were over.
    pub idempotency_keys: u64,
    /// Notifications that were never delivered.
    pub notifications: u64,
}
