//! The directory in the store: accounts at Midtrans, PSPs and contracts with their terms, as in force and
//! as to come, and who has changed what.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gopay_http::asked::{Asked, AskedError};
use gopay_service::desk::{
    DirectoryDesk, EntriesAsked, EntryKind, EntryPage, EntryRow, SubjectPage, SubjectRow,
    SubjectsAsked,
};
use maud::{Markup, html};
use serde_json::Value;

use crate::frame::Part;
use crate::visit::Visit;
use crate::{Console, answer, frame, show};

pub(crate) const PATH: &str = "/console/directory";
const ONE: &str = "/console/directory/one";

/// Rows of a list.
const ROWS: usize = 50;

/// Entries of a history.
const HISTORY: usize = 20;

/// Further columns beside what is in force.
const COMING_MAX: usize = 3;

fn desk(console: &Console) -> Option<Arc<dyn DirectoryDesk>> {
    console.app.directory.get().cloned()
}

fn without() -> Response {
    answer::fault(StatusCode::NOT_FOUND, "this program has no directory in a store")
}

fn wrong(AskedError(why): AskedError) -> Response {
    answer::fault(StatusCode::BAD_REQUEST, &why)
}

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let Some(desk) = desk(&console) else { return without() };
    let wanted = match visit.asked.subjects(ROWS) {
        Ok(wanted) => wanted,
        Err(error) => return wrong(error),
    };
    let found = match desk.subjects(&wanted).await {
        Ok(found) => found,
        Err(error) => return answer::unavailable(&error),
    };
    let content = html! {
        @if !desk.is_in_force() {
            p.alert { "Not in force: PSPs and contracts stand in the config file, until " code { "directory.source" } " is " code { "\"store\"" } "." }
        }
        (filters(&visit.asked))
        (list(&found))
        (show::paging(&visit.asked, PATH, "after", found.next.as_deref(), None))
        (how_to_change())
    };
    frame::page(&console, &visit, Part::Parties, &html! { "Directory" }, &content).await
}

fn filters(asked: &Asked) -> Markup {
    let kinds = EntryKind::ALL.iter().rev().map(|kind| kind.as_str());
    let kinds: Vec<&str> = kinds.collect();
    html! {
        form.filters method="get" action=(PATH) {
            div.fields {
                (show::select(asked, "kind", "Kind", &kinds))
                (show::field(asked, "begins", "Id, login or name begins with", ""))
            }
            div.bar {
                button.button.small type="submit" { "Show" }
                a href=(PATH) { "All" }
            }
        }
    }
}

/// The address of the page of one.
fn one_of(kind: &str, name: &str) -> String {
    format!("{ONE}?{}", Asked::default().with(&[("kind", kind), ("name", name)]))
}

fn list(found: &SubjectPage) -> Markup {
    let titles = [
        ("Name", false),
        ("In force since, UTC", false),
        ("By", false),
        ("Why", false),
        ("To come from, UTC", false),
        ("Entries", true),
    ];
    let rows = html! {
        @for row in &found.rows {
            tr {
                td data-label="Name" { a href=(one_of(row.kind, &row.name)) { (row.name) } (is_closed(row)) }
                @match &row.in_force {
                    Some(entry) => {
                        td.nowrap data-label="In force since, UTC" { (show::time(&entry.valid_from)) }
                        td data-label="By" { (entry.by) }
                        td data-label="Why" { (entry.reason) }
                    }
                    None => {
                        td data-label="In force since, UTC" { span.pill.wait { "not yet" } }
                        td data-label="By" {}
                        td data-label="Why" {}
                    }
                }
                td.nowrap data-label="To come from, UTC" {
                    @if let Some(next) = row.coming.first() { (show::time(&next.valid_from)) } @else { "nothing" }
                }
                td.num data-label="Entries" { (row.entries) }
            }
        }
    };
    html! {
        @if found.rows.is_empty() { p { "There is none." } } @else { (show::table("Directory", &titles, &rows)) }
    }
}

/// A contract whose calls are refused.
fn is_closed(row: &SubjectRow) -> Markup {
    let keys = row.in_force.as_ref().and_then(|entry| entry.keys.as_ref());
    let enabled = keys.and_then(|keys| keys.get("enabled")).and_then(Value::as_bool);
    html! { @if enabled == Some(false) { " " span.pill.fail { "disabled" } } }
}

fn how_to_change() -> Markup {
    html! {
        details.act {
            summary { "How to change it" }
            p {
                "Here it is only shown. A change is checked as a whole by the program, and used by every instance within "
                "seconds. " code { "stored:1" } " stands for a secret and keeps it."
            }
            pre {
                "gopay-adapter directory export --config FILE directory.toml\n"
                "# edit directory.toml; what is left out of it stays as it is\n"
                "gopay-adapter directory import --config FILE directory.toml --dry-run --by NAME --reason WHY\n"
                "gopay-adapter directory import --config FILE directory.toml --by NAME --reason WHY\n"
                "# or from a day on: --valid-from 2026-12-01T00:00:00Z"
            }
            p.note {
                "As JSON: POST /admin/v1/directory with the role directory; what is shown here: GET "
                "/admin/v1/directory/subjects, and GET /admin/v1/directory?kind=...&name=... for the history of one."
            }
        }
    }
}

pub(crate) async fn one(State(console): State<Console>, visit: Visit) -> Response {
    let Some(desk) = desk(&console) else { return without() };
    let asked = visit.asked.entry_kind().and_then(|kind| Ok((kind, after(&visit.asked)?)));
    let (kind, after) = match asked {
        Ok((kind, after)) => (kind.unwrap_or(EntryKind::Contract), after),
        Err(error) => return wrong(error),
    };
    let name = visit.asked.get("name").unwrap_or_default().to_owned();
    let wanted = SubjectsAsked { kind, begins: name.clone(), after: None, limit: 1 };
    // Of all that begin with a name the one of this name is the first.
    let found = match desk.subjects(&wanted).await {
        Ok(found) => found.rows.into_iter().find(|row| row.name == name),
        Err(error) => return answer::unavailable(&error),
    };
    let Some(subject) = found else {
        return answer::fault(StatusCode::NOT_FOUND, "nothing was entered about it");
    };
    let wanted = EntriesAsked { kind: Some(kind), name: Some(name), after, limit: HISTORY };
    let history = match desk.entries(&wanted).await {
        Ok(history) => history,
        Err(error) => return answer::unavailable(&error),
    };
    let title = html! { (kind.as_str()) " " code { (subject.name) } };
    let content = content(&visit.asked, &subject, &history);
    frame::page(&console, &visit, Part::Parties, &title, &content).await
}

fn after(asked: &Asked) -> Result<i64, AskedError> {
    match asked.get("after") {
        None => Ok(0),
        Some(text) => {
            text.parse().map_err(|_| AskedError("after: must be what `next` said".to_owned()))
        }
    }
}

fn content(asked: &Asked, subject: &SubjectRow, history: &EntryPage) -> Markup {
    let next = history.next.map(|next| next.to_string());
    html! {
        p {
            a href={ (PATH) "?kind=" (subject.kind) } { "All of this kind" }
            @if subject.kind == "contract" {
                ", " a href={ "/console/transactions?" (Asked::default().with(&[("contract", &subject.name)])) } { "its transactions" }
            }
        }
        h2 { "In force, and to come" }
        (terms(subject))
        h2 { "History" }
        (entries(history))
        (show::paging(asked, ONE, "after", next.as_deref(), None))
        (how_to_change())
    }
}

/// Each key of what is in force and of what is to come, side by side.
fn terms(subject: &SubjectRow) -> Markup {
    let coming = subject.coming.iter().take(COMING_MAX);
    let columns: Vec<Option<&EntryRow>> =
        std::iter::once(subject.in_force.as_ref()).chain(coming.map(Some)).collect();
    let flat: Vec<BTreeMap<String, String>> = columns.iter().map(|entry| keys_of(*entry)).collect();
    let mut all: Vec<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    all.sort_unstable();
    all.dedup();
    let head = |entry: &Option<&EntryRow>, place: usize| match (entry, place) {
        (Some(_), 0) => "In force".to_owned(),
        (None, 0) => "In force: nothing".to_owned(),
        (Some(entry), _) => format!("From {}", entry.valid_from),
        (None, _) => String::new(),
    };
    let heads: Vec<String> =
        columns.iter().enumerate().map(|(place, entry)| head(entry, place)).collect();
    let titles: Vec<(&str, bool)> = std::iter::once("Key")
        .chain(heads.iter().map(String::as_str))
        .map(|one| (one, false))
        .collect();
    let rows = html! {
        @for key in all {
            tr {
                td data-label="Key" { code { (key) } }
                @for (place, column) in flat.iter().enumerate() {
                    @let value = column.get(key);
                    @let before = place.checked_sub(1).and_then(|place| flat.get(place)).and_then(|keys| keys.get(key));
                    td data-label=[heads.get(place)] {
                        @match value {
                            Some(value) if place > 0 && before != Some(value) => b { (value) },
                            Some(value) => (value),
                            None => "as by default",
                        }
                    }
                }
            }
        }
    };
    html! {
        (show::table("Keys as in the config", &titles, &rows))
        @if subject.coming.len() > COMING_MAX { p.note { "More is to come later; the history has all of it." } }
        p.note { "Keys are those of the config (config.toml of the documentation). Secrets are masked: " code { "stored:1" } " is the first." }
    }
}

/// The keys of a section in one level: `settlement.terms 1.currency`.
fn keys_of(entry: Option<&EntryRow>) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    match entry.map(|entry| &entry.keys) {
        None => {}
        Some(Some(keys)) => flatten("", keys, &mut flat),
        Some(None) => drop(flat.insert("entry".to_owned(), "does not parse".to_owned())),
    }
    flat
}

fn flatten(path: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, flat);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (number, value) in (1_u32..).zip(list) {
                flatten(&format!("{path} {number}"), value, flat);
            }
        }
        Value::Array(list) => {
            let texts: Vec<String> = list.iter().map(text).collect();
            flat.insert(path.to_owned(), texts.join(", "));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            flat.insert(path.to_owned(), text(value));
        }
    }
}

fn entries(history: &EntryPage) -> Markup {
    let titles = [
        ("Entry", true),
        ("Entered, UTC", false),
        ("By", false),
        ("Why", false),
        ("Counts from, UTC", false),
        ("Changed", false),
    ];
    let rows = html! {
        @for row in &history.rows {
            tr {
                td.num data-label="Entry" { (row.entry) }
                td.nowrap data-label="Entered, UTC" { (show::time(&row.at)) }
                td data-label="By" { (row.by) }
                td data-label="Why" { (row.reason) }
                td.nowrap data-label="Counts from, UTC" { (show::time(&row.valid_from)) }
                td data-label="Changed" { (row.changed.as_deref().unwrap_or_default().join(", ")) }
            }
        }
    };
    show::table("History", &titles, &rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_shown_in_one_level() {
        let keys = json!({
            "id": "A", "enabled": false, "channels": ["testchannel", "livechannel"],
            "settlement": {"client_number": 7, "terms": [{"currency": "USD"}, {"currency": "EUR"}]},
        });
        let mut flat = BTreeMap::new();
        flatten("", &keys, &mut flat);
        let shown: Vec<String> = flat.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            shown,
            [
                "channels=testchannel, livechannel",
                "enabled=false",
                "id=A",
                "settlement.client_number=7",
                "settlement.terms 1.currency=USD",
                "settlement.terms 2.currency=EUR",
            ]
        );
    }

    #[test]
    fn names_are_safe_in_addresses() {
        assert_eq!(
            one_of("contract", "a&b=c é"),
            "/console/directory/one?kind=contract&name=a%26b%3Dc+%C3%A9"
        );
    }
}
