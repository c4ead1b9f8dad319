//! What reconciliation takes from a config and its store.

use anyhow::Context as _;
use gopay_core::ids::RefundId;
use gopay_core::journal::SignedSen;
use gopay_core::payment::Channel;
use gopay_core::time::Timestamp;
use gopay_finance::manifest;
use gopay_finance::terms::MidtransFee;
use gopay_reconcile::date::Moment;
use gopay_reconcile::input::mapping::{Fee, Mapping, RoundTo};
use gopay_reconcile::journal::{Event, Journal};
use gopay_reconcile::money::Money;
use gopay_reconcile::transfers::SettledTransfer;
use gopay_store::{Cursor, Database, JOURNAL_PAGE_MAX, JournalRecord};

use crate::config::Settlement;

/// The mapping with what Midtrans should charge by the config.
pub(crate) fn with_terms(mapping: Mapping, settlement: &Settlement) -> anyhow::Result<Mapping> {
    let fee = |fee: &MidtransFee| Fee {
        payment_type: fee.payment_type.clone(),
        valid_from: fee.valid_from.to_string(),
        basis_points: fee.basis_points,
        fixed: 0,
        vat_basis_points: fee.vat_basis_points,
        round_to: RoundTo::Sen,
        returned_on_refund: fee.given_back,
    };
    let terms = settlement.midtrans_fees.iter().map(fee).collect();
    Ok(mapping.with_terms(terms, "[[settlement.midtrans_fee]] of the config")?)
}

/// The journal of a store, page by page. Its hash is that of the position that it was read to:
/// entries are only added, so that a position is always the same entries.
pub(crate) async fn journal(store: &dyn Database) -> anyhow::Result<Journal> {
    let mut journal = Journal::default();
    let mut cursor = Cursor::default();
    loop {
        let page = store.journal_read(&cursor, JOURNAL_PAGE_MAX).await?;
        if page.records.is_empty() {
            journal.hash = manifest::sha256(cursor.to_string().as_bytes());
            return Ok(journal);
        }
        for record in &page.records {
            journal.push(&event(record));
        }
        cursor = page.next;
    }
}

fn event(record: &JournalRecord) -> Event<'_> {
    let entry = &record.entry;
    let moment = |at: Timestamp| Moment::from_secs(at.as_millis().div_euclid(1_000));
    Event {
        at: moment(entry.at),
        kind: entry.kind,
        live: record.about.channel != Some(Channel::Test),
        tx_id: entry.tx_id.get(),
        refund_id: entry.refund_id.map(RefundId::get),
        midtrans_id: entry.midtrans_id.as_deref().unwrap_or_default().as_bytes(),
        payment_type: entry.payment_type.as_deref().unwrap_or_default().as_bytes(),
        amount_sen: entry.amount.map(SignedSen::get),
        midtrans_at: entry.midtrans_at.map(moment),
    }
}

/// Settlements read at once.
const PAGE: usize = 64;

/// The transfers of all settlements that a store has closed.
pub(crate) async fn transfers(store: &dyn Database) -> anyhow::Result<Vec<SettledTransfer>> {
    let mut transfers = Vec::new();
    for head in store.settlement_heads().await? {
        let mut after = 0;
        loop {
            let page = store.settlements_after(head.account, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.ordinal;
            for closed in page.iter().filter(|closed| closed.transfer > 0) {
                let place =
                    || format!("settlement {} of {} in the store", closed.ordinal, closed.account);
                transfers.push(SettledTransfer {
                    set: crate::finance::chain::manifest_of(closed)?.set,
                    amount: Money::from_sen(closed.transfer),
                    currency: closed.currency.clone(),
                    day: closed.settlement_date.parse().with_context(place)?,
                });
            }
        }
    }
    Ok(transfers)
}
