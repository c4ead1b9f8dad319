//! What a payment costs beside its translation, each against the obvious way to do it.
//!
//! `cargo bench --bench wire`

mod wired;

use criterion::{Criterion, criterion_group, criterion_main};

fn wire(criterion: &mut Criterion) {
    for (name, mut pair) in wired::all() {
        let mut group = criterion.benchmark_group(format!("wire/{name}"));
        group.bench_function("product", |bencher| bencher.iter(&mut pair.product));
        group.bench_function("baseline", |bencher| bencher.iter(&mut pair.obvious));
        group.finish();
    }
}

criterion_group!(benches, wire);
criterion_main!(benches);
