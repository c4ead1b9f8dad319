//! What reading a config finds: what must be mended, and what is dangerous though it works.

/// What is wrong with one key. A config with a problem is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) key: String,
    pub(crate) wrong: String,
    pub(crate) wanted: &'static str,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}; valid: {}", self.key, self.wrong, self.wanted)
    }
}

/// What may go wrong by one key, though the program runs with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) key: String,
    pub(crate) risk: String,
    pub(crate) better: &'static str,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}; better: {}", self.key, self.risk, self.better)
    }
}

/// All of a config's problems and warnings, in the order of reading.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
    /// A secret stands in the file itself.
    pub(super) holds_secrets: bool,
}
