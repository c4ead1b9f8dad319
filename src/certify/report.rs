//! The report, in words and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::judge::{Finding, Judgement, judge};
use super::play::{Played, Seen, Sent};
use crate::terminal::Paint;

/// How an endpoint did.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) url: String,
    /// Nothing is wrong.
    pub(crate) passed: bool,
    pub(crate) scenes: Vec<SceneReport>,
}

/// How it did in one scene.
#[derive(Debug, Serialize)]
pub(crate) struct SceneReport {
    pub(crate) scene: &'static str,
    pub(crate) title: &'static str,
    pub(crate) txid: String,
    pub(crate) passed: bool,
    pub(crate) faults: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
    pub(crate) sent: Vec<Sent>,
}

impl Report {
    pub(crate) fn of(url: &str, played: Vec<Played>, require_ok: bool) -> Self {
        let scenes: Vec<SceneReport> = played
            .into_iter()
            .map(|played| {
                let Judgement { faults, warnings } = judge(&played, require_ok);
                SceneReport {
                    scene: played.scene.name,
                    title: played.scene.title,
                    txid: played.tx_id.to_string(),
                    passed: faults.is_empty(),
                    faults,
                    warnings,
                    sent: played.sent,
                }
            })
            .collect();
        Self { url: url.to_owned(), passed: scenes.iter().all(|scene| scene.passed), scenes }
    }

    pub(crate) fn write(&self, out: &mut impl Write, paint: Paint) -> io::Result<()> {
        for scene in &self.scenes {
            let verdict = if scene.passed { paint.good("ok   ") } else { paint.bad("WRONG") };
            let answers: Vec<String> = scene.sent.iter().map(told).collect();
            writeln!(out, "{verdict}  {:<14} {}", scene.scene, scene.title)?;
            writeln!(out, "         {}", answers.join(", "))?;
            for fault in &scene.faults {
                writeln!(out, "       - {}: {}", fault.code, fault.seen)?;
                writeln!(out, "         {}", fault.cure)?;
            }
            for warning in &scene.warnings {
                writeln!(out, "       - warning: {}: {}", warning.code, warning.seen)?;
                writeln!(out, "         {}", warning.cure)?;
            }
        }
        let good = self.scenes.iter().filter(|scene| scene.passed).count();
        writeln!(out, "\n{}: {good} of {} scenes are right", self.url, self.scenes.len())?;
        if !self.passed {
            let where_to = "docs/psp-guide.md, \"Notifications\", says what an endpoint must do";
            writeln!(out, "{where_to}; run it again when it does")?;
        }
        Ok(())
    }
}

/// What came of a message, in a few words.
fn told(sent: &Sent) -> String {
    let each = sent.seen.iter().map(|seen| match seen {
        Seen::Answer { status, .. } => status.to_string(),
        Seen::TooLong => "too long".to_owned(),
        Seen::TimedOut => "no answer".to_owned(),
        Seen::NotReached(_) => "not reached".to_owned(),
        Seen::BrokenOff(_) => "broken off".to_owned(),
    });
    let asked = match sent.asked {
        Some(true) => ", asked",
        Some(false) | None => "",
    };
    format!("{} in {} ms{asked}", each.collect::<Vec<_>>().join(" and "), sent.took_ms)
}
