//! `[delivery]`

use std::net::IpAddr;
use std::time::Duration;

use gopay_outbound::AddressPolicy;
use ipnet::IpNet;
use toml::Value;

use super::section::{Section, span};

/// Telling PSPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) schedule: Vec<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) concurrency_per_receiver: usize,
    pub(crate) allow_private: Vec<IpNet>,
    /// Ports of public addresses besides 80 and 443.
    pub(crate) allow_ports: Vec<u16>,
    /// Receivers of the live channel may be called by `http`.
    pub(crate) allow_http: bool,
}

impl Delivery {
    /// Which receivers may be called.
    pub(crate) fn policy(&self) -> AddressPolicy {
        AddressPolicy::public(self.allow_private.clone()).with_ports(self.allow_ports.clone())
    }
}

pub(super) fn read_delivery(delivery: &mut Section<'_>, to: &mut Delivery) {
    read_schedule(delivery, &mut to.schedule);
    let second = Duration::from_secs(1);
    let timeout = &mut to.timeout;
    delivery.span("timeout", second, Duration::from_secs(120), "1s to 2m", timeout);
    delivery.number("concurrency", 1, 10_000, &mut to.concurrency);
    let written =
        delivery.number("concurrency_per_receiver", 1, 1_000, &mut to.concurrency_per_receiver);
    delivery.within_total(
        ("concurrency_per_receiver", written, &mut to.concurrency_per_receiver),
        ("concurrency", to.concurrency),
    );
    read_allow_private(delivery, &mut to.allow_private);
    read_allow_ports(delivery, &mut to.allow_ports);
    delivery.flag("allow_http", &mut to.allow_http);
    if to.allow_http {
        let risk = "receivers of the live channel by http: notifications can be read and changed";
        delivery.warn("allow_http", risk, "false, and https receivers");
    }
}

fn read_allow_ports(delivery: &mut Section<'_>, to: &mut Vec<u16>) {
    const KEY: &str = "allow_ports";
    const WANTED: &str = "a list of ports, such as [8443]";
    let Some(list) = delivery.table.remove(KEY) else { return };
    let port = |entry: &Value| u16::try_from(entry.as_integer()?).ok().filter(|port| *port > 0);
    let ports: Option<Vec<u16>> = list.as_array().and_then(|list| list.iter().map(port).collect());
    match ports {
        Some(ports) => *to = ports,
        None => delivery.problem(KEY, "not ports", WANTED),
    }
}

fn read_schedule(delivery: &mut Section<'_>, to: &mut Vec<Duration>) {
    const KEY: &str = "schedule";
    const WANTED: &str =
        "a list such as [\"192 x 15m\"] or [\"10s\", \"1m\", \"12 x 1h\"], at most 1000 retries";
    let Some(steps) = delivery.texts(KEY) else { return };
    match steps.iter().map(|step| schedule_step(step)).collect::<Option<Vec<_>>>() {
        Some(parts) if parts.iter().map(Vec::len).sum::<usize>() <= 1_000 => *to = parts.concat(),
        _ => return delivery.problem(KEY, "not a schedule", WANTED),
    }
    check_schedule(delivery, to);
}

/// PPRO's schedule, 192 times 15 minutes, takes two days; payments are watched for three.
fn check_schedule(delivery: &mut Section<'_>, schedule: &[Duration]) {
    const KEY: &str = "schedule";
    const LONG: Duration = Duration::from_secs(4 * 86_400);
    let total = schedule.iter().fold(Duration::ZERO, |sum, wait| sum.saturating_add(*wait));
    if schedule.iter().any(|wait| *wait < Duration::from_secs(1)) {
        delivery.problem(KEY, "a wait below 1s", "1s or longer, so that receivers can recover");
    } else if schedule.is_empty() {
        let risk = "no retry: a receiver that is away once never hears of the payment";
        delivery.warn(KEY, risk, "[\"192 x 15m\"]");
    } else if total > LONG {
        let days = total.as_secs() / 86_400;
        let risk = format!("the last try comes after {days} days, when nobody waits for it");
        delivery.warn(KEY, &risk, "[\"192 x 15m\"], which is two days");
    }
}

/// What receivers may be called in spite of the protection of private addresses. Whoever may name
/// a receiver can make us call whatever is in there.
/// Networks that the Internet does not route, which a site may use as it likes (RFC 1918, 4193, 6598),
/// and those of one machine or link.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

/// Whether a network lies wholly in another.
fn holds(outer: &str, inner: &IpNet) -> bool {
    outer.parse::<IpNet>().is_ok_and(|outer| outer.contains(inner))
}

fn read_allow_private(delivery: &mut Section<'_>, to: &mut Vec<IpNet>) {
    const KEY: &str = "allow_private";
    const WANTED: &str = "a list of the networks that receivers are in, such as [\"10.0.0.0/8\"]";
    let Some(texts) = delivery.texts(KEY) else { return };
    let Ok(nets) = texts.iter().map(|net| net.parse()).collect::<Result<Vec<IpNet>, _>>() else {
        return delivery.problem(KEY, "not networks", WANTED);
    };
    for net in &nets {
        let link_local = match net {
            IpNet::V4(_) => IpAddr::from([169, 254, 169, 254]),
            IpNet::V6(_) => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]),
        };
        if !PRIVATE.iter().any(|private| holds(private, net)) {
            delivery.problem(KEY, &format!("{net} is no private network"), WANTED);
        } else if net.contains(&link_local) {
            let risk = format!("{net} holds the machine's own services, such as a cloud's secrets");
            delivery.warn(KEY, &risk, "only the networks that receivers are in");
        } else if net.network().is_loopback() {
            let risk = format!("{net} is this machine: receivers may be its own services");
            delivery.warn(KEY, &risk, "only the networks that receivers are in");
        }
    }
    *to = nets;
}

/// `15m`, or `192 x 15m`.
pub(super) fn schedule_step(step: &str) -> Option<Vec<Duration>> {
    match step.split_once('x') {
        Some((times, wait)) => {
            let times = times.trim().parse::<usize>().ok().filter(|times| *times <= 1_000)?;
            Some(vec![span(wait.trim())?; times])
        }
        None => Some(vec![span(step.trim())?]),
    }
}
