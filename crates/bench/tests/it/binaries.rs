//! The product's binaries, which belong to other packages.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The binaries that the benchmark starts, and their packages.
const BINARIES: [(&str, &str); 3] = [
    ("harkara-ingress", "harkara-ingress"),
    ("harkara-worker", "harkara-worker"),
    ("harkara", "harkara-cli"),
];

/// The folder that holds them all: that of the benchmark's own binary.
///
/// Tests of the whole workspace have built them there before. Where only this package is tested they
/// may be missing, and are built now.
pub(crate) fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_harkara-bench"))
        .parent()
        .unwrap()
        .to_owned();
    if BINARIES
        .iter()
        .any(|(name, _)| !folder.join(name).is_file())
    {
        build(&folder);
    }
    folder
}

fn build(folder: &Path) {
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--quiet", "--profile", profile, "--target-dir"])
        .arg(folder.parent().unwrap());
    for (_, package) in BINARIES {
        command.args(["--package", package]);
    }
    assert!(command.status().unwrap().success(), "{command:?}");
}
