//! What needs a person: the list, and what a person decides.
//!
//! The same for the process that serves and for commands beside it, so the store is an argument.

use gopay_core::doubt::{Doubt, Standing, Unclear, Verdict};
use gopay_core::ids::TxId;
use gopay_core::payment::{Channel, Effect, Event, Payment};
use gopay_core::text::is_unprintable;
use gopay_core::time::Timestamp;
use gopay_store::{
    Applied, AttentionSums, Database, Note, OrderResolution, StoreError, UnknownOrder,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// So much of the list is shown; the sums are over all of it.
pub const LIST_MAX: usize = 1_000;

/// What needs a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttentionList {
    /// How much in all.
    #[serde(flatten)]
    pub sums: AttentionSums,
    /// Each, at most [`LIST_MAX`] payments and as many orders.
    pub items: Vec<Item>,
}

/// One payment or order that needs a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// `payment`: its money does not fit. `order`: the store does not know it.
    pub kind: &'static str,
    /// TXID; `order_id` at Midtrans.
    pub txid: TxId,
    /// Test or live.
    pub channel: Option<&'static str>,
    /// The account at Midtrans, if it is not that of the channel.
    pub midtrans_account: Option<String>,
    /// The contract of a payment.
    pub contract: Option<String>,
    /// The PSP's reference of a payment.
    pub merchanttxid: Option<String>,
    /// The state of a payment.
    pub state: Option<&'static str>,
    /// What is unclear: a word of [`gopay_core::doubt::Unclear`], or `unknown_order`.
    pub what: &'static str,
    /// What would have fitted.
    pub expected: String,
    /// What Midtrans says.
    pub found: String,
    /// Midtrans' `transaction_status`.
    pub midtrans_status: String,
    /// Midtrans' `transaction_id`.
    pub midtrans_transaction_id: Option<String>,
    /// Since when it is known, RFC 3339.
    pub since: String,
    /// The same as an age.
    pub age_seconds: u64,
    /// How much money there is, in sen.
    pub at_risk_sen: u64,
    /// `open`: somebody must decide. `returning`: the money goes back, which is not confirmed yet.
    pub standing: &'static str,
}

/// Reads the list.
///
/// # Errors
/// Those of the store.
pub async fn attention(store: &dyn Database, now: Timestamp) -> Result<AttentionList, StoreError> {
    let sums = store.attention().await?;
    let payments = store.payments_in_doubt(LIST_MAX).await?;
    let orders = store.orders_open(LIST_MAX).await?;
    let payments = payments
        .iter()
        .filter_map(|payment| Some(of_payment(payment, payment.doubt.as_ref()?, now)));
    let mut items: Vec<Item> = payments.collect();
    for order in &orders {
        let item = of_order(order, now);
        items.push(match store.payment_get(order.tx_id).await? {
            Some(payment) => beside(&payment, item),
            None => item,
        });
    }
    items.sort_by(|one, other| (&one.since, one.txid).cmp(&(&other.since, other.txid)));
    Ok(AttentionList { sums, items })
}

fn of_payment(payment: &Payment, doubt: &Doubt, now: Timestamp) -> Item {
    let finding = &doubt.finding;
    Item {
        kind: "payment",
        txid: payment.tx_id,
        channel: payment.channel.map(Channel::as_str),
        midtrans_account: payment.account.as_ref().map(ToString::to_string),
        contract: Some(payment.contract.clone()),
        merchanttxid: payment.merchant_tx_id.clone(),
        state: Some(payment.state.as_str()),
        what: finding.what.as_str(),
        expected: finding.expected.clone(),
        found: finding.found.clone(),
        midtrans_status: finding.status.clone(),
        midtrans_transaction_id: finding.midtrans_tx_id.clone(),
        since: doubt.since.to_string(),
        age_seconds: now.since(doubt.since).as_secs(),
        at_risk_sen: doubt.at_risk.get(),
        standing: doubt.standing.as_str(),
    }
}

fn of_order(order: &UnknownOrder, now: Timestamp) -> Item {
    let amount = order.amount.map(|amount| amount.get());
    Item {
        kind: "order",
        txid: order.tx_id,
        channel: Some(order.channel.as_str()),
        midtrans_account: order.account.as_ref().map(ToString::to_string),
        contract: None,
        merchanttxid: None,
        state: None,
        what: "unknown_order",
        expected: "a payment in this store".to_owned(),
        found: format!("none; seen {} times", order.seen),
        midtrans_status: order.status.clone(),
        midtrans_transaction_id: order.midtrans_tx_id.clone(),
        since: order.first_seen_at.to_string(),
        age_seconds: now.since(order.first_seen_at).as_secs(),
        at_risk_sen: amount.unwrap_or(0),
        standing: Standing::Open.as_str(),
    }
}

/// Of an order that the store knows: there is money of another transaction than that of the payment.
fn beside(payment: &Payment, item: Item) -> Item {
    let own = payment.midtrans_tx_id.as_deref().unwrap_or("none");
    let other = item.midtrans_transaction_id.as_deref().unwrap_or("unknown");
    Item {
        contract: Some(payment.contract.clone()),
        merchanttxid: payment.merchant_tx_id.clone(),
        state: Some(payment.state.as_str()),
        what: Unclear::TransactionId.as_str(),
        expected: format!("transaction {own} alone"),
        found: format!("another with money, {other}"),
        ..item
    }
}

/// What a person decides.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What.
    pub verdict: Verdict,
    /// Why: printable, at most [`Decision::REASON_CHARS_MAX`] characters.
    pub reason: String,
    /// Who: printable, at most [`Decision::NAME_CHARS_MAX`] characters.
    pub by: String,
}

impl Decision {
    /// A few sentences.
    pub const REASON_CHARS_MAX: usize = 500;
    /// A name, a mailbox.
    pub const NAME_CHARS_MAX: usize = 100;

    /// # Errors
    /// Names the field that is blank, too long or not printable.
    fn check(&self) -> Result<(), ResolveError> {
        for (field, text, chars_max) in [
            ("reason", &self.reason, Self::REASON_CHARS_MAX),
            ("by", &self.by, Self::NAME_CHARS_MAX),
        ] {
            if !is_shown(text, chars_max) {
                return Err(ResolveError::Text { field, chars_max });
            }
        }
        Ok(())
    }
}

/// Whether a text has something to read, all of which shows, and not more than so many characters.
pub(crate) fn is_shown(text: &str, chars_max: usize) -> bool {
    let printable = !text.chars().any(is_unprintable);
    !text.trim().is_empty() && text.chars().count() <= chars_max && printable
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A text is not one.
    #[error("{field}: must be printable text of 1 to {chars_max} characters")]
    Text {
        /// Which.
        field: &'static str,
        /// The longest.
        chars_max: usize,
    },
    /// Nobody has to decide about it.
    #[error("{0} does not need a person: `attention` lists what does")]
    NotListed(TxId),
    /// It is being given back.
    #[error("the money of {0} is on its way back already")]
    Returning(TxId),
    /// Nobody knows how much came, or in which transaction.
    #[error(
        "{0} cannot be given back from here, since it is not clear how much came, or whose it is: \
         refund it in Midtrans' dashboard, then resolve it as failed"
    )]
    NotReturnable(TxId),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a decision did.
#[derive(Debug)]
pub enum Resolved {
    /// To a payment.
    Payment(Box<Applied>),
    /// To an order that the store does not know.
    Order(Box<UnknownOrder>),
}

impl Resolved {
    /// For the operator.
    #[must_use]
    pub fn described(&self) -> Value {
        match self {
            Self::Payment(applied) => {
                let payment = &applied.payment;
                let standing = payment.doubt.as_ref().map(|doubt| doubt.standing.as_str());
                json!({
                    "kind": "payment",
                    "txid": payment.tx_id,
                    "state": payment.state.as_str(),
                    "standing": standing.unwrap_or("resolved"),
                })
            }
            Self::Order(order) => {
                json!({"kind": "order", "txid": order.tx_id, "state": null, "standing": "resolved"})
            }
        }
    }
}

/// Stores what a person decided about a payment or an order in the list, with reason and name. Money
/// to be given back is given back by a worker.
///
/// # Errors
/// [`ResolveError`]; nothing has changed then.
pub async fn resolve(
    store: &dyn Database,
    tx_id: TxId,
    decision: &Decision,
    now: Timestamp,
) -> Result<Resolved, ResolveError> {
    decision.check()?;
    let payment = store.payment_get(tx_id).await?;
    let doubt = payment.and_then(|payment| payment.doubt.clone()).filter(Doubt::is_open);
    match doubt {
        Some(doubt) => resolve_payment(store, tx_id, &doubt, decision, now).await,
        None => resolve_order(store, tx_id, decision, now).await,
    }
}

async fn resolve_payment(
    store: &dyn Database,
    tx_id: TxId,
    doubt: &Doubt,
    decision: &Decision,
    now: Timestamp,
) -> Result<Resolved, ResolveError> {
    if doubt.standing == Standing::Returning {
        return Err(ResolveError::Returning(tx_id));
    }
    if decision.verdict == Verdict::Refund && doubt.finding.returnable().is_none() {
        return Err(ResolveError::NotReturnable(tx_id));
    }
    let detail = json!({
        "verdict": decision.verdict,
        "reason": decision.reason,
        "by": decision.by,
        "what": doubt.finding.what,
        "expected": doubt.finding.expected,
        "found": doubt.finding.found,
        "at_risk_sen": doubt.at_risk,
    });
    let notes = [Note { kind: "resolved", detail }];
    let event = Event::Judged(decision.verdict);
    let applied = store.payment_apply(tx_id, &event, None, &notes, now).await?;
    match applied.effect {
        // Midtrans was faster.
        Effect::Refused => Err(ResolveError::NotListed(tx_id)),
        Effect::Moved | Effect::Noted | Effect::Same => Ok(Resolved::Payment(Box::new(applied))),
    }
}

async fn resolve_order(
    store: &dyn Database,
    tx_id: TxId,
    decision: &Decision,
    now: Timestamp,
) -> Result<Resolved, ResolveError> {
    let order = store.order_get(tx_id).await?.filter(|order| order.resolution.is_none());
    if order.is_none() {
        return Err(ResolveError::NotListed(tx_id));
    }
    if decision.verdict == Verdict::Refund {
        return Err(ResolveError::NotReturnable(tx_id));
    }
    let Decision { verdict, reason, by } = decision.clone();
    let resolution = OrderResolution { verdict, reason, by, at: now };
    let order = store.order_resolve(tx_id, &resolution).await?;
    order.map(|order| Resolved::Order(Box::new(order))).ok_or(ResolveError::NotListed(tx_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_has_a_reason_and_a_name() {
        let long = "a".repeat(501);
        for (reason, by, wrong) in [
            ("told by the shop", "Sri", None),
            ("ß ✓", "sri@shop.example", None),
            (" ", "Sri", Some("reason")),
            ("", "Sri", Some("reason")),
            (long.as_str(), "Sri", Some("reason")),
            ("told\nstate succeeded", "Sri", Some("reason")),
            ("told \u{202e}by", "Sri", Some("reason")),
            ("told", "Sri\u{61c}", Some("by")),
            ("to\u{200b}ld", "Sri", Some("reason")),
            ("told", "", Some("by")),
            ("told", "\u{1b}[2J", Some("by")),
        ] {
            let (reason, by) = (reason.to_owned(), by.to_owned());
            let got = Decision { verdict: Verdict::Paid, reason, by }.check();
            let field = match got {
                Err(ResolveError::Text { field, .. }) => Some(field),
                _ => None,
            };
            assert_eq!(field, wrong);
        }
    }
}
