//! `[listen]`

use std::net::SocketAddr;

use super::host::{self, Reach};
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
    check_admin(listen, to);
}

/// Nothing on the admin listener asks who is calling.
fn check_admin(listen: &mut Section<'_>, Listen { psp, public, admin }: &Listen) {
    let shared = [("public", public), ("psp", psp)].into_iter().find(|(_, other)| *other == admin);
    let machine = host::of_address(admin.ip()) == Reach::Machine;
    match shared {
        Some((other, _)) if !machine => {
            let wrong = format!("the address of {other}: callers would read the sums");
            listen.problem("admin", &wrong, "an address that only operators reach");
        }
        Some((other, _)) => {
            let risk = format!(
                "the address of {other}: a proxy that forwards every path shows metrics and sums \
                 to callers"
            );
            listen.warn("admin", &risk, "an address of its own");
        }
        None if !machine => listen.warn(
            "admin",
            "not on the loopback address, and it asks for no login",
            "127.0.0.1, or a network that only operators reach",
        ),
        None => {}
    }
}
