//! The chain of an account's settlements: what comes next, and making the files of one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use gopay_core::time::Timestamp;
use gopay_finance::SettlementAccount;
use gopay_finance::amount::Amount;
use gopay_finance::basis::{Adjustment, Basis, Before, Previous};
use gopay_finance::calendar::Calendar;
use gopay_finance::history;
use gopay_finance::manifest::{self, Manifest};
use gopay_finance::membership::Membership;
use gopay_finance::period::{Period, day_of};
use gopay_finance::rates::Rates;
use gopay_finance::set::{Finished, SetWriter};
use gopay_finance::table::Folder;
use gopay_finance::terms::AccountTerms;
use gopay_store::{ClosedSettlement, Cursor, Database, StoreError, StoredAdjustment};

use crate::finance::approvals;
use crate::finance::events;
use crate::finance::folder::{DiskFolder, Staging};

/// How long a period is over before it may be closed: clocks of instances differ, and steps that
/// have their time may still be on their way into the store.
const GRACE: Duration = Duration::from_secs(15 * 60);

/// Settlements read at once.
const PAGE: usize = 16;

/// What closing needs besides the account.
pub(crate) struct Closing<'a> {
    pub(crate) store: &'a dyn Database,
    /// Every account of the config.
    pub(crate) accounts: &'a [AccountTerms],
    pub(crate) rates: &'a Rates,
    pub(crate) calendar: &'a Calendar,
    pub(crate) out: &'a Path,
    pub(crate) by: &'a str,
    pub(crate) now: Timestamp,
}

/// What was done with one account.
pub(crate) struct Settled {
    pub(crate) manifest: Manifest,
    pub(crate) folder: PathBuf,
    /// It had been closed before.
    pub(crate) again: bool,
}

/// The manifest of a closed settlement.
pub(crate) fn manifest_of(closed: &ClosedSettlement) -> anyhow::Result<Manifest> {
    let read = Manifest::from_json(&closed.manifest);
    let place = || format!("settlement {} of {} in the store", closed.ordinal, closed.account);
    let manifest = read.with_context(|| format!("{}: its manifest does not parse", place()))?;
    if manifest::sha256(closed.manifest.as_bytes()) != closed.manifest_sha256 {
        bail!("{}: its manifest is not the one that was closed", place());
    }
    Ok(manifest)
}

/// The settlement of an account that begins at a time, with the one before it.
pub(crate) async fn find(
    store: &dyn Database,
    account: SettlementAccount,
    from: Timestamp,
) -> Result<Option<(Option<ClosedSettlement>, ClosedSettlement)>, StoreError> {
    let mut before: Option<ClosedSettlement> = None;
    loop {
        let after = before.as_ref().map_or(0, |one| one.ordinal);
        let page = store.settlements_after(account, after, PAGE).await?;
        if page.is_empty() {
            return Ok(None);
        }
        for closed in page {
            if closed.from == from {
                return Ok(Some((before, closed)));
            }
            before = Some(closed);
        }
    }
}

impl Closing<'_> {
    /// Closes the period of an account and writes its files; of one that is closed, writes the same
    /// files again.
    pub(crate) async fn settle(
        &self,
        account: &AccountTerms,
        period: Period,
        adjustments: &[StoredAdjustment],
    ) -> anyhow::Result<Settled> {
        let head = self.store.settlement_head(account.account).await?;
        if let Some(head) = head.as_ref().filter(|head| period.until() <= head.until) {
            self.check_out(Some(head), account.account)?;
            return self.again(account.account, period, adjustments).await;
        }
        self.check_next(account, period, head.as_ref())?;
        self.check_out(head.as_ref(), account.account)?;
        self.check_history(account, head.as_ref()).await?;
        approvals::check(self.store, account.account, adjustments).await?;
        let basis = self.basis(account, period, head.as_ref(), adjustments)?;
        let staging = Staging::new(self.out, &basis.set())?;
        let (closed, finished) =
            self.make(&basis, period, head.as_ref(), adjustments, &staging).await?;
        match self.store.settlement_close(&closed).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => {
                drop(staging);
                return self.lost(account.account, period, adjustments).await;
            }
            Err(error) => return Err(error).context("the settlement was not closed"),
        }
        let folder = staging.put_in_place()?;
        Ok(Settled { manifest: finished.manifest, folder, again: false })
    }

    /// Somebody else closed it meanwhile, or an adjustment was used before.
    async fn lost(
        &self,
        account: SettlementAccount,
        period: Period,
        adjustments: &[StoredAdjustment],
    ) -> anyhow::Result<Settled> {
        if find(self.store, account, period.from()).await?.is_some() {
            return self.again(account, period, adjustments).await;
        }
        bail!("an adjustment with one of these ids is in an earlier settlement of {account}")
    }

    /// Writes the files of a closed settlement again.
    async fn again(
        &self,
        account: SettlementAccount,
        period: Period,
        adjustments: &[StoredAdjustment],
    ) -> anyhow::Result<Settled> {
        let found = find(self.store, account, period.from()).await?;
        let Some((before, closed)) = found.filter(|(_, closed)| closed.until == period.until())
        else {
            bail!("{account}: {period} is before the first settlement that was closed");
        };
        if let Some(new) = adjustments.iter().find(|one| !closed.adjustments.contains(one)) {
            bail!(
                "{account}: {period} is closed and never changes; put adjustment {:?} into the \
                 next settlement",
                new.id
            );
        }
        let manifest = manifest_of(&closed)?;
        if manifest.basis.edition != Basis::EDITION {
            bail!(
                "{}: an earlier program has closed it, whose invoice looked otherwise; take the set \
                 from a copy, and verify-files tells whether it is as it was made",
                manifest.set
            );
        }
        let staging = Staging::new(self.out, &manifest.set)?;
        let folder = DiskFolder::of_set(staging.path());
        let (_, finished) =
            rebuild(self.store, &manifest, before.as_ref(), &closed, folder, staging.path())
                .await?;
        if finished.sha256 != closed.manifest_sha256 {
            bail!(
                "{}: the store no longer gives the files that were closed; see verify-files",
                manifest.set
            );
        }
        Ok(Settled { manifest, folder: staging.put_in_place()?, again: true })
    }

    fn check_next(
        &self,
        account: &AccountTerms,
        period: Period,
        head: Option<&ClosedSettlement>,
    ) -> anyhow::Result<()> {
        let name = account.account;
        let start = head.map(|head| day_of(head.until)).or(account.start());
        let next = start.and_then(|day| account.period_of(day));
        let next = next.with_context(|| format!("{name}: no terms are in force"))?;
        if next.first() > period.first() {
            bail!("{name}: settlements begin with {next}, on {}", next.first());
        }
        if next != period {
            bail!("{name}: close {next} first ({} to {})", next.first(), next.last());
        }
        if self.now < period.until().after(GRACE) {
            let minutes = GRACE.as_secs() / 60;
            bail!(
                "{name}: {period} ends at {}; close it {minutes} minutes later or after",
                period.until().utc_seconds()
            );
        }
        Ok(())
    }

    /// The terms go on where the last settlement ended, and money is under one client number.
    async fn check_history(
        &self,
        account: &AccountTerms,
        head: Option<&ClosedSettlement>,
    ) -> anyhow::Result<()> {
        let before = head.map(manifest_of).transpose()?.map(|manifest| manifest.basis);
        let heads = self.store.settlement_heads().await?;
        let others = heads.iter().map(|head| Ok(manifest_of(head)?.basis));
        let others = others.collect::<anyhow::Result<Vec<Basis>>>()?;
        history::check(account, self.accounts, before.as_ref(), &others)
            .with_context(|| account.account.to_string())
    }

    /// A store that was restored from a copy which is older than its last settlement would close
    /// periods again, with other events.
    fn check_out(
        &self,
        head: Option<&ClosedSettlement>,
        account: SettlementAccount,
    ) -> anyhow::Result<()> {
        for (set, text) in sets_in(self.out, account)? {
            let Ok(manifest) = Manifest::from_json(&text) else { continue };
            let last = head.map(|head| day_of(head.from));
            if last.is_none_or(|last| manifest.basis.first_day > last) {
                bail!(
                    "{}: {set} is later than the last settlement of {account} in the store: the \
                     store is an older copy; restore a newer one",
                    self.out.display()
                );
            }
            let Some(head) = head.filter(|_| last == Some(manifest.basis.first_day)) else {
                continue;
            };
            if manifest::sha256(text.as_bytes()) != head.manifest_sha256 {
                bail!(
                    "{}: {set} is not the one that was closed in this store; see verify-files",
                    self.out.display()
                );
            }
        }
        Ok(())
    }

    fn basis(
        &self,
        account: &AccountTerms,
        period: Period,
        head: Option<&ClosedSettlement>,
        adjustments: &[StoredAdjustment],
    ) -> anyhow::Result<Basis> {
        let before = match head {
            None => Before::default(),
            Some(head) => {
                let manifest = manifest_of(head)?;
                let sha256 = head.manifest_sha256.clone();
                Before {
                    previous: Some(Previous { set: manifest.set, sha256 }),
                    currency: Some(head.currency.clone()),
                    state: manifest.after,
                }
            }
        };
        let shown = |one: &StoredAdjustment| Adjustment {
            id: one.id.clone(),
            contract: one.contract.clone(),
            amount: Amount::new(one.amount),
            reason: one.reason.clone(),
        };
        let adjustments = adjustments.iter().map(shown).collect();
        Basis::new(account, period, before, self.rates, self.calendar, adjustments)
            .with_context(|| format!("{}: {period} cannot be closed", account.account))
    }

    /// Decides on the members and writes the files; nothing is closed yet.
    async fn make(
        &self,
        basis: &Basis,
        period: Period,
        head: Option<&ClosedSettlement>,
        adjustments: &[StoredAdjustment],
        staging: &Staging,
    ) -> anyhow::Result<(ClosedSettlement, Finished)> {
        let read_from = head.map_or_else(Cursor::default, |head| head.read_on.clone());
        let read_to = self.store.journal_end().await?;
        let membership = Membership::new(head, read_to.clone(), period.until());
        let range = (&read_from, &read_to);
        let folder = DiskFolder::of_set(staging.path());
        let ((_, finished), read_on) =
            write(self.store, basis, &membership, range, folder, staging.path()).await?;
        let manifest = &finished.manifest;
        let closed = ClosedSettlement {
            account: basis.account(),
            ordinal: head.map_or(0, |head| head.ordinal).saturating_add(1),
            frequency: basis.frequency.letter().to_owned(),
            year: u16::try_from(basis.year).context("the year")?,
            number: basis.number,
            from: period.from(),
            until: period.until(),
            settlement_date: basis.settlement_date.to_string(),
            currency: basis.currency.clone(),
            opening: manifest.opening.get(),
            reserve: manifest.reserve().get(),
            transfer: manifest.transfer.get(),
            carry_forward: manifest.carry_forward.get(),
            read_from,
            read_to,
            read_on,
            manifest: finished.json.clone(),
            manifest_sha256: finished.sha256.clone(),
            closed_at: self.now,
            closed_by: self.by.to_owned(),
            adjustments: adjustments.to_vec(),
        };
        Ok((closed, finished))
    }
}

/// Writes the files of a closed settlement from the store.
pub(crate) async fn rebuild<F: Folder>(
    store: &dyn Database,
    manifest: &Manifest,
    before: Option<&ClosedSettlement>,
    closed: &ClosedSettlement,
    folder: F,
    scratch: &Path,
) -> anyhow::Result<(F, Finished)> {
    let membership = Membership::of(before, closed);
    let range = (&closed.read_from, &closed.read_to);
    Ok(write(store, &manifest.basis, &membership, range, folder, scratch).await?.0)
}

async fn write<F: Folder>(
    store: &dyn Database,
    basis: &Basis,
    membership: &Membership,
    range: (&Cursor, &Cursor),
    folder: F,
    scratch: &Path,
) -> anyhow::Result<((F, Finished), Cursor)> {
    let (mut sorted, read_on) = events::members(store, basis, membership, range, scratch).await?;
    let mut set = SetWriter::begin(basis, folder)?;
    while let Some(event) = sorted.next()? {
        set.add(&event)?;
    }
    Ok((set.finish()?, read_on))
}

/// The sets of an account in a folder, with their manifests.
pub(crate) fn sets_in(
    out: &Path,
    account: SettlementAccount,
) -> anyhow::Result<Vec<(String, String)>> {
    let entries = match std::fs::read_dir(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", out.display()))?,
    };
    let prefix = format!("{account}-");
    let mut sets = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if !name.starts_with(&prefix) {
            continue;
        }
        // A folder of something else, or a set without its manifest: verify-files tells.
        if let Ok(text) = std::fs::read_to_string(entry.path().join(manifest::NAME)) {
            sets.push((name, text));
        }
    }
    sets.sort();
    Ok(sets)
}
