//! Admission: how much may be under way at once. Nobody waits here: a call that gets no permit is
//! told to come back, so that a flood costs neither memory nor the calls that were admitted.
//!
//! What a PSP may have is counted once it has shown its password, so that nobody else uses it up.

mod gate;
mod quota;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use gopay_core::ppro::call::TxType;
use gopay_core::time::Timestamp;
use tokio::time::Instant;

use self::gate::{Gate, Permit};
use self::quota::Quotas;
use crate::questions::Bucket;
use crate::{Directory, Psp, Settings};

/// How many calls there may be. Can be changed while the service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// See [`Settings::concurrent_calls`].
    pub concurrent_calls: usize,
    /// See [`Settings::concurrent_calls_per_client`].
    pub concurrent_calls_per_client: usize,
    /// See [`Settings::calls_per_second_per_client`].
    pub calls_per_second_per_client: Option<u32>,
    /// See [`Settings::test_quotas`].
    pub test_quotas: bool,
}

impl CallLimits {
    pub(crate) const fn of(settings: &Settings) -> Self {
        Self {
            concurrent_calls: settings.concurrent_calls,
            concurrent_calls_per_client: settings.concurrent_calls_per_client,
            calls_per_second_per_client: settings.calls_per_second_per_client,
            test_quotas: settings.test_quotas,
        }
    }
}

/// Permits for calls of PSPs and for notifications of Midtrans.
pub(crate) struct Admission {
    all: Gates,
    psps: RwLock<BTreeMap<String, Arc<Share>>>,
    notifications: Arc<Gate>,
}

/// Calls that wait for GoPay must not keep those out that only ask, nor do those that wait for changes.
#[derive(Clone)]
struct Gates {
    moving: Arc<Gate>,
    asking: Arc<Gate>,
    following: Arc<Gate>,
}

/// Readers of the feed that one PSP may have at once: one for each contract of a small PSP, and who
/// takes over from them. They need no more, since one reads all contracts.
const FOLLOWING_MAX: usize = 16;

/// What one PSP may have.
struct Share {
    calls: Gates,
    /// Calls in a second, if they are bounded.
    rate: Option<Bucket>,
    /// Those of contracts of the test channel alone.
    quotas: Option<Quotas>,
}

/// A permit for a call of an authenticated PSP. Held by the work, not by the caller, who may have
/// hung up.
pub(crate) struct CallPermit {
    _all: Permit,
    _psp: Permit,
    share: Arc<Share>,
}

impl CallPermit {
    /// Counts a call under a contract of the test channel alone; false if there were too many.
    pub(crate) fn within_quota(&self, kind: TxType, now: Timestamp) -> bool {
        self.share.quotas.as_ref().is_none_or(|quotas| quotas.take(kind, now))
    }
}

/// Why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// Too many calls run.
    Concurrency,
    /// Too many calls came in this second.
    Rate,
}

impl TurnedAway {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Rate => "rate",
        }
    }
}

impl Gates {
    fn new(size: usize, following: usize) -> Self {
        Self { moving: Gate::new(size), asking: Gate::new(size), following: Gate::new(following) }
    }

    fn resize(&self, size: usize, following: usize) {
        self.moving.resize(size);
        self.asking.resize(size);
        self.following.resize(following);
    }

    fn of(&self, kind: TxType) -> &Arc<Gate> {
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

impl Share {
    /// The share of a PSP. What it has under way and has used up goes on.
    fn of(psp: &Psp, limits: &CallLimits, before: Option<&Self>) -> Self {
        let each = psp.concurrent_calls.unwrap_or(limits.concurrent_calls_per_client);
        let each = each.min(limits.concurrent_calls);
        let following = each.min(FOLLOWING_MAX);
        let calls = match before {
            Some(Self { calls, .. }) => {
                calls.resize(each, following);
                calls.clone()
            }
            None => Gates::new(each, following),
        };
        let rate = psp.calls_per_second.or(limits.calls_per_second_per_client);
        let quotas = before.and_then(|before| before.quotas.clone()).unwrap_or_default();
        Self { calls, rate: rate.map(Bucket::new), quotas: limits.test_quotas.then_some(quotas) }
    }
}

impl Admission {
    pub(crate) fn new(limits: &CallLimits, directory: &Directory) -> Self {
        let size = limits.concurrent_calls;
        let all = Gates::new(size, size);
        let admission = Self { all, psps: RwLock::default(), notifications: Gate::new(size) };
        admission.follow(limits, directory);
        admission
    }

    /// Goes by other limits and another directory from now on.
    pub(crate) fn follow(&self, limits: &CallLimits, directory: &Directory) {
        self.all.resize(limits.concurrent_calls, limits.concurrent_calls);
        self.notifications.resize(limits.concurrent_calls);
        let mut psps = self.psps.write().unwrap_or_else(PoisonError::into_inner);
        let share = |psp: &Psp| {
            let before = psps.get(&psp.login).map(Arc::as_ref);
            (psp.login.clone(), Arc::new(Share::of(psp, limits, before)))
        };
        *psps = directory.psps().map(share).collect();
    }

    /// A permit for a call of an authenticated PSP.
    pub(crate) fn psp_call(&self, kind: TxType, login: &str) -> Result<CallPermit, TurnedAway> {
        self.admit(login, |gates| gates.of(kind))
    }

    /// A permit for a reader of the feed.
    pub(crate) fn feed(&self, login: &str) -> Result<CallPermit, TurnedAway> {
        self.admit(login, |gates| &gates.following)
    }

    fn admit(
        &self,
        login: &str,
        gate: impl Fn(&Gates) -> &Arc<Gate>,
    ) -> Result<CallPermit, TurnedAway> {
        let share = {
            let psps = self.psps.read().unwrap_or_else(PoisonError::into_inner);
            psps.get(login).map(Arc::clone).ok_or(TurnedAway::Concurrency)?
        };
        if share.rate.as_ref().is_some_and(|rate| !rate.take(Instant::now())) {
            return Err(TurnedAway::Rate);
        }
        let full = || TurnedAway::Concurrency;
        let own = Gate::enter(gate(&share.calls)).ok_or_else(full)?;
        let all = Gate::enter(gate(&self.all)).ok_or_else(full)?;
        Ok(CallPermit { _psp: own, _all: all, share })
    }

    /// A permit for a notification of Midtrans.
    pub(crate) fn notification(&self) -> Option<Permit> {
        Gate::enter(&self.notifications)
    }

    /// Waits until no call and no notification runs, and admits none any more.
    pub(crate) async fn close(&self) {
        let Gates { moving, asking, following } = &self.all;
        for gate in [moving, asking, following, &self.notifications] {
            gate.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn psp(login: &str, concurrent_calls: Option<usize>, calls_per_second: Option<u32>) -> Psp {
        Psp {
            login: login.to_owned(),
            password_hashes: Vec::new(),
            shared_secrets: Vec::new(),
            notification_secrets: Vec::new(),
            require_ok_body: false,
            certificates: Vec::new(),
            concurrent_calls,
            calls_per_second,
        }
    }

    const LIMITS: CallLimits = CallLimits {
        concurrent_calls: 3,
        concurrent_calls_per_client: 2,
        calls_per_second_per_client: None,
        test_quotas: false,
    };

    fn directory(psps: Vec<Psp>) -> Directory {
        Directory::new(psps, Vec::new(), [0; 32])
    }

    #[test]
    fn one_psp_leaves_room_for_the_others_and_changed_limits_hold_at_once() {
        let psps = || vec![psp("one", None, None), psp("two", Some(1), None)];
        let admission = Admission::new(&LIMITS, &directory(psps()));
        let call = |login: &str| admission.psp_call(TxType::Refund, login);
        let held = [call("one").unwrap(), call("one").unwrap()];
        assert_eq!(call("one").err(), Some(TurnedAway::Concurrency));
        assert!(admission.psp_call(TxType::GetTxStatus, "one").is_ok(), "asking has its own");
        let followed = [admission.feed("one").unwrap(), admission.feed("one").unwrap()];
        assert_eq!(admission.feed("one").err(), Some(TurnedAway::Concurrency));
        drop(followed);
        let _two = call("two").unwrap();
        assert_eq!(call("two").err(), Some(TurnedAway::Concurrency));
        assert!(call("nobody").is_err());
        let more = CallLimits { concurrent_calls: 5, concurrent_calls_per_client: 3, ..LIMITS };
        admission.follow(&more, &directory(psps()));
        let _third = call("one").unwrap();
        assert!(call("one").is_err(), "what runs since before counts");
        admission.follow(&LIMITS, &directory(psps()));
        drop(held);
        assert!(call("one").is_ok());
        admission.follow(&LIMITS, &directory(vec![psp("two", None, None)]));
        assert!(call("one").is_err(), "it is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_a_second_are_bounded_for_each() {
        let psps = vec![psp("one", None, Some(2)), psp("two", None, None)];
        let limits = CallLimits { calls_per_second_per_client: Some(5), ..LIMITS };
        let admission = Admission::new(&limits, &directory(psps));
        let passed = |login: &str| {
            (0..20).filter(|_| admission.psp_call(TxType::GetTxStatus, login).is_ok()).count()
        };
        assert_eq!((passed("one"), passed("two")), (2, 5));
        tokio::time::advance(std::time::Duration::from_millis(1_000)).await;
        assert_eq!((passed("one"), passed("two")), (2, 5));
        tokio::time::advance(std::time::Duration::from_millis(500)).await;
        assert_eq!((passed("one"), passed("two")), (1, 2));
    }

    #[tokio::test]
    async fn an_end_waits_for_what_runs_and_admits_nothing_more() {
        let admission = Admission::new(&LIMITS, &directory(vec![psp("one", None, None)]));
        let call = admission.psp_call(TxType::Refund, "one").unwrap();
        let mut closing = std::pin::pin!(admission.close());
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, &mut closing).await.is_err());
        assert!(admission.psp_call(TxType::Refund, "one").is_err());
        drop(call);
        closing.await;
        assert!(admission.notification().is_none());
    }
}
