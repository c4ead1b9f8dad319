//! One run: files in, breaks and totals out.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::breaks::{Break, Kind};
use crate::covered::Covered;
use crate::date::Day;
use crate::input::InputError;
use crate::input::mapping::Mapping;
use crate::journal::{Journal, JournalError, Unreadable, read_journal};
use crate::matching::bank::BankTally;
use crate::matching::context::{Matching, Window};
use crate::matching::join::join;
use crate::matching::payouts::PayoutTally;
use crate::matching::tally::Tally;
use crate::money::Money;
use crate::options::Options;
use crate::payouts::Payouts;
use crate::reports::{InputFile, Others, Reports, name_of};
use crate::statements::Statements;
use crate::tie_out::TieOut;
use crate::transfers::{SettledTransfer, Transfers};

/// What is reconciled.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Midtrans' transaction exports.
    pub reports: Vec<PathBuf>,
    /// Midtrans' lists of payouts, and the payments of each.
    pub payouts: Vec<PathBuf>,
    /// Statements of the bank account.
    pub banks: Vec<PathBuf>,
    /// Lists of our transfers, manifests of settlements, or folders of them.
    pub transfers: Vec<PathBuf>,
    /// Transfers of settlements that are known without a file.
    pub settled: Vec<SettledTransfer>,
    /// Payments of which earlier runs have open breaks: whether the exports cover them is told.
    pub open_payments: BTreeSet<i64>,
}

/// Where the journal comes from.
#[derive(Debug)]
pub enum JournalSource {
    /// A file that `journal` has written.
    File(PathBuf),
    /// Read already.
    Ready(Box<Journal>),
}

/// Why a run ends without a result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file cannot be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The journal cannot be used.
    #[error("{}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: JournalError,
    },
}

/// What a run found.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// The day of the run.
    pub today: Day,
    /// Every break, by payment and kind.
    #[serde(skip)]
    pub breaks: Vec<Break>,
    /// The journal: file, entries, hash.
    pub journal: InputFile,
    /// The other files.
    pub files: Vec<InputFile>,
    /// Payments against exports.
    pub payments: Tally,
    /// Orders that are not ours.
    pub others: Others,
    /// Payments against payouts.
    pub payouts: PayoutTally,
    /// Payouts and transfers against the bank account.
    pub bank: BankTally,
    /// Opening and movements against closing.
    pub tie_outs: Vec<TieOut>,
    /// What the reader should know about the inputs.
    pub remarks: Vec<String>,
    /// What the files cover.
    #[serde(skip)]
    pub covered: Covered,
}

impl Report {
    /// Everything that was read: the journal, then the files.
    pub fn inputs(&self) -> impl Iterator<Item = &InputFile> {
        std::iter::once(&self.journal).chain(&self.files)
    }

    /// Breaks that somebody has to look at: all but timing that is not due yet and what was decided
    /// by two people.
    #[must_use]
    pub fn due(&self) -> usize {
        self.breaks.iter().filter(|one| one.is_due(self.today)).count()
    }
}

/// Reconciles.
///
/// # Errors
/// [`RunError`] if a file cannot be used; nothing is left out silently.
pub fn reconcile(
    journal: JournalSource,
    inputs: &Inputs,
    mapping: &Mapping,
    options: &Options,
    progress: &AtomicU64,
) -> Result<Report, RunError> {
    let (journal, read) = std::thread::scope(|scope| {
        let journal = scope.spawn(|| journal_of(journal, progress));
        let read = Read::of(inputs, mapping, progress);
        let journal = journal.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (journal, read)
    });
    let (mut journal, journal_file) = journal?;
    let Read { mut reports, payouts, statements, transfers } = read?;
    let mut found = transactions(&mut journal, &mut reports, mapping, options);
    let mut breaks = std::mem::take(&mut found.breaks);
    let mut tie_outs = vec![journal_balance(&journal, &found.tally)];
    if !reports.files.is_empty() {
        tie_outs.push(three_way(&found.tally));
    }
    let named: BTreeSet<String> = breaks.iter().filter_map(|one| one.txid.clone()).collect();
    let (more, payout_tally, paid_out_since) =
        crate::matching::payouts::payouts(&journal, &payouts, mapping, options.today, &named);
    breaks.extend(more);
    if reports.has_fee && !payouts.list.is_empty() {
        tie_outs.push(midtrans_balance(&found.tally, &payout_tally, mapping));
    }
    let (more, bank_tally, bank_ties) = if statements.files.is_empty() {
        (Vec::new(), BankTally::default(), Vec::new())
    } else {
        crate::matching::bank::bank(&payouts.list, &transfers.list, &statements, mapping)
    };
    breaks.extend(more);
    breaks.extend(tie_outs.iter().filter_map(residual));
    // What does not add up at the bank is a break of its statement already.
    tie_outs.extend(bank_ties);
    breaks.extend(unreadable(&journal.unreadable));
    breaks.extend(unreadable(&reports.unreadable));
    breaks.extend(unreadable(&payouts.unreadable));
    breaks.extend(unreadable(&statements.unreadable));
    breaks.extend(unreadable(&transfers.unreadable));
    breaks.sort_by(|one, other| order(one).cmp(&order(other)));
    let remarks = remarks(&reports, &statements, options, found.tally.before_exports);
    let covered = Covered::of(
        &inputs.open_payments,
        &journal,
        (&reports, Window::of(&reports, options)),
        (&payouts, &transfers),
        &statements,
        paid_out_since,
    );
    let files = [reports.files, payouts.files, statements.files, transfers.files].concat();
    Ok(Report {
        today: options.today,
        breaks,
        journal: journal_file,
        files,
        payments: found.tally,
        others: found.others,
        payouts: payout_tally,
        bank: bank_tally,
        tie_outs,
        remarks,
        covered,
    })
}

/// All files but the journal.
struct Read {
    reports: Reports,
    payouts: Payouts,
    statements: Statements,
    transfers: Transfers,
}

impl Read {
    fn of(inputs: &Inputs, mapping: &Mapping, progress: &AtomicU64) -> Result<Self, InputError> {
        // Small files first: a mistake in one is told before the long ones are read.
        let statements = Statements::read(&inputs.banks, mapping, progress)?;
        let mut transfers = Transfers::read(&inputs.transfers, mapping, progress)?;
        let accounts = statements.statements.iter().map(|one| one.currency.as_str());
        transfers.add_settled(&inputs.settled, &accounts.collect::<Vec<_>>());
        let payouts = Payouts::read(&inputs.payouts, mapping, progress)?;
        let reports = read_reports(&inputs.reports, mapping, progress)?;
        Ok(Self { reports, payouts, statements, transfers })
    }
}

/// Midtrans' payable balance: what came in less refunds, fees and payouts.
fn midtrans_balance(tally: &Tally, payouts: &PayoutTally, mapping: &Mapping) -> TieOut {
    let movements = vec![
        ("payments less refunds", tally.theirs_net),
        ("fees", -tally.fees),
        ("payouts", -payouts.payouts_paid_net),
    ];
    let moved: Money = movements.iter().map(|(_, amount)| *amount).sum();
    let closing = mapping.closing.unwrap_or(mapping.opening + moved);
    TieOut::new("Midtrans' payable balance", mapping.opening, movements, closing)
}

/// By payment, then kind, then name: the same order in every run.
fn order(one: &Break) -> (usize, &str, Kind, &str) {
    let txid = one.txid.as_deref().unwrap_or("");
    (txid.len(), txid, one.kind, one.break_id.as_str())
}

fn journal_of(
    source: JournalSource,
    progress: &AtomicU64,
) -> Result<(Journal, InputFile), RunError> {
    let (journal, path) = match source {
        JournalSource::Ready(journal) => (*journal, PathBuf::from("the store")),
        JournalSource::File(path) => {
            let failed = |source| RunError::Journal { path: path.clone(), source };
            let file = File::open(&path).map_err(|error| failed(error.into()))?;
            let counted = Counted { inner: file, progress };
            (read_journal(counted, &name_of(&path)).map_err(failed)?, path)
        }
    };
    let file = InputFile {
        path,
        layout: "journal".to_owned(),
        rows: journal.events + u64::try_from(journal.unreadable.len()).unwrap_or(0),
        sha256: journal.hash.clone(),
        remarks: Vec::new(),
        has_items: false,
    };
    Ok((journal, file))
}

/// Counts what is read.
struct Counted<'a> {
    inner: File,
    progress: &'a AtomicU64,
}

impl std::io::Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        self.progress.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        Ok(read)
    }
}

fn read_reports(
    paths: &[PathBuf],
    mapping: &Mapping,
    progress: &AtomicU64,
) -> Result<Reports, InputError> {
    let mut reports = Reports::default();
    for path in paths {
        reports.read(path, mapping, progress)?;
    }
    Ok(reports)
}

/// What the first leg found.
struct Found {
    breaks: Vec<Break>,
    tally: Tally,
    others: Others,
}

fn transactions(
    journal: &mut Journal,
    reports: &mut Reports,
    mapping: &Mapping,
    options: &Options,
) -> Found {
    let mut others = reports.others;
    let Some(window) = Window::of(reports, options) else {
        return Found { breaks: Vec::new(), tally: Tally::default(), others };
    };
    let joined = join(journal, reports, options.threads);
    let rupiah = reports.currencies.code(b"IDR");
    let mut refunds = journal.refunds.clone();
    refunds.sort_unstable_by_key(|refund| (refund.payment, refund.refund_id));
    let matching = Matching { journal, reports, mapping, window, rupiah, refunds: &refunds };
    let (mut breaks, mut tally) = matching.payments(options.threads);
    let (strays, stray_tally) = matching.strays(&joined.strays, &mut others);
    breaks.extend(strays);
    tally.add(&stray_tally);
    Found { breaks, tally, others }
}

fn unreadable(rows: &[Unreadable]) -> impl Iterator<Item = Break> + '_ {
    rows.iter().map(|row| {
        let identity = format!("{}\n{}", row.file, row.line);
        Break {
            cause: format!("The row {}; mend it at its source and export again.", row.what),
            place: format!("{} line {}", row.file, row.line),
            ..Break::new(Kind::Unreadable, &identity)
        }
    })
}

fn journal_balance(journal: &Journal, tally: &Tally) -> TieOut {
    let live = |net: Money, payment: &crate::journal::Payment| {
        if payment.live && payment.state == crate::journal::State::Succeeded {
            net + payment.amount()
        } else {
            net
        }
    };
    let paid = journal.payments.iter().fold(Money::ZERO, live);
    let refunds = journal.refunds.iter().filter(|refund| refund.succeeded);
    let refunds =
        refunds.filter(|refund| journal.payment(refund.payment).is_some_and(|one| one.live));
    let refunded: Money = refunds.map(|refund| Money::from_units(refund.amount)).sum();
    let closing = tally.ours_net + journal.adjustments;
    let closing =
        if *tally == Tally::default() { paid - refunded + journal.adjustments } else { closing };
    TieOut::new(
        "our journal",
        Money::ZERO,
        vec![("payments", paid), ("refunds", -refunded), ("adjustments", journal.adjustments)],
        closing,
    )
}

/// From our net to Midtrans', over all that is named.
fn three_way(tally: &Tally) -> TieOut {
    TieOut::new(
        "our journal to Midtrans' exports",
        tally.ours_net,
        vec![
            ("made before the first export", -tally.before_exports_net),
            ("in the exports, before the journal", tally.before_journal_net),
            ("parts given back that the exports do not tell", -tally.untold_refunds),
            ("in breaks", -tally.breaks_net),
        ],
        tally.theirs_net,
    )
}

fn residual(tie: &TieOut) -> Option<Break> {
    if tie.residual.is_zero() {
        return None;
    }
    let explained = tie.closing - tie.residual;
    let named = Break::new(Kind::BalanceDiffers, &tie.name);
    Some(Break {
        cause: format!("Opening and movements of {} do not give its closing balance.", tie.name),
        currency: tie.currency.clone(),
        ..named.amounts(explained, tie.closing)
    })
}

fn remarks(
    reports: &Reports,
    statements: &Statements,
    options: &Options,
    before: u64,
) -> Vec<String> {
    let mut remarks: Vec<String> = statements
        .statements
        .iter()
        .flat_map(|one| one.findings.iter().map(move |finding| format!("{}: {finding}", one.file)))
        .collect();
    if reports.files.is_empty() {
        return remarks;
    }
    if options.from.is_none() && before > 0 {
        remarks.push(format!(
            "the exports are taken to begin with the day of their first row; {before} payments were \
             made before it (give --from if that is not so)"
        ));
    }
    if !reports.has_fee {
        remarks.push(
            "no export has fees, so Midtrans' charges were not checked (tick Mdr amount)"
                .to_owned(),
        );
    }
    if !reports.has_refund {
        remarks.push(
            "no export has amounts of refunds; they were checked by the status only".to_owned(),
        );
    }
    if reports.ruined > 0 {
        remarks.push(format!(
            "{} order ids were ruined by a spreadsheet; those rows were matched by Midtrans' transaction id",
            reports.ruined
        ));
    }
    remarks
}
