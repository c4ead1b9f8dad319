//! The style sheet and the icon.

use std::fmt::Write as _;
use std::sync::LazyLock;

/// A colour in light and in dark.
struct Colour {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
}

const fn colour(name: &'static str, light: &'static str, dark: &'static str) -> Colour {
    Colour { name, light, dark }
}

/// Text on its ground has a contrast of 4.5 to 1 at least, edges of fields and the mark of the focus
/// 3 to 1 (WCAG 2.2, 1.4.3 and 1.4.11); the tests compute it. A longer name before the one that it
/// begins with.
const PALETTE: [Colour; 17] = [
    colour("ink", "#16212b", "#e8eef2"),
    colour("soft", "#4b5965", "#aab8c3"),
    colour("ground", "#f2f5f7", "#0f151a"),
    colour("card", "#ffffff", "#182027"),
    colour("line", "#d3dce2", "#33424d"),
    colour("edge", "#74848f", "#80919d"),
    colour("accent", "#00647a", "#62cfe6"),
    colour("brand", "#00647a", "#0a4a5a"),
    colour("white", "#ffffff", "#f2fbfd"),
    colour("label", "#ffffff", "#05222a"),
    colour("focus", "#b45309", "#ffc46b"),
    colour("goodground", "#dff4e6", "#10301c"),
    colour("good", "#0b6430", "#86e0a3"),
    colour("badground", "#fde8e6", "#3b1512"),
    colour("bad", "#9c1f17", "#ffb3a9"),
    colour("waitground", "#fff1d0", "#342709"),
    colour("wait", "#754a00", "#ffd282"),
];

/// The rules, with `$name` for a colour.
const RULES: &str = include_str!("sheet.css");

/// What the console has besides: tables, charts, its header.
const CONSOLE_RULES: &str = include_str!("console.css");

static STYLE: LazyLock<String> = LazyLock::new(|| sheet(RULES));
static CONSOLE: LazyLock<String> = LazyLock::new(|| sheet(CONSOLE_RULES));

/// The rules in light colours, and those with colours once more in dark ones. Colours are written out,
/// since browsers before Chrome 49, which old phones have in their apps, know no custom properties;
/// those know no dark scheme either, and skip it.
fn sheet(rules: &str) -> String {
    let mut sheet = String::with_capacity(2 * rules.len());
    let mut dark = String::new();
    for line in rules.lines() {
        sheet.push_str(&coloured(line, |colour| colour.light));
        let Some((selector, rest)) = line.split_once('{') else { continue };
        let declarations = rest.trim_end_matches('}').split(';').filter(|one| one.contains('$'));
        let declarations: Vec<String> =
            declarations.map(|one| coloured(one, |colour| colour.dark)).collect();
        if !declarations.is_empty() {
            let _ = write!(dark, "{selector}{{{}}}", declarations.join(";"));
        }
    }
    let _ = write!(sheet, "@media(prefers-color-scheme:dark){{{dark}}}");
    sheet
}

fn coloured(text: &str, scheme: impl Fn(&Colour) -> &'static str) -> String {
    if !text.contains('$') {
        return text.to_owned();
    }
    PALETTE.iter().fold(text.to_owned(), |text, colour| {
        text.replace(&format!("${}", colour.name), scheme(colour))
    })
}

/// Seen at 16 pixels, on light and on dark tabs.
const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\">\
<rect width=\"32\" height=\"32\" rx=\"7\" fill=\"#00647a\"/>\
<path d=\"M6 11h17a3 3 0 0 1 3 3v9a3 3 0 0 1-3 3H9a3 3 0 0 1-3-3zM6 11V9a3 3 0 0 1 3-3h12v5M20 17h6v4h-6z\" fill=\"none\" stroke=\"#fff\" stroke-width=\"2.4\" stroke-linejoin=\"round\"/></svg>";

/// A file that pages name. Each room serves both at an address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asset {
    /// `.css`.
    Style,
    /// `-lists.css`: what the console has besides.
    Console,
    /// `.svg`.
    Icon,
}

impl Asset {
    /// A browser may keep it for a year: another version has another address.
    pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

    /// The bytes.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Style => &STYLE,
            Self::Console => &CONSOLE,
            Self::Icon => ICON,
        }
    }

    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Style | Self::Console => "text/css; charset=utf-8",
            Self::Icon => "image/svg+xml",
        }
    }

    /// Of the address, what comes after the room's part.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Style => ".css",
            Self::Console => "-lists.css",
            Self::Icon => ".svg",
        }
    }

    /// The address below the room's part, with the version.
    #[must_use]
    pub fn versioned(self, room: &str) -> String {
        format!("{room}{}?v={:08x}", self.suffix(), checksum(self.text()))
    }
}

/// FNV-1a: another text has another version.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
#[expect(clippy::float_arithmetic, reason = "contrast is defined by real numbers")]
mod tests {
    use super::*;

    /// Relative luminance of `#rrggbb` (WCAG 2.2).
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn named(name: &str) -> &'static Colour {
        PALETTE.iter().find(|colour| colour.name == name).expect(name)
    }

    #[test]
    fn all_text_can_be_read_in_light_and_in_dark() {
        for (text, ground, least) in [
            ("ink", "ground", 4.5),
            ("ink", "card", 4.5),
            ("soft", "ground", 4.5),
            ("soft", "card", 4.5),
            ("accent", "ground", 4.5),
            ("accent", "card", 4.5),
            ("label", "accent", 4.5),
            ("white", "brand", 4.5),
            ("good", "goodground", 4.5),
            ("wait", "waitground", 4.5),
            ("bad", "badground", 4.5),
            ("bad", "card", 4.5),
            ("edge", "card", 3.0),
            ("edge", "ground", 3.0),
            ("focus", "ground", 3.0),
            ("focus", "card", 3.0),
        ] {
            let (text, ground) = (named(text), named(ground));
            for (text, ground) in [(text.light, ground.light), (text.dark, ground.dark)] {
                let contrast = contrast(text, ground);
                assert!(contrast >= least, "{text} on {ground}: {contrast}");
            }
        }
    }

    #[test]
    fn the_sheet_is_plain_small_and_complete() {
        let sheet = Asset::Style.text();
        assert!(!sheet.contains('$') && !sheet.contains("var("), "{sheet}");
        assert!(!sheet.contains("url(") && !sheet.contains("@import"), "nothing from elsewhere");
        assert_eq!(sheet.matches('{').count(), sheet.matches('}').count());
        assert!(sheet.len() < 10_000, "{} bytes", sheet.len());
        let (light, dark) = sheet.split_once("@media(prefers-color-scheme:dark){").unwrap();
        for colour in PALETTE.iter() {
            assert!(light.contains(colour.light), "{}", colour.name);
            assert!(dark.contains(colour.dark), "{}", colour.name);
        }
    }

    #[test]
    fn the_sheet_of_the_console_adds_to_it_and_needs_nothing_from_elsewhere() {
        let sheet = Asset::Console.text();
        assert!(!sheet.contains('$') && !sheet.contains("url(") && !sheet.contains("@import"));
        assert_eq!(sheet.matches('{').count(), sheet.matches('}').count());
        assert!(sheet.len() < 10_000, "{} bytes", sheet.len());
    }

    #[test]
    fn another_text_has_another_address() {
        assert_ne!(checksum("a"), checksum("b"));
        assert_eq!(checksum("foobar"), 0xbf9c_f968, "the published vector of FNV-1a");
        assert!(Asset::Icon.versioned("/x").starts_with("/x.svg?v="));
    }
}
