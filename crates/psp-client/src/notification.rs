//! Notifications: the adapter's `POST` to the PSP when a payment reached a final state.
//!
//! Read, verify, store, answer any 2xx with `OK`; then ask GETTXSTATUS, for a notification holds no
//! state. One may come twice, and a payment that fails and is paid late is told twice: ask each
//! time. Source: `docs/psp-guide.md`, "Notifications".
//!
//! ```
//! use gopay_psp_client::notification::{Forged, UnverifiedNotification};
//! let body = b"txid=123887123&finaltimestamp=2025-06-21T08%3A34%3A20Z\
//!     &sha256hash=bd06f63211d4f3b15c65c032d65d8301d187f265eb761c0189df0e0ebdb4df04";
//! let read = UnverifiedNotification::read(body)?;
//! // During a change of the secret give both.
//! let notification = read.clone().verify(&["newsecret", "examplenotificationsecret"])?;
//! assert_eq!(notification.tx_id.to_string(), "123887123");
//! assert_eq!(read.verify(&["othersecret"]), Err(Forged));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::hash::is_nested;
use crate::ids::TxId;
use crate::pairs::{AnswerError, Pairs};

/// The body is not a notification of the adapter's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a notification: {0}")]
pub struct Malformed(&'static str);

/// The hash fits none of the secrets: whoever sent this does not have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hash of the notification is wrong")]
pub struct Forged;

/// A notification that anybody may have sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedNotification {
    tx_id: TxId,
    final_at: String,
    hash: String,
}

impl UnverifiedNotification {
    /// Reads the body of a `POST`.
    ///
    /// # Errors
    /// [`Malformed`] if a field is missing, occurs twice, or is no id.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let pairs = Pairs::read(body).map_err(|error| match error {
            AnswerError::Repeated(_) => Malformed("a field occurs twice"),
            AnswerError::NotPairs | AnswerError::Missing(_) | AnswerError::Unexpected { .. } => {
                Malformed("no form body in UTF-8")
            }
        })?;
        let tx_id = pairs.get("txid").and_then(|text| text.parse().ok());
        let field = |name| pairs.get(name).map(std::borrow::Cow::into_owned);
        Ok(Self {
            tx_id: tx_id.ok_or(Malformed("no txid"))?,
            final_at: field("finaltimestamp").ok_or(Malformed("no finaltimestamp"))?,
            hash: field("sha256hash").ok_or(Malformed("no sha256hash"))?,
        })
    }

    /// Which payment it claims to be about.
    #[must_use]
    pub const fn claimed_tx_id(&self) -> TxId {
        self.tx_id
    }

    /// When it claims that the final state was reached.
    #[must_use]
    pub fn claimed_final_at(&self) -> &str {
        &self.final_at
    }

    /// The notification, if one of the secrets signed it. Takes the same time wherever the hash
    /// differs.
    ///
    /// # Errors
    /// [`Forged`].
    pub fn verify(self, notification_secrets: &[&str]) -> Result<Notification, Forged> {
        let Self { tx_id, final_at, hash } = self;
        let text = tx_id.to_string();
        let signed =
            notification_secrets.iter().any(|secret| is_nested(&hash, &text, &final_at, secret));
        if signed { Ok(Notification { tx_id, final_at }) } else { Err(Forged) }
    }
}

/// A notification of the adapter's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The payment.
    pub tx_id: TxId,
    /// When the final state was reached: `YYYY-MM-DDThh:mm:ssZ`.
    pub final_at: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_notification_is_not_read() {
        for body in [
            "",
            "txid=1",
            "txid=1&finaltimestamp=a",
            "txid=0&finaltimestamp=a&sha256hash=b",
            "txid=1&txid=1&finaltimestamp=a&sha256hash=b",
            "txid=1&finaltimestamp=%FF&sha256hash=b",
        ] {
            assert!(UnverifiedNotification::read(body.as_bytes()).is_err(), "{body}");
        }
        // Fields that may come one day do no harm.
        assert!(UnverifiedNotification::read(b"a=1&txid=1&finaltimestamp=a&sha256hash=b").is_ok());
    }

    #[test]
    fn every_field_is_signed() {
        let hash = "bd06f63211d4f3b15c65c032d65d8301d187f265eb761c0189df0e0ebdb4df04";
        for (tx_id, final_at, hash, good) in [
            ("123887123", "2025-06-21T08:34:20Z", hash, true),
            ("123887124", "2025-06-21T08:34:20Z", hash, false),
            ("123887123", "2025-06-21T08:34:21Z", hash, false),
            ("123887123", "2025-06-21T08:34:20Z", "", false),
        ] {
            let body = format!("txid={tx_id}&finaltimestamp={final_at}&sha256hash={hash}");
            let read = UnverifiedNotification::read(body.as_bytes()).unwrap();
            assert_eq!(read.claimed_tx_id().to_string(), tx_id);
            assert_eq!(read.claimed_final_at(), final_at);
            assert_eq!(read.clone().verify(&["examplenotificationsecret"]).is_ok(), good, "{body}");
            assert_eq!(read.verify(&[]), Err(Forged));
        }
    }
}
