//! Plays one history: the use cases and workers of the product, one step after another as the history
//! says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gopay_core::payment::Channel;
use gopay_midtrans_client::{Endpoint, MidtransClient, RefundPath};
use gopay_service::{
    Clock, Decision, MidtransAccount, MidtransAccounts, NotificationAnswer, Parties, Parts,
    Service, Settings,
};
use gopay_simulator::{DashboardRefund, Payer};

use super::action::{Action, Fate, Outside, Who};
use super::books;
use super::cast::{Call, SEN, SmallWorld};
use super::choices;
use super::stage::{BEGIN, Stage};
use super::steps::SteppedStore;
use super::wires::{ToMidtrans, ToReceivers};
use crate::parties;

/// How long a shopper may take; short, so that few polls fall into it.
pub(super) const SESSION: Duration = Duration::from_secs(120);
/// Where the clock leaps to: after the session; after Midtrans had its time to help; days later.
const LEAPS: [Duration; 3] =
    [Duration::from_secs(125), Duration::from_secs(120 + 16 * 60), Duration::from_secs(2 * 86_400)];

/// What one history came to.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) enabled: Vec<Action>,
    pub(crate) digest: u64,
    pub(crate) problems: Vec<String>,
    /// Nothing is under way.
    pub(crate) quiet: bool,
}

/// Plays a history. With `to_the_end` nothing goes wrong after it, all that is open comes to its end,
/// and the books are compared.
pub(crate) fn play(world: &'static SmallWorld, history: &[Action], to_the_end: bool) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let stage = Stage::new(world);
    runtime.block_on(async {
        for action in world.prologue {
            act(&stage, *action).await;
            finish_all(&stage).await;
        }
        *stage.inner().spent_mut() = super::action::Budget::default();
        for action in history {
            act(&stage, *action).await;
            books::look(&stage);
        }
    });
    let enabled = choices::enabled(&stage);
    let digest = stage.digest();
    let quiet = stage.inner().is_quiet();
    if to_the_end {
        runtime.block_on(come_to_an_end(&stage));
    }
    // Ends all tasks, those of dead processes too.
    drop(runtime);
    let problems = stage.inner().heard.problems.clone();
    Played { enabled, digest, problems, quiet }
}

/// Runs all tasks until each waits for the outside.
async fn until_all_wait(stage: &Stage) {
    /// More than one task wakes in turn on the way of an answer back to its caller.
    const HOPS: usize = 6;
    loop {
        let before = stage.progress();
        for _ in 0..HOPS {
            tokio::task::yield_now().await;
        }
        if stage.progress() == before {
            return;
        }
    }
}

async fn act(stage: &Arc<Stage>, action: Action) {
    match action {
        Action::Begin(who) => begin(stage, who),
        Action::Bring(nth, who) => bring(stage, nth, who),
        Action::Drop(nth) => {
            let mut inner = stage.inner();
            inner.spent_mut().count(|spent| &mut spent.drops);
            inner.take_notification(nth);
        }
        Action::Step(who, nth, fate) => {
            stage.inner().spend(who, nth, fate);
            stage.release(who, nth, fate);
        }
        Action::Arrive(nth) => {
            let request = {
                let mut inner = stage.inner();
                let nth = usize::from(nth).min(inner.late.len().saturating_sub(1));
                inner.late.remove(nth)
            };
            stage.reach_midtrans(&request);
        }
        Action::Die(who) => {
            stage.inner().spent_mut().count(|spent| &mut spent.deaths);
            stage.die(who);
        }
        Action::Bury(who) => {
            let standing = stage.inner().lives(who);
            if standing {
                stage.inner().spent_mut().count(|spent| &mut spent.burials);
            }
            stage.end_lease(who);
        }
        Action::Wake => wake(stage).await,
        Action::Tick => {
            let next = choices::next_planned(stage);
            let mut inner = stage.inner();
            inner.spent_mut().count(|spent| &mut spent.ticks);
            if let Some(next) = next {
                inner.move_to(next);
            }
        }
        Action::Leap => {
            let mut inner = stage.inner();
            inner.spent_mut().count(|spent| &mut spent.leaps);
            let elapsed = inner.now.since(BEGIN);
            if let Some(leap) = LEAPS.into_iter().find(|leap| *leap > elapsed) {
                inner.move_to(BEGIN.after(leap));
            }
        }
        Action::Outside(outside) => happen(stage, outside),
    }
    until_all_wait(stage).await;
    stage.inner().sweep();
}

fn happen(stage: &Stage, outside: Outside) {
    let mut inner = stage.inner();
    let Some(charge) = inner.charges().into_iter().last() else { return };
    let (now, order) = (inner.now, charge.order_id);
    match outside {
        Outside::Pays => {
            inner.spent_mut().count(|spent| &mut spent.pays);
            let _ = inner.engine.pay(now, &order, &Payer::default());
        }
        Outside::PaysLate => {
            inner.spent_mut().count(|spent| &mut spent.pays_late);
            let _ = inner.engine.settle_late(now, &order);
        }
        Outside::RefundsInDashboard => {
            inner.spent_mut().count(|spent| &mut spent.dashboard);
            let amount = Some(SEN / 100 / 2);
            let wanted = DashboardRefund { amount, ..DashboardRefund::default() };
            let _ = inner.engine.refund_at_dashboard(now, &order, &wanted);
        }
        Outside::AmountIsMended => {
            inner.engine.clear_faults();
        }
    }
    inner.collect_notifications();
}

/// Lets processes that pause go on: a short pause between two tries, or else the long one of who
/// waits until nothing of its own can be under way any more.
async fn wake(stage: &Stage) {
    const SHORT: usize = 20;
    const LONG: Duration = Duration::from_secs(121);
    let before = stage.progress();
    for _ in 0..SHORT {
        tokio::time::advance(Duration::from_secs(1)).await;
        until_all_wait(stage).await;
        if stage.progress() != before {
            return;
        }
    }
    if stage.inner().late.is_empty() {
        tokio::time::advance(LONG).await;
    }
}

fn begin(stage: &Arc<Stage>, who: Who) {
    stage.begun(who);
    let service = service(stage, who);
    let stage = Arc::clone(stage);
    match who {
        Who::Call(number) => {
            stage.inner().begun_calls.insert(number);
            let Some(call) = stage.world.calls.get(usize::from(number)).copied() else { return };
            let txid = stage.payments().first().map(|row| row.tx_id.to_string());
            let body = call.body(&txid.unwrap_or_default(), usize::from(number));
            tokio::spawn(async move {
                let source = std::net::IpAddr::from([127, 0, 0, 1]);
                let answer = service.call(Bytes::from(body), source).await;
                if stage.ended(who) {
                    hear(&stage, call, answer.body);
                }
            });
        }
        Who::Checks(_) => {
            stage.inner().spent_mut().count(|spent| &mut spent.checks);
            tokio::spawn(async move {
                let _ = service.check_due().await;
                stage.ended(who);
            });
        }
        Who::Deliveries(_) => {
            stage.inner().spent_mut().count(|spent| &mut spent.deliveries);
            tokio::spawn(async move {
                let _ = service.deliver_due().await;
                stage.ended(who);
            });
        }
        Who::Person(verdict) => {
            stage.inner().spent_mut().count(|spent| &mut spent.decisions);
            let in_doubt = stage.payments().into_iter().find(|row| row.is_in_doubt());
            let Some(payment) = in_doubt else { return };
            let verdict = verdict.verdict();
            let decision = Decision { verdict, reason: "asked".into(), by: "Sri".into() };
            tokio::spawn(async move {
                if service.decide(payment.tx_id, &decision).await.is_ok() {
                    stage.judged(payment.tx_id, verdict);
                }
                stage.ended(who);
            });
        }
        Who::Notification(_) => {}
    }
}

fn hear(stage: &Stage, call: Call, body: Vec<u8>) {
    books::hear(stage, call, body);
}

fn bring(stage: &Arc<Stage>, nth: u8, who: Who) {
    let body = {
        let mut inner = stage.inner();
        inner.spent_mut().count(|spent| &mut spent.notifications);
        let mut waiting = inner
            .notifications
            .iter_mut()
            .filter(|notifications| notifications.under_way.is_none());
        let Some(notifications) = waiting.nth(usize::from(nth)) else { return };
        notifications.under_way = Some(who);
        notifications.body.clone()
    };
    stage.begun(who);
    let service = service(stage, who);
    let stage = Arc::clone(stage);
    tokio::spawn(async move {
        let answer = service.notification(&body).await;
        if stage.ended(who) {
            let mut inner = stage.inner();
            if answer == NotificationAnswer::Done {
                inner.notifications.retain(|notifications| notifications.under_way != Some(who));
            } else {
                let own = inner
                    .notifications
                    .iter_mut()
                    .filter(|notifications| notifications.under_way == Some(who));
                own.for_each(|notifications| {
                    (notifications.under_way, notifications.refused) = (None, true)
                });
            }
        }
    });
}

/// Lets everything that has begun come to its end, in peace.
async fn finish_all(stage: &Arc<Stage>) {
    /// More steps than any process takes.
    const STEPS_MAX: usize = 1_000;
    /// Who has read the same so often waits for somebody else.
    const IDLE_MAX: usize = 6;
    let (mut idle, mut known) = (0, stage.inner().memories());
    for _ in 0..STEPS_MAX {
        let now = stage.inner().memories();
        idle = if now == known { idle + 1 } else { 0 };
        known = now;
        if idle > IDLE_MAX {
            return;
        }
        let step = stage.inner().steps().into_iter().next();
        if let Some((who, nth, _)) = step {
            act(stage, Action::Step(who, nth, Fate::Done)).await;
        } else if !stage.inner().late.is_empty() {
            act(stage, Action::Arrive(0)).await;
        } else if stage.inner().pauses() {
            act(stage, Action::Wake).await;
        } else {
            return;
        }
        books::look(stage);
    }
    stage.inner().problem("a process does not come to its end".to_owned());
}

/// Nothing goes wrong any more: workers, notifications and receivers do their part, and a person
/// decides, until nothing is planned; then the books are compared.
async fn come_to_an_end(stage: &Arc<Stage>) {
    /// More than the looks at a payment in the days after its end, and all that they lead to.
    const ROUNDS_MAX: usize = 300;
    for _ in 0..ROUNDS_MAX {
        finish_all(stage).await;
        match choices::next_in_peace(stage) {
            Some(action) => act(stage, action).await,
            None => match choices::next_planned(stage) {
                Some(next) => stage.inner().move_to(next),
                None => return books::compare(stage),
            },
        }
    }
    stage.inner().problem("days after the last fault, something is still open".to_owned());
}

/// The time as a process has it.
struct ProcessClock {
    stage: Arc<Stage>,
    who: Who,
}

impl Clock for ProcessClock {
    fn now(&self) -> gopay_core::time::Timestamp {
        let skew = self.stage.world.leases.filter(|_| self.who.is_ahead());
        self.stage.inner().now.after(skew.unwrap_or_default())
    }
}

/// The product's service, as one process has it.
fn service(stage: &Arc<Stage>, who: Who) -> Service {
    let settings = Settings {
        public_base_url: parties::ADAPTER.into(),
        session: SESSION,
        refund_window: Duration::from_secs(30 * 24 * 3600),
        delivery_schedule: vec![Duration::from_secs(60); 192],
        delivery_timeout: Duration::from_secs(10),
        delivery_concurrency: 8,
        delivery_concurrency_per_receiver: 2,
        checks_per_second: 8,
        concurrent_calls: 8,
        concurrent_calls_per_client: 8,
        calls_per_second_per_client: None,
        test_quotas: false,
        allow_http_receivers: false,
        under_way_max: Settings::UNDER_WAY_MAX,
        instance: who.instance(),
        rand_pair: false,
    };
    let transport = ToMidtrans { stage: Arc::clone(stage), who };
    let mut endpoint = Endpoint::new(parties::MIDTRANS, parties::TEST_KEY.to_owned().into());
    endpoint.notification_url = Some(format!("{}/midtrans/notification", parties::ADAPTER));
    endpoint.refund_path = RefundPath::Refund;
    let client = MidtransClient::new(Arc::new(transport), endpoint);
    let client = client.expect("the endpoint is well-formed");
    let server_key = parties::TEST_KEY.to_owned().into();
    let chances = Arc::clone(stage);
    Service::new(Parts {
        settings,
        parties: Parties {
            directory: parties::directory(),
            midtrans: MidtransAccounts::new([MidtransAccount::new(
                Channel::Test,
                client,
                vec![server_key],
            )]),
            page_keys: Vec::new(),
        },
        store: Arc::new(SteppedStore { stage: Arc::clone(stage), who }),
        receivers: Arc::new(ToReceivers { stage: Arc::clone(stage), who }),
        clock: Arc::new(ProcessClock { stage: Arc::clone(stage), who }),
        random: Box::new(move |bytes| chances.fill(bytes)),
    })
}
