//! A file of TRANSACTION bodies, as traffic of many senders looks, for `translate` and its peers.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use gopay_testkit::{payloads, respelled};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many bodies, one a line.
    #[arg(long, default_value_t = 1_000_000)]
    lines: usize,
    /// Where they go.
    #[arg(long)]
    out: PathBuf,
}

/// Of ten bodies five are minimal, four full, and one has 50 items: 1.5 KB on average.
const TEN: [fn() -> Vec<u8>; 10] = [
    payloads::minimal,
    payloads::full,
    payloads::minimal,
    payloads::full,
    payloads::minimal,
    payloads::fifty_items,
    payloads::minimal,
    payloads::full,
    payloads::minimal,
    payloads::full,
];

/// So many spellings of each of the ten: 20,000 bodies, more than a cache holds.
const SPELLINGS: usize = 2_000;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let bodies: Vec<_> = TEN.iter().map(|body| respelled::spellings(&body(), SPELLINGS)).collect();
    let in_turn = (0..SPELLINGS).flat_map(|at| bodies.iter().filter_map(move |ten| ten.get(at)));
    let mut out = BufWriter::new(File::create(&args.out)?);
    for body in in_turn.cycle().take(args.lines) {
        out.write_all(body)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}
