//! `manifest.json`: what a set of files is made of, and what each file holds.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::amount::Amount;
use crate::balance::{AppliedRate, Rounding, Row};
use crate::basis::{Basis, State};
use crate::table::FileFacts;

/// The name of the file.
pub const NAME: &str = "manifest.json";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub format: u32,
    /// The name of the set.
    pub set: String,
    /// What decided it besides its money events.
    pub basis: Basis,
    /// The rate with the margin of each contract.
    pub applied: Vec<AppliedRate>,
    /// Every rounding.
    pub roundings: Vec<Rounding>,
    /// The rows of the aggregate file.
    pub rows: Vec<Row>,
    /// Those in the settlement currency together.
    pub rows_total: Amount,
    /// Carried forward from the set before.
    pub opening: Amount,
    /// Held back now.
    pub reserve_withheld: Amount,
    /// Released now.
    pub reserve_released: Amount,
    /// Paid.
    pub transfer: Amount,
    /// Carried forward to the next set.
    pub carry_forward: Amount,
    /// What is left to the next set.
    pub after: State,
    /// The files, in the order of writing. A file `NAME.gz` beside each holds the same.
    pub files: Vec<FileFacts>,
}

impl Manifest {
    /// The version of the form that this program writes.
    pub const FORMAT: u32 = 1;

    /// The file.
    ///
    /// # Errors
    /// None that can happen: every key is text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Released less held back.
    #[must_use]
    pub fn reserve(&self) -> Amount {
        self.reserve_released.minus(self.reserve_withheld).unwrap_or_default()
    }
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}
