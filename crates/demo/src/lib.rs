//! The other side of the demo: a small shop whose PSP speaks the Simple API, and the PSP's
//! receiver of notifications, which does what the PSP guide tells it to do: check the hash, then
//! ask GETTXSTATUS.
//!
//! It speaks only the wire; it knows nothing of the adapter's insides. Everything is in memory.

mod pages;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use gopay_psp_client::http::Client;
use gopay_psp_client::notification::UnverifiedNotification;
use gopay_psp_client::shopper_return::UnverifiedReturn;
use gopay_psp_client::{
    Call as _, Cart, Channel, Credentials, Failure, GetTxStatus, Item, PaymentState, StatusAnswer,
    Transaction, TransactionAnswer, TxId,
};
use serde::Serialize;

/// PPRO's documentation defaults.
pub mod credentials {
    /// `login`.
    pub const LOGIN: &str = "testclient";
    /// `password`.
    pub const PASSWORD: &str = "test123";
    /// `contractid`.
    pub const CONTRACT: &str = "TESTCONTRACT";
    /// `channel`.
    pub const CHANNEL: &str = "testchannel";
    /// Keys the return hash.
    pub const SHARED_SECRET: &str = "examplesharedsecret";
    /// Keys notifications.
    pub const NOTIFICATION_SECRET: &str = "examplenotificationsecret";
}

/// A form body of PPRO's published example: two items, 10,000.00 rupiah.
#[must_use]
pub fn example_body(own_base_url: &str) -> String {
    order(own_base_url, "ORDER-20250621-0001").body(&psp())
}

fn psp() -> Credentials {
    Credentials::new(credentials::LOGIN, credentials::PASSWORD, credentials::CONTRACT)
}

fn order(own: &str, reference: &str) -> Transaction {
    let cart = Cart::new([Item::new("table", 2_000, 2), Item::new("Laptop 2.0", 3_000, 2)])
        .expect("10,000 rupiah is a good total");
    Transaction::new(Channel::Test, &cart, "Siti Rahma")
        .merchant_tx_id(reference)
        .redirect_url(format!("{own}/shop/return"))
        .notification_url(format!("{own}/psp/notify"))
        .email("siti@example.org")
        .phone("+628123456789")
}

/// A notification that was received.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// `txid`.
    pub txid: String,
    /// `finaltimestamp`.
    pub finaltimestamp: String,
    /// Whether `sha256hash` was right.
    pub genuine: bool,
    /// What GETTXSTATUS said then.
    pub status: String,
}

/// What the shop and the PSP remember.
#[derive(Clone)]
pub struct Demo(Arc<Inner>);

struct Inner {
    adapter: Client,
    own_base_url: String,
    /// `REDIRECTSECRET` by `TXID`.
    secrets: Mutex<BTreeMap<TxId, String>>,
    received: Mutex<VecDeque<Received>>,
    orders: Mutex<u64>,
}

/// The page shows what fits a screen; this only bounds memory.
const RECEIVED_MAX: usize = 10_000;
const ORDERS_MAX: usize = 10_000;

impl Demo {
    /// A shop that buys at `adapter_url` and is itself reached at `own_base_url`.
    ///
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn new(adapter_url: String, own_base_url: String) -> Result<Self, reqwest::Error> {
        Ok(Self(Arc::new(Inner {
            adapter: Client::new(reqwest::Client::builder().build()?, adapter_url, psp()),
            own_base_url,
            secrets: Mutex::default(),
            received: Mutex::default(),
            orders: Mutex::default(),
        })))
    }

    /// What GETTXSTATUS says of a payment, in words for a page.
    async fn status(&self, tx_id: TxId) -> &'static str {
        match self.0.adapter.send(&GetTxStatus { tx_id }).await {
            Ok(StatusAnswer::Found(payment)) => match payment.state {
                PaymentState::Pending(_) => "PENDING",
                PaymentState::Succeeded => "SUCCEEDED",
                PaymentState::Failed(_) => "FAILED",
            },
            Ok(StatusAnswer::Failed(_)) => "unknown",
            Err(error) => {
                tracing::warn!(error = %error, "the adapter does not answer the demo shop");
                "unknown"
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Routes of the shop (`/shop`) and of the PSP (`/psp`).
pub fn router(demo: Demo) -> Router {
    Router::new()
        .route("/shop", get(shop))
        .route("/shop/buy", post(buy))
        .route("/shop/return", get(returned))
        .route("/psp/notify", post(notify))
        .route("/psp/notifications", get(notifications))
        .route("/psp/notifications.json", get(notifications_json))
        .with_state(demo)
}

/// `POST /demo/v1/due` runs what is due now instead of waiting for the adapter's next look: whoever
/// has moved the clock sees what came of it at once. `run_due` does that once and says how much it
/// did.
pub fn due_router<F, R>(run_due: F) -> Router
where
    F: Fn() -> R + Clone + Send + Sync + 'static,
    R: Future<Output = usize> + Send,
{
    /// Each time may make something else due; something that fails at once must not run for ever.
    const ROUNDS_MAX: usize = 100;
    let run = async move || {
        let mut done = 0_usize;
        for _ in 0..ROUNDS_MAX {
            match run_due().await {
                0 => break,
                count => done = done.saturating_add(count),
            }
        }
        format!("{done}\n")
    };
    Router::new().route("/demo/v1/due", post(run))
}

async fn shop() -> Response {
    pages::shop()
}

async fn buy(State(demo): State<Demo>) -> Response {
    let number = {
        let mut orders = lock(&demo.0.orders);
        *orders += 1;
        *orders
    };
    let order = order(&demo.0.own_base_url, &format!("DEMO-{number}"));
    let payment = match demo.0.adapter.send(&order).await {
        Ok(TransactionAnswer::Recorded(payment)) => payment,
        Ok(TransactionAnswer::Refused(failure)) => return pages::failed(&reason(&failure)),
        Err(error) => {
            tracing::warn!(error = %error, "the adapter does not answer the demo shop");
            return pages::failed("the adapter does not answer");
        }
    };
    let redirect = match payment.state {
        PaymentState::Pending(Some(redirect)) => redirect,
        PaymentState::Failed(failure) => return pages::failed(&reason(&failure)),
        PaymentState::Pending(None) | PaymentState::Succeeded => {
            return pages::failed("the answer has no address to go to");
        }
    };
    let mut secrets = lock(&demo.0.secrets);
    secrets.insert(payment.tx_id, redirect.secret);
    while secrets.len() > ORDERS_MAX {
        secrets.pop_first();
    }
    drop(secrets);
    Redirect::to(&redirect.url).into_response()
}

fn reason(failure: &Failure) -> String {
    format!("{}: {}", failure.reason, failure.message)
}

async fn returned(State(demo): State<Demo>, RawQuery(query): RawQuery) -> Response {
    let Ok(read) = UnverifiedReturn::read(query.as_deref().unwrap_or_default()) else {
        return pages::returned("", None, "unknown");
    };
    let tx_id = read.claimed_tx_id();
    let secret = lock(&demo.0.secrets).get(&tx_id).cloned();
    let genuine = secret.map(|secret| read.verify(&secret, credentials::SHARED_SECRET).is_ok());
    pages::returned(&tx_id.to_string(), genuine, demo.status(tx_id).await)
}

/// Answers 2xx only for what is genuine, and only after looking at the status.
async fn notify(State(demo): State<Demo>, body: Bytes) -> Response {
    let read = match UnverifiedNotification::read(&body) {
        Ok(read) => read,
        Err(error) => return (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    };
    let (tx_id, finaltimestamp) = (read.claimed_tx_id(), read.claimed_final_at().to_owned());
    let genuine = read.verify(&[credentials::NOTIFICATION_SECRET]).is_ok();
    let status = if genuine { demo.status(tx_id).await } else { "not asked" };
    let mut received = lock(&demo.0.received);
    let (txid, status) = (tx_id.to_string(), status.to_owned());
    received.push_back(Received { txid, finaltimestamp, genuine, status });
    while received.len() > RECEIVED_MAX {
        received.pop_front();
    }
    drop(received);
    if genuine {
        (StatusCode::OK, "OK").into_response()
    } else {
        (StatusCode::FORBIDDEN, "wrong sha256hash").into_response()
    }
}

async fn notifications(State(demo): State<Demo>) -> Response {
    let received: Vec<Received> = lock(&demo.0.received).iter().rev().take(100).cloned().collect();
    pages::notifications(&received)
}

async fn notifications_json(State(demo): State<Demo>) -> Response {
    let received: Vec<Received> = lock(&demo.0.received).iter().cloned().collect();
    let body = serde_json::to_string(&received).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_published_one() {
        let body = example_body("http://127.0.0.1:8090");
        assert!(body.contains("&txtype=TRANSACTION&"), "{body}");
        assert!(body.contains("&amount=1000000&"), "{body}");
        assert!(!body.contains([' ', '+', '\'']), "safe in a shell's single quotes: {body}");
    }
}
