//! The figures of the start page.

use gopay_core::time::Timestamp;
use gopay_store::{AttentionSums, Backlog, StoreError, Waiting};
use serde::Serialize;

use super::LastHour;
use crate::{BarredCall, Service};

/// What goes on.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// When these were the figures.
    pub at: String,
    /// The last hour of this process.
    pub last_hour: LastHour,
    /// What waits, in the whole store.
    pub waiting: Vec<Queue>,
    /// What needs a person.
    pub attention: AttentionSums,
    /// Receivers of this process that keep failing.
    pub receivers_failing: usize,
    /// Calls that Midtrans did not let us make when they were tried last.
    pub midtrans_refuses: Vec<Barred>,
}

/// What waits, of a kind.
#[derive(Clone, Debug, Serialize)]
pub struct Queue {
    /// `initialized`, `pending`, `refund`, `delivery`.
    pub kind: &'static str,
    /// Younger than a minute, than five, than an hour, and older.
    pub by_age: [u64; 4],
    /// For how long the oldest waits.
    pub oldest_seconds: Option<u64>,
}

/// A call that Midtrans refuses.
#[derive(Clone, Debug, Serialize)]
pub struct Barred {
    /// Test or live.
    pub channel: &'static str,
    /// The account: its section of the config.
    pub account: String,
    /// Which call.
    pub call: &'static str,
    /// Its answer.
    pub code: u16,
}

impl Service {
    /// The figures of the start page.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn figures(&self) -> Result<Figures, StoreError> {
        let now = self.now();
        let attention = self.attention_sums().await?;
        let backlog = self.0.backlog.get(self.0.store.backlog(now)).await?.value;
        let barred = self.barred().into_iter();
        Ok(Figures {
            at: now.to_string(),
            last_hour: self.0.recent.hour(now),
            waiting: queues(&backlog, now),
            attention,
            receivers_failing: self.0.board.failing(),
            midtrans_refuses: barred
                .map(|BarredCall { channel, account, call, code }| Barred {
                    channel: channel.as_str(),
                    account,
                    call,
                    code,
                })
                .collect(),
        })
    }
}

fn queues(backlog: &Backlog, now: Timestamp) -> Vec<Queue> {
    let queue = |kind, waiting: Waiting| Queue {
        kind,
        by_age: waiting.by_age,
        oldest_seconds: waiting.oldest.map(|oldest| now.since(oldest).as_secs()),
    };
    vec![
        queue("initialized", backlog.initialized),
        queue("pending", backlog.pending),
        queue("refund", backlog.unresolved),
        queue("delivery", backlog.deliveries),
    ]
}
