//! The state of a simulator and everything that happens to it. No async, sockets, clock or
//! operating-system randomness: the time is an argument, ids come from the seed.
//!
//! The rest of `impl Engine` is in `endpoints.rs` (the Core API), `wallet.rs` (what a shopper or a
//! test does to a payment) and `pages.rs` (the checkout page).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use gopay_core::time::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use uuid::Uuid;

use crate::api::ApiRequest;
use crate::charge::{Callback, Charge};
use crate::config::EngineConfig;
use crate::faults::{Action as FaultAction, Armed, Fault, Faults, On};
use crate::idempotency::Keys;
use crate::outbox::{NotificationOutcome, Outbox, OutgoingNotification, retry_delay};
use crate::random::Random;
use crate::transaction::{
    NotificationCounts, Payment, Refund, RefundView, Status, Totals, Transaction, TransactionView,
};
use crate::wire::{Action, Body, QrisFields, RefundEntry, decimal, signature};

/// How long a held notification waits for the next one of its transaction.
const REORDER_MAX: Duration = Duration::from_secs(60);
/// RFC 3986 unreserved characters stay as they are.
const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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

/// The simulator's state machine; see the crate documentation.
///
/// Everything is in memory: a new engine knows no transaction, key, fault or notification.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) keys: Vec<ServerKey>,
    pub(crate) merchants: Vec<Merchant>,
    pub(crate) wallet_balances: Vec<Option<u64>>,
    pub(crate) random: Random,
    pub(crate) transactions: Vec<Transaction>,
    by_id: HashMap<Uuid, usize>,
    by_reference: HashMap<Uuid, usize>,
    expiries: BTreeSet<(Timestamp, usize)>,
    confirmations: BTreeSet<(Timestamp, usize, usize)>,
    pub(crate) idempotency: Keys,
    pub(crate) faults: Faults,
    pub(crate) parked: HashMap<u64, (Timestamp, ApiRequest)>,
    pub(crate) last_ticket: u64,
    outbox: Outbox,
    dashboard: Option<Arc<str>>,
    counts: NotificationCounts,
    charged: u64,
    refunded: u64,
    refund_count: u64,
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

/// What a notification tells, and what faults make of it.
#[derive(Clone, Copy, Debug, Default)]
struct Tampering {
    forged: bool,
    wrong_amount: bool,
    as_qris: bool,
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
        Self {
            keys,
            merchants,
            wallet_balances: config.wallets.iter().map(|wallet| wallet.balance).collect(),
            random: Random::new(config.seed),
            transactions: Vec::new(),
            by_id: HashMap::new(),
            by_reference: HashMap::new(),
            expiries: BTreeSet::new(),
            confirmations: BTreeSet::new(),
            idempotency: Keys::default(),
            faults: Faults::default(),
            parked: HashMap::new(),
            last_ticket: 0,
            outbox: Outbox::default(),
            dashboard: config.notification_url.as_deref().map(Arc::from),
            counts: NotificationCounts::default(),
            charged: 0,
            refunded: 0,
            refund_count: 0,
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
        let parked = self.parked.values().map(|(due, _)| *due).min();
        [
            self.expiries.first().map(|(at, _)| *at),
            self.confirmations.first().map(|(at, _, _)| *at),
            self.outbox.next_due(),
            parked,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // --- transactions ---------------------------------------------------------------------------

    /// Opens a transaction for a charge that may be made.
    pub(crate) fn open(
        &mut self,
        now: Timestamp,
        key: usize,
        charge: Charge,
        notify: Option<Arc<[Arc<str>]>>,
        denial: Option<(u16, &'static str, bool)>,
    ) -> usize {
        let index = self.transactions.len();
        let (id, reference) = (self.random.uuid(), self.random.uuid());
        let merchant = self.keys.get(key).map_or(0, |key| key.merchant);
        let status = if denial.is_some() { Status::Deny } else { Status::Pending };
        let callback = self.full_callback(&charge);
        let mut charges_of_order = 1;
        if let Some(merchant) = self.merchants.get_mut(merchant) {
            let order = merchant.orders.entry(charge.order_id.clone()).or_insert((index, 0));
            *order = (index, order.1 + 1);
            charges_of_order = order.1;
        }
        self.by_id.insert(id, index);
        self.by_reference.insert(reference, index);
        if status == Status::Pending {
            self.expiries.insert((charge.expires_at, index));
        }
        *self.statuses.entry(status).or_default() += 1;
        self.transactions.push(Transaction {
            id,
            reference,
            merchant,
            key,
            order_id: charge.order_id,
            amount: charge.gross_amount,
            status,
            created_at: now,
            expires_at: charge.expires_at,
            payment: None,
            born_denied: denial.is_some(),
            fraud_denied: denial.is_some_and(|(_, _, fraud)| fraud),
            channel: denial.map(|(code, message, _)| (code, message)),
            callback,
            notify,
            echo: charge.echo,
            refunds: Vec::new(),
            refund_attempts: Vec::new(),
            history: Vec::new(),
            charge_repeats: 0,
            charges_of_order,
            notifications: NotificationCounts::default(),
        });
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

    /// Moves a transaction to another status and owes the news of it.
    pub(crate) fn change_status(&mut self, now: Timestamp, index: usize, to: Status) {
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        let from = transaction.status;
        transaction.status = to;
        transaction.history.push((now, to));
        self.expiries.remove(&(transaction.expires_at, index));
        if let Some(count) = self.statuses.get_mut(&from) {
            *count = count.saturating_sub(1);
        }
        *self.statuses.entry(to).or_default() += 1;
        self.notify(now, index);
    }

    /// Records the money of a payment and settles it.
    pub(crate) fn settle(&mut self, now: Timestamp, index: usize, payment: Payment) {
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
    pub(crate) fn give_back(
        &mut self,
        now: Timestamp,
        index: usize,
        key: String,
        amount: u64,
        reason: Option<String>,
    ) {
        self.refund_count += 1;
        self.refunded = self.refunded.saturating_add(amount);
        let (number, uuid) = (self.refund_count, self.random.uuid());
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        transaction.refunds.push(Refund {
            chargeback_id: chargeback_id(now, number),
            chargeback_uuid: uuid,
            key,
            amount,
            reason,
            created_at: now,
            bank_confirmed_at: None,
        });
        let position = transaction.refunds.len() - 1;
        let whole = transaction.refunded() >= transaction.amount;
        let wallet = transaction.payment.and_then(|payment| payment.wallet);
        let merchant = self.merchants.get_mut(transaction.merchant);
        if let Some(balance) = merchant.and_then(|merchant| merchant.balance.as_mut()) {
            *balance = balance.saturating_sub(amount);
        }
        if let Some(Some(balance)) = wallet.and_then(|wallet| self.wallet_balances.get_mut(wallet))
        {
            *balance = balance.saturating_add(amount);
        }
        let confirmed_at = now.after(Duration::from_millis(self.config.refund_confirmation_ms));
        self.confirmations.insert((confirmed_at, index, position));
        let to = if whole { Status::Refund } else { Status::PartialRefund };
        self.change_status(now, index, to);
    }

    /// A transaction of this merchant by `transaction_id`, else the newest by `order_id`.
    pub(crate) fn find(&self, merchant: usize, id: &str) -> Option<usize> {
        let by_id = Uuid::try_parse(id).ok().and_then(|uuid| self.by_id.get(&uuid).copied());
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
        self.by_reference.get(&reference).copied()
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

    // --- bodies ---------------------------------------------------------------------------------

    /// The fields all bodies share, as of a time; refunds and settlement included if they apply.
    pub(crate) fn body<'a>(
        &'a self,
        transaction: &'a Transaction,
        status: Status,
        status_code: &'a str,
        status_message: &'a str,
        at: Timestamp,
    ) -> Body<'a> {
        let payment = transaction.payment.filter(|payment| status.is_paid() && payment.at <= at);
        let qris = payment.and_then(|payment| payment.qris);
        let known = || transaction.refunds.iter().filter(|refund| refund.created_at <= at);
        let refunds: Vec<RefundEntry<'_>> =
            known().map(|refund| refund_entry(refund, at)).collect();
        let refunded = known().fold(0_u64, |sum, refund| sum.saturating_add(refund.amount));
        let denied = matches!(status, Status::Deny | Status::Failure);
        let channel = transaction.channel.filter(|_| denied);
        let echo = transaction.echo.as_deref();
        let [field1, field2, field3] = echo
            .map_or([None, None, None], |echo| echo.custom_fields.each_ref().map(Option::as_deref));
        Body {
            status_code,
            status_message,
            transaction_id: transaction.id.to_string(),
            order_id: &transaction.order_id,
            merchant_id: self
                .merchants
                .get(transaction.merchant)
                .map_or("", |merchant| &merchant.id),
            gross_amount: decimal(transaction.amount),
            currency: "IDR",
            payment_type: if qris.is_some() { "qris" } else { "gopay" },
            transaction_time: transaction.created_at.wib_seconds(),
            transaction_status: status.word(),
            fraud_status: if transaction.fraud_denied { "deny" } else { "accept" },
            expiry_time: Some(transaction.expires_at.wib_seconds()),
            settlement_time: payment.map(|payment| payment.at.wib_seconds()),
            payment_option_type: payment.map(|payment| payment.option.word()),
            channel_response_code: channel.map(|(code, _)| code.to_string()),
            channel_response_message: channel.map(|(_, message)| message),
            qris: qris.map(|kind| QrisFields {
                transaction_type: kind.word(),
                issuer: kind.issuer(),
                acquirer: "gopay",
                merchant_cross_reference_id: transaction.reference.to_string(),
            }),
            refund_amount: (!refunds.is_empty()).then(|| decimal(refunded)),
            refunds,
            custom_field1: field1,
            custom_field2: field2,
            custom_field3: field3,
            metadata: echo.and_then(|echo| echo.metadata.as_ref()),
            ..Body::default()
        }
    }

    /// Where the shopper pays.
    pub(crate) fn checkout_url(&self, transaction: &Transaction) -> String {
        let base = &self.config.base_url;
        let reference = transaction.reference;
        let callback = transaction.callback.as_deref().map_or_else(String::new, |callback| {
            format!("&callback_url={}", utf8_percent_encode(callback, QUERY_VALUE))
        });
        format!("{base}/gopay/ui/checkout?referenceid={reference}{callback}")
    }

    pub(crate) fn actions(&self, transaction: &Transaction) -> Vec<Action> {
        let (base, id) = (&self.config.base_url, transaction.id);
        let action = |name, method, url| Action { name, method, url, fields: None };
        vec![
            action("generate-qr-code", "GET", format!("{base}/v2/gopay/{id}/qr-code")),
            action("deeplink-redirect", "GET", self.checkout_url(transaction)),
            action("get-status", "GET", format!("{base}/v2/{id}/status")),
            Action {
                fields: Some([]),
                ..action("cancel", "POST", format!("{base}/v2/{id}/cancel"))
            },
        ]
    }

    // --- notifications --------------------------------------------------------------------------

    /// Queues the news of a transaction's present status to each of its receivers.
    pub(crate) fn notify(&mut self, now: Timestamp, index: usize) {
        let Some(transaction) = self.transactions.get(index) else { return };
        let urls: Arc<[Arc<str>]> = match (&transaction.notify, &self.dashboard) {
            (Some(urls), _) => Arc::clone(urls),
            (None, Some(dashboard)) => Arc::from([Arc::clone(dashboard)]),
            (None, None) => return,
        };
        let delays = self.config.notification_delays;
        let delay_ms = match transaction.status {
            Status::Pending => delays.pending_ms,
            Status::Settlement => delays.settlement_ms,
            Status::Expire => delays.expire_ms,
            Status::Cancel
            | Status::Deny
            | Status::Failure
            | Status::PartialRefund
            | Status::Refund => delays.other_ms,
        };
        let due = now.after(Duration::from_millis(delay_ms));
        for url in urls.iter() {
            self.notify_one(index, url, now, due);
        }
    }

    fn notify_one(&mut self, index: usize, url: &Arc<str>, now: Timestamp, due: Timestamp) {
        let Some(transaction) = self.transactions.get(index) else { return };
        let fault =
            self.faults.pick(On::Notification, Some(&transaction.order_id), &mut self.random);
        let (mut tampering, mut copies, mut due, mut hold) =
            (Tampering::default(), 1_u64, due, false);
        match fault {
            Some(FaultAction::Drop {}) => copies = 0,
            Some(FaultAction::Duplicate { n }) => copies += u64::from(n),
            Some(FaultAction::Delay { ms, .. }) => due = due.after(Duration::from_millis(ms)),
            Some(FaultAction::Reorder {}) => (due, hold) = (due.after(REORDER_MAX), true),
            Some(FaultAction::ForgeSignature {}) => tampering.forged = true,
            Some(FaultAction::WrongAmount {}) => tampering.wrong_amount = true,
            Some(FaultAction::AsQris {}) => tampering.as_qris = true,
            // The rest is refused for notifications when it is added.
            Some(
                FaultAction::LostBefore {}
                | FaultAction::LostAfter {}
                | FaultAction::Http { .. }
                | FaultAction::HttpAfter { .. }
                | FaultAction::ProviderError { .. }
                | FaultAction::Garbage {}
                | FaultAction::Truncate {}
                | FaultAction::Empty {}
                | FaultAction::StaleStatus { .. }
                | FaultAction::RefundRefused { .. },
            )
            | None => {}
        }
        let body = self.notification_body(index, now, tampering);
        let count = NotificationCounts {
            queued: copies,
            dropped: u64::from(copies == 0),
            ..NotificationCounts::default()
        };
        self.count(index, count);
        if copies > 0 && !hold {
            self.outbox.release(index, due);
        }
        for _ in 0..copies {
            let id = self.outbox.push(index, Arc::clone(url), body.clone(), due);
            if hold {
                self.outbox.hold(index, id);
            }
        }
    }

    fn notification_body(&self, index: usize, now: Timestamp, tampering: Tampering) -> Bytes {
        let Some(transaction) = self.transactions.get(index) else { return Bytes::new() };
        let status = transaction.status;
        let code = status.notification_code();
        let mut body = self.body(transaction, status, code, "midtrans payment notification", now);
        if tampering.wrong_amount {
            body.gross_amount = decimal(transaction.amount.saturating_add(1));
        }
        if tampering.as_qris {
            body.payment_type = "qris";
            body.qris = Some(QrisFields {
                transaction_type: "on-us",
                issuer: "gopay",
                acquirer: "gopay",
                merchant_cross_reference_id: transaction.reference.to_string(),
            });
        }
        let key = self.keys.get(transaction.key).map_or("", |key| &key.text);
        let key = if tampering.forged { "not-the-server-key" } else { key };
        body.signature_key = Some(signature(&transaction.order_id, code, &body.gross_amount, key));
        Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
    }

    fn count(&mut self, index: usize, more: NotificationCounts) {
        self.counts.add(more);
        if let Some(transaction) = self.transactions.get_mut(index) {
            transaction.notifications.add(more);
        }
    }

    /// Takes every notification that is due. Each must be answered by
    /// [`Self::notification_result`]; until then it counts as in flight.
    pub fn due_notifications(&mut self, now: Timestamp) -> Vec<OutgoingNotification> {
        self.due_notifications_up_to(now, usize::MAX)
    }

    /// Takes at most `max` notifications that are due, oldest first.
    pub fn due_notifications_up_to(
        &mut self,
        now: Timestamp,
        max: usize,
    ) -> Vec<OutgoingNotification> {
        self.tick(now);
        self.outbox.take_due(now, max)
    }

    /// Reports what became of a try; schedules the next one if the answer allows it.
    pub fn notification_result(&mut self, id: u64, now: Timestamp, outcome: NotificationOutcome) {
        let jitter = self.config.retry_jitter;
        let random = &mut self.random;
        let retry_in = |attempt| retry_delay(outcome, attempt, jitter, random);
        let Some(finished) = self.outbox.finish(id, now, retry_in) else { return };
        let delivered = outcome.delivered();
        let count = NotificationCounts {
            attempts: 1,
            delivered: u64::from(delivered),
            failed: u64::from(!delivered),
            given_up: u64::from(!delivered && !finished.retried),
            ..NotificationCounts::default()
        };
        self.count(finished.transaction, count);
    }

    // --- faults and inspection ------------------------------------------------------------------

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

/// An entry as it looked at that time.
fn refund_entry(refund: &Refund, at: Timestamp) -> RefundEntry<'_> {
    let bank_confirmed_at = refund.bank_confirmed_at.filter(|confirmed_at| *confirmed_at <= at);
    RefundEntry {
        refund_chargeback_id: refund.chargeback_id,
        refund_chargeback_uuid: refund.chargeback_uuid.to_string(),
        refund_amount: decimal(refund.amount),
        created_at: refund.created_at.wib_seconds(),
        reason: refund.reason.as_deref(),
        refund_key: &refund.key,
        refund_method: "online",
        bank_confirmed_at: bank_confirmed_at.map(Timestamp::wib_seconds),
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
