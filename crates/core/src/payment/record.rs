//! What is known of a payment, and how it is born.

use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::AccountName;
use crate::doubt::{Doubt, Standing};
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
    /// Where the PSP is notified.
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
pub struct Payment(pub(super) PaymentRecord);

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
        payment.0.set_failed(failure, now);
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
        self.0.set_failed(failure, now);
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

impl Payment {
    /// Stores the answer to the call for its repeats: only a nonce makes those possible, and the
    /// first answer stays, because it may have been given. False if nothing changed.
    pub fn store_answer_once(&mut self, answer: &[u8]) -> bool {
        let stored = self.nonce.is_some() && self.answer.is_none();
        if stored {
            self.0.answer = Some(answer.to_vec());
        }
        stored
    }

    /// Counts `amount` as on its way back to the shopper.
    pub(crate) fn with_refund_reserved(&self, reserved: Sen) -> Self {
        let mut next = self.clone();
        next.0.refund_reserved = reserved;
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

    pub(super) fn goes_back(&self) -> bool {
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
}

impl PaymentRecord {
    pub(super) fn set_failed(&mut self, failure: Failure, now: Timestamp) {
        self.final_at = Some(now);
        self.first_failure.get_or_insert(FirstFailure { at: now, reason: failure.reason });
        self.state = PaymentState::Failed(failure);
    }
}
