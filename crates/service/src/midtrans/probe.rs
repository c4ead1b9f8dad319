//! Whether an account at Midtrans lets us in, asked before the first payment needs it.

use gopay_core::midtrans::StatusReply;
use gopay_core::payment::Channel;

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
        Ok(StatusReply::Misconfigured(refusal)) => Probe::Refused(describe("status", &refusal)),
        Ok(StatusReply::InProgress) => Probe::Unknown("in progress".to_owned()),
        Ok(StatusReply::Unclear | StatusReply::Unreadable(_)) => {
            Probe::Unknown("an answer that cannot be read".to_owned())
        }
        Err(error) => Probe::Unknown(chain(&error)),
    }
}

impl Service {
    /// Tries the key of each account, and tells the log. The answers also bring Midtrans' time.
    pub async fn probe_accounts(&self) {
        for channel in [Channel::Test, Channel::Live] {
            let parties = self.parties();
            let Some(account) = parties.midtrans.of(Some(channel)) else { continue };
            let channel = channel.as_str();
            match probe(account).await {
                Probe::LetIn => tracing::info!(channel, "Midtrans takes the key"),
                // Logged as ERROR where it was described, like that of any call.
                Probe::Refused(why) => {
                    tracing::warn!(channel, why, "no payment can be made in this channel");
                }
                Probe::Unknown(why) => {
                    tracing::warn!(channel, why, "whether Midtrans takes the key is not known yet");
                }
            }
        }
        self.compare_clocks();
    }
}
