//! What can happen to a payment, and the one function that says what it does.

use serde::{Deserialize, Serialize};

use super::record::{
    Channel, ChargeState, FailReason, Failure, PaidAtSource, Payment, PaymentRecord, PaymentState,
};
use crate::doubt::{Doubt, Finding, Standing, Verdict};
use crate::time::Timestamp;

/// How a charge ended without money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closure {
    /// Time ran out.
    Expired,
    /// Cancelled at Midtrans.
    Cancelled,
    /// GoPay or the fraud check refused it.
    Denied,
    /// Midtrans says `failure`.
    Failed,
}

/// What can happen to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Midtrans opened the charge.
    ChargeCreated {
        /// Midtrans' `transaction_id`.
        midtrans_tx_id: String,
        /// Where the GoPay app takes over.
        deeplink: String,
    },
    /// The charge was refused; nothing exists.
    ChargeRefused(Failure),
    /// Nobody knows whether the charge exists; recovery must find and close it.
    ChargeOutcomeUnknown(Failure),
    /// GET status says that the money is there.
    Paid {
        /// Midtrans' `transaction_id`.
        midtrans_tx_id: String,
        /// Midtrans' `settlement_time`, if given.
        paid_at: Option<Timestamp>,
        /// Midtrans' `payment_type`, if given.
        payment_type: Option<String>,
        /// Midtrans' `payment_option_type`, if given.
        payment_option: Option<String>,
    },
    /// Midtrans says that the charge is over without money.
    Closed(Closure),
    /// GET status says that the charge waits for the shopper.
    StillOpen {
        /// Midtrans' `transaction_id`.
        midtrans_tx_id: String,
    },
    /// Midtrans does not know the order.
    NotFound,
    /// Midtrans could not be asked, or its answer tells nothing.
    NoAnswer,
    /// The session is over and Midtrans could not be asked for so long that we stop waiting.
    GaveUp,
    /// The PSP called `CANCELTX`.
    CancelRequested,
    /// GET status shows money, and something about it does not fit: a person must decide.
    Doubted(Finding),
    /// A person has decided about money that does not fit.
    Judged(Verdict),
    /// Midtrans has given money back that does not fit, as a person wanted.
    Returned,
    /// Midtrans refuses to give it back: a person must decide again.
    ReturnRefused,
}

impl Event {
    /// Whether Midtrans says clearly what became of the charge.
    pub(super) const fn is_clear(&self) -> bool {
        matches!(self, Self::Paid { .. } | Self::Closed(_) | Self::StillOpen { .. })
    }

    /// A stable word for the event trail.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ChargeCreated { .. } => "charge_created",
            Self::ChargeRefused(_) => "charge_refused",
            Self::ChargeOutcomeUnknown(_) => "charge_unclear",
            Self::Paid { .. } => "paid",
            Self::Closed(Closure::Expired) => "closed_expired",
            Self::Closed(Closure::Cancelled) => "closed_cancelled",
            Self::Closed(Closure::Denied) => "closed_denied",
            Self::Closed(Closure::Failed) => "closed_failed",
            Self::StillOpen { .. } => "still_open",
            Self::NotFound => "not_found",
            Self::NoAnswer => "no_news",
            Self::GaveUp => "gave_up",
            Self::CancelRequested => "cancel_requested",
            Self::Doubted(_) => "doubted",
            Self::Judged(Verdict::Paid) => "judged_paid",
            Self::Judged(Verdict::Failed) => "judged_failed",
            Self::Judged(Verdict::Refund) => "judged_refund",
            Self::Returned => "returned",
            Self::ReturnRefused => "return_refused",
        }
    }
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The state changed.
    Moved,
    /// The state is the same; something else about the payment changed.
    Noted,
    /// Told again what was known.
    Same,
    /// A stale or contradictory event: nothing changed.
    Refused,
}

/// The result of [`Payment::on`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The payment afterwards.
    pub payment: Payment,
    /// What happened.
    pub effect: Effect,
    /// The PSP must be notified; commit the delivery with the new state.
    pub delivery_owed: bool,
}

impl Payment {
    /// What `event` does to this payment at `now`. The only way a payment changes.
    ///
    /// Succeeded is final; failed may still become succeeded, because money that came late is
    /// still money; every other pair changes nothing.
    #[must_use]
    pub fn on(&self, event: &Event, now: Timestamp) -> Transition {
        use PaymentState as S;
        let mut next = self.0.clone();
        let effect = match (event, &self.state) {
            (Event::Doubted(finding), S::Initialized | S::Pending | S::Failed(_)) => {
                next.doubted(finding, now)
            }
            (
                Event::Judged(_) | Event::Returned | Event::ReturnRefused,
                S::Initialized | S::Pending | S::Failed(_),
            ) if self.is_in_doubt() => next.decided(event, now),
            // It was decided that the money goes back, and perhaps it has gone.
            (
                Event::Paid { .. } | Event::Closed(_) | Event::StillOpen { .. },
                S::Initialized | S::Pending | S::Failed(_),
            ) if self.goes_back() => Effect::Same,
            // Money was seen: silence about it is no word that it went.
            (
                Event::NotFound | Event::NoAnswer | Event::GaveUp,
                S::Initialized | S::Pending | S::Failed(_),
            ) if self.is_in_doubt() => Effect::Same,
            // Nor is what became of the call that should have opened the charge.
            (Event::ChargeRefused(_) | Event::ChargeOutcomeUnknown(_), S::Initialized)
                if self.is_in_doubt() =>
            {
                Effect::Same
            }

            (Event::ChargeCreated { midtrans_tx_id, deeplink }, S::Initialized) => {
                next.midtrans_tx_id = Some(midtrans_tx_id.clone());
                next.deeplink = Some(deeplink.clone());
                next.charge_state = ChargeState::Open;
                next.enter(S::Pending)
            }
            (Event::ChargeRefused(failure), S::Initialized) => {
                next.charge_state = ChargeState::Absent;
                next.fail(failure.clone(), now)
            }
            (Event::ChargeOutcomeUnknown(failure), S::Initialized) => {
                next.charge_state = ChargeState::Unknown;
                next.fail(failure.clone(), now)
            }
            (
                Event::Paid { midtrans_tx_id, paid_at, payment_type, payment_option },
                S::Initialized | S::Pending | S::Failed(_),
            ) => {
                next.payment_type.clone_from(payment_type);
                next.payment_option.clone_from(payment_option);
                next.succeed(midtrans_tx_id, *paid_at, now)
            }
            (Event::Paid { .. }, S::Succeeded) => Effect::Same,

            (Event::Closed(closure), S::Initialized | S::Pending) => {
                next.charge_state = ChargeState::Closed;
                let failure = self.closed_failure(*closure);
                next.fail(failure, now)
            }
            (Event::Closed(_), S::Failed(_)) if self.charge_state == ChargeState::Closed => {
                Effect::Same
            }
            (Event::Closed(_), S::Failed(_)) => {
                next.charge_state = ChargeState::Closed;
                next.checks = 0;
                Effect::Noted
            }

            (Event::StillOpen { midtrans_tx_id }, S::Initialized | S::Pending | S::Failed(_)) => {
                let known = self.charge_state == ChargeState::Open
                    && self.midtrans_tx_id.as_ref() == Some(midtrans_tx_id);
                next.charge_state = ChargeState::Open;
                next.midtrans_tx_id = Some(midtrans_tx_id.clone());
                if known { Effect::Same } else { Effect::Noted }
            }
            (Event::NotFound, S::Pending) if now >= self.deadline_at => {
                // It did exist: one blank answer must not end the watch for late money.
                next.charge_state = ChargeState::Unknown;
                next.fail(session_over(), now)
            }
            (Event::GaveUp, S::Pending) => next.fail(session_over(), now),
            (Event::GaveUp, S::Initialized) => next.fail(
                Failure::new(FailReason::RemoteError, "GoPay could not be reached; try again"),
                now,
            ),
            (Event::CancelRequested, S::Pending) => {
                next.cancel_requested = true;
                if self.cancel_requested { Effect::Same } else { Effect::Noted }
            }
            (Event::NotFound | Event::NoAnswer, S::Initialized | S::Pending | S::Failed(_))
            | (Event::GaveUp, S::Failed(_)) => Effect::Same,
            (
                Event::ChargeCreated { .. }
                | Event::ChargeRefused(_)
                | Event::ChargeOutcomeUnknown(_),
                S::Pending | S::Succeeded | S::Failed(_),
            )
            | (
                Event::Closed(_)
                | Event::StillOpen { .. }
                | Event::NotFound
                | Event::NoAnswer
                | Event::GaveUp,
                S::Succeeded,
            )
            | (Event::CancelRequested, S::Initialized | S::Succeeded | S::Failed(_))
            | (Event::Doubted(_), S::Succeeded)
            | (Event::Judged(_) | Event::Returned | Event::ReturnRefused, _) => Effect::Refused,
        };
        if effect == Effect::Moved {
            next.checks = 0;
        }
        let cleared = event.is_clear() && self.at_risk().is_some() && self.to_return().is_none();
        if cleared {
            next.doubt = None;
        }
        let effect = if cleared && effect == Effect::Same { Effect::Noted } else { effect };
        let mut payment = Self(next);
        payment.0.next_check_at = payment.check_after(now);
        Transition { delivery_owed: self.owes_delivery(event, &payment), payment, effect }
    }

    /// The PSP hears of every change to a final state, except in the answer that it is reading
    /// anyway: the charge's own outcome (`docs/psp-guide.md`, "Notifications").
    fn owes_delivery(&self, event: &Event, next: &Self) -> bool {
        let in_answer = matches!(event, Event::ChargeRefused(_) | Event::ChargeOutcomeUnknown(_));
        let entered_final = next.state != self.state && next.state.is_final();
        entered_final && !in_answer && next.notification_url.is_some()
    }

    /// Which failure a closure without money is.
    fn closed_failure(&self, closure: Closure) -> Failure {
        let (reason, message) = match closure {
            Closure::Cancelled | Closure::Expired if self.state == PaymentState::Initialized => {
                (FailReason::RemoteError, "GoPay did not confirm the charge in time; try again")
            }
            Closure::Cancelled if self.cancel_requested => {
                (FailReason::Canceled, "Canceled by CANCELTX")
            }
            Closure::Cancelled if self.channel == Some(Channel::Test) => {
                (FailReason::UserAbort, "The shopper gave up")
            }
            Closure::Cancelled => (FailReason::RemoteDecline, "Canceled at GoPay"),
            Closure::Expired => return session_over(),
            Closure::Denied => (FailReason::RemoteDecline, "Declined by GoPay"),
            // Midtrans has this state for what it cannot explain either.
            Closure::Failed => (FailReason::Unknown, "GoPay reports a failure and no reason"),
        };
        Failure::new(reason, message)
    }
}

impl PaymentRecord {
    fn enter(&mut self, state: PaymentState) -> Effect {
        self.state = state;
        Effect::Moved
    }

    fn fail(&mut self, failure: Failure, now: Timestamp) -> Effect {
        self.set_failed(failure, now);
        Effect::Moved
    }

    fn succeed(
        &mut self,
        midtrans_tx_id: &str,
        paid_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Effect {
        self.charge_state = ChargeState::Paid;
        self.midtrans_tx_id = Some(midtrans_tx_id.to_owned());
        self.final_at = Some(now);
        self.paid_at = Some(paid_at.unwrap_or(now));
        self.paid_at_source =
            Some(paid_at.map_or(PaidAtSource::Adapter, |_| PaidAtSource::Midtrans));
        self.enter(PaymentState::Succeeded)
    }

    /// Money was found that does not fit. The same again changes nothing, also after a person has
    /// decided about it.
    fn doubted(&mut self, finding: &Finding, now: Timestamp) -> Effect {
        if let Some(doubt) = &mut self.doubt
            && doubt.finding.is_same(finding)
        {
            if doubt.standing != Standing::Open || doubt.finding.status == finding.status {
                return Effect::Same;
            }
            // It went back meanwhile: whoever decides must know.
            doubt.finding.status.clone_from(&finding.status);
            return Effect::Noted;
        }
        let known = self.doubt.as_ref();
        if known.is_some_and(Doubt::goes_back) {
            return Effect::Same;
        }
        let since = known.filter(|doubt| doubt.is_open()).map_or(now, |doubt| doubt.since);
        if let (None, Some(id)) = (&self.midtrans_tx_id, &finding.midtrans_tx_id) {
            self.midtrans_tx_id = Some(id.clone());
        }
        self.doubt = Some(Doubt::new(finding.clone(), since, self.amount));
        self.checks = 0;
        Effect::Noted
    }

    /// What a person decided about money that does not fit, or what came of that.
    fn decided(&mut self, event: &Event, now: Timestamp) -> Effect {
        let Some(doubt) = &mut self.doubt else { return Effect::Refused };
        if doubt.standing == Standing::Returning {
            return self.after_return(event, now);
        }
        let Event::Judged(verdict) = event else { return Effect::Refused };
        match verdict {
            Verdict::Paid => {
                doubt.standing = Standing::Resolved;
                let came = doubt.finding.returnable();
                let short = self
                    .amount
                    .zip(came)
                    .and_then(|(amount, came)| amount.sen().checked_sub(came.sen()));
                // What never came cannot go back.
                let reserved = short.and_then(|short| self.refund_reserved.checked_add(short));
                self.refund_reserved = reserved.unwrap_or(self.refund_reserved);
                let id = self.midtrans_tx_id.clone().unwrap_or_default();
                self.succeed(&id, None, now)
            }
            Verdict::Failed => {
                doubt.standing = Standing::Resolved;
                self.end_without_money("Not accepted after the operator looked into it", now)
            }
            Verdict::Refund if doubt.finding.returnable().is_none() => Effect::Refused,
            Verdict::Refund => {
                doubt.standing = Standing::Returning;
                self.checks = 0;
                Effect::Noted
            }
        }
    }

    /// What came of giving back money that does not fit.
    fn after_return(&mut self, event: &Event, now: Timestamp) -> Effect {
        let Some(doubt) = &mut self.doubt else { return Effect::Refused };
        if *event == Event::Returned {
            doubt.standing = Standing::Returned;
            return self
                .end_without_money("The money did not fit and goes back to the shopper", now);
        }
        if *event != Event::ReturnRefused {
            return Effect::Refused;
        }
        doubt.standing = Standing::Open;
        self.checks = 0;
        Effect::Noted
    }

    /// Fails because we do not take the money; a payment that has failed keeps its reason.
    fn end_without_money(&mut self, message: &str, now: Timestamp) -> Effect {
        self.charge_state = ChargeState::Closed;
        match self.state {
            PaymentState::Initialized | PaymentState::Pending => {
                self.fail(Failure::new(FailReason::LocalDecline, message), now)
            }
            PaymentState::Succeeded | PaymentState::Failed(_) => Effect::Noted,
        }
    }
}

fn session_over() -> Failure {
    Failure::new(FailReason::Timeout, "The session is over; the shopper did not pay in time")
}
