//! A QR code as SVG, which a page carries in itself: no image to load, and no style in the page.

use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, as the standard asks for (ISO/IEC 18004).
const MARGIN: usize = 4;

/// A code that shows `text`; `None` for more text than a QR code holds (2,331 bytes).
#[must_use]
pub fn qr_code(text: &str, label: &str) -> Option<Markup> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let side = code.width() + 2 * MARGIN;
    Some(html! {
        // Dark on light in any colour scheme: not every camera reads the reverse.
        svg.qr viewBox=(format!("0 0 {side} {side}")) role="img" aria-label=(label) {
            rect width=(side) height=(side) fill="#fff" {}
            path d=(dark_runs(&code)) fill="#000" shape-rendering="crispEdges" {}
        }
    })
}

/// Each run of dark modules in a row as a box one module high.
fn dark_runs(code: &QrCode) -> String {
    let (modules, width) = (code.to_colors(), code.width());
    let mut path = String::new();
    for (y, row) in modules.chunks_exact(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(PartialEq::eq) {
            let length = run.len();
            if run.first() == Some(&Color::Dark) {
                let (left, top) = (x + MARGIN, y + MARGIN);
                path.push_str(&format!("M{left} {top}h{length}v1h-{length}z"));
            }
            x += length;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_drawn_once_and_nothing_else() {
        let text = "https://pay.example/ti/gopay/123887123/5f0b";
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let mut drawn = std::collections::BTreeSet::new();
        for run in dark_runs(&code).split('M').skip(1) {
            let (at, run) = run.split_once('h').unwrap();
            let (x, y) = at.split_once(' ').unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            let length: usize = run.split_once('v').unwrap().0.parse().unwrap();
            for x in x..x + length {
                assert!(drawn.insert((x - MARGIN, y - MARGIN)), "{x} {y} twice");
            }
        }
        for y in 0..code.width() {
            for x in 0..code.width() {
                let dark = code[(x, y)] == Color::Dark;
                assert_eq!(drawn.contains(&(x, y)), dark, "{x} {y}");
            }
        }
    }

    #[test]
    fn a_text_beyond_any_code_has_none() {
        assert!(qr_code(&"x".repeat(2_332), "a").is_none());
    }
}
