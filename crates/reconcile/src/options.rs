//! How a run reconciles.

use crate::date::Day;

/// How it is reconciled.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The day of the run: ages are counted to it.
    pub today: Day,
    /// The first day in Jakarta that the exports cover; told by the rows if absent.
    pub from: Option<Day>,
    /// The last one.
    pub to: Option<Day>,
    /// Threads that compare.
    pub threads: usize,
}
