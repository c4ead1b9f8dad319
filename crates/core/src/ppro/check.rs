//! The form of single values. Each check has a fast path, a byte loop for the plain case, which
//! nearly all values are, and leaves the rest to an authority: `validator`, `url`, or a compiled
//! regex. Property tests hold the two against each other.
//!
//! Source: `docs/psp-guide.md`, "TRANSACTION".

use std::sync::LazyLock;

use gopay_scan::{Kinds, STOPS, kinds};
use regex::Regex;
use validator::{ValidateEmail as _, ValidateUrl as _};

use crate::bytes::{CLEAN, DIGIT, LOCAL, POSTAL, PRINTABLE, REFERENCE, all, class};
use crate::link::{first_part, plain_app_url, plain_host, plain_url};
use crate::rejection::Rule;
use crate::text::{chars, is_blank, is_system_scheme};

/// The length in characters. A character has one to four bytes.
#[inline]
pub fn length(value: &str, min: u32, max: u32) -> Result<(), Rule> {
    let bytes = u32::try_from(value.len()).unwrap_or(u32::MAX);
    // So many bytes are at least a quarter as many characters, and at most as many.
    if bytes <= max && (min <= 1 && bytes >= min || bytes / 4 >= min) {
        return Ok(());
    }
    counted(value, min, max)
}

fn counted(value: &str, min: u32, max: u32) -> Result<(), Rule> {
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

/// A name that can be read: one that is not empty shows at least one character.
#[inline]
pub fn name(value: &str) -> Result<(), Rule> {
    let shows = value.is_empty() || value.as_bytes().first().is_some_and(u8::is_ascii_graphic);
    if shows || !is_blank(value) { Ok(()) } else { Err(Rule::Blank) }
}

/// References, `[a-zA-Z0-9.,-_]{1,40}`, read as letters, digits and the four marks `.`, `,`, `-`,
/// `_` (not as a range from `,` to `_`).
pub fn reference(value: &str) -> Result<(), Rule> {
    length(value, 1, 40)?;
    if all(value.as_bytes(), REFERENCE) { Ok(()) } else { Err(Rule::ReferenceForm) }
}

/// Printable ASCII of at most `max` characters.
pub fn ascii(value: &str, max: u32) -> Result<(), Rule> {
    length(value, 1, max)?;
    if all(value.as_bytes(), PRINTABLE) { Ok(()) } else { Err(Rule::NotAscii) }
}

/// Letters, digits, `-` and space.
pub fn postal_code(value: &str) -> Result<(), Rule> {
    length(value, 0, 255)?;
    if all(value.as_bytes(), POSTAL) { Ok(()) } else { Err(Rule::PostalCodeForm) }
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

/// Digits, with at most one space or dash between two of them.
fn plain_phone(value: &str) -> bool {
    let [b'+', b'1'..=b'9', rest @ ..] = value.as_bytes() else { return false };
    let mut digits = 1;
    let mut after_digit = true;
    for byte in rest {
        let digit = byte.is_ascii_digit();
        let mark = after_digit && matches!(byte, b' ' | b'-');
        if !(digit || mark) {
            return false;
        }
        digits += u32::from(digit);
        after_digit = digit;
    }
    after_digit && (5..=15).contains(&digits)
}

/// An e-mail address as HTML and `validator` understand RFC 5322, at most 255 characters.
pub fn email(value: &str) -> Result<(), Rule> {
    email_within(value, value.as_bytes())
}

/// As [`email`]. `padded` is the value followed by readable filler bytes, so that whole blocks can
/// be loaded.
#[inline]
pub(crate) fn email_within(value: &str, padded: &[u8]) -> Result<(), Rule> {
    length(value, 1, 255)?;
    if plain_email(value.as_bytes(), padded) || value.validate_email() {
        Ok(())
    } else {
        Err(Rule::EmailForm)
    }
}

fn plain_email(value: &[u8], padded: &[u8]) -> bool {
    let local = padded.first_chunk().and_then(short_local).unwrap_or_else(|| any_local(value));
    let Some((local, [b'@', domain @ ..])) = value.split_at_checked(local) else { return false };
    let padded = padded.get(local.len() + 1..).unwrap_or_default();
    (1..=64).contains(&local.len()) && plain_host(domain, padded) == Some(domain.len())
}

/// The length of the plain local part at the start of the window; `None` if it does not end within
/// it. It may run into the filler bytes; then no `@` follows in the value.
#[inline]
fn short_local(window: &[u8; STOPS]) -> Option<usize> {
    let Kinds { letters, digits, hyphens, dots, marks } = kinds(window);
    let run = (letters | digits | hyphens | dots | marks).trailing_ones();
    usize::try_from(run).ok().filter(|run| *run < STOPS)
}

fn any_local(value: &[u8]) -> usize {
    value.iter().take_while(|byte| class(**byte) & LOCAL != 0).count()
}

/// An absolute `http` or `https` address of at most 255 characters, without credentials.
pub fn web_url(value: &str) -> Result<(), Rule> {
    web_url_within(value, value.as_bytes())
}

/// As [`web_url`], with `padded` as in [`email_within`].
pub(crate) fn web_url_within(value: &str, padded: &[u8]) -> Result<(), Rule> {
    length(value, 1, 255)?;
    if plain_url(value.as_bytes(), padded) || strict_web_url(value) {
        Ok(())
    } else {
        Err(Rule::WebUrlForm)
    }
}

fn strict_web_url(value: &str) -> bool {
    // The parser forgives missing and surplus slashes; browsers and clients may not.
    let after_scheme = scheme(value)
        .filter(|scheme| matches!(scheme.as_str(), "http" | "https"))
        .and_then(|scheme| value.get(scheme.len() + "://".len()..))
        .unwrap_or_default();
    all(value.as_bytes(), CLEAN)
        && !after_scheme.is_empty()
        && !after_scheme.starts_with('/')
        && !after_scheme.split(['/', '?', '#']).next().unwrap_or_default().contains('@')
        && value.validate_url()
        && url::Url::parse(value)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Where a shopper may be sent back to: `https`, an app's own scheme such as `shopapp://paid`, and
/// `http` if `http` says so. Errors of form are those of the caller's rule `malformed`.
///
/// Schemes of the system and of the browser lead to no shop ([`is_system_scheme`]).
#[inline]
fn return_address(value: &str, padded: &[u8], http: bool, malformed: Rule) -> Result<(), Rule> {
    let plain = plain_url(value.as_bytes(), padded);
    if !plain && !plain_app_url(value.as_bytes()) {
        any_return_address(value, malformed)?;
    }
    let starts = |with: &str| value.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if !http && starts("http:") { Err(Rule::HttpOnTestOnly) } else { Ok(()) }
}

#[cold]
fn any_return_address(value: &str, malformed: Rule) -> Result<(), Rule> {
    let named = value.split(':').next().unwrap_or_default().to_ascii_lowercase();
    if named.len() < value.len() && is_system_scheme(&named) {
        return Err(Rule::SystemScheme);
    }
    let formed = match scheme(value).as_deref() {
        None => false,
        Some("http" | "https") => strict_web_url(value),
        Some(_) => all(value.as_bytes(), CLEAN) && value.validate_url(),
    };
    if formed { Ok(()) } else { Err(malformed) }
}

/// Where the shopper's browser returns to: a `return_address` of at most 255 characters, whose
/// query has no `txid` and no `cs`, which we add. `http` only if `http` says so.
///
/// A receiver that finds a name twice takes the first, the last or both; by a name in other case
/// too.
pub fn redirect_url(value: &str, http: bool) -> Result<(), Rule> {
    redirect_url_within(value, value.as_bytes(), http)
}

/// As [`redirect_url`], with `padded` as in [`email_within`].
pub(crate) fn redirect_url_within(value: &str, padded: &[u8], http: bool) -> Result<(), Rule> {
    length(value, 1, 255)?;
    return_address(value, padded, http, Rule::WebUrlForm)?;
    let Some(part) = first_part(value.as_bytes(), padded) else { return Ok(()) };
    // A question mark in the fragment begins no query.
    let Some(query) = value.get(part..).and_then(|part| part.strip_prefix('?')) else {
        return Ok(());
    };
    let query = query.split('#').next().unwrap_or_default();
    if has_return_parameter(query) { Err(Rule::UrlHasReturnParameter) } else { Ok(()) }
}

/// Whether one of the parameters is called as one of those that we add.
fn has_return_parameter(query: &str) -> bool {
    const OURS: [&str; 2] = ["txid", "cs"];
    if query.as_bytes().contains(&b'%') {
        let ours = |name: &str| OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours));
        return url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| ours(&name));
    }
    query.as_bytes().split(|byte| *byte == b'&').any(|pair| {
        OURS.iter().any(|ours| {
            pair.split_at_checked(ours.len()).is_some_and(|(name, rest)| {
                matches!(rest, [] | [b'=', ..]) && name.eq_ignore_ascii_case(ours.as_bytes())
            })
        })
    })
}

/// Where the GoPay app returns to: a `return_address` without a query and a fragment.
///
/// GoPay appends `?order_id=` and `&result=` to whatever it is given (`docs/midtrans.md`, "Return
/// from the app"), so that they would end up inside of either.
pub fn app_url(value: &str, http: bool) -> Result<(), Rule> {
    app_url_within(value, value.as_bytes(), http)
}

/// As [`app_url`], with `padded` as in [`email_within`].
pub(crate) fn app_url_within(value: &str, padded: &[u8], http: bool) -> Result<(), Rule> {
    const CHARS_MAX: u32 = 2_000;
    // No limit is published; this one leaves space in the charge for everything else.
    const BYTES_MAX: usize = 4_000;
    length(value, 1, CHARS_MAX)?;
    if value.len() > BYTES_MAX {
        return Err(Rule::TooLong { max: CHARS_MAX / 2, got: chars(value) });
    }
    return_address(value, padded, http, Rule::AppUrlForm)?;
    if first_part(value.as_bytes(), padded).is_some() { Err(Rule::UrlHasQuery) } else { Ok(()) }
}

/// Whether a return address is of the web, or of an app that is among `schemes` (lower case); none:
/// of any app.
///
/// # Errors
/// [`Rule::SchemeNotOfContract`].
#[inline]
pub fn app_scheme(value: &str, schemes: Option<&[String]>) -> Result<(), Rule> {
    match schemes {
        None => Ok(()),
        Some(schemes) => listed_scheme(value, schemes),
    }
}

#[cold]
fn listed_scheme(value: &str, schemes: &[String]) -> Result<(), Rule> {
    match scheme(value).as_deref() {
        Some("https" | "http") => Ok(()),
        Some(scheme) if schemes.iter().any(|listed| listed == scheme) => Ok(()),
        Some(_) | None => Err(Rule::SchemeNotOfContract),
    }
}

/// Whether a scheme may stand in the list of a contract: one of an app's own, in lower case.
///
/// # Errors
/// [`Rule::AppUrlForm`], [`Rule::SystemScheme`], or [`Rule::WebUrlForm`] for one of the web, which
/// needs no listing.
pub fn listable_scheme(word: &str) -> Result<(), Rule> {
    if matches!(word, "http" | "https") {
        return Err(Rule::WebUrlForm);
    }
    match scheme(&format!("{word}://")) {
        Some(scheme) if scheme == word => app_url(&format!("{word}://callback"), false),
        Some(_) | None => Err(Rule::AppUrlForm),
    }
}

/// The scheme, in lower case: what is before the first `://`, if it has the form of one.
fn scheme(value: &str) -> Option<String> {
    let (scheme, _) = value.split_once("://")?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let formed =
        scheme.bytes().all(good) && scheme.starts_with(|char: char| char.is_ascii_alphabetic());
    formed.then(|| scheme.to_ascii_lowercase())
}

/// An assigned ISO 3166-1 alpha-2 code, upper case.
pub fn country(value: &str) -> Result<(), Rule> {
    crate::country::alpha3(value).map(|_| ()).ok_or(Rule::CountryForm)
}

/// Digits without sign or leading zero, as sen. Another rule checks its limits; an amount beyond 64
/// bits is far above all of them.
pub fn amount(value: &str) -> Result<u64, Rule> {
    let digits = !value.is_empty() && all(value.as_bytes(), DIGIT);
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
        for (value, web, back) in [
            ("https://shop.example/return", true, true),
            ("http://127.0.0.1:8080/notify?x=1", true, true),
            ("https://shop.example/r?a=%20b&c=d#top", true, true),
            ("https://toko.example/caf\u{e9}", true, true),
            ("HTTPS://shop.example/", true, true),
            ("shopapp://paid", false, true),
            ("SHOPAPP://paid", false, true),
            ("com.shop.app://paid/now", false, true),
            ("//shop.example/", false, false),
            ("shop.example", false, false),
            ("https://", false, false),
            ("https:///x", false, false),
            ("https://user:pw@shop.example/", false, false),
            ("https://shop.example/a b", false, false),
            ("https://shop.example\\@evil.example/", false, false),
            ("https://shop .example/", false, false),
            ("http://:@h.example/", false, false),
            ("https://shop.example/@me", true, true),
            ("https:evil.example/?u=https://shop.example/", false, false),
            ("", false, false),
        ] {
            assert_eq!(web_url(value).is_ok(), web, "web {value:?}");
            assert_eq!(redirect_url(value, true).is_ok(), back, "back {value:?}");
            if !value.contains(['?', '#']) {
                assert_eq!(app_url(value, true).is_ok(), back, "app {value:?}");
            }
        }
        let long = |length: usize| format!("https://s.example/{}", "a".repeat(length - 18));
        assert!(web_url(&long(255)).is_ok());
        assert!(web_url(&long(256)).is_err());
        assert!(redirect_url(&long(256), false).is_err());
    }

    #[test]
    fn shoppers_are_sent_back_to_no_scheme_of_the_system_or_the_browser() {
        for value in [
            "javascript://x/%0aalert(1)",
            "javascript:alert(1)//://x",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,<script>alert(1)</script>://x",
            "vbscript://x",
            "about://blank",
            "about:blank",
            "view-source:https://shop.example/",
            "blob:https://shop.example/x",
            "file:///etc/passwd",
            "intent://scan/#Intent;scheme=zxing;end",
            "INTENT://scan/",
            "tel:+6281",
            "tel://6281",
            "sms://6281",
            "mailto:a@b.example",
            "market://details",
            "content://contacts/people",
            "chrome://settings",
            "ws://shop.example/",
            "ftp://shop.example/",
            "itms-services://x",
            "ms-settings://x",
        ] {
            assert_eq!(redirect_url(value, true), Err(Rule::SystemScheme), "{value:?}");
            assert_eq!(app_url(value, true), Err(Rule::SystemScheme), "{value:?}");
        }
        assert_eq!(app_url("someapps://callback", false), Ok(()));
    }

    #[test]
    fn http_returns_on_the_test_channel_only() {
        for value in ["http://shop.example/r", "HTTP://shop.example/r", "http://caf\u{e9}.example/"]
        {
            for (http, expected) in [(true, Ok(())), (false, Err(Rule::HttpOnTestOnly))] {
                assert_eq!(redirect_url(value, http), expected, "{value}");
                assert_eq!(app_url(value, http), expected, "{value}");
            }
        }
        for value in
            ["https://shop.example/r", "HTTPS://shop.example/r", "httpshop://r", "shopapp://r"]
        {
            assert_eq!(redirect_url(value, false), Ok(()), "{value}");
            assert_eq!(app_url(value, false), Ok(()), "{value}");
        }
    }

    #[test]
    fn what_is_added_to_a_return_address_finds_its_place() {
        for (value, expected) in [
            ("https://s.example/", Ok(())),
            ("https://s.example/?a=1", Err(Rule::UrlHasQuery)),
            ("https://s.example/?", Err(Rule::UrlHasQuery)),
            ("https://s.example/#top", Err(Rule::UrlHasQuery)),
            ("shopapp://paid?result=1", Err(Rule::UrlHasQuery)),
            ("https://s.example/%3Fa=1", Ok(())),
        ] {
            assert_eq!(app_url(value, false), expected, "{value}");
        }
        for (query, good) in [
            ("?a=1&txids=2&css=3", true),
            ("?a=txid&b=cs", true),
            ("?", true),
            ("#txid=1", true),
            ("#/x?txid=1&cs=2", true),
            ("?txid=1", false),
            ("?a=1&cs", false),
            ("?TxId=1", false),
            ("?a&%74xid=1", false),
            ("?cs=1#top", false),
            ("?&cs=", false),
        ] {
            let expected = if good { Ok(()) } else { Err(Rule::UrlHasReturnParameter) };
            for base in ["https://s.example/r", "shopapp://paid"] {
                assert_eq!(redirect_url(&format!("{base}{query}"), false), expected, "{query}");
            }
        }
    }

    #[test]
    fn a_name_shows_something() {
        for value in ["", "Siti", " Siti", "\u{200b}S", "\u{e9}", "-", "\u{1f642}", "\u{4e2d}"] {
            assert_eq!(name(value), Ok(()), "{value:?}");
        }
        for value in [" ", "   ", "\t", "\u{a0}\u{3000}", "\u{200b}\u{feff}", "\u{3164}", "\u{1}"] {
            assert_eq!(name(value), Err(Rule::Blank), "{value:?}");
        }
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

    /// Numbers that [`plain_phone`] leaves to the regex.
    fn is_phone(value: &str) -> bool {
        Regex::new(r"^\+[1-9](?:[ ().-]{0,3}[0-9]){4,14}$").unwrap().is_match(value)
    }

    proptest::proptest! {
        /// The byte loops accept nothing that the authorities refuse.
        #[test]
        fn fast_paths_are_within_the_authorities(
            email in "[a-zA-Z0-9._+-]{1,66}@[a-zA-Z0-9.-]{1,20}\\.[a-z]{1,3}",
            host in "(xn--)?[a-zA-Z0-9-]{0,64}(\\.(xn--)?[a-z0-9-]{0,4}){0,3}\\.[a-z0-9]{0,3}",
            path in "([/?#][\\PC]{0,20})?",
            app in "[a-z]{0,11}://[a-z0-9.&=~_-]{0,12}[/?#a-z0-9=&.~_-]{0,20}",
            number in "\\+[0-9]{1,2}([0-9]|[ -][0-9]|[ (.)-]){0,15}",
        ) {
            if plain_email(email.as_bytes(), email.as_bytes()) {
                proptest::prop_assert!(email.validate_email(), "{}", email);
            }
            let email = format!("a@{host}");
            if plain_email(email.as_bytes(), email.as_bytes()) {
                proptest::prop_assert!(email.validate_email(), "{}", email);
            }
            let link = format!("https://{host}{path}");
            if plain_url(link.as_bytes(), link.as_bytes()) {
                proptest::prop_assert!(strict_web_url(&link), "{}", link);
            }
            for app in [&app, &app.replacen(':', "", 1), &link.replace("https", "wss")] {
                if plain_app_url(app.as_bytes()) {
                    proptest::prop_assert!(app.validate_url(), "{}", app);
                }
            }
            if plain_phone(&number) {
                proptest::prop_assert!(is_phone(&number), "{}", number);
            }
        }

        /// Names of parameters are compared as they stand only where nothing is escaped.
        #[test]
        fn parameters_that_we_add_are_found(query in "((txid|TXID|cs|cS|c|a|txids|%63s)=?[a-z]{0,3}[&+]?){0,4}") {
            let ours = |name: &str| name.eq_ignore_ascii_case("txid") || name.eq_ignore_ascii_case("cs");
            let named = url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| ours(&name));
            proptest::prop_assert_eq!(has_return_parameter(&query), named, "{}", query);
            let value = format!("https://shop.example/{}?{query}", "a".repeat(query.len()));
            let padded = format!("{value}????????????????????????????????");
            for padded in [&value, &padded] {
                proptest::prop_assert_eq!(first_part(value.as_bytes(), padded.as_bytes()), value.find('?'));
            }
        }

        #[test]
        fn lengths_are_counted_in_characters(value in "\\PC{0,12}", min in 0..6_u32, more in 0..6_u32) {
            proptest::prop_assert_eq!(length(&value, min, min + more), counted(&value, min, min + more));
        }
    }
}
