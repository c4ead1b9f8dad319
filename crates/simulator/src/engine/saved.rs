//! The state as it is saved: what changed since the last time, and how an engine is made of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Engine, Merchant};
use crate::config::EngineConfig;
use crate::faults::SavedFault;
use crate::idempotency::SavedKey;
use crate::outbox::Job;
use crate::random::Random;
use crate::sent::Sent;
use crate::transaction::{Dropped, NotificationCounts, Status, Transaction};

/// What changed together; it is saved whole or not at all. Later commits replace what earlier ones
/// say of the same number or key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Commit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) engine: Option<SavedEngine>,
    /// By number; none: dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transactions: Vec<(usize, Option<Transaction>)>,
    /// By id; none: delivered or given up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notifications: Vec<(u64, Option<Job>)>,
    /// By merchant and key; none: expired, dropped, or without an answer to repeat.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<((usize, String), Option<SavedKey>)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sent: Vec<Sent>,
}

/// All that is not a table. Calls that a fault deferred are not in it: nothing has happened yet,
/// and their callers are gone with the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedEngine {
    random: u64,
    /// How far the clock is ahead of the system's.
    pub(crate) clock_ahead: Duration,
    /// Ids, by the positions that transactions and keys name, and balances.
    merchants: Vec<(String, Option<u64>)>,
    /// Names and balances.
    wallets: Vec<(String, Option<u64>)>,
    next_transaction: usize,
    last_notification: u64,
    counts: NotificationCounts,
    charged: u64,
    refunded: u64,
    refund_count: u64,
    charged_back: u64,
    statuses: BTreeMap<Status, u64>,
    dropped: Dropped,
    last_fault: u64,
    faults: Vec<SavedFault>,
}

impl Commit {
    fn is_empty(&self) -> bool {
        self.engine.is_none()
            && self.transactions.is_empty()
            && self.notifications.is_empty()
            && self.keys.is_empty()
            && self.sent.is_empty()
    }
}

impl Engine {
    /// Begins to keep track of what changes.
    pub(crate) fn track_changes(&mut self) {
        self.transactions.changes.track();
        self.outbox.changes.track();
        self.idempotency.changes.track();
        self.sent.changes.track();
    }

    /// What changed since the last call; `last` is what was saved of the rest.
    pub(crate) fn take_commit(
        &mut self,
        clock_ahead: Duration,
        last: &mut SavedEngine,
    ) -> Option<Commit> {
        let (transactions, notifications) =
            (self.transactions.changes.take(), self.outbox.changes.take());
        let (keys, sent) = (self.idempotency.changes.take(), self.sent.changes.take());
        let now = self.saved(clock_ahead);
        let changed = now != *last;
        if changed {
            last.clone_from(&now);
        }
        let commit = Commit {
            engine: changed.then_some(now),
            transactions: transactions
                .into_iter()
                .map(|number| (number, self.transactions.get(number).cloned()))
                .collect(),
            notifications: notifications
                .into_iter()
                .map(|id| (id, self.outbox.get(id).cloned()))
                .collect(),
            keys: keys
                .into_iter()
                .map(|key| {
                    let saved = self.idempotency.saved(&key);
                    (key, saved)
                })
                .collect(),
            sent: sent.into_iter().filter_map(|number| self.sent.get(number).cloned()).collect(),
        };
        (!commit.is_empty()).then_some(commit)
    }

    /// The whole state, in commits of one entry each.
    pub(crate) fn snapshot(&self, clock_ahead: Duration) -> impl Iterator<Item = Commit> {
        let engine = Commit { engine: Some(self.saved(clock_ahead)), ..Commit::default() };
        let transactions = self.transactions.iter().map(|(number, found)| Commit {
            transactions: vec![(number, Some(found.clone()))],
            ..Commit::default()
        });
        let notifications = self.outbox.iter().map(|(id, job)| Commit {
            notifications: vec![(id, Some(job.clone()))],
            ..Commit::default()
        });
        let keys = self.idempotency.iter().map(|key| Commit {
            keys: vec![(key.clone(), self.idempotency.saved(key))],
            ..Commit::default()
        });
        let sent =
            self.sent.iter().map(|sent| Commit { sent: vec![sent.clone()], ..Commit::default() });
        std::iter::once(engine).chain(transactions).chain(notifications).chain(keys).chain(sent)
    }

    fn saved(&self, clock_ahead: Duration) -> SavedEngine {
        let (last_fault, faults) = self.faults.saved();
        let wallets = self.config.wallets.iter().map(|wallet| wallet.name.clone());
        SavedEngine {
            random: self.random.state(),
            clock_ahead,
            merchants: self.merchants.iter().map(|one| (one.id.clone(), one.balance)).collect(),
            wallets: wallets.zip(self.wallet_balances.iter().copied()).collect(),
            next_transaction: self.transactions.added(),
            last_notification: self.outbox.last_id(),
            counts: self.counts,
            charged: self.charged,
            refunded: self.refunded,
            refund_count: self.refund_count,
            charged_back: self.charged_back,
            statuses: self.statuses.iter().map(|(status, count)| (*status, *count)).collect(),
            dropped: Dropped { idempotency_keys: self.idempotency.dropped, ..self.dropped },
            last_fault,
            faults,
        }
    }

    /// An engine that goes on where the commits end. Its setup may have changed meanwhile: balances
    /// and transactions belong to the merchants and wallets of the same name.
    pub(crate) fn restore(config: EngineConfig, commits: impl Iterator<Item = Commit>) -> Self {
        let mut tables = Tables::default();
        commits.for_each(|commit| tables.apply(commit));
        let mut engine = Self::new(config);
        let positions = engine.restore_rest(&tables.engine);
        engine.restore_transactions(tables.transactions, &positions);
        for (id, job) in tables.notifications {
            engine.outbox.insert(id, job);
        }
        let mut keys: Vec<SavedKey> = tables.keys.into_values().collect();
        keys.sort_by_key(|key| key.expires_at);
        for key in keys {
            let merchant = positions.get(key.merchant).copied().unwrap_or(key.merchant);
            engine.idempotency.insert_saved(SavedKey { merchant, ..key });
        }
        for sent in tables.sent.into_values() {
            engine.sent.insert(sent);
        }
        engine
    }

    /// Restores all that is not a table, and gives the present positions of the saved merchants.
    fn restore_rest(&mut self, saved: &SavedEngine) -> Vec<usize> {
        self.random = Random::new(saved.random);
        self.transactions.continue_at(saved.next_transaction);
        self.outbox.continue_after(saved.last_notification);
        self.counts = saved.counts;
        (self.charged, self.refunded) = (saved.charged, saved.refunded);
        (self.refund_count, self.charged_back) = (saved.refund_count, saved.charged_back);
        self.statuses = saved.statuses.iter().map(|(status, count)| (*status, *count)).collect();
        self.dropped = saved.dropped;
        self.idempotency.dropped = saved.dropped.idempotency_keys;
        self.faults.restore(saved.last_fault, saved.faults.clone());
        for (name, balance) in &saved.wallets {
            let position = self.config.wallets.iter().position(|wallet| wallet.name == *name);
            let kept = position.and_then(|position| self.wallet_balances.get_mut(position));
            // A wallet that has become endless, or has ended to be, is as configured.
            if let Some(kept) = kept.filter(|kept| kept.is_some() == balance.is_some()) {
                *kept = *balance;
            }
        }
        saved.merchants.iter().map(|(id, balance)| self.restore_merchant(id, *balance)).collect()
    }

    /// A merchant that is no longer configured is kept without a key, for its transactions.
    fn restore_merchant(&mut self, id: &str, balance: Option<u64>) -> usize {
        if let Some(position) = self.merchants.iter().position(|merchant| merchant.id == id) {
            let kept = self.merchants.get_mut(position).map(|merchant| &mut merchant.balance);
            if let Some(kept) = kept.filter(|kept| kept.is_some() == balance.is_some()) {
                *kept = balance;
            }
            return position;
        }
        self.merchants.push(Merchant { id: id.to_owned(), balance, orders: HashMap::new() });
        self.merchants.len() - 1
    }

    fn restore_transactions(
        &mut self,
        transactions: BTreeMap<usize, Transaction>,
        positions: &[usize],
    ) {
        for (number, mut transaction) in transactions {
            let merchant = positions.get(transaction.merchant).copied().unwrap_or_default();
            let same = self.keys.get(transaction.key).is_some_and(|key| key.merchant == merchant);
            if !same {
                let first = self.keys.iter().position(|key| key.merchant == merchant);
                transaction.key = first.unwrap_or(usize::MAX);
            }
            transaction.merchant = merchant;
            if transaction.status == Status::Pending {
                self.expiries.insert((transaction.expires_at, number));
            }
            for (position, refund) in transaction.refunds.iter().enumerate() {
                if refund.bank_confirmed_at.is_none() {
                    self.confirmations.insert((refund.confirmation_at, number, position));
                }
            }
            // Numbers ascend, so the newest of an order is the last one.
            if let Some(merchant) = self.merchants.get_mut(merchant) {
                let newest = (number, transaction.charges_of_order);
                merchant.orders.insert(transaction.order_id.clone(), newest);
            }
            self.transactions.insert(number, transaction);
        }
    }
}

/// The tables as they stand after some commits.
#[derive(Default)]
struct Tables {
    engine: SavedEngine,
    transactions: BTreeMap<usize, Transaction>,
    notifications: BTreeMap<u64, Job>,
    keys: HashMap<(usize, String), SavedKey>,
    sent: BTreeMap<u64, Sent>,
}

impl Tables {
    fn apply(&mut self, commit: Commit) {
        if let Some(engine) = commit.engine {
            self.engine = engine;
        }
        for (number, transaction) in commit.transactions {
            match transaction {
                Some(transaction) => self.transactions.insert(number, transaction),
                None => self.transactions.remove(&number),
            };
        }
        for (id, job) in commit.notifications {
            match job {
                Some(job) => self.notifications.insert(id, job),
                None => self.notifications.remove(&id),
            };
        }
        for (key, saved) in commit.keys {
            match saved {
                Some(saved) => self.keys.insert(key, saved),
                None => self.keys.remove(&key),
            };
        }
        for sent in commit.sent {
            self.sent.insert(sent.number, sent);
        }
    }
}
