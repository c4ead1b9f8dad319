//! The core in figures: against the obvious way, against itself on other processors, by size of
//! body, by kind of hostile body, with cold caches, and in a fresh process.
//!
//! `cargo bench --bench core [-- SECTION...]`. Every ratio is of medians of rounds that take turns
//! in one run, in CPU time, so that a busy neighbour slows both.
#![allow(clippy::print_stdout, clippy::float_arithmetic, reason = "a table of figures")]

mod hostile;
mod rounds;
mod wired;

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use gopay_core::ppro::call;
use gopay_core::ppro::form::{Backend, Form, Scratch};
use gopay_core::ppro::transaction::Terms;
use gopay_core::translate::translate_into;
use gopay_testkit::ready_made::Buffers;
use gopay_testkit::{baseline, payloads, product, respelled};

use rounds::{median, medians};

type Section = fn();

const SECTIONS: [(&str, Section); 8] = [
    ("ratios", ratios),
    ("respelled", respelled),
    ("beside", beside),
    ("wire", wire),
    ("rejections", rejections),
    ("scaling", scaling),
    ("hostile", hostile),
    ("cold", cold),
];

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench").peekable();
    if args.peek().is_some_and(|arg| arg == "first-call") {
        args.next();
        return first_call(&args.next().unwrap_or_default());
    }
    let wanted: Vec<String> = args.collect();
    for (name, section) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            section();
            println!();
        }
    }
    if wanted.is_empty() || wanted.iter().any(|word| word == "first") {
        first();
    }
}

/// One product call after another, with buffers that are reused.
struct Product {
    scratch: Scratch,
    out: Vec<u8>,
}

impl Product {
    fn new(backend: Backend) -> Self {
        Self { scratch: Scratch::with_backend(backend), out: Vec::new() }
    }

    fn call(&mut self, body: &[u8]) -> bool {
        let terms = product::charge_terms();
        let body = black_box(body);
        let done = translate_into(body, Terms::OPEN, &terms, &mut self.scratch, &mut self.out);
        black_box(self.out.as_slice());
        done.is_ok()
    }
}

fn obvious(body: &[u8]) -> bool {
    let terms = product::charge_terms();
    black_box(baseline::translate(black_box(body), Terms::OPEN, &terms)).is_ok()
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a short time")]
fn nanoseconds(since: Instant) -> f64 {
    since.elapsed().as_nanos() as f64
}

fn length(body: &[u8]) -> f64 {
    u32::try_from(body.len()).map_or(f64::MAX, f64::from)
}

/// The ways of the processor that are compared; one that it lacks is taken by the next slower one.
const PATHS: [Backend; 4] = [Backend::Scalar, Backend::Sse2, Backend::Avx2, Backend::Avx512];

fn head(first: &str) {
    print!("{first:12} {:>6} {:>9} {:>9}", "bytes", "baseline", "crates");
    for path in PATHS {
        let here = if path.is_available() { "" } else { " (not here)" };
        print!(" {:>22}", format!("{path:?}{here}"));
    }
    println!();
}

fn row(name: &str, bytes: usize, [obvious, crates, own @ ..]: [f64; 6]) {
    print!("{name:12} {bytes:6} {obvious:9.0} {crates:9.0}");
    for own in own {
        let shown = format!("{own:.0} ({:.1}x, {:.1}x)", obvious / own, crates / own);
        print!(" {shown:>22}");
    }
    println!();
}

fn ratios() {
    println!("translation, ns a call (how many times the baseline, the best ready-made crates)");
    head("");
    for (name, body) in payloads::all() {
        row(name, body.len(), each_way(&[body]));
    }
    println!("best is {:?}", Backend::best());
}

fn respelled() {
    println!("400 spellings of each body in turn, ns a call, as above");
    head("");
    for (name, body) in payloads::all() {
        let spellings = respelled::spellings(&body, 400);
        let bytes: usize = spellings.iter().map(Vec::len).sum();
        row(name, bytes / spellings.len(), each_way(&spellings));
    }
}

/// Nanoseconds a call of the baseline, of the ready-made crates, and of each path, over all bodies in
/// turn.
fn each_way(bodies: &[Vec<u8>]) -> [f64; 6] {
    let [scalar, sse2, avx2, avx512] = &mut PATHS.map(Product::new);
    let mut buffers = Buffers::default();
    medians([
        &mut in_turn(bodies, obvious),
        &mut in_turn(bodies, |body| {
            let terms = product::charge_terms();
            black_box(buffers.translate(black_box(body), Terms::OPEN, &terms)).is_ok()
        }),
        &mut in_turn(bodies, |body| scalar.call(body)),
        &mut in_turn(bodies, |body| sse2.call(body)),
        &mut in_turn(bodies, |body| avx2.call(body)),
        &mut in_turn(bodies, |body| avx512.call(body)),
    ])
}

/// One call, each time with the next body.
fn in_turn(bodies: &[Vec<u8>], mut call: impl FnMut(&[u8]) -> bool) -> impl FnMut() {
    let mut next = bodies.iter().cycle();
    move || assert!(call(next.next().expect("a body")))
}

fn wire() {
    println!("beside the translation, ns a call (ratio of the obvious way to it)");
    for (name, mut pair) in wired::all() {
        let [product, obvious] = medians([&mut pair.product, &mut pair.obvious]);
        println!("{name:18} {obvious:6.0} {product:6.0} ({:.1}x)", obvious / product);
    }
}

/// The full body, broken at one place.
fn broken() -> Vec<(&'static str, Vec<u8>)> {
    let full = String::from_utf8(payloads::full()).expect("ASCII");
    [
        ("channel unknown", "channel=test", "channel=text"),
        ("e-mail broken", "toko%40mail", "toko%20mail"),
        ("escape broken", "specin.email=zoe", "specin.email=%zz"),
        ("not UTF-8", "specin.email=zoe", "specin.email=%ff"),
        ("field twice", "specin.phone", "specin.email"),
        ("URL broken", "https%3A%2F%2Fpsp", "https%3A%2F%2F%5Bpsp"),
        ("phone broken", "%2B62%20812", "%2B62%20x12"),
        ("last item broken", "quantity%22%3A1%7D%5D", "quantity%22%3A0%7D%5D"),
        ("sum differs", "amount=38750000", "amount=38750100"),
    ]
    .into_iter()
    .map(|(name, good, bad)| {
        assert!(full.contains(good), "{good}");
        (name, full.replacen(good, bad, 1).into_bytes())
    })
    .collect()
}

fn rejections() {
    println!("refusing the full body with its message, against accepting it (best path)");
    let good = payloads::full();
    for (name, bad) in broken() {
        let (mut accepting, mut refusing) = (Product::new(Backend::best()), Scratch::new());
        let mut message = String::new();
        let mut out = Vec::new();
        let terms = product::charge_terms();
        let [accepted, refused] = medians([&mut || assert!(accepting.call(&good)), &mut || {
            let outcome =
                translate_into(black_box(&bad), Terms::OPEN, &terms, &mut refusing, &mut out);
            message.clear();
            let fault = outcome.expect_err("a bad body");
            fault.write_message(&mut message).expect("a string takes all");
            black_box(message.as_str());
        }]);
        println!(
            "{name:18} {refused:6.0} of {accepted:6.0} ns ({:.2})  {message}",
            refused / accepted
        );
    }
}

/// A call with so many items.
fn items(count: usize) -> Vec<u8> {
    let item = r#"{"name":"Barang nomor 7","price":"1000.00","quantity":1}"#;
    let cart = format!("[{}]", vec![item; count].join(","));
    let amount = (count * 100_000).to_string();
    let mut pairs = payloads::common().to_vec();
    pairs.extend([
        ("amount", amount.as_str()),
        ("accountholdername", "Siti Rahma"),
        ("transientin.orderitems", &cart),
    ]);
    payloads::body(&pairs)
}

fn scaling() {
    println!(
        "by number of items (above about 300 surplus items are folded, and some written twice)"
    );
    for count in [1, 2, 5, 10, 25, 50, 100, 200, 300, 400] {
        let body = items(count);
        let mut best = Product::new(Backend::best());
        let mut avx2 = Product::new(Backend::Avx2);
        let [best, avx2] =
            medians([&mut || assert!(best.call(&body)), &mut || assert!(avx2.call(&body))]);
        let bytes = length(&body);
        println!(
            "{count:4} items {bytes:6} bytes: best {best:7.0} ns, {:.2} a byte; AVX2 {avx2:7.0} ns, {:.2} a byte",
            best / bytes,
            avx2 / bytes
        );
    }
}

fn hostile() {
    println!("hostile bodies of 16 and 256 KB, ns a byte; linear if the two are alike");
    print!("{:28}", "");
    PATHS.iter().for_each(|path| print!(" {:>13}", format!("{path:?}")));
    println!();
    let mut worst = [0.0_f64; PATHS.len()];
    for (name, make) in hostile::KINDS {
        let [small, large] = [16_000, 256_000].map(|size| make(size).into_bytes());
        print!("{name:28}");
        for (path, worst) in PATHS.into_iter().zip(&mut worst) {
            let (mut product, mut other) = (Product::new(path), Product::new(path));
            let [at_small, at_large] =
                medians([&mut || assert!(!product.call(&small)), &mut || {
                    assert!(!other.call(&large))
                }]);
            let (at_small, at_large) = (at_small / length(&small), at_large / length(&large));
            *worst = worst.max(at_small).max(at_large);
            print!(" {:>13}", format!("{at_small:.2} {at_large:.2}"));
        }
        println!();
    }
    print!("{:28}", "worst");
    worst.iter().for_each(|worst| print!(" {worst:>13.2}"));
    println!();
}

/// What the service does with a call beside the call that is measured above.
fn beside() {
    println!("beside that call the service takes, ns a call (best path)");
    for (name, body) in payloads::all() {
        let mut product = Product::new(Backend::best());
        let mut scratch = Scratch::new();
        let (form, _) = Form::decode(&body, &mut scratch);
        let [translated, recorded, printed] = medians([
            &mut || assert!(product.call(&body)),
            &mut || drop(black_box(call::record(black_box(&form)))),
            &mut || _ = black_box(call::fingerprint(black_box(&form))),
        ]);
        println!(
            "{name:12} {translated:6.0} translated, {recorded:6.0} for the record, {printed:6.0} for the \
             fingerprint of a nonce"
        );
    }
}

/// Walks over so many bytes between two calls, so that they push out what the call has used.
fn cold() {
    const NEAR: usize = 6 << 20;
    const ALL: usize = 128 << 20;
    let mut trash = vec![1_u8; ALL];
    println!("with caches that something else has used, ns a call, medians of 201");
    for (name, body) in payloads::all() {
        let mut product = Product::new(Backend::best());
        let mut after = |walked: usize, call: &mut dyn FnMut()| {
            call();
            let mut taken: Vec<f64> = (0..201)
                .map(|_| {
                    for line in trash.iter_mut().take(walked).step_by(64) {
                        *line = line.wrapping_add(1);
                    }
                    let start = Instant::now();
                    call();
                    nanoseconds(start)
                })
                .collect();
            median(&mut taken)
        };
        let mut call = || assert!(product.call(&body));
        let (warm, near, all) =
            (after(0, &mut call), after(NEAR, &mut call), after(ALL, &mut call));
        let mut call = || assert!(obvious(&body));
        let (warm_2, near_2, all_2) =
            (after(0, &mut call), after(NEAR, &mut call), after(ALL, &mut call));
        println!(
            "{name:12} product: warm {warm:6.0}, from L3 {near:6.0} ({:.1}x), from memory {all:6.0} ({:.1}x)",
            near / warm,
            all / warm
        );
        println!(
            "{:12} baseline: warm {warm_2:6.0}, from L3 {near_2:6.0} ({:.1}x), from memory {all_2:6.0} ({:.1}x)",
            "",
            near_2 / warm_2,
            all_2 / warm_2
        );
    }
}

/// The first call of fresh processes.
fn first() {
    println!("first call in a fresh process, microseconds, median of 41 processes");
    let own = std::env::current_exe().expect("this program");
    for (name, _) in payloads::all() {
        let [product, obvious] = ["product", "baseline"].map(|which| {
            let mut taken: Vec<f64> = (0..41)
                .map(|_| {
                    let case = format!("{which}/{name}");
                    let done = Command::new(&own).args(["first-call", &case]).output();
                    let printed = done.expect("this program again").stdout;
                    String::from_utf8_lossy(&printed).trim().parse().expect("nanoseconds")
                })
                .collect();
            median(&mut taken) / 1_000.0
        });
        println!("{name:12} product {product:7.1}, baseline {obvious:7.1}");
    }
}

fn first_call(case: &str) {
    let (which, name) = case.split_once('/').expect("WHICH/PAYLOAD");
    let body = payloads::all().into_iter().find(|(known, _)| *known == name).expect("a payload").1;
    let start = Instant::now();
    let good = match which {
        "product" => Product::new(Backend::best()).call(&body),
        _ => obvious(&body),
    };
    let taken = nanoseconds(start);
    assert!(good);
    println!("{taken}");
}
