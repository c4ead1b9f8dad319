//! Calls of PSPs: one entry, then a file a use case; and the feed, with its cursors.

mod call;
mod cancel;
mod cursor;
mod durable;
mod feed;
mod form;
mod login;
mod refund;
mod status;
mod transaction;

pub(crate) use feed::Ends;
pub use feed::{FEED_LIMIT_MAX, FEED_WAIT_MAX, FeedCall, FeedError, FeedLine, FeedPage, FeedQuery};
