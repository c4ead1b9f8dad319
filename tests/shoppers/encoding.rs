//! One content, many legal spellings: form bodies as different clients write them, and JSON with
//! every freedom that it has.

use std::fmt::Write as _;

use gopay_testkit::Dice;

/// How a client encodes a form.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// Everything but unreserved characters, upper-case hex, `%20`.
    Curl,
    /// As `encodeURIComponent`: leaves `!'()*`, too.
    Script,
    /// As `URLEncoder`: `+` for a space, leaves `*`, encodes `~`.
    Java,
    /// Every byte, lower-case hex.
    Everything,
    /// Anything that is legal, anew for each byte.
    Mixed,
}

const HABITS: [(u64, Habit); 5] = [
    (4, Habit::Curl),
    (3, Habit::Script),
    (3, Habit::Java),
    (1, Habit::Everything),
    (3, Habit::Mixed),
];

/// A form body with these pairs, in random order, in a random client's spelling.
pub(crate) fn form(pairs: &[(String, String)], dice: &mut Dice) -> String {
    let habit = dice.weighted(&HABITS);
    let odd_keys = dice.chance(200);
    let gaps = dice.chance(150);
    let mut pairs: Vec<&(String, String)> = pairs.iter().collect();
    if dice.chance(800) {
        dice.shuffle(&mut pairs);
    }
    let mut body = String::new();
    if gaps && dice.chance(300) {
        body.push('&');
    }
    for (at, (key, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            body.push('&');
        }
        if gaps && dice.chance(150) {
            body.push_str(dice.pick(&["&", "&&", "&&&"]));
        }
        let key_habit = if odd_keys && dice.chance(200) { Habit::Mixed } else { Habit::Curl };
        encode(key, key_habit, dice, &mut body);
        if value.is_empty() && dice.chance(300) {
            continue;
        }
        body.push('=');
        encode(value, habit, dice, &mut body);
    }
    if gaps && dice.chance(300) {
        body.push('&');
    }
    body
}

fn encode(text: &str, habit: Habit, dice: &mut Dice, out: &mut String) {
    for byte in text.bytes() {
        let letter = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let lower = match habit {
            Habit::Curl | Habit::Script | Habit::Java => false,
            Habit::Everything => true,
            Habit::Mixed => dice.chance(500),
        };
        let plain = match habit {
            Habit::Curl => letter || byte == b'~',
            Habit::Script => letter || matches!(byte, b'~' | b'!' | b'\'' | b'(' | b')' | b'*'),
            Habit::Java => letter || byte == b'*',
            Habit::Everything => false,
            Habit::Mixed => {
                let free = matches!(byte, b'~' | b'!' | b'*' | b'(' | b')' | b',' | b':' | b'/');
                (letter && dice.chance(930)) || (free && dice.chance(500))
            }
        };
        let plus = match habit {
            Habit::Java => true,
            Habit::Mixed => dice.chance(500),
            Habit::Curl | Habit::Script | Habit::Everything => false,
        };
        if byte == b' ' && plus {
            out.push('+');
        } else if plain {
            out.push(char::from(byte));
        } else if lower {
            let _ = write!(out, "%{byte:02x}");
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// How a client writes JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonHabit {
    /// White space between tokens, in thousandths.
    pub(crate) blanks: u64,
    /// Needless escapes of characters, in thousandths.
    pub(crate) escapes: u64,
    /// Everything beyond ASCII as `\u`.
    pub(crate) ascii: bool,
}

impl JsonHabit {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        Self {
            blanks: dice.weighted(&[(6, 0), (2, 150), (1, 700)]),
            escapes: dice.weighted(&[(6, 0), (2, 30), (1, 300)]),
            ascii: dice.chance(250),
        }
    }

    /// White space, or none.
    pub(crate) fn blank(self, dice: &mut Dice, out: &mut String) {
        while dice.chance(self.blanks) {
            out.push_str(dice.pick(&[" ", " ", "\n", "\t", "\r\n"]));
        }
    }

    /// A JSON string that means `text`.
    pub(crate) fn string(self, text: &str, dice: &mut Dice, out: &mut String) {
        out.push('"');
        for char in text.chars() {
            let forced = char < ' ' || (self.ascii && !char.is_ascii());
            if forced || dice.chance(self.escapes) {
                escape(char, dice, out);
            } else if matches!(char, '"' | '\\') {
                out.push('\\');
                out.push(char);
            } else {
                out.push(char);
            }
        }
        out.push('"');
    }
}

/// One of the ways in which JSON can escape a character.
fn escape(char: char, dice: &mut Dice, out: &mut String) {
    let short = match char {
        '"' | '\\' | '/' => Some(char),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        _ => None,
    };
    match short {
        Some(short) if dice.chance(700) => {
            out.push('\\');
            out.push(short);
        }
        Some(_) | None => {
            for unit in char.encode_utf16(&mut [0; 2]) {
                if dice.chance(500) {
                    let _ = write!(out, "\\u{unit:04x}");
                } else {
                    let _ = write!(out, "\\u{unit:04X}");
                }
            }
        }
    }
}
