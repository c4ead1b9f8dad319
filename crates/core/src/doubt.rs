//! Money at Midtrans that does not fit its payment: what is unclear, and what a person decided.
//!
//! Nobody may guess here. As long as a doubt is open, the PSP is not told that there was no money.
//!
//! Source: `docs/RELIABILITY.md`, "What needs a person".

use serde::{Deserialize, Serialize};

use crate::money::{Rupiah, Sen};
use crate::time::Timestamp;
use crate::words::words;

words!(
    /// What is unclear about money, or about an answer that would tell of it.
    Unclear {
        /// Another order, or none is named.
        OrderId = "order_id",
        /// Another transaction than the one that is known, since an order id can own several; or
        /// none is named.
        TransactionId = "transaction_id",
        /// Another currency.
        Currency = "currency",
        /// Another amount, or one that cannot be read.
        Amount = "amount",
        /// Settled or refunded with another code than 200, or with a word of the fraud check.
        NotAccepted = "not_accepted",
        /// A status that only cards have.
        CardStatus = "card_status",
        /// A status that this program does not know.
        UnknownStatus = "unknown_status",
        /// A rightly signed notification tells of money, or an answer seems to, and GET status neither
        /// says so clearly nor denies it.
        Unconfirmed = "unconfirmed",
    }
);

words!(
    /// What a person decides about money that does not fit.
    Verdict {
        /// It is the payment's money: the PSP is told SUCCEEDED.
        Paid = "paid",
        /// It is not: the PSP is told FAILED. The money stays where it is.
        Failed = "failed",
        /// All of it goes back to the shopper at Midtrans; then the PSP is told FAILED.
        Refund = "refund",
    }
);

words!(
    /// How far a doubt is.
    Standing {
        /// A person must decide.
        Open = "open",
        /// The money is to go back; Midtrans has not confirmed it yet.
        Returning = "returning",
        /// It went back: whatever Midtrans says of it later, it is not the payment's.
        Returned = "returned",
        /// A person has decided otherwise.
        Resolved = "resolved",
    }
);

/// What GET status says of money, and what would have fitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is unclear; of several the first in the order of [`Unclear`].
    pub what: Unclear,
    /// What would have fitted.
    pub expected: String,
    /// What Midtrans says instead.
    pub found: String,
    /// Midtrans' `transaction_status`.
    pub status: String,
    /// Midtrans' `transaction_id`.
    pub midtrans_tx_id: Option<String>,
    /// Midtrans' `gross_amount`, if it can be read.
    pub gross: Option<Sen>,
    /// Whether `gross` is rupiah of the payment's own transaction, which Midtrans could give back.
    pub in_rupiah: bool,
}

impl Finding {
    /// Whether it tells nothing new: the status may have gone on to a refund meanwhile.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Self { what, expected, found, status: _, midtrans_tx_id, gross, in_rupiah: _ } = self;
        (what, expected, found) == (&other.what, &other.expected, &other.found)
            && (midtrans_tx_id, gross) == (&other.midtrans_tx_id, &other.gross)
    }

    /// How much Midtrans could give back; none if it is not clear how much came.
    #[must_use]
    pub fn returnable(&self) -> Option<Rupiah> {
        if !self.in_rupiah {
            return None;
        }
        self.gross.and_then(|gross| Rupiah::from_sen(gross).ok())
    }
}

/// Money that does not fit a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// What does not fit.
    pub finding: Finding,
    /// Since when.
    pub since: Timestamp,
    /// How much there is: what Midtrans says, or the payment's amount if that cannot be read.
    pub at_risk: Sen,
    /// How far it is.
    pub standing: Standing,
}

impl Doubt {
    /// A doubt that a person must decide about, of a payment of this amount.
    #[must_use]
    pub fn new(finding: Finding, since: Timestamp, amount: Option<Rupiah>) -> Self {
        let charged = amount.map_or(Sen::ZERO, Rupiah::sen);
        let at_risk = finding.gross.unwrap_or(charged);
        Self { finding, since, at_risk, standing: Standing::Open }
    }

    /// Whether a person decided that it goes back.
    #[must_use]
    pub const fn goes_back(&self) -> bool {
        matches!(self.standing, Standing::Returning | Standing::Returned)
    }

    /// Whether something is still to be decided or done.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Open | Standing::Returning)
    }
}
