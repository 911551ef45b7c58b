//! The product's binaries, which belong to other packages than the tests that run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder that holds all binaries of the workspace: that of `own`, the test's own binary, as
/// `env!("CARGO_BIN_EXE_…")` names it.
///
/// Cargo makes sure that they are there and new. Where the tests of the whole workspace are run it has
/// just built them and is asked for the same again, which takes it a second; where only one package
/// is tested they may be missing or older than their sources, and are built now.
#[must_use]
pub fn binaries_beside(own: &str) -> PathBuf {
    let folder = Path::new(own).parent().expect("a binary is in a folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "test",
        Some(other) => other,
        None => panic!("{} has no name", folder.display()),
    };
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--workspace", "--no-run", "--quiet"])
        .args(["--profile", profile, "--target-dir"])
        .arg(
            folder
                .parent()
                .expect("a profile's folder is in the target folder"),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        // Build scripts that watch these would otherwise run again.
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    let status = command.status().expect("cargo can be run");
    assert!(status.success(), "{command:?}");
    folder.to_owned()
}
