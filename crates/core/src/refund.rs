//! Refunds and the rules that admit them.
//!
//! Source: `docs/psp-guide.md`, "Refunds".

use std::time::Duration;

use crate::ids::{RefundId, TxId};
use crate::money::{Rupiah, Sen};
use crate::payment::{FailReason, Failure, Payment, PaymentState};
use crate::time::Timestamp;
use crate::words::words;

/// PPRO's limit for GoPay: 30 days after the payment succeeded, to the second.
pub const REFUND_WINDOW_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where a refund stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// Durable and reserved; Midtrans has not given a clear answer yet.
    Unresolved,
    /// Midtrans accepted it.
    Succeeded,
    /// Refused; nothing is reserved.
    Failed(Failure),
}

impl RefundState {
    /// The stable word for the store and for logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
        }
    }
}

/// What Midtrans says of a refund that it accepted, as far as it has said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MidtransRefund {
    /// Its number (`refund_chargeback_id`).
    pub id: Option<String>,
    /// When it took the refund on, by its clock.
    pub at: Option<Timestamp>,
    /// When the provider confirmed that the money is back (`bank_confirmed_at`).
    pub funds_confirmed_at: Option<Timestamp>,
}

impl MidtransRefund {
    /// What is known together with what is said now: what is known stays.
    fn and(&self, said: &Self) -> Self {
        Self {
            id: self.id.clone().or_else(|| said.id.clone()),
            at: self.at.or(said.at),
            funds_confirmed_at: self.funds_confirmed_at.or(said.funds_confirmed_at),
        }
    }
}

/// Money on its way back to the shopper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Ours; PPRO's `REFUNDID`, Midtrans' `refund_key`.
    pub refund_id: RefundId,
    /// The payment.
    pub tx_id: TxId,
    /// The login of the PSP.
    pub psp: String,
    /// The contract of the payment.
    pub contract: String,
    /// The PSP's reference as sent; repeats allowed.
    pub merchant_refund_id: Option<String>,
    /// How much goes back; none only for a call that was refused because of its amount.
    pub amount: Option<Rupiah>,
    /// Text for the shopper's GoPay history (`specin.dynamicdescriptor`).
    pub descriptor: Option<String>,
    /// See [`RefundState`].
    pub state: RefundState,
    /// When the call came.
    pub created_at: Timestamp,
    /// When it succeeded or failed.
    pub resolved_at: Option<Timestamp>,
    /// When a worker should look after it next, if ever.
    pub next_check_at: Option<Timestamp>,
    /// How often a worker has looked.
    pub checks: u32,
    /// What Midtrans says of it.
    pub midtrans: MidtransRefund,
    /// How it came about, if nobody asked us for it.
    pub made_elsewhere: Option<MadeElsewhere>,
}

words!(
    /// How money goes back without us.
    Elsewhere {
        /// A refund in Midtrans' dashboard, or by another program under the same account.
        Dashboard = "dashboard",
        /// The shopper's side took it back after a dispute.
        Chargeback = "chargeback",
    }
);

/// A refund that nobody asked us for: Midtrans tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeElsewhere {
    /// How.
    pub how: Elsewhere,
    /// Midtrans' `refund_key`, if it has one.
    pub key: Option<String>,
}

/// A refund in Midtrans' list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRefund {
    /// Its `refund_key`, if it has one.
    pub key: Option<String>,
    /// How much went back.
    pub amount: Rupiah,
    /// What else Midtrans says of it.
    pub midtrans: MidtransRefund,
}

/// What Midtrans says of money that went back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenBack {
    /// Its list of refunds, ours too.
    pub refunds: Vec<SeenRefund>,
    /// The sum of all that went back, if Midtrans says it: it tells what the list leaves out.
    pub total: Option<Rupiah>,
    /// Whether the shopper's side took money back: all that was left, or a part, of which Midtrans
    /// does not say how much.
    pub charged_back: Option<ChargedBack>,
}

/// How much the shopper's side took back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargedBack {
    /// All that was left.
    Whole,
    /// Nobody knows how much of it.
    Part,
}

/// A REFUND call that is well-formed, with what its contract allows: to be admitted or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    /// The id under which it is stored, admitted or not.
    pub refund_id: RefundId,
    /// The payment that the call names.
    pub tx_id: TxId,
    /// The login of the PSP that called.
    pub psp: String,
    /// The contract of the call.
    pub contract: String,
    /// The PSP's reference as sent; repeats allowed.
    pub merchant_refund_id: Option<String>,
    /// `currency` of the call.
    pub currency: String,
    /// `amount` of the call, in sen.
    pub amount: Sen,
    /// Text for the shopper's GoPay history (`specin.dynamicdescriptor`).
    pub descriptor: Option<String>,
    /// What the contract allows.
    pub terms: RefundTerms,
}

impl RefundRequest {
    /// The refund after it was admitted. Its first check is planned as if a worker had just
    /// looked, but no look is counted.
    #[must_use]
    pub fn admitted(&self, amount: Rupiah, now: Timestamp) -> Refund {
        let refund = self.refund(Some(amount), RefundState::Unresolved, now);
        Refund { checks: 0, ..refund.checked(now) }
    }

    /// The refund after it was refused.
    #[must_use]
    pub fn refused(&self, rejection: RefundRejection, now: Timestamp) -> Refund {
        let amount = Rupiah::from_sen(self.amount).ok();
        let refund = self.refund(amount, RefundState::Failed(rejection.failure()), now);
        Refund { resolved_at: Some(now), ..refund }
    }

    fn refund(&self, amount: Option<Rupiah>, state: RefundState, now: Timestamp) -> Refund {
        Refund {
            refund_id: self.refund_id,
            tx_id: self.tx_id,
            psp: self.psp.clone(),
            contract: self.contract.clone(),
            merchant_refund_id: self.merchant_refund_id.clone(),
            amount,
            descriptor: self.descriptor.clone(),
            state,
            created_at: now,
            resolved_at: None,
            next_check_at: None,
            checks: 0,
            midtrans: MidtransRefund::default(),
            made_elsewhere: None,
        }
    }
}

/// What a contract allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundTerms {
    /// Whether there are refunds at all.
    pub allowed: bool,
    /// At most [`REFUND_WINDOW_MAX`], counted in whole seconds from the `finaltimestamp` that the
    /// PSP was told; the last second is inside.
    pub window: Duration,
}

/// Why a refund is not admitted, in order of checking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundRejection {
    /// The payment belongs to another contract; said as if it did not exist.
    ForeignContract,
    /// The contract does not allow refunds.
    NotAllowed,
    /// The payment has not succeeded.
    NotSucceeded,
    /// The currency is not the payment's.
    WrongCurrency,
    /// Not a positive number of whole rupiah.
    NotWhole,
    /// More than is left; holds what is left, in sen.
    TooMuch(Sen),
    /// The refund window is over.
    TooLate,
}

impl RefundRejection {
    /// The PPRO reason: a wrong request is `INPUT_DATA`, the time limit is ours to decline.
    #[must_use]
    pub fn failure(self) -> Failure {
        let (reason, message) = match self {
            Self::ForeignContract => (FailReason::InputData, "Transaction not found".to_owned()),
            Self::NotSucceeded => (
                FailReason::InputData,
                "txid: only a SUCCEEDED transaction can be refunded".to_owned(),
            ),
            Self::WrongCurrency => {
                (FailReason::InputData, "currency: must be IDR, as in the transaction".to_owned())
            }
            Self::NotWhole => (
                FailReason::InputData,
                "amount: must be a positive multiple of 100 (1 IDR = 100)".to_owned(),
            ),
            Self::TooMuch(left) => (
                FailReason::InputData,
                format!("amount: more than is left to refund; at most {} would pass", left.get()),
            ),
            Self::TooLate => (
                FailReason::LocalDecline,
                "The refund window of this transaction is over".to_owned(),
            ),
            Self::NotAllowed => {
                (FailReason::LocalDecline, "The contract does not allow refunds".to_owned())
            }
        };
        Failure::new(reason, &message)
    }
}

fn last_second(succeeded_at: Timestamp, window: Duration) -> Timestamp {
    succeeded_at.whole_seconds().after(window.min(REFUND_WINDOW_MAX))
}

impl Payment {
    /// What is left to refund.
    #[must_use]
    pub fn refundable(&self) -> Sen {
        self.amount
            .and_then(|amount| amount.sen().checked_sub(self.refund_reserved))
            .unwrap_or(Sen::ZERO)
    }

    /// The last second in which a refund is admitted; none as long as it has not succeeded.
    #[must_use]
    pub fn refundable_until(&self, window: Duration) -> Option<Timestamp> {
        match self.state {
            PaymentState::Succeeded => self.final_at.map(|at| last_second(at, window)),
            PaymentState::Initialized | PaymentState::Pending | PaymentState::Failed(_) => None,
        }
    }

    /// Admits a refund and reserves its amount, or says why not.
    ///
    /// # Errors
    /// The first [`RefundRejection`] in order of declaration.
    pub fn reserve_refund(
        &self,
        request: &RefundRequest,
        now: Timestamp,
    ) -> Result<(Self, Rupiah), RefundRejection> {
        if request.contract != self.contract {
            return Err(RefundRejection::ForeignContract);
        }
        if !request.terms.allowed {
            return Err(RefundRejection::NotAllowed);
        }
        let (PaymentState::Succeeded, Some(succeeded_at)) = (&self.state, self.final_at) else {
            return Err(RefundRejection::NotSucceeded);
        };
        if request.currency != "IDR" {
            return Err(RefundRejection::WrongCurrency);
        }
        let whole = request.amount.get().is_multiple_of(100) && request.amount > Sen::ZERO;
        if !whole {
            return Err(RefundRejection::NotWhole);
        }
        let too_much = RefundRejection::TooMuch(self.refundable());
        if request.amount > self.refundable() {
            return Err(too_much);
        }
        if now.whole_seconds() > last_second(succeeded_at, request.terms.window) {
            return Err(RefundRejection::TooLate);
        }
        let amount = Rupiah::from_sen(request.amount).map_err(|_| too_much)?;
        let reserved = self.refund_reserved.checked_add(request.amount).ok_or(too_much)?;
        Ok((self.with_refund_reserved(reserved), amount))
    }

    /// What went back without us and is not recorded yet, with the payment that counts it as gone:
    /// no REFUND may take it again. `known` are the refunds of the payment; `ids` are drawn for those
    /// that are new, and there must be one for each in the list and one more.
    #[must_use]
    pub fn refunded_elsewhere(
        &self,
        known: &[Refund],
        seen: &SeenBack,
        ids: &[RefundId],
        now: Timestamp,
    ) -> (Self, Vec<Refund>) {
        let is_chargeback = |refund: &Refund| {
            refund.made_elsewhere.as_ref().is_some_and(|made| made.how == Elsewhere::Chargeback)
        };
        // A refund has a key, whoever makes it; the entry of a chargeback has none.
        let how = |entry: &SeenRefund| {
            let chargeback = seen.charged_back.is_some() && entry.key.is_none();
            if chargeback { Elsewhere::Chargeback } else { Elsewhere::Dashboard }
        };
        let mut next = self.clone();
        let mut found = Vec::new();
        let mut ids = ids.iter();
        for entry in &seen.refunds {
            let there = known.iter().chain(&found);
            let is_known = there.into_iter().any(|refund| refund.is(entry))
                || entry.key == Some(self.tx_id.to_string());
            if is_known {
                continue;
            }
            let Some(id) = ids.next() else { break };
            let made = MadeElsewhere { how: how(entry), key: entry.key.clone() };
            found.push(self.found(*id, Some(entry.amount), made, entry.midtrans.clone(), now));
            next = next.gone(entry.amount);
        }
        let beyond = |total: Rupiah| {
            let back = known.iter().chain(&found).filter(|refund| !refund.has_failed());
            let mut amounts = back.filter_map(|refund| refund.amount);
            let listed = amounts.try_fold(Sen::ZERO, |sum, amount| sum.checked_add(amount.sen()));
            Rupiah::from_sen(total.sen().checked_sub(listed?)?).ok()
        };
        // A fee on top of the payment is not the payment's, and what was paid bounds what goes back.
        let total = seen.total.map(|total| self.amount.map_or(total, |amount| total.min(amount)));
        let unlisted = total.and_then(beyond);
        let new = match seen.charged_back {
            None => unlisted.map(|amount| (Elsewhere::Dashboard, Some(amount))),
            Some(ChargedBack::Whole) => {
                let rest = self.amount.and_then(beyond);
                rest.map(|amount| (Elsewhere::Chargeback, Some(amount)))
            }
            Some(ChargedBack::Part) => {
                // The sum may be that of the refunds alone: then nobody knows how much this one is.
                let untold = !known.iter().chain(&found).any(is_chargeback);
                (untold || unlisted.is_some()).then_some((Elsewhere::Chargeback, unlisted))
            }
        };
        if let (Some((how, amount)), Some(id)) = (new, ids.next()) {
            let made = MadeElsewhere { how, key: None };
            found.push(self.found(*id, amount, made, MidtransRefund::default(), now));
            // If nobody knows how much, none of the rest may go back a second time.
            next = next.gone_at_most(amount);
        }
        (next, found)
    }

    /// As [`Self::gone`], but no more than is left; all of it if the amount is not known.
    fn gone_at_most(&self, amount: Option<Rupiah>) -> Self {
        let left = Rupiah::from_sen(self.refundable()).ok();
        match (amount, left) {
            (_, None) => self.clone(),
            (Some(amount), Some(left)) => self.gone(amount.min(left)),
            (None, Some(left)) => self.gone(left),
        }
    }

    fn gone(&self, amount: Rupiah) -> Self {
        let reserved = self.refund_reserved.checked_add(amount.sen());
        self.with_refund_reserved(reserved.unwrap_or(self.refund_reserved))
    }

    fn found(
        &self,
        refund_id: RefundId,
        amount: Option<Rupiah>,
        made: MadeElsewhere,
        midtrans: MidtransRefund,
        now: Timestamp,
    ) -> Refund {
        Refund {
            refund_id,
            tx_id: self.tx_id,
            psp: self.psp.clone(),
            contract: self.contract.clone(),
            merchant_refund_id: None,
            amount,
            descriptor: None,
            state: RefundState::Succeeded,
            created_at: now,
            resolved_at: Some(now),
            next_check_at: None,
            checks: 0,
            midtrans,
            made_elsewhere: Some(made),
        }
    }

    /// Gives a reservation back after its refund failed.
    #[must_use]
    pub fn release_refund(&self, amount: Rupiah) -> Self {
        self.with_refund_reserved(
            self.refund_reserved.checked_sub(amount.sen()).unwrap_or(Sen::ZERO),
        )
    }
}

impl Refund {
    /// Whether no money went back, and none will.
    const fn has_failed(&self) -> bool {
        matches!(self.state, RefundState::Failed(_))
    }

    /// Whether an entry of Midtrans' list is this refund: by Midtrans' number or by the key; one
    /// without both by amount and time.
    fn is(&self, entry: &SeenRefund) -> bool {
        if self.midtrans.id.is_some() && self.midtrans.id == entry.midtrans.id {
            return true;
        }
        let Some(made) = &self.made_elsewhere else {
            return entry.key == Some(self.refund_id.to_string());
        };
        let alike =
            |ours: Option<&String>, theirs: Option<&String>| ours.is_none() || theirs.is_none();
        match (&made.key, &entry.key) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => {
                alike(self.midtrans.id.as_ref(), entry.midtrans.id.as_ref())
                    && self.amount == Some(entry.amount)
                    && self.midtrans.at == entry.midtrans.at
            }
        }
    }

    /// Marks one look by a worker and sets when to look again: soon at first, then ever more
    /// seldom, but never not at all, because money hangs on it.
    #[must_use]
    pub fn checked(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        let wait = CHECK_FIRST.saturating_mul(2_u32.saturating_pow(self.checks.min(16)));
        next.checks = self.checks.saturating_add(1);
        next.next_check_at = Some(now.after(wait.min(CHECK_MAX)));
        next
    }

    /// The refund after a clear answer; none if that changes nothing: a refund is resolved once,
    /// and a refusal must be about everything that was sent, see [`RefundOutcome::Refused`]. Of a
    /// refund that was made Midtrans may say more later, such as that the money is back.
    #[must_use]
    pub fn resolve(&self, outcome: RefundOutcome, now: Timestamp) -> Option<Self> {
        let mut next = self.clone();
        match (&self.state, outcome) {
            (RefundState::Unresolved, RefundOutcome::Made(said)) => {
                next.state = RefundState::Succeeded;
                next.midtrans = said;
            }
            (RefundState::Unresolved, RefundOutcome::Refused { failure, checks })
                if checks == self.checks =>
            {
                next.state = RefundState::Failed(failure);
            }
            (RefundState::Succeeded, RefundOutcome::Made(said)) => {
                next.midtrans = self.midtrans.and(&said);
                return (next != *self).then_some(next);
            }
            (RefundState::Unresolved | RefundState::Succeeded, RefundOutcome::Refused { .. })
            | (RefundState::Failed(_), _) => return None,
        }
        next.resolved_at = Some(now);
        next.next_check_at = None;
        Some(next)
    }
}

/// What came of sending a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The money goes back.
    Made(MidtransRefund),
    /// It does not, and nothing that was sent can still change that.
    Refused {
        /// Why.
        failure: Failure,
        /// [`Refund::checks`] as the sender knew it. If it has grown, a worker has taken the refund
        /// over, because this sender was slow or their clocks differ; it may have sent the refund
        /// as well, and only its own word counts.
        checks: u32,
    },
}

/// The call that made the refund works on it for at most 30 s; a worker looks after that.
const CHECK_FIRST: Duration = Duration::from_secs(40);
const CHECK_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::tests::{initialized, paid};

    fn seen(key: Option<&str>, rupiah: u64, id: Option<&str>) -> SeenRefund {
        SeenRefund {
            key: key.map(str::to_owned),
            amount: Rupiah::new(rupiah).unwrap(),
            midtrans: MidtransRefund { id: id.map(str::to_owned), ..MidtransRefund::default() },
        }
    }

    fn ids() -> Vec<RefundId> {
        (900..905).map(|number| RefundId::new(number).unwrap()).collect()
    }

    #[test]
    fn what_went_back_without_us_is_found_once_and_counts_as_gone() {
        let payment = succeeded();
        let now = payment.created_at;
        let request = request("TESTCONTRACT", "IDR", 300_000);
        let (payment, amount) = payment.reserve_refund(&request, now).unwrap();
        let ours = request.admitted(amount, now);
        let own = seen(Some("7"), 3_000, Some("m-7"));
        assert_eq!(ours.refund_id.to_string(), "7");
        let back =
            |refunds: &[SeenRefund]| SeenBack { refunds: refunds.to_vec(), ..SeenBack::default() };
        for (entries, gone) in [
            (vec![own.clone()], vec![]),
            (vec![own.clone(), seen(Some("d"), 2_000, Some("8"))], vec![2_000]),
            (vec![seen(None, 2_000, Some("8")), seen(None, 2_000, Some("9"))], vec![2_000, 2_000]),
            (vec![seen(Some(&payment.tx_id.to_string()), 2_000, None)], vec![]),
            (vec![seen(Some("d"), 8_000, None)], vec![8_000]),
        ] {
            let (next, found) = payment.refunded_elsewhere(
                std::slice::from_ref(&ours),
                &back(&entries),
                &ids(),
                now,
            );
            let amounts: Vec<_> =
                found.iter().map(|refund| refund.amount.map_or(0, Rupiah::get)).collect();
            assert_eq!(amounts, gone, "{entries:?}");
            let sum: u64 = gone.iter().sum();
            let left = 1_000_000_u64.saturating_sub(300_000 + sum * 100);
            assert_eq!(next.refundable(), Sen::new(left), "{entries:?}");
            let known: Vec<_> = std::iter::once(ours.clone()).chain(found).collect();
            let (same, again) = next.refunded_elsewhere(&known, &back(&entries), &ids(), now);
            assert_eq!((same, again), (next, vec![]), "told twice");
        }
    }

    #[test]
    fn a_chargeback_takes_what_is_left_or_nobody_knows_how_much() {
        let payment = succeeded();
        let now = payment.created_at;
        let part = SeenBack { charged_back: Some(ChargedBack::Part), ..SeenBack::default() };
        let whole = SeenBack { charged_back: Some(ChargedBack::Whole), ..SeenBack::default() };
        let (after, found) = payment.refunded_elsewhere(&[], &part, &ids(), now);
        assert_eq!(
            (found.len(), found[0].amount, after.refundable()),
            (1, None, Sen::ZERO),
            "none of the rest may go back a second time"
        );
        assert_eq!(after.refunded_elsewhere(&found, &part, &ids(), now).1, []);
        let (gone, rest) = after.refunded_elsewhere(&found, &whole, &ids(), now);
        assert_eq!((rest[0].amount, gone.refundable()), (payment.amount, Sen::ZERO));
        assert_eq!(gone.refunded_elsewhere(&rest, &whole, &ids(), now).1, []);
        let late = gone.reserve_refund(&request("TESTCONTRACT", "IDR", 100), now);
        assert_eq!(late, Err(RefundRejection::TooMuch(Sen::ZERO)));
    }

    #[test]
    fn the_sum_tells_what_the_list_leaves_out() {
        let payment = succeeded();
        let now = payment.created_at;
        let rupiah = |amount| Rupiah::new(amount).unwrap();
        let entry = SeenRefund {
            key: Some("d".to_owned()),
            amount: rupiah(4_000),
            midtrans: MidtransRefund::default(),
        };
        let back = |refunds: &[SeenRefund], total: u64, charged_back| SeenBack {
            refunds: refunds.to_vec(),
            total: Some(rupiah(total)),
            charged_back,
        };
        let part = Some(ChargedBack::Part);
        for (seen, amounts) in [
            (back(&[], 4_000, None), vec![4_000]),
            (back(&[], 10_000, None), vec![10_000]),
            (back(&[], 10_071, None), vec![10_000]),
            (back(std::slice::from_ref(&entry), 10_071, None), vec![4_000, 6_000]),
            (back(std::slice::from_ref(&entry), 4_000, None), vec![4_000]),
            (back(std::slice::from_ref(&entry), 9_000, None), vec![4_000, 5_000]),
            (back(&[], 4_000, part), vec![4_000]),
            (back(std::slice::from_ref(&entry), 9_000, part), vec![4_000, 5_000]),
        ] {
            let (next, found) = payment.refunded_elsewhere(&[], &seen, &ids(), now);
            let back: Vec<_> = found.iter().filter_map(|one| one.amount).map(Rupiah::get).collect();
            assert_eq!(back, amounts, "{seen:?}");
            let gone: u64 = amounts.iter().sum();
            assert_eq!(next.refundable(), Sen::new(1_000_000 - gone * 100), "{seen:?}");
            let (same, again) = next.refunded_elsewhere(&found, &seen, &ids(), now);
            assert_eq!((same, again), (next, vec![]), "told twice: {seen:?}");
        }
    }

    #[test]
    fn a_partial_chargeback_that_no_sum_tells_of_leaves_nothing_to_refund() {
        let payment = succeeded();
        let now = payment.created_at;
        let rupiah = |amount| Rupiah::new(amount).unwrap();
        let entry = |key: Option<&str>, amount| SeenRefund {
            key: key.map(str::to_owned),
            amount: rupiah(amount),
            midtrans: MidtransRefund::default(),
        };
        let dashboard = || entry(Some("d"), 3_000);
        let before =
            SeenBack { refunds: vec![dashboard()], total: Some(rupiah(3_000)), charged_back: None };
        let (payment, known) = payment.refunded_elsewhere(&[], &before, &ids(), now);
        assert_eq!(payment.refundable(), Sen::new(700_000));
        let seen = |refunds: Vec<SeenRefund>, total: Option<u64>| SeenBack {
            refunds,
            total: total.map(rupiah),
            charged_back: Some(ChargedBack::Part),
        };
        // What is seen; what is new; what is left.
        for (seen, new, left) in [
            (seen(vec![dashboard()], Some(3_000)), vec![None], 0),
            (seen(vec![dashboard()], None), vec![None], 0),
            (seen(vec![dashboard()], Some(4_000)), vec![Some(1_000)], 600_000),
            (seen(vec![dashboard(), entry(None, 1_000)], Some(4_000)), vec![Some(1_000)], 600_000),
            (seen(vec![dashboard(), entry(None, 1_000)], None), vec![Some(1_000)], 600_000),
            (
                seen(vec![dashboard(), entry(Some("e"), 1_000)], Some(4_000)),
                vec![Some(1_000), None],
                0,
            ),
        ] {
            let (next, found) = payment.refunded_elsewhere(&known, &seen, &ids(), now);
            let amounts: Vec<_> = found.iter().map(|one| one.amount.map(Rupiah::get)).collect();
            assert_eq!(amounts, new, "{seen:?}");
            assert_eq!(next.refundable(), Sen::new(left), "{seen:?}");
            let last = found.last().and_then(|one| one.made_elsewhere.as_ref());
            assert!(last.is_some_and(|made| made.how == Elsewhere::Chargeback), "{seen:?}");
            let all = [known.clone(), found].concat();
            let (same, again) = next.refunded_elsewhere(&all, &seen, &ids(), now);
            assert_eq!((same, again), (next, vec![]), "told twice: {seen:?}");
        }
    }

    const TERMS: RefundTerms = RefundTerms { allowed: true, window: REFUND_WINDOW_MAX };

    fn succeeded() -> Payment {
        let start = initialized();
        start.on(&paid(), start.created_at).payment
    }

    fn request(contract: &str, currency: &str, sen: u64) -> RefundRequest {
        RefundRequest {
            refund_id: RefundId::new(7).unwrap(),
            tx_id: initialized().tx_id,
            psp: "testclient".into(),
            contract: contract.into(),
            merchant_refund_id: Some("r-7".into()),
            currency: currency.into(),
            amount: Sen::new(sen),
            descriptor: None,
            terms: TERMS,
        }
    }

    #[test]
    fn refunds_are_admitted_in_order_of_precedence() {
        use RefundRejection as R;
        let paid = succeeded();
        let day = Duration::from_secs(24 * 3600);
        let second = Duration::from_secs(1);
        let day30 = REFUND_WINDOW_MAX;
        #[rustfmt::skip]
        let rows = [
            ("TESTCONTRACT", "IDR", 1_000_000, day, Ok(10_000)),
            ("TESTCONTRACT", "IDR", 100, day, Ok(1)),
            ("TESTCONTRACT", "IDR", 1_000_100, day, Err(R::TooMuch(Sen::new(1_000_000)))),
            ("TESTCONTRACT", "IDR", 150, day, Err(R::NotWhole)),
            ("TESTCONTRACT", "IDR", 0, day, Err(R::NotWhole)),
            ("TESTCONTRACT", "USD", 100, day, Err(R::WrongCurrency)),
            ("OTHER", "USD", 0, day, Err(R::ForeignContract)),
            ("TESTCONTRACT", "IDR", 100, day30, Ok(1)),
            ("TESTCONTRACT", "IDR", 100, day30 + second, Err(R::TooLate)),
            ("TESTCONTRACT", "IDR", u64::MAX, day, Err(R::NotWhole)),
        ];
        for (contract, currency, sen, later, expected) in rows {
            let request = request(contract, currency, sen);
            let got = paid.reserve_refund(&request, paid.created_at.after(later));
            assert_eq!(
                got.map(|(_, amount)| amount.get()),
                expected,
                "{request:?} after {later:?}"
            );
        }
        let small = request("TESTCONTRACT", "IDR", 100);
        let start = initialized();
        assert_eq!(start.reserve_refund(&small, start.created_at), Err(R::NotSucceeded));
        let none = RefundTerms { allowed: false, ..TERMS };
        let unwanted = RefundRequest { terms: none, ..small.clone() };
        assert_eq!(paid.reserve_refund(&unwanted, start.created_at), Err(R::NotAllowed));
        let late = start.created_at.after(day + second);
        let small = RefundRequest { terms: RefundTerms { window: day, ..TERMS }, ..small };
        assert_eq!(paid.reserve_refund(&small, late), Err(R::TooLate));
    }

    #[test]
    fn a_refund_is_resolved_once() {
        let start = initialized();
        let refund = Refund {
            refund_id: RefundId::new(7).unwrap(),
            tx_id: start.tx_id,
            psp: start.psp.clone(),
            contract: start.contract.clone(),
            merchant_refund_id: None,
            amount: Rupiah::new(10).ok(),
            descriptor: None,
            state: RefundState::Unresolved,
            created_at: start.created_at,
            resolved_at: None,
            next_check_at: None,
            checks: 0,
            midtrans: MidtransRefund::default(),
            made_elsewhere: None,
        };
        let now = start.created_at;
        let made = || RefundOutcome::Made(MidtransRefund::default());
        let no = |checks| {
            let failure = Failure::new(FailReason::Unknown, "no");
            RefundOutcome::Refused { failure, checks }
        };
        let done = refund.resolve(made(), now).unwrap();
        assert_eq!(done.state, RefundState::Succeeded);
        assert_eq!(done.resolve(no(0), now), None);
        assert_eq!(done.resolve(made(), now), None);
        let failed = refund.resolve(no(0), now).unwrap();
        assert!(matches!(failed.state, RefundState::Failed(_)));
        assert_eq!(failed.resolve(made(), now), None);
        // Somebody else has taken it over.
        let taken = refund.checked(now);
        assert_eq!(taken.resolve(no(0), now), None);
        assert!(taken.resolve(no(1), now).is_some());
        assert!(taken.resolve(made(), now).is_some());
        assert_eq!(refund.checked(now).checked(now).checks, 2);
        assert!(refund.checked(now).next_check_at > Some(now));
    }

    #[test]
    fn what_midtrans_says_of_a_refund_is_kept_when_it_is_first_said() {
        let now = initialized().created_at;
        let later = now.after(Duration::from_secs(60));
        let open = request("TESTCONTRACT", "IDR", 100).admitted(Rupiah::new(1).unwrap(), now);
        let said = |id: Option<&str>, at, funds_confirmed_at| {
            RefundOutcome::Made(MidtransRefund {
                id: id.map(str::to_owned),
                at,
                funds_confirmed_at,
            })
        };
        let made = open.resolve(said(Some("7"), None, None), now).unwrap();
        assert_eq!(made.midtrans.id.as_deref(), Some("7"));
        let confirmed = made.resolve(said(Some("8"), Some(now), Some(later)), later).unwrap();
        let expected =
            MidtransRefund { id: Some("7".into()), at: Some(now), funds_confirmed_at: Some(later) };
        assert_eq!(confirmed.midtrans, expected);
        assert_eq!((&confirmed.state, confirmed.resolved_at), (&made.state, Some(now)));
        assert_eq!(confirmed.resolve(said(None, Some(later), Some(now)), later), None);
    }

    proptest::proptest! {
        /// Whatever is asked for, in any order, reservations never exceed the payment.
        #[test]
        fn reservations_never_exceed_the_payment(asks in proptest::collection::vec((0..2_000_000_u64, proptest::bool::ANY), 0..60)) {
            let mut payment = succeeded();
            let now = payment.created_at;
            let mut open = Vec::new();
            for (sen, give_back) in asks {
                let request = request("TESTCONTRACT", "IDR", sen / 100 * 100);
                if let Ok((next, amount)) = payment.reserve_refund(&request, now) {
                    payment = next;
                    open.push(amount);
                }
                if let Some(amount) = open.pop_if(|_| give_back) {
                    payment = payment.release_refund(amount);
                }
                let sum: u64 = open.iter().map(|amount| amount.sen().get()).sum();
                proptest::prop_assert_eq!(payment.refund_reserved.get(), sum);
                proptest::prop_assert!(sum <= 1_000_000);
            }
        }
    }
}
