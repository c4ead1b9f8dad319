//! The invoice as PDF: A4 pages of text and rules, in fonts that every reader has. The same content
//! is the same bytes: no date, no id.
//!
//! Lengths are tenths of a point; 28.35 points are a centimetre.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};

use crate::invoice::{Invoice, Line, meaning};

/// A4.
const WIDTH: i16 = 5_953;
const HEIGHT: i16 = 8_419;
/// 18 mm.
const MARGIN: i16 = 510;
const RIGHT: i16 = WIDTH - MARGIN;

/// From one line of text to the next.
const LEADING: i16 = 150;

/// A font of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Font {
    Plain,
    Bold,
}

impl Font {
    const ALL: [Self; 2] = [Self::Plain, Self::Bold];

    const fn name(self) -> Name<'static> {
        match self {
            Self::Plain => Name(b"F1"),
            Self::Bold => Name(b"F2"),
        }
    }

    const fn base(self) -> Name<'static> {
        match self {
            Self::Plain => Name(b"Helvetica"),
            Self::Bold => Name(b"Helvetica-Bold"),
        }
    }
}

/// Writes an invoice.
#[must_use]
pub fn pdf(invoice: &Invoice<'_>) -> Vec<u8> {
    let mut pages = Pages::new();
    pages.heading(&format!("Settlement invoice {}", invoice.set), 160);
    pages.text(&invoice.outcome(), MARGIN, Font::Bold, 110);
    pages.down(LEADING.saturating_add(60));
    pages.lines("", &invoice.head());
    pages.section("Rows of the aggregate");
    for row in &invoice.balance.rows {
        let title = format!("{}  {} ({})", row.contract, meaning(row.kind), row.count);
        pages.line(&title, &format!("{} {}", row.amount.grouped(), row.currency), Font::Plain);
    }
    if invoice.balance.rows.is_empty() {
        pages.line("Nothing in this period.", "", Font::Plain);
    }
    pages.section("From rows to transfer");
    for (title, value) in invoice.balances() {
        let font = if title == "Transfer" { Font::Bold } else { Font::Plain };
        pages.line(&title, &value, font);
    }
    pages.lines("Exchange rate", &invoice.rates());
    pages.lines("Adjustments", &invoice.adjustments());
    pages.lines("Held back", &invoice.reserves());
    pages.lines("Rounding: exact value less the rounded one", &invoice.roundings());
    pages.finish(invoice.set)
}

/// Pages under writing, from the top down.
struct Pages {
    done: Vec<Content>,
    page: Content,
    /// Above the lower edge.
    y: i16,
}

impl Pages {
    fn new() -> Self {
        Self { done: Vec::new(), page: new_page(), y: HEIGHT - MARGIN }
    }

    fn down(&mut self, by: i16) {
        self.y = self.y.saturating_sub(by);
        if self.y < MARGIN.saturating_add(LEADING) {
            self.done.push(std::mem::replace(&mut self.page, new_page()));
            self.y = HEIGHT - MARGIN;
        }
    }

    fn heading(&mut self, text: &str, size: i16) {
        self.down(size);
        self.text(text, MARGIN, Font::Bold, size);
        self.down(LEADING.saturating_add(40));
    }

    fn section(&mut self, title: &str) {
        // Not alone at the foot of a page.
        if self.y < MARGIN.saturating_add(6 * LEADING) {
            self.down(HEIGHT);
        }
        self.down(LEADING);
        self.text(title, MARGIN, Font::Bold, 110);
        self.down(LEADING.saturating_add(20));
    }

    fn lines(&mut self, title: &str, of: &[Line]) {
        if of.is_empty() {
            return;
        }
        if !title.is_empty() {
            self.section(title);
        }
        for (title, value) in of {
            self.line(title, value, Font::Plain);
        }
    }

    /// A title on the left, in as many lines as it needs, and a value on the right.
    fn line(&mut self, title: &str, value: &str, font: Font) {
        const SIZE: i16 = 95;
        const GAP: i16 = 150;
        let value = encode(value);
        let left = RIGHT.saturating_sub(width(&value, SIZE));
        let room = left.saturating_sub(GAP).saturating_sub(MARGIN).max(1_500);
        let mut parts = wrap(&encode(title), room, SIZE).into_iter();
        let first = parts.next().unwrap_or_default();
        self.bytes(&first, MARGIN, font, SIZE);
        self.bytes(&value, left, font, SIZE);
        for part in parts {
            self.down(LEADING);
            self.bytes(&part, MARGIN, font, SIZE);
        }
        self.rule();
        self.down(LEADING.saturating_add(30));
    }

    fn rule(&mut self) {
        let y = f32::from(self.y.saturating_sub(45));
        self.page.set_line_width(4.0).set_stroke_gray(0.8);
        self.page.move_to(f32::from(MARGIN), y).line_to(f32::from(RIGHT), y).stroke();
    }

    fn text(&mut self, text: &str, x: i16, font: Font, size: i16) {
        self.bytes(&encode(text), x, font, size);
    }

    fn bytes(&mut self, text: &[u8], x: i16, font: Font, size: i16) {
        self.page.begin_text().set_font(font.name(), f32::from(size));
        self.page.next_line(f32::from(x), f32::from(self.y)).show(Str(text)).end_text();
    }

    fn finish(mut self, set: &str) -> Vec<u8> {
        self.done.push(self.page);
        let count = self.done.len();
        for (page, number) in self.done.iter_mut().zip(1_usize..) {
            let text = encode(&format!("{set}   {number} / {count}"));
            page.begin_text().set_font(Font::Plain.name(), 80.0);
            page.next_line(f32::from(MARGIN), f32::from(MARGIN.saturating_sub(150)));
            page.show(Str(&text)).end_text();
        }
        document(self.done)
    }
}

/// A page whose unit is a tenth of a point.
fn new_page() -> Content {
    let mut page = Content::new();
    page.transform([0.1, 0.0, 0.0, 0.1, 0.0, 0.0]);
    page
}

/// Puts pages together.
fn document(pages: Vec<Content>) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let mut next = 1;
    let mut id = || {
        let id = Ref::new(next);
        next += 1;
        id
    };
    let (catalog, tree) = (id(), id());
    let fonts = Font::ALL.map(|font| (font, id()));
    let kids: Vec<_> = pages.into_iter().map(|page| (id(), id(), page)).collect();
    pdf.catalog(catalog).pages(tree);
    let count = i32::try_from(kids.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids(kids.iter().map(|(page, _, _)| *page)).count(count);
    for (font, id) in fonts {
        pdf.type1_font(id).base_font(font.base()).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for (page, content, drawn) in kids {
        let mut one = pdf.page(page);
        one.media_box(Rect::new(0.0, 0.0, 595.3, 841.9)).parent(tree).contents(content);
        let mut resources = one.resources();
        let mut dict = resources.fonts();
        for (font, id) in fonts {
            dict.pair(font.name(), id);
        }
        dict.finish();
        resources.finish();
        one.finish();
        pdf.stream(content, &drawn.finish());
    }
    pdf.finish()
}

/// The bytes of a text in the encoding of the fonts: Latin-1, other letters as question marks.
fn encode(text: &str) -> Vec<u8> {
    let byte = |letter: char| match u8::try_from(u32::from(letter)) {
        Ok(byte @ (0x20..=0x7e | 0xa0..)) => byte,
        Ok(_) | Err(_) => b'?',
    };
    text.chars().map(byte).collect()
}

/// Widths of the letters from space to tilde in Helvetica, in thousandths of its size (Adobe's font
/// metrics). Bold letters are a little wider; nothing that is set by its width is close to others.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// How wide a text is.
fn width(text: &[u8], size: i16) -> i16 {
    let of = |byte: &u8| {
        let place = usize::from(*byte).checked_sub(0x20);
        u32::from(place.and_then(|place| WIDTHS.get(place)).copied().unwrap_or(611))
    };
    let thousandths: u32 = text.iter().map(of).sum();
    let width = thousandths.saturating_mul(u32::from(size.unsigned_abs())) / 1_000;
    i16::try_from(width).unwrap_or(i16::MAX)
}

/// Cuts a text into lines that have room: at blanks, or within a word that is too long.
fn wrap(text: &[u8], room: i16, size: i16) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    for word in text.split_inclusive(|byte| *byte == b' ') {
        if let Some(line) = lines.last_mut() {
            let together = [line.as_slice(), word].concat();
            if width(&together, size) <= room {
                *line = together;
                continue;
            }
        }
        let mut rest = word.to_vec();
        while width(&rest, size) > room && rest.len() > 1 {
            let fits = (1..rest.len())
                .rev()
                .find(|cut| rest.get(..*cut).is_some_and(|part| width(part, size) <= room));
            let after = rest.split_off(fits.unwrap_or(1));
            lines.push(std::mem::replace(&mut rest, after));
        }
        lines.push(rest);
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_where_there_is_no_more_room_and_lose_nothing() {
        for (text, room) in [
            ("one two three four five six", 600),
            ("a-word-that-is-much-longer-than-the-line-that-it-is-to-stand-in", 500),
            ("", 500),
            ("x", 1),
        ] {
            let lines = wrap(text.as_bytes(), room, 95);
            assert_eq!(lines.concat(), text.as_bytes());
            let narrow = |line: &Vec<u8>| width(line, 95) <= room || line.len() == 1;
            assert!(lines.iter().all(narrow), "{lines:?}");
        }
        assert_eq!(width(b"0.00", 100), 194);
        assert_eq!(encode("é\u{2013}\n€"), [0xe9, b'?', b'?', b'?']);
    }
}
