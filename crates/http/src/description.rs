//! The description of every path, written from the handlers and held against the routes.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::OpenApi;

use crate::routes::Routes;
use crate::{admin, pages, psp, public};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "gopay-adapter",
        description = "PPRO Simple API in, GoPay at Midtrans out. Listeners: psp, public, admin; they may share an address."
    ),
    paths(
        psp::call,
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
        admin::totals,
        admin::attention,
        admin::resolve,
        admin::lost,
        admin::acknowledge_lost,
        admin::reload
    )
)]
struct Description;

#[test]
fn the_description_in_schemas_is_current() {
    let mut text = Description::openapi().to_pretty_json().unwrap();
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
