//! A transaction's story as a timeline: the same that `explain` tells.

use gopay_service::{Happened, Story};
use maud::{Markup, html};
use serde_json::Value;

use crate::show;

/// What a kind of the trail is called, and the colour of its mark.
fn named(kind: &str) -> (&str, &'static str) {
    match kind {
        "accepted" => ("The call was accepted", ""),
        "refused" => ("The call was refused", "to-bad"),
        "charge_sent" => ("Charge sent to Midtrans", "to-out"),
        "asked" => ("Midtrans was asked", "to-out"),
        "close_sent" => ("Midtrans was told to close it", "to-out"),
        "notification" => ("Notification of Midtrans", "to-out"),
        "state" => ("State", ""),
        "resolved" => ("A person has decided", "to-person"),
        "return_sent" => ("Money sent back", "to-out"),
        "refund_sent" => ("Refund sent to Midtrans", "to-out"),
        "refund" => ("Refund", ""),
        "delivery_attempt" => ("Notification to the PSP", "to-out"),
        "operator" => ("An operator", "to-person"),
        other => (other, ""),
    }
}

/// The colour of what a line led to, if it led to something.
fn coloured(happened: &Happened, usual: &'static str) -> &'static str {
    let text = |name: &str| happened.detail.get(name).and_then(Value::as_str);
    match (text("to"), happened.detail.get("delivered").and_then(Value::as_bool)) {
        (Some("succeeded"), _) | (_, Some(true)) => "to-good",
        (Some("failed"), _) | (_, Some(false)) => "to-bad",
        _ => usual,
    }
}

/// A value on one line.
fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Each pair of a detail that its line does not say; amounts as people read them.
fn details(detail: &Value, said: &[&str]) -> Markup {
    let empty = serde_json::Map::new();
    let members = detail.as_object().unwrap_or(&empty).iter();
    let members: Vec<(&String, &Value)> =
        members.filter(|(name, _)| !said.contains(&name.as_str())).collect();
    html! {
        @if !members.is_empty() {
            dl {
                @for (name, member) in &members {
                    div {
                        @match (name.strip_suffix("_sen"), member.as_u64()) {
                            (Some(name), Some(sen)) => { dt { (name.replace('_', " ")) } dd { (show::rupiah(sen)) } },
                            _ => { dt { (name.replace('_', " ")) } dd { (value(member)) } },
                        }
                    }
                }
            }
        }
    }
}

fn line(happened: &Happened) -> Markup {
    let (name, usual) = named(&happened.kind);
    let text = |name: &str| happened.detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let said: &[&str] = match happened.kind.as_str() {
        "state" => &["from", "to"],
        "operator" => &["what", "by"],
        "refused" => &["field", "wanted", "code", "source", "more"],
        _ => &[],
    };
    html! {
        li.(coloured(happened, usual)) {
            (show::time(&happened.at))
            span.what {
                (name)
                @match happened.kind.as_str() {
                    "state" => { ": " (text("from")) " to " (text("to")) },
                    "operator" => { ": " (text("what")) ", by " (text("by")) },
                    _ => {},
                }
            }
            (details(&happened.detail, said))
            @if happened.kind == "refused" { (faults(&happened.detail)) }
        }
    }
}

/// What was wrong with a call: the fault that its answer names, and all others.
fn faults(detail: &Value) -> Markup {
    let text = |fault: &Value, name: &str| {
        fault.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let more = detail.get("more").and_then(Value::as_array).map(Vec::as_slice);
    html! {
        ul {
            @for fault in std::iter::once(detail).chain(more.unwrap_or_default()) {
                li {
                    code { (text(fault, "field")) } ": " (text(fault, "wanted"))
                    " " span.note { (text(fault, "code")) ", " (text(fault, "source")) }
                }
            }
        }
    }
}

/// The timeline, oldest first.
pub(crate) fn timeline(story: &Story) -> Markup {
    html! {
        ol.line { @for happened in &story.trail { (line(happened)) } }
    }
}

/// The call as it is kept, and the charge that was made of it.
pub(crate) fn messages(story: &Story) -> Markup {
    html! {
        details {
            summary { "The call" }
            @if let Some(erased) = &story.erased {
                p.note { "Personal data was erased on " (erased.at) " by " (erased.by) ": " (erased.reason) }
            }
            @if let Some(archived) = &story.archived {
                p.note {
                    "What is not here of the call and the trail is in archive " (archived.name)
                    "; the command explain reads it."
                }
            }
            p.note { "Personal values are shown by their length; transient input and password are not kept." }
            @for (name, value) in &story.request { div.pair { b { (name) } " " code { (value) } } }
        }
        @if let Some(charge) = &story.charge {
            details {
                summary { "The charge sent to Midtrans" }
                p.note { "Rebuilt from what is kept." }
                pre { (serde_json::to_string_pretty(charge).unwrap_or_default()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_in_the_trail_is_text_and_amounts_are_readable() {
        let happened = Happened {
            at: "2026-01-31T08:00:00Z".to_owned(),
            kind: "operator".to_owned(),
            detail: json!({"what": "refund", "by": "<b>Sri</b>", "amount_sen": 12_500_000, "x": null}),
        };
        let shown = line(&happened).into_string();
        assert!(shown.contains("by &lt;b&gt;Sri&lt;/b&gt;") && !shown.contains("<b>"), "{shown}");
        assert!(shown.contains("<dt>amount</dt><dd>Rp\u{a0}125.000</dd>"), "{shown}");
        assert!(shown.contains("<dt>x</dt><dd>none</dd>"), "{shown}");
    }

    #[test]
    fn a_refused_call_names_every_fault() {
        let detail = json!({"code": "must_be", "field": "countrycode", "wanted": "ID", "source": "psp-guide: TRANSACTION",
            "more": [{"code": "amount_form", "field": "amount", "wanted": "digits only", "source": "psp-guide: Amounts"}]});
        let happened = Happened { at: String::new(), kind: "refused".to_owned(), detail };
        let shown = line(&happened).into_string();
        for part in [
            "<code>countrycode</code>: ID",
            "<code>amount</code>: digits only",
            "psp-guide: Amounts",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert_eq!(shown.matches("must_be").count(), 1, "{shown}");
    }

    #[test]
    fn marks_show_how_things_ended() {
        for (kind, detail, class) in [
            ("state", json!({"to": "succeeded"}), "to-good"),
            ("state", json!({"to": "failed"}), "to-bad"),
            ("delivery_attempt", json!({"delivered": true}), "to-good"),
            ("delivery_attempt", json!({"delivered": false}), "to-bad"),
            ("asked", json!({"answer": "pending"}), "to-out"),
            ("something_new", json!({}), ""),
        ] {
            let happened = Happened { at: String::new(), kind: kind.to_owned(), detail };
            assert_eq!(coloured(&happened, named(kind).1), class, "{kind}");
        }
    }
}
