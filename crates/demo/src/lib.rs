//! The other side of the demo: a small shop whose PSP speaks the Simple API, and the PSP's
//! receiver of notifications, which does what the PSP guide tells it to do: check the hash, then
//! ask GETTXSTATUS.
//!
//! It speaks only the wire; it knows nothing of the adapter's insides. Everything is in memory.

mod pages;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use gopay_core::ppro::hash;
use serde::{Deserialize, Serialize};

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
    encode(&order(own_base_url, "ORDER-20250621-0001"))
}

fn order(own: &str, reference: &str) -> Vec<(&'static str, String)> {
    const CART: &str = r#"[{"name":"table","price":"2000.00","quantity":2},{"name":"Laptop 2.0","price":"3000.00","quantity":2}]"#;
    let mut pairs = common("TRANSACTION");
    pairs.extend(
        [
            ("tag", "gopay"),
            ("countrycode", "ID"),
            ("currency", "IDR"),
            ("amount", "1000000"),
            ("merchanttxid", reference),
            ("channel", credentials::CHANNEL),
            ("merchantredirecturl", &format!("{own}/shop/return")),
            ("notificationurl", &format!("{own}/psp/notify")),
            ("accountholdername", "Siti Rahma"),
            ("specin.email", "siti@example.org"),
            ("specin.phone", "+628123456789"),
            ("transientin.orderitems", CART),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    pairs
}

fn common(txtype: &str) -> Vec<(&'static str, String)> {
    [
        ("returnmode", "urlencodeext"),
        ("txtype", txtype),
        ("login", credentials::LOGIN),
        ("password", credentials::PASSWORD),
        ("contractid", credentials::CONTRACT),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

fn encode(pairs: &[(&str, String)]) -> String {
    let encode = |(name, value): &(&str, String)| {
        format!("{name}={}", gopay_core::ppro::reply::encode(value))
    };
    pairs.iter().map(encode).collect::<Vec<_>>().join("&")
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
    adapter_url: String,
    own_base_url: String,
    client: reqwest::Client,
    /// `REDIRECTSECRET` by `TXID`.
    secrets: Mutex<BTreeMap<String, String>>,
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
            adapter_url,
            own_base_url,
            client: reqwest::Client::builder().build()?,
            secrets: Mutex::default(),
            received: Mutex::default(),
            orders: Mutex::default(),
        })))
    }

    async fn call(&self, pairs: &[(&'static str, String)]) -> BTreeMap<String, String> {
        let request = self.0.client.post(&self.0.adapter_url).body(encode(pairs));
        let text = match request.send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(error = %error, "the adapter does not answer the demo shop");
                String::new()
            }
        };
        form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    async fn status(&self, txid: &str) -> String {
        let mut pairs = common("GETTXSTATUS");
        pairs.push(("txid", txid.to_owned()));
        let answer = self.call(&pairs).await;
        answer.get("STATUS").cloned().unwrap_or_else(|| "unknown".to_owned())
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

async fn shop() -> Response {
    pages::shop()
}

async fn buy(State(demo): State<Demo>) -> Response {
    let number = {
        let mut orders = lock(&demo.0.orders);
        *orders += 1;
        *orders
    };
    let answer = demo.call(&order(&demo.0.own_base_url, &format!("DEMO-{number}"))).await;
    let (Some(url), Some(txid), Some(secret)) =
        (answer.get("REDIRECTURL"), answer.get("TXID"), answer.get("REDIRECTSECRET"))
    else {
        return pages::failed(&answer);
    };
    let mut secrets = lock(&demo.0.secrets);
    secrets.insert(txid.clone(), secret.clone());
    while secrets.len() > ORDERS_MAX {
        secrets.pop_first();
    }
    drop(secrets);
    Redirect::to(url).into_response()
}

#[derive(Deserialize)]
struct Return {
    #[serde(default)]
    txid: String,
    #[serde(default)]
    cs: String,
}

async fn returned(State(demo): State<Demo>, Query(query): Query<Return>) -> Response {
    let secret = lock(&demo.0.secrets).get(&query.txid).cloned();
    let genuine = secret.map(|secret| {
        let expected = hash::nested(&query.txid, &secret, credentials::SHARED_SECRET);
        hash::same_code(&expected, &query.cs)
    });
    let status = demo.status(&query.txid).await;
    pages::returned(&query.txid, genuine, &status)
}

#[derive(Deserialize)]
struct Notification {
    txid: String,
    finaltimestamp: String,
    sha256hash: String,
}

/// Answers 2xx only for what is genuine, and only after looking at the status.
async fn notify(State(demo): State<Demo>, Form(form): Form<Notification>) -> Response {
    let expected = hash::nested(&form.txid, &form.finaltimestamp, credentials::NOTIFICATION_SECRET);
    let genuine = hash::same_code(&expected, &form.sha256hash);
    let status = if genuine { demo.status(&form.txid).await } else { "not asked".to_owned() };
    let Notification { txid, finaltimestamp, .. } = form;
    let mut received = lock(&demo.0.received);
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
        let pairs: BTreeMap<String, String> =
            form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        assert_eq!(pairs["amount"], "1000000");
        assert_eq!(pairs["txtype"], "TRANSACTION");
        assert!(!body.contains([' ', '+', '\'']), "safe in a shell's single quotes: {body}");
    }
}
