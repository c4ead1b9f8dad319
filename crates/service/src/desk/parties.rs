//! Who calls and whom we call, as operators see them: no secret is in it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use gopay_core::payment::Channel;
use gopay_core::ppro::transaction::Kyc;
use gopay_core::time::Timestamp;
use serde::Serialize;

use crate::{Contract, Service};

/// The receivers that this process has tried lately, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<BTreeMap<String, Tries>>);

#[derive(Clone, Debug, Default)]
struct Tries {
    /// In a row.
    failures: u32,
    failing: bool,
    last: Option<LastTry>,
    delivered_at: Option<String>,
}

/// How the last try ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastTry {
    /// When.
    pub at: String,
    /// Whether it was confirmed.
    pub confirmed: bool,
    /// The status of the answer, if there was one.
    pub status: Option<u64>,
    /// Why there was none.
    pub error: Option<String>,
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiverView {
    /// Scheme, host and port.
    pub receiver: String,
    /// Failures in a row.
    pub failures: u32,
    /// It fails so often that it gets one try at a time.
    pub failing: bool,
    /// How the last try ended.
    pub last: Option<LastTry>,
    /// When one was confirmed last, since this process began.
    pub delivered_at: Option<String>,
}

impl Board {
    /// So many are remembered.
    const MAX: usize = 1_024;

    /// Takes note of a try.
    pub(crate) fn tried(&self, receiver: &str, detail: &serde_json::Value, now: Timestamp) {
        let confirmed = detail.get("delivered").and_then(serde_json::Value::as_bool) == Some(true);
        let last = LastTry {
            at: now.to_string(),
            confirmed,
            status: detail.get("status").and_then(serde_json::Value::as_u64),
            error: detail.get("error").and_then(|it| it.as_str()).map(str::to_owned),
        };
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if board.len() >= Self::MAX && !board.contains_key(receiver) {
            let oldest = board.iter().min_by_key(|(_, tries)| tries.last.as_ref().map(|it| &it.at));
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.and_then(|name| board.remove(&name));
        }
        let tries = board.entry(receiver.to_owned()).or_default();
        if confirmed {
            tries.delivered_at = Some(last.at.clone());
        }
        tries.failures = if confirmed { 0 } else { tries.failures.saturating_add(1) };
        tries.last = Some(last);
    }

    /// Takes note of whether a receiver gets one try at a time.
    pub(crate) fn fails(&self, receiver: &str, failing: bool) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tries) = board.get_mut(receiver) {
            tries.failing = failing;
        }
    }

    pub(crate) fn failing(&self) -> usize {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.values().filter(|tries| tries.failing).count()
    }
}

/// A PSP, as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientView {
    /// `login`.
    pub login: String,
    /// How many passwords are good; two while one is replaced.
    pub passwords: usize,
    /// How many secrets sign returns.
    pub shared_secrets: usize,
    /// How many secrets notifications can be signed with.
    pub notification_secrets: usize,
    /// How many certificates it may show; 0: it needs none.
    pub certificates: usize,
    /// The receiver's answer must begin with `OK` to count.
    pub require_ok_body: bool,
    /// Calls that it may have under way at once, if not as many as any.
    pub concurrent_calls: Option<usize>,
    /// Calls that it may make in a second, if not as many as any.
    pub calls_per_second: Option<u32>,
    /// Its contracts, in the order of their ids; of all PSPs a thousand are shown.
    pub contracts: Vec<ContractView>,
    /// How many there are.
    pub contract_count: usize,
}

/// A contract, as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContractView {
    /// `contractid`.
    pub contractid: String,
    /// Whether its calls are taken.
    pub enabled: bool,
    /// Which channels it may use.
    pub channels: Vec<&'static str>,
    /// Its accounts at Midtrans, where it does not take those of its channels.
    pub midtrans: Vec<String>,
    /// `verified` or `unverified`.
    pub kyc: &'static str,
    /// Whether it may refund.
    pub refunds: bool,
    /// Where its PSP is told unless the call says otherwise.
    pub notification_url: Option<String>,
    /// Where its shoppers return unless the call says otherwise.
    pub redirect_url: Option<String>,
}

impl Service {
    /// The receivers that this process has tried since it began.
    #[must_use]
    pub fn receivers(&self) -> Vec<ReceiverView> {
        let board = self.0.board.0.lock().unwrap_or_else(PoisonError::into_inner);
        let view = |(receiver, tries): (&String, &Tries)| ReceiverView {
            receiver: receiver.clone(),
            failures: tries.failures,
            failing: tries.failing,
            last: tries.last.clone(),
            delivered_at: tries.delivered_at.clone(),
        };
        board.iter().map(view).collect()
    }

    /// The PSPs and their contracts, as configured, in the order of their names.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientView> {
        /// So that an answer stays an answer where there are a hundred thousand.
        const CONTRACTS_MAX: usize = 1_000;
        let parties = self.parties();
        let mut contracts: BTreeMap<&str, Vec<&Contract>> = BTreeMap::new();
        for contract in parties.directory.contracts() {
            contracts.entry(&contract.psp).or_default().push(contract);
        }
        let mut psps: Vec<_> = parties.directory.psps().collect();
        psps.sort_by_key(|psp| &psp.login);
        let mut left = CONTRACTS_MAX;
        let clients = psps.into_iter().map(|psp| {
            let mut own = contracts.remove(psp.login.as_str()).unwrap_or_default();
            let contract_count = own.len();
            own.sort_by_key(|contract| &contract.id);
            own.truncate(left);
            left = left.saturating_sub(own.len());
            ClientView {
                login: psp.login.clone(),
                passwords: psp.password_hashes.len(),
                shared_secrets: psp.shared_secrets.len(),
                notification_secrets: psp.notification_secrets.len(),
                certificates: psp.certificates.len(),
                require_ok_body: psp.require_ok_body,
                concurrent_calls: psp.concurrent_calls,
                calls_per_second: psp.calls_per_second,
                contracts: own.into_iter().map(ContractView::from).collect(),
                contract_count,
            }
        });
        clients.collect()
    }
}

impl From<&Contract> for ContractView {
    fn from(contract: &Contract) -> Self {
        Self {
            contractid: contract.id.clone(),
            enabled: contract.enabled,
            channels: contract.channels.iter().copied().map(Channel::as_str).collect(),
            midtrans: contract.midtrans.iter().map(|(_, name)| name.to_string()).collect(),
            kyc: match contract.kyc {
                Kyc::Verified => "verified",
                Kyc::Unverified => "unverified",
            },
            refunds: contract.refunds,
            notification_url: contract.notification_url.clone(),
            redirect_url: contract.redirect_url.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_receiver_is_known_by_how_its_last_try_ended_and_the_oldest_is_forgotten() {
        let board = Board::default();
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        board.tried("https://a", &json!({"status": 500, "delivered": false}), at(1));
        board.tried("https://a", &json!({"error": "refused", "delivered": false}), at(2));
        board.fails("https://a", true);
        board.fails("https://nobody", true);
        assert_eq!(board.failing(), 1);
        let failures = |name: &str| board.0.lock().unwrap().get(name).map(|tries| tries.failures);
        assert_eq!(failures("https://a"), Some(2));
        board.tried("https://a", &json!({"status": 200, "delivered": true}), at(3));
        assert_eq!(failures("https://a"), Some(0));
        for number in 0..i64::try_from(Board::MAX).unwrap() {
            board.tried(&format!("https://{number}"), &json!({"delivered": true}), at(4 + number));
        }
        assert_eq!(board.0.lock().unwrap().len(), Board::MAX);
        assert_eq!(failures("https://a"), None, "the one that was tried least lately");
    }
}
