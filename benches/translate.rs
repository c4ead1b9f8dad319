//! The translation, against the obvious way to write it and the best ready-made crates, in one run on
//! one core.
//!
//! `cargo bench --bench translate`; the ratios are what is promised, not the times.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gopay_core::ppro::form::Scratch;
use gopay_core::ppro::transaction::Terms;
use gopay_core::translate::translate_into;
use gopay_testkit::{baseline, payloads, product, ready_made};

fn translate(criterion: &mut Criterion) {
    let terms = product::charge_terms();
    let mut scratch = Scratch::new();
    let mut out = Vec::new();
    let mut buffers = ready_made::Buffers::default();
    for (name, body) in payloads::all() {
        let passed = translate_into(&body, Terms::OPEN, &terms, &mut scratch, &mut out);
        assert_eq!(passed, Ok(()), "{name}");
        let obvious = baseline::translate(&body, Terms::OPEN, &terms).expect("a good body");
        assert!(obvious == out, "{name}: the two ways differ");

        let made = buffers.translate(&body, Terms::OPEN, &terms).expect("a good body");
        assert!(made == out, "{name}: the ready-made crates differ");

        let mut group = criterion.benchmark_group(format!("translate/{name}"));
        let bytes = u64::try_from(body.len()).expect("a short body");
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function("product", |bencher| {
            bencher.iter(|| {
                let body = black_box(body.as_slice());
                let done = translate_into(body, Terms::OPEN, &terms, &mut scratch, &mut out);
                black_box(out.as_slice());
                done
            });
        });
        group.bench_function("baseline", |bencher| {
            bencher.iter(|| baseline::translate(black_box(&body), Terms::OPEN, &terms));
        });
        group.bench_function("ready_made", |bencher| {
            bencher.iter(|| {
                let body = black_box(body.as_slice());
                black_box(buffers.translate(body, Terms::OPEN, &terms)).is_ok()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, translate);
criterion_main!(benches);
