//! The Midtrans Core API wire format (`docs/midtrans.md`): answers, notifications, signatures.
//!
//! What comes in is read once, here, into values that need no further checks. Unknown fields are
//! ignored, absent ones tolerated unless money depends on them, and numbers are accepted where
//! strings are usual, since Midtrans announces changes of that kind at any time. Each reply type
//! answers one question: did it happen, did it certainly not happen, or must we ask?
//!
//! Not here: the body of a charge request, which needs to know both wire formats, and any
//! sending or receiving.
//!
//! Reading order: [`code`] and [`refusal`] (what Midtrans' codes mean), [`words`], [`charge`],
//! [`status`], [`refund`], then [`signature`] and [`notification`]. Below them are `lenient` (single
//! fields) and `wire` (all fields that we read).

mod actions;
pub mod charge;
pub mod code;
mod lenient;
pub mod notification;
mod order_id;
pub mod refund;
pub mod refusal;
pub mod signature;
pub mod status;
mod tx_id;
mod unclear;
mod wire;
pub mod words;

pub use charge::{ChargeReply, Created};
pub use code::StatusCode;
pub use notification::{Notification, NotificationError, SignatureError, UnverifiedNotification};
pub use order_id::OrderId;
pub use refund::{RefundAccepted, RefundReply, refund_body};
pub use refusal::{Refusal, RefusalCause};
pub use status::{CloseReply, Gross, RefundView, StatusReply, StatusView};
pub use tx_id::{MidtransTxId, MidtransTxIdError};
pub use unclear::answer_in_words;
pub use words::{FraudStatus, TransactionStatus};

/// An answer of Midtrans that cannot be read. What it answers may or may not have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Not a JSON object, or one that names a field twice.
    #[error("the answer is not a JSON object")]
    NotJson,
    /// A field that this answer must have is absent.
    #[error("the answer lacks `{0}`")]
    Missing(&'static str),
    /// A field that matters cannot be read.
    #[error("the answer has an unreadable `{0}`")]
    Malformed(&'static str),
}
