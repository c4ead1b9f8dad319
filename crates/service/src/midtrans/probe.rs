//! Whether an account at Midtrans lets us in, asked before the first payment needs it.

use std::sync::Arc;
use std::time::Duration;

use gopay_core::midtrans::StatusReply;

use crate::describe::{chain, describe};
use crate::{MidtransAccount, Service};

/// An order id that no adapter gives: Midtrans answers 404 to whom it lets in.
const NO_ORDER: &str = "gopay-adapter-check";

/// What an account answered to a question about an order that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Midtrans takes the key.
    LetIn,
    /// Midtrans answered, and not as to a merchant: wrong key, or not activated.
    Refused(String),
    /// Nothing was learned: no connection, or an answer that says nothing of the key.
    Unknown(String),
}

/// Asks GET status about an order that does not exist. Nothing changes by it.
pub async fn probe(account: &MidtransAccount) -> Probe {
    match account.client.status(NO_ORDER).await {
        Ok(StatusReply::NotFound | StatusReply::Found(_)) => Probe::LetIn,
        Ok(StatusReply::Misconfigured(refusal)) => {
            Probe::Refused(describe(account, "status", &refusal))
        }
        Ok(StatusReply::InProgress) => Probe::Unknown("in progress".to_owned()),
        Ok(StatusReply::Unclear | StatusReply::Unreadable(_)) => {
            Probe::Unknown("an answer that cannot be read".to_owned())
        }
        Err(error) => Probe::Unknown(chain(&error)),
    }
}

impl Service {
    /// Tries the keys of the channels' accounts, and tells the log. The answers also bring Midtrans'
    /// time.
    pub async fn probe_accounts(&self) {
        for account in self.parties().midtrans.of_channels() {
            told(account).await;
        }
        self.compare_clocks();
    }

    /// Tries the keys of accounts at an even pace, and tells the log. For those that came while the
    /// service runs, and at its start for those with names.
    pub async fn probe_evenly(&self, accounts: Vec<Arc<MidtransAccount>>) {
        /// So that ten thousand are tried in some minutes, and nobody notices.
        const PACE: Duration = Duration::from_millis(50);
        for account in accounts {
            tokio::time::sleep(PACE).await;
            told(&account).await;
        }
    }
}

async fn told(account: &MidtransAccount) {
    let (channel, name) = (account.channel.as_str(), account.label());
    match probe(account).await {
        Probe::LetIn if account.name.is_some() => {
            tracing::debug!(channel, account = name, "Midtrans takes the key");
        }
        Probe::LetIn => tracing::info!(channel, account = name, "Midtrans takes the key"),
        // Logged as ERROR where it was described, like that of any call.
        Probe::Refused(why) => {
            tracing::warn!(channel, account = name, why, "no payment can be made in this account");
        }
        Probe::Unknown(why) => {
            let said = "whether Midtrans takes the key is not known yet";
            tracing::warn!(channel, account = name, why, "{said}");
        }
    }
}
