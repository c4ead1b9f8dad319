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
        } else {
            Self::Store(store_error(error))
        }
    }
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
    } else if *said.code() == SqlState::UNIQUE_VIOLATION {
        StoreError::Conflict
    } else {
        // Never the detail: it shows whole rows, and those hold personal data.
        down(format!("{} (SQLSTATE {})", said.message(), said.code().code()))
    }
}

/// [`StoreError::Down`] for a reason that is a sentence.
pub(crate) fn down(why: impl Into<String>) -> StoreError {
    StoreError::Down(why.into().into())
}

/// [`StoreError::Down`] that says what was tried.
pub(crate) fn at(what: &'static str) -> impl Fn(StoreError) -> StoreError {
    move |error| match error {
        StoreError::Down(source) => StoreError::Down(Box::new(Failed { what, source })),
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
