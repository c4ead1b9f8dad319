//! How the receivers of PSPs behave, and what came there.

/// How a receiver answers a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceiverBehaviour {
    Good,
    ServerError,
    Redirects,
    /// 200, but with a page that does not begin with `OK`.
    NoOkBody,
    Hangs,
}

/// One notification as it came.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) finaltimestamp: String,
    pub(crate) arrived: u64,
    pub(crate) accepted: bool,
}
