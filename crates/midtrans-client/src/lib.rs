//! One method per endpoint of Midtrans' Core API, and whether money may have moved.
//!
//! Each call is sent at most once. What to do after an unknown outcome is the caller's to decide:
//! this crate neither repeats, nor asks, nor waits. What the answers mean is decided in
//! [`gopay_core::midtrans`]; nothing is logged here.
//!
//! Reading order: [`Endpoint`], [`MidtransClient`], [`CallError`].

mod calls;
mod endpoint;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use gopay_core::ids::RefundId;
use gopay_core::midtrans::{
    ChargeReply, CloseReply, MidtransTxId, RefundReply, Refusal, RefusalCause, ReplyError,
    StatusCode, StatusReply, answer_in_words, refund_body,
};
use gopay_core::money::Rupiah;
use gopay_core::time::Timestamp;
use gopay_outbound::{Incoming, Method, Outgoing, Transport, TransportError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::calls::Calls;
use crate::endpoint::is_notification_url;
pub use crate::endpoint::{Endpoint, EndpointError, RefundPath};

/// The longest idempotency key that is sent.
///
/// Midtrans ignores a longer one without a word, and then a repeated charge is a second charge.
/// One page of its documentation says 46 characters, its Go client says 36; the smaller number is
/// safe under both (`docs/midtrans.md`, "Request headers").
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 36;

/// The longest answer that is read. The longest that Midtrans can honestly send is a payment with
/// metadata (the request that set it is at most 16 KB) and its refunds (about 300 bytes each):
/// this leaves room for 800 of them.
const REPLY_BYTES_MAX: usize = 256 * 1024;

/// Calls Midtrans with one server key. `Debug` does not show the key.
pub struct MidtransClient {
    transport: Arc<dyn Transport>,
    /// Without a slash at the end.
    base_url: String,
    authorization: SecretString,
    timeout: Duration,
    refund_path: RefundPath,
    notification_url: Option<String>,
    /// Midtrans' time in its last answer, and when that came.
    heard: Mutex<Option<(Timestamp, Instant)>>,
    /// The calls that Midtrans does not let us make, with its code.
    barred: Mutex<BTreeMap<&'static str, StatusCode>>,
    any_barred: AtomicBool,
    calls: Calls,
}

/// There is no answer, or none that can be read.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing reached Midtrans; the call may be repeated.
    #[error("Midtrans was not called")]
    NotSent(#[source] Box<dyn Error + Send + Sync>),
    /// Midtrans may have acted: ask for the status, never repeat blindly.
    #[error("the outcome of a call to Midtrans is unknown")]
    OutcomeUnknown(#[source] Box<dyn Error + Send + Sync>),
}

/// A call that would be misunderstood and is therefore not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not one safe segment of a URL path.
    #[error("the id cannot stand in a URL of Midtrans")]
    Id,
    /// Midtrans would ignore it.
    #[error("the idempotency key is not 1 to {IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters")]
    IdempotencyKey,
    /// Midtrans would read it as another URL, or as several.
    #[error("the notification URL is not one http or https URL without commas")]
    NotificationUrl,
}

impl From<RequestError> for CallError {
    fn from(error: RequestError) -> Self {
        Self::NotSent(error.into())
    }
}

impl From<TransportError> for CallError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::NotSent(_) => Self::NotSent(error.into()),
            TransportError::Unknown(_) => Self::OutcomeUnknown(error.into()),
        }
    }
}

/// Midtrans answered, and its answer settles nothing.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
struct UnclearAnswer {
    /// Its codes and texts, with what may be personal masked.
    said: String,
}

/// Reads an answer; one that is `unclear` is an error that says what Midtrans said.
fn read<T: PartialEq>(
    answer: &Incoming,
    parse: impl Fn(u16, &[u8]) -> Result<T, ReplyError>,
    unclear: &T,
) -> Result<T, CallError> {
    match parse(answer.status, &answer.body) {
        Ok(reply) if reply != *unclear => Ok(reply),
        Ok(_) | Err(_) => {
            let said = answer_in_words(answer.status, &answer.body);
            Err(CallError::OutcomeUnknown(UnclearAnswer { said }.into()))
        }
    }
}

impl MidtransClient {
    /// A client of `endpoint` that sends through `transport`.
    ///
    /// # Errors
    /// [`EndpointError`] for the first setting that cannot work.
    pub fn new(transport: Arc<dyn Transport>, endpoint: Endpoint) -> Result<Self, EndpointError> {
        endpoint.check()?;
        let credentials = BASE64.encode(format!("{}:", endpoint.server_key.expose_secret()));
        Ok(Self {
            transport,
            base_url: endpoint.base_url.trim_end_matches('/').to_owned(),
            authorization: format!("Basic {credentials}").into(),
            timeout: endpoint.timeout,
            refund_path: endpoint.refund_path,
            notification_url: endpoint.notification_url,
            heard: Mutex::new(None),
            barred: Mutex::default(),
            any_barred: AtomicBool::new(false),
            calls: Calls::new(endpoint.calls_max),
        })
    }

    /// `POST /v2/charge`: opens a payment. `body` is the JSON of the request.
    ///
    /// Notifications of this payment go to `notification_url`, else to that of the [`Endpoint`], else to
    /// that of Midtrans' dashboard.
    ///
    /// # Errors
    /// [`CallError`]. After [`CallError::OutcomeUnknown`] the payment may exist.
    pub async fn charge(
        &self,
        body: Bytes,
        idempotency_key: &str,
        notification_url: Option<&str>,
    ) -> Result<ChargeReply, CallError> {
        let mut request = self.post("charge", body, idempotency_key)?;
        if notification_url.is_some_and(|url| !is_notification_url(url)) {
            return Err(RequestError::NotificationUrl.into());
        }
        // That of the endpoint was checked with it.
        if let Some(url) = notification_url.or(self.notification_url.as_deref()) {
            request.headers.push(("x-override-notification", url.to_owned()));
        }
        let answer = self.send(request).await?;
        let reply = read(&answer, ChargeReply::parse, &ChargeReply::Unclear)?;
        self.learn(
            "charge",
            match &reply {
                ChargeReply::Denied(refusal) | ChargeReply::Refused(refusal) => Some(refusal),
                ChargeReply::Created(_)
                | ChargeReply::Duplicate
                | ChargeReply::InProgress
                | ChargeReply::Unclear => None,
            },
        );
        Ok(reply)
    }

    /// `GET /v2/{id}/status`: asks how a payment stands. `id` is Midtrans' number, or ours.
    ///
    /// # Errors
    /// [`CallError`]. Nothing changes by asking, so either kind means: ask again later.
    pub async fn status(&self, id: &str) -> Result<StatusReply, CallError> {
        let path = format!("{}/status", checked_id(id)?);
        let answer = self.send(self.request(Method::Get, &path, Bytes::new())).await?;
        let reply = read(&answer, StatusReply::parse, &StatusReply::Unclear)?;
        let barred =
            if let StatusReply::Misconfigured(refusal) = &reply { Some(refusal) } else { None };
        self.learn("status", barred);
        Ok(reply)
    }

    /// `POST /v2/{id}/cancel`: ends a pending payment by request.
    ///
    /// # Errors
    /// [`CallError`]. After [`CallError::OutcomeUnknown`] the payment may be cancelled.
    pub async fn cancel(&self, id: &str, idempotency_key: &str) -> Result<CloseReply, CallError> {
        self.close(id, "cancel", idempotency_key).await
    }

    /// `POST /v2/{id}/expire`: ends a pending payment by time.
    ///
    /// # Errors
    /// [`CallError`]. After [`CallError::OutcomeUnknown`] the payment may be expired.
    pub async fn expire(&self, id: &str, idempotency_key: &str) -> Result<CloseReply, CallError> {
        self.close(id, "expire", idempotency_key).await
    }

    /// `POST /v2/{id}/refund`, or the path of [`RefundPath`]: gives money back.
    ///
    /// The same `refund` key is the same refund, whatever the idempotency key.
    ///
    /// # Errors
    /// [`CallError`]. After [`CallError::OutcomeUnknown`] the money may go back.
    pub async fn refund(
        &self,
        id: &str,
        refund: RefundId,
        amount: Rupiah,
        reason: Option<&str>,
        idempotency_key: &str,
    ) -> Result<RefundReply, CallError> {
        let path = format!("{}/{}", checked_id(id)?, self.refund_path.as_str());
        let body = refund_body(refund, amount, reason).into();
        let answer = self.send(self.post(&path, body, idempotency_key)?).await?;
        let reply = read(&answer, RefundReply::parse, &RefundReply::Unclear)?;
        self.learn(
            "refund",
            if let RefundReply::Refused(refusal) = &reply { Some(refusal) } else { None },
        );
        Ok(reply)
    }

    async fn close(
        &self,
        id: &str,
        action: &'static str,
        idempotency_key: &str,
    ) -> Result<CloseReply, CallError> {
        let path = format!("{}/{action}", checked_id(id)?);
        // No body is needed, but an empty text is no JSON, which the headers promise. An empty
        // object is what Midtrans' own clients send.
        let body = Bytes::from_static(b"{}");
        let answer = self.send(self.post(&path, body, idempotency_key)?).await?;
        let reply = read(&answer, CloseReply::parse, &CloseReply::Unclear)?;
        let barred =
            if let CloseReply::Misconfigured(refusal) = &reply { Some(refusal) } else { None };
        self.learn(action, barred);
        Ok(reply)
    }

    fn post(
        &self,
        path: &str,
        body: Bytes,
        idempotency_key: &str,
    ) -> Result<Outgoing, RequestError> {
        if !is_idempotency_key(idempotency_key) {
            return Err(RequestError::IdempotencyKey);
        }
        let mut request = self.request(Method::Post, path, body);
        request.headers.push(("idempotency-key", idempotency_key.to_owned()));
        Ok(request)
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Outgoing {
        Outgoing {
            method,
            url: [&self.base_url, "/v2/", path].concat(),
            headers: vec![
                ("accept", "application/json".to_owned()),
                ("content-type", "application/json".to_owned()),
                ("authorization", self.authorization.expose_secret().to_owned()),
            ],
            body,
            timeout: self.timeout,
            reply_bytes_max: REPLY_BYTES_MAX,
        }
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, CallError> {
        let call = self.calls.begin()?;
        let answer = self.transport.send(request).await;
        call.end(answer.is_ok());
        let answer = answer?;
        if let Some(date) = answer.date {
            *self.heard() = Some((date.into(), Instant::now()));
        }
        Ok(answer)
    }

    /// Notes whether Midtrans lets us make a call: only the operator can mend it if it does not.
    fn learn(&self, call: &'static str, refusal: Option<&Refusal>) {
        let barred = refusal.filter(|refusal| refusal.cause == RefusalCause::Misconfigured);
        if barred.is_none() && !self.any_barred.load(Ordering::Relaxed) {
            return;
        }
        let mut calls = self.barred.lock().unwrap_or_else(PoisonError::into_inner);
        match barred {
            Some(refusal) => calls.insert(call, refusal.status_code),
            None => calls.remove(call),
        };
        self.any_barred.store(!calls.is_empty(), Ordering::Relaxed);
    }

    /// The calls that Midtrans has not let us make when they were tried last, with its code: a wrong
    /// key, or an account that is not activated.
    #[must_use]
    pub fn barred(&self) -> BTreeMap<&'static str, StatusCode> {
        self.barred.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there are such calls.
    #[must_use]
    pub fn any_barred(&self) -> bool {
        self.any_barred.load(Ordering::Relaxed)
    }

    /// The time at Midtrans, to about a second: that of its last answer, and what has passed since,
    /// whatever happens to the clock of this machine. None before its first answer with a time.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        let (date, at) = (*self.heard())?;
        Some(date.after(at.elapsed()))
    }

    fn heard(&self) -> MutexGuard<'_, Option<(Timestamp, Instant)>> {
        // A pair that is written in one go cannot be half written by a panic.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MidtransClient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MidtransClient")
            .field("base_url", &self.base_url)
            .field("authorization", &self.authorization)
            .field("timeout", &self.timeout)
            .field("refund_path", &self.refund_path)
            .field("notification_url", &self.notification_url)
            .finish_non_exhaustive()
    }
}

/// Our ids and Midtrans' share one alphabet, in which nothing needs to be percent-encoded.
fn checked_id(id: &str) -> Result<&str, RequestError> {
    if MidtransTxId::is_safe(id) { Ok(id) } else { Err(RequestError::Id) }
}

fn is_idempotency_key(key: &str) -> bool {
    (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use gopay_core::midtrans::{RefusalCause, TransactionStatus};

    use super::*;

    /// A peer in this process: one scripted answer for each request, which it keeps.
    #[derive(Default)]
    struct Script {
        answers: Mutex<Vec<Result<Incoming, TransportError>>>,
        requests: Mutex<Vec<Outgoing>>,
    }

    #[async_trait::async_trait]
    impl Transport for Script {
        async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
            self.requests.lock().unwrap().push(request);
            self.answers.lock().unwrap().pop().expect("an answer for each request")
        }
    }

    impl Script {
        fn answer(&self, status: u16, body: &str) {
            let body = Bytes::copy_from_slice(body.as_bytes());
            self.answers.lock().unwrap().push(Ok(Incoming { status, body, date: None }));
        }

        fn fail(&self, error: TransportError) {
            self.answers.lock().unwrap().push(Err(error));
        }

        fn last(&self) -> Outgoing {
            self.requests.lock().unwrap().last().unwrap().clone()
        }

        fn count(&self) -> usize {
            self.requests.lock().unwrap().len()
        }
    }

    fn endpoint() -> Endpoint {
        Endpoint::new("https://api.sandbox.midtrans.com", "SB-Mid-server-EXAMPLE".into())
    }

    fn client(endpoint: Endpoint) -> (Arc<Script>, MidtransClient) {
        let script = Arc::new(Script::default());
        let client = MidtransClient::new(script.clone(), endpoint).unwrap();
        (script, client)
    }

    fn header<'a>(request: &'a Outgoing, name: &str) -> Option<&'a str> {
        let mut values = request.headers.iter().filter(|(key, _)| *key == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} twice");
        value
    }

    fn rupiah(rupiah: u64) -> Rupiah {
        Rupiah::new(rupiah).unwrap()
    }

    fn refund_id(number: i64) -> RefundId {
        RefundId::new(number).unwrap()
    }

    #[tokio::test]
    async fn every_call_has_its_path_body_and_headers() {
        let (script, client) = client(endpoint());
        let not_found = r#"{"status_code":"404"}"#;

        script.answer(200, r#"{"status_code":"406"}"#);
        let reply = client.charge(Bytes::from_static(b"{\"a\":1}"), "key-1", None).await;
        assert_eq!(reply.unwrap(), ChargeReply::Duplicate);
        let charge = script.last();
        script.answer(200, not_found);
        assert_eq!(client.status("A1~b").await.unwrap(), StatusReply::NotFound);
        let status = script.last();
        script.answer(200, not_found);
        assert_eq!(client.cancel("A1", "key-2").await.unwrap(), CloseReply::NotFound);
        let cancel = script.last();
        script.answer(200, not_found);
        assert_eq!(client.expire("A1", "key-3").await.unwrap(), CloseReply::NotFound);
        let expire = script.last();
        script.answer(200, r#"{"status_code":"406"}"#);
        let reply = client.refund("A1", refund_id(71), rupiah(100), Some("no"), "key-4").await;
        assert_eq!(reply.unwrap(), RefundReply::Duplicate);
        let refund = script.last();

        let refund_body = r#"{"refund_key":"71","amount":100,"reason":"no"}"#;
        for (request, method, path, body, key) in [
            (charge, Method::Post, "charge", "{\"a\":1}", Some("key-1")),
            (status, Method::Get, "A1~b/status", "", None),
            (cancel, Method::Post, "A1/cancel", "{}", Some("key-2")),
            (expire, Method::Post, "A1/expire", "{}", Some("key-3")),
            (refund, Method::Post, "A1/refund", refund_body, Some("key-4")),
        ] {
            assert_eq!(request.method, method, "{path}");
            assert_eq!(request.url, format!("https://api.sandbox.midtrans.com/v2/{path}"));
            assert_eq!(request.body, body, "{path}");
            assert_eq!(request.timeout, Duration::from_secs(10), "{path}");
            assert_eq!(request.reply_bytes_max, 262_144, "{path}");
            assert_eq!(header(&request, "accept"), Some("application/json"), "{path}");
            assert_eq!(header(&request, "content-type"), Some("application/json"), "{path}");
            assert_eq!(header(&request, "idempotency-key"), key, "{path}");
            assert_eq!(header(&request, "x-override-notification"), None, "{path}");
            assert_eq!(
                header(&request, "authorization"),
                Some("Basic U0ItTWlkLXNlcnZlci1FWEFNUExFOg=="),
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn settings_of_the_endpoint_are_kept() {
        let (script, client) = client(Endpoint {
            timeout: Duration::from_millis(1_500),
            refund_path: RefundPath::OnlineDirect,
            notification_url: Some("https://adapter.example/midtrans/notification".into()),
            ..Endpoint::new("http://127.0.0.1:8090/", "key".into())
        });
        script.answer(200, r#"{"status_code":"406"}"#);
        client.refund("A1", refund_id(71), rupiah(100), None, "key").await.unwrap();
        assert_eq!(script.last().url, "http://127.0.0.1:8090/v2/A1/refund/online/direct");
        assert_eq!(script.last().timeout, Duration::from_millis(1_500));
        assert_eq!(header(&script.last(), "x-override-notification"), None);

        for (given, sent) in [
            (None, "https://adapter.example/midtrans/notification"),
            (Some("https://other.example/n"), "https://other.example/n"),
        ] {
            script.answer(200, r#"{"status_code":"406"}"#);
            client.charge(Bytes::new(), "key", given).await.unwrap();
            assert_eq!(header(&script.last(), "x-override-notification"), Some(sent));
        }
    }

    /// Whether the call is known not to have been made; an answer is an error of the test.
    fn not_sent<T: fmt::Debug>(result: Result<T, CallError>) -> bool {
        match result.unwrap_err() {
            CallError::NotSent(_) => true,
            CallError::OutcomeUnknown(_) => false,
        }
    }

    #[tokio::test]
    async fn a_call_without_an_answer_says_whether_it_was_made() {
        let (script, client) = client(endpoint());
        let (id, amount) = (refund_id(71), rupiah(100));
        for unsent in [true, false] {
            let fail = || {
                script.fail(if unsent {
                    TransportError::not_sent("refused")
                } else {
                    TransportError::unknown("reset")
                });
            };
            fail();
            assert_eq!(not_sent(client.charge(Bytes::new(), "k", None).await), unsent);
            fail();
            assert_eq!(not_sent(client.status("A1").await), unsent);
            fail();
            assert_eq!(not_sent(client.cancel("A1", "k").await), unsent);
            fail();
            assert_eq!(not_sent(client.expire("A1", "k").await), unsent);
            fail();
            assert_eq!(not_sent(client.refund("A1", id, amount, None, "k").await), unsent);
        }
        for body in ["<html>", "", "[]"] {
            script.answer(200, body);
            assert!(!not_sent(client.charge(Bytes::new(), "k", None).await), "{body}");
            script.answer(200, body);
            assert!(!not_sent(client.status("A1").await), "{body}");
            script.answer(200, body);
            assert!(!not_sent(client.cancel("A1", "k").await), "{body}");
            script.answer(200, body);
            assert!(!not_sent(client.expire("A1", "k").await), "{body}");
            script.answer(200, body);
            assert!(!not_sent(client.refund("A1", id, amount, None, "k").await), "{body}");
        }
    }

    #[tokio::test]
    async fn the_http_status_reaches_the_reader_of_the_answer() {
        let (script, client) = client(endpoint());
        script.answer(202, "");
        let reply = client.charge(Bytes::new(), "k", None).await.unwrap();
        assert_eq!(reply, ChargeReply::InProgress);
        for (status, body, said) in [
            (503, "", "HTTP 503 without JSON"),
            (500, r#"{"message":"no route"}"#, "HTTP 500; no route"),
            (
                200,
                r#"{"status_code":"500","status_message":"Sorry, siti@toko.id"}"#,
                "HTTP 200, code 500; Sorry, (masked)",
            ),
            (200, "<html>", "HTTP 200 without JSON"),
        ] {
            script.answer(status, body);
            let error = client.charge(Bytes::new(), "k", None).await.unwrap_err();
            let CallError::OutcomeUnknown(cause) = &error else { panic!("{error:?}") };
            assert_eq!(cause.to_string(), said);
        }
        assert!(client.barred().is_empty());
        script.answer(401, "");
        let CloseReply::Misconfigured(why) = client.cancel("A1", "k").await.unwrap() else {
            panic!("not misconfigured");
        };
        assert_eq!(why.cause, RefusalCause::Misconfigured);
        assert_eq!(client.barred(), BTreeMap::from([("cancel", StatusCode::new(401).unwrap())]));
        // Another call that is let through does not mend this one.
        script.answer(404, r#"{"status_code":"404"}"#);
        assert_eq!(client.status("A1").await.unwrap(), StatusReply::NotFound);
        assert_eq!(client.barred().len(), 1);
        script.answer(412, r#"{"status_code":"412"}"#);
        assert_eq!(client.cancel("A1", "k").await.unwrap(), CloseReply::WrongState);
        assert!(client.barred().is_empty());
        script.answer(
            407,
            r#"{"status_code":"407","transaction_id":"A1","order_id":"7",
                "gross_amount":"100.00","transaction_status":"expire"}"#,
        );
        let CloseReply::Closed(view) = client.expire("A1", "k").await.unwrap() else {
            panic!("not closed");
        };
        assert_eq!(view.status, TransactionStatus::Expire);
    }

    #[tokio::test]
    async fn what_midtrans_would_misunderstand_is_not_sent() {
        let (script, client) = client(endpoint());
        for id in ["", ".", "..", "a/b", "a?b", "a b", "é", "a%2fb", &"a".repeat(65)] {
            assert!(not_sent(client.status(id).await), "{id}");
            assert!(not_sent(client.cancel(id, "k").await), "{id}");
            assert!(not_sent(client.expire(id, "k").await), "{id}");
            let refund = client.refund(id, refund_id(1), rupiah(1), None, "k").await;
            assert!(not_sent(refund), "{id}");
        }
        for key in ["", "a b", "a\n", "é", &"k".repeat(37)] {
            assert!(not_sent(client.charge(Bytes::new(), key, None).await), "{key}");
            assert!(not_sent(client.cancel("A1", key).await), "{key}");
            assert!(not_sent(client.expire("A1", key).await), "{key}");
            let refund = client.refund("A1", refund_id(1), rupiah(1), None, key).await;
            assert!(not_sent(refund), "{key}");
        }
        for url in ["", "/n", "https://a.example/,https://b.example/", "ftp://a.example/"] {
            assert!(not_sent(client.charge(Bytes::new(), "k", Some(url)).await), "{url}");
        }
        assert_eq!(script.count(), 0);

        let longest = "k".repeat(36);
        script.answer(200, r#"{"status_code":"406"}"#);
        assert!(client.charge(Bytes::new(), &longest, None).await.is_ok());
        assert_eq!(header(&script.last(), "idempotency-key"), Some(longest.as_str()));
    }

    #[tokio::test]
    async fn nothing_printed_holds_the_key() {
        let (script, client) = client(endpoint());
        script.fail(TransportError::unknown("reset"));
        let error = client.status("A1").await.unwrap_err();
        let shown = format!("{client:?} {:?} {error:?} {:?}", endpoint(), script.last());
        for secret in ["SB-Mid-server-EXAMPLE", "U0ItTWlkLXNlcnZlci1FWEFNUExFOg"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("https://api.sandbox.midtrans.com"), "{shown}");
    }
}
