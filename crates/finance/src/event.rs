//! Money events: the entries of the journal that a settlement is made of.

use gopay_core::ids::{RefundId, TxId};
use gopay_core::journal::{Kind, SignedSen};
use gopay_core::payment::Channel;
use gopay_core::time::Timestamp;
use gopay_store::JournalRecord;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;

/// What happened to money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Money {
    /// The shopper could pay.
    PaymentStarted,
    /// We reported SUCCEEDED, in time or late.
    PaymentSucceeded,
    /// A refund was admitted.
    RefundStarted,
    /// A refund succeeded.
    RefundSucceeded,
    /// The shopper's side took money back.
    ChargedBack,
}

/// A money event of the live channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyEvent {
    /// When we recorded it: the time by which it is settled.
    pub at: Timestamp,
    /// What happened.
    pub money: Money,
    /// The payment.
    pub tx_id: TxId,
    /// The refund, if it is about one.
    pub refund_id: Option<RefundId>,
    /// In sen; above zero, but of a chargeback of which Midtrans does not say how much it is: 0.
    pub amount: Amount,
    /// The contract.
    pub contract: String,
    /// The PSP's reference of what it is about.
    pub merchant_id: Option<String>,
    /// Midtrans' id of what it is about.
    pub reference: Option<String>,
}

/// An entry that cannot be settled, nor left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Its payment is not in the store any more.
    #[error("payment {0} is no longer in the store, so that its contract is not known")]
    Gone(TxId),
    /// It is of no amount, or of none above zero.
    #[error("a {kind} entry of payment {tx_id} has no amount above zero")]
    Amount {
        /// Its word.
        kind: &'static str,
        /// Its payment.
        tx_id: TxId,
    },
    /// A correction in the journal itself.
    #[error("payment {0} has an adjustment in the journal, which settlements do not know")]
    Adjustment(TxId),
}

impl MoneyEvent {
    /// What an entry means for settlements; none if it moves no money of the live channel.
    ///
    /// # Errors
    /// See [`EventError`].
    pub fn of(record: &JournalRecord) -> Result<Option<Self>, EventError> {
        let (entry, about) = (&record.entry, &record.about);
        let money = match entry.kind {
            Kind::Opened => Money::PaymentStarted,
            Kind::Succeeded | Kind::SucceededLate => Money::PaymentSucceeded,
            Kind::RefundRequested => Money::RefundStarted,
            // The merchant gave it back in Midtrans' dashboard: it is gone like any other refund.
            Kind::RefundSucceeded | Kind::RefundedElsewhere => Money::RefundSucceeded,
            // GoPay has none by PPRO's page of the method. One that comes all the same has its place
            // in PPRO's files.
            Kind::ChargedBack => Money::ChargedBack,
            Kind::Failed | Kind::RefundFailed | Kind::RefundFundsConfirmed => return Ok(None),
            Kind::Adjustment => return Err(EventError::Adjustment(entry.tx_id)),
        };
        let (Some(channel), Some(contract)) = (about.channel, about.contract.clone()) else {
            return Err(EventError::Gone(entry.tx_id));
        };
        if channel != Channel::Live {
            return Ok(None);
        }
        let amount = entry.amount.map(SignedSen::get).filter(|sen| *sen > 0);
        // Midtrans does not say how much a partial chargeback took: its row is there, of nothing, and
        // people bring the amount by an adjustment.
        let amount = amount.or((money == Money::ChargedBack).then_some(0));
        let amount =
            amount.ok_or(EventError::Amount { kind: entry.kind.as_str(), tx_id: entry.tx_id })?;
        let merchant_id = match entry.refund_id.filter(|_| money != Money::ChargedBack) {
            Some(_) => &about.merchant_refund_id,
            None => &about.merchant_tx_id,
        };
        Ok(Some(Self {
            at: entry.at,
            money,
            tx_id: entry.tx_id,
            refund_id: entry.refund_id,
            amount: Amount::new(amount),
            contract,
            merchant_id: merchant_id.clone(),
            reference: entry.midtrans_id.clone(),
        }))
    }

    /// The id of what it is about: the payment's or the refund's.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.refund_id.map_or(self.tx_id.get(), RefundId::get)
    }

    /// The order of rows in every file.
    #[must_use]
    pub fn order(&self) -> (i64, i64, Money) {
        // Rows show whole seconds, and are in the order that is seen.
        (self.at.whole_seconds().as_micros(), self.id(), self.money)
    }
}
