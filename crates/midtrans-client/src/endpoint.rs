//! Where Midtrans is and as whom we call it.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Settings of a [`MidtransClient`](crate::MidtransClient). `Debug` does not show the key.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `https://api.midtrans.com`, `https://api.sandbox.midtrans.com`, or a stand-in of both.
    pub base_url: String,
    /// The merchant's server key of that environment.
    pub server_key: SecretString,
    /// Of one call, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Which of the two refund endpoints to use.
    pub refund_path: RefundPath,
    /// Where Midtrans sends its notifications, instead of the URL in its dashboard.
    pub notification_url: Option<String>,
    /// Calls under way at once; further ones are not sent. While it is silent a sixteenth of them,
    /// so that one account leaves room for the others. None: any number.
    pub calls_max: Option<usize>,
}

/// The endpoint of refunds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefundPath {
    /// `/refund`, which serves all cases.
    #[default]
    Refund,
    /// `/refund/online/direct`, for merchants who were set up for it.
    OnlineDirect,
}

impl RefundPath {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::OnlineDirect => "refund/online/direct",
        }
    }
}

/// A setting that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Only scheme, host, port and path of an `http` or `https` URL can be put before `/v2/...`.
    #[error("the base URL is not an http or https URL without user, query and fragment")]
    BaseUrl,
    /// A key that cannot be the user of HTTP Basic authentication; often a line end from a file.
    #[error("the server key is empty or holds other than visible ASCII characters, or a colon")]
    ServerKey,
    /// See [`crate::RequestError::NotificationUrl`].
    #[error("the notification URL is not one http or https URL without commas")]
    NotificationUrl,
}

impl Endpoint {
    /// Official clients wait 10 s and longer (`docs/midtrans.md`, "Limits"); the shopper waits,
    /// too, so no longer than the shortest of them. Connecting is part of it, 5 s at most by the
    /// default of the transport.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// The default settings for a URL and key.
    #[must_use]
    pub fn new(base_url: impl Into<String>, server_key: SecretString) -> Self {
        Self {
            base_url: base_url.into(),
            server_key,
            timeout: Self::TIMEOUT,
            refund_path: RefundPath::default(),
            notification_url: None,
            calls_max: None,
        }
    }

    /// Whether a client can work with these settings.
    ///
    /// # Errors
    /// [`EndpointError`], in the order of declaration.
    pub fn check(&self) -> Result<(), EndpointError> {
        if !is_base_url(&self.base_url) {
            return Err(EndpointError::BaseUrl);
        }
        let key = self.server_key.expose_secret();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            return Err(EndpointError::ServerKey);
        }
        match &self.notification_url {
            Some(url) if !is_notification_url(url) => Err(EndpointError::NotificationUrl),
            Some(_) | None => Ok(()),
        }
    }
}

fn is_base_url(text: &str) -> bool {
    http_url(text).is_some_and(|url| {
        url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// The header takes a list separated by commas, and commas may stand in URLs.
pub(crate) fn is_notification_url(text: &str) -> bool {
    !text.contains(',') && http_url(text).is_some()
}

fn http_url(text: &str) -> Option<Url> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    Url::parse(text).ok().filter(|url| plain && matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        use EndpointError as E;
        let base = "https://api.midtrans.com";
        for (base_url, key, notification_url, expected) in [
            (base, "key", None, Ok(())),
            ("https://api.midtrans.com/", "key", None, Ok(())),
            ("http://127.0.0.1:8090", "key", None, Ok(())),
            ("https://gateway.example/midtrans", "key", None, Ok(())),
            ("", "key", None, Err(E::BaseUrl)),
            ("api.midtrans.com", "key", None, Err(E::BaseUrl)),
            ("ftp://api.midtrans.com", "key", None, Err(E::BaseUrl)),
            ("https://api.midtrans.com?a=b", "key", None, Err(E::BaseUrl)),
            ("https://api.midtrans.com#a", "key", None, Err(E::BaseUrl)),
            ("https://user@api.midtrans.com", "key", None, Err(E::BaseUrl)),
            (" https://api.midtrans.com", "key", None, Err(E::BaseUrl)),
            (base, "", None, Err(E::ServerKey)),
            (base, "key\n", None, Err(E::ServerKey)),
            (base, "k:ey", None, Err(E::ServerKey)),
            (base, "kéy", None, Err(E::ServerKey)),
            (base, "key", Some("https://a.example/n?b=c"), Ok(())),
            (base, "key", Some("https://a.example/n,https://b.example"), Err(E::NotificationUrl)),
            (base, "key", Some("a.example"), Err(E::NotificationUrl)),
            (base, "key", Some(""), Err(E::NotificationUrl)),
        ] {
            let endpoint = Endpoint {
                notification_url: notification_url.map(str::to_owned),
                ..Endpoint::new(base_url, key.into())
            };
            assert_eq!(endpoint.check(), expected, "{base_url:?} {key:?} {notification_url:?}");
        }
    }
}
