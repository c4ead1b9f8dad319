//! The simulator's own pages: what a click does. Each click is a call of the control API.

use std::collections::HashMap;

use gopay_pages::Width;
use maud::html;
use serde_json::{Map, Value, json};

use super::{fields, layout, message_page, views};
use crate::api::{ApiReply, ApiRequest};
use crate::clock::MovableClock;
use crate::control;
use crate::engine::Engine;

/// Where these pages live. Those below `v1` are the control API's.
pub(crate) const PREFIX: &str = "/simulator";

/// How often a list is shown again.
const LIVE_SECONDS: u32 = 3;

/// Answers one request of a browser for one of these pages.
pub(crate) fn handle(
    engine: &mut Engine,
    clock: &dyn MovableClock,
    request: &ApiRequest,
) -> ApiReply {
    engine.tick(clock.now());
    let path = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let query = fields(request.query.as_bytes());
    let live = query.get("live").is_none_or(|live| live != "off");
    match (request.method.as_str(), parts.as_slice()) {
        ("GET" | "HEAD", []) => {
            let before = query.get("before").and_then(|before| before.parse().ok());
            refreshed(views::transactions(engine, clock, before, live), live && before.is_none())
        }
        ("GET" | "HEAD", ["notifications"]) => refreshed(views::notifications(engine, live), live),
        ("GET" | "HEAD", ["faults"]) => views::faults(engine, 200, None),
        ("GET" | "HEAD", ["clock"]) => views::clock(engine, clock, 200, None),
        ("GET" | "HEAD", ["transactions", id]) => {
            views::transaction(engine, clock.now(), id, 200, None)
        }
        ("POST", [first, rest @ ..]) => {
            submit(engine, clock, (*first, rest), &fields(&request.body))
        }
        _ => message_page(404, "There is no such page", "The simulator has no page here."),
    }
}

fn refreshed(reply: ApiReply, live: bool) -> ApiReply {
    ApiReply { refresh_seconds: live.then_some(LIVE_SECONDS), ..reply }
}

fn submit(
    engine: &mut Engine,
    clock: &dyn MovableClock,
    (first, rest): (&str, &[&str]),
    form: &HashMap<String, String>,
) -> ApiReply {
    let (method, body) = match (first, rest) {
        ("transactions", [_, action]) => ("POST", options(action, form)),
        ("clock", []) => ("POST", one(form, "advance")),
        ("faults", []) => ("POST", fault(form)),
        ("faults", ["clear"]) => ("DELETE", Ok(Value::Null)),
        _ => return message_page(404, "There is no such page", "The simulator has no form here."),
    };
    let target = match (first, rest) {
        ("transactions", [id, action]) => format!("{first}/{id}/{action}"),
        _ => first.to_owned(),
    };
    let done = body.and_then(|body| {
        let path = format!("{}{target}", control::PREFIX);
        refusal(&control::handle(engine, clock, &ApiRequest::new(method, &path, body.to_string())))
    });
    match (done, first, rest) {
        (Ok(()), "transactions", [id, _]) if !form.contains_key("list") => {
            ApiReply::see_other(format!("{PREFIX}/transactions/{id}"))
        }
        (Ok(()), "transactions", _) => ApiReply::see_other(PREFIX.to_owned()),
        (Ok(()), _, _) => ApiReply::see_other(format!("{PREFIX}/{first}")),
        (Err(why), "transactions", [id, _]) => {
            views::transaction(engine, clock.now(), id, 409, Some(&why))
        }
        (Err(why), "clock", _) => views::clock(engine, clock, 400, Some(&why)),
        (Err(why), "faults", _) => views::faults(engine, 400, Some(&why)),
        (Err(why), _, _) => {
            layout(400, "Not done", Width::Phone, &html! { p.alert.fail role="alert" { (why) } })
        }
    }
}

/// Why the control API refused, if it did.
fn refusal(reply: &ApiReply) -> Result<(), String> {
    if reply.status < 300 {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let message = body.pointer("/error/message").and_then(Value::as_str);
    Err(message.unwrap_or("it was refused").to_owned())
}

/// The body of an action on a transaction.
fn options(action: &str, form: &HashMap<String, String>) -> Result<Value, String> {
    let text =
        |name: &str| form.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let mut body = Map::new();
    match action {
        "pay" => {
            for name in ["wallet", "via"] {
                body.extend(text(name).map(|value| (name.to_owned(), value.into())));
            }
        }
        "refund" | "chargeback" => {
            if let Some(amount) = text("amount") {
                let amount: u64 =
                    amount.parse().map_err(|_| "amount is a whole number of rupiah")?;
                body.insert("amount".to_owned(), amount.into());
            }
        }
        "notify" => {
            for name in ["repeat", "forge"] {
                if form.contains_key(name) {
                    body.insert(name.to_owned(), true.into());
                }
            }
        }
        _ => {}
    }
    Ok(Value::Object(body))
}

fn one(form: &HashMap<String, String>, name: &str) -> Result<Value, String> {
    let value = form.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    value.map(|value| json!({name: value})).ok_or_else(|| format!("{name} is missing"))
}

/// A fault as chosen from the list, or as written by hand, which goes first.
fn fault(form: &HashMap<String, String>) -> Result<Value, String> {
    let text =
        |name: &str| form.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let chosen = text("json").or_else(|| text("fault")).ok_or("choose a fault, or write one")?;
    let mut fault: Value =
        serde_json::from_str(chosen).map_err(|error| format!("json: {error}"))?;
    let Some(object) = fault.as_object_mut() else {
        return Err("json: a fault is an object".to_owned());
    };
    if let Some(order) = text("order_id") {
        object.insert("order_id".to_owned(), order.into());
    }
    match text("times") {
        Some("always") => drop(object.insert("times".to_owned(), Value::Null)),
        Some(times) => {
            let times: u32 = times.parse().map_err(|_| "times is a number, or always")?;
            object.insert("times".to_owned(), times.into());
        }
        None => {}
    }
    Ok(fault)
}
