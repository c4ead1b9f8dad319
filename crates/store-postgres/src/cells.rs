//! Reading cells that may not parse.

use gopay_core::ids::TxId;
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{FailReason, Failure, Nonce, PaymentState};
use gopay_core::time::Timestamp;
use gopay_store::StoreError;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

/// The cells of one row, taken in the order of the statement's columns. The first is the key.
pub(crate) struct Cells<'a> {
    row: &'a Row,
    table: &'static str,
    at: usize,
}

impl<'a> Cells<'a> {
    pub(crate) const fn new(row: &'a Row, table: &'static str) -> Self {
        Self { row, table, at: 0 }
    }

    /// The next cell. Any failure to read it is a value that does not parse.
    pub(crate) fn take<T: FromSql<'a>>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let at = self.at;
        self.at = self.at.saturating_add(1);
        self.row.try_get(at).map_err(|_| self.corrupt(column))
    }

    /// The next cell, through a parser that says no with `None`.
    pub(crate) fn parse<T: FromSql<'a>, U>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<U, StoreError> {
        let raw = self.take(column)?;
        parse(raw).ok_or_else(|| self.corrupt(column))
    }

    /// The same for a cell that may be empty.
    pub(crate) fn parse_opt<T: FromSql<'a>, U>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<Option<U>, StoreError> {
        match self.take::<Option<T>>(column)? {
            None => Ok(None),
            Some(raw) => parse(raw).map(Some).ok_or_else(|| self.corrupt(column)),
        }
    }

    pub(crate) fn tx_id(&mut self) -> Result<TxId, StoreError> {
        self.parse("tx_id", |number| TxId::new(number).ok())
    }

    pub(crate) fn time(&mut self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.take(column).map(Timestamp::from_micros)
    }

    pub(crate) fn time_opt(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.take::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }

    /// A number of tries or looks.
    pub(crate) fn count(&mut self, column: &'static str) -> Result<u32, StoreError> {
        self.parse(column, |count: i64| u32::try_from(count).ok())
    }

    pub(crate) fn sen(&mut self, column: &'static str) -> Result<Sen, StoreError> {
        self.parse(column, |sen: i64| u64::try_from(sen).ok().map(Sen::new))
    }

    pub(crate) fn rupiah_opt(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Rupiah>, StoreError> {
        self.parse_opt(column, |sen: i64| Rupiah::from_sen(Sen::new(u64::try_from(sen).ok()?)).ok())
    }

    /// The cells `state`, `fail_reason` and `fail_message` of a payment.
    pub(crate) fn payment_state(&mut self) -> Result<PaymentState, StoreError> {
        let word: &str = self.take("state")?;
        let failure = self.failure()?;
        PaymentState::from_word(word, failure).ok_or_else(|| self.corrupt("state"))
    }

    /// The cells `nonce` and `fingerprint`.
    pub(crate) fn nonce(&mut self) -> Result<Option<Nonce>, StoreError> {
        let value: Option<String> = self.take("nonce")?;
        let fingerprint = self.parse("fingerprint", |bytes: &[u8]| bytes.try_into().ok())?;
        Ok(value.map(|value| Nonce { value, fingerprint }))
    }

    /// The cells `fail_reason` and `fail_message`.
    pub(crate) fn failure(&mut self) -> Result<Option<Failure>, StoreError> {
        let reason = self.parse_opt("fail_reason", FailReason::from_word)?;
        let message: Option<String> = self.take("fail_message")?;
        match (reason, message) {
            (Some(reason), Some(message)) => Ok(Some(Failure { reason, message })),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(self.corrupt("fail_message")),
        }
    }

    pub(crate) fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column, row: key(self.row).to_string() }
    }
}

/// The key of a row, or 0 if even that does not parse.
pub(crate) fn key(row: &Row) -> i64 {
    row.try_get(0).unwrap_or(0)
}

/// Sen as the database keeps them.
pub(crate) fn sen_cell(sen: Sen) -> Result<i64, StoreError> {
    i64::try_from(sen.get()).map_err(|error| StoreError::Down(Box::new(error)))
}

/// How many rows a statement may return.
pub(crate) fn limit_cell(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
