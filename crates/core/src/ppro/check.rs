//! The form of single values. Each check has a byte loop for the plain case, which nearly all
//! values are, and leaves the rest to the authority: `validator`, `url`, or a compiled regex.
//! Property tests hold the two against each other.
//!
//! Source: `docs/psp-guide.md`, "TRANSACTION".

use std::sync::LazyLock;

use regex::Regex;
use validator::{ValidateEmail as _, ValidateUrl as _};

use crate::rejection::Rule;
use crate::text::chars;

/// Length in characters. A value of `max` bytes or fewer cannot have more characters.
pub fn length(value: &str, min: u32, max: u32) -> Result<(), Rule> {
    let bytes = u32::try_from(value.len()).unwrap_or(u32::MAX);
    if value.is_ascii() && (min..=max).contains(&bytes) {
        return Ok(());
    }
    let got = chars(value);
    if got > max {
        Err(Rule::TooLong { max, got })
    } else if got < min {
        Err(Rule::TooShort { min, got })
    } else {
        Ok(())
    }
}

/// PPRO's `.{0,255}`: a dot matches everything but a line break.
pub fn one_line(value: &str) -> Result<(), Rule> {
    let broken = value.bytes().any(|byte| matches!(byte, b'\n' | b'\r'))
        || !value.is_ascii() && value.contains(['\u{85}', '\u{2028}', '\u{2029}']);
    if broken { Err(Rule::LineBreak) } else { Ok(()) }
}

/// References, `[a-zA-Z0-9.,-_]{1,40}`, read as letters, digits and the four marks `.`, `,`, `-`,
/// `_` (not as a range from `,` to `_`).
pub fn reference(value: &str) -> Result<(), Rule> {
    length(value, 1, 40)?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b',' | b'-' | b'_');
    if value.bytes().all(good) { Ok(()) } else { Err(Rule::ReferenceForm) }
}

/// Printable ASCII of at most `max` characters.
pub fn ascii(value: &str, max: u32) -> Result<(), Rule> {
    length(value, 1, max)?;
    let good = |byte: u8| matches!(byte, b' '..=b'~');
    if value.bytes().all(good) { Ok(()) } else { Err(Rule::NotAscii) }
}

/// Letters, digits, `-` and space.
pub fn postal_code(value: &str) -> Result<(), Rule> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| compiled("^[A-Za-z0-9 -]*$"));
    length(value, 0, 255)?;
    let plain = value.bytes().all(|byte| byte.is_ascii_digit());
    if plain || FORM.is_match(value) { Ok(()) } else { Err(Rule::PostalCodeForm) }
}

/// `+`, country code, number: 5 to 15 digits (E.164), with spaces, dots, dashes and brackets
/// between them if the PSP likes.
pub fn phone(value: &str) -> Result<(), Rule> {
    static FORM: LazyLock<Regex> =
        LazyLock::new(|| compiled(r"^\+[1-9](?:[ ().-]{0,3}[0-9]){4,14}$"));
    if plain_phone(value) || (value.len() <= 64 && FORM.is_match(value)) {
        Ok(())
    } else {
        Err(Rule::PhoneForm)
    }
}

fn plain_phone(value: &str) -> bool {
    let digits = value.strip_prefix('+').unwrap_or_default().as_bytes();
    (5..=15).contains(&digits.len())
        && !digits.starts_with(b"0")
        && digits.iter().all(u8::is_ascii_digit)
}

/// An e-mail address as HTML and `validator` understand RFC 5322, at most 255 characters.
pub fn email(value: &str) -> Result<(), Rule> {
    length(value, 1, 255)?;
    if plain_email(value) || value.validate_email() { Ok(()) } else { Err(Rule::EmailForm) }
}

fn plain_email(value: &str) -> bool {
    let Some((local, domain)) = value.split_once('@') else { return false };
    let local_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
    (1..=64).contains(&local.len()) && local.bytes().all(local_byte) && plain_host(domain)
}

/// A dotted name whose last label is letters only.
fn plain_host(host: &str) -> bool {
    let Some((_, last)) = host.rsplit_once('.') else { return false };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
            // Punycode has rules of its own; the authority knows them.
            && !label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
    };
    host.len() <= 253
        && last.len() >= 2
        && last.bytes().all(|byte| byte.is_ascii_alphabetic())
        && host.split('.').all(label)
}

/// An absolute `http` or `https` address of at most 255 characters, without credentials.
pub fn web_url(value: &str) -> Result<(), Rule> {
    length(value, 1, 255)?;
    if plain_url(value) || strict_web_url(value) { Ok(()) } else { Err(Rule::WebUrlForm) }
}

fn plain_url(value: &str) -> bool {
    let Some(rest) = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"))
    else {
        return false;
    };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path_byte = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'/' | b'?' | b'=' | b'&' | b'-' | b'_' | b'.' | b'~' | b'#')
    };
    plain_host(host) && path.bytes().all(path_byte)
}

fn strict_web_url(value: &str) -> bool {
    let clean = |byte: u8| byte > b' ' && byte != 0x7f && byte != b'\\';
    // The parser forgives missing and surplus slashes; browsers and clients may not.
    let after_scheme = scheme(value)
        .filter(|scheme| matches!(scheme.as_str(), "http" | "https"))
        .and_then(|scheme| value.get(scheme.len() + "://".len()..))
        .unwrap_or_default();
    value.bytes().all(clean)
        && !after_scheme.is_empty()
        && !after_scheme.starts_with('/')
        && !after_scheme.split(['/', '?', '#']).next().unwrap_or_default().contains('@')
        && value.validate_url()
        && url::Url::parse(value)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Where the GoPay app returns to: a web address or an app's own scheme, `shopapp://paid`.
///
/// GoPay adds `order_id` and `result` itself, so it may not bring a `result` of its own
/// (`docs/midtrans.md`, "Return from the app").
pub fn app_url(value: &str) -> Result<(), Rule> {
    const CHARS_MAX: u32 = 2_000;
    // No length is published; this one leaves room in the charge for all the rest.
    const BYTES_MAX: usize = 4_000;
    length(value, 1, CHARS_MAX)?;
    if value.len() > BYTES_MAX {
        return Err(Rule::TooLong { max: CHARS_MAX / 2, got: chars(value) });
    }
    if plain_url(value) {
        // Only its query is left to look at.
        return no_result(value);
    }
    let clean = |byte: u8| byte > b' ' && byte != 0x7f && byte != b'\\';
    let scheme = scheme(value).unwrap_or_default();
    let harmless = !scheme.is_empty() && !crate::text::is_harmful_scheme(&scheme);
    let parsed = || match scheme.as_str() {
        "http" | "https" => strict_web_url(value),
        _ => value.validate_url(),
    };
    if !value.bytes().all(clean) || !harmless || !parsed() {
        return Err(Rule::AppUrlForm);
    }
    no_result(value)
}

/// What stands before `://` at the very start, in lower case, if it has the form of a scheme.
fn scheme(value: &str) -> Option<String> {
    let (scheme, _) = value.split_once("://")?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let formed =
        scheme.bytes().all(good) && scheme.starts_with(|char: char| char.is_ascii_alphabetic());
    formed.then(|| scheme.to_ascii_lowercase())
}

fn no_result(value: &str) -> Result<(), Rule> {
    let before_fragment = value.split('#').next().unwrap_or_default();
    let query = before_fragment.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    if pairs.any(|(name, _)| name == "result") { Err(Rule::UrlHasResult) } else { Ok(()) }
}

/// An assigned ISO 3166-1 alpha-2 code, upper case.
pub fn country(value: &str) -> Result<(), Rule> {
    crate::country::alpha3(value).map(|_| ()).ok_or(Rule::CountryForm)
}

/// Digits without sign or leading zero, as sen. Its size is another rule's business: what does
/// not fit 64 bits is far above every limit.
pub fn amount(value: &str) -> Result<u64, Rule> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (value.len() > 1 && value.starts_with('0')) {
        return Err(Rule::AmountForm);
    }
    value.parse().map_err(|_| Rule::AmountTooLarge)
}

#[expect(clippy::expect_used, reason = "a pattern of ours that the tests compile")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        for (value, good) in [
            ("siti@example.org", true),
            ("a.b+c@mail.example.co.id", true),
            ("o'neil@example.com", true),
            ("x@localhost", true),
            ("budi@b\u{fc}cher.example", true),
            ("a@[127.0.0.1]", true),
            ("siti", false),
            ("siti@", false),
            ("@example.org", false),
            ("si ti@example.org", false),
            ("siti@exa mple.org", false),
            ("siti@@example.org", false),
            ("siti@-x.org", false),
            ("", false),
        ] {
            assert_eq!(email(value).is_ok(), good, "{value:?}");
        }
        assert!(email(&format!("{}@example.org", "a".repeat(64))).is_ok());
        assert!(email(&format!("{}@example.org", "a".repeat(65))).is_err());
        assert!(matches!(email(&"a".repeat(256)), Err(Rule::TooLong { max: 255, got: 256 })));
    }

    #[test]
    fn phones() {
        for (value, good) in [
            ("+628123456789", true),
            ("+62 812-3456-789", true),
            ("+62 (21) 555 0100", true),
            ("+12345", true),
            ("+123456789012345", true),
            ("+1234567890123456", false),
            ("628123456789", false),
            ("08123456789", false),
            ("+0812345", false),
            ("+62", false),
            ("+62 812 abc", false),
            ("++628123456789", false),
            ("+628123456789 ", false),
            ("", false),
        ] {
            assert_eq!(phone(value).is_ok(), good, "{value:?}");
        }
    }

    #[test]
    fn urls() {
        for (value, web, app) in [
            ("https://shop.example/return", true, true),
            ("http://127.0.0.1:8080/notify?x=1", true, true),
            ("https://shop.example/r?a=%20b&c=d#top", true, true),
            ("https://toko.example/caf\u{e9}", true, true),
            ("HTTPS://shop.example/", true, true),
            ("shopapp://paid", false, true),
            ("ftp://shop.example/", false, true),
            ("//shop.example/", false, false),
            ("shop.example", false, false),
            ("https://", false, false),
            ("https:///x", false, false),
            ("https://user:pw@shop.example/", false, false),
            ("https://shop.example/a b", false, false),
            ("https://shop.example\\@evil.example/", false, false),
            ("https://shop .example/", false, false),
            ("javascript://x/%0aalert(1)", false, false),
            ("javascript:alert(1)//://x", false, false),
            ("vbscript://x", false, false),
            ("about://blank", false, false),
            ("http://:@h.example/", false, false),
            ("https://shop.example/@me", true, true),
            ("data:text/html,<script>alert(1)</script>://x", false, false),
            ("https:evil.example/?u=https://shop.example/", false, false),
            ("javascript:alert(1)", false, false),
            ("mailto:a@b.example", false, false),
            ("", false, false),
        ] {
            assert_eq!(web_url(value).is_ok(), web, "web {value:?}");
            assert_eq!(app_url(value).is_ok(), app, "app {value:?}");
        }
        assert_eq!(app_url("shopapp://paid?result=1"), Err(Rule::UrlHasResult));
        assert_eq!(app_url("https://s.example/?a=1&result"), Err(Rule::UrlHasResult));
        assert_eq!(app_url("https://s.example/?results=1#result=2"), Ok(()));
        assert_eq!(app_url("https://s.example/#/paid?result=1"), Ok(()));
        assert_eq!(app_url("https://s.example/?%72esult=1"), Err(Rule::UrlHasResult));
        let long = |length: usize| format!("https://s.example/{}", "a".repeat(length - 18));
        assert!(web_url(&long(255)).is_ok());
        assert!(web_url(&long(256)).is_err());
    }

    #[test]
    fn references_amounts_and_codes() {
        for (value, good) in [
            ("ORDER-1_2.3,4", true),
            ("a", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("a:b", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(reference(value).is_ok(), good, "{value:?}");
        }
        assert!(reference(&"x".repeat(40)).is_ok());
        assert!(reference(&"x".repeat(41)).is_err());
        for (value, expected) in [
            ("100", Ok(100)),
            ("0", Ok(0)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err(Rule::AmountTooLarge)),
            ("", Err(Rule::AmountForm)),
            ("0100", Err(Rule::AmountForm)),
            ("-100", Err(Rule::AmountForm)),
            (" 100", Err(Rule::AmountForm)),
            ("100.00", Err(Rule::AmountForm)),
            ("1e3", Err(Rule::AmountForm)),
            ("\u{0661}", Err(Rule::AmountForm)),
        ] {
            assert_eq!(amount(value), expected, "{value:?}");
        }
        assert!(postal_code("12-3 AB").is_ok());
        assert!(postal_code("").is_ok());
        assert!(postal_code("12_3").is_err());
        assert!(postal_code("12\n").is_err());
        assert!(country("ID").is_ok());
        assert!(country("id").is_err());
        assert!(country("XX").is_err());
        assert!(country("IDN").is_err());
    }

    proptest::proptest! {
        /// The byte loops accept nothing that the authorities refuse.
        #[test]
        fn fast_paths_are_within_the_authorities(
            email in "[a-zA-Z0-9._+-]{1,66}@[a-zA-Z0-9.-]{1,20}\\.[a-z]{1,3}",
            link in "https?://[a-z0-9.-]{1,20}(\\.[a-z]{2,3})?[/?#a-z0-9=&.%~-]{0,20}",
            number in "\\+[0-9]{0,17}",
        ) {
            if plain_email(&email) {
                proptest::prop_assert!(email.validate_email(), "{}", email);
            }
            if plain_url(&link) {
                proptest::prop_assert!(strict_web_url(&link), "{}", link);
            }
            if plain_phone(&number) {
                let form = Regex::new(r"^\+[1-9](?:[ ().-]{0,3}[0-9]){4,14}$").unwrap();
                proptest::prop_assert!(form.is_match(&number), "{}", number);
            }
        }
    }
}
