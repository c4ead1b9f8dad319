//! Midtrans' words for the state of a payment and for what its fraud check says.

use super::lenient::word;

/// Midtrans' `transaction_status` (`docs/midtrans.md`, "Status values and state machine").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// Waits for the shopper.
    Pending,
    /// Paid.
    Settlement,
    /// Cards only.
    Capture,
    /// Cards and pre-authorisation only.
    Authorize,
    /// Refused by the provider or the fraud check; final.
    Deny,
    /// Cancelled by us; final.
    Cancel,
    /// Not paid in time; final.
    Expire,
    /// An unexpected error of Midtrans; final.
    Failure,
    /// Given back wholly; final.
    Refund,
    /// Given back in part.
    PartialRefund,
    /// Taken back wholly.
    Chargeback,
    /// Taken back in part.
    PartialChargeback,
    /// A word that Midtrans did not have when this was written; at most 64 characters of it.
    Unknown(String),
}

impl TransactionStatus {
    /// Reads the wire word, whatever its case; every word has a value.
    #[must_use]
    pub fn from_wire(text: &str) -> Self {
        let known = Self::known(text).or_else(|| Self::known(&plain(text)));
        known.unwrap_or_else(|| Self::Unknown(word(text)))
    }

    fn known(text: &str) -> Option<Self> {
        Some(match text {
            "pending" => Self::Pending,
            "settlement" => Self::Settlement,
            "capture" => Self::Capture,
            "authorize" => Self::Authorize,
            "deny" => Self::Deny,
            "cancel" => Self::Cancel,
            "expire" => Self::Expire,
            "failure" => Self::Failure,
            "refund" => Self::Refund,
            "partial_refund" => Self::PartialRefund,
            "chargeback" => Self::Chargeback,
            "partial_chargeback" => Self::PartialChargeback,
            _ => return None,
        })
    }

    /// Whether there is money under it, was, or nobody can tell: all but the words that say clearly
    /// that there is none.
    #[must_use]
    pub const fn may_be_money(&self) -> bool {
        match self {
            Self::Pending | Self::Deny | Self::Cancel | Self::Expire | Self::Failure => false,
            Self::Settlement
            | Self::Capture
            | Self::Authorize
            | Self::Refund
            | Self::PartialRefund
            | Self::Chargeback
            | Self::PartialChargeback
            | Self::Unknown(_) => true,
        }
    }

    /// The wire word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Settlement => "settlement",
            Self::Capture => "capture",
            Self::Authorize => "authorize",
            Self::Deny => "deny",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
            Self::Failure => "failure",
            Self::Refund => "refund",
            Self::PartialRefund => "partial_refund",
            Self::Chargeback => "chargeback",
            Self::PartialChargeback => "partial_chargeback",
            Self::Unknown(text) => text,
        }
    }
}

/// A word without blanks around it and in lower case: how it is spelt must not decide about money.
fn plain(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// Midtrans' `fraud_status`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FraudStatus {
    /// Nothing suspicious.
    Accept,
    /// Taken for fraud.
    Deny,
    /// A person must review it; cards only.
    Challenge,
    /// A word that Midtrans did not have when this was written; at most 64 characters of it.
    Unknown(String),
}

impl FraudStatus {
    /// Reads the wire word, whatever its case; every word has a value.
    #[must_use]
    pub fn from_wire(text: &str) -> Self {
        let known = Self::known(text).or_else(|| Self::known(&plain(text)));
        known.unwrap_or_else(|| Self::Unknown(word(text)))
    }

    fn known(text: &str) -> Option<Self> {
        Some(match text {
            "accept" => Self::Accept,
            "deny" => Self::Deny,
            "challenge" => Self::Challenge,
            _ => return None,
        })
    }

    /// The wire word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Accept => "accept",
            Self::Deny => "deny",
            Self::Challenge => "challenge",
            Self::Unknown(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_and_written_alike() {
        for text in [
            "pending",
            "settlement",
            "capture",
            "authorize",
            "deny",
            "cancel",
            "expire",
            "failure",
            "refund",
            "partial_refund",
            "chargeback",
            "partial_chargeback",
        ] {
            let status = TransactionStatus::from_wire(text);
            assert!(!matches!(status, TransactionStatus::Unknown(_)), "{text}");
            assert_eq!(status.as_str(), text);
        }
        for text in ["accept", "deny", "challenge"] {
            let fraud = FraudStatus::from_wire(text);
            assert!(!matches!(fraud, FraudStatus::Unknown(_)), "{text}");
            assert_eq!(fraud.as_str(), text);
        }
        for text in ["Pending", "PENDING", " pending "] {
            assert_eq!(TransactionStatus::from_wire(text), TransactionStatus::Pending, "{text}");
        }
        assert_eq!(FraudStatus::from_wire("Accept"), FraudStatus::Accept);
        assert_eq!(TransactionStatus::from_wire("Brand_New").as_str(), "Brand_New");
        assert_eq!(FraudStatus::from_wire("new"), FraudStatus::Unknown("new".into()));
        assert_eq!(TransactionStatus::from_wire(&"x".repeat(99)).as_str().len(), 64);
    }
}
