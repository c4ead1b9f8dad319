//! The PSP's side: receivers of notifications with different behaviour. They check the hash, ask for
//! the status as a PSP should, and keep in which order what came.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::support::{body, decode};

/// How a receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Behaviour {
    /// Takes everything at once.
    Steady,
    /// Fails up to three times a transaction, each time in another way.
    Flaky,
    /// Thinks for a while first.
    Slow,
    /// Never takes anything.
    Dead,
}

impl Behaviour {
    pub(crate) const ALL: [Self; 4] = [Self::Steady, Self::Flaky, Self::Slow, Self::Dead];
}

/// What GETTXSTATUS said, and between which moments of the test's own count.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) status: String,
}

/// One notification as it came.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) finaltimestamp: String,
    pub(crate) genuine: bool,
    /// The answer was 2xx.
    pub(crate) accepted: bool,
    pub(crate) arrived: u64,
    pub(crate) answered: u64,
    /// Not asked for what is not genuine.
    pub(crate) sighting: Option<Sighting>,
}

/// Numbers moments, so that before and after can be told without a clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments(Arc<AtomicU64>);

impl Moments {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// All receivers of the test; they end with its runtime.
#[derive(Clone)]
pub(crate) struct Psp(Arc<Inner>);

struct Inner {
    adapter: String,
    http: reqwest::Client,
    moments: Moments,
    bases: Mutex<BTreeMap<Behaviour, String>>,
    receipts: Mutex<BTreeMap<String, Vec<Receipt>>>,
}

impl Psp {
    pub(crate) async fn start(adapter: &str, http: &reqwest::Client, moments: &Moments) -> Self {
        let psp = Self(Arc::new(Inner {
            adapter: adapter.to_owned(),
            http: http.clone(),
            moments: moments.clone(),
            bases: Mutex::default(),
            receipts: Mutex::default(),
        }));
        for behaviour in Behaviour::ALL {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let base = format!("http://{}", listener.local_addr().expect("bound"));
            psp.0.bases.lock().unwrap_or_else(PoisonError::into_inner).insert(behaviour, base);
            let router = Router::new().fallback(receive).with_state((psp.clone(), behaviour));
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        psp
    }

    /// An address for `notificationurl`.
    pub(crate) fn url(&self, behaviour: Behaviour, number: u64) -> String {
        let bases = self.0.bases.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{}/notify/{number}?via=gopay", bases[&behaviour])
    }

    pub(crate) fn receipts(&self) -> BTreeMap<String, Vec<Receipt>> {
        self.0.receipts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a transaction was told before.
    fn tries(&self, txid: &str) -> usize {
        let receipts = self.0.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        receipts.get(txid).map_or(0, Vec::len)
    }

    fn keep(&self, txid: String, receipt: Receipt) {
        let mut receipts = self.0.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        receipts.entry(txid).or_default().push(receipt);
    }

    async fn sighting(&self, txid: &str) -> Option<Sighting> {
        let asked = self.0.moments.next();
        let call = body("GETTXSTATUS", &[("txid", txid)]);
        let answer = self.0.http.post(format!("{}/", self.0.adapter)).body(call).send().await;
        let text = answer.ok()?.text().await.ok()?;
        let answered = self.0.moments.next();
        let status = decode(&text).get("STATUS")?.clone();
        Some(Sighting { asked, answered, status })
    }
}

async fn receive(State((psp, behaviour)): State<(Psp, Behaviour)>, request: Request) -> Response {
    let arrived = psp.0.moments.next();
    let posted = request.method() == axum::http::Method::POST;
    let typed = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/x-www-form-urlencoded");
    let bytes = to_bytes(request.into_body(), 4_096).await.unwrap_or_default();
    let mut fields: BTreeMap<String, String> =
        form_urlencoded::parse(&bytes).into_owned().collect();
    let mut field = |name| fields.remove(name).unwrap_or_default();
    let (txid, finaltimestamp, hash) =
        (field("txid"), field("finaltimestamp"), field("sha256hash"));
    let expected = nested(&txid, &finaltimestamp, "examplenotificationsecret");
    let genuine = posted && typed && fields.is_empty() && hash == expected;
    let sighting = if genuine { psp.sighting(&txid).await } else { None };
    let tries = psp.tries(&txid);
    let status = match behaviour {
        Behaviour::Steady => StatusCode::OK,
        Behaviour::Flaky if tries < failures(&txid) => match tries {
            0 => StatusCode::INTERNAL_SERVER_ERROR,
            1 => StatusCode::FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
        Behaviour::Flaky => StatusCode::NO_CONTENT,
        Behaviour::Slow => {
            tokio::time::sleep(Duration::from_millis(20 + 40 * u64::from(checksum(&txid) % 5)))
                .await;
            StatusCode::CREATED
        }
        Behaviour::Dead => StatusCode::BAD_GATEWAY,
    };
    let answered = psp.0.moments.next();
    let accepted = status.is_success();
    psp.keep(txid, Receipt { finaltimestamp, genuine, accepted, arrived, answered, sighting });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status == StatusCode::FOUND {
        let elsewhere = axum::http::HeaderValue::from_static("http://127.0.0.1:9/elsewhere");
        response.headers_mut().insert(header::LOCATION, elsewhere);
    }
    response
}

/// How often a flaky receiver fails for a transaction.
fn failures(txid: &str) -> usize {
    usize::from(checksum(txid) % 4)
}

fn checksum(txid: &str) -> u8 {
    txid.bytes().fold(7, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

/// PPRO's nested hash, as `docs/psp-guide.md` describes it.
pub(crate) fn nested(first: &str, second: &str, secret: &str) -> String {
    let inner = hex::encode(Sha256::digest(format!("{first}.{second}")));
    hex::encode(Sha256::digest(format!("{inner}.{secret}")))
}
