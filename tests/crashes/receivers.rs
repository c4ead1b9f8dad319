//! The PSP's receiver of notifications: keeps what came, in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use tokio::net::TcpListener;

use crate::support::wire::{NOTIFICATION_SECRET, nested};

/// One notification as it came.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) finaltimestamp: String,
    pub(crate) genuine: bool,
    pub(crate) accepted: bool,
}

/// By transaction, oldest first.
pub(crate) type Receipts = BTreeMap<String, Vec<Receipt>>;

#[derive(Clone, Default)]
pub(crate) struct Receivers {
    receipts: Arc<Mutex<Receipts>>,
}

impl Receivers {
    /// Starts receiving; the address for `notificationurl`.
    pub(crate) async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        self.receive_at(listener)
    }

    /// The same at an address that is bound already.
    pub(crate) fn receive_at(&self, listener: TcpListener) -> String {
        let url = format!("http://{}/notify", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(receive).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    pub(crate) fn receipts(&self) -> Receipts {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(State(receivers): State<Receivers>, request: Request) -> Response {
    let bytes = to_bytes(request.into_body(), 4_096).await.unwrap_or_default();
    let fields: BTreeMap<String, String> = form_urlencoded::parse(&bytes).into_owned().collect();
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (txid, finaltimestamp) = (field("txid"), field("finaltimestamp"));
    let expected = nested(&txid, &finaltimestamp, NOTIFICATION_SECRET);
    let genuine = field("sha256hash") == expected;
    let mut receipts = receivers.receipts.lock().unwrap_or_else(PoisonError::into_inner);
    let earlier = receipts.entry(txid.clone()).or_default();
    // Every third transaction meets a receiver that fails at first.
    let number = txid.bytes().fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let accepted = number % 3 != 0 || !earlier.is_empty();
    earlier.push(Receipt { finaltimestamp, genuine, accepted });
    let mut response = Response::new(Body::empty());
    if !accepted {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
