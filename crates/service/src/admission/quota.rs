//! The quotas of PPRO's test host: calls in twelve hours, from 00:00 and 12:00 UTC on, whatever comes
//! of them (developerhub.ppro.com/simple-api, "Integration recommendations").

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gopay_core::ppro::call::TxType;
use gopay_core::time::Timestamp;

/// How many calls of a type there may be in a period; none: as many as one likes.
const fn most(kind: TxType) -> Option<u32> {
    match kind {
        TxType::Transaction => Some(500),
        TxType::GetTxStatus => Some(1_000),
        TxType::GetTxStatusByMerchantTxId => Some(50),
        TxType::Refund => Some(100),
        TxType::GetRefundStatus => Some(200),
        TxType::GetRefundStatusByMerchantRefundId => Some(30),
        TxType::CancelTx | TxType::RequestData => None,
    }
}

/// What a PSP has used of its quotas. Clones share it. A restart forgets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quotas(Arc<Mutex<Used>>);

#[derive(Debug, Default)]
struct Used {
    period: i64,
    calls: BTreeMap<&'static str, u32>,
}

impl Quotas {
    /// Counts a call; false if there were too many.
    pub(crate) fn take(&self, kind: TxType, now: Timestamp) -> bool {
        const PERIOD_MICROS: i64 = 12 * 60 * 60 * 1_000_000;
        let Some(most) = most(kind) else { return true };
        let period = now.as_micros().div_euclid(PERIOD_MICROS);
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.period != period {
            *used = Used { period, calls: BTreeMap::new() };
        }
        let calls = used.calls.entry(kind.name()).or_default();
        *calls = calls.saturating_add(1);
        *calls <= most
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_quota_begins_anew_at_midnight_and_at_noon() {
        let quotas = Quotas::default();
        // 12:00 UTC of some day.
        let noon = Timestamp::from_micros((20_000 * 24 + 12) * 3_600 * 1_000_000);
        let before = noon.before(Duration::from_secs(1));
        let passed =
            |now| (0..60).filter(|_| quotas.take(TxType::GetTxStatusByMerchantTxId, now)).count();
        assert_eq!(passed(before), 50);
        assert!(quotas.take(TxType::Transaction, before), "each type has its own");
        assert!(quotas.take(TxType::CancelTx, before));
        assert_eq!(passed(noon), 50);
        assert_eq!(passed(noon.after(Duration::from_secs(11 * 3_600))), 0);
        assert_eq!(passed(noon.after(Duration::from_secs(12 * 3_600))), 50);
    }
}
