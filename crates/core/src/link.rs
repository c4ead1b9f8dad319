//! Fast path for hosts and URLs of the plain kind, which nearly all are: one pass over their bytes.
//! What is not plain may still be good; the authorities, `validator` and `url`, decide. Property
//! tests in [`crate::ppro::check`] hold the two against each other.

use crate::bytes::{LABEL, LETTER, all_clean, class};
use gopay_scan::{Kinds, STOPS, UrlMarks, kinds, url_marks};

/// The length of the plain host at the start of the text: dotted labels of letters, digits and
/// hyphens, none of them punycode, the last of letters only. `None`: not a plain host, ask the
/// authority, which knows the rules of punycode and of IPv4 addresses.
///
/// `padded` is the text followed by readable filler bytes.
#[inline]
pub(crate) fn plain_host(text: &[u8], padded: &[u8]) -> Option<usize> {
    match padded.first_chunk().and_then(|window| short_host(window, text.len())) {
        Some(host) => host,
        None => any_host(text),
    }
}

/// As [`plain_host`], for a host that ends within the window, all labels at once.
#[inline]
#[expect(
    clippy::option_option,
    reason = "`None`: undecided, use the slow path. `Some(None)`: not a plain host"
)]
fn short_host(window: &[u8; STOPS], text_bytes: usize) -> Option<Option<usize>> {
    let Kinds { letters, digits, hyphens, dots, .. } = kinds(window);
    let run = (letters | digits | hyphens | dots).trailing_ones();
    let length = run.min(u32::try_from(text_bytes).unwrap_or(u32::MAX));
    let behind = 1_u32.checked_shl(length)?;
    let within = behind - 1;
    let (hyphens, dots) = (hyphens & within, dots & within);
    // The first byte of each label, and the byte behind each label.
    let (begins, ends) = ((dots << 1) | 1, dots | behind);
    let empty = begins & ends;
    let at_edge = hyphens & (begins | (ends >> 1));
    let third_and_fourth = (begins << 2) & hyphens & (hyphens >> 1);
    let last = u32::BITS - dots.leading_zeros();
    let name = (within >> last) << last;
    let plain = empty | at_edge | third_and_fourth | (name & !letters) == 0;
    let host = (plain && dots != 0 && length - last >= 2).then_some(length);
    Some(host.and_then(|length| usize::try_from(length).ok()))
}

fn any_host(text: &[u8]) -> Option<usize> {
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

/// Whether this is an `http` or `https` URL with a plain host. What follows such a host need only be
/// clean.
pub(crate) fn plain_url(value: &[u8], padded: &[u8]) -> bool {
    let after_scheme = match value {
        [b'h', b't', b't', b'p', b's', b':', b'/', b'/', rest @ ..]
        | [b'h', b't', b't', b'p', b':', b'/', b'/', rest @ ..] => rest,
        _ => return false,
    };
    let padded = padded.get(value.len() - after_scheme.len()..).unwrap_or_default();
    let Some(host) = plain_host(after_scheme, padded) else { return false };
    let rest = after_scheme.get(host..).unwrap_or_default();
    matches!(rest, [] | [b'/' | b'?' | b'#', ..]) && clean_within(rest, padded.get(host..))
}

/// [`all_clean`], by whole windows. `padded` as in [`plain_host`].
#[inline]
fn clean_within(text: &[u8], padded: Option<&[u8]>) -> bool {
    match any_mark(text, padded, |marks| marks.unclean) {
        Some(unclean) => unclean.is_none(),
        None => all_clean(text),
    }
}

/// Where the query or the fragment of a URL begins, whichever is first. `padded` as in
/// [`plain_host`].
#[inline]
pub(crate) fn first_part(value: &[u8], padded: &[u8]) -> Option<usize> {
    any_mark(value, Some(padded), |marks| marks.parts)
        .unwrap_or_else(|| value.iter().position(|byte| matches!(byte, b'?' | b'#')))
}

/// Where the first of the marks is in the text; `None` if what is readable behind the text is too
/// short to tell.
#[inline]
#[expect(clippy::option_option, reason = "`None`: undecided. `Some(None)`: no such mark")]
fn any_mark(
    text: &[u8],
    padded: Option<&[u8]>,
    wanted: impl Fn(UrlMarks) -> u32,
) -> Option<Option<usize>> {
    let mut rest = padded?;
    let mut at = 0;
    while at < text.len() {
        let (window, behind) = rest.split_first_chunk::<STOPS>()?;
        let found = wanted(url_marks(window));
        if found != 0 {
            let place = at + usize::try_from(found.trailing_zeros()).ok()?;
            return Some((place < text.len()).then_some(place));
        }
        rest = behind;
        at += STOPS;
    }
    Some(None)
}

/// Whether this is a URL with an app's own scheme in lower case, which no browser knows, and without
/// port, brackets and escapes behind it.
pub(crate) fn plain_app_url(value: &[u8]) -> bool {
    let scheme = value.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let Some((scheme, [b':', b'/', b'/', rest @ ..])) = value.split_at_checked(scheme) else {
        return false;
    };
    let mark =
        |byte: u8| matches!(byte, b'/' | b'?' | b'=' | b'&' | b'-' | b'_' | b'.' | b'~' | b'#');
    let meant = std::str::from_utf8(scheme).is_ok_and(|scheme| {
        !crate::text::is_system_scheme(scheme) && !matches!(scheme, "" | "http" | "https")
    });
    meant && rest.iter().all(|byte| class(*byte) & LABEL != 0 || mark(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn short_hosts_are_hosts(text in "[a-z0-9.-]{0,12}[.][a-z]{0,4}|[a-cA-Z0-2._@/-]{0,40}|([a-z]{1,9}[.-]){1,4}[a-z]{1,3}[0-9/]?") {
            let behind = format!("{text}.example--x.org/and so on, and so on");
            for padded in [text.as_bytes(), behind.as_bytes()] {
                let window = padded.first_chunk();
                if let Some(host) = window.and_then(|window| short_host(window, text.len())) {
                    proptest::prop_assert_eq!(host, any_host(text.as_bytes()), "{}", text);
                }
            }
        }
    }

    #[test]
    fn short_hosts_are_decided_at_once() {
        for (text, expected) in [
            ("shop.example/", Some(Some(12))),
            ("a.b.co", Some(Some(6))),
            ("a-b.co", Some(Some(6))),
            ("abcdefghijklmnopqrstuvwxyz.co.id", None),
            ("abcdefghijklmnopqrstuvwxy.co.id", Some(Some(31))),
            ("localhost", Some(None)),
            ("a..co", Some(None)),
            (".a.co", Some(None)),
            ("a.co.", Some(None)),
            ("-a.co", Some(None)),
            ("a-.co", Some(None)),
            ("xn--a.co", Some(None)),
            ("a.bc--d.co", Some(None)),
            ("a.c", Some(None)),
            ("a.c0", Some(None)),
            ("", Some(None)),
        ] {
            let mut window = [b'.'; STOPS];
            window[..text.len()].copy_from_slice(text.as_bytes());
            assert_eq!(short_host(&window, text.len()), expected, "{text}");
        }
    }
}
