//! How much may be under way at once. Nobody waits here: who finds no room is told to come back,
//! so that a flood costs neither memory nor the calls that were let in.

use std::collections::BTreeMap;
use std::sync::Arc;

use gopay_core::ppro::call::TxType;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Settings;

/// Calls whose password is not known yet: each waits for one of two verifications, which are slow
/// on purpose, and any number of strangers could come.
const STRANGERS_MAX: usize = 256;

/// Rooms for calls and for news of Midtrans.
pub(crate) struct Rooms {
    all: Pair,
    clients: BTreeMap<String, Pair>,
    strangers: Arc<Semaphore>,
    news: Arc<Semaphore>,
    size: u32,
}

/// Calls that wait for GoPay must not keep those out that only ask.
struct Pair {
    moving: Arc<Semaphore>,
    asking: Arc<Semaphore>,
}

/// A place in all rooms that a call goes through; dropping it makes room again. Held by the work,
/// not by the caller, who may have left.
pub(crate) struct Place {
    _all: OwnedSemaphorePermit,
    _client: OwnedSemaphorePermit,
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

fn enter(room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(room).try_acquire_owned().ok()
}

impl Rooms {
    pub(crate) fn new<'a>(settings: &Settings, logins: impl Iterator<Item = &'a str>) -> Self {
        let size = settings.concurrent_calls;
        let each = settings.concurrent_calls_per_client.min(size);
        Self {
            all: Pair::new(size),
            clients: logins.map(|login| (login.to_owned(), Pair::new(each))).collect(),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX.min(size))),
            news: Arc::new(Semaphore::new(size)),
            size: u32::try_from(size).unwrap_or(u32::MAX),
        }
    }

    /// A place for a call of a client who is who he says.
    pub(crate) fn client(&self, kind: TxType, login: &str) -> Option<Place> {
        let own = self.clients.get(login)?;
        Some(Place { _client: enter(own.of(kind))?, _all: enter(self.all.of(kind))? })
    }

    /// A place for a call of somebody whose password has to be verified first.
    pub(crate) fn stranger(&self) -> Option<OwnedSemaphorePermit> {
        enter(&self.strangers)
    }

    /// A place for a notification of Midtrans.
    pub(crate) fn news(&self) -> Option<OwnedSemaphorePermit> {
        enter(&self.news)
    }

    /// Waits until all rooms are empty and lets nobody in any more.
    pub(crate) async fn close(&self) {
        for room in [&self.all.moving, &self.all.asking, &self.news] {
            // An error would mean that the room is closed, which it never is.
            if let Ok(all) = room.acquire_many(self.size).await {
                all.forget();
            }
        }
    }
}
