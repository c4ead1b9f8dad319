//! The whole story of a transaction, for an operator: what came, what was decided and why, what
//! was sent, what came back. Personal data is masked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gopay_core::doubt::Standing;
use gopay_core::ids::TxId;
use gopay_core::payment::Payment;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::reply::encode;
use gopay_core::ppro::transaction::{self, Terms};
use gopay_core::refund::{Refund, RefundState};
use gopay_core::rejection::First;
use gopay_core::translate::{ChargeTerms, charge};
use gopay_store::{Database, Delivery, EventRecord, StoreError};
use serde_json::{Value, json};

/// Tells the story of a transaction; none if the store does not have it.
///
/// # Errors
/// Those of the store.
pub async fn story(store: &dyn Database, tx_id: TxId) -> Result<Option<String>, StoreError> {
    let Some(payment) = store.payment_get(tx_id).await? else { return Ok(None) };
    let request = store.payment_request(tx_id).await?;
    let trail = store.payment_trail(tx_id).await?;
    let refunds = store.refunds_of(tx_id).await?;
    let deliveries = store.deliveries_of(tx_id).await?;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_story(&mut out, &payment, &request, &trail, &refunds, &deliveries);
    Ok(Some(out))
}

fn write_story(
    out: &mut String,
    payment: &Payment,
    request: &str,
    trail: &[EventRecord],
    refunds: &[Refund],
    deliveries: &[Delivery],
) -> std::fmt::Result {
    writeln!(out, "Transaction {}", payment.tx_id)?;
    writeln!(out, "  client {}, contract {}", payment.psp, payment.contract)?;
    let channel = payment.channel.map_or("none", gopay_core::payment::Channel::as_str);
    writeln!(out, "  channel {channel}")?;
    match payment.amount {
        Some(amount) => {
            writeln!(out, "  amount IDR {} (amount={})", amount.decimal_text(), amount.sen().get())?
        }
        None => writeln!(out, "  amount not accepted")?,
    }
    writeln!(
        out,
        "  state {}, at Midtrans {}",
        payment.state.as_str(),
        payment.charge_state.as_str()
    )?;
    if let Some(failure) = payment.state.failure() {
        writeln!(out, "  failed: {} ({})", failure.reason.as_str(), failure.message)?;
    }
    writeln!(
        out,
        "  Midtrans transaction {}",
        payment.midtrans_tx_id.as_deref().unwrap_or("none")
    )?;
    writeln!(out, "  session until {}", payment.deadline_at)?;
    write_doubt(out, payment)?;
    match payment.next_check_at {
        Some(at) => writeln!(out, "  next check {at}, {} so far in this phase", payment.checks)?,
        None => writeln!(out, "  no further check")?,
    }
    writeln!(out, "\nRequest (personal data masked, transient input and password not kept)")?;
    let request: BTreeMap<String, String> = serde_json::from_str(request).unwrap_or_default();
    for (name, value) in &request {
        writeln!(out, "  {name} = {}", masked(name, value))?;
    }
    if let Some(charge) = charge_sent(payment, trail, &request) {
        writeln!(out, "\nCharge sent to Midtrans (rebuilt from what is kept)")?;
        writeln!(out, "  {charge}")?;
    }
    writeln!(out, "\nWhat happened")?;
    for record in trail {
        writeln!(out, "  {}  {}  {}", record.at, record.kind, record.detail)?;
    }
    if !refunds.is_empty() {
        writeln!(out, "\nRefunds")?;
    }
    for refund in refunds {
        let amount = refund.amount.map_or_else(
            || "no amount".to_owned(),
            |amount| format!("IDR {}", amount.decimal_text()),
        );
        write!(
            out,
            "  {}  {}  {amount}  {}",
            refund.created_at,
            refund.refund_id,
            refund.state.as_str()
        )?;
        if let Some(made) = &refund.made_elsewhere {
            let id = refund.midtrans.id.as_deref().unwrap_or("none");
            write!(out, ", not asked for by the PSP: {}, at Midtrans {id:?}", made.how.as_str())?;
        }
        if let RefundState::Failed(failure) = &refund.state {
            write!(out, ": {} ({})", failure.reason.as_str(), failure.message)?;
        }
        writeln!(out)?;
    }
    if !deliveries.is_empty() {
        writeln!(out, "\nNotifications to the PSP")?;
    }
    for delivery in deliveries {
        let next = match delivery.state {
            gopay_store::DeliveryState::Waiting => {
                format!(", next try {}", delivery.next_attempt_at)
            }
            gopay_store::DeliveryState::Delivered | gopay_store::DeliveryState::GivenUp => {
                String::new()
            }
        };
        writeln!(
            out,
            "  finaltimestamp {}  {} after {} tries{next}",
            delivery.final_at.utc_seconds(),
            delivery.state.as_str(),
            delivery.attempts
        )?;
    }
    Ok(())
}

/// Money at Midtrans that does not fit, and what is to be done about it.
fn write_doubt(out: &mut String, payment: &Payment) -> std::fmt::Result {
    let Some(doubt) = &payment.doubt else { return Ok(()) };
    let finding = &doubt.finding;
    writeln!(
        out,
        "  money that does not fit: {} since {}; expected {:?}, Midtrans says {:?} (status {:?})",
        finding.what.as_str(),
        doubt.since,
        finding.expected,
        finding.found,
        finding.status
    )?;
    let next = match doubt.standing {
        Standing::Open => "a person must decide: gopay-adapter resolve TXID paid|failed|refund",
        Standing::Returning => "it goes back to the shopper; Midtrans has not confirmed that yet",
        Standing::Returned => "it went back to the shopper; see `resolved` below",
        Standing::Resolved => "a person has decided; see `resolved` below",
    };
    writeln!(out, "  at risk {} sen; {next}", doubt.at_risk.get())
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
fn masked(name: &str, value: &str) -> String {
    match Field::from_name(name.as_bytes()) {
        Some(field) if !field.is_personal() => value.to_owned(),
        Some(_) | None => format!("({} characters)", value.chars().count()),
    }
}
