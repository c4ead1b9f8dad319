//! The processing files of a day.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures::future::try_join_all;
use gopay_core::journal::{Kind, SignedSen};
use gopay_core::payment::Payment;
use gopay_core::refund::{Refund, RefundState};
use gopay_finance::amount::Amount;
use gopay_finance::day::{DayWriter, day_folder};
use gopay_finance::period::midnight;
use gopay_finance::processing::{CallDetails, ChargebackRow, DayFile, RefundRow, TransactionRow};
use gopay_store::{Cursor, Database, JOURNAL_PAGE_MAX, JournalRecord, StoreError, Times};
use jiff::civil::Date;
use serde::Deserialize;

use crate::finance::folder::{DiskFolder, Staging};
use crate::finance::position;

/// Rows whose payments and refunds are read at once.
const AT_ONCE: usize = 32;

/// A PSP's files under writing.
struct Under {
    staging: Staging,
    files: DayWriter<DiskFolder>,
}

/// Writes the files of the day before `made` for every PSP; a folder each, and how many rows.
///
/// Rows are in the order of the journal, shard by shard, so that the same day is the same bytes.
pub(crate) async fn write(
    store: &dyn Database,
    logins: &BTreeSet<String>,
    made: Date,
    out: &Path,
) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let day = made.yesterday()?;
    let times = Times { from: Some(midnight(day)), until: Some(midnight(made)) };
    let mut open: BTreeMap<String, Under> = BTreeMap::new();
    for login in logins {
        open.insert(login.clone(), begin(login, made, out)?);
    }
    let (from, to) = position::range(store, times).await?;
    for (shard, last) in to.shards() {
        let mut position = from.position(shard);
        while position < last {
            let alone = Cursor::only(shard, position);
            let page = store.journal_read(&alone, JOURNAL_PAGE_MAX).await?;
            if page.records.is_empty() {
                break;
            }
            position = page.next.position(shard);
            let due: Vec<&JournalRecord> = page
                .records
                .iter()
                .filter(|one| one.seq <= last)
                .filter(|one| {
                    times.contain(one.entry.at) && !DayFile::of(one.entry.kind).is_empty()
                })
                .collect();
            for chunk in due.chunks(AT_ONCE) {
                for (login, row) in try_join_all(chunk.iter().map(|one| row(store, one))).await? {
                    if !open.contains_key(&login) {
                        open.insert(login.clone(), begin(&login, made, out)?);
                    }
                    let Some(under) = open.get_mut(&login) else { continue };
                    match row {
                        Row::Transaction(row) => under.files.transaction(&row)?,
                        Row::Refund(row) => under.files.refund(&row)?,
                        Row::Chargeback(row) => under.files.chargeback(&row)?,
                    }
                }
            }
        }
    }
    finish(open)
}

fn begin(login: &str, made: Date, out: &Path) -> anyhow::Result<Under> {
    let staging = Staging::new(out, &day_folder(login, made))?;
    let files = DayWriter::begin(DiskFolder::plain(staging.path()), login, made)?;
    Ok(Under { staging, files })
}

/// Every folder is whole before the first is put in its place.
fn finish(open: BTreeMap<String, Under>) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let mut whole = Vec::new();
    for Under { staging, files } in open.into_values() {
        whole.push((staging, files.finish()?.1));
    }
    let place = |(staging, rows): (Staging, u64)| Ok((staging.put_in_place()?, rows));
    whole.into_iter().map(place).collect()
}

enum Row {
    Transaction(Box<TransactionRow>),
    Refund(Box<RefundRow>),
    Chargeback(Box<ChargebackRow>),
}

/// The row of an entry, and whose it is; of nobody's if its payment is gone.
async fn row(store: &dyn Database, record: &JournalRecord) -> anyhow::Result<(String, Row)> {
    let (entry, about) = (&record.entry, &record.about);
    let login = about.psp.clone().unwrap_or_default();
    if let Some(refund_id) = entry.refund_id.filter(|_| entry.kind != Kind::ChargedBack) {
        let refund = store.refund_get(refund_id).await?;
        return Ok((login, Row::Refund(Box::new(refund_row(record, refund)))));
    }
    let payment = store.payment_get(entry.tx_id).await?;
    let details = match store.payment_request(entry.tx_id).await {
        Ok(call) => details(&call).with_context(|| format!("the call of {}", entry.tx_id))?,
        Err(StoreError::Missing { .. }) => CallDetails::default(),
        Err(error) => return Err(error.into()),
    };
    let row = match entry.kind {
        Kind::ChargedBack => Row::Chargeback(Box::new(ChargebackRow {
            id: entry.refund_id,
            amount: amount(record),
            account_holder: details.account_holder,
            tx_id: entry.tx_id,
            merchant_tx_id: about.merchant_tx_id.clone(),
            charged_back_at: entry.midtrans_at,
            at: entry.at,
            contract: about.contract.clone(),
        })),
        Kind::Opened
        | Kind::Succeeded
        | Kind::SucceededLate
        | Kind::Failed
        | Kind::RefundRequested
        | Kind::RefundSucceeded
        | Kind::RefundFailed
        | Kind::RefundFundsConfirmed
        | Kind::RefundedElsewhere
        | Kind::Adjustment => Row::Transaction(Box::new(transaction_row(record, payment, details))),
    };
    Ok((login, row))
}

fn amount(record: &JournalRecord) -> Option<Amount> {
    record.entry.amount.map(|sen| Amount::new(SignedSen::get(sen)))
}

fn transaction_row(
    record: &JournalRecord,
    payment: Option<Payment>,
    details: CallDetails,
) -> TransactionRow {
    let (entry, about) = (&record.entry, &record.about);
    let first = payment.as_ref().and_then(|payment| payment.first_failure);
    let failed = match entry.kind {
        Kind::Failed => entry.reason.map(|reason| (entry.at, reason)),
        Kind::SucceededLate => first.map(|first| (first.at, first.reason)),
        Kind::Opened
        | Kind::Succeeded
        | Kind::RefundRequested
        | Kind::RefundSucceeded
        | Kind::RefundFailed
        | Kind::RefundFundsConfirmed
        | Kind::RefundedElsewhere
        | Kind::ChargedBack
        | Kind::Adjustment => None,
    };
    TransactionRow {
        tx_id: entry.tx_id,
        kind: entry.kind,
        at: entry.at,
        amount: amount(record),
        channel: about.channel,
        merchant_tx_id: about.merchant_tx_id.clone(),
        contract: about.contract.clone(),
        details,
        called_at: payment.map(|payment| payment.created_at),
        failed,
    }
}

fn refund_row(record: &JournalRecord, refund: Option<Refund>) -> RefundRow {
    let (entry, about) = (&record.entry, &record.about);
    let succeeded = refund.as_ref().filter(|refund| refund.state == RefundState::Succeeded);
    RefundRow {
        refund_id: entry.refund_id,
        tx_id: entry.tx_id,
        kind: entry.kind,
        at: entry.at,
        amount: amount(record),
        merchant_refund_id: about.merchant_refund_id.clone(),
        contract: about.contract.clone(),
        called_at: refund.as_ref().map(|refund| refund.created_at),
        succeeded_at: succeeded.and_then(|refund| refund.resolved_at),
        reason: entry.reason,
        error: refund.as_ref().and_then(|refund| match &refund.state {
            RefundState::Failed(failure) => Some(failure.message.clone()),
            RefundState::Unresolved | RefundState::Succeeded => None,
        }),
        funds_sent_at: entry.midtrans_at,
    }
}

/// What a call said, out of its record.
fn details(call: &str) -> anyhow::Result<CallDetails> {
    #[derive(Deserialize)]
    struct Call {
        accountholdername: Option<String>,
        countrycode: Option<String>,
        sellingpoint: Option<String>,
        soldservice: Option<String>,
    }
    let call: Call = serde_json::from_str(call)?;
    Ok(CallDetails {
        account_holder: call.accountholdername,
        country: call.countrycode,
        selling_point: call.sellingpoint,
        sold_service: call.soldservice,
    })
}
