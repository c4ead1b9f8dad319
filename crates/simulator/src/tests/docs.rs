//! `docs/simulator.md` names what there is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{EngineConfig, Fault};

const PAGE: &str = include_str!("../../../../docs/simulator.md");

/// The part of the page below a heading.
fn section(heading: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("## {heading}\n")).expect("the heading is there");
    rest.split("\n## ").next().unwrap()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_fault_of_the_page_can_be_armed_and_every_fault_is_on_the_page() {
    let on = ["charge", "status", "cancel", "expire", "refund", "notification"];
    let mut named = BTreeSet::new();
    for text in quoted(section("Scripted faults")) {
        let Ok(action) = serde_json::from_str::<Value>(text) else { continue };
        let key = action.as_object().filter(|fields| fields.len() == 1);
        let name =
            action.as_str().or(key.and_then(|fields| fields.keys().next()).map(|key| &**key));
        let Some(name) = name.map(str::to_owned) else { continue };
        let fits = |on: &&str| {
            let fault = serde_json::from_value::<Fault>(json!({"on": on, "action": action}));
            fault.is_ok_and(|fault| fault.check().is_ok())
        };
        // The other value of `when`, and nothing else.
        assert_eq!(on.iter().any(fits), name != "after", "{text}");
        named.insert(name);
    }
    named.remove("after");
    // An unknown name is answered with a list of those that there are.
    let unknown = serde_json::from_value::<Fault>(json!({"on": "charge", "action": "?"}));
    let known = unknown.unwrap_err().to_string();
    let known: BTreeSet<String> = quoted(&known).skip(1).map(str::to_owned).collect();
    assert_eq!(named, known);
}

#[test]
fn every_setting_and_limit_is_on_the_page() {
    let config = serde_json::to_value(EngineConfig::default()).unwrap();
    let names = |section: &'static str| quoted(section).collect::<BTreeSet<_>>();
    let (settings, limits) = (names(section("Settings")), names(section("How much it holds")));
    for name in config.as_object().unwrap().keys() {
        assert!(settings.contains(name.as_str()), "{name}");
    }
    for (name, value) in config["limits"].as_object().unwrap() {
        assert!(limits.contains(name.as_str()), "{name}");
        let digits = value.to_string();
        let (thousands, rest) = digits.split_at(digits.len() - 3);
        let row = format!("| `{name}` | {thousands},{rest} |");
        assert!(section("How much it holds").contains(&row), "{row}");
    }
}
