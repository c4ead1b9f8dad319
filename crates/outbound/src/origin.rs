//! Where a request goes: the part of its URL that a connection is made for, and the part that is sent
//! over it.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Uri;
use hyper::header::HeaderValue;
use url::{Position, Url};

use crate::TransportReason;

/// Scheme, host and port.
#[derive(Debug)]
pub(crate) struct Origin {
    /// As the URL standard spells them.
    pub(crate) text: String,
    /// The same for the connector.
    pub(crate) uri: Uri,
    /// The same for the head of a request.
    pub(crate) host: HeaderValue,
    /// Whether its port may be called at some addresses only.
    pub(crate) is_other_port: bool,
}

impl Origin {
    /// Origin of a URL, and what is asked for there.
    ///
    /// # Errors
    /// [`TransportReason::Credentials`], or a URL that HTTP cannot carry.
    pub(crate) fn of(url: &Url, is_other_port: bool) -> Result<(Arc<Self>, Uri), TransportReason> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TransportReason::Credentials);
        }
        let text = url[..Position::BeforePath].to_owned();
        let host = &url[Position::BeforeHost..Position::BeforePath];
        let host = HeaderValue::try_from(host).map_err(|_| TransportReason::Uri)?;
        let uri = Uri::try_from(text.as_str()).map_err(|_| TransportReason::Uri)?;
        let path = Uri::try_from(&url[Position::BeforePath..Position::AfterQuery]);
        let path = path.map_err(|_| TransportReason::Uri)?;
        Ok((Arc::new(Self { text, uri, host, is_other_port }), path))
    }
}

/// Where the path of a URL begins, if the standard would leave the path as it is: then what is before
/// it needs not be parsed either once it is found to be the text of a known [`Origin`].
pub(crate) fn path_of_plain(url: &str) -> Option<usize> {
    let authority = url.find("://")? + 3;
    let path = authority + url.get(authority..)?.find('/')?;
    // Without dots it has no segments that lead upward.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    url.get(path..)?.bytes().all(plain).then_some(path)
}

/// The path of a URL from where [`path_of_plain`] says.
///
/// # Errors
/// [`TransportReason::Uri`] if it is too long.
pub(crate) fn path_from(url: String, begin: usize) -> Result<Uri, TransportReason> {
    Uri::from_maybe_shared(Bytes::from(url).split_off(begin)).map_err(|_| TransportReason::Uri)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(url: &str) -> (Arc<Origin>, Uri) {
        Origin::of(&Url::parse(url).unwrap(), false).unwrap()
    }

    #[test]
    fn an_origin_is_spelled_in_one_way() {
        for (url, text, host, path) in [
            (
                "https://api.midtrans.com/v2/charge",
                "https://api.midtrans.com",
                "api.midtrans.com",
                "/v2/charge",
            ),
            (
                "HTTPS://API.Midtrans.com:443/v2",
                "https://api.midtrans.com",
                "api.midtrans.com",
                "/v2",
            ),
            ("http://a.example:80", "http://a.example", "a.example", "/"),
            ("http://a.example:8080/b?c=d#e", "http://a.example:8080", "a.example:8080", "/b?c=d"),
            ("http://[::1]:8080/", "http://[::1]:8080", "[::1]:8080", "/"),
            ("http://2130706433/a/../b", "http://127.0.0.1", "127.0.0.1", "/b"),
        ] {
            let (origin, sent) = parsed(url);
            assert_eq!((origin.text.as_str(), sent.to_string().as_str()), (text, path), "{url}");
            assert_eq!(origin.host, host, "{url}");
            assert_eq!(origin.uri.authority().unwrap().as_str(), host, "{url}");
        }
    }

    #[test]
    fn a_url_with_credentials_is_refused() {
        for url in ["http://a@b.example/", "http://:c@b.example/", "http://a:c@b.example/"] {
            let refused = Origin::of(&Url::parse(url).unwrap(), false).map(|_| ());
            assert_eq!(refused, Err(TransportReason::Credentials), "{url}");
        }
    }

    proptest! {
        /// What is not parsed is what parsing would have found.
        #[test]
        fn a_plain_url_is_split_as_the_standard_splits_it(
            origin in r"(http|https|HTTP|ftp)://[a-zA-Z0-9.@:?#\\\[\]%-]{0,12}",
            path in r"(/[a-zA-Z0-9_./%?#\\~-]{0,8}){0,3}",
        ) {
            let url = format!("{origin}{path}");
            if let (Some(begin), Ok(parsed)) = (path_of_plain(&url), Url::parse(&url))
                && let Ok((origin, sent)) = Origin::of(&parsed, false)
                && url[..begin] == origin.text
            {
                prop_assert_eq!(path_from(url, begin).unwrap(), sent);
            }
        }
    }
}
