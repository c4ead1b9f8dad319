//! The journal: what happened to money, one entry for each event, in order.
//!
//! Pure: the functions here say which entries a step writes, an engine writes them in the same
//! commit as the state (`gopay_store`, `Journal`). Entries are never changed. What never changes
//! about a payment or a refund (its references, PSP, contract, channel) is not repeated in them.
//!
//! Source: `docs/ARCHITECTURE.md`, "The journal".

use crate::ids::{RefundId, TxId};
use crate::money::{Rupiah, Sen};
use crate::payment::{FailReason, PaidAtSource, Payment, PaymentState};
use crate::refund::{Elsewhere, Refund, RefundState};
use crate::time::Timestamp;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// GoPay opened the charge: the shopper can pay.
    Opened,
    /// The money came in.
    Succeeded,
    /// The money came in after the payment had failed, and the PSP had been told so.
    SucceededLate,
    /// The payment is over without money; also a call that was refused at once.
    Failed,
    /// A refund was admitted and its amount reserved.
    RefundRequested,
    /// Midtrans accepted a refund.
    RefundSucceeded,
    /// A refund gave its reservation back; also a call for one that was refused at once.
    RefundFailed,
    /// The provider confirmed that the money of a refund is back.
    RefundFundsConfirmed,
    /// Midtrans tells of a refund that nobody asked us for: made in its dashboard.
    RefundedElsewhere,
    /// The shopper's side took money back; without an amount if Midtrans does not say how much.
    ChargedBack,
    /// A correction by a person. No step of a payment or refund writes it.
    Adjustment,
}

impl Kind {
    /// Every value, in order of declaration.
    pub const ALL: &'static [Self] = &[
        Self::Opened,
        Self::Succeeded,
        Self::SucceededLate,
        Self::Failed,
        Self::RefundRequested,
        Self::RefundSucceeded,
        Self::RefundFailed,
        Self::RefundFundsConfirmed,
        Self::RefundedElsewhere,
        Self::ChargedBack,
        Self::Adjustment,
    ];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Succeeded => "succeeded",
            Self::SucceededLate => "succeeded_late",
            Self::Failed => "failed",
            Self::RefundRequested => "refund_requested",
            Self::RefundSucceeded => "refund_succeeded",
            Self::RefundFailed => "refund_failed",
            Self::RefundFundsConfirmed => "refund_funds_confirmed",
            Self::RefundedElsewhere => "refunded_elsewhere",
            Self::ChargedBack => "charged_back",
            Self::Adjustment => "adjustment",
        }
    }

    /// The value of a stable word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// An amount of an entry, in sen: below zero only in an adjustment that takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedSen(i64);

impl SignedSen {
    /// From a number of sen.
    #[must_use]
    pub const fn new(sen: i64) -> Self {
        Self(sen)
    }

    /// The number of sen.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl From<Rupiah> for SignedSen {
    fn from(amount: Rupiah) -> Self {
        // 2,000,000,000 sen at most, by `Rupiah::MAX`.
        Self(i64::try_from(amount.sen().get()).unwrap_or(i64::MAX))
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was recorded, by our clock.
    pub at: Timestamp,
    /// What happened.
    pub kind: Kind,
    /// The payment; for a refund that was refused at once, the payment that the call named.
    pub tx_id: TxId,
    /// The refund, if it is about one.
    pub refund_id: Option<RefundId>,
    /// How much it is about: the payment's amount, or the refund's. None only for calls that were
    /// refused because of it.
    pub amount: Option<SignedSen>,
    /// Why it failed, if it did.
    pub reason: Option<FailReason>,
    /// What Midtrans calls it: the `transaction_id` of a payment, the number of a refund.
    pub midtrans_id: Option<String>,
    /// When it happened by Midtrans' clock, if it said so.
    pub midtrans_at: Option<Timestamp>,
    /// Midtrans' `payment_type` of the money.
    pub payment_type: Option<String>,
    /// Midtrans' `payment_option_type` of the money.
    pub payment_option: Option<String>,
}

impl Entry {
    /// The sequence that it belongs to: its payment's.
    #[must_use]
    pub fn shard(&self) -> u16 {
        self.tx_id.shard()
    }

    fn of_payment(kind: Kind, payment: &Payment, at: Timestamp) -> Self {
        Self {
            at,
            kind,
            tx_id: payment.tx_id,
            refund_id: None,
            amount: payment.amount.map(SignedSen::from),
            reason: payment.state.failure().map(|failure| failure.reason),
            midtrans_id: payment.midtrans_tx_id.clone(),
            midtrans_at: None,
            payment_type: payment.payment_type.clone(),
            payment_option: payment.payment_option.clone(),
        }
    }

    fn of_refund(kind: Kind, refund: &Refund, at: Timestamp) -> Self {
        let reason = match &refund.state {
            RefundState::Failed(failure) => Some(failure.reason),
            RefundState::Unresolved | RefundState::Succeeded => None,
        };
        Self {
            at,
            kind,
            tx_id: refund.tx_id,
            refund_id: Some(refund.refund_id),
            amount: refund.amount.map(SignedSen::from),
            reason,
            midtrans_id: refund.midtrans.id.clone(),
            midtrans_at: None,
            payment_type: None,
            payment_option: None,
        }
    }
}

/// What a new payment writes: an entry only if its call was refused at once.
#[must_use]
pub fn payment_created(payment: &Payment) -> Option<Entry> {
    let failed = matches!(payment.state, PaymentState::Failed(_));
    failed.then(|| Entry::of_payment(Kind::Failed, payment, payment.created_at))
}

/// What a step writes that brought a payment from `before` to where it is `after`.
#[must_use]
pub fn payment_moved(before: &PaymentState, after: &Payment, now: Timestamp) -> Option<Entry> {
    use PaymentState as S;
    let kind = match (before, &after.state) {
        (S::Initialized, S::Pending) => Kind::Opened,
        (S::Initialized | S::Pending, S::Succeeded) => Kind::Succeeded,
        (S::Failed(_), S::Succeeded) => Kind::SucceededLate,
        (S::Initialized | S::Pending, S::Failed(_)) => Kind::Failed,
        (S::Initialized, S::Initialized)
        | (S::Pending, S::Initialized | S::Pending)
        | (S::Succeeded, _)
        | (S::Failed(_), S::Initialized | S::Pending | S::Failed(_)) => return None,
    };
    let by_midtrans = after.paid_at_source == Some(PaidAtSource::Midtrans);
    let midtrans_at = after.paid_at.filter(|_| by_midtrans);
    Some(Entry { midtrans_at, ..Entry::of_payment(kind, after, now) })
}

/// What a new refund writes, admitted or refused.
#[must_use]
pub fn refund_created(refund: &Refund, now: Timestamp) -> Entry {
    let kind = match refund.state {
        RefundState::Unresolved | RefundState::Succeeded => Kind::RefundRequested,
        RefundState::Failed(_) => Kind::RefundFailed,
    };
    Entry::of_refund(kind, refund, now)
}

/// What a refund writes that was found, and that nobody asked us for.
#[must_use]
pub fn refund_found(refund: &Refund, now: Timestamp) -> Option<Entry> {
    let kind = match refund.made_elsewhere.as_ref()?.how {
        Elsewhere::Dashboard => Kind::RefundedElsewhere,
        Elsewhere::Chargeback => Kind::ChargedBack,
    };
    let entry = Entry::of_refund(kind, refund, now);
    Some(Entry { midtrans_at: refund.midtrans.at, ..entry })
}

/// What a step writes that brought a refund from `before` to `after`.
#[must_use]
pub fn refund_moved(before: &Refund, after: &Refund, now: Timestamp) -> Vec<Entry> {
    let mut entries = Vec::new();
    if before.state == RefundState::Unresolved {
        match after.state {
            RefundState::Unresolved => {}
            RefundState::Succeeded => {
                let entry = Entry::of_refund(Kind::RefundSucceeded, after, now);
                entries.push(Entry { midtrans_at: after.midtrans.at, ..entry });
            }
            RefundState::Failed(_) => {
                entries.push(Entry::of_refund(Kind::RefundFailed, after, now));
            }
        }
    }
    let confirmed = after.midtrans.funds_confirmed_at;
    if before.midtrans.funds_confirmed_at.is_none() && confirmed.is_some() {
        let entry = Entry::of_refund(Kind::RefundFundsConfirmed, after, now);
        entries.push(Entry { midtrans_at: confirmed, ..entry });
    }
    entries
}

/// What the entries of one payment and its refunds add up to. Whoever reads the journal alone
/// knows as much of its money as the payment and its refunds say themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Money that came in.
    pub succeeded: Sen,
    /// Refunds that were admitted and have not failed.
    pub reserved: Sen,
    /// Refunds that Midtrans accepted.
    pub refunded: Sen,
    /// Of these, those whose money is back.
    pub confirmed: Sen,
}

impl Sums {
    /// The sums of entries in their order. A refund's failure counts only if it was requested.
    #[must_use]
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut sums = Self::default();
        let mut open = std::collections::BTreeSet::new();
        for entry in entries {
            let sen = entry.amount.map_or(0, SignedSen::get);
            let amount = Sen::new(u64::try_from(sen).unwrap_or(0));
            let add = |sum: Sen| sum.checked_add(amount).unwrap_or(sum);
            match entry.kind {
                Kind::Opened | Kind::Failed | Kind::Adjustment => {}
                Kind::Succeeded | Kind::SucceededLate => sums.succeeded = add(sums.succeeded),
                Kind::RefundRequested => {
                    open.insert(entry.refund_id);
                    sums.reserved = add(sums.reserved);
                }
                Kind::RefundFailed => {
                    if open.remove(&entry.refund_id) {
                        sums.reserved = sums.reserved.checked_sub(amount).unwrap_or(Sen::ZERO);
                    }
                }
                Kind::RefundedElsewhere | Kind::ChargedBack => {
                    sums.reserved = add(sums.reserved);
                    sums.refunded = add(sums.refunded);
                }
                Kind::RefundSucceeded => sums.refunded = add(sums.refunded),
                Kind::RefundFundsConfirmed => sums.confirmed = add(sums.confirmed),
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::payment::tests::{created, initialized, paid};
    use crate::payment::{Closure, Event, Failure};
    use crate::refund::{
        MidtransRefund, REFUND_WINDOW_MAX, RefundOutcome, RefundRequest, RefundTerms,
    };

    fn no() -> Failure {
        Failure::new(FailReason::RemoteDecline, "no")
    }

    fn on(payment: &Payment, event: &Event) -> (Payment, Option<Entry>) {
        let now = payment.created_at.after(Duration::from_secs(7));
        let step = payment.on(event, now);
        let entry = payment_moved(&payment.state, &step.payment, now);
        (step.payment, entry)
    }

    #[test]
    fn a_payment_writes_an_entry_when_its_money_moves_and_at_no_other_time() {
        use FailReason::{RemoteDecline, RemoteError, Timeout};
        let start = initialized();
        let (pending, _) = on(&start, &created());
        let (failed, _) = on(&pending, &Event::Closed(Closure::Expired));
        let (succeeded, _) = on(&pending, &paid());
        let expired = Event::Closed(Closure::Expired);
        let still_open = Event::StillOpen { midtrans_tx_id: "m-2".into() };
        for (before, event, kind, reason) in [
            (&start, created(), Some(Kind::Opened), None),
            (&start, paid(), Some(Kind::Succeeded), None),
            (&start, Event::ChargeRefused(no()), Some(Kind::Failed), Some(RemoteDecline)),
            (&start, Event::ChargeOutcomeUnknown(no()), Some(Kind::Failed), Some(RemoteDecline)),
            (&start, expired.clone(), Some(Kind::Failed), Some(RemoteError)),
            (&start, Event::NoAnswer, None, None),
            (&pending, paid(), Some(Kind::Succeeded), None),
            (&pending, expired.clone(), Some(Kind::Failed), Some(Timeout)),
            (&pending, Event::GaveUp, Some(Kind::Failed), Some(Timeout)),
            (&pending, Event::CancelRequested, None, None),
            (&pending, created(), None, None),
            (&pending, still_open.clone(), None, None),
            (&failed, paid(), Some(Kind::SucceededLate), None),
            (&failed, expired.clone(), None, None),
            (&failed, still_open, None, None),
            (&succeeded, paid(), None, None),
            (&succeeded, expired, None, None),
        ] {
            let (_, entry) = on(before, &event);
            let told = entry.as_ref().map(|entry| (entry.kind, entry.reason));
            let case = format!("{event:?} on {:?}", before.state);
            assert_eq!(told, kind.map(|kind| (kind, reason)), "{case}");
            if let Some(entry) = entry {
                assert_eq!(entry.amount, Some(SignedSen::new(1_000_000)), "{case}");
                assert_eq!(entry.shard(), before.tx_id.shard());
            }
        }
    }

    #[test]
    fn an_entry_says_what_midtrans_called_the_money_and_when_it_came() {
        let (pending, _) = on(&initialized(), &created());
        let now = pending.created_at.after(Duration::from_secs(7));
        let paid_at_midtrans = pending.created_at.after(Duration::from_secs(5));
        for (paid_at, midtrans_at) in
            [(None, None), (Some(paid_at_midtrans), Some(paid_at_midtrans))]
        {
            let event = Event::Paid {
                midtrans_tx_id: "m-9".into(),
                paid_at,
                payment_type: Some("qris".into()),
                payment_option: Some("PAY_LATER".into()),
            };
            let (after, entry) = on(&pending, &event);
            let expected = Entry {
                at: now,
                kind: Kind::Succeeded,
                tx_id: pending.tx_id,
                refund_id: None,
                amount: Some(SignedSen::new(1_000_000)),
                reason: None,
                midtrans_id: Some("m-9".into()),
                midtrans_at,
                payment_type: Some("qris".into()),
                payment_option: Some("PAY_LATER".into()),
            };
            assert_eq!(entry, Some(expected));
            assert_eq!(after.paid_at, Some(paid_at.unwrap_or(now)));
        }
    }

    fn request(number: i64, sen: u64) -> RefundRequest {
        RefundRequest {
            refund_id: RefundId::new(number).unwrap(),
            tx_id: initialized().tx_id,
            psp: "testclient".into(),
            contract: "TESTCONTRACT".into(),
            merchant_refund_id: None,
            currency: "IDR".into(),
            amount: Sen::new(sen),
            descriptor: None,
            terms: RefundTerms { allowed: true, window: REFUND_WINDOW_MAX },
        }
    }

    #[test]
    fn a_refund_writes_an_entry_for_each_of_its_steps() {
        let now = initialized().created_at;
        let later = now.after(Duration::from_secs(9));
        let open = request(7, 500).admitted(Rupiah::new(5).unwrap(), now);
        let created = refund_created(&open, now);
        assert_eq!((created.kind, created.amount), (Kind::RefundRequested, Some(SignedSen(500))));
        let refused = refund_created(
            &request(8, 150).refused(crate::refund::RefundRejection::NotWhole, now),
            now,
        );
        assert_eq!((refused.kind, refused.amount), (Kind::RefundFailed, None));
        assert_eq!(refused.reason, Some(FailReason::InputData));

        let said = |at, funds_confirmed_at| {
            RefundOutcome::Made(MidtransRefund { id: Some("71".into()), at, funds_confirmed_at })
        };
        let failed = RefundOutcome::Refused { failure: no(), checks: 0 };
        for (outcome, expected) in [
            (said(None, None), vec![(Kind::RefundSucceeded, None)]),
            (
                said(Some(now), Some(later)),
                vec![(Kind::RefundSucceeded, Some(now)), (Kind::RefundFundsConfirmed, Some(later))],
            ),
            (failed, vec![(Kind::RefundFailed, None)]),
        ] {
            let after = open.resolve(outcome, later).unwrap();
            let entries = refund_moved(&open, &after, later);
            let told: Vec<_> =
                entries.iter().map(|entry| (entry.kind, entry.midtrans_at)).collect();
            assert_eq!(told, expected);
            assert_eq!(refund_moved(&after, &after, later), []);
        }
        let made = open.resolve(said(None, None), now).unwrap();
        let confirmed = made.resolve(said(Some(now), Some(later)), later).unwrap();
        let entries = refund_moved(&made, &confirmed, later);
        let [entry] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!((entry.kind, entry.midtrans_at), (Kind::RefundFundsConfirmed, Some(later)));
        assert_eq!(entry.midtrans_id.as_deref(), Some("71"));
    }

    #[test]
    fn words_of_kinds_are_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.as_str()), Some(*kind));
        }
        assert_eq!(Kind::from_word("settled"), None);
    }

    /// What the payment and its refunds say of their money.
    fn books(payment: &Payment, refunds: &[Refund]) -> Sums {
        let sum = |fits: &dyn Fn(&&Refund) -> bool| {
            let amounts = refunds.iter().filter(fits).filter_map(|refund| refund.amount);
            Sen::new(amounts.map(|amount| amount.sen().get()).sum())
        };
        let came = payment.amount.filter(|_| payment.state == PaymentState::Succeeded);
        let made = |refund: &&Refund| refund.state == RefundState::Succeeded;
        Sums {
            succeeded: came.map_or(Sen::ZERO, Rupiah::sen),
            reserved: payment.refund_reserved,
            refunded: sum(&made),
            confirmed: sum(&|refund| made(refund) && refund.midtrans.funds_confirmed_at.is_some()),
        }
    }

    fn events() -> impl proptest::strategy::Strategy<Value = Event> {
        proptest::sample::select(vec![
            created(),
            paid(),
            paid(),
            Event::Closed(Closure::Expired),
            Event::Closed(Closure::Denied),
            Event::ChargeRefused(no()),
            Event::ChargeOutcomeUnknown(no()),
            Event::GaveUp,
            Event::NotFound,
        ])
    }

    proptest::proptest! {
        /// Whatever happens in whatever order, the journal adds up to the state.
        #[test]
        fn the_journal_adds_up_to_the_state_of_a_payment_and_its_refunds(
            steps in proptest::collection::vec((events(), 0..60_u64, 0..4_u8), 0..40)
        ) {
            let mut payment = initialized();
            let mut refunds: Vec<Refund> = Vec::new();
            let mut entries = Vec::new();
            for ((event, hundreds, step), number) in steps.into_iter().zip(1..) {
                let now = payment.created_at.after(Duration::from_secs(60));
                let moved = payment.on(&event, now).payment;
                entries.extend(payment_moved(&payment.state, &moved, now));
                payment = moved;
                let request = request(number, hundreds * 10_050);
                let refund = match payment.reserve_refund(&request, now) {
                    Ok((reserving, amount)) => {
                        payment = reserving;
                        request.admitted(amount, now)
                    }
                    Err(rejection) => request.refused(rejection, now),
                };
                entries.push(refund_created(&refund, now));
                refunds.push(refund);
                let confirmed = (step == 2).then_some(now);
                let said = MidtransRefund { funds_confirmed_at: confirmed, ..MidtransRefund::default() };
                let outcome = match step {
                    0 => continue,
                    1 => RefundOutcome::Refused { failure: no(), checks: 0 },
                    _ => RefundOutcome::Made(said),
                };
                let picked = usize::try_from(hundreds).unwrap() % refunds.len();
                let before = refunds[picked].clone();
                if let Some(after) = before.resolve(outcome, now) {
                    if matches!(after.state, RefundState::Failed(_)) {
                        payment = payment.release_refund(after.amount.unwrap());
                    }
                    entries.extend(refund_moved(&before, &after, now));
                    refunds[picked] = after;
                }
            }
            proptest::prop_assert_eq!(Sums::of(&entries), books(&payment, &refunds));
        }
    }
}
