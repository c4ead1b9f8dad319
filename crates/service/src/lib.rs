//! The use cases of the adapter and its workers, between the pure rules of [`gopay_core`] and the
//! outside: store, Midtrans, receivers, clock, chance, all given as arguments.
//!
//! Intent is durable before any call to the outside; the outcome is durable before any answer.
//! What this room does not do: sockets, HTML, SQL, config files.
//!
//! Reading order: [`Service`]; `psp` (calls: one entry, then a file a use case); `midtrans`
//! (charges, status, refunds, notifications); [`loops`] (polls, deliveries); `shopper`
//! (redirects); `read` (what only people read); [`desk`] (what operators see and do). What several of
//! them need is in `admission`, `answer`, `answered` (a store that went back), `clock`, `describe`,
//! `directory` and `hold` (a store that is away).

mod accounts;
mod admission;
mod answer;
mod answered;
mod attention;
mod capabilities;
mod clock;
mod credentials;
mod describe;
pub mod desk;
mod directory;
mod erase;
mod hold;
pub mod loops;
pub mod meters;
mod midtrans;
mod observe;
mod operators;
mod psp;
mod questions;
mod read;
mod shopper;
mod spans;
mod thin;
mod trace;
mod unbroken;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::payment::{Channel, Effect, Event, Payment, PaymentState};
use gopay_core::ppro::hash::{self, Page};
use gopay_outbound::Transport;
use gopay_store::{Applied, AttentionSums, Backlog, Database, Erasure, Note};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

pub use accounts::{BarredCall, MidtransAccount, MidtransAccounts};
pub use admission::CallLimits;
pub use answer::Answer;
pub use answered::{Lost, NotReady};
pub use attention::{
    AttentionList, Decision, Item, LIST_MAX, ResolveError, Resolved, attention, resolve,
};
pub use clock::{Clock, RandomBytes, SystemClock, os_random, pooled_random};
pub use credentials::{Caller, Certificate};
pub use describe::chain;
pub use directory::{CertificateOf, Contract, Directory, Psp, hash_password, is_password_hash};
pub use erase::{EraseError, Needed, erase, kept_call};
pub use gopay_store::{StoreError, Totals};
pub use midtrans::{NotificationAnswer, Probe, Recovered, probe};
pub use operators::{NotLetIn, Operator, Operators, Refused, Role, tell_refused_operator};
pub use psp::{FEED_LIMIT_MAX, FEED_WAIT_MAX, FeedCall, FeedError, FeedLine, FeedPage, FeedQuery};
pub use read::{
    Archived, Dated, Erased, FOUND_MAX, Failed, FromArchive, Happened, Owed, Refunded, Story,
    Transaction, find, story, story_with,
};
pub use shopper::{Known, Landing, PageError, Waiting};
pub use spans::{Attribute, Collector, Request, Span, collect_spans};
pub use trace::{TraceContext, Traced, within};

use crate::desk::{Board, Happening, Recent};
use crate::questions::Questions;
use crate::read::Paced;

/// What the operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where our own pages are, without a slash at the end.
    pub public_base_url: String,
    /// How long a shopper may take.
    pub session: Duration,
    /// How long a payment may be refunded.
    pub refund_window: Duration,
    /// When to try a delivery again: one entry a retry.
    pub delivery_schedule: Vec<Duration>,
    /// How long a receiver may take.
    pub delivery_timeout: Duration,
    /// Deliveries under way at once, to all receivers and to one.
    pub delivery_concurrency: usize,
    /// See [`Settings::delivery_concurrency`].
    pub delivery_concurrency_per_receiver: usize,
    /// Receivers of the live channel may be called by `http`.
    pub allow_http_receivers: bool,
    /// Status calls to Midtrans that workers may begin in a second.
    pub checks_per_second: usize,
    /// Calls of PSPs that may run at once, of those that move money and of those that only ask;
    /// more are told to come back.
    pub concurrent_calls: usize,
    /// How many of these one PSP may have, so that its flood leaves room for the others.
    pub concurrent_calls_per_client: usize,
    /// Calls of one PSP in a second; none: as many as it likes.
    pub calls_per_second_per_client: Option<u32>,
    /// Contracts of the test channel alone have PPRO's quotas.
    pub test_quotas: bool,
    /// Longer than a request to Midtrans can be under way after nobody waits for it any more.
    pub under_way_max: Duration,
    /// Number of this instance among those that share a store.
    pub instance: u16,
    /// Answers carry a `RAND` pair.
    pub rand_pair: bool,
}

impl Settings {
    /// Twelve times as long as a call to Midtrans may take.
    pub const UNDER_WAY_MAX: Duration = Duration::from_secs(120);

    /// PPRO's session limit for GoPay.
    pub const SESSION_MAX: Duration = Duration::from_secs(3600);

    /// PPRO's schedule: every 15 minutes, at most 192 times (48 hours).
    #[must_use]
    pub fn default_schedule() -> Vec<Duration> {
        vec![Duration::from_secs(15 * 60); 192]
    }
}

/// Who may call us, and whom we call: what can be replaced while the service runs, as a whole. A use
/// case goes by one of them from its beginning to its end, or asks again after a wait.
pub struct Parties {
    /// Who may call; services may share it, and with it what is known of passwords.
    pub directory: Arc<Directory>,
    /// Midtrans.
    pub midtrans: MidtransAccounts,
    /// Keys of the codes in our own pages' addresses: the first makes them, each opens them. None:
    /// they are derived from the server key of the payment's account.
    pub page_keys: Vec<SecretString>,
}

impl Parties {
    /// Keys of the codes of a payment's pages, the one that makes them first.
    fn page_keys(&self, payment: &Payment) -> &[SecretString] {
        if !self.page_keys.is_empty() {
            return &self.page_keys;
        }
        let account = self.midtrans.of_payment(payment);
        account.map_or(&[], MidtransAccount::page_keys)
    }

    /// Keys of what is read by nobody but us, whichever PSP it is given to: the first makes it, each
    /// opens it.
    fn own_keys(&self) -> Vec<SecretString> {
        if !self.page_keys.is_empty() {
            return self.page_keys.clone();
        }
        let accounts =
            [Channel::Live, Channel::Test].map(|channel| self.midtrans.of(Some(channel)));
        accounts.into_iter().flatten().flat_map(MidtransAccount::page_keys).cloned().collect()
    }

    /// Whether a code opens a page of a payment.
    fn opens(&self, page: Page, payment: &Payment, code: &str) -> bool {
        // Codes of programs before this one were made with the PSP's secret.
        let psp = self.directory.psp(&payment.psp);
        let earlier = psp.into_iter().flat_map(|psp| &psp.shared_secrets);
        let mut keys = self.page_keys(payment).iter().chain(earlier);
        keys.any(|key| hash::same_code(&code_of(page, payment, key), code))
    }
}

fn code_of(page: Page, payment: &Payment, key: &SecretString) -> String {
    hash::page_code(page, payment.tx_id, &payment.redirect_secret, key.expose_secret())
}

/// All that the service needs from outside.
pub struct Parts {
    /// See [`Settings`].
    pub settings: Settings,
    /// Who may call, and whom we call.
    pub parties: Parties,
    /// Where everything is kept.
    pub store: Arc<dyn Database>,
    /// Carries notifications to PSPs.
    pub receivers: Arc<dyn Transport>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives chance.
    pub random: Box<RandomBytes>,
}

/// The adapter's use cases. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    settings: Settings,
    parties: RwLock<Arc<Parties>>,
    store: Arc<dyn Database>,
    receivers: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    jumps: clock::Jumps,
    ids: clock::IdSource,
    admission: admission::Admission,
    questions: Questions,
    hold: hold::Hold,
    answered: answered::Answered,
    /// Woken when a delivery is owed.
    wake: Notify,
    totals: Paced<Totals>,
    attention: Paced<AttentionSums>,
    backlog: Paced<Backlog>,
    ready: Paced<()>,
    recent: Recent,
    board: Board,
    ends: psp::Ends,
}

impl Service {
    /// Puts the service together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { settings, parties, store, receivers, clock, random } = parts;
        let ids = clock::IdSource::new(settings.instance, random, settings.rand_pair);
        let admission = admission::Admission::new(&CallLimits::of(&settings), &parties.directory);
        let questions = Questions::new(settings.checks_per_second);
        let wake = Notify::new();
        let jumps = clock::Jumps::since(&*clock);
        Self(Arc::new(Inner {
            settings,
            parties: RwLock::new(Arc::new(parties)),
            store,
            questions,
            receivers,
            clock,
            jumps,
            ids,
            admission,
            hold: hold::Hold::default(),
            answered: answered::Answered::default(),
            wake,
            totals: Paced::default(),
            attention: Paced::default(),
            backlog: Paced::default(),
            ready: Paced::default(),
            recent: Recent::default(),
            board: Board::default(),
            ends: psp::Ends::default(),
        }))
    }

    /// Whether the store takes writes, and knows what was answered.
    ///
    /// # Errors
    /// Why the service is not ready.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.0.ready.get(self.0.store.ping(self.now())).await?;
        self.still_known().await.map_err(|error| match self.0.answered.lost() {
            Some(lost) => NotReady::Lost(lost),
            None => NotReady::Store(error),
        })
    }

    /// The calls that Midtrans did not let us make when they were tried last; a hundred at most.
    #[must_use]
    pub fn barred(&self) -> Vec<BarredCall> {
        const MAX: usize = 100;
        self.parties().midtrans.barred(MAX)
    }

    /// Waits until no call runs, those included whose callers have gone. For the end of the
    /// process: calls that come meanwhile are told that there is no room.
    pub async fn until_idle(&self) {
        self.0.admission.close().await;
    }

    /// How much needs a person, for those who only look; the meters are set to it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn attention_sums(&self) -> Result<AttentionSums, StoreError> {
        let sums = self.0.attention.get(self.0.store.attention()).await?.value;
        meters::attention(&sums);
        Ok(sums)
    }

    /// Sets the meters that tell of the store: they are set when they are read. If it does not answer,
    /// they stay as they are.
    pub async fn measure(&self) {
        // Its own errors are counted where they come from.
        let _ = self.attention_sums().await;
        let now = self.now();
        if let Ok(backlog) = self.0.backlog.get(self.0.store.backlog(now)).await {
            meters::backlog(&backlog.value, now);
        }
    }

    /// What needs a person.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn attention(&self) -> Result<AttentionList, StoreError> {
        attention::attention(self.0.store.as_ref(), self.now()).await
    }

    /// Erases the personal data of a payment.
    ///
    /// # Errors
    /// [`EraseError`].
    pub async fn erase(&self, tx_id: TxId, by: String, reason: String) -> Result<(), EraseError> {
        let erasure = Erasure { tx_id, at: self.now(), by, reason };
        let window = self.settings().refund_window;
        erase::erase(self.0.store.as_ref(), &erasure, window).await?;
        tracing::info!(payment.tx_id = %tx_id, by = erasure.by, "personal data was erased");
        Ok(())
    }

    /// Stores what a person decided about what needs one.
    ///
    /// # Errors
    /// [`ResolveError`]; nothing has changed then.
    pub async fn decide(&self, tx_id: TxId, decision: &Decision) -> Result<Resolved, ResolveError> {
        let store = self.0.store.as_ref();
        let resolved = attention::resolve(store, tx_id, decision, self.now()).await?;
        if let Resolved::Payment(applied) = &resolved {
            self.note_change(&Event::Judged(decision.verdict), applied);
        }
        let (verdict, by) = (decision.verdict.as_str(), decision.by.as_str());
        tracing::info!(payment.tx_id = %tx_id, verdict, by, "a person has decided");
        Ok(resolved)
    }

    /// Sums over the whole store. Where they take long to find, they are kept for up to ten seconds.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn totals(&self) -> Result<Dated<Totals>, StoreError> {
        self.0.totals.get(self.0.store.totals()).await
    }

    /// The time, as the service sees it.
    #[must_use]
    pub fn now(&self) -> gopay_core::time::Timestamp {
        self.0.clock.now()
    }

    /// Who may call, and whom we call, as of now.
    #[must_use]
    pub fn parties(&self) -> Arc<Parties> {
        Arc::clone(&self.0.parties.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces who may call, whom we call, and how much they may. What is under way goes on;
    /// passwords that were removed are good no more.
    pub fn replace_parties(&self, parties: Parties, limits: &CallLimits) {
        self.0.admission.follow(limits, &parties.directory);
        *self.0.parties.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(parties);
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The address that the PSP sends the shopper to: at most 255 characters.
    fn redirect_url(&self, payment: &Payment) -> String {
        let (tx, rs) = (String::from(payment.tx_id), payment.redirect_secret.as_str());
        let cs = self.page_code(Page::Redirect, payment);
        let base = &self.settings().public_base_url;
        [base, "/ti/gopay?tx=", &tx, "&rs=", rs, "&cs=", &cs].concat()
    }

    /// The address that the GoPay app returns to. It ends with a slash and has no query, because
    /// GoPay simply appends one (`docs/midtrans.md`, "Return from the app").
    fn return_url(&self, payment: &Payment) -> String {
        let (tx, code) = (String::from(payment.tx_id), self.page_code(Page::Return, payment));
        [&self.settings().public_base_url, "/return/gopay/", &tx, "/", &code, "/"].concat()
    }

    /// The code that opens a page of a payment. Without any key there is none that does.
    fn page_code(&self, page: Page, payment: &Payment) -> String {
        let parties = self.parties();
        let key = parties.page_keys(payment).first();
        key.map(|key| code_of(page, payment, key)).unwrap_or_default()
    }

    /// Stores an event; tries again while the store is busy. Wakes the delivery worker if a
    /// delivery is owed.
    async fn apply(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        notes: &[Note],
    ) -> Result<Applied, StoreError> {
        let applied = self
            .retry_while_busy(|| {
                self.0.store.payment_apply(tx_id, event, answer, notes, self.now())
            })
            .await?;
        self.note_change(event, &applied);
        Ok(applied)
    }

    /// Lets it be seen what a step did, and the delivery worker know.
    fn note_change(&self, event: &Event, applied: &Applied) {
        let tx_id = applied.payment.tx_id;
        if applied.before != applied.payment.state {
            meters::transition(&applied.before, &applied.payment.state, event);
            self.count_change(&applied.payment);
            observe::learn(|seen| {
                seen.tx_id = Some(tx_id);
                seen.moved = Some((applied.before.as_str(), applied.payment.state.as_str()));
                seen.event = event.word();
            });
        }
        if applied.delivery_owed {
            self.0.wake.notify_waiters();
        }
        if let (Event::Doubted(finding), Effect::Noted) = (event, applied.effect) {
            let (expected, found) = (finding.expected.as_str(), finding.found.as_str());
            let at_risk_sen = applied.payment.at_risk().map(|at_risk| at_risk.get());
            let what = finding.what.as_str();
            metrics::counter!(meters::DOUBTS, "what" => what).increment(1);
            tracing::error!(payment.tx_id = %tx_id, what, expected, found, at_risk_sen, "money that does not fit the payment; a person must decide");
        }
    }

    fn count_change(&self, payment: &Payment) {
        let sen = payment.amount.map_or(0, |amount| amount.sen().get());
        let what = match payment.state {
            PaymentState::Initialized => return,
            PaymentState::Pending => Happening::Opened,
            PaymentState::Succeeded => Happening::Succeeded(sen),
            PaymentState::Failed(_) => Happening::Failed,
        };
        self.0.recent.count(self.now(), what);
    }

    /// Repeats a store call while the store says that it is busy, for about a second, or that it is
    /// away, for [`hold::PATIENCE`]: nothing of it has begun then.
    async fn retry_while_busy<T, F, Fut>(&self, mut step: F) -> Result<T, StoreError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        let began = Instant::now();
        match step().await {
            // Boxed, as it is seldom needed, so that the futures of calls are no larger for it.
            Err(error @ (StoreError::Busy | StoreError::Away(_))) => {
                Box::pin(self.retry_while_away(began, step, error)).await
            }
            done => done,
        }
    }

    /// The rest of [`Self::retry_while_busy`], after a first error.
    async fn retry_while_away<T, F, Fut>(
        &self,
        began: Instant,
        mut step: F,
        error: StoreError,
    ) -> Result<T, StoreError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        /// What such a step has in its hands, about.
        const BYTES: usize = 4_096;
        let mut held = None;
        let mut done = retry_after_busy(&mut step, Err(error)).await;
        loop {
            match done {
                Err(error @ StoreError::Away(_)) => {
                    held = held.or_else(|| self.0.hold.enter(BYTES));
                    if held.is_none() || began.elapsed() >= hold::PATIENCE {
                        return Err(error);
                    }
                    tokio::time::sleep(hold::PAUSE).await;
                }
                done => return done,
            }
            // Who has waited already does not wait for a silent one besides.
            let until = began + hold::PATIENCE + hold::MARGIN;
            let tried = timeout_at(until, self.retry_busy(&mut step)).await;
            done = tried.unwrap_or_else(|_| Err(hold::no_answer()));
        }
    }

    /// Repeats a store call while the store says that it is busy, for about a second.
    async fn retry_busy<T, F, Fut>(&self, mut step: F) -> Result<T, StoreError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        match step().await {
            Err(StoreError::Busy) => {
                Box::pin(retry_after_busy(&mut step, Err(StoreError::Busy))).await
            }
            done => done,
        }
    }
}

/// The rest of [`Service::retry_busy`], after a first try.
async fn retry_after_busy<T, F, Fut>(
    mut step: F,
    mut done: Result<T, StoreError>,
) -> Result<T, StoreError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, StoreError>>,
{
    let mut wait = Duration::from_millis(10);
    while matches!(done, Err(StoreError::Busy)) && wait < Duration::from_secs(1) {
        tokio::time::sleep(wait).await;
        wait *= 2;
        done = step().await;
    }
    done
}

/// A line for a payment's trail.
fn note(kind: &'static str, detail: serde_json::Value) -> Note {
    Note { kind, detail }
}
