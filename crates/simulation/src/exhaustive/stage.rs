//! What all processes of one history share, and what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use gopay_core::doubt::Verdict;
use gopay_core::ids::TxId;
use gopay_core::payment::Payment;
use gopay_core::time::Timestamp;
use gopay_outbound::Incoming;
use gopay_simulator::{
    Action as Fault, ApiRequest, Engine, EngineConfig, Fault as Faulty, MerchantKey,
    NotificationOutcome, On, TransactionView,
};
use gopay_store::contract::Model;
use gopay_store::{Delivery, Search as _};
use tokio::sync::oneshot;

use super::action::{Budget, Fate, Who};
use super::cast::SmallWorld;
use crate::parties;
use crate::psp;

/// 2026-01-01T00:00:00Z: when every history begins.
pub(super) const BEGIN: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// What a step is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// Reads what is durable.
    Read,
    /// Changes what is durable.
    Write,
    /// Asks Midtrans.
    Asks,
    /// Tells Midtrans to do something.
    Tells,
    /// Notifies a PSP.
    Notifies,
}

/// A step that waits until the history says what becomes of it.
struct Waiting {
    who: Who,
    kind: Kind,
    name: String,
    leave: oneshot::Sender<Fate>,
}

/// One process that has begun and not ended.
#[derive(Clone, Copy, Debug, Default)]
struct Process {
    /// Digest of all that it was told so far: its memory is a function of that.
    learnt: u64,
    /// Digest of the last of it.
    last: u64,
    /// It has returned; what it began in the background may still wait.
    ended: bool,
}

/// A notification of Midtrans that was not yet taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notification {
    pub(super) body: bytes::Bytes,
    /// Who handles it.
    pub(super) under_way: Option<Who>,
    /// It was refused since the clock last moved.
    pub(super) refused: bool,
}

/// See the module.
pub(super) struct Stage {
    pub(super) world: &'static SmallWorld,
    /// What has been committed.
    pub(super) durable: Model,
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub(super) engine: Engine,
    pub(super) now: Timestamp,
    waiting: Vec<Waiting>,
    processes: BTreeMap<Who, Process>,
    pub(super) late: Vec<ApiRequest>,
    pub(super) notifications: Vec<Notification>,
    pub(super) spent: Budget,
    pub(super) begun_calls: BTreeSet<u8>,
    /// Keys under which Midtrans did something: it repeats what it answered.
    keys: BTreeSet<String>,
    progress: u64,
    chance: u32,
    /// What was said to whom; see `books`.
    pub(super) heard: Told,
    /// In which epoch each process has its number, also the dead.
    epochs: BTreeMap<Who, i64>,
    /// Who is at which delivery.
    claims: BTreeMap<i64, Who>,
}

/// All that was said to PSPs, and seen of payments, in one history.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Told {
    /// Answers to TRANSACTION by nonce.
    pub(super) answers: BTreeMap<&'static str, BTreeSet<Vec<u8>>>,
    /// Final times that receivers took, by TXID.
    pub(super) taken: BTreeMap<String, Vec<String>>,
    /// Words of the states that each payment has had, in order.
    pub(super) states: BTreeMap<TxId, Vec<&'static str>>,
    /// What a person decided.
    pub(super) judged: BTreeMap<TxId, &'static str>,
    /// What must never be.
    pub(super) problems: Vec<String>,
}

fn lock(of: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    pub(super) fn new(world: &'static SmallWorld) -> Arc<Self> {
        let mut engine = Engine::new(EngineConfig {
            merchants: vec![MerchantKey {
                server_key: parties::TEST_KEY.into(),
                merchant_id: "G1".into(),
            }],
            base_url: parties::MIDTRANS.into(),
            notify_pending: false,
            refund_confirmation_ms: 60 * 86_400_000,
            ..EngineConfig::default()
        });
        if world.amount_is_wrong {
            let fault = Faulty {
                on: On::Status,
                action: Fault::WrongAmount {},
                times: None,
                probability_permille: None,
                order_id: None,
                skip: 0,
            };
            engine.add_fault(fault).expect("the fault is well-formed");
        }
        Arc::new(Self {
            world,
            durable: Model::default(),
            inner: Mutex::new(Inner {
                engine,
                now: BEGIN,
                waiting: Vec::new(),
                processes: BTreeMap::new(),
                late: Vec::new(),
                notifications: Vec::new(),
                spent: Budget::default(),
                begun_calls: BTreeSet::new(),
                keys: BTreeSet::new(),
                progress: 0,
                chance: 0,
                heard: Told::default(),
                epochs: BTreeMap::new(),
                claims: BTreeMap::new(),
            }),
        })
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    // --- what is durable ------------------------------------------------------------------------

    pub(super) fn payments(&self) -> Vec<Payment> {
        self.durable.payments()
    }

    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        let of = |payment: &Payment| {
            let read = self.durable.deliveries_of(payment.tx_id).now_or_never();
            read.and_then(Result::ok).unwrap_or_default()
        };
        self.payments().iter().flat_map(of).collect()
    }

    // --- processes ------------------------------------------------------------------------------

    /// Waits until the history says what becomes of a step.
    pub(super) async fn leave(&self, who: Who, kind: Kind, name: &str) -> Fate {
        let (leave, fate) = oneshot::channel();
        {
            let mut inner = self.inner();
            inner.progress += 1;
            if inner.processes.contains_key(&who) {
                inner.waiting.push(Waiting { who, kind, name: name.to_owned(), leave });
            }
        }
        match fate.await {
            Ok(fate) => fate,
            // Dead.
            Err(_) => std::future::pending().await,
        }
    }

    /// A process was told something.
    pub(super) fn learn(&self, who: Who, said: &dyn Debug) {
        let mut inner = self.inner();
        inner.progress += 1;
        if let Some(process) = inner.processes.get_mut(&who) {
            let mut digest = Digest::default();
            digest.add(said);
            let last = digest.0.finish();
            // Who waits reads the same again and again; how often, does not matter.
            if last != process.last {
                digest.0.write_u64(process.learnt);
                (process.learnt, process.last) = (digest.0.finish(), last);
            }
        }
    }

    /// Ends a process where it stands.
    pub(super) fn die(&self, who: Who) {
        let mut inner = self.inner();
        inner.progress += 1;
        inner.processes.remove(&who);
        inner.waiting.retain(|step| step.who != who);
        // Midtrans has no answer and sends it again.
        let handled = inner
            .notifications
            .iter_mut()
            .filter(|notifications| notifications.under_way == Some(who));
        handled.for_each(|notifications| notifications.under_way = None);
    }

    pub(super) fn begun(&self, who: Who) {
        if self.world.leases.is_some() {
            let epoch = self.durable.lease_take(who.instance(), BEGIN);
            self.inner().epochs.insert(who, epoch);
        }
        self.inner().processes.insert(who, Process::default());
    }

    /// A process has returned; false if it is dead, so that nobody hears of it.
    pub(super) fn ended(&self, who: Who) -> bool {
        let mut inner = self.inner();
        inner.progress += 1;
        let lives = inner.processes.get_mut(&who).map(|process| process.ended = true).is_some();
        inner.forget_ended();
        drop(inner);
        if lives && self.world.leases.is_some() {
            self.end_lease(who);
        }
        lives
    }

    // --- leases ---------------------------------------------------------------------------------

    /// Whether what a process writes is still taken.
    pub(super) fn holds(&self, who: Who) -> bool {
        let epoch = self.inner().epochs.get(&who).copied();
        self.world.leases.is_none()
            || epoch.is_some_and(|epoch| self.durable.lease_holds(who.instance(), epoch))
    }

    /// Nobody renews the lease of a process any more, and somebody has seen it.
    pub(super) fn end_lease(&self, who: Who) {
        let now = self.inner().now;
        let leases = self.durable.leases();
        let own = leases.into_iter().find(|lease| lease.number == who.instance());
        if let Some(own) = own {
            self.durable.lease_bury(own, now);
        }
        let mut inner = self.inner();
        inner.progress += 1;
        inner.epochs.remove(&who);
        inner.claims.retain(|_, at| *at != who);
    }

    /// A process has claimed deliveries: no other that has its number may be at one of them.
    pub(super) fn claimed(&self, who: Who, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let before = self.inner().claims.insert(delivery.delivery_id, who);
            if let Some(other) = before.filter(|other| *other != who && self.holds(*other)) {
                let id = delivery.delivery_id;
                let what = format!("delivery {id} is claimed by {other:?} and {who:?} at once");
                self.inner().problem(what);
            }
        }
    }

    /// A process has told how its try ended.
    pub(super) fn recorded(&self, who: Who, delivery: &Delivery) {
        self.inner().claims.retain(|id, at| *id != delivery.delivery_id || *at != who);
    }

    /// Lets a step happen.
    pub(super) fn release(&self, who: Who, nth: u8, fate: Fate) {
        let mut inner = self.inner();
        let mut of_process = inner.waiting.iter().enumerate().filter(|(_, step)| step.who == who);
        let Some((at, _)) = of_process.nth(usize::from(nth)) else { return };
        let step = inner.waiting.remove(at);
        inner.progress += 1;
        // Nobody waits if the step's task has gone; none does.
        let _ = step.leave.send(fate);
        drop(inner);
    }

    pub(super) fn progress(&self) -> u64 {
        self.inner().progress
    }

    /// Bytes that differ where they must, and are the same where order must not matter.
    pub(super) fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() == 4 {
            let mut inner = self.inner();
            inner.chance += 1;
            bytes.copy_from_slice(&inner.chance.to_le_bytes());
        } else {
            bytes.fill(7);
        }
    }

    // --- Midtrans -------------------------------------------------------------------------------

    /// A request arrives there.
    pub(super) fn reach_midtrans(&self, request: &ApiRequest) -> Incoming {
        let mut inner = self.inner();
        let now = inner.now;
        let reply = inner.engine.handle(now, request);
        if let Some(key) = request.header("idempotency-key")
            && !key.starts_with('x')
            && !key.starts_with('v')
        {
            inner.keys.insert(key.to_owned());
        }
        inner.collect_notifications();
        Incoming { status: reply.status, body: reply.body, date: Some(now.into()) }
    }

    /// A request is on its way, and its sender does not wait any more.
    pub(super) fn send_late(&self, request: ApiRequest) {
        self.inner().late.push(request);
    }

    // --- PSPs -----------------------------------------------------------------------------------

    /// A notification reaches a PSP.
    pub(super) fn tell_psp(&self, body: &[u8]) {
        let fields = psp::decode(body);
        let take = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let (txid, at) = (take("txid"), take("finaltimestamp"));
        let stored = self.payments().into_iter().find(|row| row.tx_id.to_string() == txid);
        let mut inner = self.inner();
        match stored {
            Some(stored) if stored.final_at.is_some() => {}
            _ => inner.problem(format!("{txid} is notified of before its final state is durable")),
        }
        inner.heard.taken.entry(txid).or_default().push(at);
    }

    pub(super) fn judged(&self, tx_id: TxId, verdict: Verdict) {
        self.inner().heard.judged.insert(tx_id, verdict.as_str());
    }
}

impl Inner {
    fn forget_ended(&mut self) {
        let waiting: BTreeSet<Who> = self.waiting.iter().map(|step| step.who).collect();
        self.processes.retain(|who, process| !process.ended || waiting.contains(who));
    }

    /// Forgets processes that have come to their end.
    pub(super) fn sweep(&mut self) {
        self.forget_ended();
    }

    pub(super) fn problem(&mut self, what: String) {
        if !self.heard.problems.contains(&what) {
            self.heard.problems.push(what);
        }
    }

    pub(super) fn lives(&self, who: Who) -> bool {
        self.processes.contains_key(&who)
    }

    /// Those whose leases can be over: who has died, and with `standing` who lives.
    pub(super) fn leased(&self, standing: bool) -> Vec<Who> {
        let may = |who: &&Who| standing || !self.processes.contains_key(*who);
        self.epochs.keys().filter(may).copied().collect()
    }

    pub(super) fn living(&self) -> impl Iterator<Item = Who> + '_ {
        self.processes.keys().copied()
    }

    /// Who waits for what, with the place among the steps of its process.
    pub(super) fn steps(&self) -> Vec<(Who, u8, Kind)> {
        let mut nth: BTreeMap<Who, u8> = BTreeMap::new();
        let number = |step: &Waiting| {
            let count = nth.entry(step.who).or_default();
            *count += 1;
            (step.who, *count - 1, step.kind)
        };
        self.waiting.iter().map(number).collect()
    }

    /// Processes that neither wait for a step nor have ended: they pause.
    pub(super) fn pauses(&self) -> bool {
        let waits = |who: &Who| self.waiting.iter().any(|step| step.who == *who);
        self.processes.iter().any(|(who, process)| !process.ended && !waits(who))
    }

    /// What each process knows.
    pub(super) fn memories(&self) -> Vec<(Who, u64)> {
        self.processes.iter().map(|(who, process)| (*who, process.learnt)).collect()
    }

    /// Whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.processes.is_empty() && self.late.is_empty()
    }

    pub(super) fn collect_notifications(&mut self) {
        let now = self.now;
        for notifications in self.engine.due_notifications(now) {
            let taken = NotificationOutcome::Status(200);
            self.engine.notification_result(notifications.id, now, taken);
            self.notifications.push(Notification {
                body: notifications.body,
                under_way: None,
                refused: false,
            });
        }
    }

    pub(super) fn charges(&self) -> Vec<TransactionView> {
        self.engine.transactions(0, 16)
    }

    pub(super) fn move_to(&mut self, now: Timestamp) {
        self.now = now;
        self.engine.tick(now);
        self.notifications.iter_mut().for_each(|notifications| notifications.refused = false);
        self.collect_notifications();
    }
}

/// A digest of texts.
#[derive(Default)]
struct Digest(DefaultHasher);

impl Digest {
    fn add(&mut self, what: &dyn Debug) {
        // Writing to a digest cannot fail.
        let _ = writeln!(self, "{what:?}");
    }
}

impl std::fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Stage {
    /// What tells this moment from every other that could go on differently.
    pub(super) fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        digest.add(&self.payments());
        digest.add(&self.durable.refunds());
        digest.add(&self.deliveries());
        digest.add(&self.durable.leases());
        let inner = self.inner();
        digest.add(&inner.now);
        digest.add(&(&inner.epochs, &inner.claims));
        digest.add(&inner.keys);
        digest.add(&inner.spent);
        digest.add(&inner.begun_calls);
        for charge in inner.charges() {
            let refunds: Vec<_> =
                charge.refunds.iter().map(|back| (&back.refund_key, back.amount)).collect();
            digest.add(&(&charge.order_id, charge.status, refunds, charge.charges_of_order));
        }
        digest.add(&inner.engine.faults().len());
        let mut steps: Vec<_> =
            inner.waiting.iter().map(|step| (step.who, step.kind, &step.name)).collect();
        steps.sort();
        digest.add(&steps);
        let mut late: Vec<_> =
            inner.late.iter().map(|request| (&request.path, &request.body)).collect();
        late.sort();
        digest.add(&late);
        digest.add(&inner.processes);
        let mut notifications: Vec<_> = inner
            .notifications
            .iter()
            .map(|notifications| {
                (&notifications.body, notifications.under_way, notifications.refused)
            })
            .collect();
        notifications.sort();
        digest.add(&notifications);
        inner.heard.hash(&mut digest.0);
        digest.0.finish()
    }
}
