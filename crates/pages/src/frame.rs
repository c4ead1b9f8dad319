//! What stands around the content of every page.

use maud::{DOCTYPE, Markup, html};

use crate::language::Language;
use crate::style::Asset;

/// How much room a page takes on a wide screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One column, as on a phone.
    Phone,
    /// Lists and tables.
    Desk,
}

/// The frame of a page.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Of the whole page.
    pub language: Language,
    /// Of the window and of the first heading.
    pub title: &'a str,
    /// Whose page it is, beside the icon.
    pub name: &'a str,
    /// Where the style sheet and the icon are served: `/ti/gopay` for `/ti/gopay.css`.
    pub assets: &'a str,
    /// Links to the other pages, address and text; none for a page that stands alone.
    pub links: &'a [(&'a str, &'a str)],
    /// On a wide screen.
    pub width: Width,
}

impl Frame<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn page(&self, content: &Markup) -> String {
        let width = match self.width {
            Width::Phone => "phone",
            Width::Desk => "desk",
        };
        let body = html! {
            body class=(width) {
                header { div.in {
                    span.name { (mark()) (self.name) }
                    @if !self.links.is_empty() {
                        nav { @for (address, text) in self.links { a href=(address) { (text) } } }
                    }
                } }
                main.in { h1 { (self.title) } (content) }
            }
        };
        let (sheet, icon) =
            (Asset::Style.versioned(self.assets), Asset::Icon.versioned(self.assets));
        document(self.language, self.title, &[&sheet], &icon, &html! {}, &body)
    }
}

/// A page whose body is its room's own, with style sheets and icon at these addresses, and what else its
/// head holds.
#[must_use]
pub fn document(
    language: Language,
    title: &str,
    sheets: &[&str],
    icon: &str,
    head: &Markup,
    body: &Markup,
) -> String {
    html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href=(icon);
                @for sheet in sheets { link rel="stylesheet" href=(sheet); }
                (head)
            }
            (body)
        }
    }
    .into_string()
}

/// The icon, beside the name.
#[must_use]
pub fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" width="24" height="24" aria-hidden="true" {
            path d="M6 11h17a3 3 0 0 1 3 3v9a3 3 0 0 1-3 3H9a3 3 0 0 1-3-3z M6 11V9a3 3 0 0 1 3-3h12v5 M20 17h6v4h-6z" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_and_the_page_needs_nothing_from_elsewhere() {
        let frame = Frame {
            language: Language::Indonesian,
            title: "<b>Toko & co</b>",
            name: "\"GoPay\"",
            assets: "/ti/gopay",
            links: &[("/a?b=\"><script>", "<i>a</i>")],
            width: Width::Phone,
        };
        let page = frame.page(&html! { p { "</main><script>alert(1)</script>" } });
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"id\">"), "{page}");
        for raw in ["<script", "<b>", "<i>", "http:", "https:", "style=", " on"] {
            assert!(!page.contains(raw), "{raw} in {page}");
        }
        assert_eq!(page.matches("&lt;b&gt;Toko &amp; co&lt;/b&gt;").count(), 2, "{page}");
        assert!(page.contains("href=\"/ti/gopay.css?v="), "{page}");
        assert!(page.contains("href=\"/ti/gopay.svg?v="), "{page}");
    }
}
