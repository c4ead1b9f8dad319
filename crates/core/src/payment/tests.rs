//! Tables of states and events; payments that other tests begin with.

use std::time::Duration;

use super::*;
use crate::doubt::{Finding, Unclear, Verdict};
use crate::ids::TxId;
use crate::money::{Rupiah, Sen};
use crate::time::Timestamp;

/// A payment as it is stored before its charge is sent.
pub(crate) fn initialized() -> Payment {
    Payment::open(new_payment(), Rupiah::new(10_000).unwrap())
}

/// What is known of a payment when its call comes.
pub(crate) fn new_payment() -> NewPayment {
    let now = Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap();
    NewPayment {
        tx_id: TxId::new(123_887_123).unwrap(),
        psp: "testclient".into(),
        contract: "TESTCONTRACT".into(),
        channel: Some(Channel::Test),
        account: None,
        merchant_tx_id: None,
        redirect_secret: "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy".into(),
        merchant_redirect_url: None,
        notification_url: Some("https://psp.example/notify".into()),
        nonce: None,
        created_at: now,
        session: Duration::from_secs(3600),
    }
}

/// As [`initialized`], with something changed that no event changes.
pub(crate) fn altered(payment: &Payment, alter: impl FnOnce(&mut PaymentRecord)) -> Payment {
    let mut record = payment.clone().into_record();
    alter(&mut record);
    Payment::restore(record).unwrap()
}

/// The charge is open.
pub(crate) fn created() -> Event {
    Event::ChargeCreated { midtrans_tx_id: "m-1".into(), deeplink: "gojek://x".into() }
}

/// The money came, as Midtrans says without a time.
pub(crate) fn paid() -> Event {
    Event::Paid {
        midtrans_tx_id: "m-1".into(),
        paid_at: None,
        payment_type: Some("gopay".into()),
        payment_option: Some("GOPAY_WALLET".into()),
    }
}

/// GET status shows 71 rupiah too many.
pub(crate) fn doubted() -> Event {
    Event::Doubted(Finding {
        what: Unclear::Amount,
        expected: "10000".into(),
        found: "10071.00".into(),
        status: "settlement".into(),
        midtrans_tx_id: Some("m-1".into()),
        gross: Some(Sen::new(1_007_100)),
        in_rupiah: true,
    })
}

fn refused() -> Event {
    Event::ChargeRefused(Failure::new(FailReason::RemoteDecline, "no"))
}

fn unclear() -> Event {
    Event::ChargeOutcomeUnknown(Failure::new(FailReason::RemoteError, "?"))
}

fn still_open() -> Event {
    Event::StillOpen { midtrans_tx_id: "m-1".into() }
}

fn all_events() -> Vec<Event> {
    vec![
        created(),
        refused(),
        unclear(),
        paid(),
        Event::Closed(Closure::Expired),
        Event::Closed(Closure::Cancelled),
        Event::Closed(Closure::Denied),
        Event::Closed(Closure::Failed),
        still_open(),
        Event::NotFound,
        Event::NoAnswer,
        Event::GaveUp,
        Event::CancelRequested,
        doubted(),
        Event::Judged(Verdict::Paid),
        Event::Judged(Verdict::Failed),
        Event::Judged(Verdict::Refund),
        Event::Returned,
        Event::ReturnRefused,
    ]
}

#[test]
fn every_pair_of_state_and_event_goes_where_the_table_says() {
    use Effect as V;
    let start = initialized();
    let early = start.created_at.after(Duration::from_secs(60));
    let pending = start.on(&created(), early).payment;
    let succeeded = pending.on(&paid(), early).payment;
    let failed = pending.on(&Event::Closed(Closure::Expired), early).payment;
    let judged = Event::Judged;
    let doubtful = pending.on(&doubted(), early).payment;
    let returning = doubtful.on(&judged(Verdict::Refund), early).payment;
    let returned = returning.on(&Event::Returned, early).payment;
    let dismissed = doubtful.on(&judged(Verdict::Failed), early).payment;
    #[rustfmt::skip]
    let rows = [
        (&start, created(), "pending", V::Moved, false),
        (&start, refused(), "failed", V::Moved, false),
        (&start, unclear(), "failed", V::Moved, false),
        (&start, paid(), "succeeded", V::Moved, true),
        (&start, Event::Closed(Closure::Cancelled), "failed", V::Moved, true),
        (&start, still_open(), "initialized", V::Noted, false),
        (&start, Event::NotFound, "initialized", V::Same, false),
        (&start, Event::NoAnswer, "initialized", V::Same, false),
        (&start, Event::GaveUp, "failed", V::Moved, true),
        (&start, Event::CancelRequested, "initialized", V::Refused, false),
        (&pending, created(), "pending", V::Refused, false),
        (&pending, refused(), "pending", V::Refused, false),
        (&pending, unclear(), "pending", V::Refused, false),
        (&pending, paid(), "succeeded", V::Moved, true),
        (&pending, Event::Closed(Closure::Expired), "failed", V::Moved, true),
        (&pending, Event::Closed(Closure::Denied), "failed", V::Moved, true),
        (&pending, still_open(), "pending", V::Same, false),
        (&pending, Event::NotFound, "pending", V::Same, false),
        (&pending, Event::NoAnswer, "pending", V::Same, false),
        (&pending, Event::GaveUp, "failed", V::Moved, true),
        (&pending, Event::CancelRequested, "pending", V::Noted, false),
        (&succeeded, created(), "succeeded", V::Refused, false),
        (&succeeded, refused(), "succeeded", V::Refused, false),
        (&succeeded, unclear(), "succeeded", V::Refused, false),
        (&succeeded, paid(), "succeeded", V::Same, false),
        (&succeeded, Event::Closed(Closure::Cancelled), "succeeded", V::Refused, false),
        (&succeeded, still_open(), "succeeded", V::Refused, false),
        (&succeeded, Event::NotFound, "succeeded", V::Refused, false),
        (&succeeded, Event::NoAnswer, "succeeded", V::Refused, false),
        (&succeeded, Event::GaveUp, "succeeded", V::Refused, false),
        (&succeeded, Event::CancelRequested, "succeeded", V::Refused, false),
        (&failed, created(), "failed", V::Refused, false),
        (&failed, refused(), "failed", V::Refused, false),
        (&failed, unclear(), "failed", V::Refused, false),
        (&failed, paid(), "succeeded", V::Moved, true),
        (&failed, Event::Closed(Closure::Expired), "failed", V::Same, false),
        (&failed, still_open(), "failed", V::Noted, false),
        (&failed, Event::NotFound, "failed", V::Same, false),
        (&failed, Event::NoAnswer, "failed", V::Same, false),
        (&failed, Event::GaveUp, "failed", V::Same, false),
        (&failed, Event::CancelRequested, "failed", V::Refused, false),
        (&start, doubted(), "initialized", V::Noted, false),
        (&pending, doubted(), "pending", V::Noted, false),
        (&failed, doubted(), "failed", V::Noted, false),
        (&succeeded, doubted(), "succeeded", V::Refused, false),
        (&start, judged(Verdict::Paid), "initialized", V::Refused, false),
        (&pending, judged(Verdict::Failed), "pending", V::Refused, false),
        (&pending, Event::Returned, "pending", V::Refused, false),
        (&failed, judged(Verdict::Refund), "failed", V::Refused, false),
        (&succeeded, judged(Verdict::Refund), "succeeded", V::Refused, false),
        (&succeeded, Event::ReturnRefused, "succeeded", V::Refused, false),
        (&doubtful, doubted(), "pending", V::Same, false),
        (&doubtful, Event::NotFound, "pending", V::Same, false),
        (&doubtful, Event::NoAnswer, "pending", V::Same, false),
        (&doubtful, Event::GaveUp, "pending", V::Same, false),
        (&doubtful, Event::CancelRequested, "pending", V::Noted, false),
        (&doubtful, still_open(), "pending", V::Noted, false),
        (&doubtful, Event::Closed(Closure::Expired), "failed", V::Moved, true),
        (&doubtful, paid(), "succeeded", V::Moved, true),
        (&doubtful, judged(Verdict::Paid), "succeeded", V::Moved, true),
        (&doubtful, judged(Verdict::Failed), "failed", V::Moved, true),
        (&doubtful, judged(Verdict::Refund), "pending", V::Noted, false),
        (&doubtful, Event::Returned, "pending", V::Refused, false),
        (&doubtful, Event::ReturnRefused, "pending", V::Refused, false),
        (&returning, paid(), "pending", V::Same, false),
        (&returning, Event::Closed(Closure::Cancelled), "pending", V::Same, false),
        (&returning, doubted(), "pending", V::Same, false),
        (&returning, Event::GaveUp, "pending", V::Same, false),
        (&returning, judged(Verdict::Paid), "pending", V::Refused, false),
        (&returning, Event::Returned, "failed", V::Moved, true),
        (&returning, Event::ReturnRefused, "pending", V::Noted, false),
        (&returned, paid(), "failed", V::Same, false),
        (&returned, doubted(), "failed", V::Same, false),
        (&dismissed, doubted(), "failed", V::Same, false),
        (&dismissed, paid(), "succeeded", V::Moved, true),
        (&dismissed, judged(Verdict::Paid), "failed", V::Refused, false),
    ];
    for (from, event, state, effect, owed) in rows {
        let step = from.on(&event, early);
        let case = format!("{:?} on {event:?}", from.state);
        assert_eq!(step.payment.state.as_str(), state, "{case}");
        assert_eq!(step.effect, effect, "{case}");
        assert_eq!(step.delivery_owed, owed, "{case}");
    }
}

#[test]
fn money_that_does_not_fit_is_looked_after_until_a_person_has_decided() {
    let start = initialized();
    let at = start.created_at;
    let doubtful = start.on(&created(), at).payment.on(&doubted(), at).payment;
    let mut later = doubtful.clone();
    for _ in 0..200 {
        let next = later.next_check_at.expect("as long as nobody has decided");
        assert!(next.since(at) >= Duration::from_secs(60));
        later = later.checked(next).on(&doubted(), next).payment;
    }
    assert_eq!(later.state, PaymentState::Pending);
    let early = start.on(&doubted(), at).payment;
    for event in [refused(), unclear(), Event::NoAnswer, Event::GaveUp] {
        assert_eq!(early.on(&event, at).payment.state, PaymentState::Initialized, "{event:?}");
    }
    assert_eq!(later.doubt.as_ref().map(|doubt| doubt.since), Some(at), "since the first look");
    let now = at.after(Duration::from_secs(3600));
    for (verdict, at_risk, looks_on) in [
        (Verdict::Paid, false, false),
        (Verdict::Failed, false, false),
        (Verdict::Refund, true, true),
    ] {
        let decided = later.on(&Event::Judged(verdict), now).payment;
        assert_eq!(decided.at_risk().is_some(), at_risk, "{verdict:?}");
        assert_eq!(decided.next_check_at.is_some(), looks_on, "{verdict:?}");
    }
    let returning = later.on(&Event::Judged(Verdict::Refund), now).payment;
    let returned = returning.on(&Event::Returned, now).payment;
    assert_eq!(returned.state.failure().unwrap().reason, FailReason::LocalDecline);
    assert_eq!((returned.at_risk(), returned.next_check_at), (None, None));
    let refused = returning.on(&Event::ReturnRefused, now).payment;
    assert_eq!((refused.to_return(), refused.at_risk()), (None, later.at_risk()));
}

#[test]
fn the_reason_follows_who_closed_the_charge() {
    let start = initialized();
    let at = start.created_at;
    let pending = start.on(&created(), at).payment;
    let asked = pending.on(&Event::CancelRequested, at).payment;
    let live = altered(&pending, |record| record.channel = Some(Channel::Live));
    for (from, closure, reason) in [
        (&pending, Closure::Expired, FailReason::Timeout),
        (&pending, Closure::Denied, FailReason::RemoteDecline),
        (&pending, Closure::Failed, FailReason::Unknown),
        (&pending, Closure::Cancelled, FailReason::UserAbort),
        (&live, Closure::Cancelled, FailReason::RemoteDecline),
        (&asked, Closure::Cancelled, FailReason::Canceled),
        (&asked, Closure::Expired, FailReason::Timeout),
        (&start, Closure::Cancelled, FailReason::RemoteError),
        (&start, Closure::Expired, FailReason::RemoteError),
        (&start, Closure::Denied, FailReason::RemoteDecline),
    ] {
        let step = from.on(&Event::Closed(closure), at);
        assert_eq!(step.payment.state.failure().unwrap().reason, reason, "{closure:?}");
    }
}

#[test]
fn an_order_that_midtrans_does_not_know_fails_only_when_the_session_is_over() {
    let start = initialized();
    let pending = start.on(&created(), start.created_at).payment;
    let step = pending.on(&Event::NotFound, pending.deadline_at);
    assert_eq!(step.payment.state.failure().unwrap().reason, FailReason::Timeout);
}

#[test]
fn checks_come_at_the_deadline_and_end_after_three_days() {
    let start = initialized();
    let mut payment = start.on(&created(), start.created_at).payment;
    let mut looks = Vec::new();
    while let Some(at) = payment.next_check_at.filter(|at| *at < payment.deadline_at) {
        looks.push(at);
        payment = payment.checked(at);
    }
    assert!(looks.len() > 5 && looks.len() < 40, "{} looks", looks.len());
    assert_eq!(payment.next_check_at, Some(payment.deadline_at));

    let mut failed = payment.on(&Event::Closed(Closure::Expired), payment.deadline_at).payment;
    let end = failed.final_at.unwrap();
    let mut last = end;
    while let Some(at) = failed.next_check_at {
        last = at;
        failed = failed.checked(at);
    }
    assert!(last.since(end) <= LATE_WATCH);
    assert!(last.since(end) > LATE_WATCH / 2, "late money is looked for until {last}");
    assert_eq!(start.on(&refused(), start.created_at).payment.next_check_at, None);
}

#[test]
fn a_check_is_only_ever_moved_forward() {
    let planned = initialized().created_at.after(Duration::from_secs(60));
    let (before, after) =
        (planned.before(Duration::from_secs(1)), planned.after(Duration::from_secs(1)));
    for (next_check_at, at, moved) in [
        (Some(planned), before, Some(before)),
        (Some(planned), planned, None),
        (Some(planned), after, None),
        (None, before, None),
    ] {
        let planned =
            |next_check_at| Payment(PaymentRecord { next_check_at, ..initialized().into_record() });
        let expected = moved.map(|at| planned(Some(at)));
        assert_eq!(planned(next_check_at).check_at(at), expected, "{next_check_at:?} at {at}");
    }
}

proptest::proptest! {
    /// No order of events ever takes money back, or finds money that nobody paid.
    #[test]
    fn no_order_of_events_loses_or_makes_money(picks in proptest::collection::vec((0..19_usize, 0..7200_u64), 0..40)) {
        let mut payment = initialized();
        let mut was_paid = false;
        let mut now = payment.created_at;
        for (pick, seconds) in picks {
            let event = all_events().swap_remove(pick);
            now = now.after(Duration::from_secs(seconds));
            let (in_doubt, returning) = (payment.is_in_doubt(), payment.goes_back());
            let found = matches!(event, Event::Paid { .. });
            let judged = in_doubt && event == Event::Judged(Verdict::Paid);
            was_paid |= (found || judged) && !returning;
            let step = payment.on(&event, now);
            // Money in doubt ends only by a clear word of Midtrans or of a person.
            let decided = event.is_clear() || matches!(event, Event::Judged(_) | Event::Returned);
            proptest::prop_assert!(!in_doubt || decided || step.payment.is_in_doubt());
            let told_as_unpaid = step.effect == Effect::Moved && matches!(step.payment.state, PaymentState::Failed(_));
            proptest::prop_assert!(!in_doubt || decided || !told_as_unpaid, "{:?}", event);
            proptest::prop_assert_eq!(step.payment.at_risk().is_some(), step.payment.is_in_doubt());
            proptest::prop_assert_eq!(step.delivery_owed && step.effect != Effect::Moved, false);
            payment = step.payment;
            proptest::prop_assert_eq!(payment.state == PaymentState::Succeeded, was_paid);
            proptest::prop_assert!(Payment::restore(payment.clone().into_record()).is_ok());
        }
    }
}
