//! The program; all of it is in the library beside.

use std::process::ExitCode;

// Chosen by measurement (docs/PERFORMANCE.md, "The service"). The C library keeps its own malloc: in
// its place, jemalloc hangs under preloaded libraries such as libfaketime.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    gopay_adapter::main()
}
