//! The description of every path, written from the handlers and held against the routes.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::OpenApi;

use crate::routes::Routes;
use crate::{admin, books, desk, directory, feed, pages, psp, public};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "gopay-adapter",
        description = "PPRO Simple API in, GoPay at Midtrans out. Listeners: psp, public, admin; they may share an address."
    ),
    paths(
        psp::call,
        feed::feed,
        public::redirect,
        public::redirect_form,
        public::carried,
        public::return_path,
        public::return_query,
        pages::style,
        pages::icon,
        public::notification,
        admin::live,
        admin::ready,
        admin::metrics,
        admin::openapi,
        admin::capabilities,
        admin::totals,
        admin::attention,
        admin::resolve,
        admin::reload,
        desk::figures,
        desk::transactions,
        desk::transaction,
        desk::refund,
        desk::cancel,
        desk::ask,
        desk::redeliver,
        desk::erase,
        desk::refunds,
        desk::deliveries,
        desk::redeliver_since,
        desk::receivers,
        desk::clients,
        books::settlement_heads,
        books::settlements,
        books::adjustments,
        books::adjust,
        books::reconciliations,
        books::breaks,
        books::one_break,
        books::decide_break,
        directory::entries,
        directory::change,
        directory::subjects,
        desk::audit,
        admin::lost,
        admin::acknowledge_lost
    )
)]
struct Description;

/// The schemas of `schemas/` that answers are held against, by the name of the component.
const SCHEMAS: [(&str, &str); 6] = [
    ("totals", include_str!("../../../schemas/admin-totals.schema.json")),
    ("attention", include_str!("../../../schemas/admin-attention.schema.json")),
    ("health", include_str!("../../../schemas/admin-health.schema.json")),
    ("desk", include_str!("../../../schemas/admin-desk.schema.json")),
    ("capabilities", include_str!("../../../schemas/admin-capabilities.schema.json")),
    ("lost", include_str!("../../../schemas/admin-lost.schema.json")),
];

/// Method, path, the component of the body, and that of the answer.
const BODIES: [(&str, &str, Option<&str>, &str); 33] = [
    ("get", "/health/ready", None, "health"),
    ("get", "/admin/v1/totals", None, "totals"),
    ("get", "/admin/v1/attention", None, "attention"),
    ("post", "/admin/v1/attention/{txid}", Some("desk_decision"), "desk_decided"),
    ("post", "/admin/v1/reload", Some("desk_reload"), "desk_reloaded"),
    ("get", "/admin/v1/capabilities", None, "capabilities"),
    ("get", "/admin/v1/lost", None, "lost"),
    ("post", "/admin/v1/lost", Some("desk_deed"), "lost_acknowledged"),
    ("get", "/admin/v1/figures", None, "desk_figures"),
    ("get", "/admin/v1/transactions", None, "desk_transactions"),
    ("get", "/admin/v1/transactions/{id}", None, "desk_stories"),
    ("post", "/admin/v1/transactions/{id}/refund", Some("desk_refund_order"), "desk_refund"),
    ("post", "/admin/v1/transactions/{id}/cancel", Some("desk_deed"), "desk_transaction"),
    ("post", "/admin/v1/transactions/{id}/ask", Some("desk_deed"), "desk_asked"),
    ("post", "/admin/v1/transactions/{id}/redeliver", Some("desk_deed"), "desk_due"),
    ("post", "/admin/v1/transactions/{id}/erase", Some("desk_deed"), "desk_erased"),
    ("get", "/admin/v1/refunds", None, "desk_refunds"),
    ("get", "/admin/v1/deliveries", None, "desk_deliveries"),
    ("post", "/admin/v1/redeliver", Some("desk_range"), "desk_due"),
    ("get", "/admin/v1/receivers", None, "desk_receivers"),
    ("get", "/admin/v1/clients", None, "desk_clients"),
    ("get", "/admin/v1/settlements", None, "desk_settlement_heads"),
    ("get", "/admin/v1/settlements/{account}", None, "desk_settlements"),
    ("get", "/admin/v1/adjustments", None, "desk_adjustments"),
    ("post", "/admin/v1/adjustments", Some("desk_adjustment_act"), "desk_adjustment"),
    ("get", "/admin/v1/reconciliations", None, "desk_reconciliations"),
    ("get", "/admin/v1/breaks", None, "desk_breaks"),
    ("get", "/admin/v1/breaks/{id}", None, "desk_break"),
    ("post", "/admin/v1/breaks/{id}", Some("desk_break_act"), "desk_break"),
    ("get", "/admin/v1/audit", None, "desk_audit"),
    ("get", "/admin/v1/directory", None, "desk_directory"),
    ("post", "/admin/v1/directory", Some("desk_directory_change"), "desk_directory_changed"),
    ("get", "/admin/v1/directory/subjects", None, "desk_directory_subjects"),
];

/// Where a reference of a schema leads to among the components.
fn place(name: &str, to: &str) -> Value {
    let to = match to.split_once("#/$defs/") {
        Some(("", def)) => format!("{name}_{def}"),
        Some((_, def)) => format!("totals_{def}"),
        None => to.to_owned(),
    };
    Value::String(format!("#/components/schemas/{to}"))
}

/// A schema as a component: its references lead to components.
fn component(name: &str, schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let keep = |key: &str| !matches!(key, "$schema" | "$id" | "$defs");
            let members = members.iter().filter(|(key, _)| keep(key));
            let member = |(key, value): (&String, &Value)| {
                let to = value.as_str().filter(|_| key == "$ref");
                let value = to.map_or_else(|| component(name, value), |to| place(name, to));
                (key.clone(), value)
            };
            Value::Object(members.map(member).collect())
        }
        Value::Array(entries) => entries.iter().map(|entry| component(name, entry)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

/// Adds the schemas of answers and bodies to what the handlers say.
fn with_schemas(mut openapi: Value) -> Value {
    for (name, text) in SCHEMAS {
        let schema: Value = serde_json::from_str(text).unwrap();
        let components = &mut openapi["components"]["schemas"];
        if schema.get("type").is_some() || schema.get("oneOf").is_some() {
            components[name] = component(name, &schema);
        }
        for (def, schema) in schema["$defs"].as_object().into_iter().flatten() {
            components[format!("{name}_{def}")] = component(name, schema);
        }
    }
    let json = |name: &str| {
        let to = format!("#/components/schemas/{name}");
        serde_json::json!({"application/json": {"schema": {"$ref": to}}})
    };
    for (method, path, body, answer) in BODIES {
        for name in body.into_iter().chain([answer]) {
            assert!(openapi["components"]["schemas"][name].is_object(), "{name}");
        }
        let operation = &mut openapi["paths"][path][method];
        assert!(operation.is_object(), "{method} {path}");
        operation["responses"]["200"]["content"] = json(answer);
        if let Some(body) = body {
            operation["requestBody"]["content"] = json(body);
        }
    }
    openapi
}

#[test]
fn the_description_in_schemas_is_current() {
    let openapi = with_schemas(serde_json::to_value(Description::openapi()).unwrap());
    let mut text = serde_json::to_string_pretty(&openapi).unwrap();
    text.push('\n');
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/openapi.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert_eq!(kept, text, "run the tests with UPDATE_SCHEMAS=1 and look at the change");
}

#[test]
fn what_is_routed_is_described_and_what_is_described_is_routed() {
    let kept = include_str!("../../../schemas/openapi.json");
    let openapi: Value = serde_json::from_str(kept).unwrap();
    for (listener, routes) in
        [("psp", psp::routes()), ("public", public::routes()), ("admin", admin::routes())]
    {
        assert_eq!(routed(&routes), described(&openapi, listener), "{listener}");
    }
}

#[test]
fn every_path_of_operators_says_what_it_answers() {
    let kept = include_str!("../../../schemas/openapi.json");
    let openapi: Value = serde_json::from_str(kept).unwrap();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if path.starts_with("/admin/v1/") {
                let answer = &operation["responses"]["200"]["content"]["application/json"];
                assert!(answer["schema"]["$ref"].is_string(), "{method} {path}");
            }
        }
    }
}

/// A path is described once, with or without a slash at its end.
fn plain(path: &str, method: &str) -> (String, String) {
    (path.trim_end_matches('/').to_owned(), method.to_owned())
}

fn routed(routes: &Routes) -> BTreeSet<(String, String)> {
    routes.table.iter().map(|(path, method)| plain(path, method)).collect()
}

fn described(openapi: &Value, listener: &str) -> BTreeSet<(String, String)> {
    let mut described = BTreeSet::new();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["tags"][0] == listener {
                described.insert(plain(path, method));
            }
        }
    }
    described
}
