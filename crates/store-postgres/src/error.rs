//! What the database says, in the words of the store.

use gopay_store::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Why a step ended without a result.
#[derive(Debug)]
pub(crate) enum DbError {
    /// Another transaction was in the way; the step may be run again from its beginning.
    Again,
    /// The result of the step.
    Store(StoreError),
    /// The same, from a server that is no good any more: neither is any connection to it.
    Gone(StoreError),
}

impl From<StoreError> for DbError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        let Some(state) = error.code() else { return Self::Store(store_error(error)) };
        if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(state) {
            Self::Again
        } else if is_going(state) {
            Self::Gone(store_error(error))
        } else {
            Self::Store(store_error(error))
        }
    }
}

/// A server that says so is a standby, ends, has crashed, starts, or has lost the connection: 25006,
/// 57P01 to 57P05 and class 08.
fn is_going(state: &SqlState) -> bool {
    let code = state.code();
    *state == SqlState::READ_ONLY_SQL_TRANSACTION
        || code.starts_with("57P0")
        || code.starts_with("08")
}

/// What the database says, where nothing is tried again.
pub(crate) fn store_error(error: Error) -> StoreError {
    let Some(said) = error.as_db_error() else {
        return StoreError::Down(Box::new(error));
    };
    let busy = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    if busy.contains(said.code()) {
        StoreError::Busy
    } else if *said.code() == SqlState::DIVISION_BY_ZERO {
        // `Fence::SQL`, before the transaction has written anything.
        away("this instance has lost its number")
    } else if *said.code() == SqlState::UNIQUE_VIOLATION {
        StoreError::Conflict
    } else {
        // Never the detail: it shows whole rows, and those hold personal data.
        let why = format!("{} (SQLSTATE {})", said.message(), said.code().code());
        // A transaction that may only read has written nothing.
        if *said.code() == SqlState::READ_ONLY_SQL_TRANSACTION { away(why) } else { down(why) }
    }
}

/// [`StoreError::Down`] for a reason that is a sentence.
pub(crate) fn down(why: impl Into<String>) -> StoreError {
    StoreError::Down(why.into().into())
}

/// [`StoreError::Away`] for a reason that is a sentence.
pub(crate) fn away(why: impl Into<String>) -> StoreError {
    StoreError::Away(why.into().into())
}

/// [`StoreError::Down`] that says what was tried.
pub(crate) fn at(what: &'static str) -> impl Fn(StoreError) -> StoreError {
    move |error| match error {
        StoreError::Down(source) => StoreError::Down(Box::new(Failed { what, source })),
        StoreError::Away(source) => StoreError::Away(Box::new(Failed { what, source })),
        StoreError::Busy
        | StoreError::Conflict
        | StoreError::Missing { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Invalid { .. }
        | StoreError::Schema { .. } => error,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
struct Failed {
    what: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_goes_or_takes_no_writes_is_told_from_one_that_says_no() {
        for (code, going) in [
            ("25006", true),
            ("57P01", true),
            ("57P02", true),
            ("57P03", true),
            ("08003", true),
            ("08006", true),
            ("57014", false),
            ("25P02", false),
            ("23505", false),
            ("40001", false),
            ("53300", false),
        ] {
            assert_eq!(is_going(&SqlState::from_code(code)), going, "{code}");
        }
    }
}
