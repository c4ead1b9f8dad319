//! A PSP: calls the adapter, repeats what got no answer, and receives notifications.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gopay_store::Store as _;
use sha2::{Digest as _, Sha256};

use crate::parties::{self, Merchant};
use crate::receiver::{Receipt, ReceiverBehaviour};
use crate::world::World;

/// An answer, decoded.
pub(crate) type Answer = BTreeMap<String, String>;

/// What GETTXSTATUS or another answer said, and between which moments.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) status: String,
}

/// The text of an answer; none if there is none.
pub(crate) async fn call_text(world: &Arc<World>, body: String) -> Option<(Vec<u8>, bool)> {
    /// As long as PPRO's clients wait, and a little more.
    const PATIENCE: Duration = Duration::from_secs(60);
    let side = Arc::clone(world);
    let adapter = async move {
        let process = side.any_process()?;
        let service = process.service.clone();
        let answer = tokio::select! {
            biased;
            () = process.life.until_dead() => None,
            answer = service.call(Bytes::from(body), std::net::IpAddr::from([127, 0, 0, 1])) => Some(answer),
        };
        answer.map(|answer| (answer.body, answer.overloaded))
    };
    tokio::time::timeout(PATIENCE, world.exchange(adapter)).await.ok().flatten()
}

/// A call; none if there was no answer or it was turned away.
pub(crate) async fn call(
    world: &Arc<World>,
    merchant: &Merchant,
    txtype: &str,
    pairs: &[(&str, &str)],
) -> Option<Answer> {
    let (text, overloaded) = call_text(world, parties::body(merchant, txtype, pairs)).await?;
    if overloaded {
        world.count("calls turned away");
        return None;
    }
    world.count("calls answered");
    Some(decode(&text))
}

pub(crate) fn decode(text: &[u8]) -> Answer {
    form_urlencoded::parse(text).into_owned().collect()
}

pub(crate) fn field<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.get(name).map_or("", String::as_str)
}

/// Asks for the status of a payment, and checks at once that `SUCCEEDED` is no lie.
pub(crate) async fn sight(world: &Arc<World>, merchant: &Merchant, txid: &str) -> Option<Sighting> {
    let asked = world.moment();
    let answer = call(world, merchant, "GETTXSTATUS", &[("txid", txid)]).await?;
    let answered = world.moment();
    let status = field(&answer, "STATUS").to_owned();
    if field(&answer, "REQUESTSTATUS") != "SUCCEEDED" {
        return None;
    }
    believe(world, txid, &status);
    Some(Sighting { asked, answered, status })
}

/// `SUCCEEDED` may be said only after GoPay has the money.
pub(crate) fn believe(world: &World, txid: &str, status: &str) {
    let paid = world
        .engine(|engine, _| engine.transaction(txid).is_some_and(|found| found.status.is_paid()));
    if status == "SUCCEEDED" && !paid {
        world.problem(format!("{txid} is said to have succeeded, and GoPay has no money for it"));
    }
}

/// A notification at a PSP's door: status and page, none if it hangs for good.
pub(crate) async fn receive(
    world: &Arc<World>,
    url: &str,
    body: &[u8],
) -> Option<(u16, &'static str)> {
    let url = url::Url::parse(url).ok()?;
    let psp = parties::psp_of_host(url.host_str()?)?;
    let arrived = world.moment();
    let mut fields = decode(body);
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    let (txid, finaltimestamp, hash) = (take("txid"), take("finaltimestamp"), take("sha256hash"));
    let genuine = hash == nested(&txid, &finaltimestamp, psp.notification_secret);
    if !genuine || !fields.is_empty() {
        world.problem(format!("{txid}: a notification that {} cannot believe", psp.login));
    }
    let stored = match txid.parse() {
        Ok(tx_id) => world.durable.payment_get(tx_id).await.ok().flatten(),
        Err(_) => None,
    };
    if stored.is_none_or(|stored| stored.final_at.is_none()) {
        world.problem(format!("{txid} is notified of before its final state is durable"));
    }
    let behaviour = world.receiver_behaviour(psp.number);
    let (status, text) = match behaviour {
        ReceiverBehaviour::Good => (200, "OK"),
        ReceiverBehaviour::ServerError => (500, "no"),
        ReceiverBehaviour::Redirects => (302, ""),
        ReceiverBehaviour::NoOkBody => (200, "<html>"),
        ReceiverBehaviour::Hangs => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            return None;
        }
    };
    let accepted = status == 200 && (!psp.says_ok || text == "OK");
    world.count(if accepted { "notifications taken" } else { "notifications refused" });
    world.trace(format_args!(
        "{} is notified of {txid}, {finaltimestamp}: {behaviour:?}",
        psp.login
    ));
    world.receive(txid, Receipt { finaltimestamp, arrived, accepted });
    Some((status, text))
}

fn nested(first: &str, second: &str, secret: &str) -> String {
    let inner = hex::encode(Sha256::digest(format!("{first}.{second}")));
    hex::encode(Sha256::digest(format!("{inner}.{secret}")))
}
