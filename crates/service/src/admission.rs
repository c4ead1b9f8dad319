//! Admission: how much may be under way at once. Nobody waits here: a call that gets no permit is
//! told to come back, so that a flood costs neither memory nor the calls that were admitted.

use std::collections::BTreeMap;
use std::sync::Arc;

use gopay_core::ppro::call::TxType;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Settings;

/// Permits for calls of PSPs and for notifications of Midtrans.
pub(crate) struct Admission {
    all: Pair,
    psps: BTreeMap<String, Pair>,
    notifications: Arc<Semaphore>,
    size: u32,
}

/// Calls that wait for GoPay must not keep those out that only ask.
struct Pair {
    moving: Arc<Semaphore>,
    asking: Arc<Semaphore>,
}

/// A permit for a call of an authenticated PSP. Held by the work, not by the caller, who may have
/// hung up.
pub(crate) struct CallPermit {
    _all: OwnedSemaphorePermit,
    _psp: OwnedSemaphorePermit,
}

impl Pair {
    fn new(size: usize) -> Self {
        Self { moving: Arc::new(Semaphore::new(size)), asking: Arc::new(Semaphore::new(size)) }
    }

    fn of(&self, kind: TxType) -> &Arc<Semaphore> {
        match kind {
            TxType::Transaction | TxType::Refund | TxType::CancelTx => &self.moving,
            TxType::GetTxStatus
            | TxType::GetTxStatusByMerchantTxId
            | TxType::GetRefundStatus
            | TxType::GetRefundStatusByMerchantRefundId
            | TxType::RequestData => &self.asking,
        }
    }
}

fn acquire(permits: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(permits).try_acquire_owned().ok()
}

impl Admission {
    pub(crate) fn new<'a>(settings: &Settings, logins: impl Iterator<Item = &'a str>) -> Self {
        let size = settings.concurrent_calls;
        let each = settings.concurrent_calls_per_client.min(size);
        Self {
            all: Pair::new(size),
            psps: logins.map(|login| (login.to_owned(), Pair::new(each))).collect(),
            notifications: Arc::new(Semaphore::new(size)),
            size: u32::try_from(size).unwrap_or(u32::MAX),
        }
    }

    /// A permit for a call of an authenticated PSP.
    pub(crate) fn psp_call(&self, kind: TxType, login: &str) -> Option<CallPermit> {
        let own = self.psps.get(login)?;
        Some(CallPermit { _psp: acquire(own.of(kind))?, _all: acquire(self.all.of(kind))? })
    }

    /// A permit for a notification of Midtrans.
    pub(crate) fn notification(&self) -> Option<OwnedSemaphorePermit> {
        acquire(&self.notifications)
    }

    /// Waits until no call and no notification runs, and admits none any more.
    pub(crate) async fn close(&self) {
        for permits in [&self.all.moving, &self.all.asking, &self.notifications] {
            // An error would mean that the semaphore is closed, which it never is.
            if let Ok(all) = permits.acquire_many(self.size).await {
                all.forget();
            }
        }
    }
}
