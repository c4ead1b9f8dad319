//! What a process has used, from `/proc`.

use std::time::Duration;

/// CPU time and memory of some processes together, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// In user and system mode.
    pub(crate) cpu: Duration,
    /// Resident, in bytes.
    pub(crate) rss: u64,
    /// The most that was ever resident, in bytes.
    pub(crate) rss_max: u64,
    /// What was handed to disks, in bytes: pages that were made dirty, each once until it is written.
    pub(crate) written: u64,
}

/// Linux counts in hundredths of a second towards user programs, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

/// The usage of these processes; one that has ended counts nothing.
pub(crate) fn usage(pids: &[u32]) -> Usage {
    let mut sum = Usage::default();
    for pid in pids {
        let read =
            |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        sum.cpu += cpu(&read("stat"));
        let status = read("status");
        sum.rss += number_after(&status, "VmRSS:") * 1_024;
        sum.rss_max += number_after(&status, "VmHWM:") * 1_024;
        sum.written += number_after(&read("io"), "write_bytes:");
    }
    sum
}

fn cpu(stat: &str) -> Duration {
    // The second field is the name in brackets and may hold anything.
    let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after.split(' ').skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// The number that follows a name at the start of a line; 0 if there is none.
fn number_after(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// All descendants of a process, and itself: a PostgreSQL server has a process per connection.
pub(crate) fn family(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 100";
        assert_eq!(cpu(stat), Duration::from_secs(3));
        assert_eq!(cpu(""), Duration::ZERO);
        assert_eq!(number_after("VmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS:"), 1_024);
    }

    #[test]
    fn this_process_has_used_something() {
        let me = std::process::id();
        assert!(usage(&[me]).rss > 0);
        assert_eq!(family(me).first(), Some(&me));
    }
}
