//! Which addresses may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use url::{Host, Url};

use crate::{Refusal, TransportReason};

/// Which addresses may be called. It is asked about the address of the connection itself, never
/// about a name, so a name that changes its address between check and use gains nothing.
#[derive(Clone, Debug)]
pub struct AddressPolicy(Rule);

#[derive(Clone, Debug)]
enum Rule {
    Any,
    Public {
        allow_private: Vec<IpNet>,
        ports: Vec<u16>,
    },
    /// Those that are allowed in spite of the protection of private addresses.
    Private {
        allow: Vec<IpNet>,
    },
}

impl AddressPolicy {
    /// Every address: for peers that the operator names in the config.
    #[must_use]
    pub const fn any() -> Self {
        Self(Rule::Any)
    }

    /// Addresses of the public internet, and those of `allow_private`: for peers that others
    /// name. Everything that the special-purpose registries (RFC 6890) do not call globally
    /// reachable is refused.
    #[must_use]
    pub const fn public(allow_private: Vec<IpNet>) -> Self {
        Self(Rule::Public { allow_private, ports: Vec::new() })
    }

    /// These ports of public addresses too, besides 80 and 443: behind others are services that are
    /// no receivers, such as mail servers. In `allow_private` any port may be called.
    #[must_use]
    pub fn with_ports(mut self, more: Vec<u16>) -> Self {
        if let Rule::Public { ports, .. } = &mut self.0 {
            *ports = more;
        }
        self
    }

    /// Why every request to a URL would be refused, as far as its text tells.
    #[must_use]
    pub fn refuses(&self, url: &Url) -> Option<Refusal> {
        let address = match literal(url) {
            None if is_localhost(url) => Some(Ipv4Addr::LOCALHOST.into()),
            literal => literal,
        };
        if address.is_some_and(|address| !self.permits(address)) {
            return Some(Refusal::Address);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let elsewhere = || match (self.for_other_ports(), address) {
            (Some(policy), Some(address)) => policy.permits(address),
            (others, None) => others.is_some(),
            (None, Some(_)) => false,
        };
        (!self.permits_port(port) && !elsewhere()).then_some(Refusal::Port)
    }

    /// Whether the host is an address that is allowed in spite of the protection of private ones.
    #[must_use]
    pub fn is_near(&self, url: &Url) -> bool {
        let near = |policy: Self| literal(url).is_some_and(|address| policy.permits(address));
        self.for_other_ports().is_some_and(near)
    }

    /// A URL, and which of two ways leads there: that for ports that may be called at every address, or
    /// that for other ports, if there is one. Names are checked when they are looked up, by the resolver
    /// of the way; addresses are not looked up, so they are checked here, in the form to which the parser
    /// reduced them (`2130706433` is `127.0.0.1`).
    ///
    /// # Errors
    /// The URL is none that may be called.
    pub(crate) fn checked<'w, W>(
        &self,
        text: &str,
        (usual, other_ports): (&'w W, Option<&'w W>),
    ) -> Result<(Url, &'w W), TransportReason> {
        let url = Url::parse(text).map_err(TransportReason::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TransportReason::Scheme);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        match (literal(&url), self.refuses(&url)) {
            (Some(address), Some(Refusal::Address)) => {
                Err(TransportReason::AddressBlocked(address))
            }
            (_, Some(Refusal::Port)) => Err(TransportReason::PortBlocked(port)),
            // A name is refused when it is looked up.
            _ if self.permits_port(port) => Ok((url, usual)),
            _ => match other_ports {
                Some(way) => Ok((url, way)),
                None => Err(TransportReason::PortBlocked(port)),
            },
        }
    }

    /// Whether a port may be called at every address that may be.
    fn permits_port(&self, port: u16) -> bool {
        match &self.0 {
            Rule::Any => true,
            Rule::Private { .. } => true,
            Rule::Public { ports, .. } => matches!(port, 80 | 443) || ports.contains(&port),
        }
    }

    /// What remains for other ports; none if there is nothing.
    pub(crate) fn for_other_ports(&self) -> Option<Self> {
        match &self.0 {
            Rule::Public { allow_private, .. } if !allow_private.is_empty() => {
                Some(Self(Rule::Private { allow: allow_private.clone() }))
            }
            Rule::Any | Rule::Public { .. } | Rule::Private { .. } => None,
        }
    }

    /// Whether `address` may be called.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        match &self.0 {
            Rule::Any => true,
            Rule::Public { allow_private, .. } => {
                is_public(address) || allow_private.iter().any(|net| net.contains(&address))
            }
            Rule::Private { allow } => allow.iter().any(|net| net.contains(&address)),
        }
    }

    /// Those of the addresses of a name that may be called.
    ///
    /// # Errors
    /// [`TransportReason::HostBlocked`] if there is none.
    pub(crate) fn only_permitted(
        &self,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, TransportReason> {
        let permitted: Vec<_> = addresses.filter(|address| self.permits(address.ip())).collect();
        if permitted.is_empty() { Err(TransportReason::HostBlocked) } else { Ok(permitted) }
    }
}

/// Whether the host is the name that always stands for this machine (RFC 6761, section 6.3).
fn is_localhost(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost" || host.ends_with(".localhost")
}

/// The address that the host is, if it is no name.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix)
}

/// IANA IPv4 special-purpose address registry, without the globally reachable entries, and
/// multicast.
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 8),       // this network
    v4(10, 0, 0, 8),      // private
    v4(100, 64, 0, 10),   // shared with a carrier's customers
    v4(127, 0, 0, 8),     // loopback
    v4(169, 254, 0, 16),  // link-local, and the metadata services of clouds
    v4(172, 16, 0, 12),   // private
    v4(192, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 24),    // documentation
    v4(192, 88, 99, 24),  // 6to4 relays, deprecated
    v4(192, 168, 0, 16),  // private
    v4(198, 18, 0, 15),   // benchmarking
    v4(198, 51, 100, 24), // documentation
    v4(203, 0, 113, 24),  // documentation
    v4(224, 0, 0, 4),     // multicast
    v4(240, 0, 0, 4),     // reserved, and broadcast
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|net| net.contains(&address))
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// The only range from which public addresses are given out. Loopback, unspecified, mapped,
/// unique local, link-local and multicast addresses are all outside.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// What is special inside [`GLOBAL_V6`].
const SPECIAL_V6: [Ipv6Net; 3] = [
    v6(0x2001, 0, 0, 23),      // protocol assignments, Teredo
    v6(0x2001, 0x0db8, 0, 32), // documentation
    v6(0x3fff, 0, 0, 20),      // documentation
];

/// Addresses that lead to the IPv4 address in their bits 16 to 47.
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);

/// Addresses that lead to the IPv4 address in their last 32 bits, through the network's NAT64.
const NAT64: Ipv6Net = v6(0x0064, 0xff9b, 0, 96);

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [_, _, a, b, c, d, _, _, _, _, _, _, w, x, y, z] = address.octets();
    if NAT64.contains(&address) {
        return is_public_v4(Ipv4Addr::new(w, x, y, z));
    }
    if SIX_TO_FOUR.contains(&address) {
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First and last address of each refused range, and its public neighbours.
    #[test]
    fn only_the_public_internet_is_public() {
        for (address, public) in [
            ("0.0.0.0", false),
            ("0.255.255.255", false),
            ("1.0.0.0", true),
            ("9.255.255.255", true),
            ("10.0.0.0", false),
            ("10.255.255.255", false),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.64.0.0", false),
            ("100.127.255.255", false),
            ("100.128.0.0", true),
            ("126.255.255.255", true),
            ("127.0.0.1", false),
            ("127.255.255.255", false),
            ("128.0.0.0", true),
            ("169.253.255.255", true),
            ("169.254.169.254", false),
            ("169.255.0.0", true),
            ("172.15.255.255", true),
            ("172.16.0.0", false),
            ("172.31.255.255", false),
            ("172.32.0.0", true),
            ("192.0.0.1", false),
            ("192.0.1.0", true),
            ("192.0.2.1", false),
            ("192.0.3.0", true),
            ("192.88.99.1", false),
            ("192.167.255.255", true),
            ("192.168.0.0", false),
            ("192.168.255.255", false),
            ("192.169.0.0", true),
            ("198.17.255.255", true),
            ("198.18.0.0", false),
            ("198.19.255.255", false),
            ("198.20.0.0", true),
            ("198.51.100.7", false),
            ("203.0.113.7", false),
            ("203.0.114.0", true),
            ("223.255.255.255", true),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::8.8.8.8", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", false),
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::127.0.0.1", false),
            ("64:ff9b:1::8.8.8.8", false),
            ("100::1", false),
            ("1fff:ffff::1", false),
            ("2001::1", false),
            ("2001:1ff:ffff::1", false),
            ("2001:200::1", true),
            ("2001:db8::1", false),
            ("2001:4860:4860::8888", true),
            ("2002:a00:1::1", false),
            ("2002:7f00:1::1", false),
            ("2002:808:808::1", true),
            ("2606:4700:4700::1111", true),
            ("3fff::1", false),
            ("3fff:fff:ffff::1", false),
            ("3fff:1000::1", true),
            ("4000::1", false),
            ("5f00::1", false),
            ("fc00::1", false),
            ("fd12:3456::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            let policy = AddressPolicy::public(Vec::new());
            assert_eq!(policy.permits(address.parse().unwrap()), public, "{address}");
            assert!(AddressPolicy::any().permits(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn named_private_networks_are_let_through_and_no_others() {
        let policy = AddressPolicy::public(vec![
            "10.1.0.0/16".parse().unwrap(),
            "fd00:1::/32".parse().unwrap(),
        ]);
        for (address, permitted) in [
            ("10.1.2.3", true),
            ("10.2.0.0", false),
            ("::ffff:10.1.2.3", false),
            ("fd00:1::5", true),
            ("fd00:2::5", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(policy.permits(address.parse().unwrap()), permitted, "{address}");
        }
    }

    #[test]
    fn a_name_with_public_and_private_addresses_leads_to_the_public_ones() {
        let policy = AddressPolicy::public(Vec::new());
        let all = ["127.0.0.1:443", "8.8.8.8:443", "[::1]:443", "[2606:4700::1]:443"];
        let resolve = |texts: &[&str]| {
            let addresses: Vec<SocketAddr> =
                texts.iter().map(|text| text.parse().unwrap()).collect();
            policy.only_permitted(addresses.into_iter())
        };
        let public: Vec<SocketAddr> =
            vec!["8.8.8.8:443".parse().unwrap(), "[2606:4700::1]:443".parse().unwrap()];
        assert_eq!(resolve(&all), Ok(public));
        assert_eq!(resolve(&all[..1]), Err(TransportReason::HostBlocked));
        assert_eq!(resolve(&[]), Err(TransportReason::HostBlocked));
    }
}
