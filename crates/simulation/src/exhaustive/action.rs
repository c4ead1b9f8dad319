//! What can happen next in a small world, and how often at most.

use std::fmt;

use gopay_core::doubt::Verdict;

/// A process of the adapter: one call, one look of a worker, one notification. Each is an instance
/// of its own, with a store client, wires and ids of its own; they share what is durable, and
/// nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A PSP's call, by its place in the cast.
    Call(u8),
    /// A worker that looks after what is due.
    Checks(u8),
    /// A worker that sends what is owed to PSPs.
    Deliveries(u8),
    /// A notification of Midtrans being handled.
    Notification(u8),
    /// A person who decides about money in doubt.
    Person(Judgement),
}

impl Who {
    /// Its clock is ahead, where clocks differ.
    pub(crate) const fn is_ahead(self) -> bool {
        matches!(self, Self::Deliveries(1) | Self::Checks(1) | Self::Notification(1))
    }

    /// The number by which its ids differ from those of others.
    pub(crate) fn instance(self) -> u16 {
        let (kind, slot) = match self {
            Self::Call(slot) => (0, slot),
            Self::Checks(slot) => (1, slot),
            Self::Deliveries(slot) => (2, slot),
            Self::Notification(slot) => (3, slot),
            Self::Person(_) => (4, 0),
        };
        kind * 16 + u16::from(slot)
    }
}

/// A verdict, in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Judgement {
    /// The money is the payment's.
    Paid,
    /// It is not.
    Failed,
    /// It goes back.
    Refund,
}

impl Judgement {
    pub(crate) const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Paid => Self::Paid,
            Verdict::Failed => Self::Failed,
            Verdict::Refund => Self::Refund,
        }
    }

    pub(crate) const fn verdict(self) -> Verdict {
        match self {
            Self::Paid => Verdict::Paid,
            Self::Failed => Verdict::Failed,
            Self::Refund => Verdict::Refund,
        }
    }
}

/// What becomes of one step of a process to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It takes effect, and its answer arrives.
    Done,
    /// It takes no effect, and the process knows: the store failed before, nothing was sent, the
    /// receiver refused.
    NotDone,
    /// A request that is lost on its way: no effect, and the process cannot know.
    Lost,
    /// It takes effect, and the process is not told: the store failed afterwards, the answer was lost.
    Unheard,
    /// A request that arrives later than its sender waits.
    Late,
    /// It takes effect, and the process dies before it hears of it.
    DoneThenDies,
}

/// What the outside does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outside {
    /// The shopper pays.
    Pays,
    /// Money arrives for a charge that had ended.
    PaysLate,
    /// Somebody gives money back in Midtrans' dashboard.
    RefundsInDashboard,
    /// GET status shows the right amount again.
    AmountIsMended,
}

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A process begins.
    Begin(Who),
    /// A notification of Midtrans, by its place among those that wait, reaches an instance.
    Bring(u8, Who),
    /// A notification is lost for good.
    Drop(u8),
    /// The step that a process waits for, by its place among the process' steps.
    Step(Who, u8, Fate),
    /// A late request reaches Midtrans.
    Arrive(u8),
    /// A process dies where it stands.
    Die(Who),
    /// The lease of a process is over, which has died or stands still: what it had claimed is due, and what
    /// it writes is refused.
    Bury(Who),
    /// Processes that pause go on.
    Wake,
    /// The clock moves to the next moment for which something is planned.
    Tick,
    /// The clock leaps far ahead; nothing may be under way.
    Leap,
    /// See [`Outside`].
    Outside(Outside),
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?}")
    }
}

/// How often each of these may happen in one history; that makes the world finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Processes that die.
    pub deaths: u8,
    /// Steps of the store that fail, done or not.
    pub store_faults: u8,
    /// Requests to Midtrans that are lost, or whose answers are.
    pub wire_faults: u8,
    /// Requests that arrive late.
    pub late: u8,
    /// Receivers that refuse, or whose answer is lost.
    pub receiver_faults: u8,
    /// Notifications that are lost for good.
    pub drops: u8,
    /// Looks of workers at payments and refunds.
    pub checks: u8,
    /// Looks of workers at deliveries.
    pub deliveries: u8,
    /// Notifications that are handled, repeats included.
    pub notifications: u8,
    /// Moves of the clock to the next planned moment.
    pub ticks: u8,
    /// Moves of the clock far ahead.
    pub leaps: u8,
    /// Decisions of a person.
    pub decisions: u8,
    /// Payments of the shopper, in time.
    pub pays: u8,
    /// Payments after the end.
    pub pays_late: u8,
    /// Refunds in the dashboard.
    pub dashboard: u8,
    /// Processes that stand still until their leases are over.
    pub burials: u8,
}

impl Budget {
    /// Counts one more; in the end, when all comes to rest, there is no limit.
    pub(crate) fn count(&mut self, which: impl FnOnce(&mut Self) -> &mut u8) {
        let count = which(self);
        *count = count.saturating_add(1);
    }
}
