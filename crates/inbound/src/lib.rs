//! How connections come in: the twin of `gopay-outbound`. It knows HTTP and nothing of what is
//! served.
//!
//! Reading order: [`bind`], [`Listener`], [`serve`], [`Bounds`], [`Peer`], [`TlsFiles`], [`Tls`],
//! [`Proxies`], [`on_signals`], [`finish`].

mod accept;
mod connection;
mod connections;
mod drain;
mod peer;
mod proxy;
mod stream;
mod tls;

pub use crate::accept::{BindError, Bounds, Listener, bind, serve};
pub use crate::connection::Patience;
pub use crate::drain::{Ending, Stop, finish, on_signals, stopped};
pub use crate::peer::{Peer, RequestBody};
pub use crate::proxy::{Proxies, Says, announced};
pub use crate::tls::{
    ClientCertificate, ClientFiles, LoadedTls, Tls, TlsError, TlsFile, TlsFiles, TlsVersion,
};
