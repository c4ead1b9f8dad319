//! A client of PPRO's Simple API as `gopay-adapter` speaks it, for PSPs: it writes calls, reads
//! answers, and checks the hashes of returns and notifications. The contract of the wire is
//! `docs/psp-guide.md`.
//!
//! It has no rules of the adapter's: what a call may hold is for the adapter to say, so that one
//! client serves adapters of different versions. It keeps nothing, and it does no I/O unless the
//! feature `http` is on; without it [`Call::body`] and [`Call::read`] fit any HTTP client.
//!
//! ```
//! use gopay_psp_client::{
//!     Call as _, Cart, Channel, Credentials, Item, PaymentState, Transaction, TransactionAnswer,
//! };
//!
//! let psp = Credentials::new("testclient", "test123", "TESTCONTRACT");
//! let cart = Cart::new([Item::new("table", 2_000, 2), Item::new("Laptop 2.0", 3_000, 2)])?;
//! let call = Transaction::new(Channel::Test, &cart, "Siti Rahma")
//!     .merchant_tx_id("ORDER-20250621-0001")
//!     .nonce("ORDER-20250621-0001-try-1");
//! // POST this to the adapter as application/x-www-form-urlencoded ...
//! let body = call.body(&psp);
//! assert!(body.contains("amount=1000000&"));
//! // ... and read what it says.
//! let answer = b"STATUS=PENDING&TXID=123887123&FUNDSSTATUS=WAITING&ERRMSG=\
//!     &REDIRECTURL=https%3A%2F%2Fpay.example%2Fti%2Fgopay&REDIRECTSECRET=9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy";
//! let TransactionAnswer::Recorded(payment) = call.read(answer)? else { panic!() };
//! let PaymentState::Pending(Some(redirect)) = payment.state else { panic!() };
//! assert_eq!(redirect.url, "https://pay.example/ti/gopay");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: [`Form`], [`Credentials`] and [`Call`], [`Transaction`] with its [`Cart`], the
//! other calls, `pairs` (the text of an answer), the answers, [`notification`] and
//! [`shopper_return`], [`http`](crate#feature-http).
//!
//! # Feature `http`
//!
//! `http::Client` sends calls and tells apart what never left and what may have arrived.
#![warn(missing_docs)]

mod answer;
mod call;
mod cart;
mod form;
mod hash;
#[cfg(feature = "http")]
pub mod http;
mod ids;
pub mod notification;
mod pairs;
mod reason;
pub mod shopper_return;
mod transaction;

pub use answer::{
    CancelAnswer, Failure, Payment, PaymentState, Redirect, Refund, RefundState,
    RefundStatusAnswer, RequestFailure, StatusAnswer, TransactionAnswer,
};
pub use call::{
    Call, CancelTx, Credentials, GetRefundStatus, GetRefundStatusByMerchantRefundId, GetTxStatus,
    GetTxStatusByMerchantTxId, RefundCall,
};
pub use cart::{Cart, CartError, Item};
pub use form::Form;
pub use ids::{IdError, RefundId, TxId};
pub use pairs::{AnswerError, Pairs};
pub use reason::{FailReason, FundsStatus, RequestFailReason};
pub use transaction::{Address, Channel, Transaction};
