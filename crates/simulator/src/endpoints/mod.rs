//! The Core API: routing, authentication, idempotency, faults, and one function per endpoint.

mod charge;
mod refund;
mod route;
mod status;

use std::time::Duration;

use bytes::Bytes;
use gopay_core::time::Timestamp;
use serde::Deserialize;

use crate::api::{ApiReply, ApiRequest, Delivery, JSON, PNG, TEXT};
use crate::engine::Engine;
use crate::faults::{Action as Fault, When};
use crate::idempotency::{KEY_CHARS_MAX, Known, Stored};
use crate::qr;
use crate::transaction::Status;
use crate::wire::{Body, Refusal};
pub(crate) use refund::REFUNDS_MAX;
use route::{Route, is_api_path, route};

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

    /// Whether something is at a path, or may be for who has a key.
    pub(crate) fn has_path(path: &str) -> bool {
        is_api_path(path) || route(path).is_some()
    }

    /// Takes up a deferred call. An unknown ticket is answered 500.
    pub fn resume(&mut self, now: Timestamp, ticket: u64) -> ApiReply {
        match self.deferred.remove(&ticket) {
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
        let route = route(&request.path);
        match &route {
            Some(Route::Checkout) => return self.checkout(now, request),
            // An image tag cannot authenticate.
            Some(Route::QrCode(id)) if request.method == "GET" => return self.qr_code(id),
            None if !is_api_path(&request.path) => {
                return self.refuse(&Refusal::unsupported_path(&request.method, &request.path));
            }
            Some(_) | None => {}
        }
        // First of all: who has no key learns nothing, not even what paths and methods there are.
        let Some(key) = self.authenticate(request.header("authorization")) else {
            return self.refuse(&Refusal::unauthorized());
        };
        let Some(route) = route else {
            return self.refuse(&Refusal::unsupported_path(&request.method, &request.path));
        };
        if request.method != route.method() {
            return self.refuse(&Refusal::new(405, "HTTP method is not allowed."));
        }
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
                None => crate::charge::order_id_of(&request.body),
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
    /// distort the answer.
    fn call(&mut self, call: &Call<'_>, first: bool, latency: Duration) -> ApiReply {
        let idempotency = idempotency_key(call);
        match &call.fault {
            Some(Fault::LostBefore {}) => {
                return ApiReply { delivery: Delivery::Drop, ..ApiReply::new(200, JSON, "") };
            }
            Some(Fault::Http { status, body }) => return self.plain(*status, body.as_deref()),
            Some(Fault::Delay { ms, when: When::Before }) => {
                return self.defer(call, Duration::from_millis(*ms), idempotency);
            }
            Some(_) | None => {}
        }
        // A deferred call holds its key already.
        let known = idempotency.filter(|_| first).and_then(|key| self.known_key(call, key));
        let reply = match known {
            Some(Known::Running) => {
                let message = "The request with the same idempotency key is still processed.";
                return self.refuse(&Refusal::new(202, message).under(202));
            }
            Some(Known::Done(stored)) => self.repeat(&stored),
            None => self.first_time(call, first, latency, idempotency),
        };
        self.distort(call.fault.as_ref(), reply)
    }

    /// What is known of a key, unless its transaction was dropped.
    fn known_key(&self, call: &Call<'_>, key: &str) -> Option<Known> {
        let known = self.idempotency.get(call.merchant, key, call.now);
        known.filter(|known| match known {
            Known::Done(Stored::Charge(index)) => self.transactions.get(*index).is_some(),
            Known::Done(Stored::Body(_)) | Known::Running => true,
        })
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

    fn defer(&mut self, call: &Call<'_>, delay: Duration, idempotency: Option<&str>) -> ApiReply {
        if self.deferred.len() >= self.config.limits.deferred_calls {
            return self.refuse(&Refusal::full("too many calls are deferred by faults"));
        }
        if let Some(key) = idempotency {
            if let Some(known) = self.known_key(call, key) {
                // A repetition has no effect to defer; only its answer is late.
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
        self.deferred.insert(ticket, (call.now.after(delay), call.request.clone()));
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

    fn distort(&mut self, fault: Option<&Fault>, reply: ApiReply) -> ApiReply {
        match fault {
            Some(Fault::LostAfter {}) => ApiReply { delivery: Delivery::Drop, ..reply },
            Some(Fault::Truncate {}) => ApiReply { delivery: Delivery::Truncate, ..reply },
            Some(Fault::Delay { ms, .. }) => {
                ApiReply { delay: Duration::from_millis(*ms), ..reply }
            }
            Some(Fault::HttpAfter { status, body }) => self.plain(*status, body.as_deref()),
            Some(Fault::Garbage {}) => ApiReply::new(200, TEXT, "<<< upstream connect error >>>"),
            Some(Fault::Empty {}) => ApiReply::new(200, JSON, ""),
            Some(_) | None => reply,
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

    fn qr_code(&mut self, id: &str) -> ApiReply {
        let found = self.find_any(id).and_then(|index| self.transactions.get(index));
        match found.and_then(|found| qr::image(&self.scan_url(found))) {
            Some(image) => ApiReply::new(200, PNG, image),
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

/// How much later than usual the caller is answered.
fn late_answer(fault: Option<&Fault>) -> Duration {
    match fault {
        Some(Fault::Delay { ms, .. }) => Duration::from_millis(*ms),
        Some(_) | None => Duration::ZERO,
    }
}
