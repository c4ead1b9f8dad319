//! Waiting for what others do: by a condition, never for a fixed time.
//!
//! Every function looks again and again. Bounds only end a test that has failed, unless a function
//! says otherwise.

use std::time::{Duration, Instant};

/// Between two looks, so that looking does not keep others from their work.
const LOOK: Duration = Duration::from_millis(10);

/// Far longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    within(PATIENCE, what, holds).await;
}

/// Waits until something holds that must hold within a bound; how long it took.
pub async fn within(bound: Duration, what: &str, holds: impl AsyncFn() -> bool) -> Duration {
    let began = Instant::now();
    assert!(holds_within(bound, holds).await, "not within {bound:?}: {what}");
    began.elapsed()
}

/// Whether something holds within a bound.
pub async fn holds_within(bound: Duration, holds: impl AsyncFn() -> bool) -> bool {
    let began = Instant::now();
    while !holds().await {
        if began.elapsed() >= bound {
            return false;
        }
        look_again().await;
    }
    true
}

/// Waits until there is something, and gives it.
pub async fn found<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "still waiting for: {what}");
        look_again().await;
    }
}

/// As [`found`], for tests without a runtime.
pub fn found_blocking<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "still waiting for: {what}");
        std::thread::sleep(LOOK);
    }
}

/// Looks all the time whether something still holds: what must not happen can only be watched for
/// a while, which is the caller's to choose.
pub async fn throughout(span: Duration, what: &str, holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while began.elapsed() < span {
        assert!(holds().await, "no longer after {:?}: {what}", began.elapsed());
        look_again().await;
    }
}

/// The pause between two looks, for a loop that is more than a condition.
pub async fn look_again() {
    tokio::time::sleep(LOOK).await;
}
