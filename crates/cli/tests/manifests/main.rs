//! What deploy/ has for Kubernetes, Helm, systemd and Compose: strict schemas, and agreement with the settings and with
//! one another.

// The programs that check them are fetched for this platform alone.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::unwrap_used,
    reason = "a test cannot go on without its files and tools"
)]

mod agreement;
mod custom;
mod kubernetes;
mod objects;
mod schemas;
mod security;
mod settings;
mod units;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a program prints that succeeds, run in the root of the repository.
fn printed(command: &mut Command) -> String {
    let ran = command.current_dir(root()).output();
    let ran = ran.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command:?}: {stderr}");
    String::from_utf8(ran.stdout).unwrap()
}
