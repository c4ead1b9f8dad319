//! One entry for all calls of a PSP: bytes in, answer out.

use std::sync::Arc;

use bytes::Bytes;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::ppro::call::{self, Envelope, TxType};
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::Form;
use gopay_core::ppro::items::Item;
use gopay_core::ppro::reply::{self, Reply, RequestFailReason};
use gopay_core::rejection::{Rejection, Rule, Subject};
use gopay_store::StoreError;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::form::with_form;
use super::login::{tell_refused, verify};
use super::refund::RefundDraft;
use super::transaction::Draft;
use crate::admission::CallPermit;
use crate::answer::{
    Answer, crashed, credentials, over_quota, overload, refused, transaction_unavailable,
};
use crate::credentials::{Attempt, Caller};
use crate::directory::Contract;
use crate::observe::{UseCase, learn, observed, waited_upstream};
use crate::unbroken::unbroken;
use crate::{Parties, Service, meters, trace};

/// What a decoded call wants; owns what it needs, since the form is gone by then.
enum Dispatch {
    /// Too many calls are running.
    Overload(Reply),
    Verify {
        attempt: Attempt,
        tx_type: TxType,
        place: OwnedSemaphorePermit,
    },
    /// As much work as a verification, for nothing.
    Spend {
        attempt: Attempt,
        place: OwnedSemaphorePermit,
    },
    /// A good password, and a contract of somebody else's.
    Foreign(Reply),
    Transaction(Box<Draft>),
    Other(Other),
}

/// How far a call has been let in.
struct Progress {
    caller: Caller,
    /// By whom its password has just been verified; good for nobody else, such as those that
    /// replaced it meanwhile.
    verified: Option<Arc<Parties>>,
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
    /// Handles a call from its body to its answer.
    ///
    /// The use case runs to its end even if the caller goes away: a charge that was sent must be
    /// booked.
    pub async fn call(&self, body: Bytes, caller: impl Into<Caller>) -> Answer {
        let (service, caller) = (self.clone(), caller.into());
        let copy = body.clone();
        let work = Box::pin(async move {
            let began = Instant::now();
            let answer = service.run(copy, caller).await;
            let upstream = waited_upstream();
            let ours = began.elapsed().saturating_sub(upstream);
            service.0.recent.time(service.now(), ours, upstream);
            Answer { upstream, ..answer }
        });
        let ended = match trace::current() {
            None => unbroken(observed(UseCase::Call, work)),
            context => unbroken(trace::within(context, observed(UseCase::Call, work))),
        };
        match ended.await {
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
        Answer::of(reply.render(self.0.ids.rand()).into_bytes())
    }

    async fn run(&self, body: Bytes, caller: Caller) -> Answer {
        let mut progress = Progress { caller, verified: None, paid: false, permit: None };
        // Thrice for the password, and again for an id that was taken, which one clock can cause
        // only by going back.
        for _ in 0..6 {
            let parties = self.parties();
            let dispatch = with_form(&body, |form, items| {
                self.dispatch(form, items, &body, &mut progress, &parties)
            });
            match dispatch {
                Dispatch::Overload(reply) => {
                    learn(|seen| seen.outcome = "overloaded");
                    return Answer { overloaded: true, ..self.answer(&reply) };
                }
                Dispatch::Verify { attempt, tx_type, place } => {
                    let verified = verify(&parties.directory, attempt, &progress.caller);
                    let good = Box::pin(verified).await;
                    drop(place);
                    if !good {
                        parties.directory.credentials().pace(progress.caller.source).await;
                        return self.answer(&refused(Some(tx_type), &credentials()));
                    }
                    progress.verified = Some(parties);
                }
                Dispatch::Spend { attempt, place: _held } => {
                    Box::pin(parties.directory.credentials().spend(attempt)).await;
                    progress.paid = true;
                }
                Dispatch::Foreign(reply) => {
                    parties.directory.credentials().pace(progress.caller.source).await;
                    return self.answer(&reply);
                }
                // Boxed, as all that is large, so that calls that do little carry little.
                Dispatch::Transaction(draft) => match Box::pin(self.transact(draft)).await {
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

    async fn answer_call(&self, other: Other) -> Reply {
        // What is wrong with the store, each call finds for itself; but for payments that it has lost.
        let _ = self.still_known().await;
        match other {
            Other::Answer(reply) => reply,
            Other::Status { contract, tx_id } => self.status(&contract, tx_id).await,
            Other::StatusByReference { contract, reference } => {
                self.status_by_reference(&contract, &reference).await
            }
            Other::Refund(draft) => Box::pin(self.refund(*draft)).await,
            Other::RefundStatus { contract, refund_id } => {
                Box::pin(self.refund_status(&contract, refund_id)).await
            }
            Other::RefundStatusByReference { contract, reference } => {
                Box::pin(self.refund_status_by_reference(&contract, &reference)).await
            }
            Other::Cancel { contract, tx_id, body } => {
                Box::pin(self.cancel(&contract, tx_id, &body)).await
            }
        }
    }

    /// Decides what a call wants, checking in the documented order.
    fn dispatch<'f>(
        &self,
        form: &Form<'f>,
        items: &'f mut Vec<Item>,
        body: &Bytes,
        progress: &mut Progress,
        parties: &Arc<Parties>,
    ) -> Dispatch {
        let envelope = match call::open(form) {
            Ok(envelope) => envelope,
            Err(rejection) => {
                return Dispatch::Other(Other::Answer(refused(call::tx_type(form), &rejection)));
            }
        };
        let Envelope { tx_type, login, password, contract } = envelope;
        learn(|seen| seen.kind = tx_type.name());
        let directory = &parties.directory;
        let gate = directory.credentials();
        let Caller { source, certificate } = &progress.caller;
        // The certificate is asked before any password.
        let known = directory.knows(login, certificate.as_ref());
        let attempt = || directory.attempt(login, password, known);
        let verified =
            known && progress.verified.as_ref().is_some_and(|by| Arc::ptr_eq(by, parties));
        let remembered = known && gate.is_cached(login, password);
        if !verified && !remembered {
            let may_try = gate.may_try(*source, login, known);
            let Some(place) = may_try.then(|| gate.wait(login, known)).flatten() else {
                // Of other logins than those of the config nobody may make series.
                if known {
                    meters::client_refusal(login, "login");
                }
                return Dispatch::Overload(overload(tx_type));
            };
            return Dispatch::Verify { attempt: attempt(), tx_type, place };
        }
        learn(|seen| seen.psp = Some(login.to_owned()));
        let first = progress.permit.is_none();
        let permit = match progress.permit.take() {
            Some(permit) => permit,
            None => match self.0.admission.psp_call(tx_type, login) {
                Ok(permit) => permit,
                Err(why) => {
                    meters::count(meters::TURNED_AWAY, &[("why", why.as_str())]);
                    meters::client_refusal(login, why.as_str());
                    return Dispatch::Overload(overload(tx_type));
                }
            },
        };
        let permit = progress.permit.insert(permit);
        let Some(terms) = directory.contract(login, contract) else {
            // It costs what a wrong password costs, so that nobody learns from the time that a
            // password is right.
            if !verified && !progress.paid {
                let Some(place) = gate.wait(login, true) else {
                    return Dispatch::Overload(overload(tx_type));
                };
                return Dispatch::Spend { attempt: attempt(), place };
            }
            meters::client_refusal(login, "contract");
            tell_refused(&progress.caller, Some(login), "contract");
            return Dispatch::Foreign(refused(Some(tx_type), &credentials()));
        };
        if first && terms.only_test() && !permit.within_quota(tx_type, self.now()) {
            meters::count(meters::TURNED_AWAY, &[("why", "quota")]);
            meters::client_refusal(login, "quota");
            return Dispatch::Other(Other::Answer(over_quota(tx_type)));
        }
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
        if tx_type == TxType::Transaction {
            return Dispatch::Transaction(Box::new(self.draft(form, items, login, terms)));
        }
        Dispatch::Other(self.other(tx_type, form, body, (login, terms)))
    }

    /// What a call without faults wants that makes no payment.
    fn other(
        &self,
        tx_type: TxType,
        form: &Form<'_>,
        body: &Bytes,
        (login, terms): (&str, &Contract),
    ) -> Other {
        let contract = terms.id.clone();
        let wrong = |rejection: Rejection| Other::Answer(refused(Some(tx_type), &rejection));
        match tx_type {
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
            // A payment is drafted before.
            TxType::Transaction | TxType::RequestData => Other::Answer(reply::request_failed(
                RequestFailReason::Unknown,
                "No data available",
            )),
        }
    }
}
