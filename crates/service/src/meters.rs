//! Every metric of the adapter: name, unit and meaning. Recorded here and in `http`, exported by the
//! root from every role.
//!
//! Labels hold stable words only: never an id or a text from outside. One has logins, which stand in the
//! config: [`CLIENT_REFUSALS`].

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use gopay_core::payment::{Channel, Event, PaymentState};
use gopay_core::time::Timestamp;
use gopay_store::{AttentionSums, Backlog, COMMIT_STEPS};
use hashbrown::HashMap;
use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

/// Upper bounds of the buckets of a histogram, growing.
#[must_use]
pub fn buckets(name: &str) -> &'static [f64] {
    if name == COMMIT_STEPS { BUCKETS_STEPS } else { BUCKETS_SECONDS }
}

/// In seconds: from an answer out of memory to the end of a call's time.
const BUCKETS_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0];

/// Powers of two up to the largest group.
const BUCKETS_STEPS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The program: `version`, `commit`; always 1.
pub const BUILD_INFO: &str = "gopay_build_info";
/// Calls of PSPs by `overloaded`.
pub const CALLS: &str = "gopay_calls_total";
/// Calls of PSPs by `txtype`, `outcome` and, of refused ones, `code`.
pub const CALL_OUTCOMES: &str = "gopay_call_outcomes_total";
/// Time from the first byte of a call to its answer.
pub const CALL_SECONDS: &str = "gopay_call_duration_seconds";
/// The part of [`CALL_SECONDS`] that was spent waiting for Midtrans.
pub const CALL_UPSTREAM_SECONDS: &str = "gopay_call_upstream_seconds";
/// The rest of it: our own time, by `txtype`.
pub const CALL_OWN_SECONDS: &str = "gopay_call_own_seconds";
/// Calls of known PSPs that were refused before their content was looked at, by `client` and `reason`.
pub const CLIENT_REFUSALS: &str = "gopay_client_refusals_total";
/// Calls of authenticated PSPs that were turned away, by `why`.
pub const TURNED_AWAY: &str = "gopay_calls_turned_away_total";
/// Logins that were wrong, by `why`.
pub const LOGIN_FAILURES: &str = "gopay_login_failures_total";
/// Requests to the admin listener that were refused, by `why`.
pub const OPERATOR_REFUSALS: &str = "gopay_operator_refusals_total";
/// Calls of the feed by `outcome`.
pub const FEED_CALLS: &str = "gopay_feed_calls_total";
/// Notifications of Midtrans by `answer`.
pub const NOTIFICATIONS: &str = "gopay_midtrans_notifications_total";
/// Requests to Midtrans by `call` and `result`.
pub const MIDTRANS_REQUESTS: &str = "gopay_midtrans_requests_total";
/// Time of requests to Midtrans by `call`.
pub const MIDTRANS_SECONDS: &str = "gopay_midtrans_request_duration_seconds";
/// Refusals of Midtrans by `call` and `cause`.
pub const MIDTRANS_REFUSALS: &str = "gopay_midtrans_refusals_total";
/// Changes of payments by `from`, `to` and `event`.
pub const TRANSITIONS: &str = "gopay_payment_transitions_total";
/// Polls of payments and refunds by `about` and `outcome`.
pub const POLLS: &str = "gopay_polls_total";
/// Refunds that came to their end, by `state`.
pub const REFUNDS: &str = "gopay_refunds_total";
/// Delivery attempts by `outcome`.
pub const DELIVERY_ATTEMPTS: &str = "gopay_delivery_attempts_total";
/// Time of delivery attempts.
pub const DELIVERY_SECONDS: &str = "gopay_delivery_attempt_duration_seconds";
/// Receivers that failed so often in a row that they get one attempt at a time.
pub const RECEIVERS_FAILING: &str = "gopay_receivers_failing";
/// What waits to be done, by `kind` and `age`.
pub const BACKLOG: &str = "gopay_backlog_items";
/// For how long the oldest of it has waited, by `kind`.
pub const BACKLOG_OLDEST: &str = "gopay_backlog_oldest_seconds";
/// Steps that the store did not take, by `reason`.
pub const STORE_ERRORS: &str = "gopay_store_errors_total";
/// Payments that were answered and then were missing from the store.
pub const LOST: &str = "gopay_store_lost_payments_total";
/// Those of them that nobody has acknowledged.
pub const LOST_OPEN: &str = "gopay_store_lost_payments_unacknowledged";

/// How far our clock is ahead of Midtrans', by `channel`; below zero if it is behind.
pub const CLOCK_SKEW: &str = "gopay_clock_skew_seconds";

/// Lines of the log that nobody took in time.
pub const LOG_LINES_DROPPED: &str = "gopay_log_lines_dropped_total";
/// Spans for the collector of traces by `outcome`.
pub const SPANS: &str = "gopay_spans_total";
/// Money that was found not to fit its payment, by `what` is unclear.
pub const DOUBTS: &str = "gopay_doubts_total";
/// Money under order ids without a payment, by `form` of the id: ours or another's.
pub const UNKNOWN_ORDERS: &str = "gopay_unknown_orders_total";
/// What needs a person now, by `kind`.
pub const ATTENTION: &str = "gopay_attention_items";
/// The money of what needs a person now.
pub const AT_RISK: &str = "gopay_attention_at_risk_sen";

/// Gives every metric its unit and its line of help. Once, after the recorder is installed.
pub fn describe() {
    let counts = |name, help: &'static str| describe_counter!(name, Unit::Count, help);
    let seconds = |name, help: &'static str| describe_histogram!(name, Unit::Seconds, help);
    counts(CALLS, "Calls of PSPs, by whether they were turned away because too many ran.");
    counts(CALL_OUTCOMES, "Calls of PSPs by type, outcome and, if refused, code of the rule.");
    seconds(CALL_SECONDS, "Time from the first byte of a call to its answer.");
    seconds(CALL_UPSTREAM_SECONDS, "Part of a call's time that was spent waiting for Midtrans.");
    seconds(CALL_OWN_SECONDS, "Our own part of a call's time, without Midtrans, by type.");
    counts(CLIENT_REFUSALS, "Calls of known PSPs that were turned away, by login and reason.");
    describe_gauge!(BUILD_INFO, Unit::Count, "The program that runs: version and commit.");
    describe_gauge!(RECEIVERS_FAILING, Unit::Count, "Receivers of PSPs that keep failing.");
    describe_gauge!(BACKLOG, Unit::Count, "What waits to be done now, by kind and age.");
    describe_gauge!(BACKLOG_OLDEST, Unit::Seconds, "Age of the oldest that waits, by kind.");
    describe_histogram!(COMMIT_STEPS, Unit::Count, "Steps that shared a commit of the store.");
    counts(TURNED_AWAY, "Calls of known PSPs turned away, by concurrency, rate or quota.");
    counts(
        LOGIN_FAILURES,
        "Refused logins by what was wrong: login, password, certificate, contract.",
    );
    counts(
        OPERATOR_REFUSALS,
        "Refused requests to the admin listener: token missing or wrong, pause, role, page.",
    );
    counts(FEED_CALLS, "Calls of the catch-up feed by what came of them.");
    counts(NOTIFICATIONS, "Notifications of Midtrans by our answer.");
    counts(MIDTRANS_REQUESTS, "Requests to Midtrans by call and by whether there was an answer.");
    seconds(MIDTRANS_SECONDS, "Time of requests to Midtrans by call.");
    counts(MIDTRANS_REFUSALS, "Refusals of Midtrans by call and by who can do something about it.");
    counts(TRANSITIONS, "Changes of payments by state before and after, and by event.");
    counts(POLLS, "Polls of payments and refunds by what came of them.");
    counts(REFUNDS, "Refunds that came to their end, by state.");
    counts(DELIVERY_ATTEMPTS, "Attempts to notify PSPs by outcome.");
    seconds(DELIVERY_SECONDS, "Time of attempts to notify PSPs.");
    describe_gauge!(
        CLOCK_SKEW,
        Unit::Seconds,
        "How far our clock is ahead of Midtrans', by the last answer; below zero if behind."
    );
    counts(DOUBTS, "Money that was found not to fit its payment, by what is unclear.");
    counts(UNKNOWN_ORDERS, "Money under order ids without a payment, by the form of the id.");
    describe_gauge!(ATTENTION, Unit::Count, "What needs a person now, by kind.");
    describe_gauge!(AT_RISK, Unit::Count, "The money of what needs a person now, in sen.");
    counts(LOG_LINES_DROPPED, "Lines of the log that were dropped because its reader is too slow.");
    counts(SPANS, "Spans of use cases, by whether the collector of traces got them.");
    counts(LOST, "Payments that were answered and then missing from the store: it went back.");
    describe_gauge!(LOST_OPEN, Unit::Count, "Of these, those that nobody has acknowledged.");
    counts(STORE_ERRORS, "Steps that the store did not take, by reason.");
}

/// Series that alerts look at begin at zero: of one that begins at one, nobody sees the first increase.
pub fn begin_at_zero() {
    let zero = |name: &'static str, labels: &Labels| counter!(name, labels).increment(0);
    for reason in ["busy", "conflict", "missing", "corrupt", "invalid", "schema", "away", "down"] {
        zero(STORE_ERRORS, &[("reason", reason)]);
    }
    for call in ["charge", "status", "cancel", "expire", "refund"] {
        for result in ["answered", "not_sent", "unknown"] {
            zero(MIDTRANS_REQUESTS, &[("call", call), ("result", result)]);
        }
    }
    for call in ["charge", "status", "close", "refund"] {
        zero(MIDTRANS_REFUSALS, &[("call", call), ("cause", "misconfigured")]);
    }
    for outcome in ["delivered", "retry", "given_up"] {
        zero(DELIVERY_ATTEMPTS, &[("outcome", outcome)]);
    }
    for answer in ["ok", "malformed", "forged", "trouble"] {
        zero(NOTIFICATIONS, &[("answer", answer)]);
    }
    for why in ["login", "password", "certificate", "contract"] {
        zero(LOGIN_FAILURES, &[("why", why)]);
    }
    for why in ["missing", "token", "pause", "role", "page"] {
        zero(OPERATOR_REFUSALS, &[("why", why)]);
    }
    for outcome in ["exported", "dropped"] {
        zero(SPANS, &[("outcome", outcome)]);
    }
    zero(LOG_LINES_DROPPED, &[]);
    zero(LOST, &[]);
    lost_payments(0);
    receivers_failing(0);
}

/// A word of this program, known by where it stands: comparing and hashing its letters costs more than
/// all that is counted. The same word may stand in several places, and is then the same series twice.
#[derive(Clone, Copy, Debug)]
struct Word(&'static str);

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Word {}

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.0.as_ptr().addr());
    }
}

/// What tells a series apart: its name and the values of its labels.
type Key = [Word; 4];

thread_local! {
    /// Handles of series that were recorded before: asking the recorder for one builds and hashes its
    /// whole name each time, which costs more than all that a look-up of a status does besides.
    static COUNTERS: RefCell<HashMap<Key, Counter>> = RefCell::default();
    static HISTOGRAMS: RefCell<HashMap<Key, Histogram>> = RefCell::default();
}

/// Labels with words only, as many as [`Key`] holds.
type Labels = [(&'static str, &'static str)];

fn key(name: &'static str, labels: &Labels) -> Key {
    let words = labels.iter().map(|(_, word)| *word).chain(std::iter::repeat(""));
    let mut key = [Word(name); 4];
    for (place, word) in key.iter_mut().skip(1).zip(words) {
        *place = Word(word);
    }
    key
}

/// Counts one. For what every call or payment does; the rest may ask the recorder.
pub fn count(name: &'static str, labels: &Labels) {
    COUNTERS.with_borrow_mut(|known| {
        let series = known.entry(key(name, labels));
        series.or_insert_with(|| counter!(name, labels)).increment(1);
    });
}

/// Records a time, as [`count`] does.
pub fn time(name: &'static str, labels: &Labels, took: Duration) {
    HISTOGRAMS.with_borrow_mut(|known| {
        let series = known.entry(key(name, labels));
        series.or_insert_with(|| histogram!(name, labels)).record(took);
    });
}

pub(crate) fn request_to_midtrans(call: &'static str, result: &'static str, took: Duration) {
    count(MIDTRANS_REQUESTS, &[("call", call), ("result", result)]);
    time(MIDTRANS_SECONDS, &[("call", call)], took);
}

pub(crate) fn attention(sums: &AttentionSums) {
    gauge!(ATTENTION, "kind" => "payment").set(number(sums.payments));
    gauge!(ATTENTION, "kind" => "order").set(number(sums.orders));
    gauge!(AT_RISK).set(number(sums.at_risk_sen));
}

/// What waits, and how old it is.
pub(crate) fn backlog(backlog: &Backlog, now: Timestamp) {
    /// The classes of [`gopay_store::AGES`].
    const AGES: [&str; 4] = ["under_1m", "under_5m", "under_1h", "over_1h"];
    for (kind, waiting) in [
        ("initialized", backlog.initialized),
        ("pending", backlog.pending),
        ("refund", backlog.unresolved),
        ("delivery", backlog.deliveries),
    ] {
        for (age, count) in AGES.into_iter().zip(waiting.by_age) {
            gauge!(BACKLOG, "kind" => kind, "age" => age).set(number(count));
        }
        let oldest = waiting.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        gauge!(BACKLOG_OLDEST, "kind" => kind).set(number(oldest.as_secs()));
    }
}

/// A call of this PSP was turned away. Logins are few: those of the config.
pub(crate) fn client_refusal(client: &str, reason: &'static str) {
    counter!(CLIENT_REFUSALS, "client" => client.to_owned(), "reason" => reason).increment(1);
}

/// So many more were found to be missing.
pub(crate) fn lose_payments(count: usize) {
    counter!(LOST).increment(u64::try_from(count).unwrap_or(u64::MAX));
}

/// So many are missing, and nobody has acknowledged it.
pub(crate) fn lost_payments(count: usize) {
    gauge!(LOST_OPEN).set(number(u64::try_from(count).unwrap_or(u64::MAX)));
}

pub(crate) fn receivers_failing(count: usize) {
    gauge!(RECEIVERS_FAILING).set(number(u64::try_from(count).unwrap_or(u64::MAX)));
}

/// A gauge is a float. Exact up to 2^53.
fn number(count: u64) -> f64 {
    count.to_string().parse().unwrap_or(f64::MAX)
}

pub(crate) fn transition(from: &PaymentState, to: &PaymentState, event: &Event) {
    let (from, to) = (from.as_str(), to.as_str());
    count(TRANSITIONS, &[("from", from), ("to", to), ("event", event.word())]);
}

/// One of both times is zero.
pub(crate) fn clock_skew(channel: Channel, ahead: Duration, behind: Duration) {
    let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
    let skew = seconds(ahead).saturating_sub(seconds(behind));
    gauge!(CLOCK_SKEW, "channel" => channel.as_str()).set(skew);
}
