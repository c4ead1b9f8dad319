//! The files of an archive: `payments.jsonl.gz`, a JSON object a line and payment in the order of
//! their ids, and `manifest.json`.
//!
//! The file is several gzip members one after the other, which `zcat` reads as one; the manifest
//! says where each begins and with which id, so that one payment is found without reading them all.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use flate2::bufread::{GzDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use gopay_core::ids::TxId;
use gopay_store::Filed;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The file of payments.
const PAYMENTS: &str = "payments.jsonl.gz";
/// What tells about it.
const MANIFEST: &str = "manifest.json";

/// Payments in one member: enough that compression finds what repeats.
const MEMBER: u64 = 500;

/// What an archive comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    /// How many payments.
    pub(super) payments: u64,
    /// How many records of trails.
    pub(super) events: u64,
    /// What of the payments succeeded, in sen.
    pub(super) succeeded_sen: u64,
}

impl Sums {
    fn add(&mut self, filed: &Filed) -> anyhow::Result<()> {
        self.payments = self.payments.saturating_add(1);
        let events = u64::try_from(filed.events.len()).unwrap_or(u64::MAX);
        self.events = self.events.saturating_add(events);
        let column = |name| filed.payment.get(name);
        if column("state").and_then(serde_json::Value::as_str) == Some("succeeded") {
            let sen = column("amount_sen").and_then(serde_json::Value::as_u64);
            let sen = sen.with_context(|| format!("{}: succeeded without amount", filed.tx_id))?;
            self.succeeded_sen =
                self.succeeded_sen.checked_add(sen).context("the sum is too large")?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    archive: i64,
    month: String,
    #[serde(flatten)]
    sums: Sums,
    file: String,
    bytes: u64,
    sha256: String,
    /// Where members begin.
    members: Vec<Member>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Member {
    first: TxId,
    offset: u64,
}

/// Counts and hashes what goes through it.
struct Tee {
    file: File,
    written: u64,
    sha256: Sha256,
}

impl io::Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sha256.update(bytes.get(..written).unwrap_or_default());
        self.written = self.written.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes the files of an archive into a folder.
pub(super) struct ArchiveWriter<'a> {
    folder: &'a Path,
    sums: Sums,
    members: Vec<Member>,
    /// Payments of the member under way, not compressed yet.
    lines: Vec<u8>,
    of_member: u64,
    tee: Tee,
}

impl<'a> ArchiveWriter<'a> {
    pub(super) fn new(folder: &'a Path) -> anyhow::Result<Self> {
        let file = File::create_new(folder.join(PAYMENTS))?;
        let tee = Tee { file, written: 0, sha256: Sha256::new() };
        let (sums, members, lines) = (Sums::default(), Vec::new(), Vec::new());
        Ok(Self { folder, sums, members, lines, of_member: 0, tee })
    }

    pub(super) fn add(&mut self, filed: &[Filed]) -> anyhow::Result<()> {
        for one in filed {
            if self.of_member == 0 {
                self.members.push(Member { first: one.tx_id, offset: self.tee.written });
            }
            self.sums.add(one)?;
            serde_json::to_writer(&mut self.lines, one)?;
            self.lines.push(b'\n');
            self.of_member = self.of_member.saturating_add(1);
            if self.of_member >= MEMBER {
                self.end_member()?;
            }
        }
        Ok(())
    }

    fn end_member(&mut self) -> anyhow::Result<()> {
        let mut encoder: GzEncoder<&mut Tee> =
            GzBuilder::new().write(&mut self.tee, Compression::default());
        encoder.write_all(&self.lines)?;
        encoder.finish()?;
        self.lines.clear();
        self.of_member = 0;
        Ok(())
    }

    /// Makes everything durable; what it comes to, and the SHA-256 of the file. None if it is empty.
    pub(super) fn end(
        mut self,
        month: &str,
        archive: i64,
    ) -> anyhow::Result<Option<(Sums, String)>> {
        if self.of_member > 0 {
            self.end_member()?;
        }
        if self.sums.payments == 0 {
            return Ok(None);
        }
        self.tee.file.sync_all()?;
        let sha256 = hex::encode(self.tee.sha256.finalize());
        let manifest = Manifest {
            archive,
            month: month.to_owned(),
            sums: self.sums,
            file: PAYMENTS.to_owned(),
            bytes: self.tee.written,
            sha256: sha256.clone(),
            members: self.members,
        };
        let mut file = File::create_new(self.folder.join(MANIFEST))?;
        serde_json::to_writer(&mut file, &manifest)?;
        file.sync_all()?;
        Ok(Some((self.sums, sha256)))
    }
}

fn open(folder: &Path) -> anyhow::Result<BufReader<File>> {
    let path = folder.join(PAYMENTS);
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(BufReader::new(file))
}

/// Reads an archive from its beginning to its end; what it comes to, and the SHA-256 of its file.
pub(super) fn read_back(
    folder: &Path,
    mut see: impl FnMut(&Filed) -> anyhow::Result<()>,
) -> anyhow::Result<(Sums, String)> {
    let sha256 = digest(open(folder)?)?;
    let mut reader = ArchiveReader::open(folder)?;
    let (mut sums, mut last) = (Sums::default(), None);
    while let Some(filed) = reader.next()? {
        ensure!(last < Some(filed.tx_id), "{}: out of order: {}", folder.display(), filed.tx_id);
        last = Some(filed.tx_id);
        sums.add(&filed)?;
        see(&filed)?;
    }
    Ok((sums, sha256))
}

fn digest(mut file: BufReader<File>) -> io::Result<String> {
    let mut sha256 = Sha256::new();
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hex::encode(sha256.finalize()));
        }
        sha256.update(bytes);
        let read = bytes.len();
        file.consume(read);
    }
}

/// Reads the payments of an archive one after the other.
pub(super) struct ArchiveReader {
    lines: Box<dyn io::BufRead + Send>,
    name: String,
}

impl ArchiveReader {
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let lines = Box::new(BufReader::new(MultiGzDecoder::new(open(folder)?)));
        Ok(Self { lines, name: folder.display().to_string() })
    }

    fn next(&mut self) -> anyhow::Result<Option<Filed>> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line);
        if read.with_context(|| format!("{}: cannot be read", self.name))? == 0 {
            return Ok(None);
        }
        let filed = serde_json::from_str(&line);
        filed.map(Some).with_context(|| format!("{}: a line is damaged", self.name))
    }

    /// The next, at most so many; none at the end.
    pub(super) fn next_batch(&mut self, most: usize) -> anyhow::Result<Vec<Filed>> {
        let mut batch = Vec::new();
        while batch.len() < most
            && let Some(filed) = self.next()?
        {
            batch.push(filed);
        }
        Ok(batch)
    }
}

/// One payment of an archive; only its member is read.
pub(super) fn find(folder: &Path, tx_id: TxId) -> anyhow::Result<Option<Filed>> {
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    let behind = manifest.members.partition_point(|member| member.first <= tx_id);
    let member = behind.checked_sub(1).and_then(|place| manifest.members.get(place));
    let Some(member) = member else { return Ok(None) };
    let mut file = open(folder)?;
    file.seek(SeekFrom::Start(member.offset))?;
    let mut text = String::new();
    let read = GzDecoder::new(file).read_to_string(&mut text);
    read.with_context(|| format!("{}: cannot be read", folder.display()))?;
    for line in text.lines() {
        let filed: Filed = serde_json::from_str(line)
            .with_context(|| format!("{}: a line is damaged", folder.display()))?;
        if filed.tx_id == tx_id {
            return Ok(Some(filed));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use gopay_core::time::Timestamp;
    use gopay_store::FiledEvent;
    use serde_json::json;

    use super::*;

    fn filed(number: i64) -> Filed {
        let payment = json!({ "state": "succeeded", "amount_sen": 100 * number });
        Filed {
            tx_id: TxId::new(number).unwrap(),
            payment: payment.as_object().unwrap().clone(),
            call: format!(r#"{{"n":"{number}"}}"#),
            events: vec![FiledEvent {
                seq: 1,
                at: Timestamp::from_micros(number),
                kind: "state".into(),
                detail: "{}".into(),
            }],
        }
    }

    #[test]
    fn an_archive_reads_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::new(folder.path()).unwrap();
        let all: Vec<_> = (1..=1_203).map(|number| filed(number * 2)).collect();
        all.chunks(100).for_each(|batch| writer.add(batch).unwrap());
        let (sums, sha256) = writer.end("2026-08", 1).unwrap().unwrap();
        let succeeded_sen = (1..=1_203).map(|number| 200 * number).sum();
        assert_eq!(sums, Sums { payments: 1_203, events: 1_203, succeeded_sen });
        let mut seen = Vec::new();
        let read = read_back(folder.path(), |filed| {
            seen.push(filed.clone());
            Ok(())
        });
        assert_eq!(read.unwrap(), (sums, sha256));
        assert_eq!(seen, all);
        for number in [2, 1_000, 1_002, 2_406] {
            let found = find(folder.path(), TxId::new(number).unwrap()).unwrap();
            assert_eq!(found, Some(filed(number)));
        }
        for number in [1, 999, 2_407] {
            assert_eq!(find(folder.path(), TxId::new(number).unwrap()).unwrap(), None);
        }
    }

    #[test]
    fn a_damaged_archive_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ArchiveWriter::new(folder.path()).unwrap();
        writer.add(&[filed(1), filed(2)]).unwrap();
        writer.end("2026-08", 1).unwrap().unwrap();
        let path = folder.path().join(PAYMENTS);
        let whole = fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(read_back(folder.path(), |_| Ok(())).is_err(), "byte {at}");
        }
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert!(read_back(folder.path(), |_| Ok(())).is_err());
    }

    #[test]
    fn nothing_makes_no_archive() {
        let folder = tempfile::tempdir().unwrap();
        let writer = ArchiveWriter::new(folder.path()).unwrap();
        assert!(writer.end("2026-08", 1).unwrap().is_none());
    }
}
