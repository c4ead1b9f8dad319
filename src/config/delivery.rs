//! `[delivery]`

use std::time::Duration;

use super::section::{Section, span};

/// Telling PSPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) schedule: Vec<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) concurrency_per_receiver: usize,
    pub(crate) allow_private: Vec<ipnet::IpNet>,
}

pub(super) fn read_delivery(delivery: &mut Section<'_>, to: &mut Delivery) {
    const WANTED: &str =
        "a list such as [\"192 x 15m\"] or [\"10s\", \"1m\", \"12 x 1h\"], at most 1000 retries";
    if let Some(steps) = delivery.texts("schedule") {
        match steps.iter().map(|step| schedule_step(step)).collect::<Option<Vec<_>>>() {
            Some(parts) if parts.iter().map(Vec::len).sum::<usize>() <= 1_000 => {
                to.schedule = parts.concat();
            }
            _ => delivery.problem("schedule", "not a schedule", WANTED),
        }
    }
    let second = Duration::from_secs(1);
    let timeout = &mut to.timeout;
    delivery.span("timeout", second, Duration::from_secs(120), "1s to 2m", timeout);
    delivery.number("concurrency", 1, 10_000, &mut to.concurrency);
    let per_receiver = &mut to.concurrency_per_receiver;
    delivery.number("concurrency_per_receiver", 1, 1_000, per_receiver);
    if let Some(nets) = delivery.texts("allow_private") {
        match nets.iter().map(|net| net.parse()).collect::<Result<Vec<_>, _>>() {
            Ok(nets) => to.allow_private = nets,
            Err(_) => {
                delivery.problem("allow_private", "not networks", "a list such as [\"10.0.0.0/8\"]")
            }
        }
    }
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
