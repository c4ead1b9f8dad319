//! What operators do about a transaction. Each act is in its trail with who and why, before anything
//! is sent.

use gopay_core::ids::{RefundId, TxId};
use gopay_core::money::Sen;
use gopay_core::payment::{Payment, PaymentState};
use gopay_core::ppro::check;
use gopay_core::refund::{Refund, RefundRequest};
use gopay_core::time::Timestamp;
use gopay_store::{Note, Reserved, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::given_up;
use crate::attention::is_shown;
use crate::describe::log_store_error;
use crate::directory::Contract;
use crate::observe::{UseCase, learn, observed};
use crate::read::{Refunded, Transaction};
use crate::unbroken::{Unbroken, unbroken};
use crate::{Decision, Service, note};

/// Who does something, and why.
///
/// Other members are refused: one of them could stand for who does it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// Who: printable, at most [`Decision::NAME_CHARS_MAX`] characters.
    pub by: String,
    /// Why: printable, at most [`Decision::REASON_CHARS_MAX`] characters.
    pub reason: String,
}

impl Deed {
    fn note(&self, what: &'static str, more: &Value) -> Note {
        let mut detail = json!({"what": what, "by": self.by, "reason": self.reason});
        if let (Some(detail), Some(more)) = (detail.as_object_mut(), more.as_object()) {
            detail.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        note("operator", detail)
    }
}

/// Whether reason and name can be kept and read.
///
/// # Errors
/// [`ActError::Text`] that names the field that is blank, too long or not printable.
pub fn check_texts(reason: &str, by: &str) -> Result<(), ActError> {
    for (field, text, chars_max) in
        [("reason", reason, Decision::REASON_CHARS_MAX), ("by", by, Decision::NAME_CHARS_MAX)]
    {
        if !is_shown(text, chars_max) {
            return Err(ActError::Text { field, chars_max });
        }
    }
    Ok(())
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// A text is not one.
    #[error("{field}: must be printable text of 1 to {chars_max} characters")]
    Text {
        /// Which.
        field: &'static str,
        /// The longest.
        chars_max: usize,
    },
    /// A field does not fit; says which and what would.
    #[error("{0}")]
    Field(String),
    /// There is no such transaction.
    #[error("the store has no transaction {0}")]
    NoPayment(TxId),
    /// Nothing that was answered is missing from the store.
    #[error("nothing is lost")]
    NothingLost,
    /// It cannot be done, or not now; says why.
    #[error("{0}")]
    NotNow(String),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an operator wants to give back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundOrder {
    /// How much, in sen: whole rupiah, at most what is left.
    pub amount_sen: u64,
    /// The REFUNDID to do it under, from [`RefundRoom::refundid`]: sent again, it does nothing more.
    pub refundid: Option<RefundId>,
    /// A reference by which the PSP can ask for it.
    pub merchantrefundid: Option<String>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
}

/// What can be given back.
#[derive(Clone, Debug, Serialize)]
pub struct RefundRoom {
    /// How much is left, in sen.
    pub left_sen: u64,
    /// The last second in which it can be given back, if it was paid.
    pub until: Option<String>,
    /// Why nothing can be given back; none if something can.
    pub closed: Option<String>,
    /// An id that is free: for [`RefundOrder::refundid`].
    pub refundid: RefundId,
}

/// What came of asking GoPay.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// What Midtrans said.
    pub said: String,
    /// The transaction afterwards.
    pub transaction: Transaction,
}

impl Service {
    /// What can be given back of a payment.
    #[must_use]
    pub fn refund_room(&self, payment: &Payment) -> RefundRoom {
        let now = self.now();
        let refundid = self.0.ids.refund_id(payment.tx_id, now);
        let parties = self.parties();
        let contract = parties.directory.contract(&payment.psp, &payment.contract);
        let until = payment.refundable_until(self.settings().refund_window);
        let closed = match contract {
            None => Some(NOT_CONFIGURED.to_owned()),
            Some(contract) => {
                let least = Sen::new(100);
                let request = self.request(payment, contract, refundid, least, None);
                payment.reserve_refund(&request, now).err().map(|why| why.failure().message)
            }
        };
        let left_sen = payment.refundable().get();
        RefundRoom { left_sen, until: until.map(|at| at.to_string()), closed, refundid }
    }

    fn request(
        &self,
        payment: &Payment,
        contract: &Contract,
        refund_id: RefundId,
        amount: Sen,
        reference: Option<String>,
    ) -> RefundRequest {
        RefundRequest {
            refund_id,
            tx_id: payment.tx_id,
            psp: payment.psp.clone(),
            contract: payment.contract.clone(),
            merchant_refund_id: reference,
            currency: "IDR".to_owned(),
            amount,
            descriptor: None,
            terms: contract.refund_terms(self.settings().refund_window),
        }
    }

    /// Gives money back as a PSP's REFUND does: admitted by the same rule, reserved, then sent. The PSP
    /// is not called, as PPRO calls nobody about refunds: it can ask for the REFUNDID, it has less left
    /// to refund, and the refund is in its files.
    ///
    /// It runs to its end even if who asked goes away.
    ///
    /// # Errors
    /// [`ActError`]; nothing was reserved then.
    pub async fn refund_by_operator(
        &self,
        tx_id: TxId,
        order: RefundOrder,
    ) -> Result<Refunded, ActError> {
        let service = self.clone();
        let work = async move {
            learn(|seen| (seen.kind, seen.tx_id) = ("refund", Some(tx_id)));
            service.refund_ordered(tx_id, order).await
        };
        ended(unbroken(observed(UseCase::Operator, Box::pin(work)))).await
    }

    async fn refund_ordered(&self, tx_id: TxId, order: RefundOrder) -> Result<Refunded, ActError> {
        let RefundOrder { amount_sen, refundid, merchantrefundid, reason, by } = order;
        check_texts(&reason, &by)?;
        let reference = merchantrefundid.filter(|text| !text.is_empty());
        if reference.as_deref().is_some_and(|text| check::reference(text).is_err()) {
            let wanted = "merchantrefundid: at most 40 letters, digits, full stops, commas, dashes";
            return Err(ActError::Field(wanted.to_owned()));
        }
        self.nothing_lost()?;
        let payment = self.payment(tx_id).await?;
        let parties = self.parties();
        let contract = parties.directory.contract(&payment.psp, &payment.contract);
        let contract = contract.ok_or_else(|| ActError::NotNow(NOT_CONFIGURED.to_owned()))?;
        let amount = Sen::new(amount_sen);
        let refund_id = match refundid {
            None => self.0.ids.refund_id(tx_id, self.now()),
            Some(refund_id) => {
                if let Some(done) = self.done_before(refund_id, &payment, amount).await? {
                    return Ok(done);
                }
                refund_id
            }
        };
        let request = self.request(&payment, contract, refund_id, amount, reference);
        if let Err(why) = payment.reserve_refund(&request, self.now()) {
            return Err(ActError::NotNow(why.failure().message));
        }
        self.look_before_refund(&request).await?;
        let deed = Deed { by, reason };
        let more = json!({"refund": refund_id.to_string(), "amount_sen": amount_sen});
        self.note_deed(tx_id, &[deed.note("refund", &more)]).await?;
        self.reserve_and_send_ordered(&request).await
    }

    async fn reserve_and_send_ordered(
        &self,
        request: &RefundRequest,
    ) -> Result<Refunded, ActError> {
        let reserve = || self.0.store.refund_reserve(request, self.now());
        match self.retry_while_busy(reserve).await {
            Ok(Reserved::NoPayment) => Err(ActError::NoPayment(request.tx_id)),
            Ok(Reserved::Refused(refund)) => Ok(Refunded::from(&*refund)),
            Ok(Reserved::Admitted(refund, payment)) => {
                let open = Refunded::from(&*refund);
                // From here on money may move: whatever happens, nobody is invited to repeat it.
                Ok(self.send_refund(*refund, &payment, false).await.map_or_else(
                    |error| {
                        log_store_error(&error);
                        open
                    },
                    |sent| Refunded::from(&sent),
                ))
            }
            // The same form, sent twice at once: the other one is under way.
            Err(StoreError::Conflict) => match self.0.store.refund_get(request.refund_id).await? {
                Some(refund) => Ok(Refunded::from(&refund)),
                None => Err(StoreError::Conflict.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The refund of this id, if this order was carried out before.
    async fn done_before(
        &self,
        refund_id: RefundId,
        payment: &Payment,
        amount: Sen,
    ) -> Result<Option<Refunded>, ActError> {
        let Some(known) = self.0.store.refund_get(refund_id).await? else {
            // Numbers of transactions and refunds are apart, so that each names one thing.
            let number = TxId::new(refund_id.get()).ok();
            let taken = match number {
                Some(number) => self.0.store.payment_get(number).await?.is_some(),
                None => true,
            };
            if taken || !self.is_fresh(refund_id) {
                let why = "refundid: it is none that was given out today; open the form again";
                return Err(ActError::NotNow(why.to_owned()));
            }
            return Ok(None);
        };
        let same = |refund: &Refund| {
            refund.tx_id == payment.tx_id && refund.amount.map(|it| it.sen()) == Some(amount)
        };
        if same(&known) {
            return Ok(Some(Refunded::from(&known)));
        }
        Err(ActError::NotNow(format!("refundid: {refund_id} is another refund; ask for another")))
    }

    /// Whether an id is one that was given out for a form today.
    fn is_fresh(&self, refund_id: RefundId) -> bool {
        const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
        const SKEW: std::time::Duration = std::time::Duration::from_secs(300);
        let (now, number) = (self.now(), refund_id.get());
        (TxId::floor_of(now.before(DAY))..TxId::floor_of(now.after(SKEW))).contains(&number)
    }

    /// Ends a pending payment as CANCELTX does; the PSP is told FAILED.
    ///
    /// # Errors
    /// [`ActError`]; nothing was sent then.
    pub async fn cancel_by_operator(
        &self,
        tx_id: TxId,
        deed: Deed,
    ) -> Result<Transaction, ActError> {
        check_texts(&deed.reason, &deed.by)?;
        self.nothing_lost()?;
        match &self.payment(tx_id).await?.state {
            PaymentState::Pending => {}
            PaymentState::Initialized => return Err(ActError::NotNow(OPENING.to_owned())),
            state @ (PaymentState::Succeeded | PaymentState::Failed(_)) => {
                let why =
                    format!("it is {}, and only a pending one can be cancelled", state.as_str());
                return Err(ActError::NotNow(why));
            }
        }
        let service = self.clone();
        let work = async move {
            learn(|seen| (seen.kind, seen.tx_id) = ("cancel", Some(tx_id)));
            service.cancel_payment(tx_id, &[deed.note("cancel", &Value::Null)]).await
        };
        let work = unbroken(observed(UseCase::Operator, Box::pin(work)));
        Ok(Transaction::from(&ended(work).await?.payment))
    }

    /// Asks Midtrans about a payment now, and goes by what it says; about one that was paid, also what
    /// went back.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn ask_by_operator(&self, tx_id: TxId, deed: Deed) -> Result<Asked, ActError> {
        check_texts(&deed.reason, &deed.by)?;
        let payment = self.payment(tx_id).await?;
        if payment.state == PaymentState::Initialized {
            return Err(ActError::NotNow(OPENING.to_owned()));
        }
        let service = self.clone();
        let work = async move {
            learn(|seen| (seen.kind, seen.tx_id) = ("ask", Some(tx_id)));
            let notes = vec![deed.note("ask", &Value::Null)];
            let (asked, applied) = service.ask_and_apply(&payment, notes).await?;
            if applied.payment.state == PaymentState::Succeeded {
                service.look_at_refunds(&applied.payment, true).await?;
            } else {
                // What follows from the answer is the worker's.
                service.poll_soon(tx_id).await?;
            }
            Ok::<_, StoreError>((asked.said, applied.payment))
        };
        let work = unbroken(observed(UseCase::Operator, Box::pin(work)));
        let (said, payment) = ended(work).await?;
        Ok(Asked { said, transaction: Transaction::from(&payment) })
    }

    /// Makes the last notification of a payment due again.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn redeliver_by_operator(&self, tx_id: TxId, deed: &Deed) -> Result<(), ActError> {
        check_texts(&deed.reason, &deed.by)?;
        self.payment(tx_id).await?;
        self.note_deed(tx_id, &[deed.note("redeliver", &Value::Null)]).await?;
        let again = || self.0.store.delivery_again(tx_id, self.now());
        if !self.retry_while_busy(again).await? {
            return Err(ActError::NotNow("it has no notification yet".to_owned()));
        }
        self.0.wake.notify_waiters();
        Ok(())
    }

    /// Makes all notifications due again that were given up since a time; how many.
    ///
    /// # Errors
    /// [`ActError`]; some may be due then.
    pub async fn redeliver_since(&self, since: Timestamp, deed: &Deed) -> Result<usize, ActError> {
        check_texts(&deed.reason, &deed.by)?;
        let wanted = given_up(self.0.store.as_ref(), since).await?;
        for tx_id in &wanted {
            self.redeliver_by_operator(*tx_id, deed).await?;
        }
        Ok(wanted.len())
    }

    /// A store that went back may have lost refunds too: no money moves by it.
    fn nothing_lost(&self) -> Result<(), ActError> {
        if self.lost().is_empty() {
            return Ok(());
        }
        let why = "payments are missing from the store; first somebody has to acknowledge that";
        Err(ActError::NotNow(why.to_owned()))
    }

    async fn payment(&self, tx_id: TxId) -> Result<Payment, ActError> {
        self.0.store.payment_get(tx_id).await?.ok_or(ActError::NoPayment(tx_id))
    }

    async fn note_deed(&self, tx_id: TxId, notes: &[Note]) -> Result<(), StoreError> {
        self.retry_while_busy(|| self.0.store.payment_note(tx_id, notes, self.now())).await
    }
}

const NOT_CONFIGURED: &str = "its contract is not in the config";
const OPENING: &str = "it is just being opened; try again in a minute";

/// What an act came to.
async fn ended<T, E>(work: Unbroken<Result<T, E>>) -> Result<T, ActError>
where
    T: Send,
    E: Send,
    ActError: From<E>,
{
    match work.await {
        Ok(done) => Ok(done?),
        Err(error) => {
            tracing::error!(%error, "an operator's action ended in a bug");
            Err(ActError::NotNow("it ended in a bug; look at its trail before trying again".into()))
        }
    }
}
