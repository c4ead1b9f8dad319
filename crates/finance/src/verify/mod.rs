//! Whether sets of settlement files and the processing files of days are as they were made: by
//! themselves, and beside what the store makes of the same period or day.

mod compare;
mod day;
mod finding;
mod set;
mod sums;
mod table;

pub use compare::{Comparison, Difference, compare_lines};
pub use day::{check_day_folder, is_erased_of_day, read_day_file};
pub use finding::Finding;
pub use set::{Ids, check_chain, check_folder, check_sums};
pub use sums::Sums;
pub use table::{TableRead, read_table};
