//! Moves calls and trails of months that are long over into archives: between the store and files.
//!
//! An archive is a folder that is put in its place whole, with its payments in one file and a manifest
//! beside it. It is read back before the store hears of it, and nothing leaves the store before that.
//! Then payments leave in small batches, each with all or nothing. Whatever is cut short is gone on
//! with by the next run: an archive that has not ended is ended first, and a folder that the store has
//! not heard of is written anew.

mod file;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::{Archive, Database, Filed, Leaving};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};

use self::file::{ArchiveReader, ArchiveWriter, Sums};
use crate::finance::folder::Staging;

/// Payments that are read, and that leave the store, at once. A commit of so many is as short as one of
/// a group of steps.
const BATCH: usize = 100;

/// What a run has done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Archives that were ended.
    pub(crate) archives: Vec<Archive>,
}

/// A run of `retain`.
pub(crate) struct Retaining<'a> {
    pub(crate) store: &'a dyn Database,
    pub(crate) folder: &'a Path,
    /// What is older goes.
    pub(crate) before: Timestamp,
    pub(crate) now: Timestamp,
}

impl Retaining<'_> {
    /// Ends what was begun, then makes an archive of each month that is over.
    pub(crate) async fn run(&self) -> anyhow::Result<Done> {
        let mut done = Done::default();
        for archive in self.store.archives().await? {
            if archive.ended_at.is_none() {
                tracing::info!(archive = archive.name, "going on with an archive");
                done.archives.push(self.empty_into(archive).await?);
            }
        }
        let mut from = 0;
        while let Some(month) = self.next_month(from).await? {
            if let Some(archive) = self.write(&month).await? {
                done.archives.push(self.empty_into(archive).await?);
            }
            from = month.ids.end;
        }
        Ok(done)
    }

    /// The first month with a payment that may go, from this id on.
    async fn next_month(&self, from: i64) -> anyhow::Result<Option<Month>> {
        let until = TxId::floor_of(self.before);
        if from >= until {
            return Ok(None);
        }
        let first = self.store.archivable(from..until, self.before, 1).await?;
        let Some(first) = first.first() else { return Ok(None) };
        let month = Month::of(*first)?;
        // The rest of a month waits until all of it is old enough.
        Ok((month.ids.end <= until).then_some(month))
    }

    /// Writes a month, reads it back and enters it. None if nothing of it may go any more.
    async fn write(&self, month: &Month) -> anyhow::Result<Option<Archive>> {
        let last = self.store.archives().await?.last().map_or(0, |last| last.number);
        let number = last.checked_add(1).context("no number is left")?;
        let name = format!("{}.{number}", month.name);
        let staging = Staging::new(self.folder, &name)?;
        let mut writer = ArchiveWriter::new(staging.path())?;
        let mut ids = month.ids.clone();
        loop {
            let batch = self.store.archivable(ids.clone(), self.before, BATCH).await?;
            let Some(last) = batch.last() else { break };
            ids.start = last.get().saturating_add(1);
            writer.add(&self.store.archive_read(&batch).await?)?;
        }
        let Some((sums, sha256)) = writer.end(&month.name, number)? else { return Ok(None) };
        let folder = staging.put_in_place()?;
        let read = file::read_back(&folder, |_| Ok(()))?;
        ensure!(
            read == (sums, sha256.clone()),
            "{}: does not read as it was written; nothing has left the store",
            folder.display()
        );
        let archive = Archive {
            number,
            month: month.name.clone(),
            name,
            sha256,
            payments: sums.payments,
            events: sums.events,
            succeeded_sen: sums.succeeded_sen,
            before: self.before,
            written_at: self.now,
            taken: 0,
            ended_at: None,
        };
        self.store.archive_begin(&archive).await.context("entering the archive")?;
        Ok(Some(archive))
    }

    /// Takes out of the store what is in an archive, which is looked at as a whole first.
    async fn empty_into(&self, archive: Archive) -> anyhow::Result<Archive> {
        let folder = self.folder.join(&archive.name);
        verify(&folder, &archive)?;
        let mut reader = ArchiveReader::open(&folder)?;
        loop {
            let batch = reader.next_batch(BATCH)?;
            if batch.is_empty() {
                break;
            }
            let mut leaving = Vec::with_capacity(batch.len());
            for filed in &batch {
                leaving.push(self.leaving(filed).await?);
            }
            let began = Instant::now();
            self.store.archive_take(archive.number, &leaving).await?;
            // As long as it took, the others have the store for themselves.
            tokio::time::sleep(began.elapsed().max(Duration::from_millis(5))).await;
        }
        self.store.archive_end(archive.number, self.now).await?;
        let ended =
            self.store.archives().await?.into_iter().find(|one| one.number == archive.number);
        ended.context("the archive is gone from the store")
    }

    /// What leaves the store of a payment. A call that was refused at once is told to the PSP with its
    /// answer, and stays as it is.
    async fn leaving(&self, filed: &Filed) -> anyhow::Result<Leaving> {
        let (tx_id, seqs) = (filed.tx_id, filed.events.iter().map(|event| event.seq).collect());
        let payment = self.store.payment_get(tx_id).await?;
        let refused = payment.is_none_or(|payment| payment.refused_at_once());
        let call = if refused {
            filed.call.clone()
        } else {
            gopay_service::kept_call(&self.store.payment_request(tx_id).await?).to_string()
        };
        Ok(Leaving { tx_id, seqs, call })
    }

    /// Puts everything of an archive back into the store; how many payments.
    pub(crate) async fn give_back(&self, number: i64) -> anyhow::Result<u64> {
        let archive = archive_of_number(self.store, number).await?;
        let folder = self.folder.join(&archive.name);
        verify(&folder, &archive)?;
        let mut reader = ArchiveReader::open(&folder)?;
        let mut given = 0_u64;
        loop {
            let batch = reader.next_batch(BATCH)?;
            if batch.is_empty() {
                return Ok(given);
            }
            let began = Instant::now();
            let back = self.store.archive_give_back(number, &batch).await?;
            given = given.saturating_add(back);
            tokio::time::sleep(began.elapsed()).await;
        }
    }
}

/// Whether the files of an archive are those that the store knows.
pub(crate) fn verify(folder: &Path, archive: &Archive) -> anyhow::Result<()> {
    let (sums, sha256) = file::read_back(folder, |_| Ok(()))?;
    let known = Sums {
        payments: archive.payments,
        events: archive.events,
        succeeded_sen: archive.succeeded_sen,
    };
    ensure!(
        sha256 == archive.sha256 && sums == known,
        "{}: is not what the store has entered as archive {}: SHA-256 {sha256}, {sums:?}",
        folder.display(),
        archive.number
    );
    Ok(())
}

async fn archive_of_number(store: &dyn Database, number: i64) -> anyhow::Result<Archive> {
    let archives = store.archives().await?;
    let Some(found) = archives.into_iter().find(|one| one.number == number) else {
        bail!("the store knows no archive {number}")
    };
    Ok(found)
}

/// What an archive holds of a payment, if one has its call and trail; with what was sealed of it read.
pub(crate) async fn look_up(
    store: &dyn Database,
    folder: Option<&Path>,
    tx_id: TxId,
) -> anyhow::Result<Option<(Archive, Option<Filed>)>> {
    let Some(number) = store.archive_of(tx_id).await? else { return Ok(None) };
    let archive = archive_of_number(store, number).await?;
    let Some(folder) = folder else { return Ok(Some((archive, None))) };
    let path: PathBuf = folder.join(&archive.name);
    let filed = file::find(&path, tx_id)?;
    let filed = filed.with_context(|| format!("{}: {tx_id} is not in it", path.display()))?;
    Ok(Some((archive, Some(store.archive_open(filed).await?))))
}

/// A month in UTC, and the ids that were issued in it.
struct Month {
    name: String,
    ids: std::ops::Range<i64>,
}

impl Month {
    fn of(tx_id: TxId) -> anyhow::Result<Self> {
        let epoch = Date::constant(1970, 1, 1);
        let first = epoch.checked_add(tx_id.day().days())?.first_of_month();
        let start = |day: Date| -> anyhow::Result<i64> {
            let midnight: Zoned = day.to_zoned(TimeZone::UTC)?;
            let at = Timestamp::from_micros(midnight.timestamp().as_microsecond());
            Ok(TxId::floor_of(at))
        };
        let next = first.checked_add(1.month())?;
        let name = format!("{:04}-{:02}", first.year(), first.month());
        Ok(Self { name, ids: start(first)?..start(next)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_the_ids_of_its_days() {
        let at = |text: &str| TxId::floor_of(Timestamp::from_rfc3339(text).unwrap());
        let tx_id = |number| TxId::new(number).unwrap();
        for (id, name, first, end) in [
            (at("2026-08-31T23:59:59Z"), "2026-08", "2026-08-01T00:00:00Z", "2026-09-01T00:00:00Z"),
            (at("2026-08-01T00:00:00Z"), "2026-08", "2026-08-01T00:00:00Z", "2026-09-01T00:00:00Z"),
            (at("2024-12-31T12:00:00Z"), "2024-12", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ] {
            let month = Month::of(tx_id(id)).unwrap();
            assert_eq!((month.name.as_str(), month.ids), (name, at(first)..at(end)));
        }
    }
}
