//! The house style: what every page that a browser is shown has in common, whoever shows it.
//!
//! One style sheet of system fonts, light and dark, and one icon ([`Asset`]); the frame of a page
//! ([`Frame`]) and the headers that go with it ([`HEADERS`]); the shopper's [`Language`]; amounts
//! and spans as people read them; QR codes as part of a page. Text from outside is escaped by
//! `maud`, at compile time where it can be.
//!
//! It knows no HTTP library and nothing of payments. No page needs a script, and nothing comes from
//! elsewhere. Properties, functions and units of CSS are those that a `WebView` of Android 5 has.
//!
//! Reading order: `frame`, `style`, `headers`, `language`, `text`, `qr`.
#![warn(missing_docs)]

mod frame;
mod headers;
mod language;
mod qr;
mod style;
mod text;

pub use frame::{Frame, Width, document, mark};
pub use headers::{HEADERS, HEADERS_WITH_FORMS, is_own_page, wants_page};
pub use language::Language;
pub use qr::qr_code;
pub use style::Asset;
pub use text::{hour_of_jakarta, rupiah, span};
