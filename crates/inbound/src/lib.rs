//! How connections come in: the twin of `gopay-outbound`. It knows HTTP and nothing of what is
//! served.
//!
//! Reading order: [`bind`], [`serve`], [`Bounds`], [`Peer`], [`on_signals`], [`finish`].

mod accept;
mod connection;
mod connections;
mod drain;
mod peer;

pub use crate::accept::{BindError, Bounds, bind, serve};
pub use crate::connection::Patience;
pub use crate::drain::{Ending, Stop, finish, on_signals, stopped};
pub use crate::peer::{Peer, RequestBody};
