//! Which process holds a number, in words that tell whether it still runs.
//!
//! A process on the same machine can be asked for: so an instance that was killed and started again need
//! not wait for its own lease. Of a process on another machine, or in another container, nobody can tell.

use std::fs;

/// A process as it stands in the column `holder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    host: String,
    /// Of the machine since it was started.
    boot: String,
    /// In which numbers of processes mean something.
    namespace: String,
    pid: u32,
    /// When it was started, in ticks of the machine: numbers are used again.
    started: u64,
}

impl Process {
    /// This one. What the system does not tell is left empty, and then nobody can tell whether it runs.
    pub(crate) fn this() -> Self {
        let line = |path: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.trim().replace(' ', "-")
        };
        let pid = std::process::id();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            host: line("/proc/sys/kernel/hostname"),
            boot: line("/proc/sys/kernel/random/boot_id"),
            namespace: namespace.to_string_lossy().into_owned(),
            pid,
            started: Running::find(pid).map_or(0, |running| running.started),
        }
    }

    /// As it is stored.
    pub(crate) fn text(&self) -> String {
        let Self { host, boot, namespace, pid, started } = self;
        format!("{host} {boot} {namespace} {pid} {started}")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ').map(str::to_owned);
        let mut word = || words.next();
        let (host, boot, namespace) = (word()?, word()?, word()?);
        let (pid, started) = (word()?.parse().ok()?, word()?.parse().ok()?);
        Some(Self { host, boot, namespace, pid, started })
    }

    /// For people.
    pub(crate) fn name(text: &str) -> String {
        Self::parse(text).map_or_else(
            || text.to_owned(),
            |process| format!("process {} on {}", process.pid, process.host),
        )
    }

    /// Whether a process that is stored is certainly gone.
    pub(crate) fn is_known_dead(&self, text: &str) -> bool {
        let Some(other) = Self::parse(text) else { return false };
        let told = [&self.boot, &self.namespace].iter().all(|word| !word.is_empty());
        let here = self.boot == other.boot && self.namespace == other.namespace && told;
        here && other.started > 0
            && Running::find(other.pid).is_none_or(|running| running.started != other.started)
    }
}

/// A process that has a number now.
struct Running {
    started: u64,
}

impl Running {
    /// None if there is none, or if it has ended and only its parent has not heard of it yet.
    fn find(pid: u32) -> Option<Self> {
        /// Of the words behind the name: state is the first, the time of the start the twentieth.
        const STARTED: usize = 19;
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, behind_name) = text.rsplit_once(") ")?;
        let mut words = behind_name.split(' ');
        let state = words.next()?;
        let started = words.nth(STARTED - 1)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { started })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_again_in_what_it_stored() {
        let this = Process::this();
        assert_eq!(Process::parse(&this.text()), Some(this.clone()));
        assert_eq!(Process::name(&this.text()), format!("process {} on {}", this.pid, this.host));
        assert_eq!(Process::name("somebody"), "somebody");
    }

    #[test]
    fn only_a_process_of_this_machine_that_is_gone_is_known_dead() {
        let this = Process::this();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let of_child = |change: fn(&mut Process)| {
            let started = Running::find(child.id()).unwrap().started;
            let mut process = Process { pid: child.id(), started, ..this.clone() };
            change(&mut process);
            process.text()
        };
        let lives = of_child(|_| {});
        let elsewhere = of_child(|process| process.boot.push('x'));
        let contained = of_child(|process| process.namespace.push('x'));
        let before = of_child(|process| process.started -= 1);
        for (text, dead) in
            [(&lives, false), (&elsewhere, false), (&before, true), (&this.text(), false)]
        {
            assert_eq!(this.is_known_dead(text), dead, "{text}");
        }
        child.kill().unwrap();
        while !this.is_known_dead(&lives) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        let all = [(&lives, true), (&elsewhere, false), (&contained, false)];
        for (text, dead) in all {
            assert_eq!(this.is_known_dead(text), dead, "{text}");
        }
        for text in ["", "somebody", "a b c d e"] {
            assert!(!this.is_known_dead(text), "{text}");
        }
    }
}
