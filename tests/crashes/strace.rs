//! Interference at a chosen system call of a chosen thread, by Debian's `strace`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gopay_testkit::wait::eventually;

use crate::program::{Program, binary};

/// What happens at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    /// SIGKILL instead of the call: all before it happened, it and all after it did not.
    Kill,
    /// The call fails with this error and has no effect.
    Fail(&'static str),
}

/// Which of some system calls, counted in one thread from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Nth(u32),
    From(u32),
}

/// Where and how to strike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim {
    pub(crate) calls: &'static str,
    pub(crate) when: When,
    pub(crate) strike: Strike,
}

impl Aim {
    fn arguments(&self, output: &Path) -> Vec<String> {
        let when = match self.when {
            When::Nth(number) => format!("{number}"),
            When::From(number) => format!("{number}+"),
        };
        let strike = match self.strike {
            Strike::Kill => "signal=KILL".to_owned(),
            Strike::Fail(error) => format!("error={error}"),
        };
        let calls = self.calls;
        let mut arguments = vec!["-qq".to_owned(), "-o".to_owned(), output.display().to_string()];
        arguments.extend(["-e".to_owned(), format!("trace={calls}")]);
        arguments.extend(["-e".to_owned(), "signal=none".to_owned()]);
        arguments.extend(["-e".to_owned(), format!("inject={calls}:{strike}:when={when}")]);
        arguments
    }

    /// A command that runs the program from its first system call under this aim.
    pub(crate) fn command(&self, output: &Path) -> Command {
        let mut command = Command::new("strace");
        // The program stays our child, and strace itself goes by the real clock.
        command.args(["-D", "-f"]).args(self.arguments(output));
        command.arg(binary());
        command
    }
}

/// A tracer of one thread of a running program.
pub(crate) struct Tracer {
    child: Child,
    output: PathBuf,
}

impl Tracer {
    /// Begins before this returns.
    pub(crate) async fn attach(program: &Program, thread: &str, aim: &Aim, folder: &Path) -> Self {
        let process = program.process().expect("it runs");
        let id = thread_of(process, thread);
        let output = folder.join("strace");
        let child = Command::new("strace")
            .args(aim.arguments(&output))
            .args(["-p", &id])
            .stderr(Stdio::null())
            .spawn()
            .expect("strace starts");
        let tracer = Self { child, output };
        let status = format!("/proc/{process}/task/{id}/status");
        eventually(&format!("strace attaches to {thread}"), async || {
            // Killed by the first call already.
            let Ok(status) = std::fs::read_to_string(&status) else { return true };
            let by = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            by.is_some_and(|by| by.trim() != "0")
        })
        .await;
        tracer
    }

    /// Lets go of the program; whether a call was made to fail.
    pub(crate) fn detach(mut self) -> bool {
        self.end();
        std::fs::read_to_string(&self.output).unwrap_or_default().contains("INJECTED")
    }

    fn end(&mut self) {
        let id = self.child.id().to_string();
        // By a signal that it can handle: SIGKILL would leave the program stopped.
        let _ = Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.end();
    }
}

fn thread_of(process: u32, name: &str) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    for task in tasks {
        let task = task.expect("a thread");
        let found = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if found.trim() == name {
            return task.file_name().to_str().expect("a number").to_owned();
        }
    }
    panic!("no thread {name}");
}
