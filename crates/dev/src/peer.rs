//! What Harkara is measured beside: Node.js, and the packages of `crates/bench/peer-bullmq` as its
//! lock file names them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::checkout::Checkout;
use crate::failure::Result;
use crate::programs;
use crate::report::{self, Step};
use crate::task::Task;

/// The oldest Node.js on which all packages run.
const NODE_OLDEST: u32 = 20;

/// Installs the packages where they are not what the lock file says, and returns the peer's folder.
pub(crate) fn prepare(checkout: &Checkout) -> Result<PathBuf> {
    if let Some(lack) = lack(programs::node_major(), programs::is_on_path("npm")) {
        return Err(format!(
            "{lack}; install Node.js {NODE_OLDEST} or later with npm (https://nodejs.org), then try again"
        )
        .into());
    }
    let folder = checkout.root.join("crates/bench/peer-bullmq");
    if !is_installed(&folder) {
        install(&folder, &checkout.logs()?.join("npm.log"))?;
    }
    Ok(folder)
}

/// What is wrong with the Node.js of this machine, if anything is.
fn lack(node_major: Option<u32>, has_npm: bool) -> Option<String> {
    match node_major {
        None => Some("Node.js is not installed".to_owned()),
        Some(major) if major < NODE_OLDEST => Some(format!("Node.js is version {major}")),
        Some(_) if !has_npm => Some("npm is not installed".to_owned()),
        Some(_) => None,
    }
}

/// Whether the last installation, which npm notes when it is whole, is newer than what was asked for.
fn is_installed(folder: &Path) -> bool {
    let changed = |name: &str| -> Option<SystemTime> {
        fs::metadata(folder.join(name)).ok()?.modified().ok()
    };
    let asked = ["package.json", "package-lock.json"].map(changed);
    changed("node_modules/.package-lock.json")
        .is_some_and(|installed| asked.into_iter().flatten().all(|asked| asked < installed))
}

fn install(folder: &Path, log: &Path) -> Result<()> {
    let step = Step::start();
    let mut command = Command::new("npm");
    command
        .args(["ci", "--omit=dev", "--no-audit", "--no-fund"])
        .current_dir(folder);
    if !Task::start_logged(&mut command, log)?.wait()?.success() {
        return Err(format!(
            "`npm ci` failed in {}{}",
            folder.display(),
            report::tail(log)
        )
        .into());
    }
    step.done("the peer's packages are installed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_must_be_there_new_enough_and_with_npm() {
        let said = |node, npm| lack(node, npm).unwrap_or_default();
        assert_eq!(said(None, false), "Node.js is not installed");
        assert_eq!(said(Some(18), true), "Node.js is version 18");
        assert_eq!(said(Some(22), false), "npm is not installed");
        assert_eq!(lack(Some(20), true), None);
    }
}
