//! The Core API: routing, authentication, idempotency, faults, and one function per endpoint.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gopay_core::time::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::Url;

use crate::api::{ApiReply, ApiRequest, Delivery, JSON, PNG, TEXT};
use crate::charge;
use crate::config::RepeatedRefundKey;
use crate::engine::Engine;
use crate::faults::{Action as Fault, On, ProviderRefusal, When, provider_refusal};
use crate::idempotency::{KEY_CHARS_MAX, Known, Stored};
use crate::lenient::{Object, Scalar};
use crate::png;
use crate::transaction::{QrisKind, Refund, Status, Transaction};
use crate::validation::{Need, Violations};
use crate::wire::{Body, Refusal, decimal, signature};

/// How many URLs a notification header may list.
const NOTIFY_URLS_MAX: usize = 3;
const REFUND_WINDOW: Duration = Duration::from_secs(45 * 86_400);
const REFUND_WINDOW_OFF_US: Duration = Duration::from_secs(7 * 86_400);
/// How long the same key may retry the same refund.
const REFUND_KEY_LIFETIME: Duration = Duration::from_secs(7 * 86_400);
const REFUND_TEXT_CHARS_MAX: usize = 255;
/// Refused refund keys remembered per transaction; beyond it the oldest is forgotten.
const REFUND_ATTEMPTS_MAX: usize = 64;

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Charge,
    Status(Cow<'a, str>),
    Cancel(Cow<'a, str>),
    Expire(Cow<'a, str>),
    Refund(Cow<'a, str>),
    /// Approve, deny and capture are for cards; they exist to refuse.
    CardOnly(Cow<'a, str>),
    Capture,
    QrCode(Cow<'a, str>),
    Checkout,
}

impl Route<'_> {
    const fn method(&self) -> &'static str {
        match self {
            Self::Charge
            | Self::Cancel(_)
            | Self::Expire(_)
            | Self::Refund(_)
            | Self::CardOnly(_)
            | Self::Capture => "POST",
            Self::Status(_) | Self::QrCode(_) => "GET",
            Self::Checkout => "",
        }
    }

    const fn on(&self) -> Option<On> {
        match self {
            Self::Charge => Some(On::Charge),
            Self::Status(_) => Some(On::Status),
            Self::Cancel(_) => Some(On::Cancel),
            Self::Expire(_) => Some(On::Expire),
            Self::Refund(_) => Some(On::Refund),
            Self::CardOnly(_) | Self::Capture | Self::QrCode(_) | Self::Checkout => None,
        }
    }

    fn id(&self) -> Option<&str> {
        match self {
            Self::Status(id)
            | Self::Cancel(id)
            | Self::Expire(id)
            | Self::Refund(id)
            | Self::CardOnly(id)
            | Self::QrCode(id) => Some(id),
            Self::Charge | Self::Capture | Self::Checkout => None,
        }
    }
}

fn route(path: &str) -> Option<Route<'_>> {
    let id = |text| percent_decode_str(text).decode_utf8_lossy();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    Some(match parts.as_slice() {
        ["v2", "charge"] => Route::Charge,
        ["v2", "capture"] => Route::Capture,
        ["v2", "gopay", known, "qr-code"] => Route::QrCode(id(known)),
        ["v2", known, "status"] => Route::Status(id(known)),
        ["v2", known, "cancel"] => Route::Cancel(id(known)),
        ["v2", known, "expire"] => Route::Expire(id(known)),
        ["v2", known, "refund"] | ["v2", known, "refund", "online", "direct"] => {
            Route::Refund(id(known))
        }
        ["v2", known, "approve" | "deny"] => Route::CardOnly(id(known)),
        ["gopay", "ui", "checkout"] => Route::Checkout,
        _ => return None,
    })
}

/// A success, before faults touch its answer.
struct Success {
    body: Bytes,
    stored: Stored,
}

impl Success {
    fn new(body: &Body<'_>) -> Self {
        let body = Bytes::from(serde_json::to_vec(body).unwrap_or_default());
        Self { stored: Stored::Body(body.clone()), body }
    }
}

/// One authenticated call on its way.
struct Call<'a> {
    now: Timestamp,
    request: &'a ApiRequest,
    route: &'a Route<'a>,
    key: usize,
    merchant: usize,
    fault: Option<Fault>,
}

impl Engine {
    /// Answers one call of the Core API or of the checkout page. Its effects have happened when
    /// this returns, unless the answer is [`Delivery::Deferred`].
    pub fn handle(&mut self, now: Timestamp, request: &ApiRequest) -> ApiReply {
        self.answer(now, request, true)
    }

    /// Takes up a deferred call. An unknown ticket is answered 500.
    pub fn resume(&mut self, now: Timestamp, ticket: u64) -> ApiReply {
        match self.parked.remove(&ticket) {
            Some((_, request)) => self.answer(now, &request, false),
            None => self.refuse(&Refusal::internal().under(500)),
        }
    }

    pub(crate) fn refuse(&mut self, refusal: &Refusal) -> ApiReply {
        let id = self.random.uuid();
        refusal.reply(id)
    }

    fn answer(&mut self, now: Timestamp, request: &ApiRequest, first: bool) -> ApiReply {
        self.tick(now);
        let Some(route) = route(&request.path) else {
            return self.refuse(&Refusal::new(404, "The resource does not exist.").under(404));
        };
        if route == Route::Checkout {
            return self.checkout(now, request);
        }
        if request.method != route.method() {
            return self.refuse(&Refusal::new(405, "HTTP method is not allowed."));
        }
        // An image tag cannot authenticate.
        if let Route::QrCode(id) = &route {
            return self.qr_code(id);
        }
        let Some(key) = self.authenticate(request.header("authorization")) else {
            return self.refuse(&Refusal::unauthorized());
        };
        if !accepts_json(request.header("accept")) {
            return self.refuse(&Refusal::new(403, "The requested content type is not available."));
        }
        let merchant = self.keys.get(key).map_or(0, |key| key.merchant);
        let fault = if first { self.pick_fault(merchant, &route, request) } else { None };
        let call = Call { now, request, route: &route, key, merchant, fault };
        let latency = if first { self.next_latency() } else { Duration::ZERO };
        let mut reply = self.call(&call, first, latency);
        reply.delay = reply.delay.saturating_add(latency);
        reply
    }

    fn pick_fault(
        &mut self,
        merchant: usize,
        route: &Route<'_>,
        request: &ApiRequest,
    ) -> Option<Fault> {
        let on = route.on()?;
        let order = if self.faults.wants_order(on) {
            match route.id() {
                None => charge::order_id_of(&request.body),
                Some(id) => {
                    let found = self.find(merchant, id).and_then(|at| self.transactions.get(at));
                    found.map(|found| found.order_id.clone())
                }
            }
        } else {
            None
        };
        self.faults.pick(on, order.as_deref(), &mut self.random)
    }

    /// Faults that prevent the call, then the idempotency store, then the call, then faults that
    /// spoil the answer.
    fn call(&mut self, call: &Call<'_>, first: bool, latency: Duration) -> ApiReply {
        let idempotency = idempotency_key(call);
        match &call.fault {
            Some(Fault::LostBefore {}) => {
                return ApiReply { delivery: Delivery::Drop, ..ApiReply::new(200, JSON, "") };
            }
            Some(Fault::Http { status, body }) => return self.plain(*status, body.as_deref()),
            Some(Fault::Delay { ms, when: When::Before }) => {
                return self.park(call, Duration::from_millis(*ms), idempotency);
            }
            Some(_) | None => {}
        }
        // A call that was put off holds its key already.
        let known = idempotency
            .filter(|_| first)
            .and_then(|key| self.idempotency.get(call.merchant, key, call.now));
        let reply = match known {
            Some(Known::Running) => {
                let message = "The request with the same idempotency key is still processed.";
                return self.refuse(&Refusal::new(202, message).under(202));
            }
            Some(Known::Done(stored)) => self.repeat(&stored),
            None => self.first_time(call, first, latency, idempotency),
        };
        self.spoil(call.fault.as_ref(), reply)
    }

    fn first_time(
        &mut self,
        call: &Call<'_>,
        first: bool,
        latency: Duration,
        idempotency: Option<&str>,
    ) -> ApiReply {
        if let Some(key) = idempotency.filter(|_| !first) {
            self.idempotency.abandon(call.merchant, key);
        }
        match self.perform(call) {
            Ok(success) => {
                if let Some(key) = idempotency {
                    let wait = latency.saturating_add(late_answer(call.fault.as_ref()));
                    let answered_at = call.now.after(wait);
                    self.idempotency.store(
                        call.merchant,
                        key,
                        call.now,
                        answered_at,
                        success.stored,
                    );
                }
                ApiReply::new(200, JSON, success.body)
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn repeat(&mut self, stored: &Stored) -> ApiReply {
        match stored {
            Stored::Body(body) => ApiReply::new(200, JSON, body.clone()),
            Stored::Charge(index) => {
                if let Some(transaction) = self.transactions.get_mut(*index) {
                    transaction.charge_repeats += 1;
                }
                ApiReply::new(200, JSON, self.charge_body(*index))
            }
        }
    }

    fn park(&mut self, call: &Call<'_>, delay: Duration, idempotency: Option<&str>) -> ApiReply {
        if let Some(key) = idempotency {
            if let Some(known) = self.idempotency.get(call.merchant, key, call.now) {
                // A repetition has no effect that could be put off, only its answer is late.
                let reply = match known {
                    Known::Running => {
                        self.refuse(&Refusal::new(202, "Still processed.").under(202))
                    }
                    Known::Done(stored) => self.repeat(&stored),
                };
                return ApiReply { delay, ..reply };
            }
            self.idempotency.start(call.merchant, key, call.now);
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.parked.insert(ticket, (call.now.after(delay), call.request.clone()));
        ApiReply { delay, delivery: Delivery::Deferred { ticket }, ..ApiReply::new(200, JSON, "") }
    }

    fn plain(&mut self, status: u16, body: Option<&str>) -> ApiReply {
        match body {
            Some(body) => ApiReply::new(status, JSON, body.to_owned()),
            None => {
                let message = "The service is unavailable. Please retry.";
                self.refuse(&Refusal::new(status, message).under(status))
            }
        }
    }

    fn spoil(&mut self, fault: Option<&Fault>, reply: ApiReply) -> ApiReply {
        match fault {
            Some(Fault::LostAfter {}) => ApiReply { delivery: Delivery::Drop, ..reply },
            Some(Fault::Truncate {}) => ApiReply { delivery: Delivery::Truncate, ..reply },
            Some(Fault::Delay { ms, .. }) => {
                ApiReply { delay: Duration::from_millis(*ms), ..reply }
            }
            Some(Fault::HttpAfter { status, body }) => self.plain(*status, body.as_deref()),
            Some(Fault::Garbage {}) => ApiReply::new(200, TEXT, "<<< upstream connect error >>>"),
            Some(Fault::Empty {}) => ApiReply::new(200, JSON, ""),
            Some(
                Fault::LostBefore {}
                | Fault::Http { .. }
                | Fault::ProviderError { .. }
                | Fault::StaleStatus { .. }
                | Fault::RefundRefused { .. }
                | Fault::Drop {}
                | Fault::Duplicate { .. }
                | Fault::Reorder {}
                | Fault::ForgeSignature {}
                | Fault::WrongAmount {}
                | Fault::AsQris {},
            )
            | None => reply,
        }
    }

    fn perform(&mut self, call: &Call<'_>) -> Result<Success, Refusal> {
        let found =
            |id: &str| self.find(call.merchant, id).ok_or_else(Refusal::unknown_transaction);
        match call.route {
            Route::Charge => self.charge(call),
            Route::Status(id) => {
                let index = found(id)?;
                self.status(call, index)
            }
            Route::Cancel(id) => {
                let index = found(id)?;
                let message = "Success, transaction is canceled";
                self.end(call, index, Status::Cancel, ("200", message))
            }
            Route::Expire(id) => {
                let index = found(id)?;
                let message = "Success, transaction is expired";
                self.end(call, index, Status::Expire, ("407", message))
            }
            Route::Refund(id) => {
                let index = found(id)?;
                self.refund(call, index)
            }
            Route::CardOnly(id) => found(id).and(Err(Refusal::wrong_state())),
            Route::Capture => {
                #[derive(Deserialize)]
                struct Capture {
                    transaction_id: String,
                }
                let capture: Capture = serde_json::from_slice(&call.request.body)
                    .map_err(|_| Refusal::invalid(vec!["transaction_id is required".to_owned()]))?;
                found(&capture.transaction_id).and(Err(Refusal::wrong_state()))
            }
            Route::QrCode(_) | Route::Checkout => Err(Refusal::internal()),
        }
    }

    // --- charge ---------------------------------------------------------------------------------

    fn charge(&mut self, call: &Call<'_>) -> Result<Success, Refusal> {
        let charge = charge::parse(&call.request.body, call.now, self.config.item_text_limit)?;
        let notify = self.notify_urls(call.request)?;
        let order = self
            .merchants
            .get(call.merchant)
            .and_then(|merchant| merchant.orders.get(&charge.order_id))
            .and_then(|(index, _)| self.transactions.get(*index));
        if order.is_some_and(|newest| !newest.status.frees_order_id()) {
            let message = "The request could not be completed due to a conflict: order_id has \
                           already been used.";
            return Err(Refusal::new(406, message));
        }
        let denial = match call.fault {
            Some(Fault::ProviderError { code, shape }) => match provider_refusal(code, shape) {
                ProviderRefusal::Denied { fraud, message } => Some((code, message, fraud)),
                ProviderRefusal::Refused { code, http, message } => {
                    let validation =
                        if code == 400 { vec![message.to_owned()] } else { Vec::new() };
                    return Err(Refusal { validation, ..Refusal::new(code, message).under(http) });
                }
            },
            Some(_) | None => None,
        };
        let index = self.open(call.now, call.key, charge, notify, denial);
        Ok(Success { body: self.charge_body(index), stored: Stored::Charge(index) })
    }

    /// The answer to a charge: always the same, whatever became of the transaction since.
    fn charge_body(&self, index: usize) -> Bytes {
        let Some(transaction) = self.transactions.get(index) else { return Bytes::new() };
        let status = transaction.first_status();
        let (code, message, actions) = if transaction.born_denied {
            ("202", "GoPay transaction is denied", Vec::new())
        } else {
            ("201", "GoPay transaction is created", self.actions(transaction))
        };
        let channel = transaction.channel.filter(|_| transaction.born_denied);
        let body = Body {
            status_code: code,
            status_message: message,
            transaction_id: transaction.id.to_string(),
            order_id: &transaction.order_id,
            merchant_id: self.merchants.get(transaction.merchant).map_or("", |found| &found.id),
            gross_amount: decimal(transaction.amount),
            currency: "IDR",
            payment_type: "gopay",
            transaction_time: transaction.created_at.wib_seconds(),
            transaction_status: status.word(),
            fraud_status: if transaction.fraud_denied { "deny" } else { "accept" },
            expiry_time: Some(transaction.expires_at.wib_seconds()),
            channel_response_code: channel.map(|(code, _)| code.to_string()),
            channel_response_message: channel.map(|(_, message)| message),
            actions,
            ..Body::default()
        };
        Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
    }

    /// The receivers of a charge's notifications; `None` for the dashboard's alone.
    fn notify_urls(&self, request: &ApiRequest) -> Result<Option<Arc<[Arc<str>]>>, Refusal> {
        let replaced = url_list(request, "x-override-notification")?;
        let added = url_list(request, "x-append-notification")?;
        if replaced.is_none() && added.is_none() {
            return Ok(None);
        }
        let dashboard = || self.config.notification_url.iter().map(|url| Arc::from(url.as_str()));
        let mut urls = replaced.unwrap_or_else(|| dashboard().collect());
        urls.extend(added.unwrap_or_default());
        Ok(Some(Arc::from(urls)))
    }

    // --- status, cancel, expire -----------------------------------------------------------------

    fn status(&self, call: &Call<'_>, index: usize) -> Result<Success, Refusal> {
        let at = match call.fault {
            Some(Fault::StaleStatus { seconds }) => call.now.before(Duration::from_secs(seconds)),
            Some(_) | None => call.now,
        };
        let transaction = self
            .transactions
            .get(index)
            .filter(|found| found.created_at <= at)
            .ok_or_else(Refusal::unknown_transaction)?;
        let status = transaction.status_at(at);
        let code = status.status_code();
        let mut body = self.body(transaction, status, code, "Success, transaction is found", at);
        let server_key = self.keys.get(call.key).map_or("", |key| &key.text);
        body.signature_key =
            Some(signature(&transaction.order_id, code, &body.gross_amount, server_key));
        Ok(Success::new(&body))
    }

    /// Cancel and expire: both only for a payment that is still open.
    fn end(
        &mut self,
        call: &Call<'_>,
        index: usize,
        to: Status,
        (code, message): (&'static str, &'static str),
    ) -> Result<Success, Refusal> {
        let pending =
            self.transactions.get(index).is_some_and(|found| found.status == Status::Pending);
        if !pending {
            return Err(Refusal::wrong_state());
        }
        self.change_status(call.now, index, to);
        let transaction = self.transactions.get(index).ok_or_else(Refusal::internal)?;
        let body = self.body(transaction, to, code, message, call.now);
        Ok(Success::new(&body.without_echo()))
    }

    // --- refund ---------------------------------------------------------------------------------

    fn refund(&mut self, call: &Call<'_>, index: usize) -> Result<Success, Refusal> {
        let wanted = RefundRequest::parse(&call.request.body)?;
        let generated = self.random.uuid();
        let key = wanted.key.unwrap_or_else(|| generated.to_string());
        let repeat = self.config.repeated_refund_key;
        let transaction = self.transactions.get(index).ok_or_else(Refusal::unknown_transaction)?;
        let paid_from = self.merchants.get(transaction.merchant).and_then(|found| found.balance);

        if let Some(earlier) = transaction.refunds.iter().find(|refund| refund.key == key) {
            let fresh = call.now.since(earlier.created_at) <= REFUND_KEY_LIFETIME;
            return match repeat {
                RepeatedRefundKey::Repeat if fresh => {
                    Ok(self.refund_success(transaction, earlier, call.now))
                }
                RepeatedRefundKey::Repeat | RepeatedRefundKey::Refuse => {
                    Err(duplicate_refund_key())
                }
            };
        }
        if first_attempt(transaction, &key)
            .is_some_and(|at| call.now.since(at) > REFUND_KEY_LIFETIME)
        {
            return Err(duplicate_refund_key());
        }
        let checked = check_refund(transaction, wanted.amount, paid_from, call);
        self.remember_refund_attempt(index, &key, call.now);
        let amount = checked?;
        if let Some(Fault::RefundRefused { status_code }) = call.fault {
            return self.refund_refused(index, status_code, call.now);
        }
        self.give_back(call.now, index, key, amount, wanted.reason);
        let transaction = self.transactions.get(index).ok_or_else(Refusal::internal)?;
        let refund = transaction.refunds.last().ok_or_else(Refusal::internal)?;
        Ok(self.refund_success(transaction, refund, call.now))
    }

    fn remember_refund_attempt(&mut self, index: usize, key: &str, now: Timestamp) {
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        if first_attempt(transaction, key).is_none() {
            if transaction.refund_attempts.len() >= REFUND_ATTEMPTS_MAX {
                transaction.refund_attempts.remove(0);
            }
            transaction.refund_attempts.push((key.to_owned(), now));
        }
    }

    /// `refund_amount` at the top is this refund's here (as the refund page has it), and the sum
    /// in GET status and notifications.
    fn refund_success(
        &self,
        transaction: &Transaction,
        refund: &Refund,
        now: Timestamp,
    ) -> Success {
        let message = "Success, refund request is approved";
        let body = self.body(transaction, transaction.status, "200", message, now);
        Success::new(&Body {
            refund_chargeback_id: Some(refund.chargeback_id),
            refund_chargeback_uuid: Some(refund.chargeback_uuid.to_string()),
            refund_amount: Some(decimal(refund.amount)),
            refund_key: Some(&refund.key),
            refunds: Vec::new(),
            expiry_time: None,
            ..body.without_echo()
        })
    }

    fn refund_refused(
        &self,
        index: usize,
        status_code: u16,
        now: Timestamp,
    ) -> Result<Success, Refusal> {
        let transaction = self.transactions.get(index).ok_or_else(Refusal::internal)?;
        match status_code {
            202 => {
                let message = "Refund request is denied by the provider";
                let body = self.body(transaction, transaction.status, "202", message, now);
                let body = Body {
                    refund_amount: Some("0.00".to_owned()),
                    refunds: Vec::new(),
                    ..body.without_echo()
                };
                Ok(Success::new(&body))
            }
            412 => Err(Refusal::wrong_state()),
            _ => Err(insufficient_funds()),
        }
    }

    fn qr_code(&mut self, id: &str) -> ApiReply {
        let found = self.find_any(id).and_then(|index| self.transactions.get(index));
        match found.map(|found| found.id.as_u128()) {
            Some(bits) => ApiReply::new(200, PNG, png::pattern(bits)),
            None => self.refuse(&Refusal::unknown_transaction()),
        }
    }
}

fn accepts_json(accept: Option<&str>) -> bool {
    accept.is_none_or(|accept| {
        accept.is_empty()
            || accept.split(',').any(|range| {
                let range = range.split(';').next().unwrap_or_default().trim();
                ["application/json", "application/*", "*/*", "*"]
                    .iter()
                    .any(|known| range.eq_ignore_ascii_case(known))
            })
    })
}

/// The key of a POST; longer ones are silently ignored, as upstream.
fn idempotency_key<'a>(call: &Call<'a>) -> Option<&'a str> {
    let key = call.request.header("idempotency-key")?;
    let valid = !key.is_empty() && key.chars().count() <= KEY_CHARS_MAX;
    (valid && call.route.method() == "POST").then_some(key)
}

/// How much later than usual the caller learns of its success.
fn late_answer(fault: Option<&Fault>) -> Duration {
    match fault {
        Some(Fault::Delay { ms, .. }) => Duration::from_millis(*ms),
        Some(_) | None => Duration::ZERO,
    }
}

fn url_list(request: &ApiRequest, name: &str) -> Result<Option<Vec<Arc<str>>>, Refusal> {
    let Some(list) = request.header(name) else { return Ok(None) };
    let urls: Vec<Arc<str>> =
        list.split(',').map(str::trim).filter(|url| !url.is_empty()).map(Arc::from).collect();
    let is_web = |url: &Arc<str>| {
        Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    };
    if urls.len() > NOTIFY_URLS_MAX {
        return Err(Refusal::invalid(vec![format!("{name} may list at most 3 URLs")]));
    }
    if !urls.iter().all(is_web) {
        return Err(Refusal::invalid(vec![format!("{name} is not a valid URL")]));
    }
    Ok((!urls.is_empty()).then_some(urls))
}

struct RefundRequest {
    key: Option<String>,
    amount: Option<u64>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct RawRefund<'a> {
    #[serde(borrow, default)]
    refund_key: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    amount: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    reason: Option<Scalar<'a>>,
}

impl RefundRequest {
    /// No body at all asks for the whole amount.
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if charge::too_long(body) {
            return Err(Refusal::malformed());
        }
        if matches!(body.trim_ascii(), b"" | b"null") {
            return Ok(Self { key: None, amount: None, reason: None });
        }
        let Object::Good(raw) = serde_json::from_slice::<Object<RawRefund<'_>>>(body)
            .map_err(|_| Refusal::malformed())?
        else {
            return Err(Refusal::malformed());
        };
        let mut violations = Violations::default();
        let key = violations.text(raw.refund_key, || "refund_key", REFUND_TEXT_CHARS_MAX);
        let key = key.filter(|key| !key.is_empty());
        let is_key_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if key.as_ref().is_some_and(|key| !key.bytes().all(is_key_byte)) {
            violations.add("refund_key contains characters that are not allowed");
        }
        let amount = violations.whole(raw.amount.as_ref(), || "amount", Need::Optional);
        if amount.is_some_and(|amount| amount < 1) {
            violations.add("amount must be greater than or equal to 1");
        }
        let reason = violations.text(raw.reason, || "reason", REFUND_TEXT_CHARS_MAX);
        if violations.0.is_empty() {
            let amount = amount.and_then(|amount| u64::try_from(amount).ok());
            Ok(Self { key, amount, reason })
        } else {
            Err(Refusal::invalid(violations.0))
        }
    }
}

/// The amount to give back, if the rules allow it: state, window, amount, funds, in this order.
fn check_refund(
    transaction: &Transaction,
    wanted: Option<u64>,
    merchant_balance: Option<u64>,
    call: &Call<'_>,
) -> Result<u64, Refusal> {
    let payment = match transaction.status {
        Status::Settlement | Status::PartialRefund => transaction.payment,
        Status::Pending
        | Status::Expire
        | Status::Cancel
        | Status::Deny
        | Status::Failure
        | Status::Refund => None,
    };
    let payment = payment.ok_or_else(Refusal::wrong_state)?;
    let window = match payment.qris {
        Some(QrisKind::OffUs) => REFUND_WINDOW_OFF_US,
        Some(QrisKind::OnUs) | None => REFUND_WINDOW,
    };
    if call.now.since(payment.at) > window {
        let message = "Transaction status cannot be updated: the refund window is over.";
        return Err(Refusal::new(412, message));
    }
    let remaining = transaction.amount.saturating_sub(transaction.refunded());
    let amount = wanted.unwrap_or(remaining);
    if amount > remaining {
        return Err(Refusal::new(414, "The refund amount is above the remaining amount."));
    }
    if merchant_balance.is_some_and(|balance| balance < amount) {
        return Err(insufficient_funds());
    }
    Ok(amount)
}

fn first_attempt(transaction: &Transaction, key: &str) -> Option<Timestamp> {
    transaction.refund_attempts.iter().find(|(known, _)| known == key).map(|(_, at)| *at)
}

fn duplicate_refund_key() -> Refusal {
    Refusal::new(406, "The request could not be completed due to a conflict: duplicate refund_key.")
}

fn insufficient_funds() -> Refusal {
    Refusal::new(414, "The merchant has insufficient funds to refund.")
}
