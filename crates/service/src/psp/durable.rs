//! What a TRANSACTION must have stored, also while the store is away for a moment: its intent, and its
//! outcome. Either may have taken effect although nobody said so; then it is tried again, and taken for
//! done if it was.

use gopay_core::ids::TxId;
use gopay_core::payment::{Event, Payment, PaymentState};
use gopay_store::{Applied, Created, Note, StoreError};
use tokio::time::{Instant, sleep, timeout_at};

use crate::Service;
use crate::describe::log_store_error;
use crate::hold::{self, Held};

/// A payment to be stored.
#[derive(Clone, Copy)]
pub(crate) struct Intent<'a> {
    pub(crate) payment: &'a Payment,
    /// The call, to be kept.
    pub(crate) request: &'a str,
    pub(crate) notes: &'a [Note],
}

/// How far the storing of an intent has come.
#[derive(Default)]
pub(crate) struct Progress {
    /// A try may have taken effect.
    pub(crate) perhaps: bool,
    /// The right to wait, once it was needed.
    pub(crate) held: Option<Held>,
}

impl Service {
    /// Stores a new payment; tries again until then while the store is away or fails, if there is
    /// room to wait. A payment that is there already, from a try that nobody heard of, is new.
    ///
    /// # Errors
    /// Of the last try. `progress` says whether the payment may be there all the same.
    pub(crate) async fn create(
        &self,
        intent: Intent<'_>,
        until: Instant,
        progress: &mut Progress,
    ) -> Result<Created, StoreError> {
        loop {
            let tried = self.try_create(intent, progress.perhaps);
            let tried = timeout_at(until + hold::MARGIN, tried).await;
            let error = match tried.unwrap_or_else(|_| Err(hold::no_answer())) {
                Err(error @ (StoreError::Away(_) | StoreError::Down(_))) => error,
                done => return done,
            };
            // Somebody must look first.
            if self.0.answered.is_lost() {
                return Err(error);
            }
            progress.perhaps |= matches!(error, StoreError::Down(_));
            if Instant::now() >= until {
                return Err(error);
            }
            if progress.held.is_none() {
                progress.held = self.0.hold.enter(intent.request.len());
            }
            if progress.held.is_none() {
                return Err(error);
            }
            sleep(hold::PAUSE).await;
        }
    }

    async fn try_create(&self, intent: Intent<'_>, perhaps: bool) -> Result<Created, StoreError> {
        let Intent { payment, request, notes } = intent;
        let store = &self.0.store;
        self.still_known().await.map_err(nothing_begun)?;
        let create = || store.payment_create(payment, request, notes);
        let stored = match self.retry_busy(create).await {
            Ok(Created::New) => {
                // It may have been reached anew meanwhile: nothing is sent on the word of a store that
                // went back. A worker closes the payment.
                self.still_known().await.map_err(perhaps_done)?;
                self.0.answered.keep(payment.tx_id);
                return Ok(Created::New);
            }
            Ok(Created::NonceTaken(earlier)) if perhaps => *earlier,
            Err(StoreError::Conflict) if perhaps => {
                store.payment_get(payment.tx_id).await?.ok_or(StoreError::Conflict)?
            }
            done => return done,
        };
        let is_ours = stored.tx_id == payment.tx_id
            && stored.contract == payment.contract
            && stored.redirect_secret == payment.redirect_secret;
        match is_ours {
            true if stored.state == payment.state => {
                self.0.answered.keep(payment.tx_id);
                Ok(Created::New)
            }
            // Ours, and a worker has closed it; or another's with the nonce.
            _ if is_ours || stored.tx_id != payment.tx_id => {
                Ok(Created::NonceTaken(Box::new(stored)))
            }
            _ => Err(StoreError::Conflict),
        }
    }

    /// Makes a payment's check due at once, as soon as the store can be told, so that a worker
    /// closes what nobody opens any more and its repeats have an answer.
    pub(crate) async fn let_go(&self, tx_id: TxId) {
        /// By then it is due by itself.
        const LONGEST: std::time::Duration = std::time::Duration::from_secs(60);
        let until = Instant::now() + LONGEST;
        while Instant::now() < until {
            match self.0.store.payment_check_at(tx_id, self.now()).await {
                Err(StoreError::Away(_) | StoreError::Down(_) | StoreError::Busy) => {}
                // Or it was never stored.
                Ok(()) | Err(_) => return,
            }
            sleep(hold::PAUSE * 4).await;
        }
    }

    /// Stores the outcome of a charge; goes on trying until then while the store is away or fails,
    /// because money may hang on it. Applying twice is harmless.
    pub(crate) async fn apply_until(
        &self,
        until: Instant,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        notes: &[Note],
    ) -> Result<Applied, StoreError> {
        let mut pause = hold::PAUSE;
        loop {
            let tried = self.apply(tx_id, event, answer, notes);
            let tried = timeout_at(until + hold::MARGIN, tried).await;
            match tried.unwrap_or_else(|_| Err(hold::no_answer())) {
                Err(error @ (StoreError::Away(_) | StoreError::Down(_)))
                    if Instant::now() < until =>
                {
                    log_store_error(&error);
                    sleep(pause).await;
                    pause = (pause * 2).min(hold::PAUSE * 10);
                }
                done => return done,
            }
        }
    }

    /// Waits while the first call with a nonce runs, at most as long as a call may run.
    ///
    /// # Errors
    /// The store has been away for too long.
    pub(crate) async fn wait_for_first(&self, mut first: Payment) -> Result<Payment, StoreError> {
        let until = Instant::now() + crate::midtrans::CALL_DEADLINE;
        let mut heard = Instant::now();
        while first.state == PaymentState::Initialized && Instant::now() < until {
            sleep(hold::PAUSE).await;
            match self.0.store.payment_get(first.tx_id).await {
                Ok(read) => {
                    heard = Instant::now();
                    first = read.unwrap_or(first);
                }
                Err(error) if heard.elapsed() >= hold::PATIENCE => return Err(error),
                Err(_) => {}
            }
        }
        Ok(first)
    }
}

/// An error of a question that came before the step.
fn nothing_begun(error: StoreError) -> StoreError {
    if let StoreError::Down(source) = error { StoreError::Away(source) } else { error }
}

/// An error of a question that came after it.
fn perhaps_done(error: StoreError) -> StoreError {
    if let StoreError::Away(source) = error { StoreError::Down(source) } else { error }
}
