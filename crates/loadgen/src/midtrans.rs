//! A stand-in of Midtrans that costs little: well-formed answers with the request's order and
//! amount, no faults, no wallet, no notifications. Whether payments are paid is one switch.
//! The simulator of the product does all that and keeps everything, which costs several times the
//! CPU.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::Bytes;

/// Serves until the process ends. `POST /paid` and `POST /pending` turn the switch.
pub(crate) async fn run(listen: SocketAddr) -> anyhow::Result<()> {
    let amounts = RefCell::new(HashMap::new());
    let all_paid = Cell::new(false);
    crate::serve::serve(listen, move |method, path, body| {
        route(method, path, body, &amounts, &all_paid)
    })
    .await
}

type Amounts = RefCell<HashMap<u64, String>>;

fn route(
    method: &str,
    path: &str,
    body: &Bytes,
    amounts: &Amounts,
    all_paid: &Cell<bool>,
) -> (u16, String) {
    match (method, path) {
        ("POST", "/v2/charge") => charge(body, amounts),
        ("POST", "/paid" | "/pending") => {
            all_paid.set(path == "/paid");
            (200, "{}".to_owned())
        }
        _ => about(method, path, body, amounts, all_paid.get()),
    }
}

fn charge(body: &[u8], amounts: &Amounts) -> (u16, String) {
    let text = String::from_utf8_lossy(body);
    let order = field(&text, "\"order_id\":").and_then(|order| order.parse::<u64>().ok());
    let (Some(order), Some(amount)) = (order, field(&text, "\"gross_amount\":")) else {
        return (200, r#"{"status_code":"400","status_message":"no order"}"#.to_owned());
    };
    let amount = format!("{amount}.00");
    let answer = format!(
        r#"{{"status_code":"201","status_message":"GoPay transaction is created","transaction_id":"mt-{order}","order_id":"{order}","merchant_id":"G1","gross_amount":"{amount}","currency":"IDR","payment_type":"gopay","transaction_time":"2026-01-01 10:00:00","transaction_status":"pending","fraud_status":"accept","actions":[{{"name":"generate-qr-code","method":"GET","url":"https://simulator.example/v2/gopay/mt-{order}/qr-code"}},{{"name":"deeplink-redirect","method":"GET","url":"https://simulator.example/gopay/ui/checkout?referenceid=mt-{order}"}},{{"name":"get-status","method":"GET","url":"https://simulator.example/v2/mt-{order}/status"}},{{"name":"cancel","method":"POST","url":"https://simulator.example/v2/mt-{order}/cancel"}}]}}"#
    );
    amounts.borrow_mut().insert(order, amount);
    (200, answer)
}

/// The value after a key, without quotes: a number, or a text without escapes.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = text.split_once(key)?.1.trim_start().trim_start_matches('"');
    rest.split(['"', ',', '}']).next()
}

fn about(
    method: &str,
    path: &str,
    body: &[u8],
    amounts: &Amounts,
    all_paid: bool,
) -> (u16, String) {
    let not_found = || (200, r#"{"status_code":"404","status_message":"not found"}"#.to_owned());
    let Some((id, action)) = path.strip_prefix("/v2/").and_then(|rest| rest.split_once('/')) else {
        return not_found();
    };
    let order = id.strip_prefix("mt-").unwrap_or(id).parse::<u64>().unwrap_or(0);
    let amounts = amounts.borrow();
    let Some(amount) = amounts.get(&order) else { return not_found() };
    let (code, status, more) = match (method, action) {
        ("GET", "status") if all_paid => {
            ("200", "settlement", r#","settlement_time":"2026-01-01 10:00:05""#.to_owned())
        }
        ("GET", "status") => ("201", "pending", String::new()),
        ("POST", "refund" | "refund/online/direct") => {
            let text = String::from_utf8_lossy(body);
            let refund = field(&text, "\"amount\":").unwrap_or("0");
            let key = field(&text, "\"refund_key\":").unwrap_or_default();
            let more = format!(r#","refund_key":"{key}","refund_amount":"{refund}.00""#);
            ("200", "partial_refund", more)
        }
        ("POST", "cancel") => ("200", "cancel", String::new()),
        ("POST", "expire") => ("407", "expire", String::new()),
        _ => return not_found(),
    };
    let answer = format!(
        r#"{{"status_code":"{code}","status_message":"Success","transaction_id":"mt-{order}","order_id":"{order}","merchant_id":"G1","gross_amount":"{amount}","currency":"IDR","payment_type":"gopay","transaction_time":"2026-01-01 10:00:00","transaction_status":"{status}","fraud_status":"accept"{more}}}"#
    );
    (200, answer)
}

#[cfg(test)]
mod tests {
    use gopay_core::ids::TxId;
    use gopay_core::midtrans::{ChargeReply, RefundReply, StatusReply};

    use super::*;

    #[test]
    fn the_product_reads_every_answer() {
        let (amounts, all_paid) = (RefCell::new(HashMap::new()), Cell::new(false));
        let ask = |method: &str, path: &str, body: &'static str| {
            let (status, text) =
                route(method, path, &Bytes::from_static(body.as_bytes()), &amounts, &all_paid);
            (status, text.into_bytes())
        };
        let (status, body) = ask(
            "POST",
            "/v2/charge",
            r#"{"transaction_details":{"order_id":"71","gross_amount":45000}}"#,
        );
        let Ok(ChargeReply::Created(created)) = ChargeReply::parse(status, &body) else {
            panic!("not created");
        };
        assert_eq!(
            (created.order_id.tx_id().map(TxId::get), created.gross.get()),
            (Some(71), 45_000)
        );
        assert!(created.deeplink.is_some());

        let paid = |(status, body): (u16, Vec<u8>)| match StatusReply::parse(status, &body) {
            Ok(StatusReply::Found(view)) => view.is_paid(),
            other => panic!("{other:?}"),
        };
        assert!(!paid(ask("GET", "/v2/mt-71/status", "")));
        ask("POST", "/paid", "");
        assert!(paid(ask("GET", "/v2/71/status", "")));

        let (status, body) = ask("POST", "/v2/mt-71/refund", r#"{"refund_key":"9","amount":100}"#);
        let reply = RefundReply::parse(status, &body);
        assert!(matches!(reply, Ok(RefundReply::Accepted(_))), "{reply:?}");
        let (status, body) = ask("GET", "/v2/mt-72/status", "");
        assert_eq!(StatusReply::parse(status, &body), Ok(StatusReply::NotFound));
    }
}
