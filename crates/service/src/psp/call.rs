//! One entry for all calls of a PSP: bytes in, answer out.

use std::net::IpAddr;

use bytes::Bytes;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::ppro::call::{self, Envelope, TxType};
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::Form;
use gopay_core::ppro::items::Item;
use gopay_core::ppro::reply::{self, Reply, RequestFailReason};
use gopay_core::rejection::{Rejection, Rule, Subject};
use gopay_store::StoreError;
use secrecy::SecretString;
use tokio::sync::OwnedSemaphorePermit;

use super::form::with_form;
use super::refund::RefundDraft;
use super::transaction::Draft;
use crate::Service;
use crate::admission::CallPermit;
use crate::answer::{Answer, crashed, credentials, overload, refused, transaction_unavailable};
use crate::observe::{UseCase, learn, observed};
use crate::thin::{self, UNAUTHENTICATED_PAUSE};
use crate::{meters, trace};
use metrics::counter;

/// What a decoded call wants; owns what it needs, since the form is gone by then.
enum Dispatch {
    /// Too many calls are running.
    Overload(Reply),
    Verify {
        login: String,
        password: SecretString,
        tx_type: TxType,
        place: OwnedSemaphorePermit,
    },
    /// As much work as a verification, for nothing.
    Spend {
        login: String,
        password: SecretString,
        place: OwnedSemaphorePermit,
    },
    Transaction(Box<Draft>),
    Other(Other),
}

/// How far a call has been let in.
struct Progress {
    /// Where it comes from.
    source: IpAddr,
    /// Its password has just been verified.
    verified: bool,
    /// The time of a verification has been spent.
    paid: bool,
    permit: Option<CallPermit>,
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

impl Service {
    /// Handles a call from its body to its answer. `source` is where it comes from.
    ///
    /// The use case runs to its end even if the caller goes away: a charge that was sent must be
    /// booked.
    pub async fn call(&self, body: Bytes, source: IpAddr) -> Answer {
        let service = self.clone();
        let copy = body.clone();
        let work = Box::pin(async move { service.run(copy, source).await });
        let task = match trace::current() {
            None => tokio::spawn(observed(UseCase::Call, work)),
            context => tokio::spawn(trace::within(context, observed(UseCase::Call, work))),
        };
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

    /// The answer to a call of which parameters of every call are in the query of the address and
    /// not in the body; `None` if there are none.
    #[must_use]
    pub fn misplaced(&self, query: &[u8], body: &[u8]) -> Option<Answer> {
        let read =
            |text: &[u8]| with_form(text, |form, _| (call::common_sent(form), call::tx_type(form)));
        let ((there, kind), (here, own_kind)) = (read(query), read(body));
        let misplaced = there.iter().zip(here).any(|(there, here)| *there && !here);
        let rejection = Rejection { subject: Subject::Body, rule: Rule::InQuery };
        misplaced.then(|| self.answer(&refused(own_kind.or(kind), &rejection)))
    }

    pub(crate) fn answer(&self, reply: &Reply) -> Answer {
        Answer { body: reply.render(self.0.ids.rand()).into_bytes(), overloaded: false }
    }

    async fn run(&self, body: Bytes, source: IpAddr) -> Answer {
        let mut progress = Progress { source, verified: false, paid: false, permit: None };
        // Thrice for the password, and again for an id that was taken, which one clock can cause
        // only by going back.
        for _ in 0..6 {
            let dispatch =
                with_form(&body, |form, items| self.dispatch(form, items, &body, &mut progress));
            match dispatch {
                Dispatch::Overload(reply) => {
                    learn(|seen| seen.outcome = "overloaded");
                    return Answer { overloaded: true, ..self.answer(&reply) };
                }
                Dispatch::Verify { login, password, tx_type, place: _held } => {
                    if !self.verify(&login, password, source).await {
                        return self.answer(&refused(Some(tx_type), &credentials()));
                    }
                    progress.verified = true;
                }
                Dispatch::Spend { login, password, place: _held } => {
                    self.0.directory.spend(&login, password).await;
                    progress.paid = true;
                }
                Dispatch::Transaction(draft) => match self.transact(*draft).await {
                    Ok(answer) => return answer,
                    // The id was taken: plan anew with the next.
                    Err(StoreError::Conflict) => {}
                    Err(error) => return self.answer(&transaction_unavailable(&error)),
                },
                Dispatch::Other(other) => return self.answer(&self.answer_call(other).await),
            }
        }
        self.answer(&transaction_unavailable(&StoreError::Conflict))
    }

    async fn verify(&self, login: &str, password: SecretString, source: IpAddr) -> bool {
        let good = self.0.directory.verify(login, password).await;
        if !good {
            self.turned_away(login, "password");
        }
        self.0.directory.credentials().tried(source, login, good);
        if !good {
            counter!(meters::LOGIN_FAILURES).increment(1);
            if let Some(repeats) = thin::due("a wrong login or password", UNAUTHENTICATED_PAUSE) {
                tracing::warn!(%source, repeats, "a wrong login or password");
            }
        }
        good
    }

    /// Counts a refusal for a login that the directory knows; others could be any text.
    fn turned_away(&self, login: &str, reason: &'static str) {
        if self.0.directory.psp(login).is_some() {
            meters::client_refusal(login, reason);
        }
    }

    async fn answer_call(&self, other: Other) -> Reply {
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

    /// Decides what a call wants, checking in the documented order.
    fn dispatch<'f>(
        &self,
        form: &Form<'f>,
        items: &'f mut Vec<Item>,
        body: &Bytes,
        progress: &mut Progress,
    ) -> Dispatch {
        let envelope = match call::open(form) {
            Ok(envelope) => envelope,
            Err(rejection) => {
                return Dispatch::Other(Other::Answer(refused(call::tx_type(form), &rejection)));
            }
        };
        let Envelope { tx_type, login, password, contract } = envelope;
        learn(|seen| seen.kind = tx_type.name());
        let limits = &self.0.admission;
        let gate = self.0.directory.credentials();
        let secret = || SecretString::from(password.to_owned());
        if !progress.verified && !gate.is_cached(login, password) {
            let place = gate.may_try(progress.source, login).then(|| gate.wait(login)).flatten();
            let Some(place) = place else {
                self.turned_away(login, "login");
                return Dispatch::Overload(overload(tx_type));
            };
            return Dispatch::Verify {
                login: login.to_owned(),
                password: secret(),
                tx_type,
                place,
            };
        }
        learn(|seen| seen.psp = Some(login.to_owned()));
        if progress.permit.is_none() {
            progress.permit = limits.psp_call(tx_type, login);
            learn(|seen| seen.psp = Some(login.to_owned()));
            if progress.permit.is_none() {
                self.turned_away(login, "overloaded");
                return Dispatch::Overload(overload(tx_type));
            }
        }
        let Some(terms) = self.0.directory.contract(login, contract) else {
            // It costs what a wrong password costs, so that nobody learns from the time that a
            // password is right.
            if !progress.verified && !progress.paid {
                let Some(place) = gate.wait(login) else {
                    return Dispatch::Overload(overload(tx_type));
                };
                return Dispatch::Spend { login: login.to_owned(), password: secret(), place };
            }
            self.turned_away(login, "contract");
            return Dispatch::Other(Other::Answer(refused(Some(tx_type), &credentials())));
        };
        if !terms.enabled && tx_type != TxType::Transaction {
            let rejection = Rejection::of(Field::Contractid, Rule::ContractDisabled);
            return Dispatch::Other(Other::Answer(refused(Some(tx_type), &rejection)));
        }
        // TRANSACTION and REFUND report faults in their own order, and record them.
        if !matches!(tx_type, TxType::Transaction | TxType::Refund)
            && let Some(rejection) = form.any_fault()
        {
            return Dispatch::Other(Other::Answer(refused(Some(tx_type), &rejection)));
        }
        let contract = contract.to_owned();
        let wrong = |rejection: Rejection| Other::Answer(refused(Some(tx_type), &rejection));
        let other = match tx_type {
            TxType::Transaction => {
                return Dispatch::Transaction(Box::new(self.draft(form, items, login, terms)));
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
        Dispatch::Other(other)
    }
}
