//! Every order of events in the small worlds, as deep as a minute on two cores allows;
//! `GOPAY_DEPTH` says another depth. All of them whole, faster:
//! `cargo run --release -p gopay-simulation -- --exhaustive all`.

use std::sync::Mutex;

use gopay_simulation::exhaustive::{Explored, WORLDS, explore_all};

#[test]
fn in_every_order_of_events_nobody_is_told_a_lie_and_all_books_agree() {
    let depth = std::env::var("GOPAY_DEPTH").map_or(9, |text| text.parse().expect("a number"));
    let worlds: Vec<_> = WORLDS.iter().collect();
    let all: Mutex<Vec<Explored>> = Mutex::default();
    let good = explore_all(&worlds, Some(depth), None, &|explored| {
        println!("{explored}");
        all.lock().expect("no other panics").push(explored.clone());
    });
    assert!(good, "see above");
    let all = all.into_inner().expect("no other panics");
    let states: usize = all.iter().map(|explored| explored.moments).sum();
    println!("{states} states in {} small worlds", all.len());
    // A world in which nothing can happen would prove nothing.
    for explored in &all {
        assert!(explored.moments > 20, "{explored}");
    }
}
