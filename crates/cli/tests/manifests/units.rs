//! The systemd units.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use harkara_testkit::Folder;

use super::{read, root};

const UNITS: [&str; 4] = [
    "harkara-ingress.service",
    "harkara-migrate.service",
    "harkara-migrate.timer",
    "harkara-worker@.service",
];

/// The most that `systemd-analyze security` may say, in tenths: 0 is safe, 100 is not.
const EXPOSURE_MAX: &str = "15";

fn systemd_analyze(arguments: &[&str]) -> Output {
    let ran = Command::new("systemd-analyze").args(arguments).output();
    ran.unwrap_or_else(|error| {
        panic!("systemd-analyze checks the units, and does not run here; install systemd: {error}")
    })
}

/// Verifies the units after a change to their text, where their programs exist: whether they pass, and what is said.
fn verified(change: impl Fn(&str) -> String) -> (bool, String) {
    let folder = Folder::new();
    let at = folder.path().display().to_string();
    let programs = folder.path().join("usr/bin");
    fs::create_dir_all(&programs).unwrap();
    for program in ["harkara", "harkara-ingress", "harkara-worker"] {
        let program = programs.join(program);
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let units = UNITS.map(|unit| {
        let text = change(&read(&format!("deploy/systemd/{unit}")));
        let path = folder.path().join(unit.replace('@', "@1"));
        fs::write(
            &path,
            text.replace("=/usr/bin/", &format!("={at}/usr/bin/")),
        )
        .unwrap();
        path.display().to_string()
    });
    // Without the first option, a unit with an unknown key passes; the second asks for no manual to be installed.
    let mut arguments = vec!["verify", "--recursive-errors=no", "--man=no"];
    arguments.extend(units.iter().map(String::as_str));
    let ran = systemd_analyze(&arguments);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    (ran.status.success(), said)
}

#[test]
fn units_are_valid() {
    let (pass, said) = verified(str::to_owned);
    assert!(pass, "{said}");
    assert!(!said.contains("harkara"), "{said}");
}

#[test]
fn a_broken_unit_is_found() {
    for (right, wrong) in [
        ("ProtectHome=", "ProtectHom="),
        ("ExecStart=/usr/bin/", "ExecStart=/usr/sbin/"),
        ("OnCalendar=*-*-*", "OnCalendar=*-*-*-*"),
    ] {
        let (pass, said) = verified(|text| text.replace(right, wrong));
        assert!(!pass && said.contains("harkara"), "{wrong}: {said}");
    }
}

#[test]
fn units_expose_little() {
    for unit in UNITS.into_iter().filter(|unit| unit.ends_with("service")) {
        let unit = root().join("deploy/systemd").join(unit);
        let ran = systemd_analyze(&[
            "security",
            "--offline=true",
            "--no-pager",
            "--threshold",
            EXPOSURE_MAX,
            &unit.display().to_string(),
        ]);
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{}: {said}", unit.display());
    }
}
