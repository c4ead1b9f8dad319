//! What two people answer for: one decides or asks, another approves, each in an act of its own. And what
//! operators do, of which nobody approves: asked for in one act, and how it ended in the next.
//!
//! Acts are only ever added. An act of a subject has its version; of two that are read at once one
//! comes first, and the other is a conflict.

use async_trait::async_trait;
use gopay_core::person::same_person;
use gopay_core::time::Timestamp;

use crate::StoreError;

/// A decision, or the approval of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewAct {
    /// What the subjects are: `breaks/SERIES`, `adjustments/ENTITY-CLIENT`, or `audit/DAY`.
    pub scope: String,
    /// The break, or the correction.
    pub subject: String,
    /// 1, 2, 3 ... of the subject.
    pub version: i64,
    /// What is decided, as JSON; an approval repeats it.
    pub content: String,
    /// The sign of the values that it is about; empty if they cannot change.
    pub about: String,
    /// Who has decided, or asked for it; an approval repeats it.
    pub decided_by: String,
    /// Who approves it: another person. None: this is the decision.
    pub approved_by: Option<String>,
    /// When it was read.
    pub at: Timestamp,
    /// File and line that it was read from.
    pub source: String,
}

/// The acts of a store.
#[async_trait]
pub trait Reviews: Send + Sync {
    /// The acts of a scope after a place, in order, at most `limit`, each with its place.
    async fn reviews_after(
        &self,
        scope: &str,
        act: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ReviewAct)>, StoreError>;

    /// Adds acts, one of a subject at most: all of them are durable, or none.
    ///
    /// [`StoreError::Conflict`] if another act of a subject came first; [`StoreError::Invalid`] if
    /// one does not follow the last of its subject: see [`ReviewAct::follows`].
    async fn reviews_add(&self, acts: &[ReviewAct]) -> Result<(), StoreError>;
}

impl ReviewAct {
    /// Whether it may follow the last act of its subject; the engines ask in the transaction that
    /// adds it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if its version is taken, else [`StoreError::Invalid`] that names
    /// what does not follow.
    pub fn follows(&self, last: Option<&Self>) -> Result<(), StoreError> {
        let invalid = |column, why| StoreError::Invalid { table: "review_acts", column, why };
        let before = last.map_or(0, |last| last.version);
        if self.version <= before {
            return Err(StoreError::Conflict);
        }
        if before.checked_add(1) != Some(self.version) {
            return Err(invalid("version", "it leaves a gap"));
        }
        if same_person(&self.decided_by, "") {
            return Err(invalid("decided_by", "it names nobody"));
        }
        let Some(approved_by) = &self.approved_by else { return Ok(()) };
        if same_person(approved_by, "") {
            return Err(invalid("approved_by", "it names nobody"));
        }
        if same_person(approved_by, &self.decided_by) {
            return Err(invalid("approved_by", "nobody approves what they have decided"));
        }
        let decided = last.filter(|last| {
            last.content == self.content && same_person(&last.decided_by, &self.decided_by)
        });
        if decided.is_none() {
            return Err(invalid("approved_by", "it was not decided before in an act of its own"));
        }
        Ok(())
    }

    /// Holds acts against the last ones of their subjects.
    ///
    /// # Errors
    /// Of the first that does not follow; [`StoreError::Invalid`] if two are of one subject.
    pub fn all_follow(acts: &[Self], last: &[Self]) -> Result<(), StoreError> {
        let of = |act: &Self| (act.scope.clone(), act.subject.clone());
        let last: std::collections::BTreeMap<_, _> =
            last.iter().map(|act| (of(act), act)).collect();
        let mut seen = std::collections::BTreeSet::new();
        for act in acts {
            if !seen.insert(of(act)) {
                let why = "two acts of one subject are no two acts";
                return Err(StoreError::Invalid { table: "review_acts", column: "subject", why });
            }
            act.follows(last.get(&of(act)).copied())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(version: i64, content: &str, by: &str, approved_by: Option<&str>) -> ReviewAct {
        ReviewAct {
            scope: "breaks/default".into(),
            subject: "B0".into(),
            version,
            content: content.into(),
            about: String::new(),
            decided_by: by.into(),
            approved_by: approved_by.map(str::to_owned),
            at: Timestamp::from_micros(1),
            source: "list.csv line 2".into(),
        }
    }

    #[test]
    fn an_approval_is_an_act_of_another_person_after_the_decision() {
        let decided = act(1, "claim", "Ana", None);
        let approved = act(2, "claim", "Ana", Some("Budi"));
        for (next, last, wanted) in [
            (act(1, "claim", "Ana", None), None, None),
            (act(2, "claim", "Ana", Some("Budi")), Some(&decided), None),
            // Of other values of the same break: once more by another than who has decided.
            (act(3, "claim", "Ana", Some("Citra")), Some(&approved), None),
            (act(3, "accept", "Budi", None), Some(&approved), None),
            (act(1, "claim", "Ana", Some("Budi")), None, Some("approved_by")),
            (act(2, "claim", "Ana", Some("aNA ")), Some(&decided), Some("approved_by")),
            (act(2, "claim", "Ana", Some(" ")), Some(&decided), Some("approved_by")),
            (act(2, "accept", "Ana", Some("Budi")), Some(&decided), Some("approved_by")),
            (act(2, "claim", "Dewi", Some("Budi")), Some(&decided), Some("approved_by")),
            (act(1, "claim", " ", None), None, Some("decided_by")),
            (act(3, "claim", "Ana", None), Some(&decided), Some("version")),
            (act(1, "claim", "Ana", None), Some(&decided), Some("conflict")),
        ] {
            let found = match next.follows(last) {
                Ok(()) => None,
                Err(StoreError::Invalid { column, .. }) => Some(column),
                Err(StoreError::Conflict) => Some("conflict"),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, wanted, "{next:?}");
        }
    }
}
