//! The product's binaries, which belong to other packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder that holds them all: that of the benchmark's own binary.
///
/// Cargo makes sure that they are there and new. Where the tests of the whole workspace are run it has
/// just built them and is asked for the same again, which takes it a second; where only this package
/// is tested they may be missing or older than their sources, and are built now.
pub(crate) fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_harkara-bench"))
        .parent()
        .unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "test",
        other => other,
    };
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--workspace", "--no-run", "--quiet"])
        .args(["--profile", profile, "--target-dir"])
        .arg(folder.parent().unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        // Build scripts that watch these would otherwise run again.
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    assert!(command.status().unwrap().success(), "{command:?}");
    folder.to_owned()
}
