//! The whole story of a transaction, as data: what came, what was decided and why, what was sent,
//! what came back. Personal data is masked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gopay_core::doubt::Doubt;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{Channel, Failure, Payment};
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::reply::encode;
use gopay_core::ppro::transaction::{self, Terms};
use gopay_core::refund::{Refund, RefundState};
use gopay_core::rejection::First;
use gopay_core::time::Timestamp;
use gopay_core::translate::{ChargeTerms, charge};
use gopay_store::{Database, Delivery, DeliveryState, Erasure, EventRecord, StoreError};
use serde::Serialize;
use serde_json::{Value, json};

/// The story of a transaction. Times are RFC 3339 in UTC, amounts minor units (1 IDR = 100).
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// The transaction as it stands.
    pub transaction: Transaction,
    /// That its personal data was erased, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
    /// Where its call and the older part of its trail are, if they have left the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<Archived>,
    /// The call, as far as it is kept; personal values are replaced by their length.
    pub request: BTreeMap<String, String>,
    /// The charge, rebuilt from what is kept; none if none was made.
    pub charge: Option<Value>,
    /// What happened, oldest first; of one step, causes before their effects.
    pub trail: Vec<Happened>,
    /// What was asked back, oldest first.
    pub refunds: Vec<Refunded>,
    /// The notifications that the PSP is owed, oldest first.
    pub deliveries: Vec<Owed>,
}

/// See [`Story::erased`].
#[derive(Clone, Debug, Serialize)]
pub struct Erased {
    /// When.
    pub at: String,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// See [`Story::archived`].
#[derive(Clone, Debug, Serialize)]
pub struct Archived {
    /// The number of the archive.
    pub archive: i64,
    /// The name of its folder.
    pub name: String,
    /// Whether the story tells what is in it.
    pub told: bool,
}

/// What an archive holds of a payment, as it was.
#[derive(Clone, Debug)]
pub struct FromArchive {
    /// Its call.
    pub call: String,
    /// Its trail.
    pub trail: Vec<EventRecord>,
}

/// See [`Story::transaction`].
#[derive(Clone, Debug, Serialize)]
pub struct Transaction {
    /// Our id.
    pub txid: TxId,
    /// The login of the PSP.
    pub psp: String,
    /// The contract.
    pub contract: String,
    /// `channel` of the call, if it was one.
    pub channel: Option<&'static str>,
    /// The account at Midtrans, if it is not that of the channel.
    pub midtrans_account: Option<String>,
    /// The PSP's reference.
    pub merchanttxid: Option<String>,
    /// The amount, once the call was accepted.
    pub amount_sen: Option<u64>,
    /// The word of the state.
    pub state: &'static str,
    /// The word of the state at Midtrans.
    pub charge_state: &'static str,
    /// Why it failed, if it did.
    pub failure: Option<Failed>,
    /// Money at Midtrans that does not fit, if there was some.
    pub doubt: Option<Doubt>,
    /// Midtrans' `transaction_id`, once known.
    pub midtrans_id: Option<String>,
    /// When the call came.
    pub created_at: String,
    /// When the session ends.
    pub session_until: String,
    /// When we ask Midtrans next, if ever.
    pub next_check_at: Option<String>,
    /// How often we have asked in this phase.
    pub checks: u32,
}

/// Why something failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// PPRO's word, `FAILREASON`.
    pub reason: &'static str,
    /// `ERRMSG`.
    pub message: String,
}

/// See [`Story::trail`].
#[derive(Clone, Debug, Serialize)]
pub struct Happened {
    /// When.
    pub at: String,
    /// A stable word.
    pub kind: String,
    /// What was known.
    pub detail: Value,
}

/// See [`Story::refunds`].
#[derive(Clone, Debug, Serialize)]
pub struct Refunded {
    /// Our id.
    pub refundid: RefundId,
    /// The PSP's reference.
    pub merchantrefundid: Option<String>,
    /// How much; none if the call was refused because of its amount.
    pub amount_sen: Option<u64>,
    /// How it came about, if the PSP did not ask for it.
    pub made_elsewhere: Option<&'static str>,
    /// Midtrans' id of it, if it has one.
    pub midtrans_id: Option<String>,
    /// The word of the state.
    pub state: &'static str,
    /// Why it failed, if it did.
    pub failure: Option<Failed>,
    /// When the call came.
    pub created_at: String,
}

/// See [`Story::deliveries`].
#[derive(Clone, Debug, Serialize)]
pub struct Owed {
    /// Where to.
    pub receiver: String,
    /// `finaltimestamp`.
    pub final_at: String,
    /// The word of the state.
    pub state: &'static str,
    /// Tries so far.
    pub attempts: u32,
    /// When the next is due, if one is.
    pub next_attempt_at: Option<String>,
    /// It is tried only once one before it is confirmed or given up, whenever it is due.
    #[serde(skip)]
    pub held_back: bool,
}

/// The story of a transaction; none if the store does not have it.
///
/// # Errors
/// Those of the store.
pub async fn story(store: &dyn Database, tx_id: TxId) -> Result<Option<Story>, StoreError> {
    story_with(store, tx_id, None).await
}

/// The same with what was read in the archive of a payment.
///
/// # Errors
/// Those of the store.
pub async fn story_with(
    store: &dyn Database,
    tx_id: TxId,
    read: Option<FromArchive>,
) -> Result<Option<Story>, StoreError> {
    let Some(payment) = store.payment_get(tx_id).await? else { return Ok(None) };
    let archived = archived(store, tx_id, read.is_some()).await?;
    let mut trail = store.payment_trail(tx_id).await?;
    let request = match read {
        Some(read) => {
            trail.splice(0..0, read.trail);
            read.call
        }
        None => store.payment_request(tx_id).await?,
    };
    let request: BTreeMap<String, String> = serde_json::from_str(&request).unwrap_or_default();
    let charge = charge_sent(&payment, &trail, &request);
    let masked = |(name, value): (String, String)| {
        let shown = masked(&name, value);
        (name, shown)
    };
    Ok(Some(Story {
        transaction: (&payment).into(),
        erased: store.erasure_get(tx_id).await?.map(Erased::from),
        archived,
        request: request.into_iter().map(masked).collect(),
        charge,
        trail: in_order(trail).into_iter().map(Happened::from).collect(),
        refunds: store.refunds_of(tx_id).await?.iter().map(Refunded::from).collect(),
        deliveries: owed(store.deliveries_of(tx_id).await?),
    }))
}

async fn archived(
    store: &dyn Database,
    tx_id: TxId,
    told: bool,
) -> Result<Option<Archived>, StoreError> {
    let Some(archive) = store.archive_of(tx_id).await? else { return Ok(None) };
    let known = store.archives().await?.into_iter().find(|one| one.number == archive);
    let name = known.map(|known| known.name).unwrap_or_default();
    Ok(Some(Archived { archive, name, told }))
}

/// A step writes the state that it led to before what was known of it, under one time.
fn in_order(mut trail: Vec<EventRecord>) -> Vec<EventRecord> {
    let is_effect = |record: &EventRecord| matches!(record.kind.as_str(), "state" | "refund");
    trail.sort_by_key(|record| (record.at, is_effect(record)));
    trail
}

impl From<&Payment> for Transaction {
    fn from(payment: &Payment) -> Self {
        Self {
            txid: payment.tx_id,
            psp: payment.psp.clone(),
            contract: payment.contract.clone(),
            channel: payment.channel.map(Channel::as_str),
            midtrans_account: payment.account.as_ref().map(ToString::to_string),
            merchanttxid: payment.merchant_tx_id.clone(),
            amount_sen: payment.amount.map(|amount| amount.sen().get()),
            state: payment.state.as_str(),
            charge_state: payment.charge_state.as_str(),
            failure: payment.state.failure().map(Failed::from),
            doubt: payment.doubt.clone(),
            midtrans_id: payment.midtrans_tx_id.clone(),
            created_at: payment.created_at.to_string(),
            session_until: payment.deadline_at.to_string(),
            next_check_at: payment.next_check_at.as_ref().map(Timestamp::to_string),
            checks: payment.checks,
        }
    }
}

impl From<Erasure> for Erased {
    fn from(erasure: Erasure) -> Self {
        Self { at: erasure.at.to_string(), by: erasure.by, reason: erasure.reason }
    }
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Self {
        Self { reason: failure.reason.as_str(), message: failure.message.clone() }
    }
}

impl From<EventRecord> for Happened {
    fn from(record: EventRecord) -> Self {
        Self { at: record.at.to_string(), kind: record.kind, detail: record.detail }
    }
}

impl From<&Refund> for Refunded {
    fn from(refund: &Refund) -> Self {
        let failure = match &refund.state {
            RefundState::Failed(failure) => Some(failure.into()),
            RefundState::Unresolved | RefundState::Succeeded => None,
        };
        Self {
            refundid: refund.refund_id,
            merchantrefundid: refund.merchant_refund_id.clone(),
            amount_sen: refund.amount.map(|amount| amount.sen().get()),
            made_elsewhere: refund.made_elsewhere.as_ref().map(|made| made.how.as_str()),
            midtrans_id: refund.midtrans.id.clone(),
            state: refund.state.as_str(),
            failure,
            created_at: refund.created_at.to_string(),
        }
    }
}

impl From<Delivery> for Owed {
    fn from(delivery: Delivery) -> Self {
        let waiting = delivery.state == DeliveryState::Waiting;
        Self {
            receiver: delivery.url,
            final_at: delivery.final_at.utc_seconds().to_string(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            next_attempt_at: waiting.then(|| delivery.next_attempt_at.to_string()),
            held_back: false,
        }
    }
}

/// Those of one payment go out one after the other.
fn owed(deliveries: Vec<Delivery>) -> Vec<Owed> {
    let mut all: Vec<Owed> = deliveries.into_iter().map(Owed::from).collect();
    let waiting = all.iter_mut().filter(|one| one.next_attempt_at.is_some());
    waiting.skip(1).for_each(|one| one.held_back = true);
    all
}

/// The charge, rebuilt from the stored call. The cart is not kept: one line stands for it.
fn charge_sent(
    payment: &Payment,
    trail: &[EventRecord],
    request: &BTreeMap<String, String>,
) -> Option<Value> {
    let amount = payment.amount?;
    let accepted = trail.iter().find(|record| record.kind == "accepted")?;
    let items = accepted.detail.get("items").and_then(Value::as_u64).unwrap_or(0);
    let cart = json!([{
        "name": format!("({items} items, not kept)"),
        "price": amount.decimal_text(),
        "quantity": 1,
    }]);
    let mut body = format!("{}={}", Field::Orderitems.name(), encode(&cart.to_string()));
    for (name, value) in request {
        let _ = write!(body, "&{}={}", encode(name), encode(value));
    }
    let mut scratch = Scratch::new();
    let (form, cart) = Form::decode(body.as_bytes(), &mut scratch);
    let order = transaction::check(&form, cart, Terms::OPEN, &mut First::default())?;
    let terms = ChargeTerms {
        order_id: payment.tx_id,
        order_time: payment.created_at,
        session: payment.deadline_at.since(payment.created_at),
        return_url: "(our return page)",
    };
    let mut bytes = Vec::new();
    charge(&order, &terms, &mut bytes);
    let mut charge: Value = serde_json::from_slice(&bytes).ok()?;
    mask(charge.get_mut("customer_details")?);
    Some(charge)
}

/// Replaces every text by its length.
fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = format!("({} characters)", text.chars().count()),
        Value::Object(members) => members.values_mut().for_each(mask),
        Value::Array(entries) => entries.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Shows how long a personal value is and nothing of it. Parameters that we do not know may be
/// personal too.
fn masked(name: &str, value: String) -> String {
    match Field::from_name(name.as_bytes()) {
        Some(field) if !field.is_personal() => value,
        Some(_) | None => format!("({} characters)", value.chars().count()),
    }
}
