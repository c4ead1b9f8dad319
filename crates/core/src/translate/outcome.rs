//! What the answers of Midtrans and of PSPs mean: an event of the payment, a PPRO reason, or the
//! next thing to do.
//!
//! Source: `docs/midtrans.md`, "Refusals", "GET status", "Ordering and duplicates", and
//! `docs/psp-guide.md`, "Reasons" and "Notifications".

use super::refused_field::refused_field;
use crate::midtrans::{
    ChargeReply, CloseReply, Created, OrderId, RefundReply, Refusal, RefusalCause, StatusReply,
    StatusView, TransactionStatus,
};
use crate::money::Rupiah;
use crate::payment::{
    ChargeState, Closure, Event, FailReason, Failure, GIVE_UP_AFTER, Payment, PaymentState,
};
use crate::refund::{MidtransRefund, Refund};
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
    match (status_event(payment, &view), view.deeplink) {
        (Ok(Event::StillOpen { midtrans_tx_id }), Some(deeplink)) => {
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

/// Why a status says nothing about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Another order.
    OrderId,
    /// Another amount.
    Amount,
    /// Another currency.
    Currency,
    /// Another transaction than the one that is known: an order id can own several.
    TransactionId,
    /// A settlement with another code than 200, or with a word of the fraud check.
    SettlementNotAccepted,
    /// A status that only cards have.
    CardStatus,
    /// A refund or chargeback with a word of the fraud check.
    RefundNotAccepted,
    /// A word that this program does not know.
    UnknownStatus,
}

impl Mismatch {
    /// The text for the trail and the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderId => "other order id",
            Self::Amount => "other amount",
            Self::Currency => "other currency",
            Self::TransactionId => "other transaction id",
            Self::SettlementNotAccepted => "settled, but not accepted",
            Self::CardStatus => "card status",
            Self::RefundNotAccepted => "refunded, but not accepted",
            Self::UnknownStatus => "unknown status",
        }
    }
}

/// What GET status says about a payment.
///
/// # Errors
/// [`Mismatch`] if it says nothing about this payment.
pub fn status_event(payment: &Payment, view: &StatusView) -> Result<Event, Mismatch> {
    use TransactionStatus as T;
    same_payment(payment, view)?;
    let midtrans_tx_id = view.midtrans_tx_id.as_str().to_owned();
    if view.is_paid() {
        return Ok(Event::Paid {
            midtrans_tx_id,
            paid_at: view.settlement_time,
            payment_type: view.payment_type.clone(),
            payment_option: view.payment_option_type.clone(),
        });
    }
    match &view.status {
        T::Pending => Ok(Event::StillOpen { midtrans_tx_id }),
        T::Deny => Ok(Event::Closed(Closure::Denied)),
        T::Cancel => Ok(Event::Closed(Closure::Cancelled)),
        T::Expire => Ok(Event::Closed(Closure::Expired)),
        T::Failure => Ok(Event::Closed(Closure::Failed)),
        T::Settlement => Err(Mismatch::SettlementNotAccepted),
        T::Capture | T::Authorize => Err(Mismatch::CardStatus),
        T::Refund | T::PartialRefund | T::Chargeback | T::PartialChargeback => {
            Err(Mismatch::RefundNotAccepted)
        }
        T::Unknown(_) => Err(Mismatch::UnknownStatus),
    }
}

fn same_payment(payment: &Payment, view: &StatusView) -> Result<(), Mismatch> {
    if view.order_id != OrderId::Ours(payment.tx_id) {
        return Err(Mismatch::OrderId);
    }
    if Some(view.gross) != payment.amount {
        return Err(Mismatch::Amount);
    }
    if view.currency.as_deref().is_some_and(|currency| currency != "IDR") {
        return Err(Mismatch::Currency);
    }
    let known = payment.midtrans_tx_id.as_deref();
    if known.is_some_and(|known| known != view.midtrans_tx_id.as_str()) {
        return Err(Mismatch::TransactionId);
    }
    Ok(())
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
}

/// The next step about a payment whose poll told `event` at `now`.
#[must_use]
pub fn next_step(payment: &Payment, event: &Event, now: Timestamp) -> NextStep {
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
    let lags = claims_money(claimed) && !matches!(event, Event::Paid { .. });
    let open = matches!(event, Event::StillOpen { .. } | Event::NotFound);
    AfterNotification {
        poll_soon: no_answer || lags || open,
        // Polls for late money grow ever rarer, and end: the notification must come again.
        send_again: no_answer || (lags && matches!(before, PaymentState::Failed(_))),
    }
}

const fn claims_money(claimed: &TransactionStatus) -> bool {
    matches!(
        claimed,
        TransactionStatus::Settlement
            | TransactionStatus::Refund
            | TransactionStatus::PartialRefund
    )
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
}

/// Looks for a refund of `amount` in the `refunds[]` of GET status.
#[must_use]
pub fn refund_listed(view: &StatusView, refund: &Refund, amount: Rupiah) -> Listed {
    match view.refund(&refund.refund_id.to_string()) {
        None => Listed::No,
        Some(entry) if entry.amount == amount.sen() => Listed::Yes(MidtransRefund {
            id: entry.chargeback_id.map(|id| id.to_string()),
            at: entry.created_at,
            funds_confirmed_at: entry.bank_confirmed_at,
        }),
        Some(_) => Listed::OtherAmount,
    }
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
    use crate::ids::RefundId;
    use crate::payment::tests::{created, initialized, paid};
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
        use Mismatch as M;
        let paid_word = Ok("paid");
        #[rustfmt::skip]
        let rows = [
            ("201", "pending", None, Ok("still_open")),
            ("200", "settlement", None, paid_word),
            ("200", "refund", None, paid_word),
            ("200", "partial_refund", None, paid_word),
            ("200", "chargeback", None, paid_word),
            ("200", "partial_chargeback", None, paid_word),
            ("202", "deny", None, Ok("closed_denied")),
            ("200", "cancel", None, Ok("closed_cancelled")),
            ("407", "expire", None, Ok("closed_expired")),
            ("202", "failure", None, Ok("closed_failed")),
            ("201", "settlement", None, Err(M::SettlementNotAccepted)),
            ("200", "settlement", Some(("fraud_status", "\"challenge\"")), Err(M::SettlementNotAccepted)),
            ("200", "refund", Some(("fraud_status", "\"deny\"")), Err(M::RefundNotAccepted)),
            ("200", "capture", None, Err(M::CardStatus)),
            ("200", "authorize", None, Err(M::CardStatus)),
            ("200", "brand_new", None, Err(M::UnknownStatus)),
            ("200", "settlement", Some(("order_id", "\"7\"")), Err(M::OrderId)),
            ("200", "settlement", Some(("gross_amount", "\"10071.00\"")), Err(M::Amount)),
            ("200", "settlement", Some(("currency", "\"USD\"")), Err(M::Currency)),
            ("200", "settlement", Some(("transaction_id", "\"m-2\"")), Err(M::TransactionId)),
        ];
        for (code, status, field, expected) in rows {
            let view = view(code, status, field.as_slice());
            let got = status_event(&pending(), &view);
            let word = got.as_ref().map(Event::word).map_err(|mismatch| *mismatch);
            assert_eq!(word, expected, "{code} {status} {field:?}");
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
