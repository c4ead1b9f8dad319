//! What only people read.

mod explain;

pub use explain::story;
