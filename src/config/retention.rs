//! `[retention]`

use std::path::PathBuf;
use std::time::Duration;

use gopay_core::payment::LATE_WATCH;

use super::section::Section;

/// How long calls and trails stay in the store, and where they go then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) keep: Duration,
    pub(crate) folder: PathBuf,
}

/// None if the section says nothing of it, or something wrong. A payment that may still be refunded, or
/// whose money may still come, must tell its story at once.
pub(super) fn read_retention(
    section: &mut Section<'_>,
    refund_window: Duration,
) -> Option<Retention> {
    const TEN_YEARS: Duration = Duration::from_secs(3_653 * 24 * 3600);
    const KEEP: &str = "limits.refund_window and three days more, at least, such as 400d";
    let mut keep = Duration::ZERO;
    let least = refund_window.saturating_add(LATE_WATCH);
    let said = section.table.contains_key("keep");
    section.span("keep", least, TEN_YEARS, KEEP, &mut keep);
    let folder = section.text("folder").map(PathBuf::from);
    if !said {
        section.problem("keep", "missing", KEEP);
        return None;
    }
    let Some(folder) = folder else {
        if !section.reported("folder") {
            section.problem("folder", "missing", "the folder of the archives");
        }
        return None;
    };
    Some(Retention { keep, folder })
}
