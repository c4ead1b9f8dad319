//! The small worlds: who acts, what has happened before, and how much may go wrong.

use std::time::Duration;

use gopay_core::doubt::Verdict;

use super::action::{Action, Budget, Fate, Outside, Who};
use crate::parties::{self, MERCHANTS};

/// A call that a PSP makes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// TRANSACTION, under this nonce.
    Transaction {
        /// Two calls of one nonce are a call and its repeat.
        nonce: &'static str,
    },
    /// CANCELTX of the first payment.
    Cancel,
    /// REFUND of the first payment.
    Refund {
        /// How much, in sen.
        sen: u64,
    },
}

/// One small world.
#[derive(Clone, Copy, Debug)]
pub struct SmallWorld {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, for people.
    pub about: &'static str,
    /// Who may call.
    pub calls: &'static [Call],
    /// What has happened before anything can go wrong: these begin, and run to their end.
    pub prologue: &'static [Action],
    /// How much may happen.
    pub budget: Budget,
    /// GET status shows a rupiah too many.
    pub amount_is_wrong: bool,
    /// What a person may decide.
    pub verdicts: &'static [Verdict],
    /// Instances hold leases, and claims are theirs; the clocks of the second of each kind are so far ahead.
    /// None: claims are over at their time.
    pub leases: Option<Duration>,
}

/// How much every payment is about.
pub(crate) const SEN: u64 = 1_000_000;

const NOTHING: Budget = Budget {
    deaths: 0,
    store_faults: 0,
    wire_faults: 0,
    late: 0,
    receiver_faults: 0,
    drops: 0,
    checks: 0,
    deliveries: 0,
    notifications: 0,
    ticks: 0,
    leaps: 0,
    decisions: 0,
    pays: 0,
    pays_late: 0,
    dashboard: 0,
    burials: 0,
};

const OPENED: &[Action] = &[Action::Begin(Who::Call(0))];
const OWED: &[Action] = &[
    Action::Begin(Who::Call(0)),
    Action::Outside(Outside::Pays),
    Action::Bring(0, Who::Notification(0)),
];
const PAID: &[Action] = &[
    Action::Begin(Who::Call(0)),
    Action::Outside(Outside::Pays),
    Action::Bring(0, Who::Notification(0)),
    Action::Begin(Who::Deliveries(0)),
];

/// All of them.
pub const WORLDS: &[SmallWorld] = &[
    SmallWorld {
        name: "leases",
        about: "two workers whose clocks differ about one delivery; one dies or stands still until its lease is over",
        calls: &[Call::Transaction { nonce: "n" }],
        prologue: OWED,
        budget: Budget {
            deliveries: 2,
            receiver_faults: 1,
            deaths: 1,
            burials: 1,
            ticks: 1,
            ..NOTHING
        },
        amount_is_wrong: false,
        verdicts: &[],
        leases: Some(Duration::from_secs(3_600)),
    },
    SmallWorld {
        name: "opening",
        about: "a call and its repeat at two instances, a death, a bad wire, a worker",
        calls: &[Call::Transaction { nonce: "n" }, Call::Transaction { nonce: "n" }],
        prologue: &[],
        budget: Budget { deaths: 1, wire_faults: 1, checks: 1, ticks: 1, ..NOTHING },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "late-charge",
        about: "a charge that arrives after everybody has given up on it, two looks of workers",
        calls: &[Call::Transaction { nonce: "n" }],
        prologue: &[],
        budget: Budget { late: 1, checks: 2, ticks: 2, pays: 1, notifications: 1, ..NOTHING },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "paying",
        about: "paid, cancelled and over at the same time; notifications lost, repeated, in any order",
        calls: &[Call::Transaction { nonce: "n" }, Call::Cancel],
        prologue: OPENED,
        budget: Budget {
            pays: 1,
            pays_late: 1,
            notifications: 2,
            drops: 1,
            checks: 1,
            leaps: 1,
            ..NOTHING
        },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "two-workers",
        about: "two workers about one payment whose shopper pays, one of which dies",
        calls: &[Call::Transaction { nonce: "n" }],
        prologue: OPENED,
        budget: Budget {
            pays: 1,
            checks: 2,
            ticks: 2,
            leaps: 1,
            deaths: 1,
            notifications: 1,
            ..NOTHING
        },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "two-refunds",
        about: "two refunds at two instances that are too much together",
        calls: &[
            Call::Transaction { nonce: "n" },
            Call::Refund { sen: 600_000 },
            Call::Refund { sen: 500_000 },
        ],
        prologue: PAID,
        budget: Budget { wire_faults: 1, ..NOTHING },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "refund-taken-over",
        about: "a refund whose sender is slow or dies, and a worker that takes it over",
        calls: &[Call::Transaction { nonce: "n" }, Call::Refund { sen: 600_000 }],
        prologue: PAID,
        budget: Budget { wire_faults: 1, late: 1, deaths: 1, checks: 1, ticks: 1, ..NOTHING },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "refund-unanswered",
        about: "a refund of which no try is answered",
        calls: &[Call::Transaction { nonce: "n" }, Call::Refund { sen: 600_000 }],
        prologue: PAID,
        budget: Budget { wire_faults: 3, ..NOTHING },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "refund-past-us",
        about: "a refund of ours and one in Midtrans' dashboard, with its notifications",
        calls: &[Call::Transaction { nonce: "n" }, Call::Refund { sen: 600_000 }],
        prologue: PAID,
        budget: Budget { dashboard: 1, notifications: 1, wire_faults: 1, ..NOTHING },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "late-notifications",
        about: "money after the end, of which the notification comes, is repeated, or is lost",
        calls: &[Call::Transaction { nonce: "n" }],
        prologue: &[
            Action::Begin(Who::Call(0)),
            Action::Leap,
            Action::Bring(0, Who::Notification(0)),
        ],
        budget: Budget { pays_late: 1, notifications: 2, drops: 1, deliveries: 1, ..NOTHING },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "late-money",
        about: "money after the end, two workers that tell the PSP, receivers that refuse",
        calls: &[Call::Transaction { nonce: "n" }],
        prologue: &[
            Action::Begin(Who::Call(0)),
            Action::Leap,
            Action::Bring(0, Who::Notification(0)),
        ],
        budget: Budget {
            pays_late: 1,
            notifications: 1,
            deliveries: 2,
            receiver_faults: 1,
            deaths: 1,
            ticks: 1,
            ..NOTHING
        },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
    SmallWorld {
        name: "doubt",
        about: "another amount than asked for, a person who decides while polls and notifications go on",
        calls: &[Call::Transaction { nonce: "n" }],
        prologue: OPENED,
        budget: Budget {
            pays: 1,
            notifications: 1,
            checks: 1,
            ticks: 1,
            leaps: 1,
            decisions: 1,
            wire_faults: 1,
            ..NOTHING
        },
        amount_is_wrong: true,
        verdicts: &[Verdict::Paid, Verdict::Failed, Verdict::Refund],
        leases: None,
    },
    SmallWorld {
        name: "bad-store",
        about: "a store that fails before and after a step, under a call, a worker and a refund",
        calls: &[Call::Transaction { nonce: "n" }, Call::Refund { sen: 600_000 }],
        prologue: &[],
        budget: Budget {
            store_faults: 1,
            pays: 1,
            notifications: 1,
            checks: 1,
            ticks: 1,
            ..NOTHING
        },
        amount_is_wrong: false,
        verdicts: &[],
        leases: None,
    },
];

impl Call {
    /// The body of the call; `txid` is the first payment's.
    pub(crate) fn body(self, txid: &str, number: usize) -> String {
        let [merchant, ..] = &MERCHANTS;
        match self {
            Self::Transaction { nonce } => {
                let sen = SEN.to_string();
                let rupiah = SEN / 100;
                let items = format!(r#"[{{"name":"Kopi","price":"{rupiah}.00","quantity":1}}]"#);
                let pairs = [
                    ("tag", "gopay"),
                    ("countrycode", "ID"),
                    ("currency", "IDR"),
                    ("amount", sen.as_str()),
                    ("merchanttxid", "order"),
                    ("channel", merchant.channel.as_str()),
                    ("notificationurl", "https://alpha.example/notify"),
                    ("accountholdername", "Siti Rahma"),
                    ("transientin.orderitems", &items),
                    ("nonce", nonce),
                ];
                parties::body(merchant, "TRANSACTION", &pairs)
            }
            Self::Cancel => parties::body(merchant, "CANCELTX", &[("txid", txid)]),
            Self::Refund { sen } => {
                let (sen, reference) = (sen.to_string(), format!("back-{number}"));
                let pairs = [
                    ("txid", txid),
                    ("amount", sen.as_str()),
                    ("currency", "IDR"),
                    ("merchantrefundid", &reference),
                ];
                parties::body(merchant, "REFUND", &pairs)
            }
        }
    }
}

impl Fate {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Done, Self::NotDone, Self::Lost, Self::Unheard, Self::Late, Self::DoneThenDies];
}
