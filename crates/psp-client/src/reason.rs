//! Words of answers.

use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$each])* $variant,)+
            /// A word that this client does not know.
            Other(String),
        }

        impl $name {
            /// The word on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $word,)+ Self::Other(word) => word }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word { $($word => Self::$variant,)+ _ => Self::Other(word.to_owned()) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// `FAILREASON`: why a payment or a refund failed (`docs/psp-guide.md`, "Reasons").
    FailReason {
        /// The call breaks a rule, or its credentials are wrong.
        InputData = "INPUT_DATA",
        /// The shopper gave up.
        UserAbort = "USER_ABORT",
        /// The session is over without payment.
        Timeout = "TIMEOUT",
        /// The adapter failed or is overloaded.
        LocalError = "LOCAL_ERROR",
        /// Midtrans or GoPay failed, or left the outcome open.
        RemoteError = "REMOTE_ERROR",
        /// The adapter declined.
        LocalDecline = "LOCAL_DECLINE",
        /// GoPay declined.
        RemoteDecline = "REMOTE_DECLINE",
        /// By CANCELTX.
        Canceled = "CANCELED",
        /// No reason that the adapter knows.
        Unknown = "UNKNOWN",
    }
}

words! {
    /// `REQUESTFAILREASON`: why a call that asks for a state failed as a call.
    RequestFailReason {
        /// Wrong or missing credentials, or the contract is disabled.
        AuthError = "AUTH_ERROR",
        /// The adapter failed or is overloaded, or the outcome is still open: ask again.
        SystemError = "SYSTEM_ERROR",
        /// The contract has no such payment.
        TxNotFound = "TX_NOT_FOUND",
        /// Several payments have this `merchanttxid`.
        TxNotUnique = "TX_NOT_UNIQUE",
        /// The contract has no such refund.
        RefundNotFound = "REFUND_NOT_FOUND",
        /// Several refunds have this `merchantrefundid`.
        RefundNotUnique = "REFUND_NOT_UNIQUE",
        /// Anything else.
        Unknown = "UNKNOWN",
    }
}

words! {
    /// `FUNDSSTATUS`: what is known of the movement of the money.
    FundsStatus {
        /// Until the payment fails.
        Waiting = "WAITING",
        /// The payment failed.
        NotExpected = "NOT_EXPECTED",
    }
}
