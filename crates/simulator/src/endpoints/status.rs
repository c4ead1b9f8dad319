//! GET status, cancel and expire.

use std::time::Duration;

use super::{Call, Success};
use crate::engine::Engine;
use crate::faults::Action as Fault;
use crate::transaction::Status;
use crate::variant::Variant;
use crate::wire::{Refusal, signature};

impl Engine {
    pub(super) fn status(&self, call: &Call<'_>, index: usize) -> Result<Success, Refusal> {
        let at = match &call.fault {
            Some(Fault::StaleStatus { seconds }) => call.now.before(Duration::from_secs(*seconds)),
            Some(_) | None => call.now,
        };
        let transaction = self
            .transactions
            .get(index)
            .filter(|found| found.created_at <= at)
            .ok_or_else(Refusal::unknown_transaction)?;
        let status = transaction.status_at(at);
        let code = status.status_code();
        let mut body = self.body(transaction, status, code, "Success, transaction is found", at);
        let variant = call.fault.as_ref().and_then(Variant::of);
        if let Some(variant) = &variant {
            variant.apply(&mut body, transaction);
        }
        let server_key = self.keys.get(call.key).map_or("", |key| &key.text);
        body.signature_key =
            Some(signature(&transaction.order_id, code, &body.gross_amount, server_key));
        Ok(Success::new(&body))
    }

    /// Cancel and expire: both only for a payment that is still open.
    pub(super) fn end(
        &mut self,
        call: &Call<'_>,
        index: usize,
        to: Status,
        (code, message): (&'static str, &'static str),
    ) -> Result<Success, Refusal> {
        let pending =
            self.transactions.get(index).is_some_and(|found| found.status == Status::Pending);
        if !pending {
            return Err(Refusal::wrong_state());
        }
        self.change_status(call.now, index, to);
        let transaction = self.transactions.get(index).ok_or_else(Refusal::internal)?;
        let body = self.body(transaction, to, code, message, call.now);
        Ok(Success::new(&body.without_echo()))
    }
}
