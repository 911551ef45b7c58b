//! Each name runs its program.

#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::process::Command;

use harkara_testkit::Folder;

#[test]
fn each_name_runs_its_program() {
    let folder = Folder::new();
    for name in ["harkara", "harkara-ingress", "harkara-worker"] {
        let program = folder.path().join(name);
        symlink(env!("CARGO_BIN_EXE_harkara-multicall"), &program).unwrap();
        let ran = Command::new(program).arg("--version").output().unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(printed, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    }
}
