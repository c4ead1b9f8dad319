//! What a browser says that it runs on.

use axum::http::HeaderMap;

/// Where a shopper's browser runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    /// A browser of a phone or tablet, or of an app that shows our pages because it leads to GoPay.
    Phone,
    /// The browser inside an app whose business is another one.
    InApp(InApp),
    /// Anything else, also a tablet or phone that asks for desktop pages: it says so in no way.
    Computer,
}

/// The phone of such a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InApp {
    /// It can be left by an `intent:`.
    Android,
    /// iPhone, iPad.
    Apple,
}

/// What the browsers of Facebook, Messenger, Instagram, LINE, WeChat, TikTok (two names), X, Snapchat and
/// LinkedIn call themselves. They lead to other apps on a tap at most.
const IN_APP: [&str; 11] = [
    "FBAN/",
    "FBAV/",
    "FB_IAB/",
    "Instagram ",
    " Line/",
    "MicroMessenger/",
    "BytedanceWebview",
    "musical_ly",
    "Twitter for",
    "Snapchat",
    "LinkedInApp",
];

impl Device {
    /// By the hint that browsers of Chromium send (`sec-ch-ua-mobile: ?1`), else by what the browser
    /// calls itself and its system.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let agent = text("user-agent").unwrap_or_default();
        let names = |words: &[&str]| words.iter().any(|word| agent.contains(word));
        let apple = names(&["iPhone", "iPad", "iPod"]);
        if names(&IN_APP) && (apple || names(&["Android"])) {
            return Self::InApp(if apple { InApp::Apple } else { InApp::Android });
        }
        let hinted = text("sec-ch-ua-mobile").is_some_and(|hint| hint.trim() == "?1");
        if hinted || apple || names(&["Android", "Mobile"]) { Self::Phone } else { Self::Computer }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    use Device::{Computer, InApp as In, Phone};

    const LINUX: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36";

    /// What a browser calls itself, its hint, and what it is.
    const BROWSERS: &[(&str, &str, Device)] = &[
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Mobile Safari/537.36",
            "",
            Phone,
        ),
        ("Mozilla/5.0 (Linux; Android 13; SM-X200) AppleWebKit/537.36 Safari/537.36", "?0", Phone),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15", "", Phone),
        // The web view of a shop's own app hands addresses on: PPRO's pages ask for that.
        (
            "Mozilla/5.0 (Linux; Android 9; SM-J730G; wv) AppleWebKit/537.36 Version/4.0 Chrome/79.0 Mobile Safari/537.36",
            "",
            Phone,
        ),
        (LINUX, "?1", Phone),
        (LINUX, "?0", Computer),
        (LINUX, "", Computer),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
            "",
            Computer,
        ),
        ("curl/8.5.0", "", Computer),
        ("", "", Computer),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-A536B; wv) AppleWebKit/537.36 Version/4.0 Chrome/110.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/402.1.0.24.84;]",
            "?1",
            In(InApp::Android),
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 16_3 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Instagram 270.0.0.13.83",
            "",
            In(InApp::Apple),
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 16_3 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari Line/13.1.0",
            "",
            In(InApp::Apple),
        ),
        ("LinkedInApp", "", Computer),
    ];

    #[test]
    fn phones_are_told_from_desktops_and_from_browsers_inside_apps() {
        for (agent, hint, device) in BROWSERS {
            let mut headers = HeaderMap::new();
            for (name, value) in [("user-agent", *agent), ("sec-ch-ua-mobile", *hint)] {
                if !value.is_empty() {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(Device::of(&headers), *device, "{agent} {hint}");
        }
    }
}
