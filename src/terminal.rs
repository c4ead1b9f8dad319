//! What only a person at a terminal is shown: colours, and how far long work is.

use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    colours: bool,
}

impl Paint {
    /// Colours if this is a terminal, and nobody has asked for none (`NO_COLOR`, no-color.org).
    pub(crate) fn of(out: &impl IsTerminal) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colours: wanted && out.is_terminal() }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.painted("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.painted("1;31", text)
    }

    fn painted(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// How far long work is: one line on standard error, for a person at a terminal. Elsewhere it says
/// nothing. It goes when it is dropped.
pub(crate) struct Progress {
    what: &'static str,
    /// How much there is; none: nobody knows.
    total: Option<u64>,
    began: Instant,
    /// When it was shown last; none: nobody looks.
    shown: Option<Instant>,
    written: bool,
}

impl Progress {
    /// Often enough for the eye.
    const EVERY: Duration = Duration::from_millis(250);

    /// Work that is counted in `what`, such as orders.
    pub(crate) fn new(what: &'static str, total: Option<u64>) -> Self {
        let now = Instant::now();
        let shown = std::io::stderr().is_terminal().then_some(now);
        Self { what, total, began: now, shown, written: false }
    }

    /// So much is done.
    pub(crate) fn at(&mut self, done: u64) {
        let Some(shown) = self.shown.filter(|shown| shown.elapsed() >= Self::EVERY) else { return };
        let line = told(self.what, done, self.total, self.began.elapsed());
        // Nobody may be reading.
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        self.shown = Some(shown + shown.elapsed());
        self.written = true;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.written {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// How much of how much, how fast, and for how long still at this rate.
fn told(what: &str, done: u64, total: Option<u64>, took: Duration) -> String {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = done.saturating_mul(1_000) / millis;
    let Some(total) = total else { return format!("{done} {what}, {rate} in a second") };
    let left = total.saturating_sub(done);
    let line = format!("{done} of {total} {what}, {rate} in a second");
    match left.saturating_mul(millis).checked_div(done.saturating_mul(1_000)) {
        Some(seconds) => format!("{line}, {} left", span(seconds)),
        None => line,
    }
}

/// Seconds in the two units that matter.
fn span(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_fast_and_for_how_long_still() {
        for (done, total, millis, line) in [
            (500, Some(1_500), 1_000, "500 of 1500 orders, 500 in a second, 2 s left"),
            (1, Some(101), 2_000, "1 of 101 orders, 0 in a second, 3 min 20 s left"),
            (1, Some(3_601), 2_000, "1 of 3601 orders, 0 in a second, 2 h 0 min left"),
            (0, Some(100), 1_000, "0 of 100 orders, 0 in a second"),
            (100, Some(100), 0, "100 of 100 orders, 100000 in a second, 0 s left"),
            (7, None, 3_500, "7 orders, 2 in a second"),
            (u64::MAX, None, 1, "18446744073709551615 orders, 18446744073709551615 in a second"),
        ] {
            assert_eq!(told("orders", done, total, Duration::from_millis(millis)), line);
        }
    }
}
