//! What a shopper, the provider or a test does to a payment.

use std::time::Duration;

use gopay_core::money::Rupiah;
use gopay_core::time::Timestamp;
use serde::Deserialize;
use thiserror::Error;

use crate::config::Tier;
use crate::endpoints::REFUNDS_MAX;
use crate::engine::{Engine, RefundOrder};
use crate::faults::BANK_CONFIRMS_MS_MAX;
use crate::transaction::{Payment, PaymentOption, QrisKind, RefundSource, Status};

/// Ceiling of GoPayLater, and of a payment by QR code (`docs/midtrans.md`, "Limits").
pub(crate) const PAY_LATER_MAX: u64 = 3_000_000;
pub(crate) const QRIS_MAX: u64 = 10_000_000;

/// How a payment reaches GoPay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The deeplink.
    #[default]
    Gopay,
    /// The QR code.
    Qris,
}

/// What the shopper pays with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payer {
    /// A wallet's name.
    pub wallet: String,
    /// Its PIN; absent: not asked for.
    pub pin: Option<String>,
    /// What the wallet holds, instead of its own balance.
    pub balance: Option<u64>,
    /// Deeplink or QR code.
    pub via: Via,
    /// For QR codes: whose app scanned it.
    pub transaction_type: QrisKind,
}

impl Default for Payer {
    fn default() -> Self {
        Self {
            wallet: "verified".to_owned(),
            pin: None,
            balance: None,
            via: Via::default(),
            transaction_type: QrisKind::default(),
        }
    }
}

/// Why nothing happened; the transaction is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WalletError {
    /// No such transaction.
    #[error("no such transaction")]
    Unknown,
    /// It is not in a state this can happen to.
    #[error("the payment is {} already", .0.word())]
    WrongStatus(Status),
    /// No such wallet.
    #[error("no such wallet")]
    UnknownWallet,
    /// Another PIN.
    #[error("the PIN is wrong")]
    WrongPin,
    /// This simulator takes verified wallets only.
    #[error("the wallet has to be verified first")]
    NotVerified,
    /// Above what the wallet or the QR code allows, in rupiah.
    #[error("the amount is above the limit of {0} rupiah")]
    AboveLimit(u64),
    /// Not enough money.
    #[error("the balance is too low")]
    BalanceTooLow,
    /// Zero, or more than what is left of the payment, in rupiah.
    #[error("the amount is not between 1 and the {0} rupiah that are left")]
    NotLeft(u64),
    /// A payment has only so many refunds and chargebacks here.
    #[error("the payment has 200 refunds and chargebacks already")]
    TooManyRefunds,
    /// Nothing was sent that could be sent again.
    #[error("no notification of this payment was sent lately")]
    NothingSent,
    /// Neither the charge nor the configuration names a receiver.
    #[error("notifications of this payment have no receiver")]
    NoReceiver,
}

/// A refund made at Midtrans' dashboard, past the merchant's own systems.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DashboardRefund {
    /// Rupiah; absent: what is left.
    pub amount: Option<u64>,
    /// As typed by whoever made it.
    pub reason: Option<String>,
    /// Its key in GET status; absent: one that Midtrans makes. Notifications have none.
    pub refund_key: Option<String>,
    /// How long until the bank confirms it, at most 30 days; absent: as configured.
    pub bank_confirms_after_ms: Option<u64>,
}

/// A chargeback: the shopper's side takes money back after a dispute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chargeback {
    /// Rupiah; absent: what is left.
    pub amount: Option<u64>,
}

impl Engine {
    /// Pays, if wallet and state allow it.
    ///
    /// # Errors
    /// [`WalletError`], in the order of its variants; the transaction stays as it was, so that the
    /// shopper can try again (`docs/midtrans.md`, "State machine").
    pub fn pay(&mut self, now: Timestamp, id: &str, payer: &Payer) -> Result<(), WalletError> {
        self.tick(now);
        let index = self.find_any(id).ok_or(WalletError::Unknown)?;
        self.pay_at(now, index, payer)
    }

    pub(crate) fn pay_at(
        &mut self,
        now: Timestamp,
        index: usize,
        payer: &Payer,
    ) -> Result<(), WalletError> {
        let amount = self.require(index, &[Status::Pending])?;
        let position = self
            .config
            .wallets
            .iter()
            .position(|wallet| wallet.name == payer.wallet)
            .ok_or(WalletError::UnknownWallet)?;
        let wallet = self.config.wallets.get(position).ok_or(WalletError::UnknownWallet)?;
        if payer.pin.as_ref().is_some_and(|pin| *pin != wallet.pin) {
            return Err(WalletError::WrongPin);
        }
        let (ceiling, option) = match wallet.tier {
            Tier::Unverified if !self.config.allow_unverified => {
                return Err(WalletError::NotVerified);
            }
            Tier::Unverified => (Rupiah::MAX_UNVERIFIED, PaymentOption::GopayWallet),
            Tier::Verified => (Rupiah::MAX, PaymentOption::GopayWallet),
            Tier::PayLater => (PAY_LATER_MAX, PaymentOption::PayLater),
        };
        let (ceiling, qris) = match payer.via {
            Via::Gopay => (ceiling, None),
            Via::Qris => (ceiling.min(QRIS_MAX), Some(payer.transaction_type)),
        };
        if amount > ceiling {
            return Err(WalletError::AboveLimit(ceiling));
        }
        let own = self.wallet_balances.get(position).copied().flatten();
        if payer.balance.or(own).is_some_and(|balance| balance < amount) {
            return Err(WalletError::BalanceTooLow);
        }
        let wallet = payer.balance.is_none().then_some(position);
        self.record_payment(now, index, Payment { at: now, option, qris, wallet });
        Ok(())
    }

    /// The shopper says no: the transaction stays pending, as upstream.
    ///
    /// # Errors
    /// [`WalletError`] if there is nothing to decline.
    pub fn decline(&mut self, now: Timestamp, id: &str) -> Result<(), WalletError> {
        self.tick(now);
        let index = self.find_any(id).ok_or(WalletError::Unknown)?;
        self.require(index, &[Status::Pending]).map(|_| ())
    }

    /// The provider denies a pending payment.
    ///
    /// # Errors
    /// [`WalletError`] if it is not pending.
    pub fn deny(&mut self, now: Timestamp, id: &str) -> Result<(), WalletError> {
        self.end_by_id(now, id, Status::Deny)
    }

    /// A pending payment runs out of time now.
    ///
    /// # Errors
    /// [`WalletError`] if it is not pending.
    pub fn expire(&mut self, now: Timestamp, id: &str) -> Result<(), WalletError> {
        self.end_by_id(now, id, Status::Expire)
    }

    /// A pending payment ends in an unexpected error.
    ///
    /// # Errors
    /// [`WalletError`] if it is not pending.
    pub fn fail(&mut self, now: Timestamp, id: &str) -> Result<(), WalletError> {
        self.end_by_id(now, id, Status::Failure)
    }

    /// A pending payment is cancelled on the provider's side.
    ///
    /// # Errors
    /// [`WalletError`] if it is not pending.
    pub fn cancel(&mut self, now: Timestamp, id: &str) -> Result<(), WalletError> {
        self.end_by_id(now, id, Status::Cancel)
    }

    fn end_by_id(&mut self, now: Timestamp, id: &str, to: Status) -> Result<(), WalletError> {
        self.tick(now);
        let index = self.find_any(id).ok_or(WalletError::Unknown)?;
        self.end_at(now, index, to)
    }

    pub(crate) fn end_at(
        &mut self,
        now: Timestamp,
        index: usize,
        to: Status,
    ) -> Result<(), WalletError> {
        self.require(index, &[Status::Pending])?;
        let channel = match to {
            Status::Deny => Some((201, "Denied by the provider".into())),
            Status::Failure => Some((900, "Generic service error".into())),
            Status::Pending
            | Status::Settlement
            | Status::Expire
            | Status::Cancel
            | Status::PartialRefund
            | Status::Refund
            | Status::PartialChargeback
            | Status::Chargeback => None,
        };
        if let Some(transaction) = self.transactions.get_mut(index) {
            transaction.channel = channel;
        }
        self.change_status(now, index, to);
        Ok(())
    }

    /// Money arrives for a payment that had ended without: upstream documents no such step, but
    /// late notifications happen, and whoever receives one must know what to do.
    ///
    /// # Errors
    /// [`WalletError`] if it is pending or paid.
    pub fn settle_late(&mut self, now: Timestamp, id: &str) -> Result<(), WalletError> {
        self.tick(now);
        let index = self.find_any(id).ok_or(WalletError::Unknown)?;
        self.require(index, &[Status::Expire, Status::Cancel, Status::Deny, Status::Failure])?;
        let option = PaymentOption::GopayWallet;
        self.record_payment(now, index, Payment { at: now, option, qris: None, wallet: None });
        Ok(())
    }

    /// Refunds at the dashboard. No window and no merchant's balance stand in the way: whoever
    /// has the dashboard may do more than the API.
    ///
    /// # Errors
    /// [`WalletError`], in the order unknown, status, number of refunds, amount.
    pub fn refund_at_dashboard(
        &mut self,
        now: Timestamp,
        id: &str,
        wanted: &DashboardRefund,
    ) -> Result<(), WalletError> {
        self.tick(now);
        let index = self.find_any(id).ok_or(WalletError::Unknown)?;
        self.require(index, &[Status::Settlement, Status::PartialRefund])?;
        let amount = self.amount_left(index, wanted.amount)?;
        let generated = self.random.uuid();
        let confirmation = wanted.bank_confirms_after_ms;
        let order = RefundOrder {
            key: wanted.refund_key.clone().unwrap_or_else(|| generated.to_string()),
            amount,
            reason: wanted.reason.clone(),
            source: RefundSource::Dashboard,
            confirmation: confirmation
                .map(|ms| Duration::from_millis(ms.min(BANK_CONFIRMS_MS_MAX))),
        };
        self.record_refund(now, index, order);
        Ok(())
    }

    /// Takes money back after a dispute. The documented way is from `settlement` only; that a
    /// payment was refunded in part, or disputed in part before, does not hinder it here.
    ///
    /// # Errors
    /// [`WalletError`], in the order unknown, status, number of chargebacks, amount.
    pub fn charge_back(
        &mut self,
        now: Timestamp,
        id: &str,
        wanted: Chargeback,
    ) -> Result<(), WalletError> {
        self.tick(now);
        let index = self.find_any(id).ok_or(WalletError::Unknown)?;
        let from = [Status::Settlement, Status::PartialRefund, Status::PartialChargeback];
        self.require(index, &from)?;
        let amount = self.amount_left(index, wanted.amount)?;
        self.record_chargeback(now, index, amount);
        Ok(())
    }

    /// An amount that may be taken from what is left of a payment.
    fn amount_left(&self, index: usize, wanted: Option<u64>) -> Result<u64, WalletError> {
        let transaction = self.transactions.get(index).ok_or(WalletError::Unknown)?;
        if transaction.history.len() >= REFUNDS_MAX {
            return Err(WalletError::TooManyRefunds);
        }
        let left = transaction.remaining();
        let amount = wanted.unwrap_or(left);
        if (1..=left).contains(&amount) { Ok(amount) } else { Err(WalletError::NotLeft(left)) }
    }

    /// The amount, if the status is one of these.
    fn require(&self, index: usize, statuses: &[Status]) -> Result<u64, WalletError> {
        let transaction = self.transactions.get(index).ok_or(WalletError::Unknown)?;
        if statuses.contains(&transaction.status) {
            Ok(transaction.amount)
        } else {
            Err(WalletError::WrongStatus(transaction.status))
        }
    }

    /// How long the shopper still has.
    pub(crate) fn time_left(&self, index: usize, now: Timestamp) -> Duration {
        self.transactions.get(index).map_or(Duration::ZERO, |found| found.expires_at.since(now))
    }
}
