//! `[midtrans.test]` and `[midtrans.live]`

use std::time::Duration;

use gopay_midtrans_client::RefundPath;
use secrecy::SecretString;

use super::section::Section;

/// An account at Midtrans.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) base_url: String,
    pub(crate) server_key: SecretString,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) refund_path: RefundPath,
}

pub(super) fn read_account(account: &mut Section<'_>) -> Option<Account> {
    let base_url = account.url("base_url");
    if base_url.is_none() && !account.reported("base_url") {
        account.problem("base_url", "missing", "https://api.midtrans.com, or that of the sandbox");
    }
    let server_key = account.secret("server_key");
    let mut timeout = Duration::from_secs(10);
    let mut connect_timeout = Duration::from_secs(5);
    // A call to us has 25 s, and may need two answers of Midtrans.
    const SECOND: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(12);
    account.span("timeout", SECOND, LONGEST, "1s to 12s", &mut timeout);
    account.span("connect_timeout", SECOND, LONGEST, "1s to 12s", &mut connect_timeout);
    let refund_path = match account.text("refund_path").as_deref() {
        None | Some("refund") => RefundPath::Refund,
        Some("direct") => RefundPath::OnlineDirect,
        Some(_) => {
            account.problem("refund_path", "not a path", "refund or direct");
            RefundPath::Refund
        }
    };
    if connect_timeout >= timeout {
        account.problem("connect_timeout", "not below timeout", "less than timeout");
    }
    Some(Account {
        base_url: base_url?.trim_end_matches('/').to_owned(),
        server_key: server_key?,
        timeout,
        connect_timeout,
        refund_path,
    })
}
