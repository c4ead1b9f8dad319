//! The system tests of payments, refunds and notifications once more, with the store on
//! PostgreSQL. `GOPAY_TEST_STORE=postgres cargo test` runs all others on it too.

#[path = "life_of_a_payment.rs"]
mod life_of_a_payment;
#[path = "notifications.rs"]
mod notifications;
#[path = "refunds.rs"]
mod refunds;
