//! A payment: what is known of it and how it is born (`record`), the one function that moves it
//! ([`Payment::on`], in `event`), and when it is asked about (`polls`).
//!
//! Source of the life cycle: `docs/psp-guide.md`, "Life of a payment", and `docs/midtrans.md`,
//! "Status values".

mod event;
mod polls;
mod record;

pub use self::event::{Closure, Effect, Event, Transition};
pub use self::polls::{GIVE_UP_AFTER, LATE_WATCH};
pub use self::record::{
    BrokenRecord, Channel, ChargeState, FailReason, Failure, FirstFailure, NewPayment, Nonce,
    PaidAtSource, Payment, PaymentRecord, PaymentState,
};

#[cfg(test)]
pub(crate) mod tests;
