//! Proxies in front of a listener: which addresses they have, and how they say where a connection
//! or a request really comes from. What anybody else says about that is not listened to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::HeaderMap;
use hyper::header::HeaderName;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Proxies that stand in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies {
    /// Their addresses.
    pub from: Vec<IpNet>,
    /// How they say where something comes from.
    pub says: Says,
}

/// How a proxy says where something comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// By the PROXY protocol, version 1 or 2, before anything else on each connection.
    ProxyProtocol,
    /// By a header of each request, to which it adds the address at the right.
    Header(HeaderName),
}

/// The signature of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1.
const LINE_BYTES_MAX: usize = 107;

/// The longest rest of version 2: addresses, and what clouds add, which are a few hundred bytes.
const REST_BYTES_MAX: usize = 4 * 1024;

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Proxies {
    /// Whether a connection from this address comes from one of them.
    #[must_use]
    pub fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.from.iter().any(|net| net.contains(&address))
    }

    /// Where a request comes from that one of them forwards: the rightmost address that is not
    /// one of their own. `None` if they say nothing that can be read.
    #[must_use]
    pub fn source(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let Says::Header(name) = &self.says else { return None };
        let mut last = None;
        // What stands further left was said by somebody before the proxy.
        for value in headers.get_all(name).iter().rev() {
            for part in value.as_bytes().rsplit(|byte| *byte == b',') {
                let address = plain_address(std::str::from_utf8(part).ok()?.trim())?;
                last = Some(address);
                if !self.include(address) {
                    return last;
                }
            }
        }
        last
    }
}

/// An address as proxies write it: with brackets or a port, or without.
fn plain_address(text: &str) -> Option<IpAddr> {
    let address = match text.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => match text.parse::<std::net::SocketAddr>() {
            Ok(address) => address.ip(),
            Err(_) => text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

/// Reads the header of the PROXY protocol, and not a byte more. `None`: the proxy speaks for
/// itself, as in its health checks.
///
/// # Errors
/// If there is none, or it is broken.
pub async fn announced(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut begin = [0; SIGNATURE.len()];
    stream.read_exact(&mut begin).await?;
    if begin == SIGNATURE {
        return version_2(stream).await;
    }
    if !begin.starts_with(b"PROXY ") {
        return Err(broken("no header of the PROXY protocol"));
    }
    let mut line = begin.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE_BYTES_MAX {
            return Err(broken("the line of the PROXY protocol is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    version_1(&line)
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`.
fn version_1(line: &[u8]) -> io::Result<Option<IpAddr>> {
    let fault = || broken("the line of the PROXY protocol is broken");
    let line = std::str::from_utf8(line).map_err(|_| fault())?;
    let mut words = line.trim_end_matches("\r\n").split(' ').skip(1);
    let family = words.next().ok_or_else(fault)?;
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let source: IpAddr = words.next().and_then(|word| word.parse().ok()).ok_or_else(fault)?;
    let target: IpAddr = words.next().and_then(|word| word.parse().ok()).ok_or_else(fault)?;
    let ports: Vec<u16> = words.by_ref().map_while(|word| word.parse().ok()).collect();
    let fits = match family {
        "TCP4" => source.is_ipv4() && target.is_ipv4(),
        "TCP6" => source.is_ipv6() && target.is_ipv6(),
        _ => false,
    };
    if fits && ports.len() == 2 && words.next().is_none() {
        Ok(Some(source.to_canonical()))
    } else {
        Err(fault())
    }
}

async fn version_2(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    const LOCAL: u8 = 0x20;
    const PROXY: u8 = 0x21;
    const TCP_4: u8 = 0x11;
    const TCP_6: u8 = 0x21;
    let (command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    if length > REST_BYTES_MAX {
        return Err(broken("the header of the PROXY protocol is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (command, family) {
        (LOCAL, _) => Ok(None),
        (PROXY, TCP_4) => match rest.first_chunk::<12>() {
            Some([a, b, c, d, ..]) => Ok(Some(Ipv4Addr::new(*a, *b, *c, *d).into())),
            None => Err(broken("the header of the PROXY protocol is too short")),
        },
        (PROXY, TCP_6) => match (rest.first_chunk::<16>(), rest.len() >= 36) {
            (Some(source), true) => Ok(Some(IpAddr::from(Ipv6Addr::from(*source)).to_canonical())),
            _ => Err(broken("the header of the PROXY protocol is too short")),
        },
        // Neither TCP over IP, nor a command that is known: nobody can say where it comes from.
        _ => Err(broken("a header of the PROXY protocol that is not for TCP")),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    async fn read(bytes: &[u8]) -> Result<(Option<String>, usize), String> {
        let mut rest = bytes;
        let source = announced(&mut rest).await.map_err(|error| error.to_string())?;
        Ok((source.map(|source| source.to_string()), rest.len()))
    }

    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length[..], rest].concat()
    }

    #[tokio::test]
    async fn a_header_of_the_proxy_protocol_says_where_a_connection_comes_from() {
        let four = [198, 51, 100, 7, 192, 0, 2, 1, 220, 4, 1, 187];
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        six[15] = 9;
        let with_more = [&four[..], &[3, 0, 4, 1, 2, 3, 4]].concat();
        for (bytes, expected) in [
            (b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n".to_vec(), Some("198.51.100.7")),
            (b"PROXY TCP6 2001:db8::9 2001:db8::1 56324 443\r\n".to_vec(), Some("2001:db8::9")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (second(0x21, 0x11, &four), Some("198.51.100.7")),
            (second(0x21, 0x11, &with_more), Some("198.51.100.7")),
            (second(0x21, 0x21, &six), Some("2001:db8::9")),
            (second(0x20, 0x00, &[]), None),
        ] {
            let all = [&bytes[..], b"GET /"].concat();
            assert_eq!(read(&all).await, Ok((expected.map(str::to_owned), 5)), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_without_a_good_header_is_refused() {
        let long = format!("PROXY TCP4 {}\r\n", "1".repeat(200));
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            b"PROXY TCP4 198.51.100.7 192.0.2.1 56324\r\n",
            b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443 1\r\n",
            b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 66000\r\n",
            b"PROXY TCP4 2001:db8::9 192.0.2.1 56324 443\r\n",
            b"PROXY TCP4 here 192.0.2.1 56324 443\r\n",
            b"PROXY UDP4 198.51.100.7 192.0.2.1 56324 443\r\n",
            b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443",
            long.as_bytes(),
            &second(0x21, 0x11, &[1, 2, 3]),
            &second(0x21, 0x21, &[0; 20]),
            &second(0x21, 0x12, &[0; 12]),
            &second(0x11, 0x11, &[0; 12]),
            &second(0x21, 0x11, &[0; 5_000]),
        ] {
            assert!(read(bytes).await.is_err(), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn no_bytes_make_it_panic_or_read_on_for_ever() {
        let mut dice = gopay_testkit::Dice::new(7);
        let good = [
            b"PROXY TCP6 2001:db8::9 2001:db8::1 56324 443\r\n".to_vec(),
            second(0x21, 0x21, &[1; 40]),
        ];
        for round in 0..20_000 {
            let mut bytes = good[round % 2].clone();
            for _ in 0..=dice.below(4) {
                let at = dice.index(bytes.len());
                bytes[at] = u8::try_from(dice.below(256)).unwrap();
            }
            let _ = read(&bytes).await;
        }
    }

    #[test]
    fn of_a_header_the_rightmost_address_that_is_no_proxy_counts() {
        let name = HeaderName::from_static("x-forwarded-for");
        let from = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let proxies = Proxies { from, says: Says::Header(name.clone()) };
        assert!(proxies.include("10.1.2.3".parse().unwrap()));
        assert!(proxies.include("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!proxies.include("198.51.100.7".parse().unwrap()));
        for (values, expected) in [
            (&["198.51.100.7"][..], Some("198.51.100.7")),
            // Whatever the caller says itself stands further left.
            (&["192.0.2.66, 198.51.100.7"], Some("198.51.100.7")),
            (&["192.0.2.66", "198.51.100.7"], Some("198.51.100.7")),
            (&["nonsense, 198.51.100.7"], Some("198.51.100.7")),
            (&["\u{ff}, 198.51.100.7"], Some("198.51.100.7")),
            (&["198.51.100.7, \u{ff}"], None),
            (&["192.0.2.66, 198.51.100.7, 10.0.0.9"], Some("198.51.100.7")),
            (&["198.51.100.7:443"], Some("198.51.100.7")),
            (&["[2001:db8::9]:443"], Some("2001:db8::9")),
            (&["[2001:db8::9]"], Some("2001:db8::9")),
            (&["::ffff:198.51.100.7"], Some("198.51.100.7")),
            (&["10.0.0.9"], Some("10.0.0.9")),
            (&["198.51.100.7, nonsense"], None),
            (&["198.51.100.7,"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let source = proxies.source(&headers).map(|source| source.to_string());
            assert_eq!(source.as_deref(), expected, "{values:?}");
        }
    }
}
