//! Over loopback sockets: the router, the notification worker, the control API.

use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::post;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::{KEY, charge_body};
use crate::{EngineConfig, OffsetClock, SimulatorState, router, run_notifications};

/// What a receiver saw: user agent, content type, body.
type Seen = Arc<Mutex<Vec<(String, String, Value)>>>;

struct Live {
    base: String,
    client: reqwest::Client,
    seen: Seen,
    arrived: Arc<Notify>,
}

impl Live {
    async fn start() -> Self {
        // A second installation in the same process is refused, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (seen, arrived) = (Seen::default(), Arc::new(Notify::new()));
        let receiver = serve(receiver(&seen, &arrived)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let config = EngineConfig {
            base_url: base.clone(),
            notification_url: Some(format!("{receiver}/hop")),
            ..EngineConfig::default()
        };
        let state = SimulatorState::new(config, Arc::new(OffsetClock::new()));
        tokio::spawn(axum::serve(listener, router(state.clone())).into_future());
        tokio::spawn(run_notifications(state, std::future::pending()));
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { base, client, seen, arrived }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let answer = self.raw(method, path, body).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    async fn raw(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<reqwest::Response> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.base);
        let call = self.client.request(method, url).basic_auth(KEY, Some(""));
        match body {
            Some(body) => call.json(&body).send().await,
            None => call.send().await,
        }
    }

    /// Waits for that many notifications in all and gives their statuses.
    async fn statuses(&self, count: usize) -> Vec<String> {
        let enough = async {
            loop {
                let arrived = self.arrived.notified();
                if self.seen.lock().unwrap().len() >= count {
                    return;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), enough).await.expect("notifications arrive");
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|(_, _, body)| body["transaction_status"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    base
}

/// Answers the first hop with 308 and records what comes after it.
fn receiver(seen: &Seen, arrived: &Arc<Notify>) -> Router {
    let (seen, arrived) = (Arc::clone(seen), Arc::clone(arrived));
    let record = move |headers: HeaderMap, body: Bytes| async move {
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let body = serde_json::from_slice(&body).unwrap();
        seen.lock().unwrap().push((text("user-agent"), text("content-type"), body));
        arrived.notify_waiters();
        "ok"
    };
    Router::new()
        .route("/hop", post(|| async { Redirect::permanent("/notification") }))
        .route("/loop", post(|| async { Redirect::temporary("/loop") }))
        .route("/moved", post(|| async { Redirect::to("/notification") }))
        .route("/notification", post(record))
}

#[tokio::test]
async fn from_charge_to_full_refund() {
    let live = Live::start().await;
    let (http, charge) = live.call("POST", "/v2/charge", Some(charge_body("A-1", 1_000))).await;
    assert_eq!((http, charge["status_code"].as_str()), (200, Some("201")));
    assert_eq!(live.statuses(1).await, ["pending"]);

    let actions = charge["actions"].as_array().unwrap();
    let deeplink =
        actions.iter().find(|action| action["name"] == "deeplink-redirect").unwrap()["url"]
            .as_str()
            .unwrap();
    let page = live.client.get(deeplink).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(page.text().await.unwrap().contains("submitbutton"));
    let form = "wallet=verified&pin=123456&action=pay";
    let paid = live
        .client
        .post(deeplink)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    assert_eq!(paid.status().as_u16(), 303);
    assert_eq!(
        paid.headers()["location"],
        "https://shop.example/return/?order_id=A-1&result=success"
    );
    assert_eq!(live.statuses(2).await, ["pending", "settlement"]);

    let (_, status) = live.call("GET", "/v2/A-1/status", None).await;
    assert_eq!(status["transaction_status"], "settlement");

    let part = json!({"refund_key": "R-1", "amount": 400});
    let (_, refund) = live.call("POST", "/v2/A-1/refund/online/direct", Some(part)).await;
    assert_eq!(refund["transaction_status"], "partial_refund");
    live.statuses(3).await;
    let moved = json!({"advance": "2s"});
    live.call("POST", "/simulator/v1/clock", Some(moved.clone())).await;
    live.statuses(4).await;
    let rest = json!({"refund_key": "R-2", "amount": 600});
    let (_, refund) = live.call("POST", "/v2/A-1/refund", Some(rest)).await;
    assert_eq!(refund["transaction_status"], "refund");
    live.statuses(5).await;
    live.call("POST", "/simulator/v1/clock", Some(moved)).await;
    assert_eq!(
        live.statuses(6).await,
        ["pending", "settlement", "partial_refund", "partial_refund", "refund", "refund"]
    );
    for (agent, kind, body) in live.seen.lock().unwrap().iter() {
        assert_eq!((agent.as_str(), kind.as_str()), ("Veritrans", "application/json"));
        assert_eq!(body["order_id"], "A-1");
    }
    let (_, totals) = live.call("GET", "/simulator/v1/totals", None).await;
    assert_eq!((&totals["charged"], &totals["refunded"]), (&json!(1_000), &json!(1_000)));
}

#[tokio::test]
async fn connections_break_as_scripted() {
    let live = Live::start().await;
    let fault = |action: &str| json!({"on": "charge", "action": action});
    for (order, action) in [("A-1", "lost_before"), ("A-2", "lost_after"), ("A-3", "truncate")] {
        live.call("POST", "/simulator/v1/faults", Some(fault(action))).await;
        let answer = live.raw("POST", "/v2/charge", Some(charge_body(order, 1_000))).await;
        match answer {
            Err(error) => {
                assert_ne!(action, "truncate");
                assert!(error.is_request(), "{action}: {error:?}");
            }
            Ok(answer) => {
                assert_eq!(action, "truncate");
                assert_eq!(answer.status().as_u16(), 200);
                assert!(answer.bytes().await.is_err());
            }
        }
        let (_, status) = live.call("GET", &format!("/v2/{order}/status"), None).await;
        let code = if action == "lost_before" { "404" } else { "201" };
        assert_eq!(status["status_code"], code, "{action}");
    }
}

#[tokio::test]
async fn a_deferred_charge_happens_even_if_its_caller_is_gone() {
    let live = Live::start().await;
    let fault = json!({"on": "charge", "action": {"delay": {"ms": 50, "when": "before"}}});
    live.call("POST", "/simulator/v1/faults", Some(fault)).await;
    let impatient = live.raw("POST", "/v2/charge", Some(charge_body("A-1", 1_000)));
    assert!(tokio::time::timeout(Duration::from_millis(20), impatient).await.is_err());
    assert_eq!(live.statuses(1).await, ["pending"]);
}

#[tokio::test]
async fn redirects_are_followed_only_so_far() {
    let live = Live::start().await;
    let receiver = serve(receiver(&live.seen, &live.arrived)).await;
    for (order, path, delivered) in [("A-1", "loop", 0), ("A-2", "moved", 0), ("A-3", "hop", 1)] {
        let answer = live
            .client
            .post(format!("{}/v2/charge", live.base))
            .basic_auth(KEY, Some(""))
            .header("X-Override-Notification", format!("{receiver}/{path}"))
            .json(&charge_body(order, 1_000))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let path = format!("/simulator/v1/transactions/{order}");
        let counts = loop {
            let (_, view) = live.call("GET", &path, None).await;
            let counts = view["notifications"].clone();
            if counts["attempts"] == 1 {
                break counts;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(counts["delivered"], delivered, "{order}");
    }
}

#[tokio::test]
async fn the_control_api_answers() {
    let live = Live::start().await;
    live.call("POST", "/v2/charge", Some(charge_body("A-1", 1_000))).await;
    live.call("POST", "/v2/charge", Some(charge_body("A-2", 3_000_001))).await;
    let bad_wallet = json!({"wallet": "paylater"});
    for (method, path, body, status, pointer, expected) in [
        ("GET", "transactions", None, 200, "/transactions/1/order_id", json!("A-2")),
        (
            "GET",
            "transactions?offset=1&limit=1",
            None,
            200,
            "/transactions/0/order_id",
            json!("A-2"),
        ),
        ("GET", "transactions?limit=x", None, 400, "/error/code", json!("invalid")),
        ("GET", "transactions/A-1", None, 200, "/status", json!("pending")),
        ("GET", "transactions/none", None, 404, "/error/code", json!("unknown")),
        ("POST", "transactions/A-1/decline", None, 200, "/status", json!("pending")),
        (
            "POST",
            "transactions/A-2/pay",
            Some(bad_wallet),
            409,
            "/error/code",
            json!("above_limit"),
        ),
        (
            "POST",
            "transactions/A-2/pay",
            Some(json!({"wallte": 1})),
            400,
            "/error/code",
            json!("invalid"),
        ),
        ("POST", "transactions/A-1/pay", None, 200, "/status", json!("settlement")),
        ("POST", "transactions/A-1/pay", None, 409, "/error/code", json!("wrong_status")),
        ("POST", "transactions/A-2/expire", None, 200, "/status", json!("expire")),
        ("POST", "transactions/A-2/settle-late", None, 200, "/status", json!("settlement")),
        ("POST", "transactions/A-2/explode", None, 404, "/error/code", json!("not_found")),
        ("GET", "totals", None, 200, "/charged", json!(3_001_001)),
        ("GET", "nothing", None, 404, "/error/code", json!("not_found")),
        ("PUT", "faults", None, 405, "/error/code", json!("method_not_allowed")),
        (
            "POST",
            "faults",
            Some(json!({"on": "charge", "action": "drop"})),
            400,
            "/error/code",
            json!("invalid"),
        ),
        ("POST", "faults", Some(json!({"on": "charge", "action": "empty"})), 201, "/id", json!(1)),
        ("GET", "faults", None, 200, "/faults/0/remaining", json!(1)),
        ("DELETE", "faults", None, 200, "/cleared", json!(1)),
        ("POST", "faults/clear", None, 200, "/cleared", json!(0)),
        (
            "POST",
            "clock",
            Some(json!({"set": "2020-01-01T00:00:00Z"})),
            400,
            "/error/code",
            json!("invalid"),
        ),
        (
            "POST",
            "clock",
            Some(json!({"advance": "1h", "advance_ms": 1})),
            400,
            "/error/code",
            json!("invalid"),
        ),
        ("POST", "clock", Some(json!({"forward": 1})), 400, "/error/code", json!("invalid")),
        ("GET", "notifications", None, 200, "/queue/totals/queued", json!(5)),
    ] {
        let (found, answer) = live.call(method, &format!("/simulator/v1/{path}"), body).await;
        assert_eq!(found, status, "{method} {path}: {answer}");
        assert_eq!(answer.pointer(pointer), Some(&expected), "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn the_clock_moves_and_flush_sends() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (seen, arrived) = (Seen::default(), Arc::new(Notify::new()));
    let receiver = serve(receiver(&seen, &arrived)).await;
    let config = EngineConfig {
        notification_url: Some(format!("{receiver}/notification")),
        ..EngineConfig::default()
    };
    // Without a worker, only flush sends.
    let state = SimulatorState::new(config, Arc::new(OffsetClock::new()));
    let base = serve(router(state)).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |path: &str, body: Value| {
        client.post(format!("{base}{path}")).basic_auth(KEY, Some("")).json(&body).send()
    };
    post("/v2/charge", charge_body("A-1", 1_000)).await.unwrap();
    post("/simulator/v1/clock", json!({"advance": "15m"})).await.unwrap();
    let flushed: Value =
        post("/simulator/v1/notifications/flush", json!({})).await.unwrap().json().await.unwrap();
    assert_eq!(flushed["flushed"], json!({"sent": 2, "delivered": 2, "failed": 0}));
    assert_eq!(flushed["queue"]["queued"], 0);
    let mut statuses: Vec<String> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|(_, _, body)| body["transaction_status"].as_str().unwrap().to_owned())
        .collect();
    statuses.sort();
    assert_eq!(statuses, ["expire", "pending"]);
    let far = json!({"set": "2999-01-01T00:00:00Z"});
    let moved: Value = post("/simulator/v1/clock", far).await.unwrap().json().await.unwrap();
    assert!(moved["now"].as_str().unwrap().starts_with("2999-01-01T00:00:00"), "{moved}");
}

#[tokio::test]
async fn pages_of_other_sites_and_names_of_strangers_move_nothing() {
    let live = Live::start().await;
    live.call("POST", "/v2/charge", Some(charge_body("A-1", 1_000))).await;
    let own = live.base.strip_prefix("http://").unwrap().to_owned();
    let origin = live.base.clone();
    let send = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut call = live.client.request(method, format!("{}{path}", live.base));
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        call.body("{}").send().await.unwrap().status().as_u16()
    };
    let writes = [
        ("/simulator/v1/clock", 400),
        ("/simulator/v1/transactions/A-1/decline", 200),
        ("/simulator/v1/notifications/flush", 200),
        ("/simulator/transactions/none/pay", 404),
    ];
    for (path, status) in writes {
        for headers in [
            &[("origin", "https://evil.example"), ("content-type", "text/plain")][..],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:1")],
            &[("host", "evil.example"), ("origin", "http://evil.example")],
            &[("host", "evil.example:8090")],
            &[("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(send("POST", path, headers).await, 403, "{path} {headers:?}");
        }
        for headers in [
            &[][..],
            &[("origin", origin.as_str()), ("sec-fetch-site", "same-origin")],
            &[("host", "localhost:8090"), ("origin", "http://localhost:8090")],
            &[("host", own.as_str())],
        ] {
            assert_eq!(send("POST", path, headers).await, status, "{path} {headers:?}");
        }
    }
    // Reading by a stranger's name would show everything; a link from elsewhere shows it to a person.
    assert_eq!(send("GET", "/simulator/v1/totals", &[("host", "evil.example")]).await, 403);
    assert_eq!(send("GET", "/simulator", &[("host", "evil.example")]).await, 403);
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    assert_eq!(send("GET", "/simulator", &link).await, 200);
}

#[tokio::test]
async fn a_browser_that_opens_any_address_gets_a_page_and_a_program_its_answer() {
    let live = Live::start().await;
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    for (path, browser, program) in [
        ("/", 200, 404),
        ("/nothing", 404, 404),
        ("/v2/x/status", 401, 401),
        ("/gopay/ui/checkout", 404, 404),
        ("/simulator", 200, 200),
        ("/simulator/pages.css", 200, 200),
        ("/simulator/pages.svg", 200, 200),
    ] {
        for (accept, status) in [(html, browser), ("*/*", program)] {
            let url = format!("{}{path}", live.base);
            let answer = live.client.get(url).header("accept", accept).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{path} {accept}");
            let kind = answer.headers()["content-type"].to_str().unwrap();
            let page = kind.starts_with("text/html");
            let json =
                path.starts_with("/v2") || (accept == "*/*" && matches!(path, "/" | "/nothing"));
            assert_eq!(page, !json && !path.contains('.'), "{path} {accept} {kind}");
        }
    }
}
