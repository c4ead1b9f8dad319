//! Our own transfers out of the bank account.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use crate::date::Day;
use crate::input::InputError;
use crate::input::mapping::{LayoutKind, Mapping, Role};
use crate::input::table::{Row, Table};
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
