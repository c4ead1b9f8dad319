//! Midtrans' payouts: the list of them, and the payments of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use crate::date::Day;
use crate::ids::{MidtransId, OrderId, Texts};
use crate::input::mapping::{LayoutKind, Mapping, Role};
use crate::input::table::{Row, Table};
use crate::input::{InputError, Problem};
use crate::journal::Unreadable;
use crate::money::Money;
use crate::reports::{InputFile, is_refund, moment, money, name_of, word_or_masked};

/// What became of a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PayoutState {
    InProgress,
    Cancelled,
    Paid,
}

impl PayoutState {
    fn of(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().replace(['_', '-'], " ").as_str() {
            "paid" | "success" | "completed" | "done" | "transferred" => Some(Self::Paid),
            "in progress" | "pending" | "processing" | "requested" | "queued" => {
                Some(Self::InProgress)
            }
            "cancelled" | "canceled" | "rejected" | "failed" => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// A payout of the list.
#[derive(Clone, Debug)]
pub(crate) struct Payout {
    pub(crate) id: String,
    pub(crate) net: Money,
    pub(crate) state: PayoutState,
    pub(crate) requested: Option<Day>,
    pub(crate) paid: Option<Day>,
    pub(crate) place: String,
    /// Of the list; else put together from its rows.
    pub(crate) listed: bool,
}

impl Payout {
    /// When it was paid, else asked for.
    pub(crate) fn day(&self) -> Option<Day> {
        self.paid.or(self.requested)
    }
}

/// A payment or refund of a payout.
#[derive(Clone, Debug)]
pub(crate) struct PayoutRow {
    /// The payout, by its place among the names.
    pub(crate) payout: usize,
    /// 0 if the row tells no order id of ours.
    pub(crate) order: i64,
    pub(crate) midtrans: MidtransId,
    pub(crate) amount: Money,
    pub(crate) fee: Option<Money>,
    pub(crate) net: Option<Money>,
    pub(crate) is_refund: bool,
    pub(crate) file: usize,
    pub(crate) line: u64,
}

impl PayoutRow {
    /// What it adds to the payout, by its own figures.
    pub(crate) fn worth(&self) -> Money {
        let gross = if self.is_refund { -self.amount.abs() } else { self.amount };
        match (self.fee, self.net) {
            (Some(fee), _) => gross - fee,
            (None, Some(net)) => net,
            (None, None) => gross,
        }
    }
}

/// All payout files.
#[derive(Debug, Default)]
pub(crate) struct Payouts {
    pub(crate) list: Vec<Payout>,
    pub(crate) rows: Vec<PayoutRow>,
    /// Names of payouts that have rows.
    pub(crate) names: Vec<String>,
    places: BTreeMap<String, usize>,
    pub(crate) texts: Texts,
    pub(crate) files: Vec<InputFile>,
    pub(crate) unreadable: Vec<Unreadable>,
    /// Lists that tell different amounts of one payout: its name, both amounts, the later place.
    pub(crate) contradictions: Vec<(String, Money, Money, String)>,
}

impl Payouts {
    pub(crate) fn read(
        paths: &[PathBuf],
        mapping: &Mapping,
        progress: &AtomicU64,
    ) -> Result<Self, InputError> {
        let mut all = Self::default();
        for path in paths {
            all.add(path, mapping, progress)?;
        }
        all.put_together();
        Ok(all)
    }

    fn add(
        &mut self,
        path: &Path,
        mapping: &Mapping,
        progress: &AtomicU64,
    ) -> Result<(), InputError> {
        let table = Table::open(path, mapping, &[LayoutKind::Payouts, LayoutKind::PayoutRows])?;
        let name = name_of(path);
        let (mut payouts, mut rows, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0;
        let of_file = payout_named(&name);
        let file = self.files.len();
        let listed = table.layout.kind == LayoutKind::Payouts;
        let sha256 = table.visit(progress, &mut |line, row| {
            if row.is_blank()
                || table.layout.foot.skip.iter().any(|label| row.behind(Some(label)).is_some())
            {
                return;
            }
            count += 1;
            let failed = |what: String| Unreadable { file: name.clone(), line, what };
            if listed {
                match payout(row, format!("{name} line {line}")) {
                    Ok(payout) => payouts.push(payout),
                    Err(what) => unreadable.push(failed(what)),
                }
            } else {
                match self.payout_row(row, &of_file, file, line) {
                    Ok(row) => rows.push(row),
                    Err(what) => unreadable.push(failed(what)),
                }
            }
        })?;
        let mut read = InputFile {
            path: path.to_owned(),
            layout: table.layout.name.clone(),
            rows: count,
            sha256,
            remarks: Vec::new(),
            has_items: false,
        };
        if let Some(twin) = self.files.iter().find(|other| other.sha256 == read.sha256) {
            read.remarks
                .push(format!("has the content of {}, and was left out", twin.path.display()));
        } else {
            for payout in payouts {
                self.listed(payout);
            }
            self.rows.extend(rows);
            self.unreadable.extend(unreadable);
        }
        self.files.push(read);
        if self.names.len() > 1_000_000 {
            return Err(InputError::new(
                path,
                Problem::Content("has more than a million payouts".into()),
            ));
        }
        Ok(())
    }

    /// A payout in two overlapping lists is one; what is further along counts.
    fn listed(&mut self, payout: Payout) {
        let known = self.list.iter_mut().find(|other| other.id == payout.id);
        match known {
            Some(known) if known.net == payout.net => {
                if payout.state >= known.state {
                    *known = payout;
                }
            }
            Some(known) => {
                self.contradictions.push((payout.id, known.net, payout.net, payout.place));
            }
            None => self.list.push(payout),
        }
    }

    fn payout_row(
        &mut self,
        row: Row<'_>,
        of_file: &str,
        file: usize,
        line: u64,
    ) -> Result<PayoutRow, String> {
        if row.overflows() {
            return Err("has more cells than there are titles".to_owned());
        }
        let name = match row.text(Role::PayoutId) {
            name if name.is_empty() => of_file.to_owned(),
            name => name,
        };
        let amount = money(row, Role::Amount)?.ok_or("has no amount")?;
        let midtrans = self.texts.id(row.cell(Role::TransactionId));
        let order = match OrderId::parse(row.cell(Role::OrderId)) {
            OrderId::Ours(id) => id,
            OrderId::Ruined if midtrans == MidtransId::None => {
                return Err("has an order id that a spreadsheet has ruined, and no transaction id"
                    .to_owned());
            }
            OrderId::Ruined | OrderId::Foreign | OrderId::None => 0,
        };
        let payout = match self.places.get(&name) {
            Some(place) => *place,
            None => {
                self.names.push(name.clone());
                self.places.insert(name, self.names.len() - 1);
                self.names.len() - 1
            }
        };
        Ok(PayoutRow {
            payout,
            order,
            midtrans,
            amount,
            fee: money(row, Role::Fee)?.map(Money::abs),
            net: money(row, Role::Net)?,
            is_refund: amount.is_negative() || is_refund(row.cell(Role::Type)),
            file,
            line,
        })
    }

    /// Payouts that have rows and are in no list.
    fn put_together(&mut self) {
        for (place, name) in self.names.iter().enumerate() {
            if self.list.iter().any(|payout| payout.id == *name) {
                continue;
            }
            let rows = self.rows.iter().filter(|row| row.payout == place);
            let file = self.rows.iter().find(|row| row.payout == place).map(|row| row.file);
            let file = file.and_then(|file| self.files.get(file));
            self.list.push(Payout {
                id: name.clone(),
                net: rows.map(PayoutRow::worth).sum(),
                state: PayoutState::Paid,
                requested: None,
                paid: None,
                place: file.map(InputFile::name).unwrap_or_default(),
                listed: false,
            });
        }
    }

    pub(crate) fn place(&self, row: &PayoutRow) -> String {
        let file = self.files.get(row.file).map(InputFile::name).unwrap_or_default();
        format!("{file} line {}", row.line)
    }
}

fn payout(row: Row<'_>, place: String) -> Result<Payout, String> {
    let id = row.text(Role::PayoutId);
    if id.is_empty() {
        return Err("has no payout id".to_owned());
    }
    let net = match money(row, Role::Net)? {
        Some(net) => net,
        None => money(row, Role::Amount)?.ok_or("has no amount")?,
    };
    let status = row.text(Role::Status);
    let state = PayoutState::of(&status);
    let state = state.ok_or_else(|| {
        format!("has the status {:?}, which is not known", word_or_masked(&status))
    })?;
    let day = |role| Ok::<_, String>(moment(row, role)?.map(|moment| row.day_of(moment)));
    Ok(Payout {
        id,
        net,
        state,
        requested: day(Role::Time)?,
        paid: day(Role::SettledAt)?,
        place,
        listed: true,
    })
}

/// `P182400` in a file's name, else the name without its ending.
fn payout_named(file: &str) -> String {
    let words = file.split(|sign: char| !sign.is_ascii_alphanumeric());
    let mut named = words.filter(|word| {
        word.strip_prefix(['P', 'p'])
            .is_some_and(|rest| rest.len() >= 3 && rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    match named.next() {
        Some(word) => word.to_ascii_uppercase(),
        None => file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_tells_its_payout() {
        for (file, wanted) in [
            ("payout_P182400_2026.csv", "P182400"),
            ("p190011.xlsx", "P190011"),
            ("October.csv", "October"),
            ("PT Contoh.csv", "PT Contoh"),
        ] {
            assert_eq!(payout_named(file), wanted);
        }
    }
}
