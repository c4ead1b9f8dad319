//! TRANSACTION: check, make durable, open the charge, make that durable, answer.

use std::time::Duration;

use bytes::Bytes;
use gopay_core::ids::TxId;
use gopay_core::money::Sen;
use gopay_core::payment::{
    Channel, Event, FailReason, Failure, Payment, PaymentState, Upstream, Verdict,
};
use gopay_core::ppro::call;
use gopay_core::ppro::check;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::Form;
use gopay_core::ppro::items::Item;
use gopay_core::ppro::reply::{self, Sent};
use gopay_core::ppro::transaction::{self, Order};
use gopay_core::rejection::{First, Rejection, Rule};
use gopay_core::translate::{ChargeTerms, charge};
use gopay_store::{Applied, Created, Note, StoreError};
use serde_json::json;

use crate::call::{Answer, log_trouble};
use crate::directory::Contract;
use crate::news::Close;
use crate::{Service, note};

/// A call that is ready to be stored.
pub(crate) struct Draft {
    payment: Payment,
    /// The call, to be kept.
    request: String,
    /// The charge to send; none if the call was refused.
    charge: Option<Bytes>,
    notes: Vec<Note>,
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
        let mut payment = self.blank(form, login, contract);
        let request = call::record(form);
        let mut first = First::default();
        let order = if contract.enabled {
            transaction::check(form, items, contract.terms(), &mut first)
        } else {
            first.0 = Some(Rejection::of(Field::Contractid, Rule::ContractDisabled));
            None
        };
        match (order, first.0) {
            (Some(order), None) => self.accepted(payment, request, &order, contract),
            (_, rejection) => {
                let rejection =
                    rejection.unwrap_or(Rejection::of(Field::Orderitems, Rule::Missing));
                refuse(&mut payment, rejection.failure());
                let detail = json!({
                    "code": rejection.code(),
                    "field": rejection.subject.to_string(),
                    "wanted": rejection.wanted(),
                    "source": rejection.source(),
                });
                Draft { payment, request, charge: None, notes: vec![note("refused", detail)] }
            }
        }
    }

    /// The payment as far as it can be known before the checks.
    fn blank(&self, form: &Form<'_>, login: &str, contract: &Contract) -> Payment {
        let now = self.now();
        let good = |field: Field, check: fn(&str) -> Result<(), Rule>| {
            form.get(field).filter(|value| check(value).is_ok()).map(str::to_owned)
        };
        let nonce = good(Field::Nonce, |value| check::ascii(value, 255));
        let fingerprint = if nonce.is_some() { call::fingerprint(form) } else { [0; 32] };
        Payment {
            tx_id: self.0.mint.tx_id(now),
            client: login.to_owned(),
            contract: contract.id.clone(),
            channel: form.get(Field::Channel).and_then(Channel::from_word),
            merchant_tx_id: good(Field::Merchanttxid, check::reference),
            amount: None,
            state: PaymentState::Initialized,
            failure: None,
            // The charge may be on its way as soon as this is durable.
            upstream: Upstream::Unclear,
            midtrans_tx_id: None,
            deeplink: None,
            redirect_secret: self.0.mint.redirect_secret(),
            merchant_redirect_url: contract.redirect_url.clone(),
            notification_url: contract.notification_url.clone(),
            nonce,
            fingerprint,
            answer: None,
            created_at: now,
            deadline_at: now.after(self.settings().session),
            final_at: None,
            paid_at: None,
            cancel_requested: false,
            refund_reserved: Sen::ZERO,
            next_check_at: None,
            checks: 0,
        }
    }

    fn accepted(
        &self,
        mut payment: Payment,
        request: String,
        order: &Order<'_>,
        contract: &Contract,
    ) -> Draft {
        payment.amount = Some(order.amount);
        let own = |url: Option<&str>, other: &Option<String>| {
            url.map(str::to_owned).or_else(|| other.clone())
        };
        payment.merchant_redirect_url = own(order.merchant_redirect_url, &contract.redirect_url);
        payment.notification_url = own(order.notification_url, &contract.notification_url);
        // Initialized payments are checked too: the call that owns this one may die.
        payment = payment.checked(payment.created_at);
        payment.checks = 0;
        let return_url = self.return_url(&payment);
        let terms = ChargeTerms {
            order_id: payment.tx_id,
            order_time: payment.created_at,
            session: self.settings().session,
            return_url: &return_url,
        };
        let mut body = Vec::with_capacity(1024);
        charge(order, &terms, &mut body);
        let detail = json!({"items": order.items.len(), "bytes": body.len()});
        Draft { payment, request, charge: Some(body.into()), notes: vec![note("accepted", detail)] }
    }

    /// Runs a drafted call. `Conflict` asks the caller to draft again: the id was taken.
    pub(crate) async fn transact(&self, draft: Draft) -> Result<Answer, StoreError> {
        let Draft { mut payment, request, charge, notes } = draft;
        let refusal = charge.is_none().then(|| self.render_refused(&payment, &request));
        if payment.nonce.is_some() {
            payment.answer.clone_from(&refusal);
        }
        let created =
            self.insist(|| self.0.store.payment_create(&payment, &request, &notes)).await?;
        if let Created::NonceTaken(earlier) = created {
            return self.replay(*earlier, payment, &request).await;
        }
        let Some(body) = charge else {
            return Ok(Answer { body: refusal.unwrap_or_default(), overloaded: false });
        };
        let (event, notes) = self.open_charge(&payment, body).await;
        let body = self.book(payment, &event, &notes).await;
        Ok(Answer { body, overloaded: false })
    }

    /// Makes the charge's outcome durable, then answers.
    async fn book(&self, payment: Payment, event: &Event, notes: &[Note]) -> Vec<u8> {
        let expected = payment.on(event, self.now()).payment;
        let body = self.render(&expected);
        let kept = payment.nonce.as_ref().map(|_| body.as_slice());
        match self.apply_firmly(payment.tx_id, event, kept, notes).await {
            Ok(applied) if applied.verdict == Verdict::Moved => {
                self.kept(applied.payment, body).await
            }
            // News was faster, or a worker, because this call took too long: what is stored is
            // the truth.
            Ok(applied) => {
                let body = self.render(&applied.payment);
                self.kept(applied.payment, body).await
            }
            Err(error) => {
                log_trouble(&error);
                // What the store holds is not known: initialized, and a worker will close what may
                // exist at Midtrans; or pending after all, so it is closed from here too.
                self.undo(expected);
                let mut unbooked = payment;
                let text =
                    "The outcome could not be stored; the charge is being undone; ask GETTXSTATUS";
                refuse(&mut unbooked, Failure::new(FailReason::LocalError, text));
                self.render(&unbooked)
            }
        }
    }

    /// The answer to give about a payment whose call is over: the stored one, which `body` becomes
    /// if there was none, so that every repeat gets the same bytes.
    async fn kept(&self, mut payment: Payment, body: Vec<u8>) -> Vec<u8> {
        if payment.nonce.is_none() {
            return body;
        }
        if let Some(answer) = payment.answer {
            return answer;
        }
        let store = &self.0.store;
        match self.insist(|| store.payment_answer(payment.tx_id, &body)).await {
            Ok(stored) => stored.answer.unwrap_or(body),
            Err(error) => {
                log_trouble(&error);
                let text = "The answer could not be stored; repeat the call or ask GETTXSTATUS";
                refuse(&mut payment, Failure::new(FailReason::LocalError, text));
                self.render(&payment)
            }
        }
    }

    /// Stores the outcome of a charge; goes on trying for a while when the store is down, because
    /// money may hang on it. Applying twice is harmless.
    async fn apply_firmly(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        notes: &[Note],
    ) -> Result<Applied, StoreError> {
        const PAUSES_MS: [u64; 4] = [100, 400, 1_000, 2_500];
        for pause in PAUSES_MS {
            match self.apply(tx_id, event, answer, notes).await {
                Err(StoreError::Down(source)) => {
                    log_trouble(&StoreError::Down(source));
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                done => return done,
            }
        }
        self.apply(tx_id, event, answer, notes).await
    }

    /// Cancels a charge that was answered as failed, in the background.
    fn undo(&self, payment: Payment) {
        let service = self.clone();
        tokio::spawn(async move {
            let (event, notes) = service.close(&payment, Close::Cancel).await;
            if let Err(error) = service.apply(payment.tx_id, &event, None, &notes).await {
                log_trouble(&error);
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
        let reply = reply::transaction(payment, sent, || self.redirect_url(payment));
        reply.render(self.0.mint.rand()).into_bytes()
    }

    /// Answers a call whose nonce was used before: the stored answer if the content is the same.
    async fn replay(
        &self,
        earlier: Payment,
        mut repeat: Payment,
        request: &str,
    ) -> Result<Answer, StoreError> {
        if earlier.fingerprint != repeat.fingerprint {
            repeat.nonce = None;
            repeat.channel = repeat.channel.or(earlier.channel);
            refuse(&mut repeat, Rejection::of(Field::Nonce, Rule::NonceReused).failure());
            let notes = [note("refused", json!({"code": "nonce_reused", "field": "nonce"}))];
            self.insist(|| self.0.store.payment_create(&repeat, request, &notes)).await?;
            return Ok(Answer { body: self.render_refused(&repeat, request), overloaded: false });
        }
        let first = self.wait_for_first(earlier).await;
        // A call that was refused at once has had its answer stored with it.
        let body = self.render(&first);
        let body = match first.state {
            // Still being opened: it is pending, has no address to go to yet, and its answer is
            // its own call's to give.
            PaymentState::Initialized => body,
            PaymentState::Pending | PaymentState::Succeeded | PaymentState::Failed => {
                self.kept(first, body).await
            }
        };
        Ok(Answer { body, overloaded: false })
    }

    /// Waits while the first call with a nonce runs, at most as long as a call may run.
    async fn wait_for_first(&self, mut first: Payment) -> Payment {
        const STEP: Duration = Duration::from_millis(50);
        let mut left = crate::charge::BUDGET.as_millis() / STEP.as_millis();
        while first.state == PaymentState::Initialized && left > 0 {
            tokio::time::sleep(STEP).await;
            left -= 1;
            // A store in trouble leaves us with what we know: it is pending.
            let read = self.0.store.payment_get(first.tx_id).await;
            first = read.ok().flatten().unwrap_or(first);
        }
        first
    }
}

/// Makes a payment that failed before anything was sent.
fn refuse(payment: &mut Payment, failure: Failure) {
    payment.state = PaymentState::Failed;
    payment.upstream = Upstream::Absent;
    payment.final_at = Some(payment.created_at);
    payment.failure = Some(failure);
    payment.next_check_at = None;
}
