//! A plain axum server: what the product's framework costs before the product does anything.
//!
//! `GET /hello` answers a fixed line; `POST /read` reads the body and answers one as long as an
//! answer of the product; `POST /translate` reads, checks and translates the body by the
//! product's core, and stores nothing.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use gopay_core::ids::TxId;
use gopay_core::ppro::call;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::transaction::{Kyc, Terms, check};
use gopay_core::rejection::First;
use gopay_core::time::Timestamp;
use gopay_core::translate::{ChargeTerms, charge};
use tokio::net::TcpListener;

const HELLO: &str = "hello\n";

/// As long as the answer to a TRANSACTION.
const LINE: &str = "STATUS=PENDING&ERRMSG=&FAILREASON=&TXID=0000000000000000000&REDIRECTURL=https%3A%2F%2Fpay.example%2Fti%2Fgopay%3Ftx%3D0000000000000000000%26rs%3D00000000000000000000000000000000%26cs%3D0000000000000000000000000000000000000000000000000000000000000000&REDIRECTSECRET=00000000000000000000000000000000&RAND0000000000=0000000000000000000000000000000000000000";

/// Serves until the process ends.
pub(crate) async fn run(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    crate::serve::announce(listener.local_addr()?);
    let routes = Router::new()
        .route("/hello", get(|| async { HELLO }))
        .route("/read", post(read))
        .route("/translate", post(translate));
    Ok(axum::serve(listener.tap_io(nodelay), routes).await?)
}

/// As the product does: answers are written whole.
fn nodelay(stream: &mut tokio::net::TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "a connection without TCP_NODELAY");
    }
}

/// Reads the body, as the product has to, and answers.
async fn read(_body: Bytes) -> &'static str {
    LINE
}

thread_local! {
    static BUFFERS: RefCell<(Scratch, Vec<u8>)> = RefCell::new((Scratch::new(), Vec::new()));
}

const TERMS: Terms<'static> = Terms {
    app_schemes: None,
    test_channel: true,
    live_channel: false,
    kyc: Kyc::Unverified,
    has_redirect_url: true,
    has_notification_url: true,
};

/// The line, if the body is good and was translated.
async fn translate(body: Bytes) -> (StatusCode, &'static str) {
    let good = BUFFERS.with_borrow_mut(|(scratch, out)| {
        out.clear();
        let (form, items) = Form::decode(&body, scratch);
        let mut first = First::default();
        let order = call::open(&form).ok().and_then(|_| check(&form, items, TERMS, &mut first));
        let (Some(order), Ok(order_id)) = (order, TxId::new(123_887_123)) else { return false };
        let terms = ChargeTerms {
            order_id,
            order_time: Timestamp::from_micros(1_750_494_860_000_000),
            session: Duration::from_secs(3_600),
            return_url: "https://pay.example/return/gopay/123887123/",
        };
        charge(&order, &terms, out);
        !std::hint::black_box(out).is_empty()
    });
    if good { (StatusCode::OK, LINE) } else { (StatusCode::BAD_REQUEST, "refused") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Size, Template};

    #[tokio::test]
    async fn good_bodies_are_translated_and_others_refused() {
        for size in [Size::Minimal, Size::Full, Size::Fifty] {
            let body = Template::transaction(size, None).unwrap().numbered(71);
            assert_eq!(translate(body.into()).await.0, StatusCode::OK, "{size:?}");
        }
        assert_eq!(translate(Bytes::from_static(b"a=b")).await.0, StatusCode::BAD_REQUEST);
    }
}
