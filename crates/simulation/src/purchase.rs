//! One purchase from the first call to the last refund, as shopper, PSP and provider act on it, and
//! all that was seen of it.

use std::sync::Arc;
use std::time::Duration;

use gopay_service::Landing;
use gopay_simulator::{Payer, WalletError};

use crate::parties::{self, Merchant};
use crate::people;
use crate::psp::{self, Answer, Sighting, call, field, sight};
use crate::world::World;

/// What becomes of a payment, as far as shopper, PSP and provider want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Paid,
    PaidAgainstCancel,
    Abandoned,
    CancelledByPsp,
    CancelledUpstream,
    Denied,
    Failed,
    /// Paid, although it had ended.
    Late,
}

const FATES: [Fate; 12] = [
    Fate::Paid,
    Fate::Paid,
    Fate::Paid,
    Fate::Paid,
    Fate::PaidAgainstCancel,
    Fate::Abandoned,
    Fate::CancelledByPsp,
    Fate::CancelledUpstream,
    Fate::Denied,
    Fate::Failed,
    Fate::Late,
    Fate::Late,
];

/// One REFUND call and its answer, if there was one.
#[derive(Clone, Debug)]
pub(crate) struct RefundTry {
    pub(crate) sen: u64,
    pub(crate) answer: Option<Answer>,
}

/// A purchase, and the evidence about it.
#[derive(Clone, Debug)]
pub(crate) struct Purchase {
    pub(crate) number: u64,
    pub(crate) merchant: Merchant,
    pub(crate) sen: u64,
    pub(crate) fate: Fate,
    pub(crate) nonce: Option<String>,
    /// TRANSACTION calls that were sent.
    pub(crate) calls: u64,
    /// Every answer to them, as text.
    pub(crate) answers: Vec<Vec<u8>>,
    /// The one that the PSP goes by.
    pub(crate) opened: Option<Answer>,
    pub(crate) sightings: Vec<Sighting>,
    pub(crate) refunds: Vec<RefundTry>,
}

impl Purchase {
    pub(crate) fn draw(world: &World, number: u64) -> Self {
        world.chance(|chance| {
            let rupiah = chance.pick(&[1, 100, 12_345, 250_000, 1_999_999]) + number;
            Self {
                number,
                merchant: chance.pick(&parties::MERCHANTS),
                sen: rupiah * 100,
                fate: chance.pick(&FATES),
                nonce: chance.percent(70).then(|| format!("nonce-{number}")),
                calls: 0,
                answers: Vec::new(),
                opened: None,
                sightings: Vec::new(),
                refunds: Vec::new(),
            }
        })
    }

    /// `merchanttxid`.
    pub(crate) fn reference(&self) -> String {
        format!("order-{}", self.number)
    }

    pub(crate) fn txid(&self) -> Option<&str> {
        let opened = self.opened.as_ref()?;
        Some(field(opened, "TXID")).filter(|txid| *txid != "0" && !txid.is_empty())
    }

    pub(crate) fn was_pending(&self) -> bool {
        self.opened.as_ref().is_some_and(|answer| field(answer, "STATUS") == "PENDING")
    }

    fn call_body(&self) -> String {
        let (rupiah, sen) = (self.sen / 100, self.sen.to_string());
        let half = rupiah / 2;
        let items = format!(
            r#"[{{"name":"Kopi","price":"{half}.00","quantity":1}},{{"name":"Teh","price":"{}.00","quantity":1}}]"#,
            rupiah - half
        );
        let reference = self.reference();
        let url = format!("https://{}.example/notify/{}", self.merchant.psp.login, self.number);
        let mut pairs = vec![
            ("tag", "gopay"),
            ("countrycode", "ID"),
            ("currency", "IDR"),
            ("amount", sen.as_str()),
            ("merchanttxid", &reference),
            ("channel", self.merchant.channel.as_str()),
            ("notificationurl", &url),
            ("accountholdername", "Siti Rahma"),
            ("transientin.orderitems", &items),
        ];
        if let Some(nonce) = &self.nonce {
            pairs.push(("nonce", nonce));
        }
        parties::body(&self.merchant, "TRANSACTION", &pairs)
    }
}

/// Comes to the shop, pays or not, asks, gives back.
pub(crate) async fn live(world: Arc<World>, mut purchase: Purchase) -> Purchase {
    let last = u64::try_from(world.plan.arrival.as_millis()).unwrap_or(0);
    nap(&world, 0, last).await;
    open(&world, &mut purchase).await;
    if purchase.was_pending() {
        if let Some(txid) = purchase.txid() {
            people::make_doubtful(&world, txid);
        }
        act(&world, &mut purchase).await;
    }
    watch(&world, &mut purchase).await;
    give_back(&world, &mut purchase).await;
    purchase
}

async fn nap(world: &World, low_ms: u64, high_ms: u64) {
    let span = world.chance(|chance| chance.millis(low_ms, high_ms));
    tokio::time::sleep(span).await;
}

/// TRANSACTION, again under its nonce if no answer came, or for no reason at all.
async fn open(world: &Arc<World>, purchase: &mut Purchase) {
    let twice = purchase.nonce.is_some() && world.chance(|chance| chance.percent(20));
    if twice {
        let (one, other) = (send(world, purchase), send(world, purchase));
        let both = futures::future::join(one, other).await;
        purchase.calls += 2;
        keep(world, purchase, both.0);
        keep(world, purchase, both.1);
    }
    let tries = if purchase.nonce.is_some() { 6 } else { 1 };
    for _ in 0..tries {
        if purchase.opened.is_some() && world.chance(|chance| chance.percent(80)) {
            break;
        }
        purchase.calls += 1;
        let said = send(world, purchase).await;
        keep(world, purchase, said);
        nap(world, 100, 20_000).await;
    }
}

async fn send(world: &Arc<World>, purchase: &Purchase) -> Option<Vec<u8>> {
    world.count("TRANSACTION calls");
    let (text, overloaded) = psp::call_text(world, purchase.call_body()).await?;
    if overloaded {
        world.count("calls turned away");
    }
    (!overloaded).then_some(text)
}

/// An answer that tells what became of the call; others invite to try again.
fn tells(answer: &Answer) -> bool {
    let known = !matches!(field(answer, "TXID"), "" | "0");
    let opened = field(answer, "STATUS") != "PENDING" || answer.contains_key("REDIRECTURL");
    known && opened && field(answer, "FAILREASON") != "LOCAL_ERROR"
}

fn keep(world: &World, purchase: &mut Purchase, text: Option<Vec<u8>>) {
    let Some(text) = text else { return };
    let answer = psp::decode(&text);
    world.trace(format_args!(
        "order {} is answered {} {} {}",
        purchase.number,
        field(&answer, "TXID"),
        field(&answer, "STATUS"),
        field(&answer, "ERRMSG"),
    ));
    psp::believe(world, field(&answer, "TXID"), field(&answer, "STATUS"));
    if tells(&answer) {
        purchase.opened.get_or_insert(answer);
        purchase.answers.push(text);
    }
}

async fn act(world: &Arc<World>, purchase: &mut Purchase) {
    let Some(txid) = purchase.txid().map(str::to_owned) else { return };
    nap(world, 500, 200_000).await;
    let upstream = |act: fn(&mut gopay_simulator::Engine, _, &str) -> Result<(), WalletError>| {
        let ended = world.engine(|engine, now| act(engine, now, &txid));
        world.trace(format_args!("{:?} of {txid}: {ended:?}", purchase.fate));
    };
    match purchase.fate {
        Fate::Paid => pay(world, purchase, &txid).await,
        Fate::PaidAgainstCancel => {
            let cancel = cancel(world, purchase.merchant, &txid);
            futures::future::join(pay(world, purchase, &txid), cancel).await;
        }
        Fate::CancelledByPsp => cancel(world, purchase.merchant, &txid).await,
        Fate::CancelledUpstream => upstream(gopay_simulator::Engine::cancel),
        Fate::Denied => upstream(gopay_simulator::Engine::deny),
        Fate::Failed => upstream(gopay_simulator::Engine::fail),
        Fate::Abandoned | Fate::Late => {}
    }
}

/// Follows the PSP's link to GoPay, pays there, and comes back.
async fn pay(world: &Arc<World>, purchase: &Purchase, txid: &str) {
    let Some(answer) = &purchase.opened else { return };
    let Ok(url) = url::Url::parse(field(answer, "REDIRECTURL")) else {
        return world.problem(format!("{txid} is pending without a way to pay it"));
    };
    let part = |name: &str| {
        let mut pairs = url.query_pairs();
        pairs.find(|(key, _)| key == name).map_or_else(String::new, |(_, value)| value.into())
    };
    let (tx, rs, cs) = (part("tx"), part("rs"), part("cs"));
    for _ in 0..5 {
        let Some(process) = world.any_process() else {
            nap(world, 1_000, 10_000).await;
            continue;
        };
        let page = tokio::select! {
            biased;
            () = process.life.until_dead() => continue,
            page = process.service.redirect_page(&tx, &rs, &cs) => page,
        };
        match page {
            Ok(Landing::GoPay(waiting)) => {
                let deeplink = waiting.deeplink;
                let reference = world
                    .engine(|engine, _| engine.transaction(txid).map(|found| found.checkout_url));
                if reference.as_deref() != Some(&deeplink) {
                    world.problem(format!("{txid} leads to {deeplink}, not to {reference:?}"));
                }
                break;
            }
            Ok(Landing::Merchant { .. }) => return,
            Err(_) => nap(world, 500, 5_000).await,
        }
    }
    nap(world, 100, 30_000).await;
    let paid = world.engine(|engine, now| engine.pay(now, txid, &Payer::default()));
    world.trace(format_args!("the shopper pays {txid}: {paid:?}"));
    if paid.is_ok() {
        world.count("payments paid");
    }
}

async fn cancel(world: &Arc<World>, merchant: Merchant, txid: &str) {
    nap(world, 0, 20_000).await;
    if let Some(answer) = call(world, &merchant, "CANCELTX", &[("txid", txid)]).await {
        world.trace(format_args!("CANCELTX {txid}: {}", field(&answer, "REQUESTSTATUS")));
    }
}

/// Asks now and then, until the outcome is known or patience ends.
async fn watch(world: &Arc<World>, purchase: &mut Purchase) {
    let Some(txid) = purchase.txid().map(str::to_owned) else { return };
    for _ in 0..8 {
        look(world, purchase, &txid).await;
        if purchase.sightings.last().is_some_and(|last| last.status != "PENDING") {
            break;
        }
        let most = u64::try_from(world.plan.session.as_millis() / 6).unwrap_or(0);
        nap(world, 1_000, most).await;
    }
}

async fn look(world: &Arc<World>, purchase: &mut Purchase, txid: &str) {
    if let Some(sighting) = sight(world, &purchase.merchant, txid).await {
        purchase.sightings.push(sighting);
    }
}

/// Money for what had ended, from the provider's side.
pub(crate) fn arrive_late(world: &World, purchase: &Purchase) {
    let Some(txid) = purchase.txid().filter(|_| purchase.fate == Fate::Late) else { return };
    // What the fraud check has denied, no provider takes the money for.
    if !purchase.was_pending() {
        return;
    }
    let late = world.engine(|engine, now| engine.settle_late(now, txid));
    world.trace(format_args!("late money for {txid}: {late:?}"));
    if late.is_ok() {
        world.count("late money");
    }
}

/// Refunds, one after another or at once, now and then too much.
pub(crate) async fn give_back(world: &Arc<World>, purchase: &mut Purchase) {
    let Some(txid) = purchase.txid().map(str::to_owned) else { return };
    let succeeded = purchase.sightings.last().is_some_and(|last| last.status == "SUCCEEDED");
    if !succeeded || world.chance(|chance| chance.percent(30)) {
        return;
    }
    let rounds = world.chance(|chance| chance.between(1, 3));
    for _ in 0..rounds {
        let at_once = world.chance(|chance| chance.pick(&[1, 1, 1, 2, 3]));
        let whole = purchase.sen / 100;
        let tries = (0..at_once).map(|_| {
            let rupiah = world.chance(|chance| match chance.between(0, 3) {
                0 => whole,
                1 => whole.saturating_add(1),
                _ => chance.between(1, whole),
            });
            refund(world, purchase.merchant, &txid, rupiah * 100)
        });
        let done = futures::future::join_all(tries).await;
        purchase.refunds.extend(done);
        people::refund_at_dashboard(world, &txid, whole);
        nap(world, 0, 30_000).await;
    }
}

async fn refund(world: &Arc<World>, merchant: Merchant, txid: &str, sen: u64) -> RefundTry {
    world.count("REFUND calls");
    let amount = sen.to_string();
    let pairs = [("txid", txid), ("currency", "IDR"), ("amount", amount.as_str())];
    let answer = call(world, &merchant, "REFUND", &pairs).await;
    if let Some(answer) = &answer {
        let (id, status) = (field(answer, "REFUNDID"), field(answer, "STATUS"));
        world.trace(format_args!("refund {id} of {txid}, {sen} sen: {status}"));
        if status == "SUCCEEDED" && !is_listed(world, txid, id, sen) {
            world.problem(format!("refund {id} of {txid} is said to have succeeded, and has not"));
        }
    }
    RefundTry { sen, answer }
}

fn is_listed(world: &World, txid: &str, refund_id: &str, sen: u64) -> bool {
    let found = world.engine(|engine, _| engine.transaction(txid));
    found.is_some_and(|found| {
        let mut refunds = found.refunds.iter();
        refunds.any(|one| one.refund_key == refund_id && one.amount * 100 == sen)
    })
}

/// The last look, when nothing is open any more.
pub(crate) async fn look_last(world: Arc<World>, mut purchase: Purchase) -> Purchase {
    let Some(txid) = purchase.txid().map(str::to_owned) else { return purchase };
    let before = purchase.sightings.len();
    // All ask at the same time, so some are turned away.
    for _ in 0..50 {
        nap(&world, 0, 1_000).await;
        look(&world, &mut purchase, &txid).await;
        if purchase.sightings.len() > before {
            break;
        }
    }
    purchase
}

/// Looks again after time has passed, and gives back what came late.
pub(crate) async fn come_again(world: Arc<World>, mut purchase: Purchase) -> Purchase {
    nap(&world, 0, 20_000).await;
    arrive_late(&world, &purchase);
    nap(&world, 2_000, 20_000).await;
    watch_once(&world, &mut purchase).await;
    if purchase.refunds.is_empty() {
        give_back(&world, &mut purchase).await;
    }
    purchase
}

async fn watch_once(world: &Arc<World>, purchase: &mut Purchase) {
    if let Some(txid) = purchase.txid().map(str::to_owned) {
        look(world, purchase, &txid).await;
    }
}

/// Between two looks of whoever waits for everything to be done.
pub(crate) const STEP: Duration = Duration::from_secs(15);
