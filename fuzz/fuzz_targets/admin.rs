//! Bodies and queries of operators: whoever has a token acts in their own name alone.
#![no_main]

use gopay_http::acts::told;
use gopay_http::admin::decision;
use gopay_http::asked::Asked;
use gopay_http::desk::GivenUpSince;
use gopay_service::desk::{AdjustmentAct, BreakAct, Deed, RefundOrder};
use libfuzzer_sys::fuzz_target;

const OWN: &str = "sri";

fuzz_target!(|body: &[u8]| {
    if let Ok(deed) = told::<Deed>(body, Some(OWN)) {
        assert_eq!(deed.by, OWN);
    }
    if let Ok(order) = told::<RefundOrder>(body, Some(OWN)) {
        assert_eq!(order.by, OWN);
    }
    if let Ok(range) = told::<GivenUpSince>(body, Some(OWN)) {
        assert_eq!(range.by, OWN);
    }
    if let Ok(act) = told::<BreakAct>(body, Some(OWN)) {
        assert_eq!(act.approved_by.as_deref().unwrap_or(&act.by), OWN);
    }
    if let Ok(act) = told::<AdjustmentAct>(body, Some(OWN)) {
        assert_eq!(act.approved_by.as_deref().unwrap_or(&act.by), OWN);
    }
    if let Ok(decided) = decision(body, Some(OWN)) {
        assert!(decided.by == OWN || decided.by.ends_with(&format!(" ({OWN})")), "{}", decided.by);
    }
    // Where nobody is asked for a token, what is good is good as it stands.
    if let Ok(deed) = told::<Deed>(body, None) {
        let named = told::<Deed>(body, Some(OWN)).expect("the same with another name");
        assert_eq!(named.reason, deed.reason);
    }
    query(body);
});

/// A query that was read and written is the same query.
fn query(text: &[u8]) {
    let asked = Asked::read(text);
    let again = Asked::read(asked.with(&[]).as_bytes());
    assert_eq!(again.with(&[]), asked.with(&[]));
    assert_eq!(again.payments(), asked.payments());
    assert_eq!(again.refunds(), asked.refunds());
    assert_eq!(again.deliveries(), asked.deliveries());
    assert_eq!(again.page(100), asked.page(100));
    if let Ok(page) = asked.page(100) {
        assert!((1..=500).contains(&page.limit), "{page:?}");
    }
}
