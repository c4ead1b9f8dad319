//! The rules between the files of a set, and between sets.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gopay_core::ids::TxId;

use crate::amount::{Amount, Fraction, Overflow};
use crate::balance::RowType;
use crate::manifest::{self, Manifest};
use crate::period::{Period, midnight};
use crate::set::Part;
use crate::tally::{BASIS_POINTS, FeeType, indicative};
use crate::terms::PROCESSING_CURRENCY;
use crate::verify::finding::Finding;
use crate::verify::table::TableRead;

/// Whether a folder's files are those of its manifest, by name; `folder` is its own name.
#[must_use]
pub fn check_folder(folder: &str, manifest: &Manifest, names: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let set = manifest.basis.set();
    let mut find = |what: String| findings.push(Finding::set(folder, what));
    if folder != set {
        find(Finding::values("the name of the folder", folder, &set, "the manifest"));
    }
    if manifest.set != set {
        find(Finding::values("set", &manifest.set, &set, "period and number in the manifest"));
    }
    let basis = &manifest.basis;
    let period = Period::containing(basis.frequency, basis.first_day);
    let plain = period.map(|one| (one.first(), one.last(), one.year(), one.number()));
    if plain != Some((basis.first_day, basis.last_day, basis.year, basis.number)) {
        find(
            "first_day, last_day, year and number in the manifest are of no one period".to_owned(),
        );
    }
    let parts = Part::ALL.map(|part| part.file(&set));
    let invoices = ["html", "pdf"].map(|end| format!("{set}-invoice.{end}"));
    let wanted: Vec<&String> = parts.iter().chain(&invoices).collect();
    let listed: Vec<&String> = manifest.files.iter().map(|file| &file.name).collect();
    if listed != wanted {
        find("the manifest lists other files than a set has".to_owned());
    }
    let twin = |name: &&String| [(*name).clone(), format!("{name}.gz")];
    let mut all: BTreeSet<String> = wanted.iter().flat_map(twin).collect();
    all.insert(manifest::NAME.to_owned());
    for name in all.difference(names) {
        findings.push(Finding::file(folder, name, "the file is missing"));
    }
    for name in names.difference(&all) {
        findings.push(Finding::file(folder, name, "the file is not one of the set"));
    }
    findings
}

/// The rules that tie the tables of a set together.
///
/// # Errors
/// [`Overflow`].
pub fn check_sums(
    manifest: &Manifest,
    tables: &BTreeMap<Part, TableRead>,
) -> Result<Vec<Finding>, Overflow> {
    let mut checks = Checks { manifest, tables, findings: Vec::new() };
    for contract in &manifest.basis.contracts {
        checks.volumes(&contract.contract)?;
        checks.fees(&contract.contract)?;
    }
    checks.discounts()?;
    checks.balance()?;
    Ok(checks.findings)
}

struct Checks<'a> {
    manifest: &'a Manifest,
    tables: &'a BTreeMap<Part, TableRead>,
    findings: Vec<Finding>,
}

impl Checks<'_> {
    fn sum(&self, part: Part, contract: &str, kind: &str, currency: &str) -> (u64, Amount) {
        self.tables
            .get(&part)
            .map_or((0, Amount::ZERO), |table| table.sums.of(contract, kind, currency))
    }

    fn aggregate(&self, contract: &str, kind: RowType, currency: &str) -> (u64, Amount) {
        self.sum(Part::Aggregate, contract, kind.as_str(), currency)
    }

    /// Holds a row of the aggregate against what it must be.
    fn hold(&mut self, what: &str, found: (u64, Amount), wanted: (u64, Amount), why: &str) {
        if found != wanted {
            let set = self.manifest.basis.set();
            let shown = |(count, amount): (u64, Amount)| format!("{amount} of {count}");
            let file = Part::Aggregate.file(&set);
            let what = Finding::values(what, shown(found), shown(wanted), why);
            self.findings.push(Finding::file(&set, &file, what));
        }
    }

    /// Volumes are TRANSACTION, REFUND and CHARGEBACK; their difference at the rate is
    /// CLEARED_TO_MERCHANT.
    fn volumes(&mut self, contract: &str) -> Result<(), Overflow> {
        let idr = PROCESSING_CURRENCY;
        let payments = self.sum(Part::VolumePerTransaction, contract, "SUCCEEDED", idr);
        let refunds = self.sum(Part::VolumePerRefund, contract, "SUCCEEDED", idr);
        let chargebacks = self.sum(Part::VolumePerChargeback, contract, "", idr);
        let negative =
            |(count, amount): (u64, Amount)| Ok::<_, Overflow>((count, amount.negative()?));
        for (kind, wanted, part) in [
            (RowType::Transaction, payments, Part::VolumePerTransaction),
            (RowType::Refund, negative(refunds)?, Part::VolumePerRefund),
            (RowType::Chargeback, negative(chargebacks)?, Part::VolumePerChargeback),
        ] {
            let found = self.aggregate(contract, kind, idr);
            let what = format!("{} of {contract}", kind.as_str());
            self.hold(&what, found, wanted, &format!("the rows of {}", part.suffix()));
        }
        let basis = &self.manifest.basis;
        let Some(terms) = basis.contracts.iter().find(|one| one.contract == contract) else {
            return Ok(());
        };
        let net = payments.1.minus(refunds.1)?.minus(chargebacks.1)?;
        let exact = basis.applied(terms)?.convert(net.get().into(), 1)?;
        let count = payments.0.saturating_add(refunds.0).saturating_add(chargebacks.0);
        let wanted = (count, Amount::from_wide(exact.rounded()?)?);
        let found = self.aggregate(contract, RowType::ClearedToMerchant, &basis.currency);
        let what = format!("CLEARED_TO_MERCHANT of {contract}");
        let why = "payments less refunds and chargebacks, at the rate with the margin";
        self.hold(&what, found, wanted, why);
        Ok(())
    }

    /// Fixed fees are what the aggregate says.
    fn fees(&mut self, contract: &str) -> Result<(), Overflow> {
        let currency = self.manifest.basis.currency.clone();
        for (fee, kind) in [
            (FeeType::Acquiring, RowType::AcquiringFee),
            (FeeType::Processing, RowType::ProcessingFee),
            (FeeType::Succeeded, RowType::SucceededFee),
        ] {
            let of = |part| self.sum(part, contract, fee.as_str(), &currency);
            let (payments, refunds) = (of(Part::FeePerTransaction), of(Part::FeePerRefund));
            let sum = payments.1.plus(refunds.1)?.negative()?;
            let wanted = (payments.0.saturating_add(refunds.0), sum);
            let found = self.aggregate(contract, kind, &currency);
            let what = format!("{} of {contract}", fee.as_str());
            self.hold(&what, found, wanted, "the rows of the files of fees");
        }
        // Indicative discounts are each within half a sen of the exact ones, of which the sum was
        // converted.
        let shown = self.sum(
            Part::FeePerTransaction,
            contract,
            FeeType::Discount.as_str(),
            PROCESSING_CURRENCY,
        );
        let found = self.aggregate(contract, RowType::DiscountFee, &currency);
        let basis = &self.manifest.basis;
        let Some(terms) = basis.contracts.iter().find(|one| one.contract == contract) else {
            return Ok(());
        };
        let applied = basis.applied(terms)?;
        let half_sen = i128::from(shown.0);
        let twice = i128::from(shown.1.get()).checked_mul(2).ok_or(Overflow)?;
        let at = |twice_sen: i128| -> Result<Amount, Overflow> {
            let rounded = applied.convert(twice_sen, 2)?.rounded()?;
            Amount::from_wide(rounded)?.negative()
        };
        let (most, least) =
            (at(twice.saturating_sub(half_sen))?, at(twice.saturating_add(half_sen))?);
        if found.0 != shown.0 || found.1 > most || found.1 < least {
            let what = format!("DISCOUNT_FEE of {contract}");
            self.hold(&what, found, (shown.0, most), "the rows of fee-per-transaction");
        }
        Ok(())
    }

    /// Each indicative discount is the share of its payment.
    fn discounts(&mut self) -> Result<(), Overflow> {
        let (Some(payments), Some(fees)) = (
            self.tables.get(&Part::VolumePerTransaction),
            self.tables.get(&Part::FeePerTransaction),
        ) else {
            return Ok(());
        };
        let amounts: HashMap<i64, Amount> = payments.indicative.iter().copied().collect();
        let basis = &self.manifest.basis;
        let rates: BTreeSet<u32> = basis
            .contracts
            .iter()
            .flat_map(|contract| contract.terms.iter().map(|terms| terms.discount_basis_points))
            .collect();
        let set = basis.set();
        let file = Part::FeePerTransaction.file(&set);
        for (id, shown) in &fees.indicative {
            let Some(amount) = amounts.get(id) else {
                let what = format!("DISCOUNT_FEE of {id}, which is no payment of the set");
                self.findings.push(Finding::file(&set, &file, what));
                continue;
            };
            let share = |rate: &u32| {
                indicative(i128::from(amount.get()).saturating_mul((*rate).into())) == Ok(*shown)
            };
            if !rates.iter().any(share) {
                let what = format!("DISCOUNT_FEE of {id} is {shown}, no agreed share of {amount}");
                self.findings.push(Finding::file(&set, &file, what));
            }
        }
        Ok(())
    }

    /// Rows + opening + reserve = transfer + carry-forward.
    fn balance(&mut self) -> Result<(), Overflow> {
        let manifest = self.manifest;
        let set = manifest.basis.set();
        let Some(table) = self.tables.get(&Part::Aggregate) else { return Ok(()) };
        let rows = table.sums.in_currency(&manifest.basis.currency, &[]);
        let due = rows.plus(manifest.opening)?.plus(manifest.reserve())?;
        let paid = manifest.transfer.plus(manifest.carry_forward)?;
        let mut find = |what: &str, found: Amount, wanted: Amount, why: &str| {
            if found != wanted {
                let what = Finding::values(what, found, wanted, why);
                self.findings.push(Finding::file(&set, manifest::NAME, what));
            }
        };
        find("rows_total", manifest.rows_total, rows, "the rows of the aggregate");
        let why = "rows + opening + reserve";
        find("transfer + carry_forward", paid, due, why);
        let before = &manifest.basis.before;
        find("opening", manifest.opening, before.carry_forward, "what was carried forward");
        let after = manifest.after.carry_forward;
        find("carry_forward", manifest.carry_forward, after, "what is left to the next");
        let held =
            |reserves: &[crate::basis::Reserve]| Amount::sum(reserves.iter().map(|one| one.amount));
        let moved = held(&before.reserves)?.minus(manifest.reserve())?;
        find("what is still held back", held(&manifest.after.reserves)?, moved, "the reserves");
        for contract in &manifest.basis.contracts {
            let terms = manifest.basis.at_end(contract);
            let share = terms.map_or(0, |terms| terms.reserve_basis_points);
            let of =
                |one: &&crate::basis::Reserve| one.set == set && one.contract == contract.contract;
            let withheld = manifest.after.reserves.iter().filter(of).map(|one| one.amount);
            let currency = &manifest.basis.currency;
            let cleared = table.sums.of(&contract.contract, "CLEARED_TO_MERCHANT", currency).1;
            let exact = i128::from(cleared.get().max(0)).saturating_mul(share.into());
            let wanted = Amount::from_wide(Fraction::new(exact, BASIS_POINTS)?.rounded()?)?;
            let what = format!("held back of {}", contract.contract);
            find(&what, Amount::sum(withheld)?, wanted, "the share of CLEARED_TO_MERCHANT");
        }
        Ok(())
    }
}

/// Whether a set follows the one before it.
#[must_use]
pub fn check_chain(before: Option<(&Manifest, &str)>, manifest: &Manifest) -> Vec<Finding> {
    let set = manifest.basis.set();
    let mut findings = Vec::new();
    let mut find = |what: String| findings.push(Finding::file(&set, manifest::NAME, what));
    match (&manifest.basis.previous, before) {
        (None, None) | (Some(_), None) => {}
        (None, Some((before, _))) => {
            find(format!("it begins a chain, but {} is before it", before.set));
        }
        (Some(previous), Some((before, sha256))) => {
            let before_set = before.basis.set();
            if previous.set != before_set {
                find(format!("it follows {}, which is missing", previous.set));
            } else if previous.sha256 != sha256 {
                let why = format!("the manifest of {before_set}");
                find(Finding::values("previous.sha256", &previous.sha256, sha256, &why));
            } else if manifest.basis.before != before.after {
                find(format!("what was before it is not what {before_set} left"));
            } else if before.basis.last_day.tomorrow().ok() != Some(manifest.basis.first_day) {
                find(format!("its period does not begin where that of {before_set} ends"));
            }
        }
    }
    findings
}

/// The ids of all sets so far.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    payments: HashMap<i64, usize>,
    refunds: HashMap<i64, usize>,
    chargebacks: HashMap<i64, usize>,
    sets: Vec<String>,
    /// The first set begins the chain, so that every payment must be in one.
    whole: bool,
}

impl Ids {
    /// Takes the ids of the next set: none may be in two, and a refund's payment must be in this
    /// set or in an earlier one, unless it is older than its contract's terms.
    pub fn take(
        &mut self,
        manifest: &Manifest,
        tables: &BTreeMap<Part, TableRead>,
    ) -> Vec<Finding> {
        let set = manifest.basis.set();
        let place = self.sets.len();
        if place == 0 {
            self.whole = manifest.basis.previous.is_none();
        }
        self.sets.push(set.clone());
        let mut findings = Vec::new();
        for (part, seen) in [
            (Part::VolumePerTransaction, &mut self.payments),
            (Part::VolumePerRefund, &mut self.refunds),
            (Part::VolumePerChargeback, &mut self.chargebacks),
        ] {
            let rows = tables.get(&part).map_or(&[][..], |table| &table.ids);
            for (id, _) in rows {
                if let Some(earlier) = seen.insert(*id, place) {
                    let earlier = self.sets.get(earlier).cloned().unwrap_or_default();
                    let what = format!("{id} is in {earlier} too");
                    findings.push(Finding::file(&set, &part.file(&set), what));
                }
            }
        }
        let start = manifest.basis.contracts.iter().filter_map(|one| one.start()).min();
        let start = start.map_or(0, |day| TxId::floor_of(midnight(day)));
        for (part, word) in
            [(Part::VolumePerRefund, "refund"), (Part::VolumePerChargeback, "chargeback")]
        {
            let rows = tables.get(&part).map_or(&[][..], |table| &table.ids);
            let unknown = rows.iter().filter(|(_, payment)| {
                payment.is_none_or(|payment| {
                    !self.payments.contains_key(&payment) && payment >= start && self.whole
                })
            });
            for (id, payment) in unknown {
                let payment = payment.unwrap_or_default();
                let what =
                    format!("{word} {id} is of payment {payment}, which is in no set until this");
                findings.push(Finding::file(&set, &part.file(&set), what));
            }
        }
        findings
    }
}
