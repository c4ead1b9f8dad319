//! Whether sets of settlement files are as they were made: by themselves, and beside what the store
//! makes of the same period.

mod compare;
mod finding;
mod set;
mod sums;
mod table;

pub use compare::{Comparison, Difference, compare_lines};
pub use finding::Finding;
pub use set::{Ids, check_chain, check_folder, check_sums};
pub use sums::Sums;
pub use table::{TableRead, read_table};
