//! How far an address of the config reaches: this machine, a closed network, or the world.

use std::net::IpAddr;

use url::{Host, Url};

/// Who can reach a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// This machine only.
    Machine,
    /// A private network.
    Network,
    /// The internet.
    Public,
}

/// The reach of a URL's host. Names count as public unless they are of the kinds that only a
/// closed network resolves: without a dot, or under a reserved ending (RFC 6761, RFC 6762, and
/// ICANN's `internal`).
pub(super) fn of_url(url: &Url) -> Reach {
    match url.host() {
        Some(Host::Ipv4(address)) => of_address(address.into()),
        Some(Host::Ipv6(address)) => of_address(address.into()),
        Some(Host::Domain(name)) => of_name(name),
        None => Reach::Public,
    }
}

fn of_name(name: &str) -> Reach {
    let name = name.trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or(name);
    match last {
        "localhost" => Reach::Machine,
        "internal" | "local" | "test" => Reach::Network,
        _ if last == name => Reach::Network,
        _ => Reach::Public,
    }
}

pub(super) fn of_address(address: IpAddr) -> Reach {
    if address.is_loopback() {
        return Reach::Machine;
    }
    let private = match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    };
    if private { Reach::Network } else { Reach::Public }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_reach_as_far_as_their_kind() {
        for (url, reach) in [
            ("http://127.0.0.1:8080", Reach::Machine),
            ("http://[::1]", Reach::Machine),
            ("http://localhost", Reach::Machine),
            ("http://10.1.2.3", Reach::Network),
            ("http://[fd00::1]", Reach::Network),
            ("http://adapter:8080", Reach::Network),
            ("http://pay.internal", Reach::Network),
            ("http://8.8.8.8", Reach::Public),
            ("http://0.0.0.0", Reach::Public),
            ("http://pay.example", Reach::Public),
        ] {
            assert_eq!(of_url(&Url::parse(url).unwrap()), reach, "{url}");
        }
    }
}
