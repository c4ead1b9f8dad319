//! Says of which commit the program is, for `--version`.

#![allow(clippy::print_stdout, reason = "it is how a build script tells what it found")]

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=GOPAY_ADAPTER_COMMIT");
    let commit = std::env::var("GOPAY_ADAPTER_COMMIT").ok().or_else(of_git);
    let commit = commit.unwrap_or_else(|| "unknown commit".to_owned());
    println!("cargo::rustc-env=GOPAY_ADAPTER_COMMIT={commit}");
}

/// The commit of the working tree; it is asked for again when another is checked out or made.
fn of_git() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    for file in ["HEAD", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", file])?);
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}
