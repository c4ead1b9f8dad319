//! Headers of pages, and what those of a request say about who shows them.

/// What every page without forms has: the style sheet and images of this address and nothing else, also
/// not by a form that somebody smuggles in; it is in no frame, in no cache, tells nobody where its reader
/// came from, and is nothing but what it says.
pub const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

/// The same for pages with forms. The policy says nothing of where forms go: browsers would apply that to
/// the redirect after a form as well, which leads to a merchant. And the own address is told where a form
/// comes from: under `no-referrer`, browsers say `Origin: null`, which is what [`is_own_page`] refuses.
pub const HEADERS_WITH_FORMS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Whether a browser asks, by the `Accept` header: it names HTML, and a program does not.
#[must_use]
pub fn wants_page(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| {
        accept.split(',').any(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("text/html")
                || kind.eq_ignore_ascii_case("application/xhtml+xml")
        })
    })
}

/// Whether a request to something without a login may come from a page of our own, or from no page
/// at all: no other site's page, and no name that somebody else could lead to this address (DNS
/// rebinding). `host`, `origin` and `fetch_site` are the headers `Host`, `Origin` and
/// `Sec-Fetch-Site`; `known` is a host that the operator named.
///
/// A name without a dot is one of the own network, such as a container's.
#[must_use]
pub fn is_own_page(
    host: Option<&str>,
    origin: Option<&str>,
    fetch_site: Option<&str>,
    known: Option<&str>,
) -> bool {
    let Some(host) = host else {
        // No browser leaves it out.
        return origin.is_none() && fetch_site.is_none();
    };
    let name = host_name(host);
    let own = name.parse::<std::net::IpAddr>().is_ok()
        || !name.contains(['.', ':'])
        || name.to_ascii_lowercase().ends_with(".localhost")
        || known.is_some_and(|known| known.eq_ignore_ascii_case(name));
    let same = origin.is_none_or(|origin| {
        origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
    });
    own && same && !matches!(fetch_site, Some("cross-site" | "same-site"))
}

/// The name or address in a `Host` header, without port and brackets.
fn host_name(host: &str) -> &str {
    if let Some((inside, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside;
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_from_programs() {
        for (accept, page) in [
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), true),
            (Some("TEXT/HTML; charset=utf-8"), true),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (Some("text/html-not"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(wants_page(accept), page, "{accept:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_told_from_our_own() {
        let local = Some("127.0.0.1:8090");
        for (host, origin, site, own) in [
            (local, None, None, true),
            (local, Some("http://127.0.0.1:8090"), Some("same-origin"), true),
            (local, None, Some("none"), true),
            (Some("[::1]:8090"), Some("http://[::1]:8090"), None, true),
            (Some("localhost:8090"), None, None, true),
            (Some("a.localhost"), None, None, true),
            (Some("simulator:8090"), None, None, true),
            (Some("SIM.example:8090"), Some("https://sim.example:8090"), None, true),
            (None, None, None, true),
            // Another page of this machine, another site, a sandboxed frame.
            (local, Some("http://127.0.0.1:3000"), None, false),
            (local, Some("https://evil.example"), None, false),
            (local, Some("null"), None, false),
            (local, None, Some("cross-site"), false),
            (local, None, Some("same-site"), false),
            // A name of somebody else that leads here.
            (Some("evil.example:8090"), Some("http://evil.example:8090"), None, false),
            (Some("evil.example:8090"), None, None, false),
            (Some("127.0.0.1.evil.example"), None, None, false),
            (None, Some("https://evil.example"), None, false),
        ] {
            let known = Some("sim.example");
            assert_eq!(is_own_page(host, origin, site, known), own, "{host:?} {origin:?} {site:?}");
        }
    }
}
