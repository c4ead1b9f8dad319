//! Sets of settlement files on a disk, held against their manifests, each other and the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::read::GzDecoder;
use gopay_finance::SettlementAccount;
use gopay_finance::basis::Basis;
use gopay_finance::day::DayManifest;
use gopay_finance::event::EventError;
use gopay_finance::manifest::{self, Manifest};
use gopay_finance::set::Part;
use gopay_finance::table::{FileFacts, Folder};
use gopay_finance::verify::{
    Comparison, Difference, Finding, Ids, TableRead, check_chain, check_folder, check_sums,
    compare_lines, read_table,
};
use gopay_store::{ClosedSettlement, Database};
use sha2::{Digest as _, Sha256};

use crate::finance::chain::{manifest_of, rebuild};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    /// What is not as it must be.
    pub(crate) findings: Vec<Finding>,
    /// What is, and could not be shown whole.
    pub(crate) notes: Vec<Finding>,
    pub(crate) sets: usize,
    pub(crate) rows: u64,
}

/// A set on the disk.
pub(crate) struct SetOnDisk {
    path: PathBuf,
    name: String,
    text: String,
    manifest: Manifest,
}

/// The processing files of a day of a PSP on the disk.
pub(crate) struct DayOnDisk {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) manifest: DayManifest,
}

impl SetOnDisk {
    pub(crate) fn account(&self) -> SettlementAccount {
        self.manifest.basis.account()
    }
}

/// What a folder holds.
#[derive(Default)]
pub(crate) struct Found {
    /// Settlement sets, by account and time.
    pub(crate) sets: Vec<SetOnDisk>,
    /// Processing files, by day and PSP.
    pub(crate) days: Vec<DayOnDisk>,
}

impl Found {
    fn add(&mut self, found: Option<OneFolder>) {
        match found {
            Some(OneFolder::Set(set)) => self.sets.push(*set),
            Some(OneFolder::Day(day)) => self.days.push(*day),
            None => {}
        }
    }
}

enum OneFolder {
    Set(Box<SetOnDisk>),
    Day(Box<DayOnDisk>),
}

/// The sets and days of a folder, and what is wrong with the folder itself.
pub(crate) fn find_sets(folder: &Path, verified: &mut Verified) -> anyhow::Result<Found> {
    let mut found = Found::default();
    if folder.join(manifest::NAME).exists() {
        found.add(read_folder(&fs::canonicalize(folder)?, verified)?);
        return Ok(found);
    }
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.add(read_folder(&path, verified)?);
        } else {
            let name = name_of(&path);
            verified.findings.push(Finding::set(&name, "the file belongs to no set"));
        }
    }
    found.sets.sort_by_key(|set| (set.manifest.basis.account(), set.manifest.basis.first_day));
    found.days.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
}

fn read_folder(path: &Path, verified: &mut Verified) -> anyhow::Result<Option<OneFolder>> {
    let name = name_of(path);
    let file = path.join(manifest::NAME);
    let text = match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let finding = Finding::file(&name, manifest::NAME, "the file is missing");
            verified.findings.push(finding);
            return Ok(None);
        }
        read => read.with_context(|| format!("cannot read {}", file.display()))?,
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let path = path.to_owned();
    if let Ok(manifest) = DayManifest::from_json(&text) {
        return Ok(Some(OneFolder::Day(Box::new(DayOnDisk { path, name, text, manifest }))));
    }
    match Manifest::from_json(&text) {
        Ok(manifest) => {
            Ok(Some(OneFolder::Set(Box::new(SetOnDisk { path, name, text, manifest }))))
        }
        Err(error) => {
            let what = format!("it does not read as a manifest: {error}");
            verified.findings.push(Finding::file(&name, manifest::NAME, what));
            Ok(None)
        }
    }
}

/// Every set by itself and beside the others of its account.
pub(crate) fn check_sets(sets: &[SetOnDisk], verified: &mut Verified) -> anyhow::Result<()> {
    let mut before: Option<&SetOnDisk> = None;
    let mut ids = Ids::default();
    for set in sets {
        let account = set.manifest.basis.account();
        if before.is_some_and(|before| before.manifest.basis.account() != account) {
            before = None;
            ids = Ids::default();
        }
        let tables = check_set(set, verified)?;
        verified.findings.extend(ids.take(&set.manifest, &tables));
        let digest = before.map(|before| manifest::sha256(before.text.as_bytes()));
        let pair = before.zip(digest.as_deref()).map(|(one, digest)| (&one.manifest, digest));
        verified.findings.extend(check_chain(pair, &set.manifest));
        before = Some(set);
        verified.sets = verified.sets.saturating_add(1);
    }
    Ok(())
}

fn check_set(
    set: &SetOnDisk,
    verified: &mut Verified,
) -> anyhow::Result<BTreeMap<Part, TableRead>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&set.path)? {
        names.insert(name_of(&entry?.path()));
    }
    verified.findings.extend(check_folder(&set.name, &set.manifest, &names));
    if let Ok(wanted) = set.manifest.to_json() {
        let differences = compare_lines(&set.text, &wanted);
        let lines = differences.iter().map(|one| {
            let what = "the manifest is written otherwise than by this program";
            Finding::line(&set.name, manifest::NAME, one.line, what)
        });
        verified.findings.extend(lines);
    }
    let mut tables = BTreeMap::new();
    let found = set.manifest.files.iter().filter(|file| names.contains(&file.name));
    for facts in found {
        let part = part_of(&set.manifest, &facts.name);
        let read = check_file(set, part, facts, verified)?;
        if let Some((part, read)) = part.zip(read) {
            verified.rows = verified.rows.saturating_add(read.rows);
            tables.insert(part, read);
        }
        if names.contains(&format!("{}.gz", facts.name)) {
            check_twin(set, &facts.name, verified)?;
        }
    }
    if tables.len() == Part::ALL.len() {
        verified.findings.extend(check_sums(&set.manifest, &tables)?);
    }
    Ok(tables)
}

fn part_of(manifest: &Manifest, name: &str) -> Option<Part> {
    let set = manifest.basis.set();
    Part::ALL.into_iter().find(|part| part.file(&set) == name)
}

/// A file held against what the manifest says of it.
fn check_file(
    set: &SetOnDisk,
    part: Option<Part>,
    facts: &FileFacts,
    verified: &mut Verified,
) -> anyhow::Result<Option<TableRead>> {
    let path = set.path.join(&facts.name);
    let open = || File::open(&path).with_context(|| format!("cannot read {}", path.display()));
    let (bytes, sha256) = digest(&mut open()?)?;
    let mut hold = |what: &str, found: String, wanted: String| {
        if found != wanted {
            let what = Finding::values(what, found, wanted, "the manifest");
            verified.findings.push(Finding::file(&set.name, &facts.name, what));
        }
    };
    hold("its length", bytes.to_string(), facts.bytes.to_string());
    hold("its SHA-256", sha256, facts.sha256.clone());
    let Some(part) = part else { return Ok(None) };
    let read = read_table(part, &set.manifest.basis, BufReader::new(open()?))?;
    let shown = |rows: Option<String>| rows.unwrap_or_else(|| "unknown".to_owned());
    hold(
        "the number of rows",
        read.rows.to_string(),
        shown(facts.rows.map(|rows| rows.to_string())),
    );
    hold("the total", read.total.to_string(), shown(facts.total.map(|total| total.to_string())));
    verified.findings.extend(read.findings.iter().cloned());
    Ok(Some(read))
}

pub(crate) fn digest(file: &mut impl Read) -> io::Result<(u64, String)> {
    let (mut digest, mut bytes) = (Sha256::new(), 0_u64);
    let mut chunk = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut chunk)?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
        digest.update(part);
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    Ok((bytes, hex::encode(digest.finalize())))
}

/// The compressed twin of a file holds the same.
fn check_twin(set: &SetOnDisk, name: &str, verified: &mut Verified) -> anyhow::Result<()> {
    let twin = format!("{name}.gz");
    let plain = digest(&mut File::open(set.path.join(name))?)?;
    let mut file = GzDecoder::new(BufReader::new(File::open(set.path.join(&twin))?));
    let unpacked = digest(&mut file).and_then(|found| {
        // Nothing may follow.
        let rest = file.into_inner().fill_buf()?.len();
        if rest == 0 { Ok(found) } else { Err(io::Error::other("something follows its content")) }
    });
    let what = match unpacked {
        Ok(found) if found == plain => return Ok(()),
        Ok((_, found)) => {
            let why = format!("the plain file {name}");
            Finding::values("SHA-256 of its content", found, plain.1, &why)
        }
        Err(error) => format!("it does not unpack: {error}"),
    };
    verified.findings.push(Finding::file(&set.name, &twin, what));
    Ok(())
}

/// The sets held against what the store makes of the same periods.
pub(crate) struct BesideStore<'a> {
    pub(crate) store: &'a dyn Database,
    pub(crate) scratch: &'a Path,
    /// All sets are here, or must be.
    pub(crate) whole: bool,
}

impl BesideStore<'_> {
    pub(crate) async fn check(
        &self,
        sets: &[SetOnDisk],
        accounts: &BTreeSet<SettlementAccount>,
        verified: &mut Verified,
    ) -> anyhow::Result<()> {
        const PAGE: usize = 16;
        let mut unknown: BTreeSet<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        for account in accounts {
            let mut before: Option<ClosedSettlement> = None;
            loop {
                let after = before.as_ref().map_or(0, |one| one.ordinal);
                let page = self.store.settlements_after(*account, after, PAGE).await?;
                if page.is_empty() {
                    break;
                }
                for closed in page {
                    let manifest = match manifest_of(&closed) {
                        Ok(manifest) => manifest,
                        Err(error) => {
                            let place = format!("{account} #{}", closed.ordinal);
                            verified.findings.push(Finding::set(&place, format!("{error:#}")));
                            before = Some(closed);
                            continue;
                        }
                    };
                    let set = sets.iter().find(|set| set.manifest.set == manifest.set);
                    match set {
                        Some(set) => {
                            unknown.remove(set.name.as_str());
                            self.check_one(set, &manifest, before.as_ref(), &closed, verified)
                                .await?;
                        }
                        None if self.whole => {
                            let what = "the set is missing: the store has closed it";
                            verified.findings.push(Finding::set(&manifest.set, what));
                        }
                        None => {}
                    }
                    before = Some(closed);
                }
            }
        }
        for name in unknown {
            let what = "the store has closed no such settlement";
            verified.findings.push(Finding::set(name, what));
        }
        Ok(())
    }

    async fn check_one(
        &self,
        set: &SetOnDisk,
        stored: &Manifest,
        before: Option<&ClosedSettlement>,
        closed: &ClosedSettlement,
        verified: &mut Verified,
    ) -> anyhow::Result<()> {
        for one in compare_lines(&set.text, &closed.manifest) {
            let finding = Finding::line(&set.name, manifest::NAME, one.line, one.located(None));
            verified.findings.push(finding);
        }
        let folder = CompareFolder {
            path: set.path.clone(),
            delimiter: stored.basis.form.delimiter_byte(),
            differences: BTreeMap::new(),
        };
        let rebuilt = rebuild(self.store, stored, before, closed, folder, self.scratch).await;
        let differences = match rebuilt {
            Ok((folder, _)) => folder.differences,
            Err(error) => match error.downcast_ref::<EventError>() {
                Some(gone @ EventError::Gone(_)) => {
                    let what = format!(
                        "the files cannot be made again, since {gone}: they are compared with the \
                         hashes that the store keeps of them"
                    );
                    verified.notes.push(Finding::set(&set.name, what));
                    return Ok(());
                }
                _ => return Err(error).with_context(|| format!("making {} again", set.name)),
            },
        };
        for (file, differences) in differences {
            self.tell(set, stored, &file, &differences, verified)?;
        }
        Ok(())
    }

    /// Tells damage from what was erased in the store: a file with the hash that the store keeps is
    /// as it was made.
    fn tell(
        &self,
        set: &SetOnDisk,
        stored: &Manifest,
        file: &str,
        differences: &[Difference],
        verified: &mut Verified,
    ) -> anyhow::Result<()> {
        // The invoice of an earlier edition looked otherwise; its hash has been compared.
        let other_form = stored.basis.edition != Basis::EDITION && part_of(stored, file).is_none();
        if differences.is_empty() || other_form {
            return Ok(());
        }
        let part = part_of(stored, file);
        let digest = match File::open(set.path.join(file)) {
            Ok(mut open) => Some(digest(&mut open)?.1),
            Err(_) => None,
        };
        let kept = stored.files.iter().find(|facts| facts.name == file);
        let as_made = kept.is_some_and(|facts| digest.as_ref() == Some(&facts.sha256));
        if as_made && differences.iter().all(Difference::is_erased) {
            let what = "as it was made; personal data in it has been erased in the store, or archived, since";
            verified.notes.push(Finding::file(&set.name, file, what));
            return Ok(());
        }
        for one in differences {
            let told = match file.ends_with(".pdf") {
                true => "other bytes than the store makes".to_owned(),
                false => one.located(part),
            };
            let what = match as_made {
                true => format!("the file is as it was made, but the store has changed: {told}"),
                false => told,
            };
            verified.findings.push(Finding::line(&set.name, file, one.line, what));
        }
        Ok(())
    }
}

/// Takes the files of a set and reads those of the disk beside them.
struct CompareFolder {
    path: PathBuf,
    delimiter: u8,
    differences: BTreeMap<String, Vec<Difference>>,
}

/// A file under comparison.
enum Beside {
    There(Box<Comparison<BufReader<File>>>),
    /// It is missing, which is known; or is compared otherwise.
    Not,
}

impl Folder for CompareFolder {
    type File = Beside;

    fn create(&mut self, name: &str) -> io::Result<Beside> {
        // The manifest is compared with the one that was stored.
        if name == manifest::NAME {
            return Ok(Beside::Not);
        }
        match File::open(self.path.join(name)) {
            Ok(file) => {
                let comparison = Comparison::new(BufReader::new(file)).delimited(self.delimiter);
                Ok(Beside::There(Box::new(comparison)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Beside::Not),
            Err(error) => Err(error),
        }
    }

    fn complete(&mut self, name: &str, file: Beside) -> io::Result<()> {
        if let Beside::There(comparison) = file {
            self.differences.insert(name.to_owned(), comparison.finish()?);
        }
        Ok(())
    }
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::There(comparison) => comparison.write(bytes),
            Self::Not => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
