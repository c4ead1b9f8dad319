//! `[listen]`

use std::net::SocketAddr;
use std::path::PathBuf;

use gopay_inbound::{ClientFiles, Proxies, Says, TlsFiles, TlsVersion};
use ipnet::IpNet;

use super::host::{self, Reach};
use super::section::Section;

/// Where to listen; equal addresses share a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) psp: SocketAddr,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) psp_tls: Option<TlsFiles>,
    pub(crate) public_tls: Option<TlsFiles>,
    pub(crate) admin_tls: Option<TlsFiles>,
    /// In front of `psp` and `public`.
    pub(crate) proxy: Option<Proxies>,
}

impl Listen {
    /// Without TLS and proxies.
    pub(crate) const fn plain(psp: SocketAddr, public: SocketAddr, admin: SocketAddr) -> Self {
        let (psp_tls, public_tls, admin_tls, proxy) = (None, None, None, None);
        Self { psp, public, admin, psp_tls, public_tls, admin_tls, proxy }
    }

    /// Whether PSPs are asked for certificates; if so, whether who has none is refused.
    pub(crate) fn asks_for_certificates(&self) -> Option<bool> {
        self.psp_tls.as_ref()?.clients.as_ref().map(|clients| clients.required)
    }

    /// Whether somebody on the way can read what is said to `psp` beyond this machine.
    fn psp_is_plain(&self) -> bool {
        self.psp_tls.is_none()
            && self.proxy.is_none()
            && host::of_address(self.psp.ip()) != Reach::Machine
    }
}

pub(super) fn read_listen(listen: &mut Section<'_>, to: &mut Listen) {
    for (key, address) in
        [("psp", &mut to.psp), ("public", &mut to.public), ("admin", &mut to.admin)]
    {
        listen.parsed(key, "an address such as 127.0.0.1:8080", address);
    }
    to.psp_tls = listen.present("psp_tls", |tls| read_tls(tls, true));
    to.public_tls = listen.present("public_tls", |tls| read_tls(tls, false));
    to.admin_tls = listen.present("admin_tls", |tls| read_tls(tls, false));
    to.proxy = listen.present("proxy", read_proxy);
    check_shared(listen, to);
    check_overlap(listen, to);
    if to.psp_is_plain() {
        let risk = "beyond this machine without TLS: passwords can be read on the way";
        listen.warn("psp", risk, "[listen.psp_tls], or 127.0.0.1 and a proxy that speaks TLS");
    }
}

/// One listener has one certificate.
fn check_shared(listen: &mut Section<'_>, to: &Listen) {
    const WANTED: &str = "the same TLS for both, or an address of its own";
    let pairs = [
        ("public_tls", (to.public, &to.public_tls), "psp", (to.psp, &to.psp_tls)),
        ("admin_tls", (to.admin, &to.admin_tls), "psp", (to.psp, &to.psp_tls)),
        ("admin_tls", (to.admin, &to.admin_tls), "public", (to.public, &to.public_tls)),
    ];
    for (key, (own, own_tls), name, (other, other_tls)) in pairs {
        if own == other && own_tls != other_tls && !listen.reported(key) {
            let wrong = format!("not the TLS of {name}, whose address it has");
            listen.problem(key, &wrong, WANTED);
        }
    }
}

/// All addresses of a machine include each of them: such a pair cannot be bound.
fn check_overlap(listen: &mut Section<'_>, to: &Listen) {
    const WANTED: &str = "the same address, or another port";
    let pairs = [
        ("public", to.public, "psp", to.psp),
        ("admin", to.admin, "psp", to.psp),
        ("admin", to.admin, "public", to.public),
    ];
    for (key, own, name, other) in pairs {
        let all = |one: SocketAddr| one.ip().is_unspecified();
        let overlap = own != other && own.port() == other.port() && (all(own) || all(other));
        if overlap && own.port() != 0 && !listen.reported(key) {
            let wrong = format!("{own} and {name}'s {other} take the same port from each other");
            listen.problem(key, &wrong, WANTED);
        }
    }
}

/// `[listen.psp_tls]` and the like. What is in the files is read by `prepare`.
fn read_tls(tls: &mut Section<'_>, may_ask: bool) -> Option<TlsFiles> {
    let certificates = tls.required("certificates");
    let key = tls.required("key");
    if let Some(path) = &key
        && (tls.outside.open_to_all)(path)
    {
        let risk = format!("every user of this machine may read {path}");
        tls.warn("key", &risk, "mode 0600, owned by who runs the adapter");
    }
    let oldest = match tls.text("min_version").as_deref() {
        None | Some("1.2") => TlsVersion::V12,
        Some("1.3") => TlsVersion::V13,
        Some(_) => {
            tls.problem("min_version", "not a version that is spoken", "1.2 or 1.3");
            TlsVersion::V12
        }
    };
    let clients = if may_ask { read_clients(tls) } else { None };
    Some(TlsFiles { certificates: certificates?.into(), key: key?.into(), oldest, clients })
}

fn read_clients(tls: &mut Section<'_>) -> Option<ClientFiles> {
    let authorities = tls.text("client_ca").map(PathBuf::from);
    let revoked = tls.text("client_crl").map(PathBuf::from);
    let mode = tls.text("client_certificates");
    let required = match mode.as_deref() {
        None | Some("required") => true,
        Some("requested") => false,
        Some(_) => {
            let wanted = "required, or requested while PSPs get theirs";
            tls.problem("client_certificates", "not a way to ask", wanted);
            true
        }
    };
    if authorities.is_none() && (revoked.is_some() || mode.is_some()) {
        tls.problem("client_ca", "missing", "a file with who signs the clients' certificates");
    }
    Some(ClientFiles { authorities: authorities?, revoked, required })
}

/// `[listen.proxy]`
fn read_proxy(proxy: &mut Section<'_>) -> Option<Proxies> {
    const FROM: &str = "the proxies' networks, such as [\"10.0.0.0/24\"]";
    const SAYS: &str = "proxy-protocol, or a header such as x-forwarded-for";
    let texts = proxy.texts("from").unwrap_or_default();
    let nets: Result<Vec<IpNet>, _> = texts.iter().map(|net| parse_net(net)).collect();
    let from = match nets {
        Ok(nets) if !nets.is_empty() => Some(nets),
        _ => {
            if !proxy.reported("from") {
                proxy.problem("from", "names no networks", FROM);
            }
            None
        }
    };
    for net in from.iter().flatten().filter(|net| net.prefix_len() == 0) {
        let wrong = format!("{net} is everybody: who calls could say where from");
        proxy.problem("from", &wrong, FROM);
    }
    let says = match proxy.required("source")?.as_str() {
        "proxy-protocol" => Says::ProxyProtocol,
        name => match name.parse() {
            Ok(name) => Says::Header(name),
            Err(_) => {
                proxy.problem("source", "not the name of a header", SAYS);
                return None;
            }
        },
    };
    Some(Proxies { from: from?, says })
}

/// A network, or a single address.
fn parse_net(text: &str) -> Result<IpNet, ipnet::AddrParseError> {
    match text.parse::<std::net::IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => text.parse(),
    }
}
