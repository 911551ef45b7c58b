//! The systemd units.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use harkara_testkit::Folder;

use super::{printed, read, root};

const UNITS: [&str; 4] = [
    "harkara-ingress.service",
    "harkara-migrate.service",
    "harkara-migrate.timer",
    "harkara-worker@.service",
];

/// The most that `systemd-analyze security` may say, in tenths: 0 is safe, 100 is not.
const EXPOSURE_MAX: &str = "15";

/// Units whose programs exist.
fn installed() -> Folder {
    let folder = Folder::new();
    let programs = folder.path().join("usr/bin");
    fs::create_dir_all(&programs).unwrap();
    for program in ["harkara", "harkara-ingress", "harkara-worker"] {
        let program = programs.join(program);
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for unit in UNITS {
        let at = folder.path().display().to_string();
        let text = read(&format!("deploy/systemd/{unit}"))
            .replace("=/usr/bin/", &format!("={at}/usr/bin/"));
        fs::write(folder.path().join(unit), text).unwrap();
    }
    folder
}

#[test]
fn units_are_valid() {
    let folder = installed();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]);
    for unit in UNITS {
        verify.arg(folder.path().join(unit.replace('@', "@1")));
    }
    fs::copy(
        folder.path().join("harkara-worker@.service"),
        folder.path().join("harkara-worker@1.service"),
    )
    .unwrap();
    let ran = verify.output().unwrap();
    let problems = String::from_utf8_lossy(&ran.stderr);
    let ours = problems.lines().filter(|line| line.contains("harkara"));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn units_expose_little() {
    for unit in UNITS.into_iter().filter(|unit| unit.ends_with("service")) {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args([
            "security",
            "--offline=true",
            "--no-pager",
            "--threshold",
            EXPOSURE_MAX,
        ]);
        printed(analyze.arg(root().join("deploy/systemd").join(unit)));
    }
}
