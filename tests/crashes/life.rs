//! One payment from the first call to the last refund, by a PSP that holds on through crashes: it
//! repeats under its nonce what got no answer, and looks up a refund before it asks for another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gopay_simulator::Payer;

use crate::support::{Answer, body, decode, example};
use crate::world::World;
use gopay_testkit::Dice;
use gopay_testkit::wait::look_again;

/// Ends only a test that has failed.
const PATIENCE: Duration = Duration::from_secs(180);

/// What shopper and PSP do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pays,
    DeclinesThenPays,
    Abandons,
    Cancelled,
    /// The shopper pays while the PSP cancels.
    PaysAgainstCancel,
}

/// What goes back once the payment has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveBack {
    Nothing,
    Whole,
    Parts,
    /// Several at once, together more than the payment.
    AtOnce,
}

/// Of every payment here, in sen.
pub(crate) const AMOUNT_SEN: u64 = 1_000_000;

/// One REFUND call: its reference, and the answer if one came.
#[derive(Clone, Debug)]
pub(crate) struct RefundTry {
    pub(crate) reference: String,
    pub(crate) sen: u64,
    pub(crate) answer: Option<Answer>,
}

impl RefundTry {
    /// The answer said yes, or no for good.
    pub(crate) fn word(&self) -> Option<&str> {
        let answer = self.answer.as_ref()?;
        let open = answer["ERRMSG"].starts_with("Outcome not known yet");
        let unknown = answer["REFUNDID"] == "0";
        (!open && !unknown).then(|| answer["STATUS"].as_str())
    }
}

/// A payment, and all that was seen of it.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    number: u64,
    pub(crate) fate: Fate,
    back: GiveBack,
    /// The TRANSACTION call, with a nonce.
    pub(crate) call: String,
    /// The first answer that holds for good, as it came.
    pub(crate) answer: String,
    pub(crate) txid: String,
    /// In the order in which they were seen.
    pub(crate) sightings: Vec<String>,
    pub(crate) refunds: Vec<RefundTry>,
    pub(crate) problems: Vec<String>,
    dice: Dice,
}

impl Life {
    pub(crate) fn draw(seed: u64, number: u64) -> Self {
        let mut dice = Dice::of(seed, number);
        let fate = dice.weighted(&[
            (55, Fate::Pays),
            (10, Fate::DeclinesThenPays),
            (10, Fate::Abandons),
            (13, Fate::Cancelled),
            (12, Fate::PaysAgainstCancel),
        ]);
        let back = dice.weighted(&[
            (30, GiveBack::Nothing),
            (30, GiveBack::Whole),
            (25, GiveBack::Parts),
            (15, GiveBack::AtOnce),
        ]);
        Self::of(number, fate, back, dice)
    }

    pub(crate) fn of(number: u64, fate: Fate, back: GiveBack, dice: Dice) -> Self {
        let nonce = format!("order-{number}");
        let reference = format!("M-{number}");
        let pairs = example(&[("nonce", &nonce), ("merchanttxid", &reference)]);
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Self {
            number,
            fate,
            back,
            call: body("TRANSACTION", &pairs),
            answer: String::new(),
            txid: String::new(),
            sightings: Vec::new(),
            refunds: Vec::new(),
            problems: Vec::new(),
            dice,
        }
    }

    pub(crate) fn was_pending(&self) -> bool {
        decode(&self.answer).get("STATUS").is_some_and(|status| status == "PENDING")
    }

    fn see(&mut self, status: &str) {
        if self.sightings.last().is_none_or(|last| last != status) {
            self.sightings.push(status.to_owned());
        }
    }
}

/// Lives a life to its end.
pub(crate) async fn live(world: &Arc<World>, mut life: Life) -> Life {
    open(world, &mut life).await;
    if !life.was_pending() {
        return life;
    }
    if life.dice.chance(300) {
        repeat(world, &mut life).await;
    }
    act(world, &mut life).await;
    if world.simulator.with_engine(|engine| {
        engine.transaction(&life.txid).is_some_and(|held| held.settlement_time.is_some())
    }) {
        until(world, &mut life, "SUCCEEDED").await;
        give_back(world, &mut life).await;
    }
    life
}

/// Calls until there is an answer that holds.
async fn open(world: &World, life: &mut Life) {
    let began = Instant::now();
    while life.answer.is_empty() {
        assert!(began.elapsed() < PATIENCE, "never opened: {}", life.call);
        let Some(text) = world.send(&life.call).await else { continue };
        if holds(&decode(&text)) {
            life.txid = decode(&text)["TXID"].clone();
            let status = decode(&text)["STATUS"].clone();
            life.see(&status);
            life.answer = text;
        } else {
            world.count("answers to try again");
            look_again().await;
        }
    }
}

/// Whether an answer to TRANSACTION is its last word (`docs/psp-guide.md`, "Repeating a call").
pub(crate) fn holds(answer: &Answer) -> bool {
    let open = answer["STATUS"] == "PENDING" && !answer.contains_key("REDIRECTURL");
    let unbooked = answer["ERRMSG"].contains("could not be stored");
    answer["TXID"] != "0" && !open && !unbooked
}

/// The same call again gets the same bytes, as long as there is somebody to answer.
pub(crate) async fn repeat(world: &World, life: &mut Life) {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "never answered again: {}", life.call);
        match world.send(&life.call).await {
            Some(text) if text == life.answer => return,
            Some(text) if !holds(&decode(&text)) => {}
            Some(text) => {
                let problem = format!("one nonce, two answers: {} and {text}", life.answer);
                return life.problems.push(problem);
            }
            None => {}
        }
        look_again().await;
    }
}

/// What the shopper does in the app, and the PSP meanwhile.
async fn act(world: &Arc<World>, life: &mut Life) {
    match life.fate {
        Fate::Pays => pay(world, life),
        Fate::DeclinesThenPays => {
            let now = world.now();
            // Refused if the session is over: then there is nothing to decline.
            let _ = world.simulator.with_engine(|engine| engine.decline(now, &life.txid));
            pay(world, life);
        }
        Fate::Abandons => {}
        Fate::Cancelled => cancel(world, life).await,
        Fate::PaysAgainstCancel => {
            let (payer, paid) = (Arc::clone(world), life.clone());
            let wait = Duration::from_micros(life.dice.below(4_000));
            let paying = tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                pay(&payer, &paid);
            });
            cancel(world, life).await;
            paying.await.expect("it pays");
        }
    }
}

fn pay(world: &World, life: &Life) {
    let now = world.now();
    let payer = Payer::default();
    if world.simulator.with_engine(|engine| engine.pay(now, &life.txid, &payer)).is_ok() {
        world.count("payments made by shoppers");
    }
}

/// One CANCELTX; without an answer the status is asked for, as with any other call.
async fn cancel(world: &World, life: &mut Life) {
    world.count("cancels");
    if let Some(text) = world.send(&body("CANCELTX", &[("txid", &life.txid)])).await {
        let answer = decode(&text);
        if answer["REQUESTSTATUS"] == "SUCCEEDED" {
            let status = answer["STATUS"].clone();
            life.see(&status);
        }
    }
}

pub(crate) async fn look(world: &World, life: &mut Life) -> Answer {
    let answer = world.ask("GETTXSTATUS", &[("txid", &life.txid)]).await;
    if answer["REQUESTSTATUS"] == "SUCCEEDED" {
        let status = answer["STATUS"].clone();
        life.see(&status);
    } else {
        life.problems.push(format!("a transaction is gone: {answer:?}"));
    }
    answer
}

async fn until(world: &World, life: &mut Life, status: &str) {
    let began = Instant::now();
    while look(world, life).await["STATUS"] != status {
        assert!(began.elapsed() < PATIENCE, "{} never {status}: {:?}", life.txid, life.sightings);
        look_again().await;
    }
}

async fn give_back(world: &Arc<World>, life: &mut Life) {
    let parts: &[u64] = match life.back {
        GiveBack::Nothing => &[],
        GiveBack::Whole => &[AMOUNT_SEN],
        GiveBack::Parts => &[250_000, 300_000],
        GiveBack::AtOnce => &[600_000, 500_000, 400_000],
    };
    let number = life.number;
    if life.back == GiveBack::AtOnce {
        let calls = parts
            .iter()
            .zip(0..)
            .map(|(sen, part)| refund(world, &life.txid, format!("R-{number}-{part}"), *sen));
        let tries = futures::future::join_all(calls).await;
        life.refunds.extend(tries.into_iter().flatten());
        return;
    }
    for (sen, part) in parts.iter().zip(0..) {
        let tries = refund(world, &life.txid, format!("R-{number}-{part}"), *sen).await;
        life.refunds.extend(tries);
    }
}

/// Refunds once: a call that was certainly lost is made again under another reference.
async fn refund(world: &World, txid: &str, reference: String, sen: u64) -> Vec<RefundTry> {
    let mut tries = Vec::new();
    for number in 0..100 {
        let reference = format!("{reference}-{number}");
        let amount = sen.to_string();
        let call = body(
            "REFUND",
            &[
                ("txid", txid),
                ("currency", "IDR"),
                ("amount", &amount),
                ("merchantrefundid", &reference),
            ],
        );
        let answer = world.send(&call).await.map(|text| decode(&text));
        tries.push(RefundTry { reference: reference.clone(), sen, answer: answer.clone() });
        if answer.is_some_and(|answer| answer["REFUNDID"] != "0") {
            break;
        }
        let known = about(world, &reference).await;
        if known.get("REQUESTFAILREASON").is_none_or(|reason| reason != "REFUND_NOT_FOUND") {
            break;
        }
        world.count("refunds that never arrived");
    }
    tries
}

/// What is known of a refund by its reference.
pub(crate) async fn about(world: &World, reference: &str) -> Answer {
    world.ask("GETREFUNDSTATUSBYMERCHANTREFUNDID", &[("merchantrefundid", reference)]).await
}
