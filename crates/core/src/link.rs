//! Hosts and URLs of the plain kind, which nearly all are: seen to be good by one pass over their
//! bytes. What is not plain may be good too; the authorities, `validator` and `url`, know.
//! Property tests in [`crate::ppro::check`] hold the two against each other.

use crate::bytes::{LABEL, LETTER, all_clean, class};

/// How long the dotted name is that the text begins with, if it is one of the plain kind: labels
/// of letters, digits and hyphens, none of them punycode, the last of letters only.
///
/// Punycode has rules of its own, and so has a name that might be an IPv4 address; the authority
/// knows them.
#[inline]
pub(crate) fn plain_host(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut labels = 0;
    loop {
        let rest = text.get(at..)?;
        let mut classes = LABEL | LETTER;
        let mut length = 0;
        for byte in rest {
            let class = class(*byte);
            if class & LABEL == 0 {
                break;
            }
            classes &= class;
            length += 1;
        }
        let label = rest.get(..length)?;
        let hyphens = label.first() == Some(&b'-') || label.last() == Some(&b'-');
        if !(1..=63).contains(&length) || hyphens || label.get(2..4) == Some(b"--") {
            return None;
        }
        at += length;
        labels += 1;
        if text.get(at) != Some(&b'.') {
            let last = classes & LETTER != 0 && length >= 2;
            return (last && labels >= 2 && at <= 253).then_some(at);
        }
        at += 1;
    }
}

/// A plain host leaves nothing in which the rest could be wrong, once it is clean.
pub(crate) fn plain_url(value: &[u8]) -> bool {
    let after_scheme = match value {
        [b'h', b't', b't', b'p', b's', b':', b'/', b'/', rest @ ..]
        | [b'h', b't', b't', b'p', b':', b'/', b'/', rest @ ..] => rest,
        _ => return false,
    };
    let rest = plain_host(after_scheme).and_then(|length| after_scheme.get(length..));
    rest.is_some_and(|rest| matches!(rest, [] | [b'/' | b'?' | b'#', ..]) && all_clean(rest))
}

/// An app's own scheme in lower case, without meaning to a browser, and nothing behind it that
/// could be wrong: no port, no brackets, no escapes.
pub(crate) fn plain_app_url(value: &[u8]) -> bool {
    let scheme = value.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let Some((scheme, [b':', b'/', b'/', rest @ ..])) = value.split_at_checked(scheme) else {
        return false;
    };
    let mark =
        |byte: u8| matches!(byte, b'/' | b'?' | b'=' | b'&' | b'-' | b'_' | b'.' | b'~' | b'#');
    let meant = std::str::from_utf8(scheme).is_ok_and(|scheme| {
        !crate::text::is_harmful_scheme(scheme)
            && !matches!(scheme, "" | "http" | "https" | "ftp" | "ws" | "wss")
    });
    meant && rest.iter().all(|byte| class(*byte) & LABEL != 0 || mark(*byte))
}
