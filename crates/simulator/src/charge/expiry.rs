//! Rules of `custom_expiry`.

use std::time::Duration;

use gopay_core::time::Timestamp;

use super::request::RawExpiry;
use crate::lenient::{Object, Scalar};
use crate::validation::{Need, Violations};

/// GoPay's own time limit, and the bounds of `custom_expiry`.
const EXPIRY_DEFAULT: Duration = Duration::from_secs(15 * 60);
const EXPIRY_MIN: Duration = Duration::from_secs(20);
const EXPIRY_MAX: Duration = Duration::from_secs(7 * 86_400);
const TIME_CHARS_MAX: usize = 50;

pub(super) fn check(
    expiry: Option<Object<RawExpiry<'_>>>,
    now: Timestamp,
    violations: &mut Violations,
) -> Timestamp {
    let Some(expiry) = violations.object(expiry, "custom_expiry") else {
        return now.after(EXPIRY_DEFAULT);
    };
    let start = start(expiry.order_time, now, violations);
    let unit_seconds = unit_seconds(expiry.unit, violations);
    let duration = violations.whole(
        expiry.expiry_duration.as_ref(),
        || "custom_expiry.expiry_duration",
        Need::Required,
    );
    let (Some(start), Some(unit_seconds), Some(duration)) = (start, unit_seconds, duration) else {
        return now;
    };
    let seconds = u64::try_from(duration).unwrap_or(0).saturating_mul(unit_seconds);
    let expires_at = start.after(Duration::from_secs(seconds));
    if expires_at.since(now) < EXPIRY_MIN {
        violations.add("custom_expiry is below the minimum threshold of 20 seconds");
    } else if expires_at.since(now) > EXPIRY_MAX {
        violations.add("custom_expiry is above the maximum of 7 days");
    }
    expires_at
}

/// When counting begins; `None` for a time that cannot be read, which is a violation already.
fn start(
    sent: Option<Scalar<'_>>,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<Timestamp> {
    if sent.is_none() {
        return Some(now);
    }
    let text = violations.text(sent, || "custom_expiry.order_time", TIME_CHARS_MAX)?;
    let start = time_with_offset(&text);
    if start.is_none() {
        violations.add("custom_expiry.order_time must be of the form yyyy-MM-dd HH:mm:ss Z");
    }
    start
}

/// `None` for a unit that is none, which is a violation already.
fn unit_seconds(sent: Option<Scalar<'_>>, violations: &mut Violations) -> Option<u64> {
    if sent.is_none() {
        return Some(60);
    }
    let unit = violations.text(sent, || "custom_expiry.unit", TIME_CHARS_MAX)?;
    match unit.as_str() {
        "second" => Some(1),
        "minute" => Some(60),
        "hour" => Some(3_600),
        "day" => Some(86_400),
        _ => {
            violations.add("custom_expiry.unit must be second, minute, hour or day");
            None
        }
    }
}

/// Reads `2025-06-21 15:34:20 +0700`; the offset may be any.
fn time_with_offset(text: &str) -> Option<Timestamp> {
    const WIB_MINUTES: i64 = 7 * 60;
    let (civil, offset) = text.rsplit_once(' ')?;
    let (ahead, digits) = match offset.split_at_checked(1)? {
        ("+", digits) => (true, digits),
        ("-", digits) => (false, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    let minutes = number / 100 * 60 + number % 100;
    let shift = WIB_MINUTES - if ahead { minutes } else { -minutes };
    let as_wib = Timestamp::from_wib_seconds(civil).ok()?;
    Some(Timestamp::from_micros(as_wib.as_micros().checked_add(shift * 60_000_000)?))
}
