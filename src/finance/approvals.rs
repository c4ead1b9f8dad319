//! Corrections of settlements: asked for in one act, approved by another person in a later one.

use std::collections::{BTreeMap, BTreeSet};

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

/// The last act about each correction of an account, with its place.
async fn last_acts(
    store: &dyn Database,
    account: SettlementAccount,
) -> anyhow::Result<BTreeMap<String, (i64, ReviewAct)>> {
    let (mut last, mut after) = (BTreeMap::new(), 0);
    loop {
        let page = store.reviews_after(&scope(account), after, PAGE).await?;
        let Some((place, _)) = page.last() else { return Ok(last) };
        after = *place;
        last.extend(page.into_iter().map(|(place, act)| (act.subject.clone(), (place, act))));
    }
}

/// A correction after the last act about it.
pub(crate) struct Standing {
    /// The place of that act.
    pub(crate) place: i64,
    /// When it was.
    pub(crate) at: Timestamp,
    /// `approved_by` is empty as long as it is only asked for.
    pub(crate) adjustment: StoredAdjustment,
}

/// Every correction of an account, by its id.
pub(crate) async fn standing(
    store: &dyn Database,
    account: SettlementAccount,
) -> anyhow::Result<Vec<Standing>> {
    let mut all = Vec::new();
    for (id, (place, act)) in last_acts(store, account).await? {
        let content: Content = serde_json::from_str(&act.content)
            .with_context(|| format!("the correction {id:?} of {account} does not parse"))?;
        let Content { contract, amount, reason } = content;
        let approved_by = act.approved_by.unwrap_or_default();
        let (amount, by) = (amount.get(), act.decided_by);
        let adjustment = StoredAdjustment { id, contract, amount, reason, by, approved_by };
        all.push(Standing { place, at: act.at, adjustment });
    }
    Ok(all)
}

/// The corrections of an account that were approved and that no settlement has taken yet.
pub(crate) async fn unsettled(
    store: &dyn Database,
    account: SettlementAccount,
) -> anyhow::Result<Vec<StoredAdjustment>> {
    let mut open: Vec<_> = standing(store, account).await?;
    open.retain(|one| !one.adjustment.approved_by.is_empty());
    if !open.is_empty() {
        let used = used(store, account).await?;
        open.retain(|one| !used.contains(&one.adjustment.id));
    }
    Ok(open.into_iter().map(|one| one.adjustment).collect())
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
        let last = last_acts(store, *account).await?.remove(&one.id).map(|(_, act)| act);
        let (what, approved_by) = step(one, last.as_ref())?;
        if what == Done::Asked && used(store, *account).await?.contains(&one.id) {
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

/// The ids of the corrections that settlements of an account have taken.
async fn used(
    store: &dyn Database,
    account: SettlementAccount,
) -> anyhow::Result<BTreeSet<String>> {
    let (mut ids, mut after) = (BTreeSet::new(), 0);
    loop {
        let page = store.settlements_after(account, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(ids) };
        after = last.ordinal;
        let taken = page.into_iter().flat_map(|closed| closed.adjustments);
        ids.extend(taken.map(|one| one.id));
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
        let approved = last.get(&one.id).filter(|(_, last)| {
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
