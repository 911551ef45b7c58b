//! Node.js, and the packages of `crates/bench/peer-bullmq` as its lock file names them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Result, bail};

use crate::checkout::Checkout;
use crate::programs;
use crate::report::Step;
use crate::task::run_logged;

/// The oldest Node.js on which all packages run.
const NODE_OLDEST: u32 = 20;

/// Installs the packages unless they match the lock file, and returns the peer's folder.
pub(crate) fn prepare(checkout: &Checkout) -> Result<PathBuf> {
    if let Some(problem) = problem(programs::node_major(), programs::is_on_path("npm")) {
        bail!(
            "{problem}; install Node.js {NODE_OLDEST} or later with npm (https://nodejs.org), then try again"
        );
    }
    let folder = checkout.root.join("crates/bench/peer-bullmq");
    if !is_installed(&folder) {
        let step = Step::start();
        let mut npm = Command::new("npm");
        npm.args(["ci", "--omit=dev", "--no-audit", "--no-fund"])
            .current_dir(&folder);
        run_logged(&mut npm, &checkout.logs()?.join("npm.log"))?;
        step.done("the peer's packages are installed");
    }
    Ok(folder)
}

/// What is wrong with the Node.js of this machine, if anything is.
fn problem(node_major: Option<u32>, has_npm: bool) -> Option<String> {
    match node_major {
        None => Some("Node.js is not installed".to_owned()),
        Some(major) if major < NODE_OLDEST => Some(format!("Node.js is version {major}")),
        Some(_) if !has_npm => Some("npm is not installed".to_owned()),
        Some(_) => None,
    }
}

/// Whether the last complete installation, which npm records, is newer than the package files.
fn is_installed(folder: &Path) -> bool {
    let changed = |name: &str| -> Option<SystemTime> {
        fs::metadata(folder.join(name)).ok()?.modified().ok()
    };
    let files = ["package.json", "package-lock.json"].map(changed);
    changed("node_modules/.package-lock.json")
        .is_some_and(|installed| files.into_iter().flatten().all(|file| file < installed))
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn node_must_be_recent_and_come_with_npm() {
        for (node, npm, expected) in [
            (None, false, Some("Node.js is not installed")),
            (Some(18), true, Some("Node.js is version 18")),
            (Some(22), false, Some("npm is not installed")),
            (Some(20), true, None),
        ] {
            assert_eq!(problem(node, npm).as_deref(), expected);
        }
    }
}
