//! Shoppers of an Indonesian web shop: who they are, what they buy, what their PSP sends about it.
//! All of it is legal by `docs/psp-guide.md`; much of it is odd.

use crate::encoding::JsonHabit;
use gopay_testkit::Dice;

/// What a call says about a shopper, before it is encoded.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) sen: u64,
    pub(crate) items: usize,
    pub(crate) reference: Option<String>,
    pub(crate) redirect_url: Option<String>,
    pub(crate) own_deeplink: bool,
}

const FIRST: [&str; 40] = [
    "Siti",
    "Budi",
    "Agus",
    "Dewi",
    "Putri",
    "Bayu",
    "Rizky",
    "Ayu",
    "Wayan",
    "Made",
    "Nyoman",
    "Ketut",
    "Joko",
    "Sri",
    "Eko",
    "Yohanes",
    "Maria",
    "Fransiska",
    "Muhammad",
    "Nur",
    "Ahmad",
    "Abdul",
    "Intan",
    "Galih",
    "Ratna",
    "Tjokorda",
    "Cut Nyak",
    "Andi",
    "Daeng",
    "La Ode",
    "Teuku",
    "Éva",
    "José",
    "Zoë",
    "Ni Luh",
    "I Gusti Ngurah",
    "Raden Mas",
    "Ma'ruf",
    "Li-Na",
    "Muḥammad",
];
const LAST: [&str; 32] = [
    "Rahma",
    "Santoso",
    "Wijaya",
    "Nugroho",
    "Pratama",
    "Siregar",
    "Simatupang",
    "Hasibuan",
    "Nasution",
    "Lubis",
    "Kusuma",
    "Setiawan",
    "Hidayat",
    "Saputra",
    "Lestari",
    "Permata",
    "binti Abdullah",
    "bin Umar",
    "da Costa",
    "van der Berg",
    "D'Angelo",
    "Tan",
    "Lim",
    "Manuputty",
    "Tuhumury",
    "Wuisan",
    "Sitorus Pane",
    "al-Farisi",
    "ʿAbd al-Karīm",
    "Özgür",
    "S.H., M.Kn.",
    "(Alm.)",
];
const MONONYMS: [&str; 14] = [
    "Sukarno",
    "Suharto",
    "Ani",
    "Yuli",
    "Sukinem",
    "Paijo",
    "Wagiman",
    "Éno",
    "陳美玲",
    "ꦱꦶꦠꦶ",
    "ᬫᬤᬾ",
    "Ñoño",
    "Ibu",
    "นิด",
];
const ODD_NAMES: [&str; 12] = [
    "Toko \"Maju Jaya\" & Putra",
    "100% Murah + Gratis",
    "C:\\Users\\budi",
    "<b>Siti</b>; -- drop",
    "Ayu 🌸 Lestari",
    "Budi=Ani?x#y",
    "Keluarga 👨‍👩‍👧‍👦 Santoso",
    "{\"name\":\"Budi\"}",
    "Ｆｕｌｌ Ｗｉｄｔｈ",
    "Cafe\u{301} Kopi",
    "%41%20%zz",
    "\u{202e}Terbalik",
];
const STREETS: [&str; 12] = [
    "Jl. Jenderal Sudirman Kav. 52-53",
    "Jln. Malioboro No. 12/A",
    "Gg. Kelinci III, RT 003/RW 05",
    "Perum. Griya Asri Blok C4 No. 7",
    "Jl. Raya Ubud #88",
    "Dusun Krajan, Desa Sumberagung",
    "Komp. Ruko Mangga Dua Lt. 2 & 3",
    "Jl. M.H. Thamrin 1; Menara \"BCA\" lt. 45",
    "Jl. Teuku Umar, d/a Bpk. Ma'ruf",
    "Apartemen Taman Rasuna, Tower 9 + 10",
    "Jl. Cihampelas 160 (dekat SMAN 2)",
    "Kp. Melayu Besar 1½",
];
const CITIES: [&str; 14] = [
    "Jakarta Selatan",
    "Surabaya",
    "Bandung",
    "Medan",
    "Makassar",
    "Yogyakarta",
    "Denpasar",
    "Banda Aceh",
    "Jayapura",
    "Pangkal Pinang",
    "Kab. Kutai Kartanegara",
    "Ambon",
    "Kupang",
    "D.I. Yogyakarta",
];
const GOODS: [&str; 40] = [
    "Kopi Kapal Api Spesial 165 g",
    "Indomie Goreng Jumbo",
    "Beras Pandan Wangi 5 kg",
    "Kain batik tulis Lasem",
    "Kerupuk udang \"Ny. Siok\"",
    "Minyak kelapa 1/2 liter",
    "Sambal ABC extra pedas 50%+",
    "Teh Pucuk Harum 350 ml",
    "Jamu kunyit asam",
    "Sepatu lari No. 42½",
    "Kaos \\o/ Jogja Istimewa",
    "Nasi goreng 🍛 pedas 🌶️🌶️",
    "Sarung tenun Samarinda",
    "Wayang kulit Arjuna",
    "Keris hias Bali",
    "Gula aren cair",
    "Tempe mendoan (isi 10)",
    "Gantungan kunci Monas",
    "Blangkon Solo & Yogya",
    "Ulos Batak ± 2 m",
    "Sirup Marjan Cocopandan",
    "Dodol Garut aneka rasa",
    "Bakpia Pathok 25",
    "Pulsa Rp50.000",
    "Token PLN 100rb",
    "Paket data 30 GB <promo>",
    "Voucher game 💎×86",
    "Kursi rotan Cirebon",
    "Meja jati 120×60",
    "Laptop 2.0",
    "Kabel USB-C 1m",
    "Kosmetik Wardah SPF 30 PA+++",
    "Hijab voal Ñ",
    "Mainan \u{feff}kayu",
    "ꦧꦠꦶꦏ꧀ halus",
    "印尼咖啡 200g",
    "Ongkos kirim JNE",
    "Biaya layanan",
    "Asuransi pengiriman",
    "x",
];

impl Order {
    pub(crate) fn draw(number: u64, dice: &mut Dice, notify: Option<String>) -> Self {
        // How much a PSP sends: nothing optional, some, most, everything.
        let presence = dice.weighted(&[(2, 0), (3, 300), (3, 700), (2, 1_000)]);
        let (cart, sen, items) = cart(dice);
        let name = name(dice);
        let mut order = Self {
            pairs: Vec::new(),
            sen,
            items,
            reference: None,
            redirect_url: None,
            own_deeplink: false,
        };
        for (key, value) in [
            ("returnmode", "urlencodeext"),
            ("txtype", "TRANSACTION"),
            ("login", "testclient"),
            ("password", "test123"),
            ("contractid", "TESTCONTRACT"),
            ("channel", "testchannel"),
            ("tag", "gopay"),
            ("countrycode", "ID"),
            ("currency", "IDR"),
        ] {
            order.add(key, value.to_owned());
        }
        order.add("amount", sen.to_string());
        order.add("accountholdername", name.clone());
        order.add("transientin.orderitems", cart);
        if let Some(url) = notify {
            order.add("notificationurl", url);
        }
        order.optional_texts(number, presence, dice);
        order.shopper(&name, presence, dice);
        order.unknown(dice);
        order
    }

    fn add(&mut self, key: &str, value: String) {
        self.pairs.push((key.to_owned(), value));
    }

    fn optional_texts(&mut self, number: u64, presence: u64, dice: &mut Dice) {
        if dice.chance(presence) {
            let reference = reference(number, dice);
            self.add("merchanttxid", reference.clone());
            self.reference = Some(reference);
        }
        if dice.chance(presence) {
            let url = redirect_url(number, dice);
            self.add("merchantredirecturl", url.clone());
            self.redirect_url = Some(url);
        }
        for key in ["sellingpoint", "soldservice"] {
            if dice.chance(presence) {
                let text = text(dice, 50);
                self.add(key, text);
            }
        }
        if dice.chance(presence) {
            let language = dice.pick(&["id", "id-ID", "EN", "jv", "", "Bahasa Indonesia"]);
            self.add("preferredlanguage", (*language).to_owned());
        }
        if dice.chance(presence / 3) {
            self.add("specin.deeplinkcallbackurl", app_url(number, dice));
            self.own_deeplink = true;
        }
        if dice.chance(presence) {
            self.add("specin.dynamicdescriptor", descriptor(dice));
        }
    }

    fn shopper(&mut self, name: &str, presence: u64, dice: &mut Dice) {
        if dice.chance(presence) {
            self.add("specin.email", email(dice));
        }
        if dice.chance(presence) {
            self.add("specin.phone", phone(dice));
        }
        for side in ["billing", "shipping"] {
            if !dice.chance(presence) {
                continue;
            }
            let shipping = side == "shipping";
            let mut part = |key: String, value: String| {
                if dice.chance(presence.max(400)) {
                    let blank = (shipping || !key.contains("cntry")) && dice.chance(40);
                    self.pairs.push((key, if blank { String::new() } else { value }));
                }
            };
            let mut own = Dice::new(u64::try_from(name.len()).expect("fits") * 31 + self.sen);
            let address = &mut own;
            let (first, last) = name.split_once(' ').unwrap_or((name, ""));
            part(format!("specin.{side}addrfirstname"), first.to_owned());
            part(format!("specin.{side}addrlastname"), last.to_owned());
            part(format!("specin.{side}phone"), local_phone(address));
            part(format!("specin.{side}addrline1"), street(address));
            part(format!("specin.{side}addrcity"), address.pick(&CITIES).to_owned());
            part(format!("specin.{side}addrpostalcde"), postal_code(address));
            let country = address.weighted(&[(12, "ID"), (1, "SG"), (1, "GB"), (1, "TL")]);
            part(format!("specin.{side}cntrycde"), country.to_owned());
        }
    }

    /// Parameters that the adapter does not know, up to the limits of a call.
    fn unknown(&mut self, dice: &mut Dice) {
        let specin = self.pairs.iter().filter(|(key, _)| key.starts_with("specin.")).count();
        let more = dice.weighted(&[(14, 0), (4, 2), (1, 29)]).min(29 - specin);
        for at in 0..more {
            let value = text(dice, 80);
            self.add(&format!("specin.custom{at}"), value);
        }
        let more = dice.weighted(&[(10, 0), (6, 2), (1, 200)]).min(200 - self.pairs.len() - 1);
        for at in 0..more {
            // A nonce may still join, so that one place stays free.
            let key = match at {
                0 => "Amount".to_owned(),
                1 => "sdk versi/2.1 [é]".to_owned(),
                _ => format!("x{at}"),
            };
            let value = text(dice, 30);
            self.add(&key, value);
        }
    }
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

fn name(dice: &mut Dice) -> String {
    let full = |dice: &mut Dice| format!("{} {}", dice.pick(&FIRST), dice.pick(&LAST));
    match dice.below(20) {
        0..=2 => (dice.pick(&MONONYMS)).to_owned(),
        3..=4 => (dice.pick(&ODD_NAMES)).to_owned(),
        // As long as may be.
        5 => {
            let mut long = full(dice);
            while long.chars().count() < 100 {
                long.push(' ');
                long.push_str(&full(dice));
            }
            cut(&long, 100)
        }
        6 => "é".repeat(100),
        7 => format!("{} {}", full(dice), dice.pick(&LAST)),
        _ => full(dice),
    }
}

fn reference(number: u64, dice: &mut Dice) -> String {
    let start = dice.pick(&["INV-", "order_", "TRX.", "Po,", "A", "-"]);
    let mut reference = format!("{start}{number}-{:x}", dice.below(1 << 40));
    if dice.chance(100) {
        while reference.len() < 40 {
            reference.push(dice.pick(&['x', 'Y', '0', '_', '.', ',', '-']));
        }
    }
    reference
}

fn redirect_url(number: u64, dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => format!("https://toko.example/selesai/{number}"),
        1 => format!("https://toko.example/r?order={number}&lang=id"),
        2 => format!("http://127.0.0.1:9/kembali?n={number}#atas"),
        3 => format!("HTTPS://Toko.Example:8443/café/{number}?q=a%20b+c"),
        4 => {
            let start = format!("https://toko.example/{number}/");
            let rest = 255 - start.len();
            format!("{start}{}", "a".repeat(rest))
        }
        _ => format!("https://xn--bcher-kva.example/;p={number}/?a[]=1&b=%F0%9F%9B%92"),
    }
}

fn app_url(number: u64, dice: &mut Dice) -> String {
    match dice.below(5) {
        0 => "https://toko.example/".to_owned(),
        1 => "tokoapp://paid".to_owned(),
        2 => format!("tokoapp://bayar/{number}/from-gopay"),
        3 => format!("https://toko.example/{}/", "b".repeat(1_900)),
        _ => format!("https://toko.example/app/{number}/results=1&result=2/"),
    }
}

fn descriptor(dice: &mut Dice) -> String {
    match dice.below(7) {
        0 => String::new(),
        1 => " \t\n ".to_owned(),
        2 => "Toko Budi\r\nJakarta\u{7}\u{85}\u{2028}".to_owned(),
        3 => "Terima kasih 🙏 ".repeat(40),
        4 => "\u{1}\u{2}".to_owned(),
        _ => text(dice, 60),
    }
}

/// A short text in one line.
fn text(dice: &mut Dice, max: usize) -> String {
    let text = match dice.below(8) {
        0 => String::new(),
        1 => (dice.pick(&ODD_NAMES)).to_owned(),
        2 => (dice.pick(&GOODS)).to_owned(),
        3 => "é".repeat(max),
        4 => "Toko Pusat, lantai 2".to_owned(),
        5 => "a\tb".to_owned(),
        6 => format!("{}+{}&{}=%", dice.below(10), dice.below(100), dice.below(1_000)),
        _ => "web".to_owned(),
    };
    cut(&text, max)
}

fn email(dice: &mut Dice) -> String {
    let first = dice.pick(&["siti", "budi.santoso", "o'neil", "a", "agus_99", "dewi-ayu", "x+y"]);
    match dice.below(8) {
        0 => format!("{}@gmail.com", "s".repeat(64)),
        1 => format!("{first}+gopay@yahoo.co.id"),
        2 => format!("{first}@b\u{fc}cher.example"),
        3 => format!("{first}@mail.ugm.ac.id"),
        4 => format!("{}@EXAMPLE.ORG", first.to_uppercase()),
        5 => format!("{first}@{}.example", "d".repeat(63)),
        _ => format!("{first}{}@gmail.com", dice.below(1_000)),
    }
}

/// An international number in one of the legal forms.
fn phone(dice: &mut Dice) -> String {
    let operator =
        dice.pick(&["811", "812", "813", "821", "852", "856", "877", "895", "21", "361"]);
    let length = dice.length(6, 13 - operator.len());
    let rest: String = (0..length).map(|_| char::from(b'0' + digit(dice))).collect();
    let (start, end) = rest.split_at(rest.len() / 2);
    match dice.below(9) {
        0 => format!("+62 {operator}-{start}-{end}"),
        1 => format!("+62 ({operator}) {start} {end}"),
        2 => format!("+62.{operator}.{start}.{end}"),
        3 => format!("+62 - {operator} - {start}{end}"),
        4 => format!("+62{operator}{start} {end}"),
        5 => format!("+6{}", 2_000 + dice.below(8_000)),
        _ => format!("+62{operator}{rest}"),
    }
}

fn digit(dice: &mut Dice) -> u8 {
    u8::try_from(dice.below(10)).expect("a digit")
}

/// Phones of addresses may have any form.
fn local_phone(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => "0812 3456 7890".to_owned(),
        1 => "(021) 555-0100 ext. 7".to_owned(),
        2 => "tidak ada".to_owned(),
        _ => phone(dice),
    }
}

fn street(dice: &mut Dice) -> String {
    let street = dice.pick(&STREETS);
    match dice.below(8) {
        0 => cut(&format!("{street}, ").repeat(20), 255),
        1 => "ñ".repeat(255),
        2 => "\"\\\u{1}".repeat(85),
        _ => format!("{street}, Kel. {}", dice.pick(&CITIES)),
    }
}

fn postal_code(dice: &mut Dice) -> String {
    match dice.below(8) {
        0 => "SW1A 1AA".to_owned(),
        1 => "12-3 AB".to_owned(),
        2 => "9".repeat(255),
        _ => dice.between(10_110, 99_974).to_string(),
    }
}

/// A line of the cart.
struct Line {
    name: String,
    price: i64,
    quantity: i64,
}

/// A cart as JSON, what it costs in sen, and how many lines it has.
fn cart(dice: &mut Dice) -> (String, u64, usize) {
    let rupiah = rupiah(dice);
    let lines = match dice.below(10) {
        0..=2 => 1,
        3..=6 => dice.length(2, 5),
        7..=8 => dice.length(6, 20),
        _ => dice.length(21, 80),
    };
    let mut lines = lines_of(rupiah, lines, dice);
    dice.shuffle(&mut lines);
    let count = lines.len();
    let habit = JsonHabit::draw(dice);
    let extra = dice.chance(150);
    let mut json = String::new();
    habit.blank(dice, &mut json);
    json.push('[');
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        habit.blank(dice, &mut json);
        write_line(line, habit, extra, dice, &mut json);
        habit.blank(dice, &mut json);
    }
    json.push(']');
    habit.blank(dice, &mut json);
    (json, rupiah * 100, count)
}

/// What the cart costs: mostly little, sometimes at a limit.
fn rupiah(dice: &mut Dice) -> u64 {
    match dice.below(100) {
        0 => 1,
        1 => 2_000_000,
        2 => 2_000_001,
        3 => 20_000_000,
        4 => 10_000_000,
        5..=49 => dice.between(10, 500) * 100,
        50..=79 => dice.between(50_000, 2_000_000),
        80..=89 => dice.between(1, 3_000),
        _ => dice.between(2_000_000, 20_000_000),
    }
}

/// Lines that add up to `rupiah` exactly.
fn lines_of(rupiah: u64, count: usize, dice: &mut Dice) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut left = i64::try_from(rupiah).expect("fits");
    for _ in 1..count {
        let (price, quantity) = match dice.below(40) {
            // A discount.
            0..=2 => (-amount(dice, 5_000), amount(dice, 3)),
            // A gift.
            3 => (0, dice.weighted(&[(3, 1), (1, 999_999_999)])),
            _ => {
                let quantity = amount(dice, 4);
                let most = (left / quantity).max(0);
                (amount(dice, u64::try_from(most / 2).unwrap_or(0).max(1)).min(most), quantity)
            }
        };
        left -= price * quantity;
        lines.push(Line { name: goods(dice), price, quantity });
    }
    if dice.chance(10) {
        // The largest price there is, and all of it back.
        let most = 9_999_999_999_999;
        lines.push(Line { name: "Saldo".to_owned(), price: most, quantity: 1 });
        lines.push(Line { name: "Potongan".to_owned(), price: -most, quantity: 1 });
    }
    lines.push(Line { name: goods(dice), price: left, quantity: 1 });
    lines
}

fn amount(dice: &mut Dice, most: u64) -> i64 {
    i64::try_from(dice.between(1, most)).expect("fits")
}

fn goods(dice: &mut Dice) -> String {
    let name = dice.pick(&GOODS);
    match dice.below(20) {
        0 => format!("{name}, ").repeat(10),
        1 => cut(&format!("{name} 🌶").repeat(50), 50),
        2 => format!("{name}\n\u{8}baris dua"),
        3 => " ".to_owned(),
        _ => name.to_owned(),
    }
}

fn write_line(line: &Line, habit: JsonHabit, extra: bool, dice: &mut Dice, out: &mut String) {
    let mut members: Vec<(&str, Option<String>, String)> = vec![
        ("name", Some(line.name.clone()), String::new()),
        ("price", Some(format!("{}.00", line.price)), String::new()),
        ("quantity", None, line.quantity.to_string()),
    ];
    if extra {
        let nested = r#"[{"a":null},[true,-1.5e-3],"\u00e9",{}]"#;
        members.push(("sku", Some("A/1-\"ö\"".to_owned()), String::new()));
        members.push(("attributes", None, nested.to_owned()));
        members.push(("Price", None, "12.5".to_owned()));
    }
    dice.shuffle(&mut members);
    out.push('{');
    for (at, (key, text, raw)) in members.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        habit.blank(dice, out);
        habit.string(key, dice, out);
        habit.blank(dice, out);
        out.push(':');
        habit.blank(dice, out);
        match text {
            Some(text) => habit.string(text, dice, out),
            None => out.push_str(raw),
        }
        habit.blank(dice, out);
    }
    out.push('}');
}
