//! One shopper's payment from the first call to the last refund, as PSP, shopper and provider act
//! on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::encoding::form;
use crate::faults;
use crate::people::Order;
use crate::psp::{Behaviour, Moments, Psp, Sighting, nested};
use crate::support::{Answer, Demo, body, decode};
use gopay_testkit::Dice;

const PHONE: &str = "Mozilla/5.0 (Linux; Android 14; SM-A155F) AppleWebKit/537.36 Mobile";
const DESKTOP: &str = "Mozilla/5.0 (X11; Linux x86_64)";

/// What becomes of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Paid,
    PaidByQris,
    DeclinedThenPaid,
    /// The shopper pays while the PSP cancels.
    PaidAgainstCancel,
    Abandoned,
    CancelledByPsp,
    CancelledUpstream,
    Denied,
    ExpiredUpstream,
    FailedUpstream,
    LateAfterExpiry,
    LateAfterCancel,
}

impl Fate {
    pub(crate) const ODDS: [(u64, Self); 12] = [
        (34, Self::Paid),
        (8, Self::PaidByQris),
        (8, Self::DeclinedThenPaid),
        (5, Self::PaidAgainstCancel),
        (12, Self::Abandoned),
        (8, Self::CancelledByPsp),
        (2, Self::CancelledUpstream),
        (4, Self::Denied),
        (3, Self::ExpiredUpstream),
        (3, Self::FailedUpstream),
        (7, Self::LateAfterExpiry),
        (6, Self::LateAfterCancel),
    ];
}

/// Whether and how the PSP sends its TRANSACTION twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    No,
    AtOnce,
    Afterwards,
    /// The first connection is closed before the answer.
    AfterHangUp,
    /// Under the same nonce, which is refused.
    OtherContent,
}

/// What goes back once the payment has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GiveBack {
    Nothing,
    Whole,
    Part,
    Parts,
    /// Several at once, together more than the payment.
    AtOnce,
    TooMuch,
    /// Under the same reference: two refunds.
    Repeated,
}

impl GiveBack {
    const ODDS: [(u64, Self); 7] = [
        (40, Self::Nothing),
        (20, Self::Whole),
        (12, Self::Part),
        (10, Self::Parts),
        (6, Self::AtOnce),
        (6, Self::TooMuch),
        (6, Self::Repeated),
    ];
}

/// One REFUND call and its answer.
#[derive(Clone, Debug)]
pub(crate) struct RefundTry {
    pub(crate) sen: u64,
    pub(crate) answer: Answer,
}

impl RefundTry {
    pub(crate) fn id(&self) -> &str {
        self.answer.get("REFUNDID").map_or("", String::as_str)
    }

    /// The answer said neither yes nor no.
    pub(crate) fn is_open(&self) -> bool {
        self.answer["STATUS"] == "FAILED"
            && self.answer["FAILREASON"] == "REMOTE_ERROR"
            && self.answer["ERRMSG"].starts_with("Outcome not known yet")
    }
}

/// A shopper, and all that was seen of the payment.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) number: u64,
    pub(crate) fate: Fate,
    pub(crate) give_back: GiveBack,
    pub(crate) order: Order,
    pub(crate) behaviour: Option<Behaviour>,
    repeat: Repeat,
    browses: bool,
    dice: Dice,
    /// `0` until the call was answered.
    pub(crate) txid: String,
    /// The answer to TRANSACTION.
    pub(crate) opened: Answer,
    /// Refused calls under the same nonce, which are recorded under ids of their own.
    pub(crate) refused: Vec<String>,
    pub(crate) sightings: Vec<Sighting>,
    /// When the money came after the end, by the simulator's clock.
    pub(crate) late_since: Option<String>,
    pub(crate) refunds: Vec<RefundTry>,
    given_back: bool,
    pub(crate) problems: Vec<String>,
}

impl Life {
    pub(crate) fn draw(seed: u64, number: u64, world: &World) -> Self {
        let mut dice = Dice::of(seed, number);
        let dead = if world.dead_receivers { 1 } else { 0 };
        let behaviour = dice.weighted(&[
            (30, None),
            (30, Some(Behaviour::Steady)),
            (25, Some(Behaviour::Flaky)),
            (14, Some(Behaviour::Slow)),
            (dead, Some(Behaviour::Dead)),
        ]);
        // Left to the contract, or the demo's own receiver.
        let notify = match behaviour {
            Some(behaviour) => Some(world.psp.url(behaviour, number)),
            None => dice.chance(300).then(|| format!("{}/psp/notify", world.demo.simulator)),
        };
        let mut order = Order::draw(number, &mut dice, notify);
        let repeat = dice.weighted(&[
            (70, Repeat::No),
            (8, Repeat::AtOnce),
            (8, Repeat::Afterwards),
            (8, Repeat::AfterHangUp),
            (4, Repeat::OtherContent),
        ]);
        if repeat != Repeat::No || dice.chance(300) {
            order.pairs.push(("nonce".to_owned(), nonce(number, &mut dice)));
        }
        Self {
            number,
            fate: dice.weighted(&Fate::ODDS),
            give_back: dice.weighted(&GiveBack::ODDS),
            order,
            behaviour,
            repeat,
            browses: dice.chance(250),
            dice,
            txid: "0".to_owned(),
            opened: Answer::new(),
            refused: Vec::new(),
            sightings: Vec::new(),
            late_since: None,
            refunds: Vec::new(),
            given_back: false,
            problems: Vec::new(),
        }
    }

    pub(crate) fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    fn expect(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.problem(text());
        }
    }

    pub(crate) fn was_pending(&self) -> bool {
        self.opened.get("STATUS").is_some_and(|status| status == "PENDING")
    }

    fn see(&mut self, asked: u64, answered: u64, status: &str) {
        self.sightings.push(Sighting { asked, answered, status: status.to_owned() });
    }
}

fn nonce(number: u64, dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => format!("{number} ~!@#$%^&*()_+{{}}|:\"<>?{}", dice.below(1_000_000)),
        1 => format!("{number:0>255}"),
        _ => format!("order-{number}-try-1"),
    }
}

/// What all shoppers share.
pub(crate) struct World {
    pub(crate) demo: Demo,
    pub(crate) psp: Psp,
    pub(crate) moments: Moments,
    pub(crate) seed: u64,
    pub(crate) dead_receivers: bool,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl World {
    pub(crate) fn new(demo: Demo, psp: Psp, moments: Moments, seed: u64, dead: bool) -> Self {
        Self { demo, psp, moments, seed, dead_receivers: dead, counts: Mutex::default() }
    }

    pub(crate) fn count(&self, what: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn call(&self, txtype: &str, pairs: &[(&str, &str)]) -> Answer {
        self.count(txtype);
        self.demo.call(txtype, pairs).await
    }

    async fn transact(&self, call: String) -> String {
        self.count("TRANSACTION");
        let (status, text) = self.demo.post(call).await;
        assert_eq!(status, 200, "{text}");
        text
    }

    /// GETTXSTATUS, remembered with the payment.
    pub(crate) async fn status(&self, life: &mut Life) -> Answer {
        let asked = self.moments.next();
        let answer = self.call("GETTXSTATUS", &[("txid", &life.txid)]).await;
        let answered = self.moments.next();
        life.expect(answer["REQUESTSTATUS"] == "SUCCEEDED", || format!("no status: {answer:?}"));
        life.see(asked, answered, &answer["STATUS"]);
        answer
    }

    /// A wallet or provider action that may be refused; the HTTP status and what it said.
    async fn provoke(&self, txid: &str, action: &str, options: Value) -> (u16, Value) {
        let url = format!("{}/simulator/v1/transactions/{txid}/{action}", self.demo.simulator);
        let request = self.demo.http.post(url).json(&options);
        let answer = request.send().await.expect("the simulator answers");
        let status = answer.status().as_u16();
        if status == 200 {
            self.count(&format!("simulator: {action}"));
        }
        (status, serde_json::from_str(&answer.text().await.expect("text")).unwrap_or_default())
    }

    /// The time of adapter and simulator.
    async fn now(&self) -> String {
        let clock = self.demo.simulate("GET", "clock", Value::Null).await;
        clock["now"].as_str().expect("a time").to_owned()
    }
}

/// The call, its repeats, and what shopper and provider make of the payment at once.
pub(crate) async fn open(world: Arc<World>, mut life: Life) -> Life {
    send(&world, &mut life).await;
    check_opened(&mut life);
    if life.txid == "0" {
        return life;
    }
    if life.was_pending() {
        let unpaid = matches!(life.fate, Fate::Abandoned | Fate::LateAfterExpiry);
        for fault in faults::for_order(&life.txid, unpaid, &mut life.dice) {
            world.demo.fault(fault).await;
        }
        let deeplink = if life.browses { go_to_gopay(&world, &mut life).await } else { None };
        act(&world, &mut life).await;
        if let Some(deeplink) = deeplink {
            come_back(&world, &mut life, &deeplink).await;
        }
    } else if life.dice.chance(300) {
        // Nobody has the address, yet somebody pays what may exist.
        pay(&world, &mut life, "gopay").await;
    }
    if life.dice.chance(200) {
        look_up_by_reference(&world, &mut life).await;
    }
    life
}

async fn send(world: &World, life: &mut Life) {
    let pairs = life.order.pairs.clone();
    let first = form(&pairs, &mut life.dice);
    let second = form(&pairs, &mut life.dice);
    let asked = world.moments.next();
    let (text, again) = match life.repeat {
        Repeat::No => (world.transact(first).await, None),
        Repeat::AtOnce => {
            let (text, again) =
                futures::future::join(world.transact(first), world.transact(second)).await;
            (text, Some(again))
        }
        Repeat::Afterwards => {
            let text = world.transact(first).await;
            (text, Some(world.transact(second).await))
        }
        Repeat::AfterHangUp => {
            let patience = Duration::from_millis(life.dice.between(0, 12));
            let cut = tokio::time::timeout(patience, world.transact(first)).await;
            (world.transact(second).await, cut.ok())
        }
        Repeat::OtherContent => {
            let text = world.transact(first).await;
            refused_under_nonce(world, life, pairs).await;
            (text, None)
        }
    };
    if let Some(again) = again {
        life.expect(text == again, || format!("one nonce, two answers:\n{text}\n{again}"));
        let other = decode(&again).remove("TXID");
        life.refused.extend(other.filter(|other| decode(&text).get("TXID") != Some(other)));
    }
    life.opened = decode(&text);
    life.txid = life.opened.get("TXID").cloned().unwrap_or_default();
    let answered = world.moments.next();
    let status = life.opened.get("STATUS").cloned().unwrap_or_default();
    life.see(asked, answered, &status);
}

async fn refused_under_nonce(world: &World, life: &mut Life, mut pairs: Vec<(String, String)>) {
    for (key, value) in &mut pairs {
        if key == "accountholdername" {
            *value = "Orang Lain".to_owned();
        }
    }
    let other = decode(&world.transact(form(&pairs, &mut life.dice)).await);
    let refused = other["STATUS"] == "FAILED"
        && other["FAILREASON"] == "INPUT_DATA"
        && other["ERRMSG"].starts_with("nonce:");
    life.expect(refused, || format!("other content under a nonce: {other:?}"));
    life.refused.push(other["TXID"].clone());
}

/// What must be right about any answer to a legal call.
fn check_opened(life: &mut Life) {
    let answer = life.opened.clone();
    let shown = format!("{answer:?}");
    let get = |key: &str| answer.get(key).map_or("", String::as_str);
    let pending = get("STATUS") == "PENDING";
    life.expect(matches!(get("STATUS"), "PENDING" | "FAILED"), || format!("answer: {shown}"));
    life.expect(get("TXID").parse::<i64>().is_ok_and(|id| id > 0), || format!("no id: {shown}"));
    let named = life.order.reference.clone();
    life.expect(answer.get("MERCHANTTXID") == named.as_ref(), || format!("reference: {shown}"));
    life.expect(get("CHANNEL") == "testchannel" && get("TAG") == "gopay", || shown.clone());
    let rand = answer.keys().filter(|key| key.starts_with("RAND")).count();
    life.expect(rand == 1, || format!("RAND: {shown}"));
    let funds = if pending { "WAITING" } else { "NOT_EXPECTED" };
    life.expect(get("FUNDSSTATUS") == funds, || format!("funds: {shown}"));
    life.expect(get("ERRMSG").is_empty() == pending, || format!("message: {shown}"));
    life.expect(get("ERRMSG").chars().count() <= 128, || format!("long message: {shown}"));
    life.expect(answer.contains_key("FAILREASON") != pending, || format!("reason: {shown}"));
    // No fault of this run makes Midtrans complain about the data.
    life.expect(get("FAILREASON") != "INPUT_DATA", || format!("a legal call was refused: {shown}"));
    let url = get("REDIRECTURL");
    life.expect(url.is_empty() != pending && url.len() <= 255, || format!("address: {shown}"));
    let secret = get("REDIRECTSECRET");
    let good_secret = secret.len() == 32 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    life.expect(good_secret == pending, || format!("secret: {shown}"));
}

/// Opens REDIRECTURL; where a phone is led to.
async fn go_to_gopay(world: &World, life: &mut Life) -> Option<String> {
    let url = life.opened.get("REDIRECTURL")?.clone();
    let (page, _, text) = world.demo.browse(&url, DESKTOP).await;
    life.expect(page == 200 && text.contains("GoPay"), || format!("desktop page: {page}"));
    let (page, location, _) = world.demo.browse(&url, PHONE).await;
    let to_gopay = page == 302 && location.contains("/gopay/ui/checkout?referenceid=");
    life.expect(to_gopay, || format!("phone page: {page} {location}"));
    to_gopay.then_some(location)
}

/// The GoPay app returns to us, and we send the shopper on to the merchant.
async fn come_back(world: &World, life: &mut Life, deeplink: &str) {
    if life.order.own_deeplink {
        return;
    }
    let url = reqwest::Url::parse(deeplink).expect("a URL");
    let callback = url.query_pairs().find(|(key, _)| key == "callback_url");
    let Some((_, callback)) = callback else { return life.problem("no way back") };
    let (page, location, _) = world.demo.browse(&format!("{callback}&result=success"), PHONE).await;
    let secret = life.opened["REDIRECTSECRET"].clone();
    let expected = nested(&life.txid, &secret, "examplesharedsecret");
    let landed = reqwest::Url::parse(&location).ok();
    let carries = |key: &str, value: &str| {
        landed.as_ref().is_some_and(|url| url.query_pairs().any(|(k, v)| k == key && v == value))
    };
    let good = page == 302 && carries("txid", &life.txid) && carries("cs", &expected);
    life.expect(good, || format!("way back: {page} {location}"));
    let host = life.order.redirect_url.as_deref().and_then(|url| reqwest::Url::parse(url).ok());
    if let (Some(wanted), Some(landed)) = (host, &landed) {
        let same = wanted.origin() == landed.origin()
            && wanted.path() == landed.path()
            && wanted.fragment() == landed.fragment();
        life.expect(same, || format!("the way back leads elsewhere: {wanted} {landed}"));
    }
}

async fn pay(world: &World, life: &mut Life, via: &str) {
    let sen = life.order.sen;
    let wallets: &[&str] = match sen / 100 {
        0..=2_000_000 => &["verified", "unverified", "paylater"],
        2_000_001..=3_000_000 => &["verified", "paylater"],
        _ => &["verified"],
    };
    let wallet = life.dice.pick(wallets);
    let mut options = json!({"wallet": wallet, "pin": "123456", "via": via});
    if via == "qris" {
        options["transaction_type"] = json!(life.dice.pick(&["on-us", "off-us"]));
    }
    let (status, said) = world.provoke(&life.txid, "pay", options).await;
    life.expect(matches!(status, 200 | 404 | 409), || format!("pay: {status} {said}"));
}

async fn act(world: &World, life: &mut Life) {
    let txid = life.txid.clone();
    let wallet = async |action: &str, options: Value| world.provoke(&txid, action, options).await;
    match life.fate {
        Fate::Paid => pay(world, life, "gopay").await,
        Fate::PaidByQris => {
            let via = if life.order.sen <= 1_000_000_000 { "qris" } else { "gopay" };
            pay(world, life, via).await;
        }
        Fate::DeclinedThenPaid => {
            wallet("decline", json!({})).await;
            let wrong_pin = wallet("pay", json!({"pin": "000000"})).await;
            let poor = wallet("pay", json!({"wallet": "empty", "pin": "123456"})).await;
            life.expect(wrong_pin.0 == 409 && poor.0 == 409, || format!("{wrong_pin:?} {poor:?}"));
            pay(world, life, "gopay").await;
        }
        Fate::PaidAgainstCancel => {
            let pause = Duration::from_millis(life.dice.below(20));
            let paying = async {
                tokio::time::sleep(pause).await;
                wallet("pay", json!({"wallet": "verified"})).await
            };
            futures::future::join(paying, cancel(world, life)).await;
        }
        Fate::CancelledByPsp | Fate::LateAfterCancel => cancel(world, life).await,
        Fate::CancelledUpstream => drop(wallet("cancel", json!({})).await),
        Fate::Denied => drop(wallet("deny", json!({})).await),
        Fate::ExpiredUpstream => drop(wallet("expire", json!({})).await),
        Fate::FailedUpstream => drop(wallet("fail", json!({})).await),
        Fate::Abandoned | Fate::LateAfterExpiry => {
            if life.dice.chance(200) {
                early_refund(world, life).await;
            }
        }
    }
}

async fn cancel(world: &World, life: &mut Life) {
    let mut pairs = vec![("txid", life.txid.clone())];
    // CANCELTX may repeat what TRANSACTION said.
    let phone = life.order.pairs.iter().find(|(key, _)| key == "specin.phone");
    if let Some((_, phone)) = phone {
        pairs.push(("specin.phone", phone.clone()));
    }
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let asked = world.moments.next();
    let answer = world.call("CANCELTX", &pairs).await;
    let answered = world.moments.next();
    let get = |key: &str| answer.get(key).map_or("", String::as_str);
    let known = get("TXID") == life.txid;
    let good = match (get("REQUESTSTATUS"), get("REQUESTFAILREASON")) {
        ("SUCCEEDED", _) => known && get("STATUS") == "FAILED" && get("FAILREASON") == "CANCELED",
        ("FAILED", "UNKNOWN") => known && matches!(get("STATUS"), "SUCCEEDED" | "FAILED"),
        ("FAILED", "SYSTEM_ERROR") => get("TXID") == "0",
        _ => false,
    };
    life.expect(good, || format!("CANCELTX: {answer:?}"));
    if known {
        life.see(asked, answered, get("STATUS"));
    }
}

async fn look_up_by_reference(world: &World, life: &mut Life) {
    let Some(reference) = life.order.reference.clone() else { return };
    let other_case: String = reference
        .chars()
        .map(|char| {
            if char.is_lowercase() { char.to_ascii_uppercase() } else { char.to_ascii_lowercase() }
        })
        .collect();
    let asked = world.moments.next();
    let answer = world.call("GETTXSTATUSBYMERCHANTTXID", &[("merchanttxid", &other_case)]).await;
    let answered = world.moments.next();
    // A refused call under the same nonce has the same reference.
    if life.refused.is_empty() {
        life.expect(answer["TXID"] == life.txid, || format!("by {other_case}: {answer:?}"));
        life.see(asked, answered, &answer["STATUS"]);
    } else {
        let reason = answer.get("REQUESTFAILREASON").map_or("", String::as_str);
        life.expect(reason == "TX_NOT_UNIQUE", || format!("by {other_case}: {answer:?}"));
    }
}

/// The money comes after the end of those whose fate it is.
pub(crate) async fn arrive_late(world: Arc<World>, mut life: Life) -> Life {
    let late = matches!(life.fate, Fate::LateAfterExpiry | Fate::LateAfterCancel);
    if !late || !life.was_pending() {
        return life;
    }
    // Mostly after the PSP was told FAILED, sometimes before the adapter knows of the end.
    if life.dice.chance(700) {
        world.demo.run_due().await;
        drop(world.status(&mut life).await);
    }
    let now = world.now().await;
    let txid = life.txid.clone();
    let (status, said) = world.provoke(&txid, "settle-late", json!({})).await;
    life.expect(matches!(status, 200 | 409), || format!("settle-late: {status} {said}"));
    if status == 200 {
        life.late_since = Some(now);
    }
    life
}

/// The refunds of those that have succeeded by now.
pub(crate) async fn give_back(world: Arc<World>, mut life: Life) -> Life {
    if life.given_back || life.txid == "0" {
        return life;
    }
    if world.status(&mut life).await["STATUS"] != "SUCCEEDED" {
        return life;
    }
    life.given_back = true;
    let (world, life_) = (&world, &mut life);
    let rupiah = life_.order.sen / 100;
    let number = life_.number;
    let reference = |part: u64| Some(format!("RF.{number},{part}"));
    match life_.give_back {
        GiveBack::Nothing => {}
        GiveBack::Whole => refund(world, life_, rupiah, reference(0)).await,
        GiveBack::Part => {
            let part = life_.dice.between(1, rupiah);
            let named = life_.dice.chance(500).then(|| format!("part-{number}"));
            refund(world, life_, part, named).await;
        }
        GiveBack::Parts => {
            let parts = life_.dice.between(2, 5);
            for part in 0..parts {
                refund(world, life_, (rupiah / parts).max(1), reference(part)).await;
            }
            // What is left after the parts, or, if one of them is open, more than is left.
            refund(world, life_, rupiah % parts + 1, reference(parts)).await;
        }
        GiveBack::AtOnce => {
            let each = (rupiah * 2 / 5).max(1);
            let calls =
                (0..4).map(|part| ask_refund(world, &life_.txid, each, reference(part), ""));
            let tries = join_all(calls).await;
            life_.refunds.extend(tries);
        }
        GiveBack::TooMuch => {
            refund(world, life_, rupiah + 1, reference(0)).await;
            let refused = life_.refunds.last().is_some_and(|one| {
                one.answer["STATUS"] == "FAILED" && one.answer["FAILREASON"] == "INPUT_DATA"
            });
            life_.expect(refused, || "more than the payment went back".to_owned());
        }
        GiveBack::Repeated => {
            let half = (rupiah / 2).max(1);
            refund(world, life_, half, reference(0)).await;
            refund(world, life_, half, reference(0)).await;
            let named = format!("RF.{number},0");
            let kind = "GETREFUNDSTATUSBYMERCHANTREFUNDID";
            let answer = world.call(kind, &[("merchantrefundid", &named)]).await;
            let reason = answer.get("REQUESTFAILREASON").map_or("", String::as_str);
            life_.expect(reason == "REFUND_NOT_UNIQUE", || format!("two refunds: {answer:?}"));
        }
    }
    life
}

/// A refund of what nobody has paid yet.
async fn early_refund(world: &World, life: &mut Life) {
    let one = ask_refund(world, &life.txid, life.order.sen / 100, None, "").await;
    let refused = one.answer["STATUS"] == "FAILED" && one.answer["FAILREASON"] == "INPUT_DATA";
    life.expect(refused, || format!("refund of a pending payment: {:?}", one.answer));
    life.refunds.push(one);
}

async fn refund(world: &World, life: &mut Life, rupiah: u64, reference: Option<String>) {
    let reason = life.dice.pick(&["", "", "Barang rusak 😢", "  stok\u{7} habis  "]);
    let one = ask_refund(world, &life.txid, rupiah, reference, reason).await;
    let shown = format!("{:?}", one.answer);
    let id = one.id().parse::<i64>().is_ok_and(|id| id > 0);
    life.expect(id, || format!("a refund without an id: {shown}"));
    let words = match one.answer["STATUS"].as_str() {
        "SUCCEEDED" => one.answer["ERRMSG"].is_empty(),
        "FAILED" => one.answer.contains_key("FAILREASON") && !one.answer["ERRMSG"].is_empty(),
        _ => false,
    };
    life.expect(words, || format!("REFUND: {shown}"));
    life.refunds.push(one);
}

async fn ask_refund(
    world: &World,
    txid: &str,
    rupiah: u64,
    reference: Option<String>,
    reason: &str,
) -> RefundTry {
    let sen = rupiah * 100;
    let amount = sen.to_string();
    let mut pairs = vec![("txid", txid), ("currency", "IDR"), ("amount", &amount)];
    if let Some(reference) = &reference {
        pairs.push(("merchantrefundid", reference));
    }
    if !reason.is_empty() {
        pairs.push(("specin.dynamicdescriptor", reason));
    }
    RefundTry { sen, answer: world.call("REFUND", &pairs).await }
}

/// What the PSP would do to find out what is true now.
pub(crate) async fn final_status(world: Arc<World>, mut life: Life) -> Life {
    if life.txid != "0" {
        world.status(&mut life).await;
    }
    life
}

/// The body of a call as a PSP would send it, for reports.
pub(crate) fn shown_call(life: &Life) -> String {
    let pairs: Vec<(&str, &str)> = life
        .order
        .pairs
        .iter()
        .filter(|(key, _)| {
            !matches!(key.as_str(), "login" | "password" | "returnmode" | "txtype" | "contractid")
        })
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    body("TRANSACTION", &pairs)
}
