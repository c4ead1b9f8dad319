//! Answers in the `urlencodeext` form.
//!
//! Source: `docs/psp-guide.md`, "Answers": upper-case keys, `%20` for a space, one `RAND` pair.

use std::borrow::Cow;

use crate::payment::{FailReason, Failure, Payment, PaymentState};
use crate::refund::{Refund, RefundState};
use crate::text::{hex, text_of_hex};

/// PPRO's `REQUESTFAILREASON`: why a status call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFailReason {
    /// Exact reason not known.
    Unknown,
    /// Wrong credentials, contract disabled and the like.
    AuthError,
    /// System error.
    SystemError,
    /// No such transaction.
    TxNotFound,
    /// The merchant's reference is ambiguous.
    TxNotUnique,
    /// No such refund.
    RefundNotFound,
    /// The merchant's reference is ambiguous.
    RefundNotUnique,
}

impl RequestFailReason {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::AuthError => "AUTH_ERROR",
            Self::SystemError => "SYSTEM_ERROR",
            Self::TxNotFound => "TX_NOT_FOUND",
            Self::TxNotUnique => "TX_NOT_UNIQUE",
            Self::RefundNotFound => "REFUND_NOT_FOUND",
            Self::RefundNotUnique => "REFUND_NOT_UNIQUE",
        }
    }
}

/// The random pair in each answer, `RAND<10 digits>=<40 hex>`, which means nothing. At any position
/// but the first, so that `REQUESTSTATUS` or `STATUS` comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rand {
    /// Seeds the digits and the position.
    pub seed: u64,
    /// The value.
    pub bytes: [u8; 20],
}

/// An answer under construction.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pairs: Vec<(&'static str, Cow<'static, str>)>,
}

impl Reply {
    /// An answer without pairs.
    #[must_use]
    pub fn new() -> Self {
        /// The most pairs of an answer: `GETTXSTATUS` of a pending payment.
        const PAIRS_MAX: usize = 10;
        Self { pairs: Vec::with_capacity(PAIRS_MAX) }
    }

    /// Adds a pair.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.pairs.push((key, value.into()));
        self
    }

    fn with_some(self, key: &'static str, value: Option<impl Into<Cow<'static, str>>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The line to send.
    #[must_use]
    pub fn render(&self, rand: Option<Rand>) -> String {
        let bytes =
            self.pairs.iter().map(|(key, value)| key.len() + value.len() + 2).sum::<usize>();
        // Space for escapes and for the random pair.
        let mut out = String::with_capacity(bytes.saturating_mul(5) / 4 + 64);
        let places = u64::try_from(self.pairs.len()).unwrap_or(1).max(1);
        let place = rand.map(|rand| rand.seed.rotate_left(32) % places);
        for (at, (key, value)) in (0_u64..).zip(&self.pairs) {
            push_pair(&mut out, key, value);
            if place == Some(at) {
                push_rand(&mut out, rand);
            }
        }
        out
    }
}

fn push_pair(out: &mut String, key: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    out.push_str(key);
    out.push('=');
    push_encoded(out, value);
}

fn push_rand(out: &mut String, rand: Option<Rand>) {
    let Some(rand) = rand else { return };
    let digits = 1_000_000_000 + rand.seed % 9_000_000_000;
    push_pair(out, &format!("RAND{digits}"), &text_of_hex(&hex(rand.bytes)));
}

/// Percent-encodes a value: everything but letters, digits and `-._~`, a space as `%20`.
#[must_use]
pub fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    push_encoded(&mut out, value);
    out
}

fn push_encoded(out: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(value.len());
    let mut rest = value;
    while !rest.is_empty() {
        let plain = rest.bytes().take_while(|byte| is_plain(*byte)).count();
        let (run, after) = rest.split_at_checked(plain).unwrap_or((rest, ""));
        out.push_str(run);
        let Some(char) = after.chars().next() else { break };
        let (escaped, after) = after.split_at_checked(char.len_utf8()).unwrap_or((after, ""));
        for byte in escaped.bytes() {
            let digit =
                |nibble: u8| char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
            out.push('%');
            out.push(digit(byte >> 4));
            out.push(digit(byte & 15));
        }
        rest = after;
    }
}

/// Bytes that stand for themselves.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    loop {
        #[expect(clippy::as_conversions, reason = "a byte as its place")]
        {
            plain[byte as usize] =
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        }
        if byte == u8::MAX {
            break plain;
        }
        byte += 1;
    }
};

#[inline]
fn is_plain(byte: u8) -> bool {
    PLAIN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// `CHANNEL` and `TAG` as they were sent: echoed in the answer to a call that was refused at once.
///
/// Answers to other calls echo nothing; theirs is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    channel: Option<String>,
    tag: Option<String>,
}

impl Sent {
    /// Reads both from the record of a call ([`super::call::record`]), at most 64 characters each.
    #[must_use]
    pub fn of(record: &str) -> Self {
        const SHOWN_MAX: usize = 64;
        let record: serde_json::Value = serde_json::from_str(record).unwrap_or_default();
        let shown = |name: &str| {
            let value = record.get(name)?.as_str()?;
            Some(crate::text::cut(value, SHOWN_MAX).to_owned())
        };
        Self { channel: shown("channel"), tag: shown("tag") }
    }
}

/// The answer to a TRANSACTION call.
///
/// `redirect_url` builds the `REDIRECTURL`; it is called only for a pending payment, which alone has
/// one.
#[must_use]
pub fn transaction(payment: &Payment, sent: &Sent, redirect_url: impl FnOnce() -> String) -> Reply {
    transaction_pairs(Reply::new(), payment, sent, redirect_url)
}

/// The answer to a call about a transaction: `REQUESTSTATUS` first, then as for TRANSACTION.
#[must_use]
pub fn status(payment: &Payment, sent: &Sent, redirect_url: impl FnOnce() -> String) -> Reply {
    transaction_pairs(Reply::new().with("REQUESTSTATUS", "SUCCEEDED"), payment, sent, redirect_url)
}

/// The answer to `CANCELTX` for a payment that is no longer pending.
#[must_use]
pub fn not_pending(payment: &Payment, sent: &Sent, redirect_url: impl FnOnce() -> String) -> Reply {
    let failed = request_failed_pairs(RequestFailReason::Unknown);
    let mut reply = transaction_pairs(failed, payment, sent, redirect_url);
    for (key, value) in &mut reply.pairs {
        if *key == "ERRMSG" {
            *value = Cow::Borrowed("Transaction is not pending");
        }
    }
    reply
}

fn transaction_pairs(
    reply: Reply,
    payment: &Payment,
    sent: &Sent,
    redirect_url: impl FnOnce() -> String,
) -> Reply {
    let (status, funds) = match payment.state {
        // The charge has no answer yet, so nobody can pay; to the PSP it is pending.
        PaymentState::Initialized | PaymentState::Pending => ("PENDING", "WAITING"),
        PaymentState::Succeeded => ("SUCCEEDED", "WAITING"),
        PaymentState::Failed(_) => ("FAILED", "NOT_EXPECTED"),
    };
    let reply = outcome_pairs(reply, payment, sent, (status, funds, payment.state.failure()));
    if payment.state == PaymentState::Pending {
        reply
            .with("REDIRECTURL", redirect_url())
            .with("REDIRECTSECRET", payment.redirect_secret.clone())
    } else {
        reply
    }
}

/// STATUS, FUNDSSTATUS and why, with what names the payment.
fn outcome_pairs(
    reply: Reply,
    payment: &Payment,
    sent: &Sent,
    (status, funds, failure): (&'static str, &'static str, Option<&Failure>),
) -> Reply {
    // In a refused call, these may be what is wrong.
    let channel = payment.channel.map(|channel| Cow::Borrowed(channel.as_str()));
    let channel = channel.or_else(|| sent.channel.clone().map(Cow::Owned));
    let tag = if payment.refused_at_once() {
        sent.tag.clone().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed("gopay"))
    };
    reply
        .with("STATUS", status)
        .with("TXID", payment.tx_id.to_string())
        .with_some("MERCHANTTXID", payment.merchant_tx_id.clone())
        .with("FUNDSSTATUS", funds)
        .with("ERRMSG", failure.map(|failure| failure.message.clone()).unwrap_or_default())
        .with_some("FAILREASON", failure.map(|failure| failure.reason.as_str()))
        .with_some("CHANNEL", channel)
        .with_some("TAG", tag)
}

/// The answer to a TRANSACTION call whose payment may be in any state, because a fault of ours
/// kept its outcome from the store: the call failed, and GETTXSTATUS knows the rest.
#[must_use]
pub fn transaction_fault(payment: &Payment, failure: &Failure) -> Reply {
    let outcome = ("FAILED", "NOT_EXPECTED", Some(failure));
    outcome_pairs(Reply::new(), payment, &Sent::default(), outcome)
}

/// The answer to a TRANSACTION call for which no transaction was stored: a severe error.
#[must_use]
pub fn transaction_refused(failure: &Failure) -> Reply {
    Reply::new()
        .with("STATUS", "FAILED")
        .with("TXID", "0")
        .with("FAILREASON", failure.reason.as_str())
        .with("ERRMSG", failure.message.clone())
}

/// The answer to a status call that itself failed, about a transaction.
#[must_use]
pub fn status_failed(reason: RequestFailReason, message: &str) -> Reply {
    request_failed_pairs(reason)
        .with("STATUS", "FAILED")
        .with("TXID", "0")
        .with("ERRMSG", message.to_owned())
}

/// The answer to a status call that itself failed, about a refund.
#[must_use]
pub fn refund_status_failed(reason: RequestFailReason, message: &str) -> Reply {
    request_failed_pairs(reason)
        .with("STATUS", "FAILED")
        .with("REFUNDID", "0")
        .with("ERRMSG", message.to_owned())
}

/// The answer to `REQUESTDATA`, or to another failed call that names no transaction.
#[must_use]
pub fn request_failed(reason: RequestFailReason, message: &str) -> Reply {
    request_failed_pairs(reason).with("ERRMSG", message.to_owned())
}

fn request_failed_pairs(reason: RequestFailReason) -> Reply {
    Reply::new().with("REQUESTSTATUS", "FAILED").with("REQUESTFAILREASON", reason.as_str())
}

/// The answer to REFUND. An unresolved refund is answered as failed, since PPRO knows no pending
/// refund and we never say SUCCEEDED before Midtrans did; the text says that the outcome is open.
#[must_use]
pub fn refund(refund: &Refund) -> Reply {
    refund_pairs(Reply::new(), refund)
}

/// The answer to a call about a refund that has an outcome.
#[must_use]
pub fn refund_status(refund: &Refund) -> Reply {
    refund_pairs(Reply::new().with("REQUESTSTATUS", "SUCCEEDED"), refund)
}

/// The message of a refund whose outcome is unknown.
pub const REFUND_OPEN: &str =
    "Outcome not known yet, do not repeat the refund; ask GETREFUNDSTATUS";

fn refund_pairs(reply: Reply, refund: &Refund) -> Reply {
    let (status, message, reason) = match &refund.state {
        RefundState::Succeeded => ("SUCCEEDED", Cow::Borrowed(""), None),
        RefundState::Failed(failure) => {
            ("FAILED", Cow::Owned(failure.message.clone()), Some(failure.reason))
        }
        RefundState::Unresolved => {
            ("FAILED", Cow::Borrowed(REFUND_OPEN), Some(FailReason::RemoteError))
        }
    };
    reply
        .with("STATUS", status)
        .with("REFUNDID", refund.refund_id.to_string())
        .with_some("MERCHANTREFUNDID", refund.merchant_refund_id.clone())
        .with("ERRMSG", message)
        .with_some("FAILREASON", reason.map(FailReason::as_str))
}

/// The answer to a REFUND call that may or may not have been stored: as if its outcome is unknown.
#[must_use]
pub fn refund_open(refund_id: crate::ids::RefundId, merchant_refund_id: Option<&str>) -> Reply {
    Reply::new()
        .with("STATUS", "FAILED")
        .with("REFUNDID", refund_id.to_string())
        .with_some("MERCHANTREFUNDID", merchant_refund_id.map(str::to_owned))
        .with("ERRMSG", REFUND_OPEN)
        .with("FAILREASON", FailReason::RemoteError.as_str())
}

/// The answer to a REFUND call for which no refund was stored.
#[must_use]
pub fn refund_refused(failure: &Failure, merchant_refund_id: Option<&str>) -> Reply {
    Reply::new()
        .with("STATUS", "FAILED")
        .with("REFUNDID", "0")
        .with_some("MERCHANTREFUNDID", merchant_refund_id.map(str::to_owned))
        .with("ERRMSG", failure.message.clone())
        .with("FAILREASON", failure.reason.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::Event;
    use crate::payment::NewPayment;
    use crate::payment::tests::{created, initialized, new_payment, paid};

    #[test]
    fn values_are_percent_encoded() {
        for (value, expected) in [
            ("", ""),
            ("a b", "a%20b"),
            ("a+b", "a%2Bb"),
            ("-._~", "-._~"),
            ("\u{e9}", "%C3%A9"),
            ("https://x/?a=1&b", "https%3A%2F%2Fx%2F%3Fa%3D1%26b"),
        ] {
            assert_eq!(encode(value), expected);
        }
    }

    #[test]
    fn the_rand_pair_may_stand_anywhere_but_first() {
        let reply = Reply::new().with("STATUS", "FAILED").with("TXID", "0");
        let mut places = std::collections::BTreeSet::new();
        for seed in 0..64_u64 {
            let rand = Rand { seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), bytes: [0xab; 20] };
            let line = reply.render(Some(rand));
            let pairs: Vec<&str> = line.split('&').collect();
            assert_eq!(pairs.len(), 3);
            let place = pairs.iter().position(|pair| pair.starts_with("RAND")).unwrap();
            let (key, value) = pairs[place].split_once('=').unwrap();
            assert_eq!((key.len(), value), (14, "ab".repeat(20).as_str()));
            places.insert(place);
        }
        assert_eq!(places, [1, 2].into());
        assert_eq!(reply.render(None), "STATUS=FAILED&TXID=0");
    }

    #[test]
    fn each_outcome_has_its_keys_and_no_others() {
        let start = initialized();
        let at = start.created_at;
        let created = Event::ChargeCreated { midtrans_tx_id: "m".into(), deeplink: "g://x".into() };
        let pending = start.on(&created, at).payment;
        let succeeded = pending.on(&paid(), at).payment;
        let failed = pending.on(&Event::Closed(crate::payment::Closure::Expired), at).payment;
        let url = || "https://pay.example/ti/gopay".to_owned();
        assert_eq!(
            transaction(&pending, &Sent::default(), url).render(None),
            "STATUS=PENDING&TXID=123887123&FUNDSSTATUS=WAITING&ERRMSG=&CHANNEL=testchannel&TAG=gopay&REDIRECTURL=https%3A%2F%2Fpay.example%2Fti%2Fgopay&REDIRECTSECRET=9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy"
        );
        assert_eq!(
            status(&succeeded, &Sent::default(), url).render(None),
            "REQUESTSTATUS=SUCCEEDED&STATUS=SUCCEEDED&TXID=123887123&FUNDSSTATUS=WAITING&ERRMSG=&CHANNEL=testchannel&TAG=gopay"
        );
        assert_eq!(
            transaction(&failed, &Sent::default(), url).render(None),
            "STATUS=FAILED&TXID=123887123&FUNDSSTATUS=NOT_EXPECTED&ERRMSG=The%20session%20is%20over%3B%20the%20shopper%20did%20not%20pay%20in%20time&FAILREASON=TIMEOUT&CHANNEL=testchannel&TAG=gopay"
        );
        assert_eq!(
            not_pending(&succeeded, &Sent::default(), url).render(None),
            "REQUESTSTATUS=FAILED&REQUESTFAILREASON=UNKNOWN&STATUS=SUCCEEDED&TXID=123887123&FUNDSSTATUS=WAITING&ERRMSG=Transaction%20is%20not%20pending&CHANNEL=testchannel&TAG=gopay"
        );
        assert_eq!(
            status_failed(RequestFailReason::TxNotUnique, "Ambiguous MerchantTxId").render(None),
            "REQUESTSTATUS=FAILED&REQUESTFAILREASON=TX_NOT_UNIQUE&STATUS=FAILED&TXID=0&ERRMSG=Ambiguous%20MerchantTxId"
        );
    }

    #[test]
    fn a_refused_call_is_echoed_as_it_was_sent() {
        let new = NewPayment { channel: None, ..new_payment() };
        let refused = Payment::refused(new, Failure::new(FailReason::InputData, "tag: wrong"));
        let echoed = |record: &str| {
            let line = status(&refused, &Sent::of(record), String::new).render(None);
            line.split_once("&FAILREASON=INPUT_DATA").map(|(_, rest)| rest.to_owned())
        };
        let long = "x".repeat(65);
        let record = format!(r#"{{"channel":"my channel","tag":"{long}"}}"#);
        assert_eq!(echoed(&record).unwrap(), format!("&CHANNEL=my%20channel&TAG={}", &long[..64]));
        assert_eq!(echoed(r#"{"tag":"shopee"}"#).unwrap(), "&TAG=shopee");
        assert_eq!(echoed("{}").unwrap(), "");
    }

    #[test]
    fn a_fault_of_ours_fails_the_call_whatever_the_state_of_its_payment() {
        let start = initialized();
        let pending = start.on(&created(), start.created_at).payment;
        let fault = Failure::new(FailReason::LocalError, "could not be stored");
        for payment in [start, pending] {
            assert_eq!(
                transaction_fault(&payment, &fault).render(None),
                "STATUS=FAILED&TXID=123887123&FUNDSSTATUS=NOT_EXPECTED&ERRMSG=could%20not%20be%20stored&FAILREASON=LOCAL_ERROR&CHANNEL=testchannel&TAG=gopay"
            );
        }
    }
}
