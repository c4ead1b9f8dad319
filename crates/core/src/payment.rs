//! A payment and the one function that moves it.
//!
//! Source of the life cycle: `docs/psp-guide.md`, "Life of a payment", and `docs/midtrans.md`,
//! "Status values".

use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::AccountName;
use crate::doubt::{Doubt, Finding, Standing, Verdict};
use crate::ids::TxId;
use crate::money::{Rupiah, Sen};
use crate::time::Timestamp;
use crate::words::words;

words!(
    /// Where a payment goes. A transaction never crosses from one to the other.
    Channel {
        /// The simulator or Midtrans' sandbox.
        Test = "testchannel",
        /// Midtrans' production.
        Live = "livechannel",
    }
);

words!(
    /// PPRO's `FAILREASON` (`docs/psp-guide.md`, "Reasons").
    FailReason {
        /// Reason not known.
        Unknown = "UNKNOWN",
        /// Problem in the data sent.
        InputData = "INPUT_DATA",
        /// The shopper gave up.
        UserAbort = "USER_ABORT",
        /// No result in time.
        Timeout = "TIMEOUT",
        /// Our own fault.
        LocalError = "LOCAL_ERROR",
        /// Fault at Midtrans or GoPay.
        RemoteError = "REMOTE_ERROR",
        /// We declined: limits, blocked contract.
        LocalDecline = "LOCAL_DECLINE",
        /// GoPay declined.
        RemoteDecline = "REMOTE_DECLINE",
        /// By `CANCELTX`.
        Canceled = "CANCELED",
    }
);

words!(
    /// What may exist at Midtrans under our order id.
    ChargeState {
        /// Nothing exists, and nothing we sent can still bring it about.
        Absent = "absent",
        /// A charge was about to be sent or its answer is missing: something may exist.
        Unknown = "unclear",
        /// A charge exists and can be paid.
        Open = "open",
        /// A charge existed and can no longer be paid.
        Closed = "closed",
        /// A charge was paid.
        Paid = "paid",
    }
);

words!(
    /// Whose time the time of a payment's money is.
    PaidAtSource {
        /// Midtrans' `settlement_time`.
        Midtrans = "midtrans",
        /// Ours: when GET status told us.
        Adapter = "adapter",
    }
);

/// Why a payment or refund failed: the PPRO reason and a text of at most 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// PPRO's word.
    pub reason: FailReason,
    /// `ERRMSG`; never holds personal data.
    pub message: String,
}

impl Failure {
    /// The longest `ERRMSG`, in characters (`docs/psp-guide.md`, "Answers").
    pub const MESSAGE_CHARS_MAX: usize = 128;

    /// A failure; the message is cut at [`Self::MESSAGE_CHARS_MAX`] characters.
    #[must_use]
    pub fn new(reason: FailReason, message: &str) -> Self {
        Self { reason, message: message.chars().take(Self::MESSAGE_CHARS_MAX).collect() }
    }
}

/// Our state of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// Durable, and not yet known to be open at Midtrans.
    Initialized,
    /// Open: the shopper can pay.
    Pending,
    /// GoPay has the money. Final.
    Succeeded,
    /// Over without money. May still become [`PaymentState::Succeeded`] by late money.
    Failed(Failure),
}

impl PaymentState {
    /// The stable word for the store and for logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Initialized => "initialized",
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
        }
    }

    /// The state of a stable word; `failure` belongs to "failed" and to no other.
    #[must_use]
    pub fn from_word(word: &str, failure: Option<Failure>) -> Option<Self> {
        match (word, failure) {
            ("initialized", None) => Some(Self::Initialized),
            ("pending", None) => Some(Self::Pending),
            ("succeeded", None) => Some(Self::Succeeded),
            ("failed", Some(failure)) => Some(Self::Failed(failure)),
            _ => None,
        }
    }

    /// Why the payment failed, if it has.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Initialized | Self::Pending | Self::Succeeded => None,
        }
    }

    /// Whether the PSP hears of it as an end: succeeded or failed.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Succeeded | Self::Failed(_) => true,
            Self::Initialized | Self::Pending => false,
        }
    }
}

/// What makes a call repeatable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// The PSP's `nonce`.
    pub value: String,
    /// SHA-256 of the call's content, to tell a repeat from another call under the same nonce.
    pub fingerprint: [u8; 32],
}

/// The first end of a payment without money, which stays when late money comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstFailure {
    /// When.
    pub at: Timestamp,
    /// Why, as the PSP was told.
    pub reason: FailReason,
}

/// What is known of a purchase. Inside a [`Payment`] nobody can write to it.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Ours; PPRO's `TXID`, Midtrans' `order_id`.
    pub tx_id: TxId,
    /// The login of the PSP.
    pub psp: String,
    /// The merchant's contract.
    pub contract: String,
    /// `channel` of the call; none if the call was refused because of it.
    pub channel: Option<Channel>,
    /// Whose money it is at Midtrans, for life; none: the account of the channel.
    pub account: Option<AccountName>,
    /// The PSP's reference as sent; repeats allowed, compared without case.
    pub merchant_tx_id: Option<String>,
    /// None only for a call that was refused because of its amount.
    pub amount: Option<Rupiah>,
    /// See [`PaymentState`].
    pub state: PaymentState,
    /// See [`ChargeState`].
    pub charge_state: ChargeState,
    /// Midtrans' `transaction_id`, once known.
    pub midtrans_tx_id: Option<String>,
    /// Where the GoPay app takes over.
    pub deeplink: Option<String>,
    /// `REDIRECTSECRET`: 32 letters and digits.
    pub redirect_secret: String,
    /// Where the shopper goes at the end.
    pub merchant_redirect_url: Option<String>,
    /// Where the PSP is told.
    pub notification_url: Option<String>,
    /// The PSP's `nonce`, if the call had one.
    pub nonce: Option<Nonce>,
    /// The stored answer to the call; kept only for calls with a nonce.
    pub answer: Option<Vec<u8>>,
    /// When the call came.
    pub created_at: Timestamp,
    /// End of the session: nobody may pay after it.
    pub deadline_at: Timestamp,
    /// When the present final state was reached; `finaltimestamp`.
    pub final_at: Option<Timestamp>,
    /// When the money came, by GoPay's clock if it said so.
    pub paid_at: Option<Timestamp>,
    /// Whose time `paid_at` is.
    pub paid_at_source: Option<PaidAtSource>,
    /// Midtrans' `payment_type` of the money: `gopay`, or `qris` if the code was scanned.
    pub payment_type: Option<String>,
    /// Midtrans' `payment_option_type` of the money, such as `GOPAY_WALLET` or `PAY_LATER`.
    pub payment_option: Option<String>,
    /// The first failure, also after late money.
    pub first_failure: Option<FirstFailure>,
    /// `CANCELTX` was accepted for sending.
    pub cancel_requested: bool,
    /// Accepted and unresolved refunds together.
    pub refund_reserved: Sen,
    /// When a worker should ask Midtrans next, if ever.
    pub next_check_at: Option<Timestamp>,
    /// How often a worker has asked in the present phase.
    pub checks: u32,
    /// Money at Midtrans that does not fit it, and what became of that.
    pub doubt: Option<Doubt>,
}

impl std::fmt::Debug for PaymentRecord {
    /// Which one and how far it is, without the secrets of its links.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tx_id, state, refund_reserved, next_check_at, .. } = self;
        write!(out, "PaymentRecord({tx_id}, {state:?}, {refund_reserved:?}, {next_check_at:?})")
    }
}

/// One purchase.
///
/// Born by [`Payment::open`] or [`Payment::refused`], changed by [`Payment::on`], the refunds'
/// reservations and [`Payment::checked`], read through its [`PaymentRecord`]. Only a store builds
/// one from parts, by [`Payment::restore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment(PaymentRecord);

impl Deref for Payment {
    type Target = PaymentRecord;

    #[inline]
    fn deref(&self) -> &PaymentRecord {
        &self.0
    }
}

/// What is known of a purchase when its call comes.
#[derive(Clone)]
pub struct NewPayment {
    /// Ours; PPRO's `TXID`, Midtrans' `order_id`.
    pub tx_id: TxId,
    /// The login of the PSP.
    pub psp: String,
    /// The merchant's contract.
    pub contract: String,
    /// `channel` of the call, if it is one.
    pub channel: Option<Channel>,
    /// The account at Midtrans; none: that of the channel.
    pub account: Option<AccountName>,
    /// The PSP's reference, if it is one.
    pub merchant_tx_id: Option<String>,
    /// `REDIRECTSECRET`: 32 letters and digits.
    pub redirect_secret: String,
    /// Where the shopper goes at the end.
    pub merchant_redirect_url: Option<String>,
    /// Where the PSP is notified.
    pub notification_url: Option<String>,
    /// The PSP's `nonce`, if the call had one.
    pub nonce: Option<Nonce>,
    /// When the call came.
    pub created_at: Timestamp,
    /// How long the shopper may take.
    pub session: Duration,
}

impl std::fmt::Debug for NewPayment {
    /// Which one, without the secrets of its links.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "NewPayment({})", self.tx_id)
    }
}

/// A record contradicts itself; names the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} does not fit the payment's state")]
pub struct BrokenRecord(pub &'static str);

impl Payment {
    /// A payment whose call was accepted: to be made durable before its charge is sent.
    #[must_use]
    pub fn open(new: NewPayment, amount: Rupiah) -> Self {
        let mut payment = Self::new(new);
        payment.0.amount = Some(amount);
        // Initialized payments are checked too: the call that owns this one may die.
        payment.0.next_check_at = payment.check_after(payment.created_at);
        payment
    }

    /// A payment whose call was refused: recorded as failed, and nothing is sent for it.
    #[must_use]
    pub fn refused(new: NewPayment, failure: Failure) -> Self {
        let mut payment = Self::new(new);
        let now = payment.created_at;
        payment.0.charge_state = ChargeState::Absent;
        payment.0.fail(failure, now);
        payment
    }

    /// This payment, which was not stored because its contract used the nonce before, refused for
    /// that: without the nonce, and in the channel of the earlier one if its own is none.
    #[must_use]
    pub fn refused_for_nonce(mut self, failure: Failure, earlier: Option<Channel>) -> Self {
        let now = self.created_at;
        self.0.nonce = None;
        self.0.answer = None;
        self.0.channel = self.channel.or(earlier);
        self.0.charge_state = ChargeState::Absent;
        self.0.next_check_at = None;
        self.0.fail(failure, now);
        self
    }

    /// A payment as a store kept it.
    ///
    /// # Errors
    /// [`BrokenRecord`] if the record cannot have come about by the rules here.
    pub fn restore(record: PaymentRecord) -> Result<Self, BrokenRecord> {
        if record.state.is_final() && record.final_at.is_none() {
            return Err(BrokenRecord("final_at"));
        }
        if record.amount.is_none() && record.state.failure().is_none() {
            return Err(BrokenRecord("amount"));
        }
        Ok(Self(record))
    }

    /// The parts of this payment.
    #[must_use]
    pub fn into_record(self) -> PaymentRecord {
        self.0
    }

    fn new(new: NewPayment) -> Self {
        Self(PaymentRecord {
            tx_id: new.tx_id,
            psp: new.psp,
            contract: new.contract,
            channel: new.channel,
            account: new.account,
            merchant_tx_id: new.merchant_tx_id,
            amount: None,
            state: PaymentState::Initialized,
            // The charge may be on its way as soon as this is durable.
            charge_state: ChargeState::Unknown,
            midtrans_tx_id: None,
            deeplink: None,
            redirect_secret: new.redirect_secret,
            merchant_redirect_url: new.merchant_redirect_url,
            notification_url: new.notification_url,
            nonce: new.nonce,
            answer: None,
            created_at: new.created_at,
            deadline_at: new.created_at.after(new.session),
            final_at: None,
            paid_at: None,
            paid_at_source: None,
            payment_type: None,
            payment_option: None,
            first_failure: None,
            cancel_requested: false,
            refund_reserved: Sen::ZERO,
            next_check_at: None,
            checks: 0,
            doubt: None,
        })
    }
}

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
    /// Nobody knows whether the charge exists; it must be hunted down and closed.
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
    const fn is_clear(&self) -> bool {
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
    /// Stale or contradictory news: nothing changed.
    Refused,
}

/// The result of [`Payment::on`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The payment afterwards.
    pub payment: Payment,
    /// What happened.
    pub effect: Effect,
    /// The PSP must be told; commit the delivery with the new state.
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

    /// Stores the answer to the call for its repeats: only a nonce makes those possible, and the
    /// first answer stays, because it may have been given. False if nothing changed.
    pub fn store_answer_once(&mut self, answer: &[u8]) -> bool {
        let stored = self.nonce.is_some() && self.answer.is_none();
        if stored {
            self.0.answer = Some(answer.to_vec());
        }
        stored
    }

    /// Makes the next check due at `at`; none if it is due before, or no check is planned at all.
    #[must_use]
    pub fn check_at(&self, at: Timestamp) -> Option<Self> {
        let planned = self.next_check_at?;
        (at < planned).then(|| {
            let mut next = self.clone();
            next.0.next_check_at = Some(at);
            next
        })
    }

    /// Counts `amount` as on its way back to the shopper.
    pub(crate) fn with_refund_reserved(&self, reserved: Sen) -> Self {
        let mut next = self.clone();
        next.0.refund_reserved = reserved;
        next
    }

    /// Marks one look by a worker and sets when to look again.
    ///
    /// Called when a worker claims the payment, so that a worker that dies leaves a time behind.
    #[must_use]
    pub fn checked(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.0.checks = next.checks.saturating_add(1);
        next.0.next_check_at = next.check_after(now);
        next
    }

    /// Whether its call was refused before anything was sent, perhaps for what is echoed of it.
    #[must_use]
    pub fn refused_at_once(&self) -> bool {
        self.amount.is_none()
    }

    /// Whether money at Midtrans does not fit it, and nobody has decided yet, or what was decided is
    /// not done yet. As long as it is, the PSP is not told that there was no money.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.doubt.as_ref().is_some_and(Doubt::is_open)
    }

    /// The money that does not fit, as long as [`Self::is_in_doubt`].
    #[must_use]
    pub fn at_risk(&self) -> Option<Sen> {
        self.doubt.as_ref().filter(|doubt| doubt.is_open()).map(|doubt| doubt.at_risk)
    }

    fn goes_back(&self) -> bool {
        self.doubt.as_ref().is_some_and(Doubt::goes_back)
    }

    /// The money that Midtrans is to give back because it does not fit.
    #[must_use]
    pub fn to_return(&self) -> Option<Rupiah> {
        let doubt = self.doubt.as_ref()?;
        if doubt.standing == Standing::Returning { doubt.finding.returnable() } else { None }
    }

    /// The id to ask Midtrans with: its own if known, since an order id can own several
    /// transactions (`docs/midtrans.md`, "Charge request"), else ours.
    #[must_use]
    pub fn upstream_id(&self) -> String {
        self.midtrans_tx_id.clone().unwrap_or_else(|| self.tx_id.to_string())
    }

    /// Whether the session is over at `now`.
    #[must_use]
    pub fn session_over(&self, now: Timestamp) -> bool {
        now >= self.deadline_at
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

    /// When a worker should ask Midtrans, counted from `now`.
    fn check_after(&self, now: Timestamp) -> Option<Timestamp> {
        match self.doubt.as_ref().map(|doubt| doubt.standing) {
            Some(Standing::Open) => {
                let wait = self.jittered(doubled(DOUBT_CHECK_FIRST, self.checks, DOUBT_CHECK_MAX));
                return Some(now.after(wait));
            }
            Some(Standing::Returning) => {
                let wait = doubled(RETURN_CHECK_FIRST, self.checks, RETURN_CHECK_MAX);
                return Some(now.after(wait));
            }
            // A person has said what the money is.
            Some(Standing::Resolved | Standing::Returned) => return None,
            None => {}
        }
        let wait = match (&self.state, self.charge_state) {
            (PaymentState::Succeeded, _) | (PaymentState::Failed(_), ChargeState::Absent) => {
                return None;
            }
            (PaymentState::Initialized, _) => INITIALIZED_CHECK,
            (PaymentState::Pending, _) if self.session_over(now) => {
                doubled(OVERDUE_CHECK_FIRST, self.checks, OVERDUE_CHECK_MAX)
            }
            (PaymentState::Pending, _) => {
                let wait =
                    self.jittered(doubled(PENDING_CHECK_FIRST, self.checks, PENDING_CHECK_MAX));
                return Some(now.after(wait).min(self.deadline_at));
            }
            (PaymentState::Failed(_), ChargeState::Unknown | ChargeState::Open) => {
                self.jittered(doubled(RECOVERY_CHECK_FIRST, self.checks, RECOVERY_CHECK_MAX))
            }
            (PaymentState::Failed(_), ChargeState::Closed | ChargeState::Paid) => {
                self.jittered(doubled(LATE_CHECK_FIRST, self.checks, LATE_CHECK_MAX))
            }
        };
        let next = now.after(wait);
        let watched = self.final_at.is_none_or(|at| next.since(at) <= LATE_WATCH);
        watched.then_some(next)
    }

    /// Spreads checks by up to a quarter, the same way each time for one payment and check.
    fn jittered(&self, wait: Duration) -> Duration {
        let mixed = self
            .tx_id
            .get()
            .wrapping_add(i64::from(self.checks))
            .wrapping_mul(0x2545_F491_4F6C_DD1D)
            .rotate_left(17);
        let permille = u32::try_from(mixed.rem_euclid(250)).unwrap_or(0);
        wait + wait * permille / 1000
    }
}

impl PaymentRecord {
    fn enter(&mut self, state: PaymentState) -> Effect {
        self.state = state;
        Effect::Moved
    }

    fn fail(&mut self, failure: Failure, now: Timestamp) -> Effect {
        self.final_at = Some(now);
        self.first_failure.get_or_insert(FirstFailure { at: now, reason: failure.reason });
        self.enter(PaymentState::Failed(failure))
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

/// First look at a pending payment after 10 s, which is also the least distance that Midtrans
/// advises (`docs/midtrans.md`, "GET status"); then twice as long each time.
const PENDING_CHECK_FIRST: Duration = Duration::from_secs(10);
const PENDING_CHECK_MAX: Duration = Duration::from_secs(300);
/// An initialized payment belongs to the call that made it for as long as that call may run
/// (30 s); a worker that finds one later knows that the call is dead.
const INITIALIZED_CHECK: Duration = Duration::from_secs(60);
/// The session is over but Midtrans did not answer: ask often, the PSP waits.
const OVERDUE_CHECK_FIRST: Duration = Duration::from_secs(5);
const OVERDUE_CHECK_MAX: Duration = Duration::from_secs(60);
/// A charge that may be open although we said FAILED: close it soon.
const RECOVERY_CHECK_FIRST: Duration = Duration::from_secs(5);
const RECOVERY_CHECK_MAX: Duration = Duration::from_secs(3600);
/// Late money after the end: rare, so look ever more seldom, for three days.
const LATE_CHECK_FIRST: Duration = Duration::from_secs(60);
const LATE_CHECK_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long after its end a payment is asked about late money.
pub const LATE_WATCH: Duration = Duration::from_secs(3 * 24 * 3600);

/// Money that does not fit waits for a person; Midtrans may mend its word meanwhile.
const DOUBT_CHECK_FIRST: Duration = Duration::from_secs(60);
const DOUBT_CHECK_MAX: Duration = Duration::from_secs(3600);
/// A person waits for the money to go back.
const RETURN_CHECK_FIRST: Duration = Duration::from_secs(1);
const RETURN_CHECK_MAX: Duration = Duration::from_secs(3600);

/// How long after the session Midtrans may stay silent before we say FAILED/TIMEOUT without it.
/// The charge carries its own expiry, so nobody can pay meanwhile; recovery goes on.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(15 * 60);

fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(16))).min(max)
}

fn session_over() -> Failure {
    Failure::new(FailReason::Timeout, "The session is over; the shopper did not pay in time")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::doubt::Unclear;

    /// A payment as it is stored before its charge is sent.
    pub(crate) fn initialized() -> Payment {
        Payment::open(new_payment(), Rupiah::new(10_000).unwrap())
    }

    /// What is known of a payment when its call comes.
    pub(crate) fn new_payment() -> NewPayment {
        let now = Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap();
        NewPayment {
            tx_id: TxId::new(123_887_123).unwrap(),
            psp: "testclient".into(),
            contract: "TESTCONTRACT".into(),
            channel: Some(Channel::Test),
            account: None,
            merchant_tx_id: None,
            redirect_secret: "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy".into(),
            merchant_redirect_url: None,
            notification_url: Some("https://psp.example/notify".into()),
            nonce: None,
            created_at: now,
            session: Duration::from_secs(3600),
        }
    }

    /// As [`initialized`], with something changed that no event changes.
    pub(crate) fn altered(payment: &Payment, alter: impl FnOnce(&mut PaymentRecord)) -> Payment {
        let mut record = payment.clone().into_record();
        alter(&mut record);
        Payment::restore(record).unwrap()
    }

    /// The charge is open.
    pub(crate) fn created() -> Event {
        Event::ChargeCreated { midtrans_tx_id: "m-1".into(), deeplink: "gojek://x".into() }
    }

    /// The money came, as Midtrans says without a time.
    pub(crate) fn paid() -> Event {
        Event::Paid {
            midtrans_tx_id: "m-1".into(),
            paid_at: None,
            payment_type: Some("gopay".into()),
            payment_option: Some("GOPAY_WALLET".into()),
        }
    }

    /// GET status shows 71 rupiah too many.
    pub(crate) fn doubted() -> Event {
        Event::Doubted(Finding {
            what: Unclear::Amount,
            expected: "10000".into(),
            found: "10071.00".into(),
            status: "settlement".into(),
            midtrans_tx_id: Some("m-1".into()),
            gross: Some(Sen::new(1_007_100)),
            in_rupiah: true,
        })
    }

    fn refused() -> Event {
        Event::ChargeRefused(Failure::new(FailReason::RemoteDecline, "no"))
    }

    fn unclear() -> Event {
        Event::ChargeOutcomeUnknown(Failure::new(FailReason::RemoteError, "?"))
    }

    fn still_open() -> Event {
        Event::StillOpen { midtrans_tx_id: "m-1".into() }
    }

    fn all_events() -> Vec<Event> {
        vec![
            created(),
            refused(),
            unclear(),
            paid(),
            Event::Closed(Closure::Expired),
            Event::Closed(Closure::Cancelled),
            Event::Closed(Closure::Denied),
            Event::Closed(Closure::Failed),
            still_open(),
            Event::NotFound,
            Event::NoAnswer,
            Event::GaveUp,
            Event::CancelRequested,
            doubted(),
            Event::Judged(Verdict::Paid),
            Event::Judged(Verdict::Failed),
            Event::Judged(Verdict::Refund),
            Event::Returned,
            Event::ReturnRefused,
        ]
    }

    #[test]
    fn every_pair_of_state_and_event_goes_where_the_table_says() {
        use Effect as V;
        let start = initialized();
        let early = start.created_at.after(Duration::from_secs(60));
        let pending = start.on(&created(), early).payment;
        let succeeded = pending.on(&paid(), early).payment;
        let failed = pending.on(&Event::Closed(Closure::Expired), early).payment;
        let judged = Event::Judged;
        let doubtful = pending.on(&doubted(), early).payment;
        let returning = doubtful.on(&judged(Verdict::Refund), early).payment;
        let returned = returning.on(&Event::Returned, early).payment;
        let dismissed = doubtful.on(&judged(Verdict::Failed), early).payment;
        #[rustfmt::skip]
        let rows = [
            (&start, created(), "pending", V::Moved, false),
            (&start, refused(), "failed", V::Moved, false),
            (&start, unclear(), "failed", V::Moved, false),
            (&start, paid(), "succeeded", V::Moved, true),
            (&start, Event::Closed(Closure::Cancelled), "failed", V::Moved, true),
            (&start, still_open(), "initialized", V::Noted, false),
            (&start, Event::NotFound, "initialized", V::Same, false),
            (&start, Event::NoAnswer, "initialized", V::Same, false),
            (&start, Event::GaveUp, "failed", V::Moved, true),
            (&start, Event::CancelRequested, "initialized", V::Refused, false),
            (&pending, created(), "pending", V::Refused, false),
            (&pending, refused(), "pending", V::Refused, false),
            (&pending, unclear(), "pending", V::Refused, false),
            (&pending, paid(), "succeeded", V::Moved, true),
            (&pending, Event::Closed(Closure::Expired), "failed", V::Moved, true),
            (&pending, Event::Closed(Closure::Denied), "failed", V::Moved, true),
            (&pending, still_open(), "pending", V::Same, false),
            (&pending, Event::NotFound, "pending", V::Same, false),
            (&pending, Event::NoAnswer, "pending", V::Same, false),
            (&pending, Event::GaveUp, "failed", V::Moved, true),
            (&pending, Event::CancelRequested, "pending", V::Noted, false),
            (&succeeded, created(), "succeeded", V::Refused, false),
            (&succeeded, refused(), "succeeded", V::Refused, false),
            (&succeeded, unclear(), "succeeded", V::Refused, false),
            (&succeeded, paid(), "succeeded", V::Same, false),
            (&succeeded, Event::Closed(Closure::Cancelled), "succeeded", V::Refused, false),
            (&succeeded, still_open(), "succeeded", V::Refused, false),
            (&succeeded, Event::NotFound, "succeeded", V::Refused, false),
            (&succeeded, Event::NoAnswer, "succeeded", V::Refused, false),
            (&succeeded, Event::GaveUp, "succeeded", V::Refused, false),
            (&succeeded, Event::CancelRequested, "succeeded", V::Refused, false),
            (&failed, created(), "failed", V::Refused, false),
            (&failed, refused(), "failed", V::Refused, false),
            (&failed, unclear(), "failed", V::Refused, false),
            (&failed, paid(), "succeeded", V::Moved, true),
            (&failed, Event::Closed(Closure::Expired), "failed", V::Same, false),
            (&failed, still_open(), "failed", V::Noted, false),
            (&failed, Event::NotFound, "failed", V::Same, false),
            (&failed, Event::NoAnswer, "failed", V::Same, false),
            (&failed, Event::GaveUp, "failed", V::Same, false),
            (&failed, Event::CancelRequested, "failed", V::Refused, false),
            (&start, doubted(), "initialized", V::Noted, false),
            (&pending, doubted(), "pending", V::Noted, false),
            (&failed, doubted(), "failed", V::Noted, false),
            (&succeeded, doubted(), "succeeded", V::Refused, false),
            (&start, judged(Verdict::Paid), "initialized", V::Refused, false),
            (&pending, judged(Verdict::Failed), "pending", V::Refused, false),
            (&pending, Event::Returned, "pending", V::Refused, false),
            (&failed, judged(Verdict::Refund), "failed", V::Refused, false),
            (&succeeded, judged(Verdict::Refund), "succeeded", V::Refused, false),
            (&succeeded, Event::ReturnRefused, "succeeded", V::Refused, false),
            (&doubtful, doubted(), "pending", V::Same, false),
            (&doubtful, Event::NotFound, "pending", V::Same, false),
            (&doubtful, Event::NoAnswer, "pending", V::Same, false),
            (&doubtful, Event::GaveUp, "pending", V::Same, false),
            (&doubtful, Event::CancelRequested, "pending", V::Noted, false),
            (&doubtful, still_open(), "pending", V::Noted, false),
            (&doubtful, Event::Closed(Closure::Expired), "failed", V::Moved, true),
            (&doubtful, paid(), "succeeded", V::Moved, true),
            (&doubtful, judged(Verdict::Paid), "succeeded", V::Moved, true),
            (&doubtful, judged(Verdict::Failed), "failed", V::Moved, true),
            (&doubtful, judged(Verdict::Refund), "pending", V::Noted, false),
            (&doubtful, Event::Returned, "pending", V::Refused, false),
            (&doubtful, Event::ReturnRefused, "pending", V::Refused, false),
            (&returning, paid(), "pending", V::Same, false),
            (&returning, Event::Closed(Closure::Cancelled), "pending", V::Same, false),
            (&returning, doubted(), "pending", V::Same, false),
            (&returning, Event::GaveUp, "pending", V::Same, false),
            (&returning, judged(Verdict::Paid), "pending", V::Refused, false),
            (&returning, Event::Returned, "failed", V::Moved, true),
            (&returning, Event::ReturnRefused, "pending", V::Noted, false),
            (&returned, paid(), "failed", V::Same, false),
            (&returned, doubted(), "failed", V::Same, false),
            (&dismissed, doubted(), "failed", V::Same, false),
            (&dismissed, paid(), "succeeded", V::Moved, true),
            (&dismissed, judged(Verdict::Paid), "failed", V::Refused, false),
        ];
        for (from, event, state, effect, owed) in rows {
            let step = from.on(&event, early);
            let case = format!("{:?} on {event:?}", from.state);
            assert_eq!(step.payment.state.as_str(), state, "{case}");
            assert_eq!(step.effect, effect, "{case}");
            assert_eq!(step.delivery_owed, owed, "{case}");
        }
    }

    #[test]
    fn money_that_does_not_fit_is_looked_after_until_a_person_has_decided() {
        let start = initialized();
        let at = start.created_at;
        let doubtful = start.on(&created(), at).payment.on(&doubted(), at).payment;
        let mut later = doubtful.clone();
        for _ in 0..200 {
            let next = later.next_check_at.expect("as long as nobody has decided");
            assert!(next.since(at) >= Duration::from_secs(60));
            later = later.checked(next).on(&doubted(), next).payment;
        }
        assert_eq!(later.state, PaymentState::Pending);
        let early = start.on(&doubted(), at).payment;
        for event in [refused(), unclear(), Event::NoAnswer, Event::GaveUp] {
            assert_eq!(early.on(&event, at).payment.state, PaymentState::Initialized, "{event:?}");
        }
        assert_eq!(later.doubt.as_ref().map(|doubt| doubt.since), Some(at), "since the first look");
        let now = at.after(Duration::from_secs(3600));
        for (verdict, at_risk, looks_on) in [
            (Verdict::Paid, false, false),
            (Verdict::Failed, false, false),
            (Verdict::Refund, true, true),
        ] {
            let decided = later.on(&Event::Judged(verdict), now).payment;
            assert_eq!(decided.at_risk().is_some(), at_risk, "{verdict:?}");
            assert_eq!(decided.next_check_at.is_some(), looks_on, "{verdict:?}");
        }
        let returning = later.on(&Event::Judged(Verdict::Refund), now).payment;
        let returned = returning.on(&Event::Returned, now).payment;
        assert_eq!(returned.state.failure().unwrap().reason, FailReason::LocalDecline);
        assert_eq!((returned.at_risk(), returned.next_check_at), (None, None));
        let refused = returning.on(&Event::ReturnRefused, now).payment;
        assert_eq!((refused.to_return(), refused.at_risk()), (None, later.at_risk()));
    }

    #[test]
    fn the_reason_follows_who_closed_the_charge() {
        let start = initialized();
        let at = start.created_at;
        let pending = start.on(&created(), at).payment;
        let asked = pending.on(&Event::CancelRequested, at).payment;
        let live = altered(&pending, |record| record.channel = Some(Channel::Live));
        for (from, closure, reason) in [
            (&pending, Closure::Expired, FailReason::Timeout),
            (&pending, Closure::Denied, FailReason::RemoteDecline),
            (&pending, Closure::Failed, FailReason::Unknown),
            (&pending, Closure::Cancelled, FailReason::UserAbort),
            (&live, Closure::Cancelled, FailReason::RemoteDecline),
            (&asked, Closure::Cancelled, FailReason::Canceled),
            (&asked, Closure::Expired, FailReason::Timeout),
            (&start, Closure::Cancelled, FailReason::RemoteError),
            (&start, Closure::Expired, FailReason::RemoteError),
            (&start, Closure::Denied, FailReason::RemoteDecline),
        ] {
            let step = from.on(&Event::Closed(closure), at);
            assert_eq!(step.payment.state.failure().unwrap().reason, reason, "{closure:?}");
        }
    }

    #[test]
    fn an_order_that_midtrans_does_not_know_fails_only_when_the_session_is_over() {
        let start = initialized();
        let pending = start.on(&created(), start.created_at).payment;
        let step = pending.on(&Event::NotFound, pending.deadline_at);
        assert_eq!(step.payment.state.failure().unwrap().reason, FailReason::Timeout);
    }

    #[test]
    fn checks_come_at_the_deadline_and_end_after_three_days() {
        let start = initialized();
        let mut payment = start.on(&created(), start.created_at).payment;
        let mut looks = Vec::new();
        while let Some(at) = payment.next_check_at.filter(|at| *at < payment.deadline_at) {
            looks.push(at);
            payment = payment.checked(at);
        }
        assert!(looks.len() > 5 && looks.len() < 40, "{} looks", looks.len());
        assert_eq!(payment.next_check_at, Some(payment.deadline_at));

        let mut failed = payment.on(&Event::Closed(Closure::Expired), payment.deadline_at).payment;
        let end = failed.final_at.unwrap();
        let mut last = end;
        while let Some(at) = failed.next_check_at {
            last = at;
            failed = failed.checked(at);
        }
        assert!(last.since(end) <= LATE_WATCH);
        assert!(last.since(end) > LATE_WATCH / 2, "late money is looked for until {last}");
        assert_eq!(start.on(&refused(), start.created_at).payment.next_check_at, None);
    }

    #[test]
    fn a_check_is_only_ever_moved_forward() {
        let planned = initialized().created_at.after(Duration::from_secs(60));
        let (before, after) =
            (planned.before(Duration::from_secs(1)), planned.after(Duration::from_secs(1)));
        for (next_check_at, at, moved) in [
            (Some(planned), before, Some(before)),
            (Some(planned), planned, None),
            (Some(planned), after, None),
            (None, before, None),
        ] {
            let planned = |next_check_at| {
                Payment(PaymentRecord { next_check_at, ..initialized().into_record() })
            };
            let expected = moved.map(|at| planned(Some(at)));
            assert_eq!(planned(next_check_at).check_at(at), expected, "{next_check_at:?} at {at}");
        }
    }

    proptest::proptest! {
        /// No order of events ever takes money back, or finds money that nobody paid.
        #[test]
        fn no_order_of_events_loses_or_makes_money(picks in proptest::collection::vec((0..19_usize, 0..7200_u64), 0..40)) {
            let mut payment = initialized();
            let mut was_paid = false;
            let mut now = payment.created_at;
            for (pick, seconds) in picks {
                let event = all_events().swap_remove(pick);
                now = now.after(Duration::from_secs(seconds));
                let (in_doubt, returning) = (payment.is_in_doubt(), payment.goes_back());
                let found = matches!(event, Event::Paid { .. });
                let judged = in_doubt && event == Event::Judged(Verdict::Paid);
                was_paid |= (found || judged) && !returning;
                let step = payment.on(&event, now);
                // Money in doubt ends only by a clear word of Midtrans or of a person.
                let decided = event.is_clear() || matches!(event, Event::Judged(_) | Event::Returned);
                proptest::prop_assert!(!in_doubt || decided || step.payment.is_in_doubt());
                let told_as_unpaid = step.effect == Effect::Moved && matches!(step.payment.state, PaymentState::Failed(_));
                proptest::prop_assert!(!in_doubt || decided || !told_as_unpaid, "{:?}", event);
                proptest::prop_assert_eq!(step.payment.at_risk().is_some(), step.payment.is_in_doubt());
                proptest::prop_assert_eq!(step.delivery_owed && step.effect != Effect::Moved, false);
                payment = step.payment;
                proptest::prop_assert_eq!(payment.state == PaymentState::Succeeded, was_paid);
                proptest::prop_assert!(Payment::restore(payment.clone().into_record()).is_ok());
            }
        }
    }
}
