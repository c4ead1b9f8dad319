//! Midtrans' status codes: HTTP status and body carry one each, and which of the two counts.

use std::fmt;
use std::str::FromStr;

/// A three-digit status code of Midtrans (`docs/midtrans.md`, "Status codes").
///
/// It speaks of the API action; `transaction_status` speaks of the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

/// The text or number is not a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a status code of three digits")]
pub struct StatusCodeError;

impl StatusCode {
    /// Checks and takes a number.
    ///
    /// # Errors
    /// [`StatusCodeError`] outside `100..=999`.
    pub const fn new(code: u16) -> Result<Self, StatusCodeError> {
        match code {
            100..=999 => Ok(Self(code)),
            _ => Err(StatusCodeError),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl FromStr for StatusCode {
    type Err = StatusCodeError;

    fn from_str(text: &str) -> Result<Self, StatusCodeError> {
        // `u16::from_str` alone would take `+201` and `0201`.
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map_err(|_| StatusCodeError).and_then(Self::new)
        } else {
            Err(StatusCodeError)
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

/// The code that an answer speaks, or `None` if nothing may be concluded from it.
///
/// The HTTP status is often 200 while the body carries the error; sometimes both carry it, not
/// always with the same number (provider error 1703: HTTP 400, body 402). So the body's code
/// counts, unless the two contradict each other in kind. A fault of a server in either place
/// means that the action may or may not have happened. Source: `docs/midtrans.md`, "Where the
/// code is carried".
pub(super) fn spoken(http_status: u16, body_code: Option<StatusCode>) -> Option<StatusCode> {
    match (http_status, body_code.map(StatusCode::get)) {
        (500.., _) | (_, Some(500..)) => None,
        // A gateway answers 404 for a path that it does not know. Only a body with the code says
        // that Midtrans has no such transaction.
        (404, None) => None,
        (200..=499, None) => StatusCode::new(http_status).ok(),
        (200..=299, Some(_)) | (400..=499, Some(400..)) => body_code,
        _ => None,
    }
}

/// Whether the HTTP status means something even without a readable body: still running (202), wrong
/// credentials (401), too many calls (429), fault of a server (500 and above).
pub(super) const fn speaks_alone(http_status: u16) -> bool {
    matches!(http_status, 202 | 401 | 429 | 500..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_three_digits() {
        for (text, expected) in [
            ("200", Ok(200)),
            ("999", Ok(999)),
            ("100", Ok(100)),
            ("099", Err(StatusCodeError)),
            ("+20", Err(StatusCodeError)),
            ("0201", Err(StatusCodeError)),
            ("20", Err(StatusCodeError)),
            ("", Err(StatusCodeError)),
            ("2O1", Err(StatusCodeError)),
        ] {
            assert_eq!(text.parse::<StatusCode>().map(StatusCode::get), expected, "{text:?}");
        }
        assert_eq!(StatusCode::new(1000), Err(StatusCodeError));
    }

    #[test]
    fn the_body_speaks_unless_the_two_places_contradict() {
        for (http, body, expected) in [
            (200, Some("201"), Some(201)),
            (201, Some("201"), Some(201)),
            (201, None, Some(201)),
            (200, Some("407"), Some(407)),
            (407, Some("407"), Some(407)),
            (200, Some("404"), Some(404)),
            (404, Some("404"), Some(404)),
            (404, None, None),
            (400, Some("402"), Some(402)),
            (400, None, Some(400)),
            (401, None, Some(401)),
            (400, Some("201"), None),
            (404, Some("200"), None),
            (200, Some("500"), None),
            (500, Some("400"), None),
            (503, None, None),
            (302, Some("201"), None),
            (100, None, None),
        ] {
            let body = body.map(|code| code.parse().unwrap());
            assert_eq!(spoken(http, body).map(StatusCode::get), expected, "{http} {body:?}");
        }
    }
}
