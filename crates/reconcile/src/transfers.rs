//! Our own transfers out of the bank account.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::date::Day;
use crate::input::mapping::{LayoutKind, Mapping, Role};
use crate::input::table::{Row, Table};
use crate::input::{InputError, Problem};
use crate::journal::Unreadable;
use crate::money::Money;
use crate::reports::{InputFile, moment, money, name_of};

/// A transfer that we made.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) reference: String,
    pub(crate) amount: Money,
    pub(crate) currency: String,
    pub(crate) day: Option<Day>,
    pub(crate) place: String,
}

/// All lists of transfers.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    pub(crate) list: Vec<Transfer>,
    pub(crate) files: Vec<InputFile>,
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Transfers {
    pub(crate) fn read(
        paths: &[PathBuf],
        mapping: &Mapping,
        progress: &AtomicU64,
    ) -> Result<Self, InputError> {
        let mut all = Self::default();
        for path in paths {
            if path.is_dir() || path.extension().is_some_and(|end| end == "json") {
                all.settlements(path)?;
                continue;
            }
            let table = Table::open(path, mapping, &[LayoutKind::Transfers])?;
            let name = name_of(path);
            let mut rows = 0;
            let (list, unreadable) = (&mut all.list, &mut all.unreadable);
            let sha256 = table.visit(progress, &mut |line, row| {
                if row.is_blank() {
                    return;
                }
                rows += 1;
                match transfer(row, format!("{name} line {line}")) {
                    Ok(transfer) => list.push(transfer),
                    Err(what) => unreadable.push(Unreadable { file: name.clone(), line, what }),
                }
            })?;
            all.files.push(InputFile {
                path: path.clone(),
                layout: table.layout.name.clone(),
                rows,
                sha256,
                remarks: Vec::new(),
                has_items: false,
            });
        }
        Ok(all)
    }

    /// The transfers of settlements: of a manifest, a set, or a folder of sets.
    fn settlements(&mut self, path: &Path) -> Result<(), InputError> {
        for manifest in manifests(path)? {
            let failed = |problem| InputError::new(&manifest, problem);
            let text = fs::read(&manifest).map_err(|error| failed(error.into()))?;
            let set: Manifest = serde_json::from_slice(&text).map_err(|error| {
                failed(Problem::Content(format!("is no manifest of a settlement: {error}")))
            })?;
            let known = self.list.iter().any(|one| one.reference == set.set);
            if !known && let Some(transfer) = set.transfer(&manifest) {
                self.list.push(transfer);
            }
            self.files.push(InputFile {
                path: manifest.clone(),
                layout: "settlement".to_owned(),
                rows: 1,
                sha256: hex(&Sha256::digest(&text)),
                remarks: Vec::new(),
                has_items: false,
            });
        }
        Ok(())
    }

    /// Adds the transfers of settlements that are known otherwise, but those whose currency no
    /// statement has: they leave another account.
    pub(crate) fn add_settled(&mut self, settled: &[SettledTransfer], currencies: &[&str]) {
        let here = |one: &&SettledTransfer| currencies.contains(&one.currency.as_str());
        self.list.extend(settled.iter().filter(here).map(|one| Transfer {
            reference: one.set.clone(),
            amount: one.amount,
            currency: one.currency.clone(),
            day: Some(one.day),
            place: "the store".to_owned(),
        }));
    }
}

/// The transfer of a closed settlement.
#[derive(Clone, Debug)]
pub struct SettledTransfer {
    /// The name of the set, which the transfer is to carry as its reference.
    pub set: String,
    /// How much: above zero.
    pub amount: Money,
    /// Of the amount.
    pub currency: String,
    /// When it leaves.
    pub day: Day,
}

/// What a manifest tells of its transfer.
#[derive(Deserialize)]
struct Manifest {
    set: String,
    transfer: Money,
    basis: Basis,
}

#[derive(Deserialize)]
struct Basis {
    settlement_date: Day,
    currency: String,
}

impl Manifest {
    /// None if nothing is transferred.
    fn transfer(self, path: &Path) -> Option<Transfer> {
        (!self.transfer.is_zero()).then(|| Transfer {
            reference: self.set,
            amount: self.transfer,
            currency: self.basis.currency,
            day: Some(self.basis.settlement_date),
            place: path.display().to_string(),
        })
    }
}

const MANIFEST: &str = "manifest.json";

/// The manifests of a path, in the order of their names.
fn manifests(path: &Path) -> Result<Vec<PathBuf>, InputError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    if path.join(MANIFEST).exists() {
        return Ok(vec![path.join(MANIFEST)]);
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| InputError::new(path, error.into()))?;
    let found = entries.iter().map(|entry| entry.path().join(MANIFEST));
    let mut found: Vec<PathBuf> = found.filter(|manifest| manifest.exists()).collect();
    found.sort();
    if found.is_empty() {
        let what =
            "has no manifest.json, nor a folder with one; name a folder that settle has written";
        return Err(InputError::new(path, Problem::Content(what.to_owned())));
    }
    Ok(found)
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn transfer(row: Row<'_>, place: String) -> Result<Transfer, String> {
    let reference = row.text(Role::Reference);
    if reference.is_empty() {
        return Err("has no reference".to_owned());
    }
    let amount = money(row, Role::Amount)?.ok_or("has no amount")?.abs();
    let day = moment(row, Role::Time)?.map(|moment| row.day_of(moment));
    Ok(Transfer { reference, amount, currency: row.text(Role::Currency), day, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_are_read_from_manifests_of_sets_and_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let set = |name: &str, transfer: &str| {
            let made = folder.path().join(name);
            fs::create_dir_all(&made).unwrap();
            let text = format!(
                r#"{{"set":"{name}","transfer":"{transfer}","basis":{{"settlement_date":"2026-02-02","currency":"USD","entity":1}},"files":[]}}"#
            );
            fs::write(made.join(MANIFEST), text).unwrap();
            made
        };
        let one = set("1-999-D-2026-031", "88.64");
        set("1-999-D-2026-032", "0.00");
        let paths = [folder.path().to_owned(), one.clone(), one.join(MANIFEST)];
        let mapping = Mapping::read(None).unwrap();
        let read = Transfers::read(&paths, &mapping, &AtomicU64::new(0)).unwrap();
        assert_eq!((read.list.len(), read.files.len()), (1, 4));
        let found = &read.list[0];
        assert_eq!(
            (found.reference.as_str(), found.amount, found.day.map(|day| day.to_string())),
            ("1-999-D-2026-031", Money::from_sen(8_864), Some("2026-02-02".to_owned()))
        );
        fs::write(one.join(MANIFEST), "{}").unwrap();
        for path in [one, tempfile::tempdir().unwrap().path().to_owned()] {
            assert!(Transfers::read(&[path], &mapping, &AtomicU64::new(0)).is_err());
        }
    }
}
