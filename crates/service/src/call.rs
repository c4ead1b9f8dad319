//! One entry for all calls of a PSP: bytes in, answer out.

use std::cell::RefCell;

use bytes::Bytes;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{FailReason, Failure, Payment};
use gopay_core::ppro::call::{self, Envelope, TxType};
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::reply::{self, Reply, RequestFailReason, Sent};
use gopay_core::rejection::{Rejection, Rule, Subject};
use gopay_store::{Found, StoreError};
use secrecy::SecretString;
use tokio::sync::OwnedSemaphorePermit;

use crate::Service;
use crate::accept::Draft;
use crate::directory::Verdict;
use crate::refund::RefundDraft;
use crate::rooms::Place;

/// An answer to a PSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The line to send.
    pub body: Vec<u8>,
    /// The call was not taken because too many are running.
    pub overloaded: bool,
}

/// What a decoded call wants; owns what it needs, since the form is gone by then.
enum Plan {
    /// There is no room for it.
    Overload(Reply),
    Verify {
        login: String,
        password: SecretString,
        tx_type: TxType,
        place: OwnedSemaphorePermit,
    },
    Transaction(Box<Draft>),
    Other(Other),
}

/// How far a call has been let in.
#[derive(Default)]
struct Admission {
    /// Its password has just been verified.
    verified: bool,
    place: Option<Place>,
}

/// A call that makes no payment.
enum Other {
    Answer(Reply),
    Status { contract: String, tx_id: Option<TxId> },
    StatusByReference { contract: String, reference: String },
    Refund(Box<RefundDraft>),
    RefundStatus { contract: String, refund_id: Option<RefundId> },
    RefundStatusByReference { contract: String, reference: String },
    Cancel { contract: String, tx_id: Option<TxId>, body: Bytes },
}

thread_local! {
    /// Buffers for decoding, one set a thread; never held across an await.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

impl Service {
    /// Handles a call from its body to its answer.
    ///
    /// The use case runs to its end even if the caller goes away: a charge that was sent must be
    /// booked.
    pub async fn call(&self, body: Bytes) -> Answer {
        let service = self.clone();
        let copy = body.clone();
        // Boxed, because a task is copied several times on its way, and this one is large.
        let task = tokio::spawn(Box::pin(async move { service.run(copy).await }));
        match task.await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(error = %error, "a call ended in a bug");
                self.answer(&crashed(&body))
            }
        }
    }

    /// The answer to a body that is larger than allowed.
    #[must_use]
    pub fn body_too_long(&self, max: u32) -> Answer {
        let rejection = Rejection { subject: Subject::Body, rule: Rule::BodyTooLong { max } };
        self.answer(&reply::transaction_refused(&rejection.failure()))
    }

    pub(crate) fn answer(&self, reply: &Reply) -> Answer {
        Answer { body: reply.render(self.0.mint.rand()).into_bytes(), overloaded: false }
    }

    async fn run(&self, body: Bytes) -> Answer {
        let mut place = Admission::default();
        // Twice for the password, and again for an id that was taken, which one clock can cause
        // only by going back.
        for _ in 0..5 {
            let plan = self.with_form(&body, |service, form, items| {
                service.plan(form, items, &body, &mut place)
            });
            match plan {
                Plan::Overload(reply) => {
                    return Answer { overloaded: true, ..self.answer(&reply) };
                }
                Plan::Verify { login, password, tx_type, place: _held } => {
                    if !self.0.directory.verify(login, password).await {
                        return self.answer(&refused(Some(tx_type), &credentials()));
                    }
                    place.verified = true;
                }
                Plan::Transaction(draft) => match self.transact(*draft).await {
                    Ok(answer) => return answer,
                    // The id was taken: plan anew with the next.
                    Err(StoreError::Conflict) => {}
                    Err(error) => return self.answer(&transaction_trouble(&error)),
                },
                Plan::Other(other) => return self.answer(&self.settle(other).await),
            }
        }
        self.answer(&transaction_trouble(&StoreError::Conflict))
    }

    async fn settle(&self, other: Other) -> Reply {
        match other {
            Other::Answer(reply) => reply,
            Other::Status { contract, tx_id } => self.status(&contract, tx_id).await,
            Other::StatusByReference { contract, reference } => {
                self.status_by_reference(&contract, &reference).await
            }
            Other::Refund(draft) => self.refund(*draft).await,
            Other::RefundStatus { contract, refund_id } => {
                self.refund_status(&contract, refund_id).await
            }
            Other::RefundStatusByReference { contract, reference } => {
                self.refund_status_by_reference(&contract, &reference).await
            }
            Other::Cancel { contract, tx_id, body } => self.cancel(&contract, tx_id, &body).await,
        }
    }

    pub(crate) fn with_form<T>(
        &self,
        body: &[u8],
        run: impl for<'f> FnOnce(&Self, &Form<'f>, &'f mut Vec<gopay_core::ppro::items::Item>) -> T,
    ) -> T {
        SCRATCH.with_borrow_mut(|scratch| {
            let (form, items) = Form::decode(body, scratch);
            run(self, &form, items)
        })
    }

    /// Decides what a call wants, checking in the documented order.
    fn plan<'f>(
        &self,
        form: &Form<'f>,
        items: &'f mut Vec<gopay_core::ppro::items::Item>,
        body: &Bytes,
        admission: &mut Admission,
    ) -> Plan {
        let envelope = match call::open(form) {
            Ok(envelope) => envelope,
            Err(rejection) => {
                return Plan::Other(Other::Answer(refused(call::tx_type(form), &rejection)));
            }
        };
        let Envelope { tx_type, login, password, contract } = envelope;
        let rooms = &self.0.rooms;
        if !admission.verified && self.0.directory.recall(login, password) == Verdict::Unverified {
            let Some(place) = rooms.stranger() else { return Plan::Overload(overload(tx_type)) };
            let password = SecretString::from(password.to_owned());
            return Plan::Verify { login: login.to_owned(), password, tx_type, place };
        }
        if admission.place.is_none() {
            admission.place = rooms.client(tx_type, login);
            if admission.place.is_none() {
                return Plan::Overload(overload(tx_type));
            }
        }
        let Some(terms) = self.0.directory.contract(login, contract) else {
            return Plan::Other(Other::Answer(refused(Some(tx_type), &credentials())));
        };
        if !terms.enabled && tx_type != TxType::Transaction {
            let rejection = Rejection::of(Field::Contractid, Rule::ContractDisabled);
            return Plan::Other(Other::Answer(refused(Some(tx_type), &rejection)));
        }
        // TRANSACTION and REFUND report faults in their own order, and record them.
        if !matches!(tx_type, TxType::Transaction | TxType::Refund)
            && let Some(rejection) = form.any_fault()
        {
            return Plan::Other(Other::Answer(refused(Some(tx_type), &rejection)));
        }
        let contract = contract.to_owned();
        let wrong = |rejection: Rejection| Other::Answer(refused(Some(tx_type), &rejection));
        let other = match tx_type {
            TxType::Transaction => {
                return Plan::Transaction(Box::new(self.draft(form, items, login, terms)));
            }
            TxType::GetTxStatus => match call::tx_id(form) {
                Ok(tx_id) => Other::Status { contract, tx_id },
                Err(rejection) => wrong(rejection),
            },
            TxType::GetTxStatusByMerchantTxId => match call::required(form, Field::Merchanttxid) {
                Ok(reference) => {
                    Other::StatusByReference { contract, reference: reference.to_owned() }
                }
                Err(rejection) => wrong(rejection),
            },
            TxType::Refund => Other::Refund(Box::new(self.refund_draft(form, login, terms))),
            TxType::GetRefundStatus => match call::refund_id(form) {
                Ok(refund_id) => Other::RefundStatus { contract, refund_id },
                Err(rejection) => wrong(rejection),
            },
            TxType::GetRefundStatusByMerchantRefundId => {
                match call::required(form, Field::Merchantrefundid) {
                    Ok(reference) => {
                        Other::RefundStatusByReference { contract, reference: reference.to_owned() }
                    }
                    Err(rejection) => wrong(rejection),
                }
            }
            TxType::CancelTx => match call::tx_id(form) {
                Ok(tx_id) => Other::Cancel { contract, tx_id, body: body.clone() },
                Err(rejection) => wrong(rejection),
            },
            TxType::RequestData => Other::Answer(reply::request_failed(
                RequestFailReason::Unknown,
                "No data available",
            )),
        };
        Plan::Other(other)
    }

    async fn status(&self, contract: &str, tx_id: Option<TxId>) -> Reply {
        match self.payment_of(contract, tx_id).await {
            Ok(Some(payment)) => self.status_of(&payment).await,
            Ok(None) => tx_not_found(),
            Err(error) => status_trouble(&error),
        }
    }

    async fn status_by_reference(&self, contract: &str, reference: &str) -> Reply {
        match self.0.store.payment_find(contract, reference).await {
            Ok(Found::One(payment)) => self.status_of(&payment).await,
            Ok(Found::None) => tx_not_found(),
            Ok(Found::Many) => {
                reply::status_failed(RequestFailReason::TxNotUnique, "Ambiguous MerchantTxId")
            }
            Err(error) => status_trouble(&error),
        }
    }

    async fn status_of(&self, payment: &Payment) -> Reply {
        match self.sent(payment).await {
            Ok(sent) => reply::status(payment, &sent, || self.redirect_url(payment)),
            Err(error) => status_trouble(&error),
        }
    }

    /// What answers echo of a payment's call.
    async fn sent(&self, payment: &Payment) -> Result<Sent, StoreError> {
        if payment.refused_at_once() {
            Ok(Sent::of(&self.0.store.payment_request(payment.tx_id).await?))
        } else {
            Ok(Sent::default())
        }
    }

    /// A payment of this contract; another's is as good as none.
    pub(crate) async fn payment_of(
        &self,
        contract: &str,
        tx_id: Option<TxId>,
    ) -> Result<Option<Payment>, StoreError> {
        let Some(tx_id) = tx_id else { return Ok(None) };
        let payment = self.0.store.payment_get(tx_id).await?;
        Ok(payment.filter(|payment| payment.contract == contract))
    }
}

pub(crate) fn tx_not_found() -> Reply {
    reply::status_failed(RequestFailReason::TxNotFound, "Transaction not found")
}

/// A status call that the store could not serve.
pub(crate) fn status_trouble(error: &StoreError) -> Reply {
    log_trouble(error);
    reply::status_failed(RequestFailReason::SystemError, "Temporary fault; ask again in 10 seconds")
}

/// A TRANSACTION that the store could not take: nothing was sent to GoPay.
fn transaction_trouble(error: &StoreError) -> Reply {
    log_trouble(error);
    reply::transaction_refused(&local_error())
}

pub(crate) fn log_trouble(error: &StoreError) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(error = %error, source, "the store did not take a step");
}

pub(crate) fn local_error() -> Failure {
    Failure::new(
        FailReason::LocalError,
        "Temporary fault; this call was not sent to GoPay; try again in 10 seconds",
    )
}

fn credentials() -> Rejection {
    Rejection::of(Field::Login, Rule::Credentials)
}

fn overload(kind: TxType) -> Reply {
    let text = "Too many calls at once; nothing was done; try again in 10 seconds";
    fault(Some(kind), text)
}

fn crashed(body: &[u8]) -> Reply {
    // Buffers of its own: a call that crashed may have left the thread's in use.
    let mut scratch = Scratch::new();
    let (form, _) = Form::decode(body, &mut scratch);
    fault(call::tx_type(&form), "Internal fault; ask for the status before trying again")
}

/// An answer in the shape of the call, about a fault of ours.
fn fault(kind: Option<TxType>, message: &str) -> Reply {
    let failure = Failure::new(FailReason::LocalError, message);
    refused_with(kind, &failure, RequestFailReason::SystemError)
}

/// The answer to a call that was refused before its own rules came up: no id is assigned.
fn refused(kind: Option<TxType>, rejection: &Rejection) -> Reply {
    let about_credentials = matches!(
        rejection.subject,
        Subject::Field(Field::Login | Field::Password | Field::Contractid)
    );
    let reason =
        if about_credentials { RequestFailReason::AuthError } else { RequestFailReason::Unknown };
    refused_with(kind, &rejection.failure(), reason)
}

fn refused_with(kind: Option<TxType>, failure: &Failure, reason: RequestFailReason) -> Reply {
    match kind {
        None | Some(TxType::Transaction) => reply::transaction_refused(failure),
        Some(TxType::Refund) => reply::refund_refused(failure, None),
        Some(TxType::GetTxStatus | TxType::GetTxStatusByMerchantTxId | TxType::CancelTx) => {
            reply::status_failed(reason, &failure.message)
        }
        Some(TxType::GetRefundStatus | TxType::GetRefundStatusByMerchantRefundId) => {
            reply::refund_status_failed(reason, &failure.message)
        }
        Some(TxType::RequestData) => reply::request_failed(reason, &failure.message),
    }
}
