//! In which language a shopper is spoken to.

/// One of the two languages of the shopper's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// For everybody else.
    English,
    /// For who prefers it.
    Indonesian,
}

impl Language {
    /// What a browser prefers, by its `Accept-Language` (RFC 9110, 12.5.4): of the two the one with the
    /// greater weight, the first one of equals; English if it names neither.
    #[must_use]
    pub fn preferred(accept_language: Option<&str>) -> Self {
        let mut best = (Self::English, 0);
        for range in accept_language.unwrap_or_default().split(',') {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let Some(language) = Self::of_tag(tag.trim()) else { continue };
            let weight = thousandths(weight.trim());
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }

    /// The language of a tag such as `id-ID` (RFC 5646). `in` is what Java and old Androids call
    /// Indonesian.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "id" | "in" => Some(Self::Indonesian),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// The tag for `lang`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Indonesian => "id",
        }
    }

    /// Of two texts the one in this language.
    #[must_use]
    pub const fn pick<T: Copy>(self, english: T, indonesian: T) -> T {
        match self {
            Self::English => english,
            Self::Indonesian => indonesian,
        }
    }
}

/// `q=0.8` as 800; what is no weight weighs nothing.
fn thousandths(weight: &str) -> u32 {
    let Some(value) = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q=")) else {
        return 0;
    };
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" => 1_000,
        "0" => format!("{part:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_of_the_two_is_spoken() {
        use Language::{English, Indonesian};
        for (header, language) in [
            (None, English),
            (Some(""), English),
            (Some("id"), Indonesian),
            (Some("id-ID,id;q=0.9,en-US;q=0.8,en;q=0.7"), Indonesian),
            (Some("en-US,en;q=0.9,id;q=0.8"), English),
            (Some("en;q=0.5, in-ID;q=0.75"), Indonesian),
            (Some("ID_id"), Indonesian),
            (Some("zh-CN,zh;q=0.9"), English),
            (Some("zh-CN,id;q=0.1"), Indonesian),
            (Some("id;q=0"), English),
            (Some("id;q=0.0001,en;q=0.001"), English),
            (Some("*"), English),
            (Some("idx,;;,q=1,id;q=2"), English),
        ] {
            assert_eq!(Language::preferred(header), language, "{header:?}");
        }
    }
}
