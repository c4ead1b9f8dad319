//! Other legal spellings of one body, from a fixed seed: senders differ in the order of parameters and
//! of members, in what they escape and how, and in blanks. All of them mean the same payment.

use serde_json::Value;

use crate::Dice;

/// So many spellings of a body, each another one.
#[must_use]
pub fn spellings(body: &[u8], count: usize) -> Vec<Vec<u8>> {
    const SEED: u64 = 20_251_126;
    let pairs: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    (0..).zip(0..count).map(|(number, _)| spelling(&pairs, &mut Dice::of(SEED, number))).collect()
}

fn spelling(pairs: &[(String, String)], dice: &mut Dice) -> Vec<u8> {
    let mut pairs = pairs.to_vec();
    dice.shuffle(&mut pairs);
    let sender = Sender {
        space: dice.pick(&[Some("+"), Some("%20"), None]),
        lower: dice.pick(&[Some(true), Some(false), None]),
        needless_permille: dice.pick(&[0, 0, 20, 200]),
        left_alone: dice.pick(&["", "*!'()~", "*!'()~/:,@;"]),
        blanks: dice.pick(&["", "", " ", "\n  "]),
        unicode_permille: dice.pick(&[0, 0, 0, 50]),
    };
    let mut out = Vec::new();
    for (name, value) in &pairs {
        if !out.is_empty() {
            out.push(b'&');
        }
        let escaped_name = dice.chance(20);
        sender.encode(name, escaped_name, dice, &mut out);
        out.push(b'=');
        if name == "transientin.orderitems" {
            sender.encode(&sender.cart(value, dice), false, dice, &mut out);
        } else {
            sender.encode(value, false, dice, &mut out);
        }
    }
    out
}

/// The habits of one sender; where it has none, it takes turns.
struct Sender {
    space: Option<&'static str>,
    /// Case of the digits of an escape.
    lower: Option<bool>,
    /// How many of the characters that need no escape have one.
    needless_permille: u64,
    /// Characters that others escape.
    left_alone: &'static str,
    /// What stands between the tokens of the cart.
    blanks: &'static str,
    /// How many characters of a name are written as `\u` escapes.
    unicode_permille: u64,
}

impl Sender {
    fn encode(&self, text: &str, all: bool, dice: &mut Dice, out: &mut Vec<u8>) {
        for byte in text.bytes() {
            let plain = byte.is_ascii_alphanumeric()
                || b"-._".contains(&byte)
                || self.left_alone.as_bytes().contains(&byte);
            if byte == b' ' {
                let space = self.space.unwrap_or_else(|| dice.pick(&["+", "%20"]));
                out.extend_from_slice(space.as_bytes());
            } else if plain && !all && !dice.chance(self.needless_permille) {
                out.push(byte);
            } else if self.lower.unwrap_or_else(|| dice.chance(500)) {
                out.extend_from_slice(format!("%{byte:02x}").as_bytes());
            } else {
                out.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
        }
    }

    /// The cart with its members in another order.
    fn cart(&self, cart: &str, dice: &mut Dice) -> String {
        let items: Vec<Value> = serde_json::from_str(cart).expect("a good cart");
        let mut members = ["name", "price", "quantity"];
        if dice.chance(500) {
            dice.shuffle(&mut members);
        }
        let blanks = self.blanks;
        let mut object = |item: &Value| {
            let members = members.map(|member| {
                let value = match item.get(member) {
                    Some(Value::String(text)) if member == "name" => self.name(text, dice),
                    Some(value) => value.to_string(),
                    None => panic!("an item without {member}"),
                };
                format!("{blanks}\"{member}\":{blanks}{value}")
            });
            format!("{{{}{blanks}}}", members.join(","))
        };
        let items: Vec<String> = items.iter().map(&mut object).collect();
        format!("[{blanks}{}]", items.join(&format!(",{blanks}")))
    }

    fn name(&self, text: &str, dice: &mut Dice) -> String {
        let mut out = String::from("\"");
        for char in text.chars() {
            let mut units = [0; 2];
            let units = char.encode_utf16(&mut units);
            if dice.chance(self.unicode_permille) {
                out.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
            } else if matches!(char, '"' | '\\') {
                out.extend(['\\', char]);
            } else {
                out.push(char);
            }
        }
        out + "\""
    }
}
