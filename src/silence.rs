//! Tells the log when Midtrans falls silent and when it answers again.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use gopay_outbound::{Incoming, Outgoing, Transport, TransportError};

/// A transport to one account at Midtrans. Not each failure is logged: an hour of silence is many
/// thousand of them, and each payment's trail has its own.
pub(crate) struct Noticed {
    transport: Arc<dyn Transport>,
    /// For the log: the section of the config.
    account: &'static str,
    silent: AtomicBool,
}

impl Noticed {
    pub(crate) fn new(transport: Arc<dyn Transport>, account: &'static str) -> Self {
        Self { transport, account, silent: AtomicBool::new(false) }
    }
}

#[async_trait]
impl Transport for Noticed {
    async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
        let answer = self.transport.send(request).await;
        let failed = answer.as_ref().err();
        if self.silent.swap(failed.is_some(), Ordering::Relaxed) != failed.is_some() {
            let account = self.account;
            match failed {
                Some(error) => {
                    let source = error.source().map(ToString::to_string);
                    tracing::warn!(account, %error, source, "Midtrans does not answer");
                }
                None => tracing::info!(account, "Midtrans answers again"),
            }
        }
        answer
    }
}
