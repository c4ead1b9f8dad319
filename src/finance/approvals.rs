//! Corrections of settlements: asked for in one act, approved by another person in a later one.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use gopay_core::person::same_person;
use gopay_core::time::Timestamp;
use gopay_finance::SettlementAccount;
use gopay_finance::amount::Amount;
use gopay_store::{Database, ReviewAct, StoredAdjustment};
use serde::{Deserialize, Serialize};

/// Acts read at once.
const PAGE: usize = 1_000;

/// What is asked for, as the store keeps it.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    contract: String,
    amount: Amount,
    reason: String,
}

impl Content {
    fn of(one: &StoredAdjustment) -> anyhow::Result<String> {
        let (contract, amount) = (one.contract.clone(), Amount::new(one.amount));
        let content = Self { contract, amount, reason: one.reason.clone() };
        serde_json::to_string(&content).context("an adjustment")
    }
}

/// What an act did about a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Asked,
    Approved,
    /// The store says so already.
    Nothing,
}

fn scope(account: SettlementAccount) -> String {
    format!("adjustments/{account}")
}

/// The last act about each correction of an account.
async fn last_acts(
    store: &dyn Database,
    account: SettlementAccount,
) -> anyhow::Result<BTreeMap<String, ReviewAct>> {
    let (mut last, mut after) = (BTreeMap::new(), 0);
    loop {
        let page = store.reviews_after(&scope(account), after, PAGE).await?;
        let Some((place, _)) = page.last() else { return Ok(last) };
        after = *place;
        last.extend(page.into_iter().map(|(_, act)| (act.subject.clone(), act)));
    }
}

/// Asks for corrections, or approves them: all of them, or none. `of` gives each its account.
pub(crate) async fn act(
    store: &dyn Database,
    adjustments: &[(SettlementAccount, StoredAdjustment)],
    source: &str,
    now: Timestamp,
) -> anyhow::Result<Vec<Done>> {
    let (mut acts, mut done) = (Vec::new(), Vec::new());
    for (account, one) in adjustments {
        let last = last_acts(store, *account).await?.remove(&one.id);
        let (what, approved_by) = step(one, last.as_ref())?;
        if what == Done::Asked && used(store, *account, &one.id).await? {
            bail!("{:?} is in a closed settlement, which never changes; take another id", one.id);
        }
        if what != Done::Nothing {
            acts.push(ReviewAct {
                scope: scope(*account),
                subject: one.id.clone(),
                version: last.map_or(0, |last| last.version).saturating_add(1),
                content: Content::of(one)?,
                about: String::new(),
                decided_by: one.by.clone(),
                approved_by,
                at: now,
                source: source.to_owned(),
            });
        }
        done.push(what);
    }
    store.reviews_add(&acts).await.context("nothing was recorded")?;
    Ok(done)
}

/// What a line says after the last act about its correction.
fn step(
    one: &StoredAdjustment,
    last: Option<&ReviewAct>,
) -> anyhow::Result<(Done, Option<String>)> {
    let content = Content::of(one)?;
    let same =
        last.filter(|last| last.content == content && same_person(&last.decided_by, &one.by));
    let approver = &one.approved_by;
    if approver.is_empty() {
        return Ok((if same.is_some() { Done::Nothing } else { Done::Asked }, None));
    }
    let Some(same) = same else {
        bail!(
            "{:?}: approved_by is {approver} where nobody has asked for it like this yet; leave \
             approved_by empty, run adjust, and let {approver} approve it in a later run",
            one.id
        );
    };
    match &same.approved_by {
        Some(by) if same_person(by, approver) => Ok((Done::Nothing, None)),
        Some(_) | None => Ok((Done::Approved, Some(approver.clone()))),
    }
}

async fn used(store: &dyn Database, account: SettlementAccount, id: &str) -> anyhow::Result<bool> {
    let mut after = 0;
    loop {
        let page = store.settlements_after(account, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(false) };
        after = last.ordinal;
        if page.iter().flat_map(|closed| &closed.adjustments).any(|one| one.id == id) {
            return Ok(true);
        }
    }
}

/// Whether corrections were approved as they are; the error names the first that was not.
pub(crate) async fn check(
    store: &dyn Database,
    account: SettlementAccount,
    adjustments: &[StoredAdjustment],
) -> anyhow::Result<()> {
    if adjustments.is_empty() {
        return Ok(());
    }
    let last = last_acts(store, account).await?;
    for one in adjustments {
        let content = Content::of(one)?;
        let approved = last.get(&one.id).filter(|last| {
            let by = last.approved_by.as_deref();
            last.content == content
                && same_person(&last.decided_by, &one.by)
                && by.is_some_and(|by| same_person(by, &one.approved_by))
        });
        if approved.is_none() {
            bail!(
                "adjustment {:?} was not approved as it is here: one asks for it by `adjust`, \
                 another approves it by `adjust`, and then it can be settled",
                one.id
            );
        }
    }
    Ok(())
}
