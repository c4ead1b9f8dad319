//! TRANSACTION: check, make durable, open the charge, make that durable, answer.

use bytes::Bytes;
use gopay_core::payment::{
    Channel, Effect, Event, FailReason, Failure, NewPayment, Nonce, Payment, PaymentState,
};
use gopay_core::ppro::call;
use gopay_core::ppro::check;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::Form;
use gopay_core::ppro::items::Item;
use gopay_core::ppro::reply::{self, Reply, Sent};
use gopay_core::ppro::transaction::{self, TransactionRequest};
use gopay_core::rejection::{All, First, Rejection, Rule};
use gopay_core::translate::outcome::Close;
use gopay_core::translate::{ChargeTerms, charge};
use gopay_outbound::Refusal;
use gopay_store::{Applied, Created, Note, StoreError};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::describe::log_store_error;
use crate::desk::Happening;
use crate::directory::Contract;
use crate::hold;
use crate::midtrans::Asked;
use crate::observe::learn;
use crate::{Service, note, trace};

use super::durable::{Intent, Progress};

/// A checked call that is ready to be stored.
pub(crate) struct Draft {
    payment: Payment,
    /// The call, to be kept.
    request: String,
    /// The charge to send; none if the call was refused.
    charge: Option<Bytes>,
    notes: Vec<Note>,
}

impl Draft {
    fn intent(&self) -> Intent<'_> {
        Intent { payment: &self.payment, request: &self.request, notes: &self.notes }
    }
}

/// Notes how a payment stands.
fn learn_state(payment: &Payment) {
    learn(|seen| {
        seen.outcome = payment.state.as_str();
        seen.code = payment.state.failure().map(|failure| failure.reason.as_str());
    });
}

/// What is wrong, and what would pass, as the trail has it.
fn described(rejection: Rejection) -> Value {
    json!({
        "code": rejection.code(),
        "field": rejection.subject.to_string(),
        "wanted": rejection.wanted(),
        "source": rejection.source(),
    })
}

/// What else is wrong with a call whose answer names the first fault. Only refused calls are looked
/// through once more.
fn further<'f>(
    form: &Form<'f>,
    items: &'f mut Vec<Item>,
    contract: &Contract,
    first: Rejection,
) -> Vec<Value> {
    /// A cart may be wrong in every item; nobody mends more at once.
    const MORE_MAX: usize = 20;
    let mut all = All::default();
    if contract.enabled {
        let _ = transaction::check(form, items, contract.terms(), &mut all);
    }
    let others = all.0.into_iter().filter(|one| *one != first);
    others.take(MORE_MAX).map(described).collect()
}

impl Service {
    /// Checks a call and translates it. A refused call is recorded too, under an id of its own.
    pub(crate) fn draft<'f>(
        &self,
        form: &Form<'f>,
        items: &'f mut Vec<Item>,
        login: &str,
        contract: &Contract,
    ) -> Draft {
        let new = self.new_payment(form, login, contract);
        let request = call::record(form);
        let mut first = First::default();
        let order = if contract.enabled {
            transaction::check(form, &mut *items, contract.terms(), &mut first)
                .filter(|order| self.has_receiver(order, &mut first))
        } else {
            first.0 = Some(Rejection::of(Field::Contractid, Rule::ContractDisabled));
            None
        };
        match (order, first.0) {
            (Some(order), None) => self.accepted(new, request, &order),
            (_, rejection) => {
                let rejection =
                    rejection.unwrap_or(Rejection::of(Field::Orderitems, Rule::Missing));
                let payment = Payment::refused(new, rejection.failure());
                learn(|seen| (seen.outcome, seen.code) = ("refused", Some(rejection.code())));
                let mut detail = described(rejection);
                let more = further(form, items, contract, rejection);
                if let Some(members) = detail.as_object_mut().filter(|_| !more.is_empty()) {
                    members.insert("more".to_owned(), Value::Array(more));
                }
                Draft { payment, request, charge: None, notes: vec![note("refused", detail)] }
            }
        }
    }

    /// Whether the notifications of this order can be sent at all, as far as its address tells.
    fn has_receiver(&self, order: &TransactionRequest<'_>, first: &mut First) -> bool {
        let Some(url) = order.notification_url else { return true };
        let receivers = &self.0.receivers;
        let plain = url.get(..5).is_some_and(|begin| begin.eq_ignore_ascii_case("http:"))
            && order.channel == Channel::Live
            && !self.settings().allow_http_receivers
            && !receivers.is_near(url);
        let rule = match receivers.refuses(url) {
            Some(Refusal::Address) => Rule::PrivateAddress,
            Some(Refusal::Port) => Rule::BlockedPort,
            None if plain => Rule::PlainReceiver,
            None => return true,
        };
        first.0 = Some(Rejection::of(Field::Notificationurl, rule));
        false
    }

    /// What is known of the payment before the checks.
    fn new_payment(&self, form: &Form<'_>, login: &str, contract: &Contract) -> NewPayment {
        let now = self.now();
        let good = |field: Field, check: fn(&str) -> Result<(), Rule>| {
            form.get(field).filter(|value| check(value).is_ok()).map(str::to_owned)
        };
        let channel = form.get(Field::Channel).and_then(Channel::from_word);
        let account = channel.and_then(|channel| contract.account(channel));
        let nonce = good(Field::Nonce, |value| check::ascii(value, 255));
        NewPayment {
            tx_id: self.0.ids.tx_id(now),
            psp: login.to_owned(),
            contract: contract.id.clone(),
            channel,
            account: account.cloned(),
            merchant_tx_id: good(Field::Merchanttxid, check::reference),
            redirect_secret: self.0.ids.redirect_secret(),
            merchant_redirect_url: contract.redirect_url.clone(),
            notification_url: contract.notification_url.clone(),
            nonce: nonce.map(|value| Nonce { value, fingerprint: call::fingerprint(form) }),
            created_at: now,
            session: self.settings().session,
        }
    }

    fn accepted(
        &self,
        mut new: NewPayment,
        request: String,
        order: &TransactionRequest<'_>,
    ) -> Draft {
        let own = |url: Option<&str>, other: Option<String>| url.map(str::to_owned).or(other);
        new.merchant_redirect_url = own(order.merchant_redirect_url, new.merchant_redirect_url);
        new.notification_url = own(order.notification_url, new.notification_url);
        let payment = Payment::open(new, order.amount);
        let return_url = self.return_url(&payment);
        let terms = ChargeTerms {
            order_id: payment.tx_id,
            order_time: payment.created_at,
            session: self.settings().session,
            return_url: &return_url,
        };
        let mut body = Vec::with_capacity(1024);
        charge(order, &terms, &mut body);
        let mut detail = json!({"items": order.items.len(), "bytes": body.len()});
        if let (Some(trace), Some(members)) = (trace::current(), detail.as_object_mut()) {
            members.insert("trace".to_owned(), json!(trace.trace_id()));
        }
        Draft { payment, request, charge: Some(body.into()), notes: vec![note("accepted", detail)] }
    }

    /// Runs a drafted call. `Conflict` asks the caller to draft again: the id was taken.
    pub(crate) async fn transact(&self, mut draft: Box<Draft>) -> Result<Answer, StoreError> {
        let refused = draft.charge.is_none();
        let refusal = refused.then(|| self.render_refused(&draft.payment, &draft.request));
        if let Some(refusal) = &refusal {
            draft.payment.store_answer_once(refusal);
        }
        let until = Instant::now() + hold::PATIENCE;
        let mut progress = Progress::default();
        let created = match self.create(draft.intent(), until, &mut progress).await {
            Err(error) if progress.perhaps && draft.payment.nonce.is_some() => {
                log_store_error(&error);
                return Ok(Answer::of(self.go_on_later(*draft, progress)));
            }
            created => created?,
        };
        let Draft { payment, request, charge, .. } = *draft;
        if let Created::NonceTaken(earlier) = created {
            return Box::pin(self.repeat(*earlier, payment, &request)).await;
        }
        let Some(body) = charge else {
            self.0.recent.count(self.now(), Happening::Refused);
            return Ok(Answer::of(refusal.unwrap_or_default()));
        };
        learn(|seen| seen.tx_id = Some(payment.tx_id));
        let (event, notes) = self.open_charge(&payment, body).await;
        let body = self.book(payment, &event, &notes).await;
        Ok(Answer::of(body))
    }

    /// The answer to a call with a nonce of which nobody knows whether it was stored. It goes on in the
    /// background, as it does when its PSP hangs up, so that its repeat has an answer as soon as the
    /// store is back.
    fn go_on_later(&self, draft: Draft, progress: Progress) -> Vec<u8> {
        learn(|seen| (seen.tx_id, seen.outcome) = (Some(draft.payment.tx_id), "unavailable"));
        let text = "The call could not be stored yet; repeat it with the same nonce";
        let answer = self.render_fault(&draft.payment, text);
        // Without room to wait a worker closes what may be there.
        if progress.held.is_some() {
            let service = self.clone();
            tokio::spawn(async move { service.go_on(draft, progress).await });
        }
        answer
    }

    async fn go_on(&self, draft: Draft, mut progress: Progress) {
        let until = Instant::now() + hold::LATER;
        match self.create(draft.intent(), until, &mut progress).await {
            Ok(Created::New) => {
                // What was refused at once has its answer with it.
                let Some(body) = draft.charge else { return };
                let (event, notes) = self.open_charge(&draft.payment, body).await;
                self.book(draft.payment, &event, &notes).await;
            }
            // A repeat was faster.
            Ok(Created::NonceTaken(_)) | Err(StoreError::Conflict) => {}
            Err(error) => {
                log_store_error(&error);
                self.let_go(draft.payment.tx_id).await;
            }
        }
    }

    /// Makes the charge's outcome durable, then answers.
    async fn book(&self, payment: Payment, event: &Event, notes: &[Note]) -> Vec<u8> {
        let expected = payment.on(event, self.now()).payment;
        let body = self.render(&expected);
        learn_state(&expected);
        let repeatable = payment.nonce.as_ref().map(|_| body.as_slice());
        let until = Instant::now() + hold::PATIENCE;
        match self.apply_until(until, payment.tx_id, event, repeatable, notes).await {
            Ok(Applied { payment, effect, .. }) => {
                if effect == Effect::Moved {
                    return self.store_answer(&payment, body).await;
                }
                // A notification was faster, or a worker, because this call took too long: what is
                // stored is the truth.
                learn_state(&payment);
                let body = self.render(&payment);
                self.store_answer(&payment, body).await
            }
            Err(error) => {
                log_store_error(&error);
                learn(|seen| seen.outcome = "unavailable");
                self.book_later(payment, expected, body, event.clone(), notes.to_vec())
            }
        }
    }

    /// The answer to a call whose outcome could not be stored in its time. With a nonce that is tried
    /// on, so that a repeat has its answer; otherwise the charge is cancelled, which nobody has seen.
    fn book_later(
        &self,
        payment: Payment,
        expected: Payment,
        body: Vec<u8>,
        event: Event,
        notes: Vec<Note>,
    ) -> Vec<u8> {
        let held = payment.nonce.as_ref().and_then(|_| self.0.hold.enter(body.len()));
        let Some(held) = held else {
            // What the store holds is not known: initialized, and a worker will close what may
            // exist at Midtrans; or pending after all, so it is closed from here too.
            self.cancel_in_background(expected);
            let text =
                "The outcome could not be stored; the charge is being undone; ask GETTXSTATUS";
            return self.render_fault(&payment, text);
        };
        let text = "The outcome could not be stored yet; repeat the call with the same nonce";
        let answer = self.render_fault(&payment, text);
        let service = self.clone();
        tokio::spawn(async move {
            let until = Instant::now() + hold::LATER;
            let tx_id = payment.tx_id;
            let applied = service.apply_until(until, tx_id, &event, Some(&body), &notes).await;
            if let Err(error) = applied {
                log_store_error(&error);
                service.cancel_in_background(expected);
            }
            drop(held);
        });
        answer
    }

    /// The answer about a payment whose call is over: the stored one, which `body` becomes if
    /// there was none, so that every repeat gets the same bytes.
    async fn store_answer(&self, payment: &Payment, body: Vec<u8>) -> Vec<u8> {
        if payment.nonce.is_none() {
            return body;
        }
        if let Some(answer) = &payment.answer {
            return answer.clone();
        }
        let store = &self.0.store;
        let stored = self.retry_while_busy(|| store.payment_answer(payment.tx_id, &body));
        match Box::pin(stored).await {
            Ok(stored) => stored.into_record().answer.unwrap_or(body),
            Err(error) => {
                log_store_error(&error);
                let text = "The answer could not be stored; repeat the call or ask GETTXSTATUS";
                self.render_fault(payment, text)
            }
        }
    }

    /// Cancels a charge that was answered as failed.
    fn cancel_in_background(&self, payment: Payment) {
        let service = self.clone();
        tokio::spawn(async move {
            let Asked { event, notes, .. } = service.close(&payment, Close::Cancel).await;
            if let Err(error) = service.apply(payment.tx_id, &event, None, &notes).await {
                log_store_error(&error);
            }
        });
    }

    /// The answer about a payment whose call was accepted.
    fn render(&self, payment: &Payment) -> Vec<u8> {
        self.render_with(payment, &Sent::default())
    }

    /// The answer about a payment whose call was refused at once.
    fn render_refused(&self, payment: &Payment, request: &str) -> Vec<u8> {
        self.render_with(payment, &Sent::of(request))
    }

    fn render_with(&self, payment: &Payment, sent: &Sent) -> Vec<u8> {
        self.bytes(&reply::transaction(payment, sent, || self.redirect_url(payment)))
    }

    /// The answer to a call whose outcome a fault of ours kept from the store.
    fn render_fault(&self, payment: &Payment, text: &str) -> Vec<u8> {
        let fault = Failure::new(FailReason::LocalError, text);
        self.bytes(&reply::transaction_fault(payment, &fault))
    }

    fn bytes(&self, reply: &Reply) -> Vec<u8> {
        reply.render(self.0.ids.rand()).into_bytes()
    }

    /// Answers a call whose nonce was used before: the stored answer if the content is the same.
    async fn repeat(
        &self,
        earlier: Payment,
        repeat: Payment,
        request: &str,
    ) -> Result<Answer, StoreError> {
        let fingerprint = |payment: &Payment| payment.nonce.as_ref().map(|nonce| nonce.fingerprint);
        if fingerprint(&earlier) != fingerprint(&repeat) {
            return self.refuse_reused_nonce(&earlier, repeat, request).await;
        }
        learn(|seen| (seen.tx_id, seen.outcome) = (Some(earlier.tx_id), "repeated"));
        let first = self.wait_for_first(earlier).await?;
        // A call that was refused at once has had its answer stored with it.
        let body = self.render(&first);
        let body = match first.state {
            // Still being opened: it is pending, has no address to go to yet, and its answer is
            // its own call's to give.
            PaymentState::Initialized => body,
            PaymentState::Pending | PaymentState::Succeeded | PaymentState::Failed(_) => {
                self.store_answer(&first, body).await
            }
        };
        Ok(Answer::of(body))
    }

    async fn refuse_reused_nonce(
        &self,
        earlier: &Payment,
        repeat: Payment,
        request: &str,
    ) -> Result<Answer, StoreError> {
        let failure = Rejection::of(Field::Nonce, Rule::NonceReused).failure();
        let refused = repeat.refused_for_nonce(failure, earlier.channel);
        let notes = [note("refused", json!({"code": "nonce_reused", "field": "nonce"}))];
        let store = &self.0.store;
        self.retry_while_busy(|| store.payment_create(&refused, request, &notes)).await?;
        Ok(Answer::of(self.render_refused(&refused, request)))
    }
}
