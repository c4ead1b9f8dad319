//! What operators have done: who, what, why, and how it ended. It is kept with the acts of people, a
//! scope a day, which are only ever added.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gopay_core::person::same_person;
use gopay_core::time::Timestamp;
use gopay_store::{ReviewAct, StoreError};
use serde::Serialize;
use serde_json::{Value, json};

use super::Walk;
use crate::Service;

/// Something that an operator asks for, before it is done.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The name of a token, or how somebody without one calls themselves.
    pub who: Option<&'a str>,
    /// What: `POST /admin/v1/reload`.
    pub what: &'a str,
    /// Why, if they said so.
    pub why: Option<&'a str>,
    /// From where.
    pub source: IpAddr,
}

/// An attempt that was recorded; its end is recorded with it.
#[derive(Debug)]
#[must_use = "how it ended is recorded too"]
pub struct Recorded(ReviewAct);

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Its place.
    pub act: i64,
    /// When it was asked for.
    pub at: String,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
    /// Why.
    pub why: Option<String>,
    /// From where.
    pub source: String,
    /// The status of the answer; none if nobody knows how it ended.
    pub status: Option<u16>,
}

/// Which acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this person.
    pub who: Option<String>,
    /// With this text in what was asked for, in any case.
    pub what: Option<String>,
}

impl AuditFilter {
    fn takes(&self, row: &AuditRow) -> bool {
        let has = |text: &String| row.what.to_lowercase().contains(&text.to_lowercase());
        self.who.as_ref().is_none_or(|who| same_person(who, &row.who))
            && self.what.as_ref().is_none_or(has)
    }
}

/// The acts of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditDay {
    /// `YYYY-MM-DD`, UTC.
    pub day: String,
    /// Those that fit.
    pub rows: Vec<AuditRow>,
    /// `before` of the next page, or its `after` if the oldest come first; none at the end.
    pub next: Option<i64>,
}

/// Acts read at once.
const READ: usize = 1_000;

/// Rows of a day that are read at most: two an act, more than one act a second all day.
const DAY_MAX: usize = 200_000;

fn scope(day: &str) -> String {
    format!("audit/{day}")
}

impl Service {
    /// Records what an operator asks for, before it is done.
    ///
    /// # Errors
    /// Those of the store: then it must not be done.
    pub async fn record_attempt(&self, attempt: Attempt<'_>) -> Result<Recorded, StoreError> {
        let now = self.now();
        let day = day_of(now);
        let who = match attempt.who {
            Some(who) if same_person(who, "") => format!("token {who}"),
            Some(who) => who.to_owned(),
            None => "without a login".to_owned(),
        };
        let content = json!({"what": attempt.what, "why": attempt.why});
        let act = ReviewAct {
            scope: scope(&day),
            subject: format!("{:016x}", u64::from_le_bytes(self.0.ids.bytes())),
            version: 1,
            content: content.to_string(),
            about: String::new(),
            decided_by: who,
            approved_by: None,
            at: now,
            source: attempt.source.to_string(),
        };
        let acts = [act];
        self.add_acts(&acts).await?;
        let [act] = acts;
        Ok(Recorded(act))
    }

    /// Records how it ended. If the store does not take it, the log has it all the same.
    pub async fn record_end(&self, recorded: Recorded, status: u16) {
        let content = json!({"status": status}).to_string();
        let act = ReviewAct { version: 2, content, at: self.now(), ..recorded.0 };
        let acts = [act];
        if let Err(error) = self.add_acts(&acts).await {
            crate::describe::log_store_error(&error);
        }
    }

    /// Of two that come at once some engines let only one in, although they are about different things.
    async fn add_acts(&self, acts: &[ReviewAct]) -> Result<(), StoreError> {
        const TRIES: u32 = 20;
        let mut last = StoreError::Conflict;
        for _ in 0..TRIES {
            match self.retry_while_busy(|| self.0.store.reviews_add(acts)).await {
                Err(error @ StoreError::Conflict) => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    /// What operators did on a day, `YYYY-MM-DD`, from a place on, at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit(
        &self,
        day: &str,
        filter: &AuditFilter,
        walk: Walk,
        limit: usize,
    ) -> Result<AuditDay, StoreError> {
        let (mut rows, mut ends) = (Vec::new(), BTreeMap::new());
        let (mut after, mut read) = (0, 0_usize);
        while read < DAY_MAX {
            let page = self.0.store.reviews_after(&scope(day), after, READ).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            read = read.saturating_add(page.len());
            for (place, act) in page {
                let content: Value = serde_json::from_str(&act.content).unwrap_or_default();
                if act.version == 1 {
                    rows.push((act.subject.clone(), row(place, act, &content)));
                } else if let Some(status) = content.get("status").and_then(Value::as_u64) {
                    ends.insert(act.subject, u16::try_from(status).unwrap_or(u16::MAX));
                }
            }
        }
        rows.retain(|(_, row)| filter.takes(row));
        let page = walk.page(rows, limit, |(_, row)| row.act);
        let with_end = |(subject, row)| AuditRow { status: ends.get(&subject).copied(), ..row };
        let rows = page.rows.into_iter().map(with_end).collect();
        Ok(AuditDay { day: day.to_owned(), rows, next: page.next })
    }

    /// Today, `YYYY-MM-DD`, UTC.
    #[must_use]
    pub fn today(&self) -> String {
        day_of(self.now())
    }
}

/// The day of a time, UTC.
fn day_of(at: Timestamp) -> String {
    at.utc_seconds().chars().take(10).collect()
}

fn row(place: i64, act: ReviewAct, content: &Value) -> AuditRow {
    let text = |name: &str| content.get(name).and_then(Value::as_str).map(str::to_owned);
    AuditRow {
        act: place,
        at: act.at.to_string(),
        who: act.decided_by,
        what: text("what").unwrap_or_default(),
        why: text("why"),
        source: act.source,
        status: None,
    }
}
