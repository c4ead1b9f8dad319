//! Closed settlements: what was decided when a billing period was closed.
//!
//! A client number of an entity is one chain of settlements, each closed once, in the order of
//! time. Which entries of the journal belong to which is decided by two values that only grow
//! along the chain: how far the journal had been read ([`ClosedSettlement::read_to`]) and where the
//! period ends ([`ClosedSettlement::until`]). An entry belongs to the first settlement that had
//! read it and ends after its time: to one and no other, whatever is written later, however many
//! shards there are. What was written after the closing, with whatever time, is left to the next.

use std::fmt;

use async_trait::async_trait;
use gopay_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Cursor, StoreError};

/// Who gets one transfer: an entity of PPRO and its number of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SettlementAccount {
    /// 1 PPRO, 106 PPRO Mexico, 107 PPRO Brazil.
    pub entity: u16,
    /// 1 to 9999.
    pub client: u16,
}

/// As in the names of files: `1-999`.
impl fmt::Display for SettlementAccount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.entity, self.client)
    }
}

/// A settlement that was made. Amounts are in hundredths of its currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedSettlement {
    /// Whose.
    pub account: SettlementAccount,
    /// Its place in the chain, from 1.
    pub ordinal: i64,
    /// `D`, `W` or `M`.
    pub frequency: String,
    /// The year of the period.
    pub year: u16,
    /// Its number within the year.
    pub number: u16,
    /// The first instant of the period.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// When the transfer starts, `YYYY-MM-DD`.
    pub settlement_date: String,
    /// The settlement currency.
    pub currency: String,
    /// Carried forward from the settlement before.
    pub opening: i64,
    /// Released less held back.
    pub reserve: i64,
    /// Transferred: 0 or more.
    pub transfer: i64,
    /// Carried forward to the next settlement.
    pub carry_forward: i64,
    /// Everything up to here belongs to earlier settlements.
    pub read_from: Cursor,
    /// How far the journal had been read.
    pub read_to: Cursor,
    /// Everything up to here belongs to this settlement or to earlier ones.
    pub read_on: Cursor,
    /// `manifest.json` as it was written: terms, rate, files with their hashes.
    pub manifest: String,
    /// SHA-256 of the manifest, in hexadecimal digits: the head of the chain.
    pub manifest_sha256: String,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// Who closed it.
    pub closed_by: String,
    /// Corrections that it holds, in their order.
    pub adjustments: Vec<StoredAdjustment>,
}

/// A correction by two people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAdjustment {
    /// Used once within an account.
    pub id: String,
    /// The contract.
    pub contract: String,
    /// In hundredths of the settlement's currency; below zero if it takes away.
    pub amount: i64,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    /// Who approved it: another person.
    pub approved_by: String,
}

/// The settlements of a store.
#[async_trait]
pub trait Settlements: Send + Sync {
    /// The last settlement of an account.
    async fn settlement_head(
        &self,
        account: SettlementAccount,
    ) -> Result<Option<ClosedSettlement>, StoreError>;

    /// The last settlement of every account, without adjustments.
    async fn settlement_heads(&self) -> Result<Vec<ClosedSettlement>, StoreError>;

    /// The settlements of an account after a place in its chain, in order, at most `limit`.
    async fn settlements_after(
        &self,
        account: SettlementAccount,
        ordinal: i64,
        limit: usize,
    ) -> Result<Vec<ClosedSettlement>, StoreError>;

    /// Closes a settlement with its adjustments: all of it is durable, or none.
    ///
    /// [`StoreError::Conflict`] if another was closed in its place, or if an adjustment's id was
    /// used before; [`StoreError::Invalid`] if it does not follow the account's last: in its
    /// place, its period, its reading of the journal or its opening balance.
    async fn settlement_close(&self, closed: &ClosedSettlement) -> Result<(), StoreError>;
}

impl ClosedSettlement {
    /// Whether it may follow the last of its chain; the engines ask in the transaction that adds it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if its place is taken, else [`StoreError::Invalid`] that names what
    /// does not follow.
    pub fn follows(&self, head: Option<&Self>) -> Result<(), StoreError> {
        let invalid = |column, why| StoreError::Invalid { table: "settlements", column, why };
        let last = head.map_or(0, |head| head.ordinal);
        if self.ordinal <= last {
            return Err(StoreError::Conflict);
        }
        if last.checked_add(1) != Some(self.ordinal) {
            return Err(invalid("ordinal", "it leaves a gap in the chain"));
        }
        if self.until <= self.from {
            return Err(invalid("until_at", "the period ends before it begins"));
        }
        if self.transfer < 0 {
            return Err(invalid("transfer", "it is below zero"));
        }
        if !self.read_to.covers(&self.read_on) || !self.read_on.covers(&self.read_from) {
            return Err(invalid("read_on", "it is not between where reading began and ended"));
        }
        if head.map_or(Cursor::default(), |head| head.read_on.clone()) != self.read_from {
            return Err(invalid("read_from", "it is not where the last one left off"));
        }
        let Some(head) = head else { return Ok(()) };
        if self.from != head.until {
            return Err(invalid("from_at", "the period does not begin where the last one ended"));
        }
        if !self.read_to.covers(&head.read_to) {
            return Err(invalid("read_to", "less of the journal was read than before"));
        }
        if self.opening != head.carry_forward && self.currency == head.currency {
            return Err(invalid("opening", "it is not what was carried forward"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(ordinal: i64) -> ClosedSettlement {
        ClosedSettlement {
            account: SettlementAccount { entity: 1, client: 999 },
            ordinal,
            frequency: "D".into(),
            year: 2026,
            number: 7,
            from: Timestamp::from_micros(ordinal * 100),
            until: Timestamp::from_micros(ordinal * 100 + 100),
            settlement_date: "2026-01-08".into(),
            currency: "USD".into(),
            opening: 5,
            reserve: 0,
            transfer: 7,
            carry_forward: 5,
            read_from: reading(ordinal * 10 - 12),
            read_to: reading(ordinal * 10).advanced(2, ordinal),
            read_on: reading(ordinal * 10 - 2),
            manifest: "{}".into(),
            manifest_sha256: "00".into(),
            closed_at: Timestamp::from_micros(1_000),
            closed_by: "ops".into(),
            adjustments: Vec::new(),
        }
    }

    fn reading(seq: i64) -> Cursor {
        Cursor::default().advanced(1, seq)
    }

    #[test]
    fn a_settlement_follows_the_last_of_its_chain_in_everything() {
        let head = closed(1);
        let with = |change: fn(&mut ClosedSettlement)| {
            let mut next = closed(2);
            change(&mut next);
            next
        };
        let cases: [(ClosedSettlement, Option<&str>); 12] = [
            (with(|_| {}), None),
            (with(|next| next.ordinal = 1), Some("conflict")),
            (with(|next| next.ordinal = 3), Some("ordinal")),
            (with(|next| next.from = Timestamp::from_micros(201)), Some("from_at")),
            (with(|next| next.until = next.from), Some("until_at")),
            (with(|next| next.transfer = -1), Some("transfer")),
            (with(|next| next.opening = 6), Some("opening")),
            (with(|next| next.read_to = reading(9)), Some("read_on")),
            (with(|next| next.read_to = reading(20)), Some("read_to")),
            (with(|next| next.read_from = reading(9)), Some("read_from")),
            (with(|next| next.read_on = reading(21)), Some("read_on")),
            (with(|next| next.read_on = reading(7)), Some("read_on")),
        ];
        for (next, wanted) in cases {
            let found = match next.follows(Some(&head)) {
                Ok(()) => None,
                Err(StoreError::Invalid { column, .. }) => Some(column),
                Err(StoreError::Conflict) => Some("conflict"),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, wanted, "{next:?}");
        }
        assert!(closed(1).follows(None).is_ok());
        assert!(closed(2).follows(None).is_err());
    }
}
