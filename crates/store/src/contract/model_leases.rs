//! Leases in the model: what a store does that instances share, where `now` of its steps is each
//! instance's own and the times of leases are the database's.

use gopay_core::ids::TxId;
use gopay_core::payment::PaymentState;
use gopay_core::refund::Refund;
use gopay_core::time::Timestamp;

use super::model::{Model, Rows};
use crate::lease::StoredLease;
use crate::{Delivery, DeliveryState, StoreError, engine};

/// A dead holder's claims.
#[derive(Clone, Copy, Debug)]
struct Claims {
    number: u16,
    /// It has certainly ended, and with it the calls that it was at.
    certain: bool,
}

impl Model {
    /// Takes a number, which nobody else has any more; the epoch.
    pub fn lease_take(&self, number: u16, until: Timestamp) -> i64 {
        let mut rows = self.rows();
        let epoch = rows.leases.next_epoch(number);
        rows.leases.held.retain(|lease| lease.number != number);
        rows.leases.held.push(StoredLease { number, epoch, until: until.as_micros() });
        epoch
    }

    /// Renews a lease; false if another has the number, or nobody.
    pub fn lease_renew(&self, number: u16, epoch: i64, until: Timestamp) -> bool {
        let mut rows = self.rows();
        let own = rows.leases.held.iter_mut().find(|lease| is_of(lease, number, epoch));
        own.map(|lease| lease.until = until.as_micros()).is_some()
    }

    /// Every lease that somebody holds, or died with.
    #[must_use]
    pub fn leases(&self) -> Vec<StoredLease> {
        self.rows().leases.held.clone()
    }

    /// Whether a number is held in this epoch. Steps that write are refused otherwise.
    #[must_use]
    pub fn lease_holds(&self, number: u16, epoch: i64) -> bool {
        self.rows().leases.held.iter().any(|lease| is_of(lease, number, epoch))
    }

    /// Ends a lease that is as it was seen, and makes due what its holder had claimed; how much.
    pub fn lease_bury(&self, dead: StoredLease, now: Timestamp) -> Option<u64> {
        let mut rows = self.rows();
        let at = rows.leases.held.iter().position(|lease| *lease == dead)?;
        rows.leases.held.remove(at);
        rows.leases.next_epoch(dead.number);
        let certain = dead.is_released();
        Some(rows.void(Claims { number: dead.number, certain }, now, now))
    }

    /// [`crate::Store::reclaim`] of the holder of a number, in a store that instances share.
    pub fn reclaim_of(&self, number: u16, now: Timestamp, lease_until: Timestamp) -> u64 {
        self.rows().void(Claims { number, certain: true }, now, lease_until)
    }

    /// [`crate::Store::delivery_claim_due`] of the holder of a number.
    ///
    /// # Errors
    /// None; as the engines'.
    pub fn deliveries_claim(
        &self,
        number: Option<u16>,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut rows = self.rows();
        let due = |delivery: &&Delivery| {
            delivery.state == DeliveryState::Waiting
                && delivery.next_attempt_at <= now
                && rows.first_of_payment(delivery)
                && rows.is_free(delivery, number)
                && !busy.contains(&crate::receiver_of(&delivery.url))
        };
        let mut claimed: Vec<Delivery> = rows.deliveries.iter().filter(due).cloned().collect();
        claimed.sort_by_key(|delivery| (delivery.next_attempt_at, delivery.delivery_id));
        claimed.truncate(limit);
        for delivery in &mut claimed {
            delivery.next_attempt_at = lease_until;
            let id = delivery.delivery_id;
            let rows = &mut *rows;
            let stored = rows.deliveries.iter_mut().filter(|row| row.delivery_id == id);
            stored.for_each(|row| row.clone_from(delivery));
            match number {
                Some(number) => rows.leases.deliveries.insert(id, (number, lease_until)),
                None => rows.leases.deliveries.remove(&id),
            };
        }
        Ok(claimed)
    }

    /// [`crate::Store::refund_claim_due`] of the holder of a number.
    ///
    /// # Errors
    /// None; as the engines'.
    pub fn refunds_claim(
        &self,
        number: Option<u16>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Refund>, StoreError> {
        let mut rows = self.rows();
        let mut due: Vec<&mut Refund> = rows
            .refunds
            .values_mut()
            .filter(|refund| refund.next_check_at.is_some_and(|at| at <= now))
            .collect();
        due.sort_by_key(|refund| (refund.next_check_at, refund.refund_id));
        due.truncate(limit);
        due.iter_mut().for_each(|refund| **refund = refund.checked(now));
        let claimed: Vec<Refund> = due.into_iter().map(|refund| refund.clone()).collect();
        if let Some(number) = number {
            let ids = claimed.iter().map(|refund| (refund.refund_id, number));
            rows.leases.refunds.extend(ids);
        }
        Ok(claimed)
    }
}

fn is_of(lease: &StoredLease, number: u16, epoch: i64) -> bool {
    lease.number == number && lease.epoch == epoch
}

/// The number in an id.
fn number_of(id: i64) -> u16 {
    u16::try_from((id >> 12) & 1023).unwrap_or(0)
}

impl Rows {
    /// Nobody else has claimed a delivery.
    fn is_free(&self, delivery: &Delivery, number: Option<u16>) -> bool {
        self.leases.deliveries.get(&delivery.delivery_id).is_none_or(|(owner, until)| {
            *until != delivery.next_attempt_at || Some(*owner) == number
        })
    }

    fn void(&mut self, claims: Claims, now: Timestamp, lease_until: Timestamp) -> u64 {
        let mut count = 0;
        for delivery in &mut self.deliveries {
            let claim = self.leases.deliveries.get(&delivery.delivery_id);
            let Some((_, until)) = claim.filter(|(owner, _)| *owner == claims.number) else {
                continue;
            };
            let soon = delivery.next_attempt_at > now && delivery.next_attempt_at <= lease_until;
            if delivery.state == DeliveryState::Waiting
                && (*until == delivery.next_attempt_at || soon)
            {
                delivery.next_attempt_at = delivery.next_attempt_at.min(now);
                self.leases.deliveries.remove(&delivery.delivery_id);
                count += 1;
            }
        }
        for refund in self.refunds.values_mut() {
            let claimed = self.leases.refunds.get(&refund.refund_id).copied();
            let owner = claimed.unwrap_or_else(|| number_of(refund.refund_id.get()));
            if owner == claims.number && refund.next_check_at.is_some_and(|at| at > now) {
                refund.next_check_at = Some(now);
                count += 1;
            }
        }
        let own = |tx_id: &TxId| number_of(tx_id.get()) == claims.number;
        let latest = now.after(engine::UNDER_WAY_MAX);
        for (_, payment) in self.payments.iter_mut().filter(|(tx_id, _)| own(tx_id)) {
            let under_way = match payment.state {
                PaymentState::Initialized => claims.certain,
                PaymentState::Pending => payment.checks > 0 && payment.session_over(now),
                PaymentState::Succeeded | PaymentState::Failed(_) => false,
            };
            let is_soon = payment.next_check_at.is_some_and(|at| at <= latest);
            if under_way
                && is_soon
                && let Some(sooner) = payment.check_at(now)
            {
                *payment = sooner;
                count += 1;
            }
        }
        count
    }
}
