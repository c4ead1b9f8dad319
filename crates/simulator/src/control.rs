//! The control API under `/simulator/v1`: faults, the clock, the wallet without a page, and what
//! the simulator holds. It has no authentication; listen on loopback.

use std::str::FromStr;
use std::time::Duration;

use gopay_core::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::{ApiReply, ApiRequest};
use crate::clock::MovableClock;
use crate::engine::Engine;
use crate::faults::Fault;
use crate::wallet::{Payer, WalletError};

/// Where the control API lives.
pub const PREFIX: &str = "/simulator/v1/";
/// Transactions listed at once, unless asked otherwise, and at most.
const LIST_DEFAULT: usize = 1_000;
const LIST_MAX: usize = 100_000;
/// The same for lists whose newest entries come first.
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 500;

/// Answers one call of the control API.
pub fn handle(engine: &mut Engine, clock: &dyn MovableClock, request: &ApiRequest) -> ApiReply {
    let now = clock.now();
    engine.tick(now);
    let path = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["faults"]) => ApiReply::json(200, &json!({"faults": engine.faults()})),
        ("POST", ["faults"]) => add_fault(engine, request),
        ("DELETE", ["faults"]) | ("POST", ["faults", "clear"]) => {
            ApiReply::json(200, &json!({"cleared": engine.clear_faults()}))
        }
        ("GET", ["clock"]) => time(clock),
        ("POST", ["clock"]) => move_clock(engine, clock, request),
        ("GET", ["totals"]) => ApiReply::json(200, &engine.totals()),
        ("GET", ["transactions"]) => list(engine, request),
        ("GET", ["transactions", id]) => one(engine, id),
        ("POST", ["transactions", id, action]) => act(engine, now, id, action, request),
        ("GET", ["notifications"]) => notifications(engine, request),
        ("GET", ["notifications", "sent"]) => sent(engine, request),
        (_, ["faults" | "clock" | "totals" | "notifications" | "transactions", ..]) => {
            error(405, "method_not_allowed", "this method does not apply here")
        }
        _ => error(404, "not_found", "no such resource"),
    }
}

pub(crate) fn error(status: u16, code: &str, message: &str) -> ApiReply {
    ApiReply::json(status, &json!({"error": {"code": code, "message": message}}))
}

fn invalid(message: &str) -> ApiReply {
    error(400, "invalid", message)
}

fn add_fault(engine: &mut Engine, request: &ApiRequest) -> ApiReply {
    let added = serde_json::from_slice::<Fault>(&request.body)
        .map_err(|error| error.to_string())
        .and_then(|fault| engine.add_fault(fault));
    match added {
        Ok(id) => ApiReply::json(201, &json!({"id": id})),
        Err(message) => invalid(&message),
    }
}

fn time(clock: &dyn MovableClock) -> ApiReply {
    ApiReply::json(200, &json!({"now": clock.now().to_string()}))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClockMove {
    advance_ms: Option<u64>,
    advance: Option<String>,
    set: Option<String>,
}

fn move_clock(engine: &mut Engine, clock: &dyn MovableClock, request: &ApiRequest) -> ApiReply {
    let wanted = match serde_json::from_slice::<ClockMove>(&request.body) {
        Ok(wanted) => wanted,
        Err(error) => return invalid(&error.to_string()),
    };
    match (wanted.advance_ms, wanted.advance, wanted.set) {
        (Some(ms), None, None) => clock.advance(Duration::from_millis(ms)),
        (None, Some(text), None) => match span(&text) {
            Some(span) => clock.advance(span),
            None => return invalid("advance is not a span such as \"1h30m\""),
        },
        (None, None, Some(text)) => match Timestamp::from_rfc3339(&text) {
            Ok(to) if clock.set(to) => {}
            Ok(_) => return invalid("set is in the past; the clock only moves forward"),
            Err(_) => return invalid("set is not a time such as \"2026-01-15T03:00:00Z\""),
        },
        _ => return invalid("give exactly one of advance_ms, advance and set"),
    }
    engine.tick(clock.now());
    time(clock)
}

/// Reads `1d2h30m15s500ms`: whole numbers with units, each at most once, largest first.
fn span(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(unit_at)?;
        let unit_end = tail.find(|letter: char| letter.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at_checked(unit_end)?;
        let (_, unit_ms) = units.find(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit_ms)?)?;
        rest = next;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total_ms))
}

/// `?limit=&offset=`.
fn page(request: &ApiRequest) -> Result<(usize, usize), ApiReply> {
    let offset = number(request, "offset")?.unwrap_or(0);
    let limit = number(request, "limit")?.unwrap_or(LIST_DEFAULT);
    Ok((offset, limit.min(LIST_MAX)))
}

/// `?limit=&before=`: a page of a list whose newest entries come first.
fn newest_page(request: &ApiRequest) -> Result<(Option<u64>, usize), ApiReply> {
    let limit = number(request, "limit")?.unwrap_or(PAGE_DEFAULT);
    Ok((number(request, "before")?, limit.clamp(1, PAGE_MAX)))
}

fn parameter(request: &ApiRequest, name: &str) -> Option<String> {
    form_urlencoded::parse(request.query.as_bytes())
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

fn number<T: FromStr>(request: &ApiRequest, name: &str) -> Result<Option<T>, ApiReply> {
    let number = parameter(request, name).map(|text| text.parse::<T>()).transpose();
    number.map_err(|_| invalid("limit, offset and before are numbers"))
}

/// The number to ask for the next page with; none if this page is the last.
fn next_before(numbers: impl ExactSizeIterator<Item = u64>, limit: usize) -> Option<u64> {
    if numbers.len() == limit { numbers.last() } else { None }
}

fn newest(engine: &Engine, request: &ApiRequest) -> ApiReply {
    match newest_page(request) {
        Ok((before, limit)) => {
            let transactions = engine.newest_transactions(before, limit);
            let next = next_before(transactions.iter().map(|found| found.number), limit);
            ApiReply::json(200, &json!({"transactions": transactions, "next_before": next}))
        }
        Err(reply) => reply,
    }
}

fn sent(engine: &Engine, request: &ApiRequest) -> ApiReply {
    match newest_page(request) {
        Ok((before, limit)) => {
            let sent = engine.sent_notifications(before, limit);
            let next = next_before(sent.iter().map(|one| one.number), limit);
            ApiReply::json(200, &json!({"notifications": sent, "next_before": next}))
        }
        Err(reply) => reply,
    }
}

fn list(engine: &Engine, request: &ApiRequest) -> ApiReply {
    match parameter(request, "order").as_deref() {
        Some("newest") => return newest(engine, request),
        Some("oldest") | None => {}
        Some(_) => return invalid("order is newest or oldest"),
    }
    match page(request) {
        Ok((offset, limit)) => ApiReply::json(
            200,
            &json!({
                "transactions": engine.transactions(offset, limit),
                "offset": offset,
                "limit": limit,
                "totals": engine.totals(),
            }),
        ),
        Err(reply) => reply,
    }
}

fn one(engine: &Engine, id: &str) -> ApiReply {
    match engine.transaction(id) {
        Some(found) => ApiReply::json(200, &found),
        None => error(404, "unknown", "no such transaction"),
    }
}

fn notifications(engine: &Engine, request: &ApiRequest) -> ApiReply {
    match page(request) {
        Ok((offset, limit)) => {
            let counts = |found: crate::transaction::TransactionView| {
                json!({
                    "order_id": found.order_id,
                    "transaction_id": found.transaction_id,
                    "status": found.status,
                    "notifications": found.notifications,
                })
            };
            let transactions: Vec<_> =
                engine.transactions(offset, limit).into_iter().map(counts).collect();
            ApiReply::json(
                200,
                &json!({
                    "queue": engine.notification_queue(),
                    "transactions": transactions,
                    "offset": offset,
                    "limit": limit,
                }),
            )
        }
        Err(reply) => reply,
    }
}

fn act(
    engine: &mut Engine,
    now: Timestamp,
    id: &str,
    action: &str,
    request: &ApiRequest,
) -> ApiReply {
    let outcome = match action {
        "pay" => match body::<Payer>(request) {
            Ok(payer) => engine.pay(now, id, &payer),
            Err(reply) => return reply,
        },
        "refund" => match body(request) {
            Ok(refund) => engine.refund_at_dashboard(now, id, &refund),
            Err(reply) => return reply,
        },
        "chargeback" => match body(request) {
            Ok(chargeback) => engine.charge_back(now, id, chargeback),
            Err(reply) => return reply,
        },
        "notify" => match body(request) {
            Ok(wanted) => engine.send_notification(now, id, &wanted).map(|_| ()),
            Err(reply) => return reply,
        },
        "decline" => engine.decline(now, id),
        "deny" => engine.deny(now, id),
        "expire" => engine.expire(now, id),
        "fail" => engine.fail(now, id),
        "cancel" => engine.cancel(now, id),
        "settle-late" => engine.settle_late(now, id),
        _ => return error(404, "not_found", "no such action"),
    };
    match outcome {
        Ok(()) => one(engine, id),
        Err(refusal) => refused(&refusal),
    }
}

/// A JSON body, whose fields all have defaults; none at all is the default.
fn body<T: Default + DeserializeOwned>(request: &ApiRequest) -> Result<T, ApiReply> {
    if request.body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&request.body).map_err(|error| invalid(&error.to_string()))
}

fn refused(refusal: &WalletError) -> ApiReply {
    let (status, code) = match refusal {
        WalletError::Unknown => (404, "unknown"),
        WalletError::UnknownWallet => (400, "unknown_wallet"),
        WalletError::WrongStatus(_) => (409, "wrong_status"),
        WalletError::WrongPin => (409, "wrong_pin"),
        WalletError::NotVerified => (409, "not_verified"),
        WalletError::AboveLimit(_) => (409, "above_limit"),
        WalletError::BalanceTooLow => (409, "balance_too_low"),
        WalletError::NotLeft(_) => (409, "not_left"),
        WalletError::TooManyRefunds => (409, "too_many_refunds"),
        WalletError::NothingSent => (409, "nothing_sent"),
        WalletError::NoReceiver => (409, "no_receiver"),
    };
    error(status, code, &refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_or_refused() {
        for (text, ms) in [
            ("1h30m", Some(5_400_000)),
            ("45s", Some(45_000)),
            ("250ms", Some(250)),
            ("1d2h3m4s5ms", Some(93_784_005)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("h", None),
            ("1m1h", None),
            ("1m1m", None),
            ("1w", None),
            ("-1h", None),
            ("1.5h", None),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(span(text), ms.map(Duration::from_millis), "{text:?}");
        }
    }
}
