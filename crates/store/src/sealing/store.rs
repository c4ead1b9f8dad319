//! The layer: seals what goes to an engine, opens what comes from it.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{Event, Payment};
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, SeenBack};
use gopay_core::time::Timestamp;

use super::cache::DataKeys;
use super::ring::{KeyProof, KeyRing, WrappedKey};
use super::value::{DataKey, Place, SealError, is_sealed};
use crate::{
    Applied, Archive, AttemptOutcome, AttentionSums, Backlog, ClosedSettlement, Created, Cursor,
    Database, Delivery, DeliveryFilter, Erasure, EventRecord, Filed, Journal, JournalPage,
    KeyChange, KeyOf, Leaving, Listed, Lookup, Note, OrderResolution, Page, PaymentFilter,
    Personal, PersonalData, ReconciliationRun, Reconciliations, RefundFilter, Reserved, ReviewAct,
    Reviews, Rewrapping, Search, SettlementAccount, Settlements, Store, StoreError, StoredBreak,
    Totals, UnknownOrder, Upkeep,
};

pub(super) const REDIRECT_SECRET: &str = "payments.redirect_secret";
pub(super) const MERCHANT_REDIRECT_URL: &str = "payments.merchant_redirect_url";
pub(super) const DEEPLINK: &str = "payments.deeplink";
pub(super) const ANSWER: &str = "payments.answer";
pub(super) const REQUEST: &str = "payment_requests.request";
pub(super) const DETAIL: &str = "events.detail";
pub(super) const DESCRIPTOR: &str = "refunds.descriptor";

/// An engine behind the layer. See the module above.
pub struct SealedStore {
    engine: Arc<dyn Database>,
    ring: RwLock<Arc<KeyRing>>,
    keys: DataKeys,
}

impl SealedStore {
    /// The layer before an engine, whose keys are those of the ring.
    #[must_use]
    pub fn new(engine: Arc<dyn Database>, ring: KeyRing) -> Self {
        Self { engine, ring: RwLock::new(Arc::new(ring)), keys: DataKeys::default() }
    }

    /// Goes by other keys from now on, which [`check_keys`](super::check_keys) was told of.
    pub fn replace_ring(&self, ring: KeyRing) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    pub(super) fn engine(&self) -> &dyn Database {
        self.engine.as_ref()
    }

    pub(super) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The data key of a payment; none if nothing of it is sealed.
    async fn key(&self, tx_id: TxId) -> Result<Option<DataKey>, StoreError> {
        if let Some(key) = self.keys.get(tx_id) {
            return Ok(Some(key));
        }
        let Some(stored) = self.engine.data_key(tx_id).await? else { return Ok(None) };
        let key = self.ring().unwrap(tx_id, &stored);
        let key = key.map_err(|error| error.at("payment_keys.data_key", tx_id))?;
        self.keys.put(tx_id, key.clone());
        Ok(Some(key))
    }

    /// The data key that a stored value is sealed under.
    async fn key_of_sealed(
        &self,
        column: &'static str,
        tx_id: TxId,
    ) -> Result<DataKey, StoreError> {
        if let Some(key) = self.key(tx_id).await? {
            return Ok(key);
        }
        // What was read before an erasure is asked for after it once more.
        match self.engine.erasure_get(tx_id).await? {
            Some(_) => Err(StoreError::Busy),
            None => Err(SealError::Broken.at(column, tx_id)),
        }
    }

    async fn sealed_notes(&self, tx_id: TxId, notes: &[Note]) -> Result<Vec<Note>, StoreError> {
        match notes {
            [] => Ok(Vec::new()),
            notes => match self.key(tx_id).await? {
                Some(key) => seal_notes(&key, tx_id, notes),
                None => Ok(notes.to_vec()),
            },
        }
    }

    async fn open_payment(&self, payment: Payment) -> Result<Payment, StoreError> {
        let texts = [&payment.deeplink, &payment.merchant_redirect_url];
        let sealed = is_sealed(payment.redirect_secret.as_bytes())
            || payment.answer.as_deref().is_some_and(is_sealed)
            || texts.into_iter().flatten().any(|text| is_sealed(text.as_bytes()));
        if !sealed {
            return Ok(payment);
        }
        let tx_id = payment.tx_id;
        let key = self.key_of_sealed(REDIRECT_SECRET, tx_id).await?;
        let mut record = payment.into_record();
        let opener = Opener { key: &key, tx_id };
        opener.text(REDIRECT_SECRET, &mut record.redirect_secret)?;
        opener.texts(MERCHANT_REDIRECT_URL, record.merchant_redirect_url.as_mut())?;
        opener.texts(DEEPLINK, record.deeplink.as_mut())?;
        opener.bytes(ANSWER, record.answer.as_mut())?;
        Payment::restore(record).map_err(|broken| StoreError::Corrupt {
            table: "payments",
            column: broken.0,
            row: tx_id.to_string(),
        })
    }

    async fn open_refund(&self, mut refund: Refund) -> Result<Refund, StoreError> {
        if let Some(text) = refund.descriptor.as_mut().filter(|text| is_sealed(text.as_bytes())) {
            let key = self.key_of_sealed(DESCRIPTOR, refund.tx_id).await?;
            Opener { key: &key, tx_id: refund.tx_id }.text(DESCRIPTOR, text)?;
        }
        Ok(refund)
    }

    async fn sealed_descriptor(
        &self,
        tx_id: TxId,
        descriptor: &mut Option<String>,
    ) -> Result<(), StoreError> {
        if let Some(text) = descriptor
            && let Some(key) = self.key(tx_id).await?
        {
            *text = Sealer { key: &key, tx_id }.text(DESCRIPTOR, text)?;
        }
        Ok(())
    }

    /// Those that open; the others are told to the log and left out, so that one row does not stop the
    /// rest.
    async fn open_payments(&self, payments: Vec<Payment>) -> Result<Vec<Payment>, StoreError> {
        let mut opened = Vec::with_capacity(payments.len());
        for payment in payments {
            opened.extend(readable(self.open_payment(payment).await)?);
        }
        Ok(opened)
    }

    async fn open_refunds(&self, refunds: Vec<Refund>) -> Result<Vec<Refund>, StoreError> {
        let mut opened = Vec::with_capacity(refunds.len());
        for refund in refunds {
            opened.extend(readable(self.open_refund(refund).await)?);
        }
        Ok(opened)
    }

    /// A record that another instance wrote while the payment was erased is sealed under a key that is
    /// no more.
    async fn open_record(&self, tx_id: TxId, record: &mut EventRecord) -> Result<(), StoreError> {
        let Some(sealed) = record.detail.as_str().filter(|text| is_sealed(text.as_bytes())) else {
            return Ok(());
        };
        let key = match self.key_of_sealed(DETAIL, tx_id).await {
            Err(StoreError::Busy) => {
                record.detail = erased_detail();
                return Ok(());
            }
            key => key?,
        };
        let place = Place { tx_id, column: DETAIL, row: &record.kind };
        let detail = key.open_text(place, sealed).map_err(|error| error.at(DETAIL, tx_id))?;
        let parsed = serde_json::from_str(&detail);
        record.detail = parsed.map_err(|_| SealError::Broken.at(DETAIL, tx_id))?;
        Ok(())
    }
}

/// The detail of a record whose content was erased.
#[must_use]
pub fn erased_detail() -> serde_json::Value {
    serde_json::json!({ "erased": true })
}

/// None if the row is not to be read; other errors are everybody's.
fn readable<T>(opened: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match opened {
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(%error, "a row that does not open is left out");
            Ok(None)
        }
        Err(StoreError::Busy) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Seals values of one payment.
pub(super) struct Sealer<'a> {
    pub(super) key: &'a DataKey,
    pub(super) tx_id: TxId,
}

impl Sealer<'_> {
    pub(super) fn text(&self, column: &'static str, plain: &str) -> Result<String, StoreError> {
        self.row(column, "", plain)
    }

    pub(super) fn row(
        &self,
        column: &'static str,
        row: &str,
        plain: &str,
    ) -> Result<String, StoreError> {
        let sealed = self.key.seal_text(Place { tx_id: self.tx_id, column, row }, plain);
        sealed.map_err(|error| error.at(column, self.tx_id))
    }

    pub(super) fn bytes(&self, column: &'static str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let sealed = self.key.seal_bytes(Place { tx_id: self.tx_id, column, row: "" }, plain);
        sealed.map_err(|error| error.at(column, self.tx_id))
    }

    fn payment(&self, payment: &Payment) -> Result<Payment, StoreError> {
        let mut record = payment.clone().into_record();
        record.redirect_secret = self.text(REDIRECT_SECRET, &record.redirect_secret)?;
        if let Some(url) = &mut record.merchant_redirect_url {
            *url = self.text(MERCHANT_REDIRECT_URL, url)?;
        }
        if let Some(deeplink) = &mut record.deeplink {
            *deeplink = self.text(DEEPLINK, deeplink)?;
        }
        if let Some(answer) = &mut record.answer {
            *answer = self.bytes(ANSWER, answer)?;
        }
        Payment::restore(record).map_err(|_| SealError::Broken.at(REDIRECT_SECRET, self.tx_id))
    }
}

fn seal_notes(key: &DataKey, tx_id: TxId, notes: &[Note]) -> Result<Vec<Note>, StoreError> {
    let sealer = Sealer { key, tx_id };
    let sealed = |note: &Note| {
        let detail = sealer.row(DETAIL, note.kind, &note.detail.to_string())?;
        Ok(Note { kind: note.kind, detail: detail.into() })
    };
    notes.iter().map(sealed).collect()
}

/// Opens what is sealed, and leaves what is plain.
struct Opener<'a> {
    key: &'a DataKey,
    tx_id: TxId,
}

impl Opener<'_> {
    fn text(&self, column: &'static str, text: &mut String) -> Result<(), StoreError> {
        if is_sealed(text.as_bytes()) {
            let opened = self.key.open_text(Place { tx_id: self.tx_id, column, row: "" }, text);
            *text = opened.map_err(|error| error.at(column, self.tx_id))?;
        }
        Ok(())
    }

    fn texts(&self, column: &'static str, text: Option<&mut String>) -> Result<(), StoreError> {
        text.map_or(Ok(()), |text| self.text(column, text))
    }

    fn bytes(&self, column: &'static str, bytes: Option<&mut Vec<u8>>) -> Result<(), StoreError> {
        if let Some(bytes) = bytes.filter(|bytes| is_sealed(bytes)) {
            let opened = self.key.open_bytes(Place { tx_id: self.tx_id, column, row: "" }, bytes);
            *bytes = opened.map_err(|error| error.at(column, self.tx_id))?;
        }
        Ok(())
    }
}

impl SealError {
    /// The error of a store, about a value of a payment.
    pub(super) fn at(self, column: &'static str, tx_id: TxId) -> StoreError {
        match self {
            Self::Broken => {
                let (table, column) = column.split_once('.').unwrap_or((column, ""));
                StoreError::Corrupt { table, column, row: tx_id.to_string() }
            }
            Self::NoKey { .. } | Self::NoRandom => StoreError::Down(Box::new(self)),
        }
    }
}

#[async_trait]
impl Store for SealedStore {
    async fn payment_create(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
    ) -> Result<Created, StoreError> {
        let tx_id = payment.tx_id;
        let drawn = self.ring().draw(tx_id).map_err(|error| error.at(REQUEST, tx_id))?;
        let Some((key, wrapped)) = drawn else {
            return self.engine.payment_create(payment, request, notes).await;
        };
        let sealer = Sealer { key: &key, tx_id };
        let sealed = sealer.payment(payment)?;
        let request = sealer.text(REQUEST, request)?;
        let notes = seal_notes(&key, tx_id, notes)?;
        match self.engine.payment_create_sealed(&sealed, &request, &notes, &wrapped).await? {
            Created::New => {
                self.keys.put(tx_id, key);
                Ok(Created::New)
            }
            Created::NonceTaken(earlier) => {
                Ok(Created::NonceTaken(Box::new(self.open_payment(*earlier).await?)))
            }
        }
    }

    async fn payment_apply(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let sealed = self.sealed_event(tx_id, event, answer).await?;
        let (event, answer) = match &sealed {
            Some((event, answer)) => (event, answer.as_deref()),
            None => (event, answer),
        };
        let notes = self.sealed_notes(tx_id, notes).await?;
        let applied = self.engine.payment_apply(tx_id, event, answer, &notes, now).await?;
        Ok(Applied { payment: self.open_payment(applied.payment).await?, ..applied })
    }

    async fn payment_answer(&self, tx_id: TxId, answer: &[u8]) -> Result<Payment, StoreError> {
        let sealed = match self.key(tx_id).await? {
            Some(key) => Sealer { key: &key, tx_id }.bytes(ANSWER, answer)?,
            None => answer.to_vec(),
        };
        self.open_payment(self.engine.payment_answer(tx_id, &sealed).await?).await
    }

    async fn payment_get(&self, tx_id: TxId) -> Result<Option<Payment>, StoreError> {
        match self.engine.payment_get(tx_id).await? {
            Some(payment) => self.open_payment(payment).await.map(Some),
            None => Ok(None),
        }
    }

    async fn payment_request(&self, tx_id: TxId) -> Result<String, StoreError> {
        let mut request = self.engine.payment_request(tx_id).await?;
        if is_sealed(request.as_bytes()) {
            let key = self.key_of_sealed(REQUEST, tx_id).await?;
            Opener { key: &key, tx_id }.text(REQUEST, &mut request)?;
        }
        Ok(request)
    }

    async fn payment_find(
        &self,
        contract: &str,
        merchant_tx_id: &str,
    ) -> Result<Lookup<Payment>, StoreError> {
        match self.engine.payment_find(contract, merchant_tx_id).await? {
            Lookup::One(payment) => self.open_payment(payment).await.map(Lookup::One),
            found @ (Lookup::None | Lookup::Many) => Ok(found),
        }
    }

    async fn payment_find_nonce(
        &self,
        contract: &str,
        nonce: &str,
    ) -> Result<Option<Payment>, StoreError> {
        match self.engine.payment_find_nonce(contract, nonce).await? {
            Some(payment) => self.open_payment(payment).await.map(Some),
            None => Ok(None),
        }
    }

    async fn payment_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Payment>, StoreError> {
        self.open_payments(self.engine.payment_claim_due(now, limit).await?).await
    }

    async fn payment_check_at(&self, tx_id: TxId, at: Timestamp) -> Result<(), StoreError> {
        self.engine.payment_check_at(tx_id, at).await
    }

    async fn payment_note(
        &self,
        tx_id: TxId,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let notes = self.sealed_notes(tx_id, notes).await?;
        self.engine.payment_note(tx_id, &notes, now).await
    }

    async fn refund_reserve(
        &self,
        request: &RefundRequest,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        let mut request = request.clone();
        self.sealed_descriptor(request.tx_id, &mut request.descriptor).await?;
        Ok(match self.engine.refund_reserve(&request, now).await? {
            Reserved::Admitted(refund, payment) => {
                let refund = self.open_refund(*refund).await?;
                Reserved::Admitted(Box::new(refund), Box::new(self.open_payment(*payment).await?))
            }
            Reserved::Refused(refund) => {
                Reserved::Refused(Box::new(self.open_refund(*refund).await?))
            }
            Reserved::NoPayment => Reserved::NoPayment,
        })
    }

    async fn refund_resolve(
        &self,
        refund_id: RefundId,
        outcome: RefundOutcome,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Refund, StoreError> {
        let notes = match notes {
            [] => Vec::new(),
            notes => match self.engine.refund_get(refund_id).await? {
                Some(refund) => self.sealed_notes(refund.tx_id, notes).await?,
                None => return Err(StoreError::Missing { table: "refunds" }),
            },
        };
        let refund = self.engine.refund_resolve(refund_id, outcome, &notes, now).await?;
        self.open_refund(refund).await
    }

    async fn refund_record_refused(
        &self,
        refund: &Refund,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut refund = refund.clone();
        self.sealed_descriptor(refund.tx_id, &mut refund.descriptor).await?;
        self.engine.refund_record_refused(&refund, now).await
    }

    async fn refund_record_elsewhere(
        &self,
        tx_id: TxId,
        seen: &SeenBack,
        ids: &[RefundId],
        now: Timestamp,
    ) -> Result<Vec<Refund>, StoreError> {
        let refunds = self.engine.refund_record_elsewhere(tx_id, seen, ids, now).await?;
        self.open_refunds(refunds).await
    }

    async fn refund_get(&self, refund_id: RefundId) -> Result<Option<Refund>, StoreError> {
        match self.engine.refund_get(refund_id).await? {
            Some(refund) => self.open_refund(refund).await.map(Some),
            None => Ok(None),
        }
    }

    async fn refund_find(
        &self,
        contract: &str,
        merchant_refund_id: &str,
    ) -> Result<Lookup<Refund>, StoreError> {
        match self.engine.refund_find(contract, merchant_refund_id).await? {
            Lookup::One(refund) => self.open_refund(refund).await.map(Lookup::One),
            found @ (Lookup::None | Lookup::Many) => Ok(found),
        }
    }

    async fn refunds_of(&self, tx_id: TxId) -> Result<Vec<Refund>, StoreError> {
        let mut opened = Vec::new();
        for refund in self.engine.refunds_of(tx_id).await? {
            opened.push(self.open_refund(refund).await?);
        }
        Ok(opened)
    }

    async fn refund_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Refund>, StoreError> {
        self.open_refunds(self.engine.refund_claim_due(now, limit).await?).await
    }

    async fn delivery_claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        self.engine.delivery_claim_due(now, lease_until, limit, busy).await
    }

    async fn delivery_record(
        &self,
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        detail: serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let detail = match self.key(delivery.tx_id).await? {
            Some(key) => {
                let sealer = Sealer { key: &key, tx_id: delivery.tx_id };
                sealer.row(DETAIL, crate::engine::KIND_ATTEMPT, &detail.to_string())?.into()
            }
            None => detail,
        };
        self.engine.delivery_record(delivery, outcome, detail, now).await
    }

    async fn delivery_again(&self, tx_id: TxId, now: Timestamp) -> Result<bool, StoreError> {
        self.engine.delivery_again(tx_id, now).await
    }

    async fn order_record(&self, seen: &UnknownOrder) -> Result<UnknownOrder, StoreError> {
        self.engine.order_record(seen).await
    }

    async fn order_resolve(
        &self,
        tx_id: TxId,
        resolution: &OrderResolution,
    ) -> Result<Option<UnknownOrder>, StoreError> {
        self.engine.order_resolve(tx_id, resolution).await
    }

    async fn reclaim(&self, now: Timestamp, lease_until: Timestamp) -> Result<u64, StoreError> {
        self.engine.reclaim(now, lease_until).await
    }

    fn epoch(&self) -> u64 {
        self.engine.epoch()
    }

    fn may_begin(&self) -> bool {
        self.engine.may_begin()
    }

    async fn payments_missing(&self, tx_ids: &[TxId]) -> Result<Vec<TxId>, StoreError> {
        self.engine.payments_missing(tx_ids).await
    }

    async fn ping(&self, now: Timestamp) -> Result<(), StoreError> {
        self.engine.ping(now).await
    }
}

impl SealedStore {
    /// What an event and an answer bring of a person, sealed; none if there is nothing to seal, or
    /// nothing to seal it under.
    async fn sealed_event(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
    ) -> Result<Option<(Event, Option<Vec<u8>>)>, StoreError> {
        let created = matches!(event, Event::ChargeCreated { .. });
        if !created && answer.is_none() {
            return Ok(None);
        }
        let Some(key) = self.key(tx_id).await? else { return Ok(None) };
        let sealer = Sealer { key: &key, tx_id };
        let mut event = event.clone();
        if let Event::ChargeCreated { deeplink, .. } = &mut event {
            *deeplink = sealer.text(DEEPLINK, deeplink)?;
        }
        let answer = answer.map(|answer| sealer.bytes(ANSWER, answer)).transpose()?;
        Ok(Some((event, answer)))
    }
}

#[async_trait]
impl Search for SealedStore {
    async fn payment_trail(&self, tx_id: TxId) -> Result<Vec<EventRecord>, StoreError> {
        let mut trail = self.engine.payment_trail(tx_id).await?;
        for record in &mut trail {
            self.open_record(tx_id, record).await?;
        }
        Ok(trail)
    }

    async fn deliveries_of(&self, tx_id: TxId) -> Result<Vec<Delivery>, StoreError> {
        self.engine.deliveries_of(tx_id).await
    }

    async fn payments_list(
        &self,
        filter: &PaymentFilter,
        page: &Page,
    ) -> Result<Listed<Payment>, StoreError> {
        let Listed { rows, next } = self.engine.payments_list(filter, page).await?;
        Ok(Listed { rows: self.open_payments(rows).await?, next })
    }

    async fn refunds_list(
        &self,
        filter: &RefundFilter,
        page: &Page,
    ) -> Result<Listed<Refund>, StoreError> {
        let Listed { rows, next } = self.engine.refunds_list(filter, page).await?;
        Ok(Listed { rows: self.open_refunds(rows).await?, next })
    }

    async fn deliveries_list(
        &self,
        filter: &DeliveryFilter,
        page: &Page,
    ) -> Result<Listed<Delivery>, StoreError> {
        self.engine.deliveries_list(filter, page).await
    }

    async fn payments_in_doubt(&self, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.open_payments(self.engine.payments_in_doubt(limit).await?).await
    }

    async fn orders_open(&self, limit: usize) -> Result<Vec<UnknownOrder>, StoreError> {
        self.engine.orders_open(limit).await
    }

    async fn order_get(&self, tx_id: TxId) -> Result<Option<UnknownOrder>, StoreError> {
        self.engine.order_get(tx_id).await
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        self.engine.backlog(now).await
    }

    async fn attention(&self) -> Result<AttentionSums, StoreError> {
        self.engine.attention().await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.engine.totals().await
    }
}

macro_rules! forward {
    ($trait:ident { $($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)+ } $($own:item)*) => {
        #[async_trait]
        impl $trait for SealedStore {
            $($own)*
            $(async fn $name(&self, $($arg: $type),*) -> Result<$result, StoreError> {
                self.engine.$name($($arg),*).await
            })+
        }
    };
}

forward! { PersonalData {
    payment_create_sealed(payment: &Payment, request: &str, notes: &[Note], key: &WrappedKey) -> Created;
    data_key(tx_id: TxId) -> Option<WrappedKey>;
    data_keys_after(after: i64, limit: usize) -> Vec<KeyOf>;
    data_keys_rewrap(keys: &[Rewrapping]) -> u64;
    personal_get(tx_id: TxId) -> Option<Personal>;
    erasure_get(tx_id: TxId) -> Option<Erasure>;
    key_proofs() -> Vec<KeyProof>;
    key_proof_add(proof: &KeyProof, now: Timestamp) -> ();
    key_proof_remove(key_id: &str) -> bool;
}
    async fn personal_replace(
        &self,
        tx_id: TxId,
        values: (&Personal, &Personal),
        key: &KeyChange,
    ) -> Result<bool, StoreError> {
        let replaced = self.engine.personal_replace(tx_id, values, key).await;
        self.keys.forget(tx_id);
        replaced
    }
}

forward! { Journal {
    journal_read(after: &Cursor, limit: usize) -> JournalPage;
    journal_end() -> Cursor;
} }

forward! { Settlements {
    settlement_head(account: SettlementAccount) -> Option<ClosedSettlement>;
    settlement_heads() -> Vec<ClosedSettlement>;
    settlements_after(account: SettlementAccount, ordinal: i64, limit: usize) -> Vec<ClosedSettlement>;
    settlement_close(closed: &ClosedSettlement) -> ();
} }

forward! { Reviews {
    reviews_after(scope: &str, act: i64, limit: usize) -> Vec<(i64, ReviewAct)>;
    reviews_add(acts: &[ReviewAct]) -> ();
} }

forward! { Reconciliations {
    reconciliation_last() -> i64;
    reconciliation_runs(series: &str, run: i64, limit: usize) -> Vec<ReconciliationRun>;
    reconciliation_breaks(series: &str, after: &str, limit: usize) -> Vec<StoredBreak>;
    reconciliation_record(run: &ReconciliationRun, changes: &[StoredBreak], acts: &[ReviewAct]) -> ();
} }

forward! { Upkeep {
    totals_counted() -> Totals;
    totals_refill() -> ();
    archivable(ids: Range<i64>, before: Timestamp, limit: usize) -> Vec<TxId>;
    archive_read(tx_ids: &[TxId]) -> Vec<Filed>;
    archives() -> Vec<Archive>;
    archive_begin(archive: &Archive) -> ();
    archive_take(number: i64, leaving: &[Leaving]) -> u64;
    archive_end(number: i64, at: Timestamp) -> ();
    archive_of(tx_id: TxId) -> Option<i64>;
    archive_give_back(number: i64, filed: &[Filed]) -> u64;
}
    async fn archive_open(&self, mut filed: Filed) -> Result<Filed, StoreError> {
        let tx_id = filed.tx_id;
        if is_sealed(filed.call.as_bytes()) {
            let key = self.key_of_sealed(REQUEST, tx_id).await?;
            Opener { key: &key, tx_id }.text(REQUEST, &mut filed.call)?;
        }
        for event in &mut filed.events {
            let detail = serde_json::from_str(&event.detail).unwrap_or_default();
            let mut record = EventRecord { at: event.at, kind: event.kind.clone(), detail };
            self.open_record(tx_id, &mut record).await?;
            event.detail = record.detail.to_string();
        }
        Ok(filed)
    }
}
