//! What needs a person: payments with money that does not fit, and money of orders that the store
//! does not know.

use gopay_core::account::AccountName;
use gopay_core::doubt::Verdict;
use gopay_core::ids::TxId;
use gopay_core::money::Sen;
use gopay_core::payment::Channel;
use gopay_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Money at Midtrans under an order id that is ours by form, of which the store knows no payment: a
/// backup was restored, or this is the wrong store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOrder {
    /// `order_id`.
    pub tx_id: TxId,
    /// Whose account the money is in.
    pub channel: Channel,
    /// The account in which it is; none: that of the channel.
    pub account: Option<AccountName>,
    /// Midtrans' `transaction_status`, when it was seen last.
    pub status: String,
    /// Midtrans' `transaction_id`, if it could be read.
    pub midtrans_tx_id: Option<String>,
    /// Midtrans' `gross_amount`, if it could be read.
    pub amount: Option<Sen>,
    /// When it was seen first.
    pub first_seen_at: Timestamp,
    /// When it was seen last.
    pub last_seen_at: Timestamp,
    /// How often it was seen.
    pub seen: u32,
    /// What a person decided.
    pub resolution: Option<OrderResolution>,
}

/// What a person decided about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderResolution {
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl UnknownOrder {
    /// This order, seen before, after it was `seen` again: what a person decided stays as long as
    /// Midtrans says the same.
    #[must_use]
    pub fn and(self, seen: &Self) -> Self {
        let same = (&self.status, self.amount) == (&seen.status, seen.amount);
        Self {
            status: seen.status.clone(),
            midtrans_tx_id: seen.midtrans_tx_id.clone().or(self.midtrans_tx_id),
            amount: seen.amount.or(self.amount),
            last_seen_at: self.last_seen_at.max(seen.last_seen_at),
            seen: self.seen.saturating_add(seen.seen),
            resolution: self.resolution.filter(|_| same),
            ..self
        }
    }
}

/// How much needs a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionSums {
    /// Payments with money that does not fit.
    pub payments: u64,
    /// Orders with money that the store does not know.
    pub orders: u64,
    /// The money of both, in sen.
    pub at_risk_sen: u64,
}
