//! Programs for Node that tests drive: installed from a folder of this repository, beside the build.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Whether a program can be started here.
pub(crate) fn works(tool: &Path) -> bool {
    let version = Command::new(tool).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// A copy of `tests/<source>`, named `folder`, with `script` and what its lock file names.
///
/// # Errors
/// What is missing here, or why npm cannot install it.
pub(crate) fn installed(source: &str, folder: &str, script: &str) -> Result<PathBuf, String> {
    if let Some(tool) = ["node", "npm"].into_iter().find(|tool| !works(Path::new(tool))) {
        return Err(format!("{tool} is not installed"));
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    for name in ["package.json", "package-lock.json", ".npmrc", script] {
        std::fs::copy(source.join(name), folder.join(name)).expect("a copy");
    }
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--prefer-offline"])
        .current_dir(&folder)
        .output()
        .expect("npm starts");
    if output.status.success() {
        Ok(folder)
    } else {
        Err(format!("npm cannot install {script}: {}", said(&output)))
    }
}

/// All that a program wrote.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}
