//! What is called: mixes of calls of a PSP and notifications of Midtrans, and plain requests.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use gopay_core::midtrans::signature::sign;

use crate::body::{self, Size, Stem, Template};
use crate::drive::Source;
use crate::tally::Judged;
use crate::wire::Outgoing;

/// The server key between the adapter and the stand-in.
pub(crate) const SERVER_KEY: &str = "SB-Mid-server-load";

/// One kind of exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Transaction(Size),
    /// GETTXSTATUS about a payment of this run.
    Status,
    /// GETTXSTATUSBYMERCHANTTXID.
    StatusByReference,
    /// A notification of Midtrans that a payment of this run is paid.
    Paid,
    /// A refund of one rupiah of a payment that was notified as paid.
    Refund,
}

impl Kind {
    const WORDS: [(&'static str, Self); 7] = [
        ("minimal", Self::Transaction(Size::Minimal)),
        ("full", Self::Transaction(Size::Full)),
        ("fifty", Self::Transaction(Size::Fifty)),
        ("status", Self::Status),
        ("reference", Self::StatusByReference),
        ("paid", Self::Paid),
        ("refund", Self::Refund),
    ];
}

/// Kinds with their weights: `full=6,status=3,paid=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mix(Vec<(Kind, u64)>);

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = |part: &str| {
            let (word, weight) = part.split_once('=').unwrap_or((part, "1"));
            let kind = Kind::WORDS.iter().find(|(name, _)| *name == word);
            let kind = kind.ok_or_else(|| {
                let names: Vec<&str> = Kind::WORDS.iter().map(|(name, _)| *name).collect();
                format!("{word}: not one of {}", names.join(", "))
            })?;
            let weight = weight.parse::<u64>().ok().filter(|weight| (1..=1_000).contains(weight));
            Ok((kind.1, weight.ok_or_else(|| format!("{part}: a weight of 1 to 1000 is wanted"))?))
        };
        text.split(',').map(one).collect::<Result<_, String>>().map(Self)
    }
}

/// A payment that a run has made.
#[derive(Clone, Copy)]
pub(crate) struct Made {
    pub(crate) tx_id: u64,
    pub(crate) number: u64,
}

/// Draws from a mix. What needs a payment takes one that was made before; if there is none, a
/// payment is made instead.
pub(crate) struct Calls {
    mix: Mix,
    templates: [Template; 3],
    status: Stem,
    status_by_reference: Stem,
    refund: Stem,
    amounts: [&'static str; 3],
    next: AtomicU64,
    /// Pending ones, to be asked about or notified.
    made: Mutex<Vec<Made>>,
    paid: Mutex<Vec<Made>>,
    random: Mutex<fastrand::Rng>,
}

/// What a judged answer was about: the kind in the low bits, a number above.
const KINDS: u64 = 8;

impl Calls {
    /// Numbers begin at `first`; references and nonces are made of them.
    pub(crate) fn new(mix: &str, first: u64, notify: Option<&str>) -> anyhow::Result<Self> {
        let template = |size| Template::transaction(size, notify);
        Ok(Self {
            mix: mix.parse().map_err(|error: String| anyhow!(error))?,
            templates: [template(Size::Minimal)?, template(Size::Full)?, template(Size::Fifty)?],
            status: Stem::new("GETTXSTATUS", &[], "txid"),
            status_by_reference: Stem::new("GETTXSTATUSBYMERCHANTTXID", &[], "merchanttxid"),
            refund: Stem::new("REFUND", &[("amount", "100"), ("currency", "IDR")], "txid"),
            amounts: ["45000.00", "387500.00", "1275000.00"],
            next: AtomicU64::new(first),
            made: Mutex::new(Vec::new()),
            paid: Mutex::new(Vec::new()),
            random: Mutex::new(fastrand::Rng::with_seed(first)),
        })
    }

    /// Payments that were made and not notified, taken out.
    pub(crate) fn take_made(&self) -> Vec<Made> {
        std::mem::take(&mut *locked(&self.made))
    }

    /// Payments to draw from.
    pub(crate) fn know(&self, made: Vec<Made>) {
        locked(&self.made).extend(made);
    }

    fn draw(&self) -> (Kind, usize) {
        let mut random = locked(&self.random);
        let sum: u64 = self.mix.0.iter().map(|(_, weight)| *weight).sum();
        let mut left = random.u64(0..sum.max(1));
        let dice = random.usize(..);
        for (kind, weight) in &self.mix.0 {
            if left < *weight {
                return (*kind, dice);
            }
            left -= *weight;
        }
        (Kind::Transaction(Size::Full), dice)
    }

    fn transaction(&self, size: Size) -> (Outgoing, u64) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let at = size_index(size);
        let body = self.templates.get(at).map(|template| template.numbered(number));
        (Outgoing::form(body.unwrap_or_default()), number * KINDS)
    }

    fn any(list: &Mutex<Vec<Made>>, dice: usize) -> Option<Made> {
        let list = locked(list);
        let at = dice.checked_rem(list.len())?;
        list.get(at).copied()
    }
}

fn size_index(size: Size) -> usize {
    match size {
        Size::Minimal => 0,
        Size::Full => 1,
        Size::Fifty => 2,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reference that a payload of this size and number carries.
fn reference(number: u64) -> String {
    format!("ORDER-{}", body::scattered(number, 13))
}

/// A notification as Midtrans sends it when a payment was paid.
pub(crate) fn paid_notification(tx_id: u64, gross: &str) -> String {
    let signature = sign(&tx_id.to_string(), "200", gross, SERVER_KEY);
    format!(
        r#"{{"transaction_time":"2026-01-01 10:00:00","transaction_status":"settlement","transaction_id":"mt-{tx_id}","status_message":"midtrans payment notification","status_code":"200","signature_key":"{signature}","settlement_time":"2026-01-01 10:00:05","payment_type":"gopay","order_id":"{tx_id}","merchant_id":"G1","gross_amount":"{gross}","fraud_status":"accept","currency":"IDR"}}"#
    )
}

impl Source for Calls {
    fn next(&self) -> (Outgoing, u64) {
        let (kind, dice) = self.draw();
        match kind {
            Kind::Transaction(size) => self.transaction(size),
            Kind::Status => match Self::any(&self.made, dice) {
                Some(made) => (Outgoing::form(self.status.with(&made.tx_id.to_string())), 1),
                None => self.transaction(Size::Full),
            },
            Kind::StatusByReference => match Self::any(&self.made, dice) {
                Some(made) => {
                    let body = self.status_by_reference.with(&reference(made.number));
                    (Outgoing::form(body), 1)
                }
                None => self.transaction(Size::Full),
            },
            Kind::Paid => {
                let made = locked(&self.made).pop();
                match made {
                    Some(made) => {
                        locked(&self.paid).push(made);
                        let body = paid_notification(made.tx_id, self.amounts[1]);
                        (Outgoing::json("/midtrans/notification", body), 2)
                    }
                    None => self.transaction(Size::Full),
                }
            }
            Kind::Refund => match Self::any(&self.paid, dice) {
                Some(made) => (Outgoing::form(self.refund.with(&made.tx_id.to_string())), 3),
                None => self.transaction(Size::Full),
            },
        }
    }

    fn judge(&self, about: u64, status: u16, body: &Bytes) -> Judged {
        if status == 503 {
            return Judged::Refused;
        }
        let good = match about % KINDS {
            0 if body::value(body, "STATUS") == Some("PENDING") => {
                let tx_id = body::value(body, "TXID").and_then(|id| id.parse().ok());
                if let Some(tx_id) = tx_id {
                    locked(&self.made).push(Made { tx_id, number: about / KINDS });
                }
                tx_id.is_some()
            }
            1 => body::value(body, "REQUESTSTATUS") == Some("SUCCEEDED"),
            2 => status == 200,
            3 => body::value(body, "STATUS") == Some("SUCCEEDED"),
            _ => false,
        };
        if good { Judged::Good } else { Judged::Failed }
    }
}

/// The same request again and again; good is an answer of 200.
pub(crate) struct Same {
    make: Box<dyn Fn() -> Outgoing + Send + Sync>,
}

impl Same {
    pub(crate) fn new(make: impl Fn() -> Outgoing + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make) }
    }
}

impl Source for Same {
    fn next(&self) -> (Outgoing, u64) {
        ((self.make)(), 0)
    }

    fn judge(&self, _about: u64, status: u16, _body: &Bytes) -> Judged {
        match status {
            200 | 201 => Judged::Good,
            503 => Judged::Refused,
            _ => Judged::Failed,
        }
    }
}

/// Waits until a URL answers 200.
pub(crate) async fn ready(
    address: std::net::SocketAddr,
    path: &str,
    patience: std::time::Duration,
) -> anyhow::Result<std::time::Duration> {
    let begun = std::time::Instant::now();
    let mut caller = crate::wire::Caller::new(address);
    loop {
        if matches!(caller.exchange(Outgoing::get(path)).await, Ok((200, _))) {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > patience {
            return Err(anyhow!("{address}{path}")).context("not ready in time");
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_are_read() {
        let mix: Mix = "full=6,status=3,paid".parse().unwrap();
        assert_eq!(mix.0.len(), 3);
        for bad in ["", "full=0", "full=1001", "fully", "full=x"] {
            assert!(bad.parse::<Mix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_notification_is_one_that_the_adapter_takes() {
        use gopay_core::midtrans::Notification;
        let text = paid_notification(71, "387500.00");
        let notification = Notification::parse(text.as_bytes()).unwrap();
        assert!(notification.verify(SERVER_KEY).is_ok());
    }

    #[test]
    fn the_reference_is_that_of_the_payload() {
        let body = Template::transaction(Size::Full, None).unwrap().numbered(71);
        let sent = body::value(&body, "merchanttxid").map(str::to_owned);
        assert_eq!(sent, Some(reference(71)));
    }

    #[test]
    fn what_needs_a_payment_makes_one_first() {
        let calls = Calls::new("refund", 1, None).unwrap();
        let (first, about) = calls.next();
        assert_eq!(about % KINDS, 0);
        assert!(first.body.starts_with(b"tag=gopay"));
    }
}
