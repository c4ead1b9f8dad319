//! Refusals of Midtrans and GoPay, and their causes.

use super::code::StatusCode;
use crate::text::{Escaped, is_unprintable};

/// A clear no: what was asked for does not exist and will not come into being by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Midtrans' code.
    pub status_code: StatusCode,
    /// `status_message`, at most [`Refusal::TEXT_CHARS_MAX`] characters on one line, for the log
    /// and the event trail. May be empty. Never match on it.
    pub message: String,
    /// `channel_response_code`, the code of GoPay itself, if it was asked.
    pub provider_code: Option<String>,
    /// `channel_response_message`, bounded as `message`.
    pub provider_message: Option<String>,
    /// `validation_messages`, each bounded as `message`, at most
    /// [`Refusal::VALIDATION_LINES_MAX`].
    pub validation: Vec<String>,
    /// What to do about it.
    pub cause: RefusalCause,
}

impl Refusal {
    /// Enough for every message in Midtrans' documentation, and short enough for a log line.
    pub const TEXT_CHARS_MAX: usize = 200;

    /// More broken rules than these help nobody to find the first.
    pub const VALIDATION_LINES_MAX: usize = 10;
}

impl Refusal {
    /// The refusal in words, for the trail: codes, cause and what Midtrans said, with whatever may be
    /// personal masked. `personal` are texts of the call that Midtrans may repeat.
    #[must_use]
    pub fn described(&self, personal: &[String]) -> String {
        let mut text = self.coded();
        let said =
            [&self.message].into_iter().chain(&self.validation).chain(&self.provider_message);
        for line in said.filter(|line| !line.is_empty()) {
            text.push_str("; ");
            text.push_str(&masked(&without(line, personal)));
        }
        text
    }

    /// Its codes and cause, which hold nothing personal: for the log.
    #[must_use]
    pub fn coded(&self) -> String {
        let provider = self.provider_code.as_deref().unwrap_or("none");
        format!(
            "refused {}, provider code {}, {}",
            self.status_code,
            Escaped(provider),
            self.cause.as_str()
        )
    }
}

/// `line` without the words of these texts, whatever their case.
fn without(line: &str, personal: &[String]) -> String {
    /// Shorter words say nothing about anybody, and stand in every message.
    const WORD_CHARS_MIN: usize = 3;
    let bare = |word: &str| word.trim_matches(|char: char| !char.is_alphanumeric()).to_lowercase();
    let known: Vec<String> = personal
        .iter()
        .flat_map(|text| text.split_whitespace())
        .map(bare)
        .filter(|word| word.chars().count() >= WORD_CHARS_MIN)
        .collect();
    let words = line.split_inclusive(' ').map(|word| {
        let text = bare(word);
        if known.iter().any(|known| text.contains(known.as_str())) {
            let blank = if word.ends_with(' ') { " " } else { "" };
            format!("(masked){blank}")
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

/// `line` without what may be personal: texts in quotes, words with an `@` or its encoded form, and
/// numbers of four digits and more. Control characters and marks of direction are blanks.
pub(super) fn masked(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut quote = None;
    for word in line.split_inclusive(' ') {
        let bare = word.trim_end();
        let opens = bare.chars().next().filter(|first| matches!(first, '"' | '\'' | '`'));
        let within = quote.is_some() || opens.is_some();
        quote = quote.or(opens).filter(|mark| !closes(bare, *mark, opens.is_some()));
        let digits = bare.chars().filter(char::is_ascii_digit).count();
        if within || bare.contains('@') || bare.contains("%40") || digits >= 4 {
            out.push_str("(masked)");
        } else {
            out.extend(bare.chars().map(|char| if is_unprintable(char) { ' ' } else { char }));
        }
        out.push_str(word.get(bare.len()..).unwrap_or_default());
    }
    out
}

/// Whether a word ends a quotation that began with `mark`, in this word or before.
fn closes(word: &str, mark: char, in_this_word: bool) -> bool {
    let rest = if in_this_word { word.get(1..).unwrap_or_default() } else { word };
    rest.contains(mark)
}

/// Who can do something about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalCause {
    /// The request breaks a rule of Midtrans; sent again it is refused again.
    InputData,
    /// GoPay or the fraud check will not take this payment, or the state does not allow it.
    Declined,
    /// Keys, permissions or merchant set-up: the operator must act.
    Misconfigured,
    /// Nothing was done, and it may work later.
    Temporary,
    /// A clear no without a clear reason.
    Unknown,
}

impl RefusalCause {
    /// A stable word for logs and the event trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InputData => "input_data",
            Self::Declined => "declined",
            Self::Misconfigured => "misconfigured",
            Self::Temporary => "temporary",
            Self::Unknown => "unknown",
        }
    }

    /// The cause of a refusal, of 410 by its message as well.
    pub(super) fn of_answer(
        status_code: StatusCode,
        provider_code: Option<&str>,
        message: &str,
    ) -> Self {
        let cause = Self::of(status_code, provider_code);
        let gone = cause == Self::Unknown && status_code.get() == 410;
        let of_merchant = || message.to_ascii_lowercase().contains("merchant");
        if gone && of_merchant() { Self::Misconfigured } else { cause }
    }

    /// GoPay's own code counts first: Midtrans' code does not tell a blocked user from a wrong
    /// set-up. Source: `docs/midtrans.md`, "GoPay `channel_response_code`".
    fn of(status_code: StatusCode, provider_code: Option<&str>) -> Self {
        match provider_code {
            Some("303" | "2903" | "102" | "110" | "142" | "1703") => Self::Misconfigured,
            Some("900") => Self::Temporary,
            Some("101" | "112" | "201" | "4060") => Self::Declined,
            Some("310" | "2701" | "153" | "5009" | "902") => Self::InputData,
            _ => Self::of_status(status_code),
        }
    }

    /// 410 by itself stays unknown: one page of the documentation says that the user is blocked,
    /// another that the merchant is deactivated. Its message may say which ([`Self::of_answer`]).
    const fn of_status(status_code: StatusCode) -> Self {
        match status_code.get() {
            400 | 408 | 413 => Self::InputData,
            202 | 404 | 412 | 414 => Self::Declined,
            401 | 402 | 405 => Self::Misconfigured,
            429 => Self::Temporary,
            _ => Self::Unknown,
        }
    }
}

/// GoPay's codes for "a transaction with that number exists" and "... is being made".
pub(super) fn is_duplicate(provider_code: Option<&str>) -> bool {
    matches!(provider_code, Some("2901" | "132"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_midtrans_said_is_kept_without_what_may_be_personal() {
        for (line, expected) in [
            (
                "customer_details.email format is invalid",
                "customer_details.email format is invalid",
            ),
            ("email siti@toko is invalid", "email (masked) is invalid"),
            ("phone +62 812-3456-7890 too long", "phone +62 (masked) too long"),
            ("name \"Siti Rahma\" too long", "name (masked) (masked) too long"),
            ("name 'Siti' too long", "name (masked) too long"),
            ("order 384406681783631872 exists", "order (masked) exists"),
            ("at most 255 characters", "at most 255 characters"),
            ("a\u{202e}b\u{1b}[2Jc", "a b [2Jc"),
            ("an \"open quote", "an (masked) (masked)"),
            ("", ""),
        ] {
            assert_eq!(masked(line), expected, "{line:?}");
        }
    }

    #[test]
    fn every_documented_refusal_has_its_cause() {
        use RefusalCause as C;
        for (code, provider, expected) in [
            (400, None, C::InputData),
            (408, None, C::InputData),
            (413, None, C::InputData),
            (413, Some("902"), C::InputData),
            (400, Some("310"), C::InputData),
            (400, Some("2701"), C::InputData),
            (400, Some("153"), C::InputData),
            (400, Some("5009"), C::InputData),
            (400, Some("1703"), C::Misconfigured),
            (402, Some("1703"), C::Misconfigured),
            (401, None, C::Misconfigured),
            (402, None, C::Misconfigured),
            (402, Some("303"), C::Misconfigured),
            (402, Some("2903"), C::Misconfigured),
            (402, Some("110"), C::Misconfigured),
            (402, Some("112"), C::Declined),
            (410, Some("112"), C::Declined),
            (410, None, C::Unknown),
            (404, Some("101"), C::Declined),
            (404, None, C::Declined),
            (202, Some("201"), C::Declined),
            (202, Some("4060"), C::Declined),
            (202, None, C::Declined),
            (202, Some("900"), C::Temporary),
            (202, Some("77777"), C::Declined),
            (412, None, C::Declined),
            (414, None, C::Declined),
            (429, None, C::Temporary),
            (499, None, C::Unknown),
        ] {
            let code = StatusCode::new(code).unwrap();
            assert_eq!(RefusalCause::of(code, provider), expected, "{code} {provider:?}");
        }
    }
}
