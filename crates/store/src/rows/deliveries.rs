//! The rows of deliveries.

use gopay_core::time::Timestamp;

use super::{Cell, RowReader, SqlRow, table};
use crate::engine::OwedDelivery;
use crate::{Delivery, DeliveryState, StoreError, receiver_of};

table! {
    /// Notifications owed to PSPs.
    DELIVERIES = "deliveries", delivery_columns,
    key { delivery_id: Int, }
    changing {
        attempts: Int,
        next_attempt_at: Int,
        state: Text,
    }
    fixed {
        tx_id: Int,
        client: Text,
        url: Text,
        final_at: Int,
    }
    written { receiver: Text, }
}

/// A row of [`DELIVERIES`] as a delivery.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn delivery(row: &dyn SqlRow) -> Result<Delivery, StoreError> {
    let mut row = RowReader::new(row, DELIVERIES.name);
    Ok(Delivery {
        delivery_id: row.int("delivery_id")?,
        attempts: row.count("attempts")?,
        next_attempt_at: row.time("next_attempt_at")?,
        state: row.parse("state", DeliveryState::from_word)?,
        tx_id: row.tx_id()?,
        psp: row.text("client")?,
        url: row.text("url")?,
        final_at: row.time("final_at")?,
    })
}

/// The key of a delivery and what an update writes, in the order of [`DELIVERIES`].
#[must_use]
pub fn delivery_changes(delivery: &Delivery) -> [Cell<'_>; 4] {
    [
        delivery.delivery_id.into(),
        delivery.attempts.into(),
        delivery.next_attempt_at.into(),
        delivery.state.as_str().into(),
    ]
}

/// A delivery that is owed, due at `due_at`, as a row of [`DELIVERIES`] without its key, which the
/// engine draws.
#[must_use]
pub fn owed_cells(owed: &OwedDelivery, due_at: Timestamp) -> [Cell<'_>; 8] {
    [
        0_i64.into(),
        due_at.into(),
        DeliveryState::Waiting.as_str().into(),
        owed.tx_id.get().into(),
        owed.psp.as_str().into(),
        owed.url.as_str().into(),
        owed.final_at.into(),
        Some(receiver_of(&owed.url)).into(),
    ]
}
