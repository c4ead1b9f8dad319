//! What this process has answered, and whether the store still knows it.
//!
//! A store can go back: a failover lost steps, a copy was put back, an address leads to the wrong
//! database. It looks sound then, and knows nothing of payments whose shoppers may be paying just now.
//! So the last of them are kept in memory and asked for whenever the store was reached anew.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_store::StoreError;
use tokio::sync::watch;

use crate::{Recovered, Service, meters};

/// The payments that are kept: 80 KB, and three minutes at 50 calls a second.
const KEPT: usize = 10_000;

/// Those that are missing, of which so many are named in the log, in lines of so many.
const NAMED: usize = 1_000;
const NAMED_IN_A_LINE: usize = 50;

/// How often the store is looked at when nobody calls.
const LOOK: Duration = Duration::from_millis(500);

/// The last payments that were stored by this process.
#[derive(Default)]
pub(crate) struct Answered {
    recent: Mutex<VecDeque<TxId>>,
    /// The epoch of the store in which all of them were there.
    sure: AtomicU64,
    /// One asks at a time.
    asking: tokio::sync::Mutex<()>,
    /// Those that were missing, until somebody acknowledges it.
    lost: Mutex<BTreeSet<TxId>>,
    is_lost: AtomicBool,
}

/// Payments that were answered are missing from the store.
#[derive(Debug, thiserror::Error)]
#[error(
    "the store has gone back: {0} payments that were answered are missing from it; the log names them, \
     and nothing is taken until it is acknowledged (gopay-adapter acknowledge-lost)"
)]
pub struct Lost(usize);

/// Why the service is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The store does not take writes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It takes them, and has forgotten others.
    #[error(transparent)]
    Lost(Lost),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Answered {
    /// Keeps a payment that the store has.
    pub(crate) fn keep(&self, tx_id: TxId) {
        let mut recent = lock(&self.recent);
        if recent.len() >= KEPT {
            recent.pop_front();
        }
        recent.push_back(tx_id);
    }

    /// Whether some are missing, and nobody has acknowledged it.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    pub(crate) fn lost(&self) -> Option<Lost> {
        self.is_lost().then(|| Lost(lock(&self.lost).len()))
    }

    /// Notes those that are missing; those that were not known to be.
    fn note(&self, missing: Vec<TxId>) -> Vec<TxId> {
        let gone: BTreeSet<TxId> = missing.iter().copied().collect();
        lock(&self.recent).retain(|tx_id| !gone.contains(tx_id));
        let mut lost = lock(&self.lost);
        let new: Vec<_> = missing.into_iter().filter(|tx_id| lost.insert(*tx_id)).collect();
        self.is_lost.store(!lost.is_empty(), Ordering::Release);
        meters::lost_payments(lost.len());
        new
    }
}

impl Service {
    /// Makes sure that the store still knows what was answered, if it was reached anew since.
    ///
    /// # Errors
    /// [`StoreError::Away`] if something is missing and nobody has acknowledged it; those of the
    /// question.
    pub(crate) async fn still_known(&self) -> Result<(), StoreError> {
        let answered = &self.0.answered;
        if self.0.store.epoch() != answered.sure.load(Ordering::Acquire) {
            Box::pin(self.ask_for_answered()).await?;
        }
        answered.lost().map_or(Ok(()), |lost| Err(StoreError::Away(Box::new(lost))))
    }

    async fn ask_for_answered(&self) -> Result<(), StoreError> {
        let (store, answered) = (&self.0.store, &self.0.answered);
        let _one = answered.asking.lock().await;
        let epoch = store.epoch();
        if epoch == answered.sure.load(Ordering::Acquire) {
            return Ok(());
        }
        let asked: Vec<_> = lock(&answered.recent).iter().copied().collect();
        let missing =
            if asked.is_empty() { Vec::new() } else { store.payments_missing(&asked).await? };
        let new = answered.note(missing);
        answered.sure.store(epoch, Ordering::Release);
        if !new.is_empty() {
            tell(&new);
            let service = self.clone();
            tokio::spawn(async move { service.ask_for_lost(new).await });
        }
        Ok(())
    }

    /// Asks Midtrans for what the store has lost: what was paid before it was lost is not notified of
    /// again. Money goes to the list of what needs a person.
    async fn ask_for_lost(&self, mut lost: Vec<TxId>) {
        const ROUNDS: usize = 10;
        const BETWEEN: Duration = Duration::from_secs(30);
        let a_second = u32::try_from(self.settings().checks_per_second).unwrap_or(u32::MAX).max(1);
        let mut listed = 0_usize;
        for _ in 0..ROUNDS {
            let mut again = Vec::new();
            for tx_id in lost {
                match self.recover_order(tx_id, None).await {
                    Ok(Recovered::Listed(_)) => listed = listed.saturating_add(1),
                    Ok(Recovered::Known | Recovered::NoMoney | Recovered::NotFound) => {}
                    Ok(Recovered::NoAnswer) | Err(_) => again.push(tx_id),
                }
                tokio::time::sleep(Duration::from_secs(1) / a_second).await;
            }
            lost = again;
            if lost.is_empty() {
                break;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        let unasked = lost.len();
        tracing::warn!(listed, unasked, "Midtrans was asked for the payments that the store lost");
    }

    /// Payments that were answered and are missing from the store, until that is acknowledged.
    #[must_use]
    pub fn lost(&self) -> Vec<TxId> {
        lock(&self.0.answered.lost).iter().copied().collect()
    }

    /// Goes on with the store as it is. How many payments were missing.
    #[must_use]
    pub fn acknowledge_lost(&self) -> usize {
        let mut lost = lock(&self.0.answered.lost);
        let count = std::mem::take(&mut *lost).len();
        self.0.answered.is_lost.store(false, Ordering::Release);
        meters::lost_payments(0);
        count
    }

    /// Looks at the store when nobody calls, until `stop` turns true: what is missing shall be known
    /// before the next call.
    pub async fn watch_store(self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            // Why it could not be asked, calls and readiness tell.
            let _ = self.still_known().await;
        }
    }
}

/// Names them in the log, in lines that can be read.
fn tell(lost: &[TxId]) {
    let count = lost.len();
    meters::lose_payments(count);
    tracing::error!(count, "the store has gone back: payments that were answered are missing");
    for part in lost.chunks(NAMED_IN_A_LINE).take(NAMED / NAMED_IN_A_LINE) {
        let tx_ids: Vec<_> = part.iter().map(ToString::to_string).collect();
        tracing::error!(tx_ids = tx_ids.join(" "), "missing from the store");
    }
    if count > NAMED {
        let more = count.saturating_sub(NAMED);
        tracing::error!(more, "missing from the store; GET /admin/v1/lost has all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tx(number: usize) -> TxId {
        TxId::new(i64::try_from(number).unwrap()).unwrap()
    }

    #[test]
    fn the_last_ten_thousand_are_kept_and_what_is_missing_is_told_once() {
        let answered = Answered::default();
        (1..=KEPT + 5).for_each(|number| answered.keep(tx(number)));
        let kept: Vec<_> = lock(&answered.recent).iter().copied().collect();
        assert_eq!((kept.len(), kept[0], kept[KEPT - 1]), (KEPT, tx(6), tx(KEPT + 5)));
        assert!(answered.lost().is_none());
        assert_eq!(answered.note(vec![tx(9), tx(7)]), [tx(9), tx(7)]);
        assert_eq!(answered.note(vec![tx(7), tx(8)]), [tx(8)]);
        assert!(answered.lost().unwrap().to_string().contains("3 payments"));
        assert_eq!(lock(&answered.recent).len(), KEPT - 3, "they are not asked for again");
    }
}
