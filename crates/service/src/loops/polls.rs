//! The poll loop: asks Midtrans about payments and refunds whose next look is due.

use std::time::Duration;

use gopay_core::account::AccountName;
use gopay_core::payment::{Channel, Event, Payment};
use gopay_core::refund::Refund;
use gopay_core::translate::outcome::{NextStep, may_give_up, next_step};
use gopay_store::StoreError;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::IDLE;
use crate::Service;
use crate::describe::log_store_error;
use crate::midtrans::Asked;
use crate::observe::{self, UseCase};
use crate::thin::{self, FAULT_PAUSE};

pub(super) async fn poll_loop(service: Service, mut stop: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    let (batch, pause) = batches(service.settings().checks_per_second);
    while !*stop.borrow() {
        let began = Instant::now();
        let begun = service.begin_checks(batch, &mut running).await.unwrap_or_else(|error| {
            log_store_error(&error);
            Begun::default()
        });
        while let Some(ended) = running.try_join_next() {
            report(ended);
        }
        let rest = if begun.more { pause } else { IDLE };
        wait(&mut stop, rest.saturating_sub(began.elapsed())).await;
    }
    while let Some(ended) = running.join_next().await {
        report(ended);
    }
}

/// How many checks to begin at once, and how long to rest after so many, so that they are as many
/// a second as may be: that is the bound on calls to Midtrans.
///
/// Those of a whole second at once would hold up the calls of PSPs: the claim writes a page for
/// each, and all their answers come together.
fn batches(a_second: usize) -> (usize, Duration) {
    /// One for refunds, one for payments.
    const BATCH_MIN: usize = 2;
    const BATCHES_A_SECOND: usize = 10;
    let a_second = a_second.max(1);
    let batch = a_second.div_ceil(BATCHES_A_SECOND).max(BATCH_MIN);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (batch, Duration::from_secs(1).saturating_mul(count(batch)) / count(a_second))
}

/// What [`Service::begin_checks`] found.
#[derive(Debug, Default)]
struct Begun {
    count: usize,
    /// More may be due.
    more: bool,
}

fn report(ended: Result<Result<(), StoreError>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log_store_error(&error),
        Err(error) => tracing::error!(error = %error, "a check ended in a bug"),
    }
}

async fn wait(stop: &mut watch::Receiver<bool>, rest: Duration) {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => {}
        () = tokio::time::sleep(rest) => {}
    }
}

impl Service {
    /// Takes payments and refunds that are due, at most a batch of them, and begins to look after
    /// them. Those of before may still be running: a Midtrans that is slow about one must not hold
    /// up the others.
    async fn begin_checks(
        &self,
        batch: usize,
        running: &mut JoinSet<Result<(), StoreError>>,
    ) -> Result<Begun, StoreError> {
        /// Each holds a connection to Midtrans.
        const RUNNING_MAX: usize = 256;
        // Repeated notifications count too, and leave the loop a half.
        let batch = batch.saturating_sub(self.0.questions.repeats_asked(batch / 2));
        let batch = batch.min(RUNNING_MAX.saturating_sub(running.len()));
        if batch == 0 {
            return Ok(Begun { count: 0, more: true });
        }
        let store = &self.0.store;
        let half = batch.div_ceil(2);
        let refunds = store.refund_claim_due(self.now(), half).await?;
        let left = batch.saturating_sub(refunds.len());
        let payments = store.payment_claim_due(self.now(), left).await?;
        let begun = Begun {
            count: refunds.len() + payments.len(),
            more: refunds.len() == half || payments.len() == left,
        };
        for refund in refunds {
            let service = self.clone();
            running.spawn(async move { service.poll_refund(refund).await });
        }
        for payment in payments {
            let service = self.clone();
            running.spawn(async move { service.poll_payment(payment).await });
        }
        Ok(begun)
    }

    /// Looks after what is due, at most as many as may be checked in a second, once, and waits for
    /// it. For tests and simulations.
    ///
    /// # Errors
    /// If the store cannot say what is due.
    pub async fn check_due(&self) -> Result<usize, StoreError> {
        let mut running = JoinSet::new();
        let begun = self.begin_checks(self.settings().checks_per_second, &mut running).await?;
        while let Some(ended) = running.join_next().await {
            report(ended);
        }
        Ok(begun.count)
    }

    async fn poll_payment(&self, payment: Payment) -> Result<(), StoreError> {
        observe::observed(UseCase::Poll, async {
            observe::learn(|seen| (seen.kind, seen.tx_id) = ("payment", Some(payment.tx_id)));
            self.check(payment).await
        })
        .await
    }

    async fn poll_refund(&self, refund: Refund) -> Result<(), StoreError> {
        observe::observed(UseCase::Poll, async {
            observe::learn(|seen| {
                (seen.kind, seen.tx_id) = ("refund", Some(refund.tx_id));
                seen.refund_id = Some(refund.refund_id);
            });
            self.check_refund(refund).await
        })
        .await
    }

    /// Looks after a payment whose check is due: asks, closes what must not stay open, gives up
    /// what Midtrans keeps silent about.
    pub(crate) async fn check(&self, payment: Payment) -> Result<(), StoreError> {
        if !self.has_account(&payment) {
            return Ok(());
        }
        let (asked, applied) = self.ask_and_apply(&payment, vec![]).await?;
        observe::learn(|seen| seen.outcome = asked.event.word());
        self.compare_clock_of(&payment);
        let now = self.session_time(&payment);
        match next_step(&applied.payment, &asked.event, now) {
            NextStep::Nothing => Ok(()),
            NextStep::Close(how) => {
                let asked = self.close(&applied.payment, how).await;
                let applied = self.apply(payment.tx_id, &asked.event, None, &asked.notes).await?;
                if may_give_up(&applied.payment, now) {
                    // It can be neither closed nor paid any more: it has an expiry of its own.
                    self.end_without_midtrans(payment.tx_id, &asked).await?;
                }
                Ok(())
            }
            NextStep::GiveUp => self.give_up(&applied.payment, asked).await,
            NextStep::Return(amount) => self.return_money(&applied.payment, amount).await,
        }
    }

    /// Whether the account of a payment is configured. Without it nobody can say what became of the
    /// money, so the payment waits for it.
    fn has_account(&self, payment: &Payment) -> bool {
        if payment.channel.is_none() || self.parties().midtrans.of_payment(payment).is_some() {
            return true;
        }
        let channel = payment.channel.map_or("", Channel::as_str);
        let account = payment.account.as_ref().map_or(channel, AccountName::as_str);
        observe::learn(|seen| seen.outcome = "no_account");
        if let Some(repeats) = thin::due(&format!("no account {account}"), FAULT_PAUSE) {
            tracing::error!(
                payment.tx_id = %payment.tx_id, account, repeats,
                "the account of a payment is not in the config: nobody can say what became of it"
            );
        }
        false
    }

    /// Says FAILED without Midtrans, but not because of one bad moment: we may have been away
    /// ourselves while it answered well.
    async fn give_up(&self, payment: &Payment, mut asked: Asked) -> Result<(), StoreError> {
        const PAUSES: [Duration; 3] =
            [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
        for pause in PAUSES {
            if asked.event != Event::NoAnswer {
                break;
            }
            tokio::time::sleep(pause).await;
            asked = self.ask(payment, vec![]).await;
            self.apply(payment.tx_id, &asked.event, None, &asked.notes).await?;
        }
        if matches!(asked.event, Event::NoAnswer | Event::NotFound) {
            self.end_without_midtrans(payment.tx_id, &asked).await?;
        }
        Ok(())
    }

    /// Looks after a refund whose outcome is open: asks first, then sends it again under its key.
    pub(crate) async fn check_refund(&self, refund: Refund) -> Result<(), StoreError> {
        let (Some(payment), Some(amount)) =
            (self.0.store.payment_get(refund.tx_id).await?, refund.amount)
        else {
            return Ok(());
        };
        let mut notes = Vec::new();
        if let Some(Some(said)) = self.refund_exists(&refund, &payment, amount, &mut notes).await {
            return self.resolve(&refund, Ok(said), notes).await.map(|_| ());
        }
        self.retry_while_busy(|| self.0.store.payment_note(refund.tx_id, &notes, self.now()))
            .await?;
        self.send_refund(refund, &payment, true).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_rests_add_up_to_the_bound() {
        let millis = Duration::from_millis;
        for (a_second, batch, rest) in [
            (0, 2, millis(2_000)),
            (1, 2, millis(2_000)),
            (20, 2, millis(100)),
            (25, 3, millis(120)),
            (200, 20, millis(100)),
            (10_000, 1_000, millis(100)),
        ] {
            assert_eq!(batches(a_second), (batch, rest), "{a_second} a second");
        }
    }
}
