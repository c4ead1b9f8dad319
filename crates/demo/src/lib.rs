//! The other side of the demo: a small shop whose PSP speaks the Simple API, and the PSP's
//! receiver of notifications, which does what the PSP guide tells it to do: check the hash, then
//! ask GETTXSTATUS. Each message that crossed is shown, as it was and explained.
//!
//! It speaks only the wire; it knows nothing of the adapter's insides. Everything is in memory.
//!
//! Reading order: `shop`, `messages`, the router here, `pages`.

mod messages;
mod pages;
mod shop;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use gopay_pages::Asset;
use gopay_psp_client::http::Client;
use gopay_psp_client::notification::UnverifiedNotification;
use gopay_psp_client::{Call as _, Cart, Channel, Item, Transaction, TxId};
use serde::Serialize;

use crate::messages::{Kind, Message, Orders};
use crate::shop::{Chosen, psp};

pub use crate::shop::Opened;

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

/// A form body of PPRO's published example: two items, 10,000.00 rupiah. It has no `merchanttxid`, so
/// that each who sends it adds one of its own.
#[must_use]
pub fn example_body(own_base_url: &str) -> String {
    let cart = Cart::new([Item::new("table", 2_000, 2), Item::new("Laptop 2.0", 3_000, 2)])
        .expect("10,000 rupiah is a good total");
    Transaction::new(Channel::Test, &cart, "Siti Rahma")
        .redirect_url(format!("{own_base_url}/shop/return"))
        .notification_url(format!("{own_base_url}/psp/notify"))
        .email("siti@example.org")
        .phone("+628123456789")
        .body(&psp())
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
    orders: Mutex<Orders>,
    received: Mutex<VecDeque<Received>>,
}

/// The page shows what fits a screen; this only bounds memory.
const RECEIVED_MAX: usize = 10_000;

/// A notification has three fields; more than this is none of the adapter's.
const NOTIFICATION_BYTES_MAX: usize = 4_096;

impl Demo {
    /// A shop that buys at `adapter_url` and is itself reached at `own_base_url`.
    ///
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn new(adapter_url: String, own_base_url: String) -> Result<Self, reqwest::Error> {
        // The adapter is on this machine: no proxy of the environment gets to see the password.
        let http =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Ok(Self(Arc::new(Inner {
            adapter: Client::new(http.build()?, adapter_url, psp()),
            own_base_url,
            orders: Mutex::default(),
            received: Mutex::default(),
        })))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Routes of the shop (`/shop`) and of the PSP (`/psp`).
pub fn router(demo: Demo) -> Router {
    // Behind these is somebody's browser, and other sites' pages are open in it.
    let own = Router::new()
        .route("/shop", get(shop))
        .route("/shop/buy", post(buy))
        .route("/shop/return", get(returned))
        .route("/shop/orders/{txid}", get(order))
        .route("/shop/orders/{txid}/ask", post(ask))
        .route("/shop/orders/{txid}/refund", post(refund))
        .route("/shop/orders/{txid}/cancel", post(cancel))
        .route("/psp/notifications", get(notifications))
        .route("/psp/notifications.json", get(notifications_json))
        .layer(from_fn(own_pages_only));
    Router::new()
        .route("/psp/notify", post(notify))
        .route("/shop/pages.css", get(|| std::future::ready(asset(Asset::Style))))
        .route("/shop/pages.svg", get(|| std::future::ready(asset(Asset::Icon))))
        .merge(own)
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
    Router::new().route("/demo/v1/due", post(run)).layer(from_fn(own_pages_only))
}

fn asset(asset: Asset) -> Response {
    let headers = [
        (header::CONTENT_TYPE, asset.content_type()),
        (header::CACHE_CONTROL, Asset::CACHE_CONTROL),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, asset.text()).into_response()
}

/// Refuses what another site's page sends, and names that are not this machine's.
async fn own_pages_only(request: Request, next: Next) -> Response {
    if is_own(&request) {
        return next.run(request).await;
    }
    let text = "a page of another site, or not by this machine's address\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

fn is_own(request: &Request) -> bool {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    // A page of another site leads here by a link or a redirect when the shopper comes back.
    let writes = request.method() == axum::http::Method::POST;
    let (origin, site) =
        if writes { (text("origin"), text("sec-fetch-site")) } else { (None, None) };
    gopay_pages::is_own_page(text("host"), origin, site, None)
}

async fn shop(State(demo): State<Demo>) -> Response {
    let newest = lock(&demo.0.orders).newest(5);
    pages::shop(&newest, None)
}

async fn buy(State(demo): State<Demo>, form: Bytes) -> Response {
    let bought = match Chosen::read(&form) {
        Ok(chosen) => demo.buy(&chosen).await,
        Err(why) => Err(why.to_owned()),
    };
    match bought {
        Ok((_, url)) => Redirect::to(&url).into_response(),
        Err(why) => {
            let newest = lock(&demo.0.orders).newest(5);
            pages::shop(&newest, Some(&why))
        }
    }
}

async fn returned(State(demo): State<Demo>, RawQuery(query): RawQuery) -> Response {
    match demo.came_back(query.as_deref().unwrap_or_default()).await {
        Some(tx_id) => show(&demo, tx_id, true, None),
        None => pages::unknown(),
    }
}

fn show(demo: &Demo, tx_id: TxId, back: bool, problem: Option<&str>) -> Response {
    match lock(&demo.0.orders).get(tx_id) {
        Some(order) => pages::order(tx_id, order, back, problem),
        None => pages::unknown(),
    }
}

async fn order(State(demo): State<Demo>, Path(txid): Path<String>) -> Response {
    match txid.parse() {
        Ok(tx_id) => show(&demo, tx_id, false, None),
        Err(_) => pages::unknown(),
    }
}

/// Runs a button of an order's page, then shows it again.
async fn run(
    demo: Demo,
    txid: String,
    action: impl AsyncFnOnce(&Demo, TxId) -> Result<(), String>,
) -> Response {
    let Ok(tx_id) = txid.parse() else { return pages::unknown() };
    if lock(&demo.0.orders).get(tx_id).is_none() {
        return pages::unknown();
    }
    match action(&demo, tx_id).await {
        Ok(()) => Redirect::to(&format!("/shop/orders/{tx_id}")).into_response(),
        Err(why) => show(&demo, tx_id, false, Some(&why)),
    }
}

async fn ask(State(demo): State<Demo>, Path(txid): Path<String>) -> Response {
    let ask = async |demo: &Demo, tx_id| match demo.ask(tx_id).await {
        "unknown" => Err("the adapter did not say".to_owned()),
        _ => Ok(()),
    };
    run(demo, txid, ask).await
}

async fn refund(State(demo): State<Demo>, Path(txid): Path<String>, form: Bytes) -> Response {
    let amount = form_urlencoded::parse(&form).find(|(key, _)| key == "amount");
    let amount = amount.and_then(|(_, text)| text.trim().parse::<u64>().ok());
    let refund = async |demo: &Demo, tx_id| match amount {
        Some(amount) => demo.refund(tx_id, amount).await,
        None => Err("amount is a whole number of rupiah".to_owned()),
    };
    run(demo, txid, refund).await
}

async fn cancel(State(demo): State<Demo>, Path(txid): Path<String>) -> Response {
    run(demo, txid, async |demo: &Demo, tx_id| demo.cancel(tx_id).await).await
}

/// Answers 2xx only for what is genuine, and only after looking at the status.
async fn notify(State(demo): State<Demo>, body: Bytes) -> Response {
    if body.len() > NOTIFICATION_BYTES_MAX {
        return (StatusCode::PAYLOAD_TOO_LARGE, "too long for a notification").into_response();
    }
    let read = match UnverifiedNotification::read(&body) {
        Ok(read) => read,
        Err(error) => return (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    };
    let (tx_id, finaltimestamp) = (read.claimed_tx_id(), read.claimed_final_at().to_owned());
    let genuine = read.verify(&[credentials::NOTIFICATION_SECRET]).is_ok();
    let (code, answer) =
        if genuine { (StatusCode::OK, "OK") } else { (StatusCode::FORBIDDEN, "wrong sha256hash") };
    let message = Message {
        kind: Kind::Notification,
        sent: String::from_utf8_lossy(&body).into_owned(),
        received: format!("HTTP {}, {answer}", code.as_u16()),
        verdict: if genuine {
            "the hash is right: the adapter wrote it. It has no outcome in it: ask GETTXSTATUS"
        } else {
            "the hash is wrong: somebody else wrote it, and it is refused"
        }
        .to_owned(),
        good: genuine,
    };
    // Unauthenticated callers fill no memory: only what is known, or proven.
    if genuine || lock(&demo.0.orders).get(tx_id).is_some() {
        lock(&demo.0.orders).change(tx_id, |order| order.messages.push_back(message));
    }
    let status = if genuine { demo.ask(tx_id).await } else { "not asked" };
    let mut received = lock(&demo.0.received);
    let (txid, status) = (tx_id.to_string(), status.to_owned());
    received.push_back(Received { txid, finaltimestamp, genuine, status });
    while received.len() > RECEIVED_MAX {
        received.pop_front();
    }
    drop(received);
    (code, answer).into_response()
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
        assert!(!body.contains("merchanttxid"), "{body}");
        assert!(!body.contains([' ', '+', '\'']), "safe in a shell's single quotes: {body}");
    }
}
