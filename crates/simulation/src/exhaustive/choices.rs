//! What can happen next.

use std::time::Duration;

use gopay_core::payment::PaymentState;
use gopay_core::time::Timestamp;
use gopay_simulator::Status;
use gopay_store::DeliveryState;

use super::action::{Action, Budget, Fate, Judgement, Outside, Who};
use super::cast::Call;
use super::stage::{Inner, Kind, Stage};

/// A call has its answer by then, or its process has died: the clock moves no further at once while
/// something is under way.
const UNDER_WAY_MAX: Duration = Duration::from_secs(90);

/// Slots of workers and of notifications that are handled at the same time.
const SLOTS: [u8; 2] = [0, 1];

/// All that can happen now, within the budget of the world.
pub(super) fn enabled(stage: &Stage) -> Vec<Action> {
    let mut all = Vec::new();
    steps(stage, &mut all);
    calls(stage, &mut all);
    workers(stage, &mut all);
    outside(stage, &mut all);
    time(stage, &mut all);
    all
}

/// What becomes of the steps that wait.
fn steps(stage: &Stage, all: &mut Vec<Action>) {
    let (inner, budget) = (stage.inner(), &stage.world.budget);
    for (who, nth, kind) in inner.steps() {
        for fate in Fate::ALL {
            if may(kind, fate, budget, &inner.spent) {
                all.push(Action::Step(who, nth, fate));
            }
        }
    }
    if inner.spent.deaths < budget.deaths {
        let waits = |who: &Who| inner.steps().iter().any(|(waiting, ..)| waiting == who);
        all.extend(inner.living().filter(waits).map(Action::Die));
    }
    if stage.world.leases.is_some() {
        let standing = inner.spent.burials < budget.burials;
        all.extend(inner.leased(standing).into_iter().map(Action::Bury));
    }
    for nth in 0..u8::try_from(inner.late.len()).unwrap_or(u8::MAX) {
        all.push(Action::Arrive(nth));
    }
    if inner.pauses() {
        all.push(Action::Wake);
    }
}

/// Whether such a step can have such a fate. What no process can tell apart is left out.
const fn may(kind: Kind, fate: Fate, budget: &Budget, spent: &Budget) -> bool {
    match (kind, fate) {
        (_, Fate::Done) => true,
        (Kind::Write | Kind::Tells | Kind::Notifies, Fate::DoneThenDies) => {
            spent.deaths < budget.deaths
        }
        (Kind::Read, Fate::NotDone) | (Kind::Write, Fate::NotDone | Fate::Unheard) => {
            spent.store_faults < budget.store_faults
        }
        (Kind::Asks, Fate::Lost) | (Kind::Tells, Fate::NotDone | Fate::Lost | Fate::Unheard) => {
            spent.wire_faults < budget.wire_faults
        }
        (Kind::Tells, Fate::Late) => spent.late < budget.late,
        (Kind::Notifies, Fate::NotDone | Fate::Lost | Fate::Unheard) => {
            spent.receiver_faults < budget.receiver_faults
        }
        _ => false,
    }
}

impl Inner {
    pub(super) const fn spent_mut(&mut self) -> &mut Budget {
        &mut self.spent
    }

    /// Takes from the budget what a step's fate costs.
    pub(super) fn spend(&mut self, who: Who, nth: u8, fate: Fate) {
        let steps = self.steps();
        let Some((.., kind)) = steps.iter().find(|step| (step.0, step.1) == (who, nth)) else {
            return;
        };
        let count = match (kind, fate) {
            (_, Fate::Done) => return,
            (_, Fate::DoneThenDies) => &mut self.spent.deaths,
            (_, Fate::Late) => &mut self.spent.late,
            (Kind::Read | Kind::Write, _) => &mut self.spent.store_faults,
            (Kind::Asks | Kind::Tells, _) => &mut self.spent.wire_faults,
            (Kind::Notifies, _) => &mut self.spent.receiver_faults,
        };
        *count = count.saturating_add(1);
    }

    /// Forgets a notification.
    pub(super) fn take_notification(&mut self, nth: u8) {
        let mut free = self
            .notifications
            .iter()
            .enumerate()
            .filter(|(_, notifications)| notifications.under_way.is_none());
        let found = free.nth(usize::from(nth)).map(|(at, _)| at);
        if let Some(at) = found {
            self.notifications.remove(at);
        }
    }
}

fn calls(stage: &Stage, all: &mut Vec<Action>) {
    let payments = stage.payments();
    let inner = stage.inner();
    let first = payments.first();
    for (number, call) in (0_u8..).zip(stage.world.calls) {
        let can = match call {
            Call::Transaction { .. } => true,
            Call::Cancel => first.is_some_and(|row| row.state == PaymentState::Pending),
            Call::Refund { .. } => first.is_some_and(|row| row.state == PaymentState::Succeeded),
        };
        // Two calls that are the same begin in their order.
        let earlier = number.checked_sub(1);
        let same = earlier.and_then(|at| stage.world.calls.get(usize::from(at)));
        let in_turn = !same.is_some_and(|same| same == call)
            || earlier.is_some_and(|at| inner.begun_calls.contains(&at));
        if can && in_turn && !inner.begun_calls.contains(&number) {
            all.push(Action::Begin(Who::Call(number)));
        }
    }
}

/// A free slot; the first one, since slots are alike.
fn slot(inner: &Inner, who: fn(u8) -> Who) -> Option<Who> {
    SLOTS.into_iter().map(who).find(|who| !inner.lives(*who))
}

/// Whether a worker would find a payment or refund.
fn check_is_due(stage: &Stage, now: Timestamp) -> bool {
    let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    stage.payments().iter().any(|row| due(row.next_check_at))
        || stage.durable.refunds().iter().any(|row| due(row.next_check_at))
}

/// When the first waiting delivery of each payment is due; the others wait for it.
fn deliveries_due(stage: &Stage) -> Vec<Timestamp> {
    let waiting = stage.deliveries().into_iter().filter(|row| row.state == DeliveryState::Waiting);
    let mut first = std::collections::BTreeMap::new();
    for row in waiting {
        first.entry(row.tx_id).or_insert(row.next_attempt_at);
    }
    first.into_values().collect()
}

fn delivery_is_due(stage: &Stage, now: Timestamp) -> bool {
    deliveries_due(stage).iter().any(|at| *at <= now)
}

fn workers(stage: &Stage, all: &mut Vec<Action>) {
    let budget = &stage.world.budget;
    let now = stage.inner().now;
    let (check, delivery) = (check_is_due(stage, now), delivery_is_due(stage, now));
    let in_doubt = stage.payments().iter().any(gopay_core::payment::Payment::is_in_doubt);
    let inner = stage.inner();
    if check && inner.spent.checks < budget.checks {
        all.extend(slot(&inner, Who::Checks).map(Action::Begin));
    }
    if delivery && inner.spent.deliveries < budget.deliveries {
        all.extend(slot(&inner, Who::Deliveries).map(Action::Begin));
    }
    let free = inner.notifications.iter().filter(|notifications| notifications.under_way.is_none());
    for (nth, notifications) in (0_u8..).zip(free) {
        if inner.spent.notifications < budget.notifications && !notifications.refused {
            all.extend(slot(&inner, Who::Notification).map(|who| Action::Bring(nth, who)));
        }
        if inner.spent.drops < budget.drops {
            all.push(Action::Drop(nth));
        }
    }
    if in_doubt && inner.spent.decisions < budget.decisions {
        for verdict in stage.world.verdicts {
            all.push(Action::Begin(Who::Person(Judgement::of(*verdict))));
        }
    }
}

fn outside(stage: &Stage, all: &mut Vec<Action>) {
    let (inner, budget) = (stage.inner(), &stage.world.budget);
    let Some(charge) = inner.charges().into_iter().last() else { return };
    let refundable = matches!(charge.status, Status::Settlement | Status::PartialRefund);
    let ended = !charge.status.is_paid() && charge.status != Status::Pending;
    let spent = &inner.spent;
    for (can, outside) in [
        (charge.status == Status::Pending && spent.pays < budget.pays, Outside::Pays),
        (ended && spent.pays_late < budget.pays_late, Outside::PaysLate),
        (refundable && spent.dashboard < budget.dashboard, Outside::RefundsInDashboard),
        (charge.status.is_paid() && !inner.engine.faults().is_empty(), Outside::AmountIsMended),
    ] {
        if can {
            all.push(Action::Outside(outside));
        }
    }
}

/// The next moment after now for which something is planned.
pub(super) fn next_planned(stage: &Stage) -> Option<Timestamp> {
    let payments = stage.payments().into_iter().filter_map(|row| row.next_check_at);
    let refunds = stage.durable.refunds().into_iter().filter_map(|row| row.next_check_at);
    let times = payments.chain(refunds).chain(deliveries_due(stage));
    let now = stage.inner().now;
    times.filter(|at| *at > now).min()
}

fn time(stage: &Stage, all: &mut Vec<Action>) {
    let next = next_planned(stage);
    let (inner, budget) = (stage.inner(), &stage.world.budget);
    let quiet = inner.is_quiet();
    if let Some(next) = next
        && inner.spent.ticks < budget.ticks
        && (quiet || next.since(inner.now) <= UNDER_WAY_MAX)
    {
        all.push(Action::Tick);
    }
    if quiet && inner.spent.leaps < budget.leaps {
        all.push(Action::Leap);
    }
}

/// What somebody does next when nothing goes wrong and nothing is under way.
pub(super) fn next_in_peace(stage: &Stage) -> Option<Action> {
    let now = stage.inner().now;
    let dead = stage.inner().leased(false).into_iter().next();
    if let Some(dead) = dead.filter(|_| stage.world.leases.is_some()) {
        return Some(Action::Bury(dead));
    }
    let free = stage.inner().notifications.iter().position(|notifications| !notifications.refused);
    if let Some(nth) = free {
        return u8::try_from(nth).ok().map(|nth| Action::Bring(nth, Who::Notification(0)));
    }
    if delivery_is_due(stage, now) {
        return Some(Action::Begin(Who::Deliveries(0)));
    }
    if check_is_due(stage, now) {
        return Some(Action::Begin(Who::Checks(0)));
    }
    let mut payments = stage.payments().into_iter();
    let open = payments.any(|row| row.is_in_doubt() && row.to_return().is_none());
    let decides = stage.world.verdicts.first().filter(|_| open);
    if let Some(verdict) = decides {
        return Some(Action::Begin(Who::Person(Judgement::of(*verdict))));
    }
    // Late money can still come, and the watch for it is long.
    None
}
