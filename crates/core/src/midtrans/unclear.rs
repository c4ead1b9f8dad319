//! Answers that decide nothing, in words for people.

use serde::Deserialize;

use super::lenient::{bounded, strings};
use super::refusal::{Refusal, masked};
use super::wire::Wire;
use crate::text::Escaped;

/// An answer that decides nothing, in words: its codes and texts, with whatever may be personal masked.
#[must_use]
pub fn answer_in_words(http_status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let Some(wire) = Wire::read_object(text.trim_start_matches('\u{feff}').as_bytes()) else {
        return format!("HTTP {http_status} without JSON");
    };
    let mut words = format!("HTTP {http_status}");
    if let Some(code) = wire.code() {
        words.push_str(&format!(", code {code}"));
    }
    if let Some(status) = wire.status() {
        words.push_str(&format!(", status {}", Escaped(status.as_str())));
    }
    let line = |text: &str| masked(&bounded(text, Refusal::TEXT_CHARS_MAX));
    let message = wire.status_message.filled().map(line).or_else(|| gateway_message(&text));
    let validation = strings(wire.validation_messages).take(Refusal::VALIDATION_LINES_MAX);
    let said = message.into_iter().chain(validation.map(|text| line(&text)));
    for text in said.chain(wire.provider_message().map(|text| masked(&text))) {
        words.push_str("; ");
        words.push_str(&text);
    }
    words
}

/// The text of a gateway in front of Midtrans, which has a form of its own.
fn gateway_message(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Gateway {
        message: String,
    }
    let gateway: Gateway = serde_json::from_str(body).ok()?;
    Some(masked(&bounded(&gateway.message, Refusal::TEXT_CHARS_MAX)))
}
