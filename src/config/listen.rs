//! `[listen]`

use std::net::SocketAddr;

use super::section::Section;

/// Where to listen; equal addresses share a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) psp: SocketAddr,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

pub(super) fn read_listen(listen: &mut Section<'_>, to: &mut Listen) {
    for (key, address) in
        [("psp", &mut to.psp), ("public", &mut to.public), ("admin", &mut to.admin)]
    {
        listen.parsed(key, "an address such as 127.0.0.1:8080", address);
    }
}
