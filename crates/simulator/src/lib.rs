//! A GoPay and Midtrans stand-in with scripted faults and a movable clock.
//!
//! It answers Midtrans' Core API for one-time GoPay payments as `docs/midtrans.md` describes it,
//! quirks included; shows the shopper a wallet page, and whoever tries it pages of its own; sends
//! notifications; and does on command what the real service does at the worst moment.
//!
//! It knows nothing of the adapter and speaks only the wire formats. It has no cards, no
//! tokenization, and no limits on how often it is called. What it holds is bounded
//! ([`Limits`]), and in memory; with a folder it survives a restart ([`SimulatorState::open`]).
//!
//! The [`Engine`] is a pure state machine: the time is an argument, ids come from a seed, and equal
//! calls give equal results, so that a simulation can drive it in one process without sockets.
//! [`router`] and [`run_notifications`] put HTTP around it. `docs/simulator.md` lists settings,
//! faults and the control API ([`control`]).
//!
//! Reading order: [`api`], [`config`], `lenient` and `validation` (how a body is read), `charge`
//! (what a charge must look like), `transaction`, `transactions`, [`engine`], `endpoints`,
//! `wallet`, `pages`, `faults`, `variant`, `outbox`, `sent`, [`control`], [`clock`], `server`,
//! `state_file`.

pub mod api;
mod changes;
mod charge;
pub mod clock;
pub mod config;
pub mod control;
mod endpoints;
pub mod engine;
mod faults;
mod idempotency;
mod lenient;
mod outbox;
mod pages;
mod qr;
mod random;
mod sent;
mod server;
mod state_file;
#[cfg(test)]
mod tests;
mod transaction;
mod transactions;
mod validation;
mod variant;
mod wallet;
mod wire;

pub use api::{ApiReply, ApiRequest, Delivery};
pub use clock::{MovableClock, OffsetClock, SharedClock};
pub use config::{
    EngineConfig, Latency, Limits, MerchantKey, NotificationDelays, RepeatedRefundKey,
    SimulatorConfig, Tier, WalletConfig,
};
pub use engine::{Engine, NotificationQueue, NotificationRequest, SentView};
pub use faults::{Action, Armed, Fault, On, Shape, When};
pub use outbox::{NotificationOutcome, OutgoingNotification};
pub use server::{Flushed, SimulatorState, router, run_notifications};
pub use state_file::StateError;
pub use transaction::{
    Dropped, NotificationCounts, PaymentOption, QrisKind, RefundSource, RefundView, Status, Totals,
    TransactionView,
};
pub use wallet::{Chargeback, DashboardRefund, Payer, Via, WalletError};
