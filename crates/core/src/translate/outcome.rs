//! What the answers of Midtrans and of PSPs mean: an event of the payment, a PPRO reason, or the
//! next thing to do.
//!
//! Source: `docs/midtrans.md`, "Refusals", "GET status", "Ordering and duplicates", and
//! `docs/psp-guide.md`, "Reasons" and "Notifications".

use super::refused_field::refused_field;
use crate::doubt::{Finding, Unclear};
use crate::midtrans::{
    ChargeReply, CloseReply, Created, FraudStatus, MidtransTxId, OrderId, RefundReply, Refusal,
    RefusalCause, StatusReply, StatusView, TransactionStatus,
};
use crate::money::Rupiah;
use crate::payment::{
    ChargeState, Closure, Event, FailReason, Failure, GIVE_UP_AFTER, Payment, PaymentState,
};
use crate::refund::{ChargedBack, MidtransRefund, Refund, SeenBack, SeenRefund};
use crate::time::Timestamp;

/// What one answer to a charge told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeAnswer {
    /// The outcome is known.
    Outcome(Event),
    /// A charge exists that no shopper can be sent to, or that is not what was asked for: the
    /// payment fails, and the charge must be closed. Says what is wrong with it.
    Unusable(&'static str),
    /// A charge with this order id exists: GET status knows which.
    Duplicate,
    /// A charge may exist. Says what Midtrans answered.
    Unknown(&'static str),
}

impl ChargeAnswer {
    /// The text for the trail.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Outcome(Event::ChargeCreated { .. }) => "created",
            Self::Outcome(event) => event.word(),
            Self::Unusable(what) | Self::Unknown(what) => what,
            Self::Duplicate => "duplicate",
        }
    }
}

/// Reads an answer to a charge.
#[must_use]
pub fn charge_answer(payment: &Payment, reply: ChargeReply) -> ChargeAnswer {
    match reply {
        ChargeReply::Created(created) => created_answer(payment, created),
        ChargeReply::Denied(refusal) | ChargeReply::Refused(refusal) => {
            ChargeAnswer::Outcome(Event::ChargeRefused(refusal_failure(&refusal)))
        }
        ChargeReply::Duplicate => ChargeAnswer::Duplicate,
        ChargeReply::InProgress => ChargeAnswer::Unknown("in progress"),
        ChargeReply::Unclear => ChargeAnswer::Unknown("unclear"),
    }
}

fn created_answer(payment: &Payment, created: Created) -> ChargeAnswer {
    let ours =
        created.order_id == OrderId::Ours(payment.tx_id) && Some(created.gross) == payment.amount;
    match created.deeplink {
        Some(deeplink) if ours => {
            let midtrans_tx_id = created.midtrans_tx_id.as_str().to_owned();
            ChargeAnswer::Outcome(Event::ChargeCreated { midtrans_tx_id, deeplink })
        }
        Some(_) => ChargeAnswer::Unusable("created, but not our order or amount"),
        None => ChargeAnswer::Unusable("created without a deeplink"),
    }
}

/// The event of a charge whose answer is missing, after GET status was asked for it. Only a charge
/// that is open and has a deeplink can still be given to the shopper.
#[must_use]
pub fn charge_after_status(payment: &Payment, reply: Option<StatusReply>) -> Event {
    let Some(StatusReply::Found(view)) = reply else { return charge_unknown() };
    let as_charged = is_rupiah(&view) && view.gross.is(payment.amount);
    match (status_event(payment, &view), view.deeplink) {
        (Ok(Event::StillOpen { midtrans_tx_id }), Some(deeplink)) if as_charged => {
            Event::ChargeCreated { midtrans_tx_id, deeplink }
        }
        _ => charge_unknown(),
    }
}

/// The event of a charge that may exist without anybody knowing.
#[must_use]
pub fn charge_unknown() -> Event {
    Event::ChargeOutcomeUnknown(Failure::new(
        FailReason::RemoteError,
        "GoPay did not confirm the charge in time; try again",
    ))
}

/// The event of a charge that exists and that no shopper can be sent to.
#[must_use]
pub fn charge_unusable() -> Event {
    Event::ChargeOutcomeUnknown(Failure::new(
        FailReason::RemoteError,
        "GoPay opened no charge that can be paid here; it is being cancelled; try again",
    ))
}

/// The event of a charge of which nothing reached Midtrans.
#[must_use]
pub fn charge_not_sent() -> Event {
    Event::ChargeRefused(Failure::new(
        FailReason::RemoteError,
        "GoPay cannot be reached; nothing was charged; try again later",
    ))
}

/// The PPRO failure of a clear refusal of a charge or refund.
#[must_use]
pub fn refusal_failure(refusal: &Refusal) -> Failure {
    let code = refusal.provider_code.as_deref().map_or_else(
        || refusal.status_code.to_string(),
        |provider| format!("{}/{provider}", refusal.status_code),
    );
    if refusal.cause == RefusalCause::InputData
        && let Some(field) = refused_field(refusal)
    {
        let text = format!("{}: GoPay does not accept it (code {code})", field.name());
        return Failure::new(FailReason::InputData, &text);
    }
    let (reason, text) = match refusal.cause {
        RefusalCause::InputData => (FailReason::InputData, "GoPay does not accept the data sent"),
        RefusalCause::Declined => (FailReason::RemoteDecline, "Declined by GoPay"),
        RefusalCause::Misconfigured => {
            (FailReason::LocalError, "The merchant is not set up at GoPay; contact support")
        }
        RefusalCause::Temporary => {
            (FailReason::RemoteError, "GoPay has a temporary fault; try again later")
        }
        RefusalCause::Unknown => (FailReason::Unknown, "Refused by GoPay"),
    };
    Failure::new(reason, &format!("{text} (code {code})"))
}

/// What GET status says about a payment.
///
/// Money that does not fit is [`Event::Doubted`]. Where Midtrans says clearly that there is none,
/// amount and currency are not needed.
///
/// # Errors
/// [`Unclear`] if it says that there is no money, but of another payment.
pub fn status_event(payment: &Payment, view: &StatusView) -> Result<Event, Unclear> {
    use TransactionStatus as T;
    let known = payment.midtrans_tx_id.clone();
    let midtrans_tx_id = || view.midtrans_tx_id.as_ref().map(|id| id.as_str().to_owned());
    if view.status.may_be_money() {
        return Ok(match unclear_money(payment, view) {
            Some(finding) => Event::Doubted(finding),
            None => Event::Paid {
                midtrans_tx_id: midtrans_tx_id().or(known).unwrap_or_default(),
                paid_at: view.settlement_time,
                payment_type: view.payment_type.clone(),
                payment_option: view.payment_option_type.clone(),
            },
        });
    }
    same_payment(payment, view)?;
    Ok(match &view.status {
        T::Deny => Event::Closed(Closure::Denied),
        T::Cancel => Event::Closed(Closure::Cancelled),
        T::Expire => Event::Closed(Closure::Expired),
        T::Failure => Event::Closed(Closure::Failed),
        T::Pending
        | T::Settlement
        | T::Capture
        | T::Authorize
        | T::Refund
        | T::PartialRefund
        | T::Chargeback
        | T::PartialChargeback
        | T::Unknown(_) => {
            let midtrans_tx_id = midtrans_tx_id().or(known).ok_or(Unclear::TransactionId)?;
            Event::StillOpen { midtrans_tx_id }
        }
    })
}

/// What does not fit of money that GET status shows; none if all of it does.
fn unclear_money(payment: &Payment, view: &StatusView) -> Option<Finding> {
    let what = match same_payment(payment, view) {
        Err(what) => what,
        Ok(()) if !is_rupiah(view) => Unclear::Currency,
        Ok(()) if !view.gross.is(payment.amount) => Unclear::Amount,
        Ok(()) if view.is_paid() => return None,
        Ok(()) => unaccepted(&view.status),
    };
    let (expected, found) = compared(what, payment, view);
    Some(Finding {
        what,
        expected,
        found,
        status: view.status.as_str().to_owned(),
        midtrans_tx_id: view.midtrans_tx_id.as_ref().map(|id| id.as_str().to_owned()),
        gross: view.gross.sen,
        in_rupiah: is_rupiah(view) && !matches!(what, Unclear::OrderId | Unclear::TransactionId),
    })
}

/// What would have fitted, and what Midtrans says instead, as texts for people.
fn compared(what: Unclear, payment: &Payment, view: &StatusView) -> (String, String) {
    let said =
        |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("none").to_owned();
    match what {
        Unclear::OrderId => {
            let found = match view.order_id {
                Some(OrderId::Ours(tx_id)) => tx_id.to_string(),
                Some(OrderId::NotOurs) => "an order id of another form".to_owned(),
                None => "none".to_owned(),
            };
            (payment.tx_id.to_string(), found)
        }
        Unclear::TransactionId => (
            said(payment.midtrans_tx_id.as_deref()),
            said(view.midtrans_tx_id.as_ref().map(MidtransTxId::as_str)),
        ),
        Unclear::Currency => ("IDR".to_owned(), said(view.currency.as_deref())),
        Unclear::Amount => (
            said(payment.amount.map(Rupiah::decimal_text).as_deref()),
            said(Some(&view.gross.text)),
        ),
        Unclear::NotAccepted => {
            let code = view.status_code.map(|code| code.to_string());
            let fraud = view.fraud.as_ref().map(FraudStatus::as_str);
            let found = format!("code {}, fraud check {}", said(code.as_deref()), said(fraud));
            ("code 200, fraud check accept".to_owned(), found)
        }
        Unclear::CardStatus | Unclear::UnknownStatus | Unclear::Unconfirmed => {
            ("settlement".to_owned(), view.status.as_str().to_owned())
        }
    }
}

/// Why a status that may be money, of the right payment and amount, is not one of money that came.
const fn unaccepted(status: &TransactionStatus) -> Unclear {
    use TransactionStatus as T;
    match status {
        T::Capture | T::Authorize => Unclear::CardStatus,
        T::Settlement | T::Refund | T::PartialRefund | T::Chargeback | T::PartialChargeback => {
            Unclear::NotAccepted
        }
        T::Pending | T::Deny | T::Cancel | T::Expire | T::Failure | T::Unknown(_) => {
            Unclear::UnknownStatus
        }
    }
}

fn is_rupiah(view: &StatusView) -> bool {
    view.currency.as_deref().is_none_or(|currency| currency.trim().eq_ignore_ascii_case("IDR"))
}

fn same_payment(payment: &Payment, view: &StatusView) -> Result<(), Unclear> {
    if view.order_id != Some(OrderId::Ours(payment.tx_id)) {
        return Err(Unclear::OrderId);
    }
    let (known, said) = (payment.midtrans_tx_id.as_deref(), view.midtrans_tx_id.as_ref());
    match (known, said.map(MidtransTxId::as_str)) {
        (Some(known), Some(said)) if known != said => Err(Unclear::TransactionId),
        (None, None) => Err(Unclear::TransactionId),
        (Some(_), _) | (None, Some(_)) => Ok(()),
    }
}

/// How to end a charge at Midtrans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The session is over.
    Expire,
    /// The PSP asked for it, or nobody may pay it.
    Cancel,
}

impl Close {
    /// The word for the trail, and Midtrans' name of the endpoint.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expire => "expire",
            Self::Cancel => "cancel",
        }
    }
}

/// The event of an answer to a cancel or expire; [`Event::NoAnswer`] if GET status must be asked.
#[must_use]
pub fn close_event(payment: &Payment, reply: &CloseReply) -> Event {
    match reply {
        CloseReply::Closed(view) => status_event(payment, view).unwrap_or(Event::NoAnswer),
        CloseReply::WrongState
        | CloseReply::NotFound
        | CloseReply::InProgress
        | CloseReply::Misconfigured(_)
        | CloseReply::Unclear => Event::NoAnswer,
    }
}

/// What a worker does about a payment after it has polled its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Nothing until the next poll.
    Nothing,
    /// End the charge at Midtrans.
    Close(Close),
    /// End the payment without Midtrans.
    GiveUp,
    /// Give money back that does not fit, as a person decided.
    Return(Rupiah),
}

/// The next step about a payment whose poll told `event` at `now`.
#[must_use]
pub fn next_step(payment: &Payment, event: &Event, now: Timestamp) -> NextStep {
    if payment.is_in_doubt() {
        return payment.to_return().map_or(NextStep::Nothing, NextStep::Return);
    }
    let open = matches!(event, Event::StillOpen { .. });
    match &payment.state {
        // The call that made it is dead: nobody has its address, so nobody may pay it.
        PaymentState::Initialized if open => NextStep::Close(Close::Cancel),
        PaymentState::Initialized if *event == Event::NotFound => NextStep::GiveUp,
        PaymentState::Pending if open && payment.session_over(now) => {
            NextStep::Close(Close::Expire)
        }
        PaymentState::Pending if open && payment.cancel_requested => NextStep::Close(Close::Cancel),
        PaymentState::Initialized | PaymentState::Pending if may_give_up(payment, now) => {
            NextStep::GiveUp
        }
        PaymentState::Failed(_) if open && payment.charge_state == ChargeState::Open => {
            NextStep::Close(Close::Cancel)
        }
        PaymentState::Initialized
        | PaymentState::Pending
        | PaymentState::Failed(_)
        | PaymentState::Succeeded => NextStep::Nothing,
    }
}

/// Whether Midtrans has had [`GIVE_UP_AFTER`] to help us end a payment.
#[must_use]
pub fn may_give_up(payment: &Payment, now: Timestamp) -> bool {
    match payment.state {
        // Money was seen.
        _ if payment.is_in_doubt() => false,
        PaymentState::Initialized => now.since(payment.created_at) >= GIVE_UP_AFTER,
        PaymentState::Pending => now.since(payment.deadline_at) >= GIVE_UP_AFTER,
        PaymentState::Succeeded | PaymentState::Failed(_) => false,
    }
}

/// Whether a verified notification that claims this status is a reason to ask GET status.
///
/// A payment that is being opened hears the same from the answer to its charge, and why; a
/// payment that has succeeded stays so.
#[must_use]
pub fn notification_needs_status(state: &PaymentState, claimed: &TransactionStatus) -> bool {
    match state {
        PaymentState::Succeeded => false,
        PaymentState::Initialized => claims_money(claimed),
        PaymentState::Pending => *claimed != TransactionStatus::Pending,
        PaymentState::Failed(_) => true,
    }
}

/// What to do after a notification made us ask GET status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AfterNotification {
    /// GET status may lag behind the notification: poll again soon.
    pub poll_soon: bool,
    /// Have Midtrans send the notification again.
    pub send_again: bool,
}

/// What to do after a notification that claimed a status, of a payment that was in `before`, when
/// GET status told `event`.
#[must_use]
pub fn after_notification(
    before: &PaymentState,
    claimed: &TransactionStatus,
    event: &Event,
) -> AfterNotification {
    let no_answer = *event == Event::NoAnswer;
    let seen = matches!(event, Event::Paid { .. } | Event::Doubted(_));
    let lags = claims_money(claimed) && !seen;
    let open = matches!(event, Event::StillOpen { .. } | Event::NotFound);
    AfterNotification {
        poll_soon: no_answer || lags || open,
        // Polls for late money grow ever rarer, and end: the notification must come again.
        send_again: no_answer || (lags && matches!(before, PaymentState::Failed(_))),
    }
}

/// Whether a notification tells that money has come in, whatever happened to it later.
#[must_use]
pub const fn claims_money(claimed: &TransactionStatus) -> bool {
    matches!(claimed, TransactionStatus::Settlement) || claims_money_back(claimed)
}

/// What is known of money of which GET status says nothing clear. `claimed` is the status that a
/// rightly signed notification claims, if there was one; `answer` is what GET status said.
#[must_use]
pub fn unconfirmed(claimed: Option<&str>, answer: &str) -> Finding {
    let heard = claimed.map_or_else(String::new, |word| format!("a notification of {word}; "));
    Finding {
        what: Unclear::Unconfirmed,
        expected: "GET status that says what became of it".to_owned(),
        found: format!("{heard}GET status: {answer}"),
        status: claimed.unwrap_or("unknown").to_owned(),
        midtrans_tx_id: None,
        gross: None,
        in_rupiah: false,
    }
}

/// What one answer to a refund told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundAnswer {
    /// The money goes back.
    Accepted(MidtransRefund),
    /// It does not, if this was the only try.
    Refused(Failure),
    /// It may go back: `refunds[]` of GET status knows. Says what Midtrans answered.
    Unknown(&'static str),
}

/// Reads an answer to a refund.
#[must_use]
pub fn refund_answer(reply: &RefundReply) -> RefundAnswer {
    match reply {
        RefundReply::Accepted(accepted) => RefundAnswer::Accepted(MidtransRefund {
            id: accepted.chargeback_id.map(|id| id.to_string()),
            ..MidtransRefund::default()
        }),
        RefundReply::Refused(refusal) => RefundAnswer::Refused(refusal_failure(refusal)),
        RefundReply::Duplicate => RefundAnswer::Unknown("duplicate"),
        RefundReply::InProgress => RefundAnswer::Unknown("in progress"),
        RefundReply::Unclear => RefundAnswer::Unknown("unclear"),
    }
}

/// The failure of a refund of which nothing reached Midtrans.
#[must_use]
pub fn refund_not_sent() -> Failure {
    Failure::new(
        FailReason::RemoteError,
        "GoPay cannot be reached; nothing was refunded; try again later",
    )
}

/// Whether GET status lists a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// With its amount: Midtrans or GoPay has accepted it. With what is said of it.
    Yes(MidtransRefund),
    /// Not at all.
    No,
    /// With another amount: somebody else uses our keys, and it is not ours.
    OtherAmount,
    /// The list cannot be read.
    Unreadable,
}

/// Looks for a refund of `amount` in the `refunds[]` of GET status.
#[must_use]
pub fn refund_listed(view: &StatusView, refund: &Refund, amount: Rupiah) -> Listed {
    let Some(refunds) = &view.refunds else { return Listed::Unreadable };
    let key = refund.refund_id.to_string();
    match refunds.iter().find(|entry| entry.key.as_ref() == Some(&key)) {
        None => Listed::No,
        Some(entry) if entry.amount == amount.sen() => Listed::Yes(MidtransRefund {
            id: entry.chargeback_id.map(|id| id.to_string()),
            at: entry.created_at,
            funds_confirmed_at: entry.bank_confirmed_at,
        }),
        Some(_) => Listed::OtherAmount,
    }
}

/// What a status tells of money that went back; none if it tells that some did and not how much. A
/// refund that is not whole rupiah cannot be one of rupiah, and counts as unreadable.
///
/// The list need not be whole, or there: the sum of it all tells what it leaves out.
#[must_use]
pub fn seen_back(view: &StatusView) -> Option<SeenBack> {
    let said = view.refund_total.and_then(|total| Rupiah::from_sen(total).ok());
    let total = if view.status == TransactionStatus::Refund {
        view.gross.sen.and_then(|gross| Rupiah::from_sen(gross).ok())
    } else {
        said
    };
    let Some(refunds) = listed_back(view) else {
        return total.map(|_| SeenBack {
            refunds: vec![],
            total,
            charged_back: charged_back(view),
        });
    };
    if refunds.is_empty() && total.is_none() && view.status == TransactionStatus::PartialRefund {
        return None;
    }
    Some(SeenBack { refunds, total, charged_back: charged_back(view) })
}

fn listed_back(view: &StatusView) -> Option<Vec<SeenRefund>> {
    let refunds = view.refunds.as_ref()?.iter().map(|entry| {
        Some(SeenRefund {
            key: entry.key.clone(),
            amount: Rupiah::from_sen(entry.amount).ok()?,
            midtrans: MidtransRefund {
                id: entry.chargeback_id.map(|id| id.to_string()),
                at: entry.created_at,
                funds_confirmed_at: entry.bank_confirmed_at,
            },
        })
    });
    refunds.collect()
}

const fn charged_back(view: &StatusView) -> Option<ChargedBack> {
    match view.status {
        TransactionStatus::Chargeback => Some(ChargedBack::Whole),
        TransactionStatus::PartialChargeback => Some(ChargedBack::Part),
        TransactionStatus::Pending
        | TransactionStatus::Settlement
        | TransactionStatus::Capture
        | TransactionStatus::Authorize
        | TransactionStatus::Deny
        | TransactionStatus::Cancel
        | TransactionStatus::Expire
        | TransactionStatus::Failure
        | TransactionStatus::Refund
        | TransactionStatus::PartialRefund
        | TransactionStatus::Unknown(_) => None,
    }
}

/// Whether a notification tells that money of a payment that has succeeded went back.
#[must_use]
pub const fn claims_money_back(claimed: &TransactionStatus) -> bool {
    matches!(
        claimed,
        TransactionStatus::Refund
            | TransactionStatus::PartialRefund
            | TransactionStatus::Chargeback
            | TransactionStatus::PartialChargeback
    )
}

/// Whether a PSP's answer confirms a notification: any 2xx and, if the PSP wants it so, a body
/// that begins with `OK`.
#[must_use]
pub fn delivery_confirmed(http_status: u16, body: &[u8], require_ok_body: bool) -> bool {
    (200..300).contains(&http_status) && (!require_ok_body || body.starts_with(b"OK"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doubt::Verdict;
    use crate::ids::RefundId;
    use crate::payment::tests::{created, doubted, initialized, paid};
    use crate::refund::RefundState;

    /// An answer about the sample payment: a body with `fields` in place of, or beside, the usual.
    fn body(code: &str, status: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut body = serde_json::json!({
            "status_code": code,
            "transaction_status": status,
            "transaction_id": "m-1",
            "order_id": "123887123",
            "gross_amount": "10000.00",
            "currency": "IDR",
            "fraud_status": "accept",
        });
        for (name, value) in fields {
            body[*name] = serde_json::from_str(value).unwrap();
        }
        serde_json::to_vec(&body).unwrap()
    }

    fn view(code: &str, status: &str, fields: &[(&str, &str)]) -> StatusView {
        match StatusReply::parse(200, &body(code, status, fields)) {
            Ok(StatusReply::Found(view)) => *view,
            other => panic!("{other:?}"),
        }
    }

    fn pending() -> Payment {
        let start = initialized();
        start.on(&created(), start.created_at).payment
    }

    const LINK: (&str, &str) =
        ("actions", r#"[{"name":"deeplink-redirect","url":"gojek://gopay/a"}]"#);

    #[test]
    fn an_answer_to_a_charge_is_an_outcome_or_a_question() {
        let payment = initialized();
        let open = || {
            ChargeAnswer::Outcome(Event::ChargeCreated {
                midtrans_tx_id: "m-1".into(),
                deeplink: "gojek://gopay/a".into(),
            })
        };
        let refused = |reason, text: &str| {
            ChargeAnswer::Outcome(Event::ChargeRefused(Failure::new(reason, text)))
        };
        use ChargeAnswer as A;
        #[rustfmt::skip]
        let rows = [
            (body("201", "pending", &[LINK]), open()),
            (body("201", "pending", &[]), A::Unusable("created without a deeplink")),
            (body("201", "pending", &[LINK, ("order_id", "\"7\"")]), A::Unusable("created, but not our order or amount")),
            (body("201", "pending", &[LINK, ("gross_amount", "\"10001.00\"")]), A::Unusable("created, but not our order or amount")),
            (body("202", "deny", &[("channel_response_code", "\"201\"")]), refused(FailReason::RemoteDecline, "Declined by GoPay (code 202/201)")),
            (body("400", "", &[]), refused(FailReason::InputData, "GoPay does not accept the data sent (code 400)")),
            (body("400", "", &[("validation_messages", r#"["customer_details.email format is invalid"]"#)]), refused(FailReason::InputData, "specin.email: GoPay does not accept it (code 400)")),
            (body("401", "", &[]), refused(FailReason::LocalError, "The merchant is not set up at GoPay; contact support (code 401)")),
            (body("429", "", &[]), refused(FailReason::RemoteError, "GoPay has a temporary fault; try again later (code 429)")),
            (body("410", "", &[]), refused(FailReason::Unknown, "Refused by GoPay (code 410)")),
            (body("410", "", &[("status_message", r#""Merchant account is deactivated""#)]), refused(FailReason::LocalError, "The merchant is not set up at GoPay; contact support (code 410)")),
            (body("400", "", &[("validation_messages", r#"{"customer_details.email":["is invalid"]}"#)]), refused(FailReason::InputData, "specin.email: GoPay does not accept it (code 400)")),
            (body("406", "", &[]), A::Duplicate),
            (body("202", "pending", &[]), A::Unknown("in progress")),
            (body("500", "", &[]), A::Unknown("unclear")),
            (body("201", "expire", &[LINK]), A::Unknown("unclear")),
        ];
        for (body, expected) in rows {
            let case = String::from_utf8_lossy(&body).into_owned();
            let reply = ChargeReply::parse(200, &body).unwrap();
            assert_eq!(charge_answer(&payment, reply), expected, "{case}");
        }
    }

    #[test]
    fn only_an_open_charge_with_a_deeplink_is_recovered_for_the_shopper() {
        let payment = initialized();
        let found = |status: &str, code: &str, fields: &[(&str, &str)]| {
            charge_after_status(
                &payment,
                Some(StatusReply::Found(Box::new(view(code, status, fields)))),
            )
        };
        assert_eq!(found("pending", "201", &[LINK]).word(), "charge_created");
        for event in [
            found("pending", "201", &[]),
            found("pending", "201", &[LINK, ("order_id", "\"7\"")]),
            found("settlement", "200", &[LINK]),
            found("expire", "407", &[LINK]),
            charge_after_status(&payment, Some(StatusReply::NotFound)),
            charge_after_status(&payment, Some(StatusReply::Unclear)),
            charge_after_status(&payment, None),
        ] {
            assert_eq!(event, charge_unknown());
        }
    }

    #[test]
    fn a_status_is_an_event_or_says_why_not() {
        use Unclear as U;
        let paid_word = Ok("paid");
        let doubt = |what| (Ok("doubted"), Some(what));
        let sure = |word| (word, None);
        #[rustfmt::skip]
        let rows = [
            ("201", "pending", None, sure(Ok("still_open"))),
            ("200", "settlement", None, sure(paid_word)),
            ("200", "SETTLEMENT", None, sure(paid_word)),
            ("200", "settlement", Some(("currency", "\"idr\"")), sure(paid_word)),
            ("200", "settlement", Some(("fraud_status", "\"Accept\"")), sure(paid_word)),
            ("200", "settlement", Some(("refunds", "7")), sure(paid_word)),
            ("200", "settlement", Some(("refund_amount", "\"lots\"")), sure(paid_word)),
            ("200", "settlement", Some(("settlement_time", "\"soon\"")), sure(paid_word)),
            ("200", "settlement", Some(("transaction_id", "\"\"")), sure(paid_word)),
            ("200", "refund", None, sure(paid_word)),
            ("200", "partial_refund", None, sure(paid_word)),
            ("200", "chargeback", None, sure(paid_word)),
            ("200", "partial_chargeback", None, sure(paid_word)),
            ("202", "deny", None, sure(Ok("closed_denied"))),
            ("200", "cancel", None, sure(Ok("closed_cancelled"))),
            ("407", "expire", None, sure(Ok("closed_expired"))),
            ("202", "failure", None, sure(Ok("closed_failed"))),
            ("407", "expire", Some(("gross_amount", "\"1.00\"")), sure(Ok("closed_expired"))),
            ("201", "pending", Some(("gross_amount", "\"1.00\"")), sure(Ok("still_open"))),
            ("407", "expire", Some(("order_id", "\"7\"")), sure(Err(U::OrderId))),
            ("407", "expire", Some(("transaction_id", "\"m-2\"")), sure(Err(U::TransactionId))),
            ("201", "pending", Some(("order_id", "\"\"")), sure(Err(U::OrderId))),
            ("201", "settlement", None, doubt(U::NotAccepted)),
            ("200", "settlement", Some(("fraud_status", "\"challenge\"")), doubt(U::NotAccepted)),
            ("200", "refund", Some(("fraud_status", "\"deny\"")), doubt(U::NotAccepted)),
            ("200", "capture", None, doubt(U::CardStatus)),
            ("200", "authorize", None, doubt(U::CardStatus)),
            ("200", "brand_new", None, doubt(U::UnknownStatus)),
            ("200", "settlement", Some(("order_id", "\"7\"")), doubt(U::OrderId)),
            ("200", "settlement", Some(("order_id", "\"\"")), doubt(U::OrderId)),
            ("200", "settlement", Some(("gross_amount", "\"10071.00\"")), doubt(U::Amount)),
            ("200", "settlement", Some(("gross_amount", "\"lots\"")), doubt(U::Amount)),
            ("200", "settlement", Some(("gross_amount", "null")), doubt(U::Amount)),
            ("200", "refund", Some(("gross_amount", "\"10000.50\"")), doubt(U::Amount)),
            ("200", "settlement", Some(("currency", "\"USD\"")), doubt(U::Currency)),
            ("200", "settlement", Some(("transaction_id", "\"m-2\"")), doubt(U::TransactionId)),
        ];
        for (code, status, field, expected) in rows {
            let view = view(code, status, field.as_slice());
            let got = status_event(&pending(), &view);
            let what = match &got {
                Ok(Event::Doubted(finding)) => Some(finding.what),
                _ => None,
            };
            let word = got.as_ref().map(Event::word).map_err(|what| *what);
            assert_eq!((word, what), expected, "{code} {status} {field:?}");
        }
    }

    #[test]
    fn a_doubt_shows_both_values_and_what_is_at_risk() {
        let rows = [
            (("gross_amount", r#""10071.00""#), "10000.00", "10071.00", 1_007_100, Some(10_071)),
            (("gross_amount", r#""lots""#), "10000.00", "lots", 1_000_000, None),
            (("gross_amount", "10000.5"), "10000.00", "10000.5", 1_000_050, None),
            (("currency", r#""USD""#), "IDR", "USD", 1_000_000, None),
            (("transaction_id", r#""m-2""#), "m-1", "m-2", 1_000_000, None),
            (("order_id", r#""7""#), "123887123", "7", 1_000_000, None),
            (
                ("fraud_status", r#""deny""#),
                "code 200, fraud check accept",
                "code 200, fraud check deny",
                1_000_000,
                Some(10_000),
            ),
        ];
        for (field, expected, found, at_risk, returnable) in rows {
            let event = status_event(&pending(), &view("200", "settlement", &[field])).unwrap();
            let Event::Doubted(finding) = &event else { panic!("{event:?}") };
            assert_eq!((finding.expected.as_str(), finding.found.as_str()), (expected, found));
            assert_eq!(finding.returnable().map(Rupiah::get), returnable, "{field:?}");
            let doubtful = pending().on(&event, pending().created_at).payment;
            assert_eq!(doubtful.at_risk().map(crate::money::Sen::get), Some(at_risk), "{field:?}");
        }
    }

    #[test]
    fn an_answer_to_a_cancel_or_expire_ends_the_charge_or_leaves_it_to_the_status() {
        for (code, status, expected) in [
            ("200", "cancel", "closed_cancelled"),
            ("407", "expire", "closed_expired"),
            ("412", "", "no_news"),
            ("404", "", "no_news"),
            ("401", "", "no_news"),
            ("500", "", "no_news"),
        ] {
            let reply = CloseReply::parse(200, &body(code, status, &[])).unwrap();
            assert_eq!(close_event(&pending(), &reply).word(), expected, "{code} {status}");
        }
    }

    #[test]
    fn after_a_poll_a_worker_closes_what_must_not_stay_open_and_gives_up_in_the_end() {
        let start = initialized();
        let pending = pending();
        let asked = pending.on(&Event::CancelRequested, pending.created_at).payment;
        let unclear = start.on(&charge_unknown(), start.created_at).payment;
        let open = Event::StillOpen { midtrans_tx_id: "m-1".into() };
        let recovered = unclear.on(&open, start.created_at).payment;
        let succeeded = pending.on(&paid(), pending.created_at).payment;
        let doubtful = pending.on(&doubted(), pending.created_at).payment;
        let returning = doubtful.on(&Event::Judged(Verdict::Refund), pending.created_at).payment;
        let soon = start.created_at.after(Duration::from_secs(60));
        let over = pending.deadline_at;
        let silent = over.after(GIVE_UP_AFTER);
        use NextStep as N;
        #[rustfmt::skip]
        let rows = [
            (&start, &open, soon, N::Close(Close::Cancel)),
            (&start, &Event::NotFound, soon, N::GiveUp),
            (&start, &Event::NoAnswer, soon, N::Nothing),
            (&start, &Event::NoAnswer, start.created_at.after(GIVE_UP_AFTER), N::GiveUp),
            (&pending, &open, soon, N::Nothing),
            (&pending, &open, over, N::Close(Close::Expire)),
            (&pending, &Event::NoAnswer, over, N::Nothing),
            (&pending, &Event::NoAnswer, silent, N::GiveUp),
            (&asked, &open, soon, N::Close(Close::Cancel)),
            (&asked, &Event::NoAnswer, soon, N::Nothing),
            (&recovered, &open, soon, N::Close(Close::Cancel)),
            (&unclear, &Event::NotFound, silent, N::Nothing),
            (&succeeded, &Event::NoAnswer, silent, N::Nothing),
            (&doubtful, &Event::NoAnswer, silent, N::Nothing),
            (&doubtful, &Event::NotFound, silent, N::Nothing),
            (&returning, &Event::NoAnswer, silent, N::Return(Rupiah::new(10_071).unwrap())),
        ];
        for (payment, event, now, expected) in rows {
            let case = format!("{:?} {event:?} at {now}", payment.state);
            assert_eq!(next_step(payment, event, now), expected, "{case}");
        }
    }

    #[test]
    fn a_notification_asks_for_the_status_unless_it_can_tell_nothing_new() {
        use TransactionStatus as T;
        let failed = pending().on(&Event::Closed(Closure::Expired), pending().created_at).payment;
        let succeeded = pending().on(&paid(), pending().created_at).payment;
        for (state, claimed, needs) in [
            (&PaymentState::Initialized, T::Settlement, true),
            (&PaymentState::Initialized, T::Deny, false),
            (&PaymentState::Initialized, T::Pending, false),
            (&PaymentState::Pending, T::Pending, false),
            (&PaymentState::Pending, T::Settlement, true),
            (&PaymentState::Pending, T::Expire, true),
            (&PaymentState::Pending, T::Unknown("new".into()), true),
            (&failed.state, T::Settlement, true),
            (&failed.state, T::Pending, true),
            (&succeeded.state, T::Settlement, false),
            (&succeeded.state, T::Refund, false),
        ] {
            assert_eq!(notification_needs_status(state, &claimed), needs, "{state:?} {claimed:?}");
        }
    }

    #[test]
    fn a_notification_that_the_status_does_not_bear_out_is_looked_into_again() {
        use TransactionStatus as T;
        let failed = pending().on(&Event::Closed(Closure::Expired), pending().created_at).payment;
        let open = Event::StillOpen { midtrans_tx_id: "m-1".into() };
        let closed = Event::Closed(Closure::Expired);
        for (state, claimed, event, poll_soon, send_again) in [
            (&PaymentState::Pending, T::Settlement, &paid(), false, false),
            (&PaymentState::Pending, T::Settlement, &doubted(), false, false),
            (&failed.state, T::Settlement, &doubted(), false, false),
            (&PaymentState::Pending, T::Settlement, &Event::NoAnswer, true, true),
            (&PaymentState::Pending, T::Settlement, &open, true, false),
            (&PaymentState::Pending, T::Expire, &open, true, false),
            (&PaymentState::Pending, T::Expire, &closed, false, false),
            (&PaymentState::Pending, T::Expire, &Event::NotFound, true, false),
            (&failed.state, T::Settlement, &closed, true, true),
            (&failed.state, T::Settlement, &paid(), false, false),
            (&failed.state, T::Expire, &closed, false, false),
        ] {
            let expected = AfterNotification { poll_soon, send_again };
            let case = format!("{state:?} {claimed:?} {event:?}");
            assert_eq!(after_notification(state, &claimed, event), expected, "{case}");
        }
    }

    #[test]
    fn an_answer_to_a_refund_is_clear_or_left_to_the_status() {
        let refused = |reason, text: &str| RefundAnswer::Refused(Failure::new(reason, text));
        let accepted = |id: Option<&str>| {
            let id = id.map(str::to_owned);
            RefundAnswer::Accepted(MidtransRefund { id, ..MidtransRefund::default() })
        };
        let amount = ("refund_amount", "\"100.00\"");
        #[rustfmt::skip]
        let rows = [
            (body("200", "partial_refund", &[amount]), accepted(None)),
            (body("200", "refund", &[amount]), accepted(None)),
            (body("200", "refund", &[amount, ("refund_chargeback_id", "71")]), accepted(Some("71"))),
            (body("412", "", &[]), refused(FailReason::RemoteDecline, "Declined by GoPay (code 412)")),
            (body("414", "", &[]), refused(FailReason::RemoteDecline, "Declined by GoPay (code 414)")),
            (body("401", "", &[]), refused(FailReason::LocalError, "The merchant is not set up at GoPay; contact support (code 401)")),
            (body("406", "", &[]), RefundAnswer::Unknown("duplicate")),
            (body("202", "", &[]), RefundAnswer::Unknown("in progress")),
            (body("500", "", &[]), RefundAnswer::Unknown("unclear")),
        ];
        for (body, expected) in rows {
            let case = String::from_utf8_lossy(&body).into_owned();
            let reply = RefundReply::parse(200, &body).unwrap();
            assert_eq!(refund_answer(&reply), expected, "{case}");
        }
    }

    #[test]
    fn a_refund_is_listed_under_its_key_and_with_its_amount() {
        let payment = pending();
        let amount = Rupiah::new(100).unwrap();
        let refund = Refund {
            refund_id: RefundId::new(71).unwrap(),
            tx_id: payment.tx_id,
            psp: payment.psp.clone(),
            contract: payment.contract.clone(),
            merchant_refund_id: None,
            amount: Some(amount),
            descriptor: None,
            state: RefundState::Unresolved,
            created_at: payment.created_at,
            resolved_at: None,
            next_check_at: None,
            checks: 0,
            midtrans: MidtransRefund::default(),
            made_elsewhere: None,
        };
        for (refunds, expected) in [
            (
                r#"[{"refund_key":"71","refund_amount":"100.00"}]"#,
                Listed::Yes(MidtransRefund::default()),
            ),
            (
                r#"[{"refund_key":"71","refund_amount":"100.00","refund_chargeback_id":7,
                    "created_at":"2025-02-07 09:43:23","bank_confirmed_at":"2025-02-07 09:43:24"}]"#,
                Listed::Yes(MidtransRefund {
                    id: Some("7".into()),
                    at: Timestamp::from_wib_seconds("2025-02-07 09:43:23").ok(),
                    funds_confirmed_at: Timestamp::from_wib_seconds("2025-02-07 09:43:24").ok(),
                }),
            ),
            (r#"[{"refund_key":"71","refund_amount":"99.00"}]"#, Listed::OtherAmount),
            (r#"[{"refund_key":"72","refund_amount":"100.00"}]"#, Listed::No),
            (r#"[{"refund_key":"71"}]"#, Listed::Unreadable),
            ("[]", Listed::No),
        ] {
            let view = view("200", "partial_refund", &[("refunds", refunds)]);
            assert_eq!(refund_listed(&view, &refund, amount), expected, "{refunds}");
        }
    }

    #[test]
    fn a_notification_is_confirmed_by_any_2xx_and_ok_where_it_is_wanted() {
        for (status, body, require_ok, confirmed) in [
            (200, "", false, true),
            (299, "", false, true),
            (199, "OK", false, false),
            (300, "OK", false, false),
            (500, "OK", true, false),
            (200, "OK", true, true),
            (200, "OK, thanks", true, true),
            (200, "ok", true, false),
            (200, " OK", true, false),
            (200, "", true, false),
        ] {
            let got = delivery_confirmed(status, body.as_bytes(), require_ok);
            assert_eq!(got, confirmed, "{status} {body:?} {require_ok}");
        }
    }
}
