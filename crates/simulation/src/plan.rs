//! What kind of world a seed makes: how many act in it, and what goes wrong how often.
//!
//! Most seeds have only some kinds of faults, so that rare combinations get room beside the common
//! ones, and so that much of what is begun also comes to a good end.

use std::time::Duration;

use gopay_simulator::{Action, Fault, On, Shape, When};

use crate::chance::Chance;

/// The parameters of one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Processes of the adapter that share the store.
    pub(crate) instances: usize,
    pub(crate) purchases: u64,
    /// All shoppers come within this time.
    pub(crate) arrival: Duration,
    pub(crate) session: Duration,
    /// Between two tries of a delivery.
    pub(crate) retry: Duration,
    pub(crate) concurrent_calls: usize,
    pub(crate) rates: Rates,
    pub(crate) faults: Vec<Fault>,
    pub(crate) repeated_refund_key_repeats: bool,
    /// Orders that other stores than ours have made, of each hundred purchases.
    pub(crate) lost_orders: u64,
    /// Payments of which GET status shows another amount until a person has decided, in percent.
    pub(crate) doubtful_percent: u32,
    /// Payments of which money goes back in Midtrans' dashboard, in percent.
    pub(crate) dashboard_percent: u32,
    /// What Midtrans may pay back in all, in rupiah; none: without end.
    pub(crate) merchant_balance: Option<u64>,
}

/// How often things go wrong, each in ten thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    /// A process dies at a step to the outside: before it, or after it took effect.
    pub(crate) crash: u32,
    /// A store step is refused.
    pub(crate) busy: u32,
    /// A store step fails and was not done.
    pub(crate) down: u32,
    /// A store step fails and was done.
    pub(crate) down_after: u32,
    /// A store step takes up to two seconds.
    pub(crate) slow_step: u32,
    /// Requests on any wire: not sent, lost on the way, answer lost, late by up to a minute.
    pub(crate) not_sent: u32,
    pub(crate) lost: u32,
    pub(crate) answer_lost: u32,
    pub(crate) late: u32,
    /// Every few minutes: the store or Midtrans goes away for a while, a receiver behaves
    /// badly, a clock jumps, a process is stopped in good order.
    pub(crate) store_outage: u32,
    pub(crate) midtrans_outage: u32,
    pub(crate) bad_receiver: u32,
    pub(crate) clock_jump: u32,
    pub(crate) restart: u32,
    /// Every minute: the machine of a process stands still for up to 45 seconds.
    pub(crate) freeze: u32,
    /// A notification is sent again with another status under the same signature.
    pub(crate) forged: u32,
}

impl Plan {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            instances: chance.pick(&[1, 1, 2, 3]),
            purchases: chance.between(4, 40),
            arrival: minutes(chance.between(1, 15)),
            session: minutes(chance.pick(&[5, 15, 60])),
            retry: minutes(chance.pick(&[1, 5, 15])),
            concurrent_calls: chance.pick(&[2, 8, 256, 256]),
            rates: Rates::draw(chance),
            faults: faults(chance),
            repeated_refund_key_repeats: chance.percent(50),
            lost_orders: chance.pick(&[0, 0, 1, 3]),
            doubtful_percent: chance.pick(&[0, 0, 10, 40]),
            dashboard_percent: chance.pick(&[0, 0, 10, 40]),
            merchant_balance: chance.percent(15).then_some(1_000_000),
        }
    }
}

impl Plan {
    /// Nothing goes wrong.
    pub(crate) fn peaceful(chance: &mut Chance) -> Self {
        let quiet = Self { lost_orders: 0, doubtful_percent: 0, ..Self::draw(chance) };
        Self { instances: 1, rates: Rates::default(), faults: vec![], ..quiet }
    }
}

impl Rates {
    fn draw(chance: &mut Chance) -> Self {
        let mut rate = |most: u64| -> u32 {
            if chance.percent(45) {
                return 0;
            }
            u32::try_from(chance.between(1, most)).unwrap_or(0)
        };
        Self {
            crash: rate(100),
            busy: rate(400),
            down: rate(200),
            down_after: rate(200),
            slow_step: rate(300),
            not_sent: rate(500),
            lost: rate(800),
            answer_lost: rate(800),
            late: rate(500),
            store_outage: rate(3_000),
            midtrans_outage: rate(4_000),
            bad_receiver: rate(8_000),
            clock_jump: rate(4_000),
            restart: rate(4_000),
            forged: rate(5_000),
            freeze: rate(3_000),
        }
    }
}

/// Faults of the simulator's own, for all orders.
fn faults(chance: &mut Chance) -> Vec<Fault> {
    let mut all = Vec::new();
    for on in [On::Charge, On::Status, On::Cancel, On::Expire, On::Refund] {
        for action in [
            Action::LostBefore {},
            Action::LostAfter {},
            Action::Http { status: 500, body: None },
            Action::Http { status: 503, body: None },
            Action::Http { status: 429, body: None },
            Action::Http { status: 502, body: Some("<html>Bad Gateway</html>".into()) },
            Action::HttpAfter { status: 504, body: None },
            Action::HttpAfter { status: 500, body: None },
            Action::Delay { ms: 4_000, when: When::Before },
            Action::Delay { ms: 40_000, when: When::Before },
            Action::Delay { ms: 15_000, when: When::After },
            Action::Garbage {},
            Action::Truncate {},
            Action::Empty {},
        ] {
            all.push((on, action));
        }
    }
    for (code, shape) in [
        (900, Shape::Error),
        (900, Shape::Deny),
        (201, Shape::Error),
        (4060, Shape::Error),
        (112, Shape::Error),
        (132, Shape::Error),
        (2901, Shape::Error),
    ] {
        all.push((On::Charge, Action::ProviderError { code, shape }));
    }
    for seconds in [5, 60, 600, 4_000] {
        all.push((On::Status, Action::StaleStatus { seconds }));
    }
    for action in [Action::WrongAmount {}, Action::CustomerFee { rupiah: 71 }] {
        all.push((On::Status, action));
    }
    for status_code in [202, 412, 414] {
        all.push((On::Refund, Action::RefundRefused { status_code }));
    }
    for action in [
        Action::Drop {},
        Action::Duplicate { n: 2 },
        Action::Reorder {},
        Action::Delay { ms: 30_000, when: When::After },
        Action::Delay { ms: 1_200_000, when: When::After },
        Action::ForgeSignature {},
        Action::WrongAmount {},
        Action::AsQris {},
    ] {
        all.push((On::Notification, action));
    }
    let armed = all.into_iter().filter_map(|(on, action)| {
        if !chance.percent(20) {
            return None;
        }
        let permille = chance.pick(&[10, 30, 100, 300]);
        Some(Fault {
            on,
            action,
            times: None,
            probability_permille: Some(permille),
            order_id: None,
            skip: 0,
        })
    });
    armed.collect()
}
