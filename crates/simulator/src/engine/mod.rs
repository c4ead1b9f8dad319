//! The state of a simulator and everything that happens to it. No async, sockets, clock or
//! operating-system randomness: the time is an argument, ids come from the seed.
//!
//! The rest of `impl Engine`: `answers` (bodies), `notifications`, `inspect` (views and sums),
//! `endpoints` (the Core API), `wallet` (what a shopper or a test does to a payment) and `pages`
//! (the checkout page).

mod answers;
mod inspect;
mod notifications;
mod saved;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gopay_core::time::Timestamp;
use uuid::Uuid;

use crate::api::ApiRequest;
use crate::charge::{Callback, Charge};
use crate::config::EngineConfig;
use crate::faults::Faults;
use crate::idempotency::Keys;
use crate::outbox::Outbox;
use crate::random::Random;
use crate::sent::SentLog;
use crate::transaction::{
    Dropped, NotificationCounts, Payment, Refund, RefundSource, Status, Transaction,
};
use crate::transactions::{AllPending, Transactions};

pub use inspect::{NotificationQueue, SentView};
pub use notifications::NotificationRequest;
pub(crate) use saved::{Commit, SavedEngine};

pub(crate) struct ServerKey {
    pub(crate) text: String,
    pub(crate) merchant: usize,
    authorization: String,
}

#[derive(Debug)]
pub(crate) struct Merchant {
    pub(crate) id: String,
    /// Payable balance; `None` never runs out.
    pub(crate) balance: Option<u64>,
    /// Newest transaction of each order, and how many there were.
    pub(crate) orders: HashMap<String, (usize, u64)>,
}

/// A refund to record.
pub(crate) struct RefundOrder {
    pub(crate) key: String,
    /// Rupiah.
    pub(crate) amount: u64,
    pub(crate) reason: Option<String>,
    pub(crate) source: RefundSource,
    /// How long until the bank confirms it, instead of the configured time.
    pub(crate) confirmation: Option<Duration>,
}

/// The simulator's state machine; see the crate documentation.
///
/// Everything is in memory: a new engine knows no transaction, key, fault or notification. What
/// changes can be collected, to be saved and restored.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) keys: Vec<ServerKey>,
    pub(crate) merchants: Vec<Merchant>,
    pub(crate) wallet_balances: Vec<Option<u64>>,
    pub(crate) random: Random,
    pub(crate) transactions: Transactions,
    expiries: BTreeSet<(Timestamp, usize)>,
    confirmations: BTreeSet<(Timestamp, usize, usize)>,
    pub(crate) idempotency: Keys,
    pub(crate) faults: Faults,
    pub(crate) deferred: HashMap<u64, (Timestamp, ApiRequest)>,
    pub(crate) last_ticket: u64,
    outbox: Outbox,
    sent: SentLog,
    dropped: Dropped,
    dashboard: Option<Arc<str>>,
    counts: NotificationCounts,
    charged: u64,
    refunded: u64,
    refund_count: u64,
    charged_back: u64,
    statuses: HashMap<Status, u64>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine")
            .field("transactions", &self.transactions.len())
            .field("queued", &self.outbox.queued())
            .finish_non_exhaustive()
    }
}
impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        let mut merchants: Vec<Merchant> = Vec::new();
        let mut keys = Vec::new();
        for key in &config.merchants {
            let known = merchants.iter().position(|merchant| merchant.id == key.merchant_id);
            let merchant = known.unwrap_or_else(|| {
                merchants.push(Merchant {
                    id: key.merchant_id.clone(),
                    balance: config.merchant_balance,
                    orders: HashMap::new(),
                });
                merchants.len() - 1
            });
            let authorization = format!("Basic {}", BASE64.encode(format!("{}:", key.server_key)));
            keys.push(ServerKey { text: key.server_key.clone(), merchant, authorization });
        }
        let limits = config.limits;
        Self {
            keys,
            merchants,
            wallet_balances: config.wallets.iter().map(|wallet| wallet.balance).collect(),
            random: Random::new(config.seed),
            transactions: Transactions::new(limits.transactions),
            expiries: BTreeSet::new(),
            confirmations: BTreeSet::new(),
            idempotency: Keys::new(limits.idempotency_keys),
            faults: Faults::new(limits.faults),
            deferred: HashMap::new(),
            last_ticket: 0,
            outbox: Outbox::new(limits.notifications),
            sent: SentLog::new(limits.sent_notifications),
            dropped: Dropped::default(),
            dashboard: config.notification_url.as_deref().map(Arc::from),
            counts: NotificationCounts::default(),
            charged: 0,
            refunded: 0,
            refund_count: 0,
            charged_back: 0,
            statuses: HashMap::new(),
            config,
        }
    }

    /// The setup.
    #[must_use]
    pub const fn config(&self) -> &EngineConfig {
        &self.config
    }

    // --- time -----------------------------------------------------------------------------------

    /// Expires overdue payments and lets the bank confirm refunds. Every call does this first, so
    /// it is only needed when nobody calls.
    pub fn tick(&mut self, now: Timestamp) {
        self.idempotency.expire(now);
        while let Some((at, index)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            // The change of status takes the entry out; this is for the loop to end regardless.
            self.expiries.remove(&(at, index));
            self.change_status(at, index, Status::Expire);
        }
        while let Some(entry) = self.confirmations.first().copied().filter(|(at, _, _)| *at <= now)
        {
            self.confirmations.remove(&entry);
            self.confirm_refund(entry);
        }
    }

    fn confirm_refund(&mut self, (at, index, position): (Timestamp, usize, usize)) {
        let refund = self
            .transactions
            .get_mut(index)
            .and_then(|transaction| transaction.refunds.get_mut(position));
        if let Some(refund) = refund {
            refund.bank_confirmed_at = Some(at);
            self.notify(at, index);
        }
    }

    /// When something happens by itself next: an expiry, a confirmation, a notification, the
    /// effect of a delayed call.
    #[must_use]
    pub fn next_event_at(&self) -> Option<Timestamp> {
        let deferred = self.deferred.values().map(|(due, _)| *due).min();
        [
            self.expiries.first().map(|(at, _)| *at),
            self.confirmations.first().map(|(at, _, _)| *at),
            self.outbox.next_due(),
            deferred,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // --- transactions ---------------------------------------------------------------------------

    /// Makes room for one more transaction, if need be by dropping the oldest that is no longer
    /// pending.
    pub(crate) fn make_room(&mut self) -> Result<(), AllPending> {
        let Some((number, dropped)) = self.transactions.make_room()? else { return Ok(()) };
        self.dropped.transactions += 1;
        if let Some(merchant) = self.merchants.get_mut(dropped.merchant)
            && merchant.orders.get(&dropped.order_id).is_some_and(|(newest, _)| *newest == number)
        {
            merchant.orders.remove(&dropped.order_id);
        }
        Ok(())
    }

    /// Opens a transaction for a charge that may be made.
    pub(crate) fn open(
        &mut self,
        now: Timestamp,
        key: usize,
        charge: Charge,
        notify: Option<Arc<[Arc<str>]>>,
        denial: Option<(u16, &'static str, bool)>,
    ) -> usize {
        let (id, reference) = (self.random.uuid(), self.random.uuid());
        let merchant = self.keys.get(key).map_or(0, |key| key.merchant);
        let status = if denial.is_some() { Status::Deny } else { Status::Pending };
        let callback = self.full_callback(&charge);
        let order_id = charge.order_id.clone();
        let earlier = self.merchants.get(merchant).and_then(|found| found.orders.get(&order_id));
        let charges_of_order = earlier.map_or(0, |(_, count)| *count).saturating_add(1);
        let expires_at = charge.expires_at;
        let index = self.transactions.add(Transaction {
            id,
            reference,
            merchant,
            key,
            order_id: charge.order_id,
            amount: charge.gross_amount,
            status,
            created_at: now,
            expires_at,
            payment: None,
            denied_by_charge: denial.is_some(),
            fraud_denied: denial.is_some_and(|(_, _, fraud)| fraud),
            channel: denial.map(|(code, message, _)| (code, message.into())),
            callback,
            notify,
            echo: charge.echo,
            refunds: Vec::new(),
            charged_back: 0,
            refund_attempts: Vec::new(),
            history: Vec::new(),
            charge_repeats: 0,
            charges_of_order,
            notifications: NotificationCounts::default(),
        });
        if let Some(merchant) = self.merchants.get_mut(merchant) {
            merchant.orders.insert(order_id, (index, charges_of_order));
        }
        if status == Status::Pending {
            self.expiries.insert((expires_at, index));
        }
        *self.statuses.entry(status).or_default() += 1;
        if denial.is_some() || self.config.notify_pending {
            self.notify(now, index);
        }
        index
    }

    /// The return URL with `?order_id=`, which upstream appends without looking whether the URL
    /// has a query already (`docs/midtrans.md`, "Return redirect").
    fn full_callback(&self, charge: &Charge) -> Option<String> {
        let url = match &charge.callback {
            Callback::Off => None,
            Callback::Dashboard => self.config.callback_url.as_deref(),
            Callback::Url(url) => Some(url.as_str()),
        };
        url.map(|url| format!("{url}?order_id={}", charge.order_id))
    }

    /// Moves a transaction to another status and queues its notifications.
    pub(crate) fn change_status(&mut self, now: Timestamp, index: usize, to: Status) {
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        let from = transaction.status;
        transaction.status = to;
        transaction.history.push((now, to));
        self.expiries.remove(&(transaction.expires_at, index));
        self.transactions.close(index);
        if let Some(count) = self.statuses.get_mut(&from) {
            *count = count.saturating_sub(1);
        }
        *self.statuses.entry(to).or_default() += 1;
        self.notify(now, index);
    }

    /// Records the money of a payment; the transaction is in `settlement` then.
    pub(crate) fn record_payment(&mut self, now: Timestamp, index: usize, payment: Payment) {
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        let amount = transaction.amount;
        transaction.payment = Some(payment);
        self.charged = self.charged.saturating_add(amount);
        let merchant = self.merchants.get_mut(transaction.merchant);
        if let Some(balance) = merchant.and_then(|merchant| merchant.balance.as_mut()) {
            *balance = balance.saturating_add(amount);
        }
        let wallet = payment.wallet.and_then(|wallet| self.wallet_balances.get_mut(wallet));
        if let Some(Some(balance)) = wallet {
            *balance = balance.saturating_sub(amount);
        }
        self.change_status(now, index, Status::Settlement);
    }

    /// Records a refund that passed every rule.
    pub(crate) fn record_refund(&mut self, now: Timestamp, index: usize, order: RefundOrder) {
        self.refund_count += 1;
        self.refunded = self.refunded.saturating_add(order.amount);
        let (number, uuid) = (self.refund_count, self.random.uuid());
        let configured = Duration::from_millis(self.config.refund_confirmation_ms);
        let confirmation_at = now.after(order.confirmation.unwrap_or(configured));
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        let amount = order.amount;
        transaction.refunds.push(Refund {
            chargeback_id: chargeback_id(now, number),
            chargeback_uuid: uuid,
            key: order.key,
            amount,
            reason: order.reason,
            source: order.source,
            created_at: now,
            confirmation_at,
            bank_confirmed_at: None,
        });
        let position = transaction.refunds.len() - 1;
        let whole = transaction.remaining() == 0;
        let wallet = transaction.payment.and_then(|payment| payment.wallet);
        let merchant = transaction.merchant;
        self.debit_merchant(merchant, amount);
        if let Some(Some(balance)) = wallet.and_then(|wallet| self.wallet_balances.get_mut(wallet))
        {
            *balance = balance.saturating_add(amount);
        }
        self.confirmations.insert((confirmation_at, index, position));
        let to = if whole { Status::Refund } else { Status::PartialRefund };
        self.change_status(now, index, to);
    }

    /// Records that the shopper's side took money back after a dispute.
    pub(crate) fn record_chargeback(&mut self, now: Timestamp, index: usize, amount: u64) {
        self.charged_back = self.charged_back.saturating_add(amount);
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        transaction.charged_back = transaction.charged_back.saturating_add(amount);
        let whole = transaction.remaining() == 0;
        let merchant = transaction.merchant;
        self.debit_merchant(merchant, amount);
        let to = if whole { Status::Chargeback } else { Status::PartialChargeback };
        self.change_status(now, index, to);
    }

    fn debit_merchant(&mut self, merchant: usize, amount: u64) {
        let merchant = self.merchants.get_mut(merchant);
        if let Some(balance) = merchant.and_then(|merchant| merchant.balance.as_mut()) {
            *balance = balance.saturating_sub(amount);
        }
    }

    /// A transaction of this merchant by `transaction_id`, else the newest by `order_id`.
    pub(crate) fn find(&self, merchant: usize, id: &str) -> Option<usize> {
        let by_id = Uuid::try_parse(id).ok().and_then(|uuid| self.transactions.by_id(uuid));
        let owned = by_id.filter(|index| {
            self.transactions.get(*index).is_some_and(|found| found.merchant == merchant)
        });
        owned.or_else(|| self.merchants.get(merchant)?.orders.get(id).map(|(index, _)| *index))
    }

    /// As [`Self::find`], for any merchant: the control API needs no key.
    pub(crate) fn find_any(&self, id: &str) -> Option<usize> {
        (0..self.merchants.len()).find_map(|merchant| self.find(merchant, id))
    }

    pub(crate) fn find_reference(&self, reference: &str) -> Option<usize> {
        let reference = Uuid::try_parse(reference).ok()?;
        self.transactions.by_reference(reference)
    }

    /// The position of the server key that an `Authorization` header names.
    pub(crate) fn authenticate(&self, header: Option<&str>) -> Option<usize> {
        let header = header?;
        let exact = self.keys.iter().position(|key| key.authorization == header);
        exact.or_else(|| {
            // Other spellings of the same: scheme in another case, missing padding, no colon.
            let (scheme, encoded) = header.split_once(' ')?;
            let bytes = BASE64.decode(encoded.trim()).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            let user = text.strip_suffix(':').unwrap_or(&text);
            let position = self.keys.iter().position(|key| key.text == user)?;
            scheme.eq_ignore_ascii_case("basic").then_some(position)
        })
    }

    pub(crate) fn next_latency(&mut self) -> Duration {
        let latency = self.config.latency;
        match latency.max_ms {
            0 => Duration::ZERO,
            max => Duration::from_millis(self.random.between(latency.min_ms, max)),
        }
    }
}

/// Like `202502070943231234`: the time in Jakarta and four digits of a counter, far above 2^53 as
/// upstream.
fn chargeback_id(now: Timestamp, number: u64) -> u64 {
    let digits: String = now.wib_seconds().chars().filter(char::is_ascii_digit).collect();
    let seconds: u64 = digits.parse().unwrap_or(0);
    seconds.saturating_mul(10_000).saturating_add(number % 10_000)
}
