//! Our number of a payment, as Midtrans gives it back.

use crate::ids::TxId;

/// The payment that an answer or notification is about, by its `order_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderId {
    /// The `order_id` is a number that we could have issued.
    Ours(TxId),
    /// The `order_id` has another form: somebody else charges under the same server key.
    NotOurs,
}

impl OrderId {
    /// Reads the wire's `order_id`; every text has a value.
    ///
    /// ```
    /// use gopay_core::midtrans::OrderId;
    /// assert_eq!(OrderId::from_wire("71").tx_id().map(|id| id.get()), Some(71));
    /// assert_eq!(OrderId::from_wire("order-71"), OrderId::NotOurs);
    /// ```
    #[must_use]
    pub fn from_wire(text: &str) -> Self {
        text.parse().map_or(Self::NotOurs, Self::Ours)
    }

    /// Our number, if it is one.
    #[must_use]
    pub const fn tx_id(self) -> Option<TxId> {
        match self {
            Self::Ours(tx_id) => Some(tx_id),
            Self::NotOurs => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_could_have_issued_is_ours() {
        for (text, ours) in [
            ("1", Some(1)),
            ("123887123", Some(123_887_123)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("0", None),
            ("01", None),
            ("-1", None),
            ("71.0", None),
            ("order-101h-1570513296", None),
        ] {
            assert_eq!(OrderId::from_wire(text).tx_id().map(TxId::get), ours, "{text:?}");
        }
    }
}
