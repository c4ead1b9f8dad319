//! The simulator's own pages: what is seen, and what clicks do.

use super::{RECEIVER, charge_body, request};
use crate::clock::MovableClock as _;
use crate::{ApiReply, ApiRequest, Engine, EngineConfig, OffsetClock, pages};

struct Desk {
    engine: Engine,
    clock: OffsetClock,
}

impl Desk {
    fn new() -> Self {
        let config =
            EngineConfig { notification_url: Some(RECEIVER.to_owned()), ..EngineConfig::default() };
        Self { engine: Engine::new(config), clock: OffsetClock::new() }
    }

    fn charged(&mut self, order: &str) -> String {
        let body = charge_body(order, 10_000).to_string();
        self.engine.handle(self.clock.now(), &request("POST", "/v2/charge", &body));
        self.engine.transaction(order).unwrap().transaction_id
    }

    fn send(&mut self, method: &str, path: &str, form: &str) -> ApiReply {
        let call = ApiRequest::new(method, &format!("/simulator{path}"), form.to_owned());
        pages::handle(&mut self.engine, &self.clock, &call)
    }

    fn page(&mut self, path: &str) -> String {
        let reply = self.send("GET", path, "");
        assert_eq!((reply.status, reply.content_type), (200, crate::api::HTML), "{path}");
        String::from_utf8(reply.body.to_vec()).unwrap()
    }

    /// Submits a form; where it leads.
    fn click(&mut self, path: &str, form: &str) -> String {
        let reply = self.send("POST", path, form);
        assert_eq!(reply.status, 303, "{path} {form}: {}", String::from_utf8_lossy(&reply.body));
        reply.location.unwrap()
    }

    /// Submits a form that is refused; the status.
    fn refused(&mut self, path: &str, form: &str, why: &str) -> u16 {
        let reply = self.send("POST", path, form);
        let page = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(page.contains(why) && page.contains("role=\"alert\""), "{path} {form}: {page}");
        reply.status
    }

    fn word(&self, order: &str) -> &'static str {
        self.engine.transaction(order).unwrap().status.word()
    }
}

#[test]
fn every_end_of_a_payment_is_a_click_away() {
    for (actions, word) in [
        (&["pay"][..], "settlement"),
        (&["deny"], "deny"),
        (&["expire"], "expire"),
        (&["cancel"], "cancel"),
        (&["fail"], "failure"),
        (&["expire", "settle-late"], "settlement"),
        (&["pay", "refund"], "refund"),
        (&["pay", "chargeback"], "chargeback"),
    ] {
        let mut desk = Desk::new();
        let id = desk.charged("A-1");
        for action in actions {
            let place = desk.page(&format!("/transactions/{id}"));
            assert!(place.contains(&format!("/transactions/{id}/{action}\"")), "{action}: {place}");
            let to = desk.click(&format!("/transactions/{id}/{action}"), "");
            assert_eq!(to, format!("/simulator/transactions/{id}"));
        }
        assert_eq!(desk.word("A-1"), word, "{actions:?}");
    }
}

#[test]
fn the_start_page_lists_what_there_is_and_says_how_to_begin() {
    let mut desk = Desk::new();
    let empty = desk.page("");
    assert!(empty.contains("No transaction yet") && empty.contains("/v2/charge"), "{empty}");
    let id = desk.charged("A-1");
    let list = desk.page("");
    for part in ["Rp\u{a0}10.000", "Order A-1", "Open wallet", &format!("/transactions/{id}/pay\"")]
    {
        assert!(list.contains(part), "{part}: {list}");
    }
    assert_eq!(desk.click(&format!("/transactions/{id}/pay"), "list=1"), "/simulator");
    let list = desk.page("");
    assert!(list.contains("settlement") && !list.contains("Open wallet"), "{list}");
    assert_eq!(desk.send("GET", "", "").refresh_seconds, Some(3));
    assert_eq!(desk.send("GET", "?live=off", "").refresh_seconds, None);
    for number in 0..40 {
        desk.charged(&format!("B-{number}"));
    }
    let first = desk.page("");
    let older = first.split("/simulator?before=").nth(1).unwrap().split('"').next().unwrap();
    let second = desk.page(&format!("?before={older}"));
    assert!(first.contains("Order B-39") && !first.contains("Order A-1"));
    assert!(second.contains("Order A-1") && !second.contains("Order B-39"));
}

#[test]
fn parts_wallets_notifications_faults_and_the_clock_are_chosen_in_forms() {
    let mut desk = Desk::new();
    let id = desk.charged("A-1");
    let at = |action: &str| format!("/transactions/{id}/{action}");
    assert_eq!(desk.refused(&at("pay"), "wallet=empty", "the balance is too low"), 409);
    desk.click(&at("pay"), "wallet=paylater&via=qris");
    assert_eq!(desk.refused(&at("refund"), "amount=ten", "whole number of rupiah"), 409);
    assert_eq!(desk.refused(&at("refund"), "amount=10001", "10000 rupiah that are left"), 409);
    desk.click(&at("refund"), "amount=4000");
    assert_eq!(desk.word("A-1"), "partial_refund");
    assert!(desk.page(&format!("/transactions/{id}")).contains("value=\"6000\""), "what is left");

    let waiting = desk.engine.notification_queue().queued;
    desk.click(&at("notify"), "forge=1");
    desk.click(&at("notify"), "");
    assert_eq!(desk.engine.notification_queue().queued, waiting + 2);
    assert_eq!(desk.refused(&at("notify"), "repeat=1", "no notification of this payment"), 409);

    desk.click("/faults", "fault=%7B%22on%22%3A%22charge%22%2C%22action%22%3A%22lost_after%22%7D&times=always&order_id=A-2");
    let armed = desk.engine.faults();
    assert_eq!((armed[0].remaining, armed[0].fault.order_id.as_deref()), (None, Some("A-2")));
    assert_eq!(desk.refused("/faults", "json=%7B", "json: "), 400);
    assert_eq!(desk.refused("/faults", "", "choose a fault"), 400);
    desk.click("/faults/clear", "");
    assert!(desk.engine.faults().is_empty());

    let before = desk.clock.ahead();
    assert_eq!(desk.click("/clock", "advance=1h"), "/simulator/clock");
    assert_eq!((desk.clock.ahead() - before).as_secs(), 3_600);
    assert_eq!(desk.refused("/clock", "advance=soon", "not a span"), 400);
    assert!(desk.page("/clock").contains("Ahead of this machine by 60 minutes"));
}

#[test]
fn what_others_wrote_is_text() {
    let mut desk = Desk::new();
    let mut config = EngineConfig::default();
    config.wallets[0].label = "<b>GoPay</b> & co".to_owned();
    desk.engine = Engine::new(config);
    let id = desk.charged("A-1");
    let page = desk.page(&format!("/transactions/{id}"));
    assert!(
        page.contains("&lt;b&gt;GoPay&lt;/b&gt; &amp; co") && !page.contains("<b>GoPay"),
        "{page}"
    );
    desk.click(&format!("/transactions/{id}/pay"), "");
    let key = "<i>\"'&".to_owned();
    let refund = crate::DashboardRefund { refund_key: Some(key), ..Default::default() };
    desk.engine.refund_at_dashboard(desk.clock.now(), &id, &refund).unwrap();
    let page = desk.page(&format!("/transactions/{id}"));
    assert!(page.contains("&lt;i&gt;&quot;") && !page.contains("<i>"), "{page}");
}

#[test]
fn unknown_pages_and_forms_are_told() {
    let mut desk = Desk::new();
    for (method, path) in
        [("GET", "/x"), ("POST", "/x"), ("GET", "/transactions/none"), ("PUT", "")]
    {
        assert_eq!(desk.send(method, path, "").status, 404, "{method} {path}");
    }
    assert_eq!(desk.send("POST", "/transactions/none/pay", "").status, 404);
}
