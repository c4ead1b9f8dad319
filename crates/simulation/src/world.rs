//! What all parties of a run share: time, chance, injected faults, the durable store, Midtrans, and
//! the evidence for the audit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::hash::Hasher as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gopay_core::time::Timestamp;
use gopay_simulator::Engine;
use gopay_store::Delivery;
use gopay_store::contract::Model;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::plan::{Plan, Rates};
use crate::process::{Life, Process};
use crate::receiver::{Receipt, ReceiverBehaviour};

/// 2026-01-01T00:00:00Z: when every run begins.
const BEGIN: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// Starts a process; given from outside, since the process holds its world.
pub(crate) type Launch = fn(&Arc<World>, usize);

/// See the module.
pub(crate) struct World {
    pub(crate) plan: Plan,
    /// Starts the process of a slot, in the place of one that has ended.
    pub(crate) launch: Launch,
    /// What has been committed.
    pub(crate) durable: Model,
    chance: Mutex<Chance>,
    engine: Mutex<Engine>,
    began: Instant,
    /// Nothing goes wrong any more.
    faults_stopped: AtomicBool,
    moments: AtomicU64,
    generations: AtomicU64,
    state: Mutex<State>,
    log: Mutex<Log>,
}

struct State {
    /// By which the clocks of all have leapt ahead.
    leapt: Duration,
    /// By how many microseconds the clock of each slot is wrong.
    skews: Vec<i64>,
    /// Until when machines stand still.
    frozen: Vec<Option<Instant>>,
    /// Which process is at a delivery.
    claims: BTreeMap<i64, Arc<Life>>,
    processes: Vec<Option<Arc<Process>>>,
    store_away_until: Timestamp,
    midtrans_away_until: Timestamp,
    receivers: [ReceiverBehaviour; 2],
    receipts: BTreeMap<String, Vec<Receipt>>,
    /// Orders of which GET status shows another amount.
    doubtful: BTreeSet<String>,
    /// Orders of whose money we were told, and took it.
    answered: BTreeSet<String>,
}

#[derive(Default)]
struct Log {
    digest: std::hash::DefaultHasher,
    /// None: only digested.
    lines: Option<Vec<String>>,
    problems: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(
        plan: Plan,
        chance: Chance,
        engine: Engine,
        launch: Launch,
        traced: bool,
    ) -> Arc<Self> {
        let slots = plan.instances;
        Arc::new(Self {
            plan,
            launch,
            durable: Model::default(),
            chance: Mutex::new(chance),
            engine: Mutex::new(engine),
            began: Instant::now(),
            faults_stopped: AtomicBool::new(false),
            moments: AtomicU64::new(0),
            generations: AtomicU64::new(0),
            state: Mutex::new(State {
                leapt: Duration::ZERO,
                skews: vec![0; slots],
                frozen: vec![None; slots],
                claims: BTreeMap::new(),
                processes: vec![None; slots],
                store_away_until: BEGIN,
                midtrans_away_until: BEGIN,
                receivers: [ReceiverBehaviour::Good; 2],
                receipts: BTreeMap::new(),
                doubtful: BTreeSet::new(),
                answered: BTreeSet::new(),
            }),
            log: Mutex::new(Log { lines: traced.then(Vec::new), ..Log::default() }),
        })
    }

    // --- time and chance ------------------------------------------------------------------------

    /// The true time, which Midtrans, shoppers and PSPs have.
    pub(crate) fn now(&self) -> Timestamp {
        BEGIN.after(self.began.elapsed()).after(lock(&self.state).leapt)
    }

    /// The time as a machine of ours has it.
    pub(crate) fn clock_of(&self, slot: usize) -> Timestamp {
        let skew = lock(&self.state).skews.get(slot).copied().unwrap_or(0);
        Timestamp::from_micros(self.now().as_micros().saturating_add(skew))
    }

    pub(crate) fn set_skew(&self, slot: usize, micros: i64) {
        if let Some(skew) = lock(&self.state).skews.get_mut(slot) {
            *skew = micros;
        }
    }

    pub(crate) fn set_frozen(&self, slot: usize, until: Instant) {
        if let Some(frozen) = lock(&self.state).frozen.get_mut(slot) {
            *frozen = Some(until);
        }
    }

    pub(crate) fn frozen_until(&self, slot: usize) -> Option<Instant> {
        lock(&self.state).frozen.get(slot).copied().flatten()
    }

    /// A process has claimed deliveries: no other that lives and has its number may be at one of them.
    pub(crate) fn claimed(&self, life: &Arc<Life>, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let id = delivery.delivery_id;
            let before = lock(&self.state).claims.insert(id, Arc::clone(life));
            if let Some(other) = before
                && !Arc::ptr_eq(&other, life)
                && !other.is_dead()
                && self.holds_number(&other)
            {
                self.problem(format!("delivery {id} is claimed by {other} and {life} at once"));
            }
        }
    }

    /// A process has told how its try ended.
    pub(crate) fn recorded(&self, life: &Arc<Life>, delivery: &Delivery) {
        let mut state = lock(&self.state);
        if state.claims.get(&delivery.delivery_id).is_some_and(|at| Arc::ptr_eq(at, life)) {
            state.claims.remove(&delivery.delivery_id);
        }
    }

    /// Puts all clocks ahead at once, as if every machine had slept.
    pub(crate) fn leap(&self, span: Duration) {
        lock(&self.state).leapt += span;
        self.trace(format_args!("all clocks leap by {} s", span.as_secs()));
    }

    pub(crate) fn simulated(&self) -> Duration {
        self.now().since(BEGIN)
    }

    pub(crate) fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut lock(&self.chance))
    }

    /// Numbers moments, to tell before from after.
    pub(crate) fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed) + 1
    }

    // --- injected faults ------------------------------------------------------------------------

    /// How often things go wrong now.
    pub(crate) fn rates(&self) -> Rates {
        if self.faults_stopped() { Rates::default() } else { self.plan.rates }
    }

    pub(crate) fn faults_stopped(&self) -> bool {
        self.faults_stopped.load(Ordering::Relaxed)
    }

    /// From now on everything works, except what is under way.
    pub(crate) fn stop_faults(&self) {
        self.faults_stopped.store(true, Ordering::Relaxed);
        self.engine(|engine, _| engine.clear_faults());
        let mut state = lock(&self.state);
        state.skews.fill(0);
        state.store_away_until = BEGIN;
        state.midtrans_away_until = BEGIN;
        state.receivers = [ReceiverBehaviour::Good; 2];
        drop(state);
        self.trace(format_args!("no more faults"));
    }

    pub(crate) fn store_is_away(&self) -> bool {
        self.now() < lock(&self.state).store_away_until
    }

    pub(crate) fn midtrans_is_away(&self) -> bool {
        self.now() < lock(&self.state).midtrans_away_until
    }

    pub(crate) fn send_store_away(&self, span: Duration) {
        let until = self.now().after(span);
        lock(&self.state).store_away_until = until;
    }

    pub(crate) fn send_midtrans_away(&self, span: Duration) {
        let until = self.now().after(span);
        lock(&self.state).midtrans_away_until = until;
    }

    pub(crate) fn receiver_behaviour(&self, psp: usize) -> ReceiverBehaviour {
        let found = lock(&self.state).receivers.get(psp).copied();
        found.unwrap_or(ReceiverBehaviour::Good)
    }

    pub(crate) fn set_receiver_behaviour(&self, psp: usize, behaviour: ReceiverBehaviour) {
        if let Some(of) = lock(&self.state).receivers.get_mut(psp) {
            *of = behaviour;
        }
    }

    // --- parties --------------------------------------------------------------------------------

    /// Does something at Midtrans, now.
    pub(crate) fn engine<T>(&self, act: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let now = self.now();
        act(&mut lock(&self.engine), now)
    }

    pub(crate) fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn seat(&self, slot: usize, process: Option<Arc<Process>>) {
        if let Some(seat) = lock(&self.state).processes.get_mut(slot) {
            *seat = process;
        }
    }

    pub(crate) fn process(&self, slot: usize) -> Option<Arc<Process>> {
        lock(&self.state).processes.get(slot).cloned().flatten()
    }

    /// Lets go of all processes.
    pub(crate) fn vacate(&self) {
        lock(&self.state).processes.clear();
    }

    /// All processes run.
    pub(crate) fn is_staffed(&self) -> bool {
        lock(&self.state).processes.iter().all(Option::is_some)
    }

    /// A process that takes calls, as a load balancer would choose.
    pub(crate) fn any_process(&self) -> Option<Arc<Process>> {
        let up: Vec<Arc<Process>> = lock(&self.state).processes.iter().flatten().cloned().collect();
        let last = u64::try_from(up.len()).unwrap_or(0).checked_sub(1)?;
        let at = self.chance(|chance| chance.between(0, last));
        up.get(usize::try_from(at).unwrap_or(0)).cloned()
    }

    pub(crate) fn receive(&self, txid: String, receipt: Receipt) {
        lock(&self.state).receipts.entry(txid).or_default().push(receipt);
    }

    pub(crate) fn receipts(&self, txid: &str) -> Vec<Receipt> {
        lock(&self.state).receipts.get(txid).cloned().unwrap_or_default()
    }

    pub(crate) fn mark_doubtful(&self, txid: &str) {
        lock(&self.state).doubtful.insert(txid.to_owned());
    }

    pub(crate) fn doubtful(&self) -> BTreeSet<String> {
        lock(&self.state).doubtful.clone()
    }

    pub(crate) fn unmark_doubtful(&self, txid: &str) {
        lock(&self.state).doubtful.remove(txid);
    }

    pub(crate) fn mark_notified(&self, txid: &str) {
        lock(&self.state).answered.insert(txid.to_owned());
    }

    pub(crate) fn answered(&self) -> BTreeSet<String> {
        lock(&self.state).answered.clone()
    }

    pub(crate) fn notified_transactions(&self) -> Vec<String> {
        lock(&self.state).receipts.keys().cloned().collect()
    }

    // --- evidence -------------------------------------------------------------------------------

    /// One thing that happened; also goes into the digest by which two runs of a seed are compared.
    pub(crate) fn trace(&self, what: fmt::Arguments<'_>) {
        let at = self.now();
        let mut log = lock(&self.log);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(text, "{at} {what}");
        log.digest.write(text.as_bytes());
        if let Some(lines) = &mut log.lines {
            lines.push(text);
        }
    }

    pub(crate) fn count(&self, what: &'static str) {
        *lock(&self.log).counts.entry(what).or_default() += 1;
    }

    /// Something that must not be.
    pub(crate) fn problem(&self, what: String) {
        self.trace(format_args!("PROBLEM {what}"));
        lock(&self.log).problems.push(what);
    }

    pub(crate) fn take_log(&self) -> (u64, Vec<String>, Vec<String>, BTreeMap<&'static str, u64>) {
        let mut log = lock(&self.log);
        let lines = log.lines.take().unwrap_or_default();
        let counts = std::mem::take(&mut log.counts);
        (log.digest.finish(), lines, std::mem::take(&mut log.problems), counts)
    }
}
